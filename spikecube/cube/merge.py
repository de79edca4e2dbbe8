"""Joins cubes of one model that differ in seeds, sizes, alphas, penalties or further axes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube import schema
from spikecube.cube.assemble import CellResult, assemble, measured_variables, variable_dims
from spikecube.cube.cuts import as_cube
from spikecube.cube.schema import STATUS
from spikecube.cube.settings import setting_changes, study_settings
from spikecube.cube.store import StoreError
from spikecube.study.fields import StudyError, axis_label
from spikecube.study.study import Study, study_from

_NUMBERS = ("alpha", "n", "lam")
_WITHIN = ("rank", "degree", "ell", "bin")  # axes within a cell: a part of one is no result of it
_JOINED = ("computed_with", "git_commit", "library_versions")  # texts that may differ: all of them are kept


def merge(cubes: Sequence[xr.Dataset | str | Path], *, force: bool = False) -> xr.Dataset:
    """One cube over the union of the axes; points that no cube has are pending.

    Parameters
    ----------
    cubes : cubes, or their files, of the same model (up to the fields that are axes), measures, entropy and code.
    force : join them although code or entropy differ, and record it in the attribute `merge_forced`.

    Raises
    ------
    StoreError
        When the cubes are of different models, measures, entropy or code, or differ at a point that both have.
    """
    given = [cubes] if isinstance(cubes, xr.Dataset | str | Path) else list(cubes)
    if not given:
        raise StoreError("merge: given no cube; allowed: one or more")
    opened = [as_cube(cube, "study") for cube in given]
    studies = [study_inside(cube) for cube in opened]
    forced = _differences(opened, studies, force)
    study = _union(studies)
    merged = assemble(study, _relabelled(opened, studies, tuple(study.further)))
    if not forced:
        for cube, own in zip(opened, studies, strict=True):
            _refuse_conflict(cube, merged.sel(_fixed(own, study.further)))
    attrs = {k: v for k, v in opened[0].attrs.items() if k not in merged.attrs}
    for name in _JOINED:
        texts = {part for cube in opened for part in str(cube.attrs.get(name, "")).split("; ") if part}
        attrs |= {name: "; ".join(sorted(texts))} if texts else {}
    return merged.assign_attrs(attrs | ({"merge_forced": "; ".join(forced)} if forced else {}))


def study_inside(cube: xr.Dataset) -> Study:
    """The study that a cube carries in its attributes; a StoreError if none can be read."""
    try:
        return study_from(str(cube.attrs.get("study", "")))
    except StudyError as error:
        raise StoreError(f"the cube carries no study that can be read: {error.problems[0]}") from error


def results(cube: xr.Dataset, study: Study) -> Iterator[CellResult]:
    """The cells of a cube, or of a part of it, each over the alphas at which it was computed.

    A StoreError says when a variable is missing or has other dims than its study gives it.
    """
    further = tuple(study.further)
    arrays = {v.name: (v.cell_dims, _array(cube, v, study)) for v in measured_variables(study)}
    alphas, lams = (tuple(cube[name].values.tolist()) for name in ("alpha", "lam"))
    places = [{label: i for i, label in enumerate(cube[d].values.tolist())} for d in ("n", "seed", *further)]
    done = np.isin(arrays["status"][1], (STATUS["ok"], STATUS["nonfinite"]))
    for cell in study.cells():
        labels = (cell.n, cell.seed, *(label for _, label in cell.further))
        if not all(label in index for index, label in zip(places, labels, strict=True)):
            continue
        place = tuple(index[label] for index, label in zip(places, labels, strict=True))
        there = done[place]
        if there.any():
            values = {
                name: array[place].compress(there, axis=dims.index("alpha")) if "alpha" in dims else array[place]
                for name, (dims, array) in arrays.items()
            }
            yield CellResult(cell, tuple(np.compress(there, alphas).tolist()), lams, values)


def _array(cube: xr.Dataset, variable: schema.Variable, study: Study) -> np.ndarray:
    """The values of a variable, those of a cell in its last axes."""
    dims = variable_dims(variable, study)
    if variable.name not in cube or set(cube[variable.name].dims) != set(dims) or not set(dims) <= {*cube.coords}:
        raise StoreError(f"the cube has no {variable.name} over {', '.join(dims)}, as its study says")
    for dim in variable.dims:
        if dim in _WITHIN and cube.sizes[dim] != study.shape[dim]:
            raise StoreError(
                f"the cube has {cube.sizes[dim]} of the {study.shape[dim]} labels along {dim} of its study"
            )
    return cube[variable.name].transpose("n", "seed", *study.further, *variable.cell_dims).values


def _relabelled(cubes: Sequence[xr.Dataset], studies: Sequence[Study], names: Sequence[str]) -> Iterator[CellResult]:
    """The cells of all cubes, with a label along every further axis that one of them has."""
    for cube, study in zip(cubes, studies, strict=True):
        fixed = _fixed(study, names)
        for result in results(cube, study):
            labels = fixed | dict(result.cell.further)
            further = tuple((name, labels[name]) for name in names)
            yield replace(result, cell=result.cell._replace(further=further))


def _fixed(study: Study, names: Iterable[str]) -> dict[str, float | str]:
    """Labels along further axes of other studies: values of this one's model."""
    return {name: axis_label(getattr(study.model, name)) for name in names if name not in study.further}


def _differences(cubes: Sequence[xr.Dataset], studies: Sequence[Study], force: bool) -> list[str]:
    """Differences in code or entropy, which `force` allows, in words; others are refused."""
    made = [
        {"code_sha256": cube.attrs.get("code_sha256"), "package": cube.attrs.get("source", "unknown")} for cube in cubes
    ]
    first, *others = [own | study_settings(study) for own, study in zip(made, studies, strict=True)]
    changes = {change: None for other in others for change in setting_changes(first, other)}
    allowed = [c.text for c in changes if c.kind in ("code", "entropy")]
    refused = [c.text for c in changes if c.kind not in ("code", "entropy")]
    if refused:
        raise StoreError(f"merge: the cubes are of different studies ({'; '.join(refused)})")
    if allowed and not force:
        raise StoreError(f"merge: the cubes differ ({'; '.join(allowed)}); --force joins them and records it")
    return allowed


def _union(studies: Sequence[Study]) -> Study:
    """The study over all axes of some studies; numbers ascend, text keeps the order in which it comes."""
    axes: dict[str, Any] = {name: sorted({v for s in studies for v in getattr(s.axes, name)}) for name in _NUMBERS}
    for name in {name: None for s in studies for name in s.further}:
        values = {v: None for s in studies for v in (s.further.get(name) or (getattr(s.model, name),))}
        axes[name] = sorted(values) if all(isinstance(v, int | float) for v in values) else list(values)
    axes["seed"] = _union_of_seeds(studies, axes["n"])
    first = studies[0]
    model = {k: v for k, v in asdict(first.model).items() if k not in axes}
    return Study(title=first.title, model=model, axes=axes, measure=first.measure, random=first.random)


def _union_of_seeds(studies: Sequence[Study], sizes: Sequence[int]) -> Any:
    """Counts by size where a study has them and each size has its first so many seeds; else all seeds of all sizes."""
    seeds = {n: {seed for s in studies if n in s.axes.n for seed in s.axes.seeds(n)} for n in sizes}
    if any(s.axes.counts for s in studies) and all(len(found) == max(found) + 1 for found in seeds.values()):
        return {n: len(found) for n, found in seeds.items()}
    return sorted(set().union(*seeds.values()))


def _refuse_conflict(cube: xr.Dataset, merged: xr.Dataset) -> None:
    """A cube must find its own values in the merged one, bit for bit."""
    found = merged.sel({d: cube[d].values for d in (*cube["status"].dims, "lam")})
    for name in schema.VARIABLES:
        if name in cube and name != "status":
            mine = cube[name].transpose(*found[name].dims).values
            if not np.all((mine == found[name].values) | np.isnan(mine)):
                raise StoreError(f"merge: the cubes have different values of {name} at a point that both have")
