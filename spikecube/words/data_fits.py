"""A fit of anybody's data as a verdict, a table, and a table for a paper."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube.scaling.any_law import LAWS, SURFACES, fit_law
from spikecube.scaling.collapse import collapse
from spikecube.scaling.errors import FitError
from spikecube.scaling.results import STATUS
from spikecube.scaling.tables import read_data
from spikecube.text import with_error

COLLAPSE = "collapse"
DATA_LAWS = (*(name.replace("_", "-") for name in LAWS), COLLAPSE)
_TOLD = {"log": ("amplitude",)} | dict.fromkeys(SURFACES, ("exponent_N", "exponent_D"))  # else the exponent
_NUMBERS = ("estimate", "stderr", "ci_low", "ci_high")
_NAMES = {v: k for k, v in STATUS.items()}


@dataclass(frozen=True)
class DataFit:
    """The fit of one law to a file of data.

    Attributes
    ----------
    law, value : what was fitted to what.
    dataset : the fit.
    told : the parameters that the verdict speaks of.
    """

    law: str
    value: str
    dataset: xr.Dataset
    told: tuple[str, ...]

    @property
    def solved(self) -> bool:
        """Whether any curve has an estimate."""
        return bool(self.dataset["estimate"].notnull().any())

    def verdict(self) -> str:
        """What was found, curve by curve, and what to think of it."""
        lines = []
        for label, one in self._curves():
            found = [f"{name} = {_value(one, name)} {_interval(one, name)}" for name in self.told if _known(one, name)]
            words = f"{', '.join(found)} (95 per cent). " if found else ""
            lines.append(f"{label}{words}{one['message'].item()}")
        return "\n".join(lines)

    def header(self) -> list[str]:
        """The columns of the table."""
        return [*map(str, self.dataset["status"].dims), "param", "estimate", "95% interval", "status"]

    def text(self) -> list[list[str]]:
        """One row for each parameter of each curve."""
        rows = []
        for place, one in self._placed():
            labels = [self._label(one, d, i) for d, i in zip(self._dims(), place, strict=True)]
            status = _NAMES[int(one["status"])]
            for name in one["param"].values.tolist():
                rows.append([*labels, name, _value(one, name), _interval(one, name), status])
        return rows

    def latex(self) -> str:
        """The table for a paper, with the verdict as a comment."""
        rows = [
            " & ".join([*(_escaped(cell) for cell in row[:-3]), f"${_tex(row[-3])}$", f"${_tex(row[-2])}$"]) + r" \\"
            for row in self.text()
        ]
        columns = "l" * (len(self.header()) - 3) + "rr"
        head = " & ".join([*(_escaped(name) for name in self.header()[:-3]), "estimate", r"95\,\% interval"]) + r" \\"
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\hline", head, r"\hline", *rows, r"\hline", r"\end{tabular}"]
        words = [f"% {line}" for line in self.verdict().splitlines()]
        return "\n".join([*words, *lines])

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers that are not finite become null."""
        found = []
        for _, one in self._curves():
            labels = {d: one[d].item() for d in self._dims()}
            numbers = {
                name: {
                    key: _plain(float(one[key].sel(param=name))) for key in ("estimate", "stderr", "ci_low", "ci_high")
                }
                for name in one["param"].values.tolist()
            }
            test = {"gof_pvalue": _plain(float(one["gof_pvalue"])), "status": _NAMES[int(one["status"])]}
            found.append(labels | {"params": numbers} | test | {"message": one["message"].item()})
        return {"law": self.law, "formula": self.dataset.attrs["law"], "value": self.value, "curves": found}

    def _dims(self) -> list[str]:
        return [str(d) for d in self.dataset["status"].dims]

    def _curves(self) -> Iterator[tuple[str, xr.Dataset]]:
        """The fits one by one, with the labels in words."""
        dims = self._dims()
        for place, one in self._placed():
            labels = ", ".join(f"{d} = {self._label(one, d, i)}" for d, i in zip(dims, place, strict=True))
            yield (f"{labels}: " if labels else ""), one

    def _placed(self) -> Iterator[tuple[tuple[int, ...], xr.Dataset]]:
        dims = self._dims()
        for place in np.ndindex(*(self.dataset.sizes[d] for d in dims)):
            yield place, self.dataset.isel(dict(zip(dims, place, strict=True)))

    def _label(self, one: xr.Dataset, dim: str, place: int) -> str:
        """The label of a curve along a dim, its place where the dim has none."""
        if dim not in one.coords:
            return str(place)
        label = one[dim].item()
        return label if isinstance(label, str) else f"{label:.6g}"


def fit_file(
    path: str | Path,
    law: str,
    *,
    size: str,
    value: str,
    control: str | None = None,
    stderr: str | None = None,
    n_min: float | str | None = None,
    loss: str = "squares",
) -> DataFit:
    """Fit one law to a table or a netCDF file.

    Parameters
    ----------
    law : one of `DATA_LAWS`.
    size : column or coordinate of the sizes; "N,D" for two sizes.
    value, control, stderr : columns or variables. A collapse needs a control; others are fitted at each.
    n_min, loss : see `fit_law`.

    Raises
    ------
    ValueError
        If the law or a column is not there, or the data do not admit the fit.
    """
    if law not in DATA_LAWS:
        raise FitError(f"law={law!r} is not one of {', '.join(DATA_LAWS)}, the laws for any data")
    name = law.replace("-", "_")
    names = tuple(part.strip() for part in size.split(","))
    pair = (names[0], names[1]) if name in SURFACES and len(names) == 2 else size
    if name in SURFACES and isinstance(pair, str):
        raise FitError(f"size={size!r}: the law {law} needs two, say N,D")
    if name == COLLAPSE and control is None:
        raise FitError("a collapse needs a control: name its column")
    if name == COLLAPSE and n_min is not None:
        raise FitError(f"n_min={n_min!r}: a collapse has no smallest size; leave the rows out")
    if name == COLLAPSE and loss != "squares":
        raise FitError(f"loss={loss!r} is for laws of two sizes, not for a collapse")
    data = read_data(path, pair, value, control=control, stderr=stderr)
    errors = None if stderr is None else data[stderr]
    if name == COLLAPSE:
        fit = collapse(data[value], size=size, control=str(control), stderr=errors)
        return DataFit(law, value, fit, tuple(fit["param"].values.tolist()))
    fit = fit_law(data[value], name, pair, stderr=errors, n_min=n_min, loss=loss)
    return DataFit(law, value, fit, _TOLD.get(name, ("exponent",)))


def _known(one: xr.Dataset, name: str) -> bool:
    return bool(np.isfinite(one["estimate"].sel(param=name)))


def _value(one: xr.Dataset, name: str) -> str:
    """The estimate with its standard error."""
    if not _known(one, name):
        return "-"
    error = float(one["stderr"].sel(param=name))
    estimate = float(one["estimate"].sel(param=name))
    return with_error(estimate, error) if np.isfinite(error) else f"{estimate:.5g}"


def _interval(one: xr.Dataset, name: str) -> str:
    """Both ends, with the decimals of the standard error."""
    if not _known(one, name):
        return "-"
    error = float(one["stderr"].sel(param=name))
    decimals = max(0, 1 - math.floor(math.log10(error))) if 0 < error < np.inf else None
    ends = [float(one[end].sel(param=name)) for end in ("ci_low", "ci_high")]
    low, high = (f"{end:.5g}" if decimals is None else f"{end:.{decimals}f}" for end in ends)
    return f"[{low}, {high}]"


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _escaped(text: str) -> str:
    for mark in ("_", "%", "&", "#", "$"):
        text = text.replace(mark, rf"\{mark}")
    return text


def _tex(text: str) -> str:
    return text.replace("inf", r"\infty").replace("%", r"\%")
