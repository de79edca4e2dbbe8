"""The theory on the axes of a study: a dataset with the names of a cube and no seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from spikecube.cube import schema
from spikecube.cube.assemble import attributes, coordinates, place_text, variable_dims
from spikecube.cube.conventions import KEYWORDS, PREDICTIONS, stamp
from spikecube.cube.missing import Missing
from spikecube.cube.predict_draws import predict_draws
from spikecube.cube.predict_remainders import (
    REMAINDERS,
    few_sizes,
    losses_of_size,
    relative_remainders,
    remainders,
    said_of_remainders,
)
from spikecube.cube.store import without_fill_values
from spikecube.errors import SpikecubeError
from spikecube.study.fields import Model
from spikecube.study.study import Study
from spikecube.theory import (
    best_linear_loss,
    bulk_edge,
    chosen_degrees,
    detection_edge,
    finite_losses,
    initial_losses,
    initial_outliers,
    limit_losses,
    spike_count,
    spiked_losses,
)
from spikecube.theory.bulk import bulk_of
from spikecube.theory.conditional.edge import conditional_edge
from spikecube.theory.conditional.spikes import ConditionalSpectrum, conditional_spectra, spike_alignments
from spikecube.theory.moments import Moments
from spikecube.theory.staircase import UNBOUNDED

Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]
Index = tuple[int | slice, ...]
Losses = Callable[[tuple[float, ...]], tuple[np.ndarray, np.ndarray]]
T = TypeVar("T")


class PredictionError(SpikecubeError, ValueError):
    """A study for which there is no prediction, in one sentence."""


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

    Parameters
    ----------
    study : the study or its file; its seeds play no role.
    progress : called as progress(done, total) after each (n, alpha) point.
    only : names of the variables wanted, of `schema.PREDICTED`; by default all.
    degrees : blocks of the theory at finite n; None chooses for each n, 1 is the proportional theory.
    given : a cube of the study. Losses and singular values of F are then those of each of its draws (its own |beta|^2,
        cosine of beta with beta_*, and |a|^2), with its `seed` dim. Without one they are those of a typical draw.

    Where an equation is not solved the value is NaN, and the variable has an attribute `missing_reason` with the
    places and the reasons. What is missing for want of theory is said in one sentence by the attribute `declined`.

    Raises
    ------
    PredictionError
        If every model of the study has `initial_output = "full"`, or if a name of `only` is unknown. Where the initial
        output is a further axis, the full one has NaN after the step.

    >>> study = Study(axes={"alpha": [0.0, 0.3], "n": [500], "seed": 1, "lam": [0.1, 1.0]})
    >>> float(predict(study).train_loss.sel(alpha=0.3, n=500, lam=0.1).round(3))
    0.469
    """
    study, wanted = Study.of(study), _wanted(only)
    drawn = tuple(name for name in wanted if name in schema.PREDICTED_BY_DRAW) if given is not None else ()
    wanted = tuple(name for name in wanted if name not in drawn)
    models = _models(study)
    prediction, missing = _empty(study, wanted), Missing()
    tick = _ticks(progress, (2 if drawn else 1) * len(models) * len(study.axes.alpha) * len(study.axes.n))
    for place, (labels, model) in models.items():
        here: tuple[Any, ...] = (..., *place)
        for name, values in _OfModel(study, model, wanted, degrees, labels, missing).fill(tick).items():
            prediction[name].values[here] = values
    if given is not None and drawn:
        prediction = prediction.assign(predict_draws(study, given, drawn, degrees, tick, missing))
        prediction = prediction.assign_coords(seed=given["seed"])
    missing.describe(prediction)
    full = any(model.initial_output == "full" for _, model in models.values())
    declined = [_FULL_IN_PART] * full + [missing.sentence()] * bool(missing.reasons)
    sentences = {"declined": "; ".join(declined), "remainder": said_of_remainders(prediction)}
    return prediction.assign_attrs({name: sentence for name, sentence in sentences.items() if sentence})


_FULL_IN_PART = 'initial_output = "full": predictions after the step exist for "vanishing" only'
_FULL = (
    'model.initial_output: given "full"; predictions exist for "vanishing" only: at full output the step does not '
    "point along beta, and what follows from that does not hold"
)
Labels = dict[str, float | str]


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


def _models(study: Study) -> dict[tuple[int, ...], tuple[Labels, Model]]:
    """Labels and model at every place along the further axes."""
    found = {}
    for place in np.ndindex(*(len(study.labels(name)) for name in study.further)):
        labels = {name: study.labels(name)[i] for name, i in zip(study.further, place, strict=True)}
        found[place] = labels, study.model_at(**labels)
    if all(model.initial_output == "full" for _, model in found.values()):
        raise PredictionError(_FULL)
    return found


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
    done = itertools.count(1)

    def tick() -> None:
        if progress is not None:
            progress(next(done), total)

    return tick


_LOSSES = ("train_loss", "test_loss")


@dataclass(frozen=True)
class _OfModel:
    """Every wanted variable of one model, its dims in the order of the schema; what theory does not find is missing."""

    study: Study
    model: Model
    wanted: tuple[str, ...]
    degrees: int | None
    labels: dict[str, float | str]
    missing: Missing
    arrays: Arrays = field(default_factory=dict)

    def fill(self, tick: Callable[[], None]) -> Arrays:
        """All of them; `tick` is called after each (n, alpha)."""
        shape = self.study.shape
        self.arrays.update({k: np.full([shape[d] for d in schema.PREDICTED[k].dims], np.nan) for k in self.wanted})
        stepped = self.model.initial_output == "vanishing"
        self._value("best_linear_loss", (), {}, lambda: best_linear_loss(self.model))
        if stepped:
            self._limits()
        degrees = {}
        for j, n in enumerate(self.study.axes.n):
            kept = self.degrees or self._attempt(self.wanted, {"n": n}, partial(chosen_degrees, self.model, n))
            if kept is not None:
                degrees[n] = kept
                self._of_size(j, kept, stepped, tick)
        if stepped:
            self._remainders(degrees)
        return self.arrays

    def _of_size(self, j: int, degrees: int, stepped: bool, tick: Callable[[], None]) -> None:
        n = self.study.axes.n[j]
        moments = self._moments(n, degrees)
        self._initial(j, moments, stepped, degrees)
        if stepped:
            self._spectra(j, degrees)
        for i in range(len(self.study.axes.alpha)):
            if stepped:
                self._point((i, j), moments, degrees)
            tick()

    def _remainders(self, degrees: dict[int, int]) -> None:
        study, model, names = self.study, self.model, [name for name in REMAINDERS if name in self.arrays]
        relative: dict[int, np.ndarray] = {}
        for n in few_sizes(study) if names else ():
            if n in degrees:
                found = self._attempt(names, {"n": n}, partial(relative_remainders, study, model, n, degrees[n]))
                relative |= {} if found is None else {n: found}
        if not relative:
            return
        for name, values in remainders(study, relative, self._losses_of_all(names, degrees)).items():
            if name in self.arrays:
                self.arrays[name][:] = values

    def _losses_of_all(self, names: Sequence[str], degrees: dict[int, int]) -> list[np.ndarray]:
        """Train and test losses of F for what is made of them, (alpha, n, lam), where they are not among the wanted."""
        study, model = self.study, self.model
        if set(_LOSSES) <= self.arrays.keys():
            return [self.arrays[name] for name in _LOSSES]
        losses = np.full((2, *(study.shape[d] for d in ("alpha", "n", "lam"))), np.nan)
        for j, n in enumerate(study.axes.n):
            if n in degrees:
                found = self._attempt(names, {"n": n}, partial(losses_of_size, study, model, n, degrees[n]))
                losses[:, :, j] = np.nan if found is None else found
        return list(losses)

    def _limits(self) -> None:
        for i, alpha in enumerate(self.study.axes.alpha):
            ell = spike_count(alpha)
            if ell != UNBOUNDED:
                self._losses("_limit", (i,), {"alpha": alpha}, partial(limit_losses, self.model, ell=ell))

    def _moments(self, n: int, degrees: int) -> Moments | None:
        names = [f"{loss}_{of}" for loss in _LOSSES for of in ("init", "spiked")]
        wanted = [name for name in names if name in self.arrays]
        lam = self.study.axes.lam
        return self._attempt(wanted, {"n": n}, lambda: bulk_of(self.model, n, degrees).moments(lam)) if wanted else None

    def _initial(self, j: int, moments: Moments | None, stepped: bool, degrees: int) -> None:
        model, n, lam = self.model, self.study.axes.n[j], self.study.axes.lam
        at = {"n": n}
        if moments is not None:
            names = ("train_loss_init", "test_loss_init")
            self._put(names, (j,), self._attempt(names, at, lambda: initial_losses(model, lam, n, moments=moments)))
        found = self._attempt(("singular_value_init",), at, lambda: initial_outliers(model, n, degrees))
        if found is not None:
            self.arrays["singular_value_init"][j, : len(found)] = found
        if not stepped:
            self._value("bulk_edge", (slice(None), j), at, lambda: bulk_edge(model, n, degrees=degrees))

    def _point(self, place: tuple[int, int], moments: Moments | None, degrees: int) -> None:
        model, axes = self.model, self.study.axes
        alpha, n, lam = axes.alpha[place[0]], axes.n[place[1]], axes.lam
        at = {"alpha": alpha, "n": n}
        self._losses("", place, at, lambda lam: finite_losses(model, lam, n, alpha, degrees=degrees))
        for k in range(self.study.measure.ell if moments is not None else 0):
            names = ("train_loss_spiked", "test_loss_spiked")
            found = self._attempt(names, at, partial(spiked_losses, model, lam, n, alpha, k + 1, moments=moments))
            self._put(names, (*place, slice(None), k), found)

    def _spectra(self, j: int, degrees: int) -> None:
        model, n, alphas = self.model, self.study.axes.n[j], list(self.study.axes.alpha)

        def edges_of(some: list[float]) -> np.ndarray:
            known = [found[alphas.index(alpha)] for alpha in some]
            edges = [spectrum.edge for spectrum in known if spectrum is not None]
            return detection_edge(model, n, some, degrees=degrees, edges=edges if len(edges) == len(some) else None)

        wanted = ("singular_value", "alignment", "outlier_count")
        found = self._of_alphas(wanted, n, lambda some: conditional_spectra(model, n, some, degrees))
        edges = self._of_alphas(("detection_edge", "outlier_count"), n, edges_of)
        for i, (spectrum, edge) in enumerate(zip(found, edges, strict=True)):
            self._spectrum((i, j), {"alpha": alphas[i], "n": n}, spectrum, degrees)
            if edge is not None:
                self._put(("detection_edge",), (i, j), (edge,))
                if spectrum is not None:
                    self._put(("outlier_count",), (i, j), (np.sum(spectrum.outliers > edge),))

    def _of_alphas(self, names: Sequence[str], n: int, compute: Callable[[list[float]], Iterable[T]]) -> list[T | None]:
        alphas, wanted = self.study.axes.alpha, [name for name in names if name in self.arrays]
        if not wanted:
            return [None] * len(alphas)
        places = [place_text({"alpha": alpha, "n": n, **self.labels}) for alpha in alphas]
        return self.missing.attempt_all(wanted, places, alphas, compute)

    def _spectrum(
        self, place: tuple[int, int], at: dict[str, float], found: ConditionalSpectrum | None, degrees: int
    ) -> None:
        model, study = self.model, self.study
        if found is None:
            self._value(
                "bulk_edge", place, at, lambda: math.sqrt(conditional_edge(model, int(at["n"]), at["alpha"], degrees).x)
            )
            return
        kept = found.outliers[: study.measure.rank]
        self._put(("singular_value",), (*place, slice(len(kept))), (kept,))
        self._put(("bulk_edge",), place, (math.sqrt(found.edge.x),))
        pointing = self._attempt(("alignment",), at, partial(spike_alignments, model, found, study.measure.degree))
        self._put(("alignment",), place, None if pointing is None else (pointing,))

    def _attempt(self, names: Sequence[str], at: Mapping[str, float | str], compute: Callable[[], T]) -> T | None:
        wanted = [name for name in names if name in self.arrays]
        return self.missing.attempt(wanted, place_text({**at, **self.labels}), compute) if wanted else None

    def _value(self, name: str, index: Index, at: Mapping[str, float | str], compute: Callable[[], float]) -> None:
        self._put((name,), index, None if (found := self._attempt((name,), at, compute)) is None else (found,))

    def _losses(self, of: str, index: Index, at: Mapping[str, float | str], compute: Losses) -> None:
        """Both losses at all penalties at once, or one by one where that fails."""
        names = tuple(f"{loss}{of}" for loss in _LOSSES)
        if not set(names) & self.arrays.keys():
            return
        try:
            with np.errstate(all="ignore"):
                self._put(names, index, compute(self.study.axes.lam))
        except Exception:  # the reason is that of each penalty
            for i, lam in enumerate(self.study.axes.lam):
                found = self._attempt(names, {**at, "lam": lam}, partial(compute, (lam,)))
                self._put(names, (*index, slice(i, i + 1)), found)

    def _put(self, names: Sequence[str], index: Index, values: Sequence[Any] | None) -> None:
        for name, value in zip(names, values or (), strict=values is not None):
            if name in self.arrays:
                self.arrays[name][index] = value
