"""What a person wants to know of a cube first, as text: its axes, how complete it is, mean losses and outliers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.cuts import as_cube
from spikecube.cube.missing import missing_edges
from spikecube.cube.schema import DIMS, STATUS
from spikecube.means.controls import CONTROLS
from spikecube.means.seeds import kind_of_means, means
from spikecube.text import middle, text_table, with_error

MISFIT = 0.05
"""The level of the lack-of-fit test."""

_COLUMNS = {
    "outlier_count": "outliers",
    "train_loss": "train_loss",
    "test_loss": "test_loss",
    "test_loss_init": "test_loss_init",
}
_MOST = {"alpha": 6, "n": 4}  # labels of an axis in the table; two of any other
_MEASURED = ("rank", "degree", "ell", "bin")


def overview(cube: xr.Dataset | str | Path) -> str:
    """The whole text."""
    cube = as_cube(cube)
    axes = text_table(["axis", "length", "values"], axis_rows(cube))
    parts = [str(cube.attrs.get("title", "")), axes, completeness(cube), missing_edges(cube)]
    if {"alpha", "n"} <= set(cube.dims) and any(name in cube for name in _COLUMNS):
        parts.append(mean_table(cube))
    return "\n\n".join(part for part in parts if part)


def mean_table(cube: xr.Dataset) -> str:
    """Means at the middle penalty by n, alpha and the further axes, under a line that says what means they are."""
    lam = middle(cube["lam"].values) if "lam" in cube.dims else None
    tables = {name: means(_at(cube, name, lam), name) for name in _COLUMNS if name in cube}
    header, rows, used = mean_rows(cube, tables)
    counts = sorted({int(row[-1]) for row in rows} - {0})
    over = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}" if counts else "0"
    if len(counts) < 2:
        header, rows = header[:-1], [row[:-1] for row in rows]
    place = "" if lam is None else f" at lam = {lam:g}"
    seeds = "seed" if over == "1" else "seeds"
    note = f"{kind_of_means(used)} over {over} {seeds}{place}, standard errors of the last digits in brackets"
    return f"{note}\n{text_table(header, rows)}"


def _at(cube: xr.Dataset, name: str, lam: float | None) -> xr.Dataset:
    """What the means of one variable need, at one penalty."""
    names = [name, *(v for v in CONTROLS if v in cube)]
    return cube[names].sel(lam=[lam]) if "lam" in cube[name].dims else cube[names]


def axis_rows(cube: xr.Dataset) -> list[list[str]]:
    """Name, length and first and last labels of every axis of the study."""
    names = [d for d in (*DIMS, *(str(d) for d in cube.dims if d not in DIMS)) if d in cube.dims and d not in _MEASURED]
    return [[name, str(cube.sizes[name]), _some(cube[name].values)] for name in names]


def _some(labels: np.ndarray) -> str:
    shown = [f"{v:g}" if isinstance(v, float) else str(v) for v in labels.tolist()]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:4], "...", *shown[-2:]])


def completeness(cube: xr.Dataset) -> str:
    """`24 of 24 points ok`, and how many are in another state."""
    if "status" not in cube:
        return ""
    status = cube["status"].values
    counts = {name: int((status == value).sum()) for name, value in STATUS.items()}
    others = "".join(f", {counts[name]} {name}" for name in ("pending", "failed", "nonfinite") if counts[name])
    return f"{counts['ok']} of {status.size - counts['absent']} points (alpha, n, seed) ok{others}"


def mean_rows(cube: xr.Dataset, tables: Mapping[str, xr.Dataset]) -> tuple[list[str], list[list[str]], set[int]]:
    """Header and rows of means over seeds, thinned to a screen, and the numbers of control variates behind them.

    The last column is how many seeds a row rests on.
    """
    further = [str(d) for d in cube.dims if d not in DIMS]
    axes = [*further, "n", "alpha"]
    rows, used = [], set()
    for labels in itertools.product(*(_thinned(cube[d].values, _MOST.get(d, 2)) for d in axes)):
        place = dict(zip(axes, labels, strict=True))
        points = [t.sel({d: v for d, v in place.items() if d in t.dims}).squeeze() for t in tables.values()]
        seeds = max(int(p["seeds"]) for p in points)
        used |= {int(p["controls"]) for p in points if p["seeds"] > 0}
        rows.append([*(_label(v) for v in labels), *map(_with_error, points), str(seeds)])
    return [*axes, *(_COLUMNS[name] for name in tables), "seeds"], rows, used


def _label(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _with_error(point: xr.Dataset) -> str:
    return with_error(float(point["mean"]), float(point["stderr"])) if np.isfinite(point["mean"]) else "-"


def _thinned(labels: np.ndarray, most: int) -> list[Any]:
    places = np.unique(np.linspace(0, len(labels) - 1, min(most, len(labels))).round().astype(int))
    return list(labels[places].tolist())
