"""Joins cubes of one model that differ in seeds, sizes, alphas, penalties or further axes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube import schema
from spikecube.cube.assemble import CellResult, assemble, measured_variables
from spikecube.cube.runfolder import setting_changes
from spikecube.cube.schema import STATUS
from spikecube.cube.sections import StudyError
from spikecube.cube.store import StoreError
from spikecube.cube.study import Study

_AXES = ("alpha", "n", "seed", "lam")
_JOINED = ("computed_with", "git_commit", "library_versions")  # texts that may differ: all of them are kept


def merge(cubes: Sequence[xr.Dataset], *, force: bool = False) -> xr.Dataset:
    """One cube over the union of the axes; points that no cube has are pending.

    Parameters
    ----------
    cubes : cubes of the same model (up to the fields that are axes), measures, entropy and code.
    force : join them although code or entropy differ, and record it in the attribute `merge_forced`.

    Raises
    ------
    StoreError
        When the cubes are of different models, measures, entropy or code, or differ at a point that both have.
    """
    if not cubes:
        raise StoreError("merge: given no cube; allowed: one or more")
    studies = [study_of(cube) for cube in cubes]
    forced = _differences(cubes, studies, force)
    study = _union(studies)
    merged = assemble(study, (result for cube, s in zip(cubes, studies, strict=True) for result in results(cube, s)))
    if not forced:
        _refuse_conflicts(cubes, merged)
    attrs = {k: v for k, v in cubes[0].attrs.items() if k not in merged.attrs}
    for name in _JOINED:
        texts = {part for cube in cubes for part in str(cube.attrs.get(name, "")).split("; ") if part}
        attrs |= {name: "; ".join(sorted(texts))} if texts else {}
    return merged.assign_attrs(attrs | ({"merge_forced": "; ".join(forced)} if forced else {}))


def study_of(cube: xr.Dataset) -> Study:
    """The study that a cube carries in its attributes.

    Raises
    ------
    StoreError
        When it carries none that can be read.
    """
    try:
        return Study.from_toml(str(cube.attrs.get("study", "")))
    except StudyError as error:
        raise StoreError(f"the cube carries no study that can be read: {error.problems[0]}") from error


def results(cube: xr.Dataset, study: Study) -> Iterator[CellResult]:
    """The cells of a cube, each over the alphas at which it was computed."""
    names = [v.name for v in measured_variables(study) if v.name in cube]
    dims = {name: schema.measured(name).cell_dims for name in names}
    done = np.isin(cube["status"].transpose("alpha", ...), (STATUS["ok"], STATUS["nonfinite"]))
    arrays = {name: cube[name].transpose("n", "seed", *study.further, *dims[name]).values for name in names}
    places = {
        "n": {v: i for i, v in enumerate(study.axes.n)},
        "seed": {v: i for i, v in enumerate(study.axes.seed)},
        **{name: {v: i for i, v in enumerate(study.labels(name))} for name in study.further},
    }
    status_dims = ("alpha", "n", "seed", *study.further)
    done = np.isin(cube["status"].transpose(*status_dims).values, (STATUS["ok"], STATUS["nonfinite"]))
    for cell in study.cells():
        place = (places["n"][cell.n], places["seed"][cell.seed], *(places[k][v] for k, v in cell.further))
        there = done[(slice(None), *place)]
        if there.any():
            values = {k: a[place] for k, a in arrays.items()}
            values = {
                k: a.compress(there, axis=dims[k].index("alpha")) if "alpha" in dims[k] else a
                for k, a in values.items()
            }
            alphas = tuple(np.compress(there, study.axes.alpha).tolist())
            yield CellResult(cell, alphas, study.axes.lam, values)


def settings(cube: xr.Dataset, study: Study) -> dict[str, Any]:
    """What two cubes must share to be joined, in the form of a manifest."""
    return {
        "code_sha256": cube.attrs.get("code_sha256"),
        "package": cube.attrs.get("source", "unknown"),
        "model": study.model.model_dump(mode="json"),
        "further": list(study.further),
        "measure": study.measure.model_dump(mode="json"),
        "entropy": study.random.entropy,
    }


def _differences(cubes: Sequence[xr.Dataset], studies: Sequence[Study], force: bool) -> list[str]:
    """Differences in code or entropy, which `force` allows; others are refused."""
    first, *others = [settings(cube, study) for cube, study in zip(cubes, studies, strict=True)]
    changes = {change: None for other in others for change in setting_changes(first, other)}
    allowed = [c for c in changes if c.startswith(("its code", "random.entropy"))]
    refused = [c for c in changes if c not in allowed]
    if refused:
        raise StoreError(f"merge: the cubes are of different studies ({'; '.join(refused)})")
    if allowed and not force:
        raise StoreError(f"merge: the cubes differ ({'; '.join(allowed)}); --force joins them and records it")
    return allowed


def _union(studies: Sequence[Study]) -> Study:
    """The study over all axes of some studies; numbers ascend, text keeps the order in which it comes."""
    axes: dict[str, Any] = {name: sorted({v for s in studies for v in getattr(s.axes, name)}) for name in _AXES}
    for name in {name: None for s in studies for name in s.further}:
        values = {v: None for s in studies for v in (s.further.get(name) or (getattr(s.model, name),))}
        axes[name] = sorted(values) if all(isinstance(v, int | float) for v in values) else list(values)
    first = studies[0]
    model = {k: v for k, v in first.model.model_dump().items() if k not in axes}
    return Study(title=first.title, model=model, axes=axes, measure=first.measure, random=first.random)


def _refuse_conflicts(cubes: Iterable[xr.Dataset], merged: xr.Dataset) -> None:
    """Every cube must find its own values in the merged one, bit for bit."""
    for cube in cubes:
        found = merged.sel({d: cube[d].values for d in cube["status"].dims}).sel(lam=cube["lam"].values)
        ok = cube["status"] == STATUS["ok"]
        for name in schema.VARIABLES:
            if name in cube and name != "status" and set(cube["status"].dims) <= set(cube[name].dims):
                same = (cube[name] == found[name]) | (cube[name].isnull() & found[name].isnull())
                if not bool((same | ~ok).all()):
                    raise StoreError(f"merge: the cubes have different values of {name} at a point that both have")
