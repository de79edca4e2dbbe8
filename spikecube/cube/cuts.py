"""Cubes that were cut, masked, transposed or reduced by ordinary xarray, back in the form of the schema."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube import schema
from spikecube.cube.store import PREDICTIONS, StoreError, open_cube
from spikecube.study.fields import StudyError
from spikecube.study.study import study_from
from spikecube.theory.staircase import spike_count

_KNOWN = {**schema.COORDINATES, **schema.VARIABLES, **schema.DERIVED, schema.SPECTRUM.name: schema.SPECTRUM}
_MASKED = {"outlier_count", "status"}  # what may be missing at a point that is ok, and what says so


def as_cube(cube: xr.Dataset | str | Path, *needed: str) -> xr.Dataset:
    """A cube in the form of the schema: every axis a dim with ascending labels, every variable over its own dims.

    An axis reduced to one label is one label long again; a variable that a mask or a join spread over further dims is
    what it was, and points that were masked are pending; dims stand in the order of the schema. A cube in that form
    is returned as it is.

    Parameters
    ----------
    cube : a cube, its file, or the name of a run whose cube is written.
    needed : axes and variables that must be there.

    Raises
    ------
    StoreError
        If it is no dataset, an axis has a label twice, a variable differs along a dim that it must not have, or
        something needed is missing.

    Examples
    --------
    >>> cube = xr.Dataset({"test_loss": (("lam", "n"), [[1.0, 2.0]])}, {"n": [200, 100], "lam": [0.1]})
    >>> as_cube(cube.isel(lam=0)).test_loss.dims, as_cube(cube).n.values.tolist()
    (('n', 'lam'), [100, 200])
    """
    found = _opened(cube)
    further = _further(found)
    axes = [*schema.DIMS, *further]
    found = _ascending(_expanded(found, axes), axes)
    cut = {name: _own_dims(found[name], further) for name in map(str, found.variables) if name not in found.dims}
    changed = {name: v for name, v in cut.items() if v is not found[name].variable}
    if changed:
        found = _marked(found.assign(changed))
    if "alpha" in found.coords and "ell_alpha" not in found.coords:
        found = found.assign_coords(ell_alpha=("alpha", [spike_count(float(a)) for a in found["alpha"].values]))
    require(found, needed)
    return found


def require(cube: xr.Dataset, needed: Iterable[str]) -> None:
    """Sees that axes and variables are there; a StoreError names what is missing."""
    needed = tuple(needed)
    axes = [name for name in needed if name in schema.DIMS and (name not in cube.dims or name not in cube.coords)]
    empty = [name for name in cube.dims if not cube.sizes[name]]
    names = [name for name in needed if name not in (*schema.DIMS, "study") and name not in cube]
    if "study" in needed and not isinstance(cube.attrs.get("study"), str):
        raise StoreError("the cube has no attribute 'study': arithmetic with keep_attrs=False drops it")
    if "seed" in axes:
        refuse_prediction(cube)
    if axes:
        raise StoreError(f"the cube has no axis {', '.join(axes)}: it was averaged over or cut without its label")
    if empty:
        raise StoreError(f"the cube is empty: its axis {empty[0]} has no label")
    if names:
        raise StoreError(f"the cube has no {', '.join(names)}, which this needs")


def is_prediction(cube: xr.Dataset) -> bool:
    """Whether a dataset is one of `predict`, which has the names of a cube."""
    return "seed" not in cube.dims and cube.attrs.get("comment") == PREDICTIONS


def refuse_prediction(cube: xr.Dataset) -> None:
    """Refuses a prediction where a cube is needed, by a StoreError."""
    if is_prediction(cube):
        raise StoreError("given a prediction, which has no seeds; allowed: a cube of measurements, as run writes it")


def _opened(cube: Any) -> xr.Dataset:
    if isinstance(cube, xr.Dataset):
        return cube
    if isinstance(cube, str | Path):
        path = Path(cube)
        stem = path.name.removesuffix(".run").removesuffix(".nc")
        return open_cube(path if path.is_file() else path.with_name(f"{stem}.nc"))
    raise StoreError(
        f"given {type(cube).__module__}.{type(cube).__qualname__}; allowed: a cube (an xarray.Dataset of run or "
        "open_cube) or the name of its file"
    )


def _further(cube: xr.Dataset) -> list[str]:
    """The further axes, from the study and from what is there."""
    try:
        named = tuple(study_from(str(cube.attrs.get("study", ""))).further)
    except StudyError:
        named = ()
    there = [str(d) for d in cube.dims if d not in schema.DIMS and d not in named]
    return [name for name in named if name in cube.coords] + [name for name in there if name in cube.coords]


def _expanded(cube: xr.Dataset, axes: list[str]) -> xr.Dataset:
    """Axes that were reduced to one label are dims again, of the variables that the schema says."""
    for name in axes:
        if name in cube.coords and cube[name].ndim == 0:
            over = [str(v) for v in cube.variables if v != name and _has_dim(str(v), name)]
            wide = {v: _along(name, cube[v]) for v in over}
            cube = cube.drop_vars(name).assign_coords({name: _along(name, cube[name])}).assign(wide)
    return cube


def _along(name: str, data: xr.DataArray) -> xr.Variable:
    return xr.Variable((name, *data.dims), data.values[None], data.attrs)


def _has_dim(variable: str, dim: str) -> bool:
    known = _KNOWN.get(variable)
    if known is None:
        return False
    return dim in known.dims if dim in schema.DIMS else variable not in schema.COORDINATES


def _ascending(cube: xr.Dataset, axes: list[str]) -> xr.Dataset:
    for name in axes:
        if name not in cube.dims or name not in cube.coords:
            continue
        labels = cube[name].values
        if len(set(labels.tolist())) < len(labels):
            raise StoreError(f"the axis {name} of the cube has a label twice")
        if labels.dtype.kind in "iuf" and np.any(np.diff(labels) <= 0):
            cube = cube.sortby(name)
    return cube


def _own_dims(data: xr.DataArray, further: list[str]) -> xr.Variable:
    """A variable over the dims of the schema and in their order, in its type; the very same one where it is so."""
    name, variable = str(data.name), data.variable
    known = _KNOWN.get(name)
    if known is None:
        return variable
    may_vary = further if name not in schema.COORDINATES or name in _RATIOS else []
    extra = [d for d in data.dims if d not in known.dims and d not in may_vary]
    if extra:
        variable = _collapsed(data, extra)
    order = [d for d in (*known.dims, *further) if d in variable.dims]
    if tuple(order) != variable.dims:
        variable = variable.transpose(*order)
    if name == "status" and variable.dtype.kind == "f":
        variable = variable.copy(data=np.nan_to_num(variable.values, nan=schema.STATUS["pending"]))
    whole = np.dtype(known.dtype).kind == "i" and variable.dtype.kind == "f"
    return variable.astype(known.dtype) if whole and bool(variable.notnull().all()) else variable


_RATIOS = ("dim", "width", "eta")  # coordinates that follow a further axis of theirs


def _collapsed(data: xr.DataArray, extra: list[Any]) -> xr.Variable:
    """The one value that a variable has along dims that are not its own, wherever it has one there."""
    low, high = data.min(extra).variable, data.max(extra).variable
    if not bool(((low == high) | low.isnull()).all()):
        raise StoreError(
            f"{data.name} of the cube differs along {', '.join(map(str, extra))}, which it cannot depend on"
        )
    return xr.Variable(high.dims, high.values, data.attrs)


def _marked(cube: xr.Dataset) -> xr.Dataset:
    """Points that lack a measured value without saying so were masked: they are pending."""
    if "status" not in cube or "seed" not in cube["status"].dims:
        return cube
    status = cube.variables["status"]
    lost = xr.Variable(status.dims, np.zeros(status.shape, dtype=bool))
    for name in (*schema.VARIABLES, schema.SPECTRUM.name):
        if name in cube and name not in _MASKED:
            gap = cube.variables[name].isnull()
            lost = lost | gap.any([d for d in gap.dims if d not in status.dims])
    masked = lost.transpose(*status.dims) & (status == schema.STATUS["ok"])
    marked = np.where(masked, schema.STATUS["pending"], status).astype(status.dtype)
    return cube.assign(status=status.copy(data=marked))
