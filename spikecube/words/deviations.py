"""The points at which theory and measurement are far apart, each with what explains it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.stats import t as student

from spikecube.means import spikes
from spikecube.means.comparisons import z_scores
from spikecube.means.places import Missing, aligned
from spikecube.text import number, with_error
from spikecube.words import symbols

BEYOND = 3.0
_COMPARED = ("test_loss", "train_loss", "singular_value")
_PLACE = ("alpha", "n", "lam", "rank")


@dataclass(frozen=True)
class Deviation:
    """A point beyond `BEYOND` standard errors: what is compared, where, both values, z, and what explains it."""

    variable: str
    place: str
    measured: str
    predicted: str
    z: float
    reason: str


@dataclass(frozen=True)
class Deviations:
    """All points beyond, the farthest first, among how many; and how many chance alone would leave there."""

    far: tuple[Deviation, ...]
    compared: int
    by_chance: float


def deviations(cube: xr.Dataset, prediction: xr.Dataset | None) -> Deviations:
    """Every point of losses and clear outliers that lies beyond `BEYOND` standard errors from its prediction.

    Chance: two tails of Student's t with one degree of freedom less than there are seeds.

    Raises
    ------
    Missing
        If nothing can be compared.
    """
    if prediction is None:
        raise Missing("no prediction")
    known, far, compared, chance = aligned(prediction, cube), [], 0, 0.0
    for name in _COMPARED:
        try:
            scores = z_scores(spikes.clear_only(cube) if name == "singular_value" else cube, known, name)
        except Missing:
            continue
        count = int(scores["z"].notnull().sum())
        compared += count
        chance += count * 2 * float(student.sf(BEYOND, max(int(scores.attrs["seeds"]) - 1, 1)))
        far += _beyond(scores, name, known)
    if not compared:
        raise Missing("nothing to compare")
    return Deviations(tuple(sorted(far, key=lambda d: -abs(d.z))), compared, chance)


def _beyond(scores: xr.Dataset, name: str, prediction: xr.Dataset) -> list[Deviation]:
    z, found = scores["z"], []
    for index in zip(*np.nonzero(np.abs(z.values) > BEYOND), strict=True):
        one = scores.isel(dict(zip(map(str, z.dims), map(int, index), strict=True)))
        further = [str(d) for d in z.dims if d not in _PLACE]
        mean, stderr, told = (float(one[v]) for v in ("mean", "stderr", "predicted"))
        reason = _reason(abs(mean - told), stderr, _remainder(prediction, name, one))
        place = symbols.place(one, (*_PLACE, *further))
        found.append(Deviation(name, place, with_error(mean, stderr), number(told), float(one["z"]), reason))
    return found


def _remainder(prediction: xr.Dataset, name: str, one: xr.Dataset) -> float:
    """How far the prediction itself may be off there; NaN where that is not known."""
    if f"{name}_remainder" not in prediction:
        return float("nan")
    data = prediction[f"{name}_remainder"]
    return float(data.sel({d: one[d].item() for d in map(str, data.dims)}, method="nearest"))


def _reason(gap: float, stderr: float, remainder: float) -> str:
    """What explains a gap: the theory's own remainder, where that and two standard errors reach over it."""
    if not np.isfinite(remainder):
        return "not explained"
    reaches = gap <= remainder + 2 * stderr
    return f"{'within' if reaches else 'beyond'} the remainder of theory, ±{float(f'{remainder:.2g}'):g}"


def deviations_text(found: Deviations) -> str:
    """How many points lie beyond, and how many would by chance.

    >>> deviations_text(Deviations((), 400, 1.08))
    'None of 400 points lies beyond 3 standard errors; chance alone would leave about 1.1 there.'
    """
    count, explained = len(found.far), sum(d.reason.startswith("within") for d in found.far)
    lead = "None" if not count else f"{count}"
    verb = "lies" if count < 2 else "lie"
    chance = float(f"{found.by_chance:.2g}")
    text = f"{lead} of {found.compared} points {verb} beyond 3 standard errors; "
    text += f"chance alone would leave about {chance:g} there."
    return text + (f" The remainder of theory explains {explained} of them." if count else "")


def rows(found: Deviations, most: int) -> list[list[str]]:
    """The farthest of them as rows of a table."""
    return [
        [symbols.symbol(d.variable), d.place, d.measured, d.predicted, f"{d.z:+.1f}".replace("-", "−"), d.reason]
        for d in found.far[:most]
    ]


HEADER = ("what", "where", "measured", "theory", "z", "explained by")
