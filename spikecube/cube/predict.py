"""The theory on the axes of a study: a dataset with the names of a cube and no seed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np
import xarray as xr

from spikecube.cube import schema
from spikecube.cube.assemble import attributes, coordinates, variable_dims
from spikecube.cube.predict_draws import predict_draws
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
from spikecube.theory.bulk import bulk_of
from spikecube.theory.conditional.edge import Edge, conditional_edge
from spikecube.theory.conditional.spikes import conditional_spectrum, spike_alignments
from spikecube.theory.detection import detection_edge
from spikecube.theory.moments import Moments
from spikecube.theory.remainder import loss_remainders
from spikecube.theory.staircase import UNBOUNDED

_WORTH_SAYING = 0.02  # remainder, over the loss
_FEW = 5  # alphas, and penalties, at which remainders are found
Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]


class PredictionError(ValueError):
    """A study for which there is no prediction, in one sentence."""


def predict(
    study: Study,
    progress: Progress | None = None,
    *,
    only: Iterable[str] | None = None,
    degrees: int | None = None,
    given: xr.Dataset | None = None,
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

    given : a cube of the study. Losses and singular values of F are then those of each of its draws (its own |beta|^2,
        cosine of beta with beta_*, and |a|^2), with its `seed` dim. Without one they are those of a typical draw.

    Raises
    ------
    PredictionError
        If every model of the study has `initial_output = "full"`, or if a name of `only` is unknown. Where the initial
        output is a further axis, the full one has NaN after the step and an attribute `declined` that says so.
    ConvergenceError
        If an equation is not solved; the message names the arguments.

    >>> study = Study(axes={"alpha": [0.0, 0.3], "n": [500], "seed": 1, "lam": [0.1, 1.0]})
    >>> float(predict(study).train_loss.sel(alpha=0.3, n=500, lam=0.1).round(3))
    0.469
    """
    wanted = _wanted(only)
    drawn = tuple(name for name in wanted if name in schema.PREDICTED_BY_DRAW) if given is not None else ()
    wanted = tuple(name for name in wanted if name not in drawn)
    places = list(itertools.product(*(study.labels(name) for name in study.further)))
    models = [study.model_at(**dict(zip(study.further, place, strict=True))) for place in places]
    if all(model.initial_output == "full" for model in models):
        raise PredictionError(
            'model.initial_output: given "full"; predictions exist for "vanishing" only: at full output the step does '
            "not point along beta, and what follows from that does not hold"
        )
    prediction = _empty(study, wanted)
    tick = _ticks(progress, (2 if drawn else 1) * len(models) * len(study.axes.alpha) * len(study.axes.n))
    further_shape = tuple(len(study.labels(name)) for name in study.further)
    for model, place in zip(models, np.ndindex(further_shape), strict=True):
        for name, values in _of_model(study, model, wanted, tick, degrees).items():
            prediction[name].values[(..., *place)] = values
    if given is not None and drawn:
        prediction = prediction.assign(predict_draws(study, given, drawn, degrees, tick))
        prediction = prediction.assign_coords(seed=given["seed"])
    if any(model.initial_output == "full" for model in models):
        prediction.attrs["declined"] = 'initial_output = "full": predictions after the step exist for "vanishing" only'
    said = _said(prediction)
    if said:
        prediction.attrs["remainder"] = said
    return prediction


def _said(prediction: xr.Dataset) -> str:
    """Where the losses may be off by more than 2 per cent, in words; empty where they are not, or nothing is known."""
    sentences = []
    for kind in ("train", "test"):
        names = (f"{kind}_loss_remainder", f"{kind}_loss")
        if not set(names) <= set(prediction) or "seed" in prediction[names[1]].dims:
            continue
        relative = prediction[names[0]] / prediction[names[1]]
        if not (relative > _WORTH_SAYING).any():
            continue
        worst = relative.where(relative == relative.max(), drop=True).stack(point=relative.dims).dropna("point")[0]
        place = ", ".join(f"{dim} = {_label(worst[dim].item())}" for dim in relative.dims)
        sentences.append(
            f"{kind} losses of F may be off by up to {100 * relative.max().item():.0f} per cent (at {place})"
        )
    return "; ".join(sentences)


def _label(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


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


def _of_model(
    study: Study, model: Model, wanted: tuple[str, ...], tick: Callable[[], None], degrees: int | None
) -> Arrays:
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
        if stepped:
            _fill_remainders(arrays, study, model, j, moments.degrees)
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
        # that of F_0, where no prediction after the step replaces it
        arrays["bulk_edge"][:, j] = bulk_edge(model, n, degrees=moments.degrees)


def _fill_point(arrays: Arrays, study: Study, model: Model, at: tuple[int, int], moments: Moments) -> None:
    alpha, n, lam = study.axes.alpha[at[0]], study.axes.n[at[1]], study.axes.lam
    if {"train_loss", "test_loss"} & arrays.keys():
        _put(arrays, ("train_loss", "test_loss"), finite_losses(model, lam, n, alpha, degrees=moments.degrees), at)
    names = ("train_loss_spiked", "test_loss_spiked")
    if set(names) & arrays.keys():
        for k in range(study.measure.ell):
            losses = spiked_losses(model, lam, n, alpha, k + 1, moments=moments)
            _put(arrays, names, losses, (*at, slice(None), k))
    _fill_spectrum(arrays, study, model, at, moments.degrees)


def _fill_spectrum(arrays: Arrays, study: Study, model: Model, at: tuple[int, int], degrees: int) -> None:
    alpha, n = study.axes.alpha[at[0]], study.axes.n[at[1]]
    found: Arrays = {}
    edge: Edge | None = None
    if {"singular_value", "alignment", "outlier_count"} & arrays.keys():
        spectrum = conditional_spectrum(model, n, alpha, degrees)
        kept, edge = spectrum.outliers[: study.measure.rank], spectrum.edge
        found["singular_value"] = np.append(kept, np.full(study.measure.rank - len(kept), np.nan))
        if "alignment" in arrays:
            found["alignment"] = spike_alignments(model, spectrum, study.measure.degree)
    elif "bulk_edge" in arrays:
        edge = conditional_edge(model, n, alpha, degrees)
    if edge is not None:
        found["bulk_edge"] = np.sqrt(edge.x)
    if {"detection_edge", "outlier_count"} & arrays.keys():
        known = None if edge is None else [edge]
        found["detection_edge"] = detection_edge(model, n, [alpha], degrees=degrees, edges=known)[0]
        if "outlier_count" in arrays:
            found["outlier_count"] = np.asarray(np.sum(spectrum.outliers > found["detection_edge"]))
    for name in found.keys() & arrays.keys():
        arrays[name][at] = found[name]


def _fill_remainders(arrays: Arrays, study: Study, model: Model, j: int, degrees: int) -> None:
    """Remainders vary slowly: they are found at a few alphas and penalties, and drawn straight between them."""
    if not {"train_loss_remainder", "test_loss_remainder"} & arrays.keys():
        return
    alphas, n, lam = np.asarray(study.axes.alpha), study.axes.n[j], np.asarray(study.axes.lam)
    some, few = _some(alphas), _some(lam)
    known = np.array([loss_remainders(model, few, n, float(alpha), degrees=degrees) for alpha in some])
    for k, name in enumerate(("train_loss", "test_loss")):
        if f"{name}_remainder" not in arrays:
            continue
        by_lam = np.array([np.interp(np.log(lam), np.log(few), row) for row in known[:, k]])
        relative = np.stack([np.interp(alphas, some, by_lam[:, i]) for i in range(len(lam))], axis=-1)
        losses = arrays[name][:, j] if name in arrays else _losses(model, lam, n, alphas, degrees)[:, k]
        arrays[f"{name}_remainder"][:, j] = relative * losses


def _some(values: np.ndarray) -> np.ndarray:
    """At most a few of the values, first and last among them, in rising order."""
    values = np.unique(values)
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), _FEW)).round().astype(int))
    return np.asarray(values[places])


def _losses(model: Model, lam: np.ndarray, n: int, alphas: np.ndarray, degrees: int) -> np.ndarray:
    return np.array([finite_losses(model, lam, n, float(alpha), degrees=degrees) for alpha in alphas])


def _put(arrays: Arrays, names: tuple[str, ...], values: tuple[np.ndarray, ...], at: tuple[int | slice, ...]) -> None:
    for name, value in zip(names, values, strict=True):
        if name in arrays:
            arrays[name][at] = value
