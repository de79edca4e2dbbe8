"""A fit as its verdict and its table, for print and for notebooks."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass

import numpy as np
import xarray as xr

from spikecube.notebook import Shown
from spikecube.scaling.errors import FitError
from spikecube.scaling.results import SOLVED, STATUS
from spikecube.text import number, text_table
from spikecube.words import symbols
from spikecube.words.data_fits import DataFit
from spikecube.words.verdicts import held_text, rejection, tally_fit

_WIDTH = 80
_MOST_ROWS = 60
_NEEDED = {"estimate", "stderr", "ci_low", "ci_high", "expected", "gof_pvalue", "status", "message"}


@dataclass(frozen=True)
class FitTable(Shown):
    """What a fit says: its verdict, then a row for each parameter of each curve; `left_out` rows are not shown."""

    verdict: str
    header: list[str]
    rows: list[list[str]]
    left_out: int

    def __str__(self) -> str:
        words = "\n".join(textwrap.fill(line, _WIDTH) for line in self._words())
        return f"{words}\n{text_table(self.header, self.rows)}" if self.rows else words

    def _repr_html_(self) -> str:
        words = "".join(f"<p>{html.escape(line)}</p>" for line in self._words())
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.header)
        body = "".join(f"<tr>{''.join(f'<td>{symbols.cell(cell)}</td>' for cell in row)}</tr>" for row in self.rows)
        return f"{words}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _words(self) -> list[str]:
        more = [f"{self.left_out} more rows are not shown."] if self.left_out else []
        return [*self.verdict.splitlines(), *more]


def show(fit: xr.Dataset) -> FitTable:
    """The verdict and the table of a fit, as text where it is printed and as HTML where a notebook shows it.

    Parameters
    ----------
    fit : of `fit_power_law`, `fit_law`, `collapse`, `fit_outliers`, `fit_gaps`, `fit_limits` or `fit_thresholds`, or a
        selection of its curves.

    Raises
    ------
    FitError
        If it is no fit.

    Examples
    --------
    >>> from spikecube.scaling import fit_power_law
    >>> n = np.array([100.0, 200, 400, 800])
    >>> fit = fit_power_law(xr.DataArray(3 * n**-0.5, dims="n", coords={"n": n}), stderr=0.01)
    >>> show(fit).header
    ['param', 'estimate', '95% interval', 'p of fit', 'status']
    """
    if not isinstance(fit, xr.Dataset) or not set(fit.data_vars) >= _NEEDED or "param" not in fit.dims:
        kind = f"{type(fit).__module__}.{type(fit).__qualname__}"
        raise FitError(f"show: given {kind}; allowed: a fit with all its parameters, an xarray.Dataset of fit_law say")
    known = [str(name) for name in fit["param"].values if np.isfinite(fit["expected"].sel(param=name)).any()]
    named = known or [str(name) for name in fit["param"].values]
    table = DataFit("", "", fit, tuple(named))
    header, rows = _table(fit, table)
    verdict = _verdict(fit, named) if known else table.verdict()
    return FitTable(verdict, header, rows[:_MOST_ROWS], max(len(rows) - _MOST_ROWS, 0))


def _table(fit: xr.Dataset, table: DataFit) -> tuple[list[str], list[list[str]]]:
    """The header, and a row for each estimate of a parameter that the verdict speaks of."""
    dims = [*map(str, fit["status"].dims), "param"]
    extra = {"theory": fit["expected"], "p of fit": fit["gof_pvalue"].broadcast_like(fit["estimate"])}
    values = {name: v.transpose(*dims).values.ravel() for name, v in extra.items()}
    kept = [name for name, column in values.items() if np.isfinite(column).any()]
    header, place, rows = table.header(), len(dims) + 2, []
    for i, row in enumerate(table.text()):
        if row[place - 3] in table.named and row[place - 2] != "-":
            added = [number(float(values[name][i])) if np.isfinite(values[name][i]) else "-" for name in kept]
            rows.append([*map(symbols.label, row[:place]), *added, *row[place:-1], row[-1].replace("_", " ")])
    return [*header[:place], *kept, *header[place:]], rows


def _verdict(fit: xr.Dataset, named: list[str]) -> str:
    """How many curves were fitted, how many hold the theory's value, and whether their laws hold."""
    solved = fit["status"].isin([STATUS[name] for name in SOLVED])
    numbers = ["estimate", "ci_low", "ci_high", "expected", "gof_pvalue"]
    counted = tally_fit(fit[numbers].sel(param=named).where(solved))
    text = f"{fit.attrs.get('law', 'law')}: {int(solved.sum())} of {solved.size} curves could be fitted"
    if not counted.compared + counted.silent:
        return f"{text}."
    return " ".join(filter(None, (f"{text}, and {held_text(counted)}. {rejection(counted)}.", fit.attrs.get("reason"))))
