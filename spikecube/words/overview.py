"""What a person wants to know of a cube first, as text: its axes, how complete it is, mean losses and outliers."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.cuts import as_cube, is_prediction
from spikecube.cube.missing import lost_draws, missing_edges
from spikecube.cube.schema import DIMS, STATUS
from spikecube.means.controls import CONTROLS
from spikecube.means.places import LabelError, chosen, counted_points, further_axes
from spikecube.means.seeds import means
from spikecube.means.spikes import degrees
from spikecube.text import middle, text_table, with_error
from spikecube.words import captions

_COLUMNS = {
    "outlier_count": "outliers",
    "alignment": "along",
    "train_loss": "train",
    "test_loss": "test",
    "test_loss_init": "before",
}
_MOST = {"alpha": 6, "n": 4}  # labels of an axis in the table; two of any other
_MEASURED = ("rank", "degree", "ell", "bin")


def overview(cube: xr.Dataset | str | Path, lam: float | None = None, *, every: bool = False) -> str:
    """The whole text.

    Parameters
    ----------
    lam : the penalty of the means; the middle one by default.
    every : whether the means stand at every label, however many there are.

    Raises
    ------
    LabelError
        If the cube does not have this penalty, or no means along penalties.
    """
    cube = as_cube(cube)
    axes = text_table(["axis", "length", "values"], axis_rows(cube))
    goal = f"Seeds were added until {cube.attrs['until']}" if "until" in cube.attrs else ""
    parts = [str(cube.attrs.get("title", "")), axes, points_line(cube), lost_draws(cube), goal, missing_edges(cube)]
    has_means = {"alpha", "n"} <= set(cube.dims) and any(name in cube for name in _COLUMNS)
    if lam is not None and not (has_means and "lam" in cube.dims):
        raise LabelError(f"lam={lam:g} is not for this cube, which has no means at several penalties")
    if has_means:
        parts.append(means_table(cube, lam, every=every))
    return "\n\n".join(part for part in parts if part)


def cells_done(cube: xr.Dataset) -> tuple[int, int]:
    """Cells that are computed (or failed) at every alpha, and those that the study asks for.

    >>> cube = xr.Dataset({"status": (("alpha", "n", "seed"), [[[1, 0]], [[1, 4]]])})
    >>> cells_done(cube.assign(status=cube.status.where(cube.status < 4, STATUS["pending"])))
    (1, 2)
    """
    asked = (cube["status"] != STATUS["absent"]).any("alpha")
    pending = (cube["status"] == STATUS["pending"]).any("alpha")
    return int((asked & ~pending).sum()), int(asked.sum())


def means_table(cube: xr.Dataset, lam: float | None = None, *, every: bool = False) -> str:
    """Means at one penalty by n, alpha and the further axes, under a line that says what means they are."""
    if "lam" in cube.dims:
        lam = middle(cube["lam"].values) if lam is None else chosen(cube, "lam", lam)
    tables = {head: means(part, name) for head, name, part in _columns(cube, lam)}
    shown = {d: _places(cube, d, every) for d in (*further_axes(cube), "n", "alpha")}
    header, rows = mean_rows(cube, tables, shown)
    over = {row[-1] for row in rows}
    if len(over) < 2:
        header, rows = header[:-1], [row[:-1] for row in rows]
    there = [t.isel({d: v for d, v in shown.items() if d in t.dims}) for t in tables.values()]
    place = "" if lam is None else f" at lam = {lam:g}"
    brackets = any(bool((t["seeds"] > 1).any()) for t in there)
    note = f"{captions.means_text(*there)}{place}"
    note += ", standard errors of the last digits in brackets" if brackets else ""
    if is_prediction(cube):
        note = f"values of theory{place}"
    if any(head.startswith("along") for head in header):
        note += "; along k: squared cosine of the singular vector of spike k with its monomial"
    note += "; train, test, before: losses of F, test loss of F_0" if "before" in header else ""
    fewer = [f"{len(v)} of {cube.sizes[d]} labels of {d}" for d, v in shown.items() if len(v) < cube.sizes[d]]
    note += f"; {', '.join(fewer)}: --all shows every one" if fewer else ""
    return f"{textwrap.fill(note, 78)}\n{text_table(header, rows, labels=len(shown))}"


def _columns(cube: xr.Dataset, lam: float | None) -> Iterator[tuple[str, str, xr.Dataset]]:
    """Head, variable and what its means need of the cube, for each column; an alignment a spike."""
    for name in (v for v in _COLUMNS if v in cube):
        part = cube[[name, *(v for v in CONTROLS if v in cube)]]
        if "lam" in cube[name].dims:
            part = part.sel(lam=[lam])
        if name != "alignment":
            yield _COLUMNS[name], name, part
            continue
        for k in _spikes(cube):
            yield f"along {k}", name, part.sel(degree=[k])


def _spikes(cube: xr.Dataset) -> list[int]:
    """The measured degrees that carry a spike; none where the model is not known."""
    if "study" not in cube.attrs:
        return []
    return [k for k in degrees(cube) if k in cube["degree"].values]


def _places(cube: xr.Dataset, name: str, every: bool) -> np.ndarray:
    length, most = cube.sizes[name], cube.sizes[name] if every else _MOST.get(name, 2)
    return np.unique(np.linspace(0, length - 1, min(most, length)).round().astype(int))


def axis_rows(cube: xr.Dataset) -> list[list[str]]:
    """Name, length and first and last labels of every axis of the study; of seeds their number by size if it varies."""
    names = [d for d in (*DIMS, *(str(d) for d in cube.dims if d not in DIMS)) if d in cube.dims and d not in _MEASURED]
    by_size = _seeds_by_size(cube) if {"n", "seed"} <= set(names) else ""
    shown = {name: _some(cube[name].values) for name in names} | ({"seed": by_size} if by_size else {})
    return [[name, str(cube.sizes[name]), shown[name]] for name in names]


def _seeds_by_size(cube: xr.Dataset) -> str:
    """`5 at n = 20, 2 at n = 40`; an empty text where every size has all seeds."""
    if "status" not in cube or (asked := cube["status"] != STATUS["absent"]).all():
        return ""
    counts = asked.any([d for d in asked.dims if d not in ("n", "seed")]).sum("seed")
    return ", ".join(f"{m} at n = {n}" for n, m in zip(cube["n"].values.tolist(), counts.values.tolist(), strict=True))


def _some(labels: np.ndarray) -> str:
    shown = [f"{v:g}" if isinstance(v, float) else str(v) for v in labels.tolist()]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:4], "...", *shown[-2:]])


def points_line(cube: xr.Dataset) -> str:
    """`24 of 24 points ok`, and how many are in another state."""
    counts = counted_points(cube)
    if not counts:
        return ""
    others = "".join(f", {counts[name]} {name}" for name in ("pending", "failed", "nonfinite") if counts[name])
    return f"{counts['ok']} of {cube['status'].size - counts['absent']} points (alpha, n, seed) ok{others}"


def mean_rows(
    cube: xr.Dataset, tables: Mapping[str, xr.Dataset], shown: Mapping[str, np.ndarray]
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of means at the shown places; the last column is how many seeds a row rests on."""
    rows = []
    for places in itertools.product(*shown.values()):
        at = dict(zip(shown, places, strict=True))
        points = [t.isel({d: i for d, i in at.items() if d in t.dims}).squeeze() for t in tables.values()]
        seeds = max(int(p["seeds"]) for p in points)
        rows.append([*(_label(cube[d].values[i]) for d, i in at.items()), *map(_with_error, points), str(seeds)])
    return [*shown, *tables, "seeds"], rows


def _label(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _with_error(point: xr.Dataset) -> str:
    return with_error(float(point["mean"]), float(point["stderr"])) if np.isfinite(point["mean"]) else "-"
