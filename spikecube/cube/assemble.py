"""A cube from the results of cells: allocated from the study, filled by label."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube import schema
from spikecube.cube.missing import Unpredicted
from spikecube.cube.schema import STATUS, Variable
from spikecube.cube.store import without_fill_values
from spikecube.model.parameters import Model
from spikecube.study.study import Cell, Study
from spikecube.theory import bulk_edge, detection_edge
from spikecube.theory.staircase import spike_count

FALSE_POSITIVE_RATE = 0.01
_SHARED_DRAWS = (
    "points along alpha, lam and the further axes share their random draw as far as their shapes allow (paired); "
    "different n and different seed are independent"
)


@dataclass(frozen=True)
class CellResult:
    """What one task found: values by variable name, over its alphas and lams (a part of the study's is enough).

    `status` overrides that of the points, for a cell that failed and has no values.
    """

    cell: Cell
    alphas: tuple[float, ...]
    lams: tuple[float, ...]
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    failed: bool = False


def empty_cube(study: Study) -> xr.Dataset:
    """The cube of a study with every coordinate and attribute, all points that it asks for pending."""
    shape = study.shape
    data = {}
    for variable in measured_variables(study):
        dims = variable_dims(variable, study)
        fill: Any = STATUS["pending"] if variable.name == "status" else np.nan
        array = np.full([shape[d] for d in dims], fill, dtype=variable.dtype)
        data[variable.name] = (dims, array, attributes(variable))
    data["status"][1][:, ~asked_for(study)] = STATUS["absent"]
    cube = without_fill_values(xr.Dataset(data, coords=coordinates(study)))
    cube.attrs = {
        "title": study.title or "spikecube study",
        "study": study.to_toml(),
        "study_sha256": study.sha256,
        "comment": _SHARED_DRAWS,
    }
    return cube


def asked_for(study: Study) -> np.ndarray:
    """Which points a study asks for; bool (n, seed)."""
    return np.array([np.isin(study.axes.seed, study.axes.seeds(n)) for n in study.axes.n])


def assemble(study: Study, results: Iterable[CellResult]) -> xr.Dataset:
    """The cube of a study from any results of its cells, in any order; what is missing stays pending.

    Results of cells, alphas or lams that the study does not have are left out.
    """
    cube = empty_cube(study)
    places = _Places(study)
    arrays = {str(name): cube[name].values for name in cube.data_vars}
    status = arrays["status"]
    failed = np.zeros(status.shape, dtype=bool)
    known = np.zeros((*status.shape, len(study.axes.lam)), dtype=bool)
    for result in results:
        _fill(arrays, known, failed, places, result)
    incomplete = ~known.all(axis=-1)
    status[incomplete] = STATUS["pending"]
    status[incomplete & failed] = STATUS["failed"]
    status[:, ~asked_for(study)] = STATUS["absent"]
    return _count_outliers(cube, study)


def measured_variables(study: Study) -> list[Variable]:
    """The variables that a study measures, in the order of the schema."""
    spectrum = [schema.SPECTRUM] if study.measure.spectrum_bins else []
    return [*schema.VARIABLES.values(), *spectrum]


def variable_dims(variable: Variable, study: Study) -> tuple[str, ...]:
    """The dims of a variable in the cube of a study: those of the schema, then the further axes."""
    return (*variable.dims, *study.further)


_CONTENT = dict.fromkeys(schema.COORDINATES, "coordinate") | {"status": "qualityInformation"}  # words of ISO 19115-1


def attributes(variable: Variable) -> dict[str, Any]:
    """The netCDF attributes of a variable."""
    attrs: dict[str, Any] = {"long_name": variable.long_name, "symbol": variable.symbol, "units": "1"}
    attrs["coverage_content_type"] = _CONTENT.get(variable.name, "modelResult")
    if variable.name == "status":
        attrs["flag_values"] = np.array(list(STATUS.values()), dtype=np.int8)
        attrs["flag_meanings"] = " ".join(STATUS)
    if variable.name in ("outlier_count", "detection_edge"):
        attrs["false_positive_rate"] = FALSE_POSITIVE_RATE
    return attrs


def coordinates(study: Study) -> dict[str, Any]:
    """Every coordinate of the cube of a study."""
    axes, shape = study.axes, study.shape
    values: dict[str, tuple[tuple[str, ...], Any]] = {
        name: ((name,), getattr(axes, name)) for name in ("alpha", "n", "seed", "lam")
    }
    values |= {name: ((name,), np.arange(1, shape[name] + 1)) for name in ("rank", "degree", "ell")}
    values["ell_alpha"] = (("alpha",), [spike_count(alpha) for alpha in axes.alpha])
    of_dim, of_width, of_step = (study.models_along(name) for name in ("dim_ratio", "width_ratio", "eta_scale"))
    values["dim"] = _along(study, "dim_ratio", ("n",), [[m.dim(n) for m in of_dim] for n in axes.n])
    values["width"] = _along(study, "width_ratio", ("n",), [[m.width(n) for m in of_width] for n in axes.n])
    eta = [[[m.eta(n, alpha) for m in of_step] for n in axes.n] for alpha in axes.alpha]
    values["eta"] = _along(study, "eta_scale", ("alpha", "n"), eta)
    if study.measure.spectrum_bins:
        edges = spectrum_edges(study)
        values |= {"bin": (("bin",), (edges[1:] + edges[:-1]) / 2)}
        values |= {"bin_lower": (("bin",), edges[:-1]), "bin_upper": (("bin",), edges[1:])}
    labelled = {
        name: (dims, np.asarray(v, dtype=schema.COORDINATES[name].dtype), attributes(schema.COORDINATES[name]))
        for name, (dims, v) in values.items()
    }
    return labelled | {name: _further_coordinate(study, name) for name in study.further}


def _further_coordinate(study: Study, name: str) -> tuple[tuple[str, ...], Any, dict[str, Any]]:
    labels = study.labels(name)
    numeric = not any(isinstance(label, str) for label in labels)
    array = np.asarray(labels, dtype=np.float64) if numeric else np.asarray([str(v) for v in labels])
    return (name,), array, {"long_name": f"{name} of the model", "units": "1"}


def _along(study: Study, name: str, dims: tuple[str, ...], values: Any) -> tuple[tuple[str, ...], Any]:
    """Values over some dims and a further axis; over the dims alone if the study has no such axis."""
    return ((*dims, name), values) if name in study.further else (dims, np.asarray(values)[..., 0])


def spectrum_edges(study: Study) -> np.ndarray:
    """Edges of the bins of the singular values, common to all cells: from 0 to 3/2 of the bulk edge of [model].

    They depend on [model] and [measure] alone, so that no extension of an axis moves them; further out lie
    outliers, which `singular_value` holds one by one, and at large steps the end of the bulk.
    """
    return np.linspace(0.0, 1.5 * bulk_edge(study.model), study.measure.spectrum_bins + 1)


_Positions = np.ndarray | slice


class _Places:
    """Positions of labels along every axis of a study; None where the study does not have the label."""

    def __init__(self, study: Study) -> None:
        self._axes = study.axes
        self._seeds = {n: frozenset(study.axes.seeds(n)) for n in study.axes.n}
        self.further = tuple(study.further)
        self._index: dict[str, dict[Any, int]] = {
            name: {v: i for i, v in enumerate(getattr(study.axes, name))} for name in ("alpha", "n", "seed", "lam")
        }
        self._index |= {name: {v: i for i, v in enumerate(study.labels(name))} for name in self.further}

    def cell(self, cell: Cell) -> dict[str, int] | None:
        labels = {"n": cell.n, "seed": cell.seed, **dict(cell.further)}
        if set(labels) != {"n", "seed", *self.further} or cell.seed not in self._seeds.get(cell.n, ()):
            return None
        place = {name: self._index[name].get(label) for name, label in labels.items()}
        return None if None in place.values() else {k: int(v) for k, v in place.items() if v is not None}

    def points(self, alphas: tuple[float, ...], lams: tuple[float, ...]) -> dict[str, tuple[_Positions, _Positions]]:
        """Positions along alpha and lam, in the result and in the cube; slices, which are faster, where all agree."""
        if (alphas, lams) == (self._axes.alpha, self._axes.lam):
            return {"alpha": (slice(None), slice(None)), "lam": (slice(None), slice(None))}
        return {"alpha": self._along("alpha", alphas), "lam": self._along("lam", lams)}

    def _along(self, name: str, labels: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the result and in the cube of the labels that both have."""
        pairs = [(i, self._index[name][v]) for i, v in enumerate(labels) if v in self._index[name]]
        source, target = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
        return source, target


def _fill(
    arrays: dict[str, np.ndarray], known: np.ndarray, failed: np.ndarray, places: _Places, result: CellResult
) -> None:
    place = places.cell(result.cell)
    if place is None:
        return
    along = places.points(result.alphas, result.lams)
    points = ("alpha", "n", "seed", *places.further)
    if result.failed:
        failed[_index(points, place, along, target=True)] = True
        return
    known[_index((*points, "lam"), place, along, target=True)] = True
    for name, values in result.values.items():
        variable = schema.measured(name)
        target = _index((*variable.dims, *places.further), place, along, target=True)
        new = np.asarray(values)[_index(variable.cell_dims, place, along, target=False)]
        # a point computed in parts is finite only if all of them are
        arrays[name][target] = np.maximum(arrays[name][target], new) if name == "status" else new


def _index(
    dims: tuple[str, ...], place: Mapping[str, int], along: Mapping[str, tuple[_Positions, _Positions]], *, target: bool
) -> tuple[Any, ...]:
    """An index over `dims`: a position where the cell fixes it, positions along alpha and lam, all of the rest.

    NumPy puts the positions along alpha and lam first in the result, which is where the schema has them.
    """
    lists = [d for d in dims if d in along]
    index: list[Any] = []
    for d in dims:
        position = along[d][1 if target else 0] if d in along else place.get(d, slice(None))
        if isinstance(position, np.ndarray):
            shape = [1] * len(lists)
            shape[lists.index(d)] = -1
            position = position.reshape(shape)
        index.append(position)
    return tuple(index)


def _count_outliers(cube: xr.Dataset, study: Study) -> xr.Dataset:
    """Adds the detection edge, and how many of the leading singular values lie beyond it.

    Where theory finds no edge both are missing, with the reason as an attribute: what was measured stands regardless.
    """
    variable, missing = schema.DERIVED["detection_edge"], Unpredicted()
    cube[variable.name] = (variable_dims(variable, study), _edges(study, missing), attributes(variable))
    counts = (cube["singular_value"] > cube[variable.name]).sum("rank").astype(np.float64)
    known = cube["singular_value"].notnull().all("rank") & cube[variable.name].notnull()
    counts = counts.where(known).transpose(*cube["outlier_count"].dims)
    cube["outlier_count"] = counts.assign_attrs(cube["outlier_count"].attrs)
    missing.describe(cube)
    return cube


def _edges(study: Study, missing: Unpredicted) -> np.ndarray:
    """The detection edge over (alpha, n, ...further axes), NaN where theory has none."""
    axes, further = study.axes, [len(values) for values in study.further.values()]
    edges = np.full((len(axes.alpha), len(axes.n), *further), np.nan)
    for (i, alpha), (j, n), place in itertools.product(enumerate(axes.alpha), enumerate(axes.n), study.places()):
        where = place_text({"alpha": alpha, "n": n, **place.labels})
        edge = missing.attempt(("detection_edge", "outlier_count"), where, partial(_kept_edge, place.model, n, alpha))
        if edge is not None:
            edges[i, j, *place.position] = edge
    return edges


@lru_cache(maxsize=4096)
def _kept_edge(model: Model, n: int, alpha: float) -> float:
    """The detection edge, kept: cubes that are extended, merged or cut ask for the same ones again.

    One alpha at a time: several at once move the last digits, and an extended cube has the bits of one made at once.
    """
    return float(detection_edge(model, n, alpha, FALSE_POSITIVE_RATE))


def place_text(labels: Mapping[str, float | str]) -> str:
    """`alpha = 0.4, n = 100`."""
    return ", ".join(f"{k} = {v if isinstance(v, str) else format(v, 'g')}" for k, v in labels.items())
