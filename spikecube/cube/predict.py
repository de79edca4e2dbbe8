"""The theory on the axes of a study: a dataset with the names of a cube and no seed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube import schema
from spikecube.cube.assemble import attributes, coordinates, variable_dims
from spikecube.cube.missing import Unpredicted
from spikecube.cube.predict_draws import PredictionError as PredictionError
from spikecube.cube.predict_draws import predict_draws, require_draws
from spikecube.cube.predict_model import OfModel
from spikecube.cube.predict_remainders import said_of_remainders
from spikecube.cube.store import KEYWORDS, PREDICTIONS, stamp, without_fill_values
from spikecube.study.study import Place, Study

Progress = Callable[[int, int], None]


def predict(
    study: Study | str | Path,
    progress: Progress | None = None,
    *,
    only: Iterable[str] | None = None,
    degrees: int | None = None,
    given: xr.Dataset | None = None,
) -> xr.Dataset:
    """The predictions for a study: losses, their limits, outliers and bulk edges, with the names of its cube.

    `cube - predict(study)` broadcasts over seeds. Losses, outliers and bulk edge of F are those of the conditional
    equivalence (any alpha), `*_spiked` those of F_ell with spikes of finite strength, `*_limit` those of ell(alpha)
    infinitely strong ones (NaN at alpha = 1/2, where their number is unbounded). See docs/explanation/theory.md.

    Where an equation is not solved the value is NaN, and the variable has an attribute `missing_reason` with the
    places and the reasons. What is missing for want of theory is said in one sentence by the attribute `declined`.

    Parameters
    ----------
    study : the study or its file; its seeds play no role.
    progress : called as progress(done, total) after each (n, alpha) point.
    only : names of the variables wanted, of `schema.PREDICTED`; by default all.
    degrees : blocks of the theory at finite n; None chooses for each n, 1 is the proportional theory.
    given : a cube of the study. Losses and singular values of F are then those of each of its draws (its own |beta|^2,
        cosine of beta with beta_*, and |a|^2), with its `seed` dim. Without one they are those of a typical draw.

    Raises
    ------
    PredictionError
        If every model of the study has `initial_output = "full"`, if a name of `only` is unknown, or if the cube lacks
        draws of the study. Where the initial output is a further axis, the full one has NaN after the step.

    Examples
    --------
    >>> study = Study(axes={"alpha": [0.0, 0.3], "n": [500], "seed": 1, "lam": [0.1, 1.0]})
    >>> float(predict(study).train_loss.sel(alpha=0.3, n=500, lam=0.1).round(3))
    0.467
    """
    study, wanted = Study.of(study), _wanted(only)
    if given is None:
        return predict_typical(study, wanted, degrees, progress)
    require_draws(study, given)
    drawn = tuple(name for name in wanted if name in schema.PREDICTED_BY_DRAW)
    rest, places, missing = tuple(name for name in wanted if name not in drawn), _models(study), Unpredicted()
    tick = _ticks(progress, (2 if drawn else 1) * _n_points(study, places))
    prediction = _filled(study, places, rest, degrees, tick, missing)
    if drawn:
        prediction = prediction.assign(predict_draws(study, given, drawn, degrees, tick, missing))
        prediction = prediction.assign_coords(seed=given["seed"])
    return _described(prediction, places, missing)


def predict_typical(
    study: Study, wanted: tuple[str, ...], degrees: int | None = None, progress: Progress | None = None
) -> xr.Dataset:
    """`predict` without a cube: the variables wanted, of `schema.PREDICTED`, for a typical draw.

    Raises
    ------
    PredictionError
        If every model of the study has `initial_output = "full"`.
    """
    places, missing = _models(study), Unpredicted()
    tick = _ticks(progress, _n_points(study, places))
    return _described(_filled(study, places, wanted, degrees, tick, missing), places, missing)


def _n_points(study: Study, places: list[Place]) -> int:
    return len(places) * len(study.axes.alpha) * len(study.axes.n)


def _filled(
    study: Study,
    places: list[Place],
    wanted: tuple[str, ...],
    degrees: int | None,
    tick: Callable[[], None],
    missing: Unpredicted,
) -> xr.Dataset:
    """The variables wanted of a typical draw; `missing` takes the places where theory gave none."""
    prediction = _empty(study, wanted)
    for place, labels, model in places:
        here: tuple[Any, ...] = (..., *place)
        arrays = {name: prediction[name].values[here] for name in wanted}
        OfModel(study, model, arrays, degrees, labels, missing).fill(tick)
    return prediction


def _described(prediction: xr.Dataset, places: list[Place], missing: Unpredicted) -> xr.Dataset:
    """With what is missing, and why, beside the variables and in the attributes."""
    missing.describe(prediction)
    full = any(place.model.initial_output == "full" for place in places)
    declined = [_FULL_IN_PART] * full + [missing.sentence()] * bool(missing.reasons)
    sentences = {"declined": "; ".join(declined), "remainder": said_of_remainders(prediction)}
    return prediction.assign_attrs({name: sentence for name, sentence in sentences.items() if sentence})


_FULL_IN_PART = 'initial_output = "full": predictions after the step exist for "vanishing" only'
_FULL = (
    'model.initial_output: given "full"; predictions exist for "vanishing" only: at full output the step does not '
    "point along beta, and what follows from that does not hold"
)


def why_declined(study: Study) -> str:
    """Why theory says nothing of a study, in one sentence; empty where it says something.

    >>> why_declined(Study(axes={"alpha": [0.1], "n": [100], "seed": 1, "lam": [1.0]}))
    ''
    """
    try:
        _models(study)
    except PredictionError as error:
        return str(error)
    return ""


def _models(study: Study) -> list[Place]:
    """The models of a study, one of which at least is predicted."""
    places = study.places()
    if all(place.model.initial_output == "full" for place in places):
        raise PredictionError(_FULL)
    return places


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
    prediction = without_fill_values(xr.Dataset(data, coords=coords))
    prediction.attrs = stamp("predicted") | {
        "summary": "What theory predicts for two-layer networks before and after one gradient step, on a grid of step "
        "exponents, sizes and ridge penalties.",
        "keywords": KEYWORDS,
        "title": f"prediction: {study.title or 'spikecube study'}",
        "study": study.to_toml(),
        "study_sha256": study.sha256,
        "comment": PREDICTIONS,
    }
    return prediction


def _ticks(progress: Progress | None, total: int) -> Callable[[], None]:
    """What to call after each of `total` parts."""
    done = itertools.count(1)
    return lambda: progress(next(done), total) if progress else None
