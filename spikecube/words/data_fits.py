"""A fit of anybody's data as a verdict, a table, and a table for a paper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube.scaling.any_law import LAWS, SURFACES, fit_law, fit_power_law
from spikecube.scaling.collapse import collapse
from spikecube.scaling.errors import FitError
from spikecube.scaling.tables import read_data
from spikecube.text import interval, with_error
from spikecube.words.fit_rows import STATUS_NAMES, json_cell

COLLAPSE = "collapse"
DATA_LAWS = (*(name.replace("_", "-") for name in LAWS), COLLAPSE)
_TOLD = {"log": ("amplitude",)} | dict.fromkeys(SURFACES, ("exponent_N", "exponent_D"))  # else the exponent
_NUMBERS = ("estimate", "stderr", "ci_low", "ci_high")
_DERIVED = ("derived_estimate", "derived_stderr", "derived_low", "derived_high")
_OPTIONS = {"correction": ("power", COLLAPSE)} | dict.fromkeys(("window", "curved", "fixed"), (COLLAPSE,))


@dataclass(frozen=True)
class DataFit:
    """The fit of one law to a file of data.

    Attributes
    ----------
    law, value : what was fitted to what.
    dataset : the fit.
    named : the parameters that the verdict speaks of.
    note : how the rows were taken, where that may surprise.
    """

    law: str
    value: str
    dataset: xr.Dataset
    named: tuple[str, ...]
    note: str = ""

    @property
    def solved(self) -> bool:
        """Whether any curve has an estimate."""
        return bool(self.dataset["estimate"].notnull().any())

    def verdict(self) -> str:
        """What was found, curve by curve, and what to think of it."""
        lines, dims = [], self._dims()
        for labels, one in self._curves():
            place, numbers = ", ".join(map(" = ".join, zip(dims, labels, strict=True))), _numbers(one)
            named = [name for name in self.named if not np.isnan(numbers[name][2])]
            found = [" ".join([f"{name} =", *_cells(numbers[name])]) for name in named]
            words = f"{', '.join(found)} (95 per cent). " if found else ""
            lines.append(f"{place}{': ' if place else ''}{words}{one['message'].item()}")
        return "\n".join([*lines, self.note] if self.note else lines)

    def header(self) -> list[str]:
        """The columns of the table."""
        return [*map(str, self.dataset["status"].dims), "param", "estimate", "95% interval", "status"]

    def text(self) -> list[list[str]]:
        """One row for each parameter of each curve."""
        rows = []
        for labels, one in self._curves():
            status = STATUS_NAMES[int(one["status"])]
            rows += [[*labels, name, *_cells(four), status] for name, four in _numbers(one).items()]
        return rows

    def latex(self) -> str:
        """The table for a paper, with the verdict as a comment."""
        rows = [
            " & ".join(
                [*(_escaped(cell) for cell in row[:-4]), _symbol(row[-4]), f"${_tex(row[-3])}$", f"${_tex(row[-2])}$"]
            )
            + r" \\"
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
                name: {key: json_cell(number) for key, number in zip(_NUMBERS, four, strict=True)}
                for name, four in _numbers(one).items()
            }
            test = {"gof_pvalue": json_cell(float(one["gof_pvalue"])), "status": STATUS_NAMES[int(one["status"])]}
            found.append(labels | {"params": numbers} | test | {"message": one["message"].item()})
        return {"law": self.law, "formula": self.dataset.attrs["law"], "value": self.value, "curves": found}

    def _dims(self) -> list[str]:
        return [str(d) for d in self.dataset["status"].dims]

    def _curves(self) -> Iterator[tuple[list[str], xr.Dataset]]:
        """The fits one by one, with their labels."""
        dims = self._dims()
        for place in np.ndindex(*(self.dataset.sizes[d] for d in dims)):
            one = self.dataset.isel(dict(zip(dims, place, strict=True)))
            yield [self._label(one, d, i) for d, i in zip(dims, place, strict=True)], one

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
    options: Mapping[str, Any] | None = None,
) -> DataFit:
    """Fit one law to a table or a netCDF file.

    Parameters
    ----------
    law : one of `DATA_LAWS`.
    size : column or coordinate of the sizes; "N,D" for two sizes.
    value, control, stderr : columns or variables. A collapse needs a control; others are fitted at each.
    n_min, loss : see `fit_law`.
    options : `correction`, of `fit_power_law` or `collapse`; `window`, `curved` and `fixed` of `collapse`.

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
    form = dict(options or {})
    for option in form:
        if name not in _OPTIONS[option]:
            raise FitError(f"{option}= is for the law {' or '.join(_OPTIONS[option])}, not for {law}")
    data = read_data(path, pair, value, control=control, stderr=stderr)
    errors, note = None if stderr is None else data[stderr], _replicates(data[value], size)
    if name == COLLAPSE:
        fit = collapse(data[value], size=size, control=str(control), stderr=errors, **form)
        return DataFit(law, value, fit, tuple(fit["param"].values.tolist()), note)
    if form:
        fit = fit_power_law(data[value], size, stderr=errors, n_min=n_min, **form)
    else:
        fit = fit_law(data[value], name, pair, stderr=errors, n_min=n_min, loss=loss)
    return DataFit(law, value, fit, _TOLD.get(name, ("exponent",)), note)


def _replicates(data: xr.DataArray, size: str) -> str:
    """A sentence on values of one size that are taken for replicates."""
    if "seed" not in data.dims:
        return ""
    count = data.count("seed").to_numpy()
    least, most = int(count[count > 0].min()), int(count.max())
    each = f"{least}" if least == most else f"{least} to {most}"
    return f"Values of one {size} are replicates, {each} at each place: their scatter gives the errors."


def _numbers(one: xr.Dataset) -> dict[str, list[float]]:
    """Estimate, error and interval of each parameter of a curve, and of the powers of n that it derives from them."""
    names = {name: [float(one[key].sel(param=name)) for key in _NUMBERS] for name in one["param"].values.tolist()}
    if "derived_estimate" not in one:
        return names
    return names | {
        name: [float(one[key].sel(derived=name)) for key in _DERIVED] for name in one["derived"].values.tolist()
    }


def _cells(four: list[float]) -> tuple[str, str]:
    """The estimate with its standard error, and both ends with its decimals; a parameter that was held has none."""
    estimate, error, *ends = four
    if not np.isfinite(estimate):
        return "-", "-"
    if np.isnan(ends).any():
        return f"{estimate:.5g}", "-"
    if not np.isfinite(error):
        return f"{estimate:.5g}", f"[{ends[0]:.5g}, {ends[1]:.5g}]"
    return with_error(estimate, error), interval(estimate, error, *ends)


def _symbol(name: str) -> str:
    """A parameter in LaTeX: Greek letters as such.

    >>> print(_symbol("zeta/nu"), _symbol("log_amplitude"))
    $\\zeta/\\nu$ log\\_amplitude
    """
    greek = re.sub(r"(?<![a-z_])(nu|zeta)(?![a-z_])", r"\\\1", name)
    return _escaped(name) if greek == name else f"${greek}$"


def _escaped(text: str) -> str:
    for mark in ("_", "%", "&", "#", "$"):
        text = text.replace(mark, rf"\{mark}")
    return text


def _tex(text: str) -> str:
    powers = re.sub(r"e([-+]\d+)", lambda found: rf" \times 10^{{{int(found[1])}}}", text)
    return powers.replace("inf", r"\infty").replace("%", r"\%")
