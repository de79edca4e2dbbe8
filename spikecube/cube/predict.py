"""The theory on the axes of a study: a dataset with the names of a cube and no seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable

import numpy as np
import xarray as xr

from spikecube.cube import schema
from spikecube.cube.assemble import attributes, coordinates, variable_dims
from spikecube.cube.sections import Model
from spikecube.cube.study import Study
from spikecube.theory import (
    best_linear_loss,
    bulk_edge,
    chosen_degrees,
    finite_losses,
    initial_losses,
    initial_outliers,
    limit_losses,
    spike_count,
    spiked_losses,
)
from spikecube.theory.bulk import Moments, bulk_of
from spikecube.theory.conditional.edge import conditional_edge, conditional_outliers
from spikecube.theory.staircase import UNBOUNDED

Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]


class PredictionError(ValueError):
    """A study for which there is no prediction, in one sentence."""


def predict(
    study: Study, progress: Progress | None = None, *, only: Iterable[str] | None = None, degrees: int | None = None
) -> xr.Dataset:
    """The predictions for a study: losses, their limits, outliers and bulk edges, with the names of its cube.

    `cube - predict(study)` broadcasts over seeds. Losses, outliers and bulk edge of F are those of the conditional
    equivalence (any alpha), `*_spiked` those of F_ell with spikes of finite strength, `*_limit` those of ell(alpha)
    infinitely strong ones (NaN at alpha = 1/2, where their number is unbounded). See docs/theory.md.

    Parameters
    ----------
    study : the study; its seeds play no role.
    progress : called as progress(done, total) after each (n, alpha) point.
    only : names of the variables wanted, of `schema.PREDICTED`; by default all.
    degrees : blocks of the theory at finite n; None chooses for each n, 1 is the proportional theory.

    Raises
    ------
    PredictionError
        If every model of the study has `initial_output = "full"`, or if a name of `only` is unknown. Where the initial
        output is a further axis, the full one has NaN after the step and an attribute `declined` that says so.
    ConvergenceError
        If an equation is not solved; the message names the arguments.

    >>> study = Study(axes={"alpha": [0.0, 0.3], "n": [500], "seed": 1, "lam": [0.1, 1.0]})
    >>> float(predict(study).train_loss.sel(alpha=0.3, n=500, lam=0.1).round(3))
    0.471
    """
    wanted = _wanted(only)
    places = list(itertools.product(*(study.labels(name) for name in study.further)))
    models = [study.model_at(**dict(zip(study.further, place, strict=True))) for place in places]
    if all(model.initial_output == "full" for model in models):
        raise PredictionError(
            'model.initial_output: given "full"; predictions exist for "vanishing" only: at full output the step does '
            "not point along beta, and what follows from that does not hold"
        )
    prediction = _empty(study, wanted)
    tick = _ticks(progress, len(models) * len(study.axes.alpha) * len(study.axes.n))
    further_shape = tuple(len(study.labels(name)) for name in study.further)
    for model, place in zip(models, np.ndindex(further_shape), strict=True):
        for name, values in _of_model(study, model, wanted, tick, degrees).items():
            prediction[name].values[(..., *place)] = values
    if any(model.initial_output == "full" for model in models):
        prediction.attrs["declined"] = 'initial_output = "full": predictions after the step exist for "vanishing" only'
    return prediction


def _wanted(only: Iterable[str] | None) -> tuple[str, ...]:
    names = tuple(schema.PREDICTED) if only is None else tuple(only)
    unknown = [name for name in names if name not in schema.PREDICTED]
    if unknown:
        raise PredictionError(f"{unknown[0]!r} is not predicted; allowed: {', '.join(schema.PREDICTED)}")
    return names


def _empty(study: Study, wanted: tuple[str, ...]) -> xr.Dataset:
    coords = {name: value for name, value in coordinates(study).items() if "seed" not in value[0]}
    data = {}
    for name in wanted:
        variable = schema.PREDICTED[name]
        dims = variable_dims(variable, study)
        data[name] = (dims, np.full([study.shape[d] for d in dims], np.nan), attributes(variable))
    prediction = xr.Dataset(data, coords=coords)
    prediction.attrs = {
        "title": f"prediction: {study.title or 'spikecube study'}",
        "study": study.to_toml(),
        "study_sha256": study.sha256,
        "comment": "predictions, not measurements",
    }
    return prediction


def _ticks(progress: Progress | None, total: int) -> Callable[[], None]:
    done = itertools.count(1)

    def tick() -> None:
        if progress is not None:
            progress(next(done), total)

    return tick


def _of_model(study: Study, model: Model, wanted: tuple[str, ...], tick: Callable[[], None], degrees: int | None) -> Arrays:
    """Every wanted variable of one model, its dims in the order of the schema."""
    shape = study.shape
    arrays = {name: np.full([shape[d] for d in schema.PREDICTED[name].dims], np.nan) for name in wanted}
    stepped = model.initial_output == "vanishing"
    if "best_linear_loss" in arrays:
        arrays["best_linear_loss"][...] = best_linear_loss(model)
    if stepped:
        _fill_limits(arrays, study, model)
    for j, n in enumerate(study.axes.n):
        moments = bulk_of(model, n, degrees or chosen_degrees(model, n)).moments(study.axes.lam)
        _fill_initial(arrays, study, model, j, moments)
        for i in range(len(study.axes.alpha)):
            if stepped:
                _fill_point(arrays, study, model, (i, j), moments)
            tick()
    return arrays


def _fill_limits(arrays: Arrays, study: Study, model: Model) -> None:
    known: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for i, alpha in enumerate(study.axes.alpha):
        ell = spike_count(alpha)
        if ell == UNBOUNDED or not {"train_loss_limit", "test_loss_limit"} & arrays.keys():
            continue
        if ell not in known:
            known[ell] = limit_losses(model, study.axes.lam, ell)
        _put(arrays, ("train_loss_limit", "test_loss_limit"), known[ell], (i,))


def _fill_initial(arrays: Arrays, study: Study, model: Model, j: int, moments: Moments) -> None:
    n = study.axes.n[j]
    names = ("train_loss_init", "test_loss_init")
    if set(names) & arrays.keys():
        _put(arrays, names, initial_losses(model, study.axes.lam, n, moments=moments), (j,))
    if "singular_value_init" in arrays:
        outliers = initial_outliers(model, n, moments.degrees)
        arrays["singular_value_init"][j, : len(outliers)] = outliers
    if "bulk_edge" in arrays:
        arrays["bulk_edge"][:, j] = bulk_edge(model, n, degrees=moments.degrees)  # that of F_0, where no prediction after the step replaces it


def _fill_point(arrays: Arrays, study: Study, model: Model, at: tuple[int, int], moments: Moments) -> None:
    alpha, n, lam = study.axes.alpha[at[0]], study.axes.n[at[1]], study.axes.lam
    if {"train_loss", "test_loss"} & arrays.keys():
        _put(arrays, ("train_loss", "test_loss"), finite_losses(model, lam, n, alpha, degrees=moments.degrees), at)
    names = ("train_loss_spiked", "test_loss_spiked")
    if set(names) & arrays.keys():
        for k in range(study.measure.ell):
            losses = spiked_losses(model, lam, n, alpha, k + 1, moments=moments)
            _put(arrays, names, losses, (*at, slice(None), k))
    if "singular_value" in arrays:
        outliers, edge = conditional_outliers(model, n, alpha, moments.degrees)
        outliers = outliers[: study.measure.rank]
        arrays["singular_value"][(*at, slice(len(outliers)))] = outliers
        if "bulk_edge" in arrays:
            arrays["bulk_edge"][at] = math.sqrt(edge.x)
    elif "bulk_edge" in arrays:
        arrays["bulk_edge"][at] = math.sqrt(conditional_edge(model, n, alpha, moments.degrees).x)


def _put(arrays: Arrays, names: tuple[str, ...], values: tuple[np.ndarray, ...], at: tuple[int | slice, ...]) -> None:
    for name, value in zip(names, values, strict=True):
        if name in arrays:
            arrays[name][at] = value
