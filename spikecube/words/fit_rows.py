"""The fit of a law to a cube as rows of a table, wide, narrow, or for machines."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from spikecube.scaling.results import SOLVED, STATUS
from spikecube.text import interval, with_error
from spikecube.words import symbols
from spikecube.words.verdicts import Tally, tally

STATUS_NAMES = {v: k for k, v in STATUS.items()}
_SILENT = ("no_data", "not_applicable")

Row = dict[str, str | float | None]


@dataclass(frozen=True)
class FitReport:
    """The fit of one law: the whole result, one row for each curve, and what they mean.

    Attributes
    ----------
    law : outliers, gaps, limits, thresholds or collapse.
    dataset : the fit, or None where the cube is too small for one.
    rows : labels, estimate, interval, theory, z, p-value of the lack of fit, sizes used, seeds' worth, status.
    sentence : what the table says, or what the cube lacks.
    """

    law: str
    dataset: xr.Dataset | None
    rows: list[Row]
    sentence: str

    def headline(self) -> str:
        """One line: how many curves were fitted, how many intervals hold the theory's value, how many laws fail.

        >>> row = {"lam": 1.0, "low": 0.0, "high": 1.0, "theory": 0.5, "p_fit": 0.3, "status": "ok"}
        >>> FitReport("gaps", None, [row, row | {"theory": 2.0}], "").headline()
        '2 of 2 fitted; 1 of 2 intervals hold theory; no law rejected'
        """
        kept = rows_of_note(self.rows)
        solved = [row for row in kept if row["status"] in SOLVED]
        if not solved:
            return f"none of {len(kept)} fitted" if kept else "no fit"
        found = tally_of(solved)
        failed = f"{found.rejected or 'no'} {'law' if found.rejected < 2 else 'laws'} rejected"
        parts = [f"{len(solved)} of {len(kept)} fitted"]
        parts += [f"{found.held} of {found.compared} intervals hold theory"] * bool(found.compared)
        return "; ".join([*parts, failed if found.tested else "no test of fit"])

    def essential(self) -> tuple[FitReport, str]:
        """Its rows at one penalty, the middle one, and all that contradict theory or law; and a line on the others.

        A row contradicts where its interval leaves out the theory's value or its law is rejected or doubted.
        """
        lams = sorted({lam for row in self.rows if isinstance(lam := row.get("lam"), float)})
        if len(lams) < 2:
            return self, ""
        middle = lams[len(lams) // 2]
        kept = [row for row in self.rows if row["lam"] == middle or _contradicts(row)]
        left = len(rows_of_note([row for row in self.rows if row not in kept]))
        line = f"Rows at lam = {middle:g} and those that contradict theory or law; {left} more with --all."
        return (replace(self, rows=kept), line) if left else (self, "")

    def header(self) -> list[str]:
        """The columns of the table."""
        return list(self.rows[0]) if self.rows else []

    def text(self) -> list[list[str]]:
        """The rows as text, numbers with four significant digits; curves that no law speaks of are left out."""
        return [[shown(v) for v in row.values()] for row in rows_of_note(self.rows)]

    def narrow(self, width: int) -> tuple[list[str], list[list[str]]]:
        """The columns of the table that matter most and fit into `width`, and their rows as text.

        Labels that are the same in all rows are left out; columns, then all but the first word of labels, then digits
        give way, and the theory's value last.
        """
        kept = rows_of_note(self.rows)
        labels = [c for c in self.header() if c not in _COLUMNS and len({str(row[c]) for row in self.rows}) > 1]
        for digits, without, brief in _WAYS:
            named = {c: _first_words([symbols.label(shown(row[c])) for row in kept], brief) for c in labels}
            table = [{c: named[c][i] for c in labels} | _essence(row, digits, brief) for i, row in enumerate(kept)]
            columns = [*labels, *(c for c in _ESSENCE if c not in without and any(r[c] != "-" for r in table))]
            if sum(2 + max([len(c), *(len(row[c]) for row in table)]) for c in columns) <= width:
                break
        return columns, [[row[c] for c in columns] for row in table]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers that are not finite become null."""
        rows = [{k: json_cell(v) for k, v in row.items()} for row in self.rows]
        return {"law": self.law, "sentence": self.sentence, "rows": rows}


_ESSENCE = ("estimate", "interval", "theory", "p_fit", "sizes", "status")
_COLUMNS = {*_ESSENCE, "low", "high", "z", "p", "p_holm", "n_min", "worth", "points"}


_LEAST = ("sizes", "p_fit", "theory")
_WAYS: tuple[tuple[int, tuple[str, ...], bool], ...] = (
    *((0, (), False), (0, _LEAST[:1], False), (0, _LEAST[:2], False), (0, _LEAST[:2], True)),
    *((3, _LEAST[:2], True), (2, _LEAST[:2], True), (0, _LEAST, True), (2, _LEAST, True)),
)
"""Digits, 0 for those that the error has; columns that are left out; whether labels are their first words."""


def _first_words(labels: list[str], brief: bool) -> list[str]:
    """The labels of a column by their first words, where these tell them apart.

    >>> _first_words(["training", "test_loss"], True), _first_words(["k_a", "k_b"], True)
    (['train', 'test'], ['k_a', 'k_b'])
    """
    first = [label if " " in label else label.partition("_")[0].removesuffix("ing") for label in labels]
    return first if brief and len(set(first)) == len(set(labels)) else labels


def _essence(row: Row, digits: int, brief: bool) -> dict[str, str]:
    status = str(row.get("status"))
    short = {name: shown(row.get(name), digits or 4) for name in ("theory", "p_fit", "sizes")}
    short["status"] = "open" if brief and status == "open_interval" else status.replace("_", " ")
    value, low, high = (number_of(row.get(name)) for name in ("estimate", "low", "high"))
    if not digits and high - low < np.inf:
        half = (high - low) / _WIDTHS
        ends = interval(value, half, low, high)
        return short | {"estimate": re.sub(r"\(.*\)", "", with_error(value, half)), "interval": ends}
    shown_ends = [shown(end, digits or 4) for end in (low, high)]
    both = "-" if shown_ends == ["-", "-"] else f"[{', '.join(shown_ends)}]"
    return short | {"estimate": shown(value, digits or 4), "interval": both}


_WIDTHS = 4.0  # standard errors in an interval, about


def rows_of_note(rows: list[Row]) -> list[Row]:
    """The rows of curves that a law speaks of: what a table shows, and what is counted."""
    return [row for row in rows if row["status"] not in _SILENT]


def _contradicts(row: Row) -> bool:
    low, high, theory = (number_of(row.get(c)) for c in ("low", "high", "theory"))
    return row["status"] in ("rejected", "doubted") or theory < low or theory > high


def tally_of(rows: list[Row]) -> Tally:
    """The intervals of some rows, counted."""
    return tally(*([number_of(row.get(c)) for row in rows] for c in ("low", "high", "theory", "p_fit")))


def number_of(value: str | float | None) -> float:
    """A cell as a number, NaN where it has none."""
    return float(value) if isinstance(value, float | int) else float("nan")


def json_cell(value: str | float | None) -> str | float | None:
    """A cell for JSON: nothing for a number that is not finite."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def shown(value: str | float | None, digits: int = 4) -> str:
    """A cell as text, a dash for what is not there."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "-"
    return value if isinstance(value, str) else f"{value:.{digits}g}"


def rows_of(fit: xr.Dataset, param: str) -> list[Row]:
    """One row for each curve."""
    chosen, rows = fit.sel(param=param), []
    dims = [str(d) for d in fit["status"].dims]
    for place in np.ndindex(*(fit.sizes[d] for d in dims)):
        at = dict(zip(dims, place, strict=True))
        one = chosen.isel(at)
        labels: Row = {d: _label(fit[d].values[i]) for d, i in at.items()}
        rows.append(labels | numbers_of(one) | {"status": STATUS_NAMES[int(one["status"])]})
    return rows


def _label(value: Any) -> str | float:
    return str(value) if isinstance(value, str) else float(value)


_NUMBERS = {
    "estimate": "estimate", "low": "ci_low", "high": "ci_high", "theory": "expected", "z": "z", "p": "pvalue",
    "p_holm": "pvalue_holm", "p_fit": "gof_pvalue", "sizes": "nobs", "n_min": "n_min", "worth": "seeds_worth",
}  # fmt: skip


def numbers_of(one: xr.Dataset) -> Row:
    """The columns of one parameter of one curve."""
    return {column: float(one[name]) for column, name in _NUMBERS.items() if name in one}


def with_all_columns(rows: list[Row]) -> list[Row]:
    """The same columns in every row, those of the longest; nothing where a row has none."""
    columns = max(rows, key=len, default={})
    return [{name: row.get(name) for name in columns} for row in rows]
