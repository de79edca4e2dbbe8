"""The points at which theory and measurement are far apart, each with what explains it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.stats import t as student

from spikecube.means import spikes
from spikecube.means.compared import Compared
from spikecube.means.controls import label_spread
from spikecube.means.places import Missing
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


def deviations(seen: Compared) -> Deviations:
    """Every point of losses and clear outliers that lies beyond `BEYOND` standard errors from its prediction.

    Chance: two tails of Student's t with one degree of freedom less than there are seeds.

    Raises
    ------
    Missing
        If nothing can be compared.
    """
    if seen.given is None:
        raise Missing("no prediction")
    far, compared, chance = [], 0, 0.0
    for name in _COMPARED:
        try:
            scores = seen.scores(name)
        except Missing:
            continue
        count = int(scores["z"].notnull().sum())
        compared += count
        chance += count * 2 * float(student.sf(BEYOND, max(int(scores.attrs["seeds"]) - 1, 1)))
        strength = _no_spread if name == "singular_value" or scores.attrs["given"] else _spread_of(seen.cube)
        far += _beyond(scores, name, seen.given, strength)
    if not compared:
        raise Missing("nothing to compare")
    return Deviations(tuple(sorted(far, key=lambda d: -abs(d.z))), compared, chance)


Spread = Callable[[xr.Dataset], float]


def _no_spread(_one: xr.Dataset) -> float:
    return 1.0


def _spread_of(cube: xr.Dataset) -> Spread:
    """The `label_spread` of a point of a cube, which a prediction for a typical draw leaves out."""
    study = spikes.study_of(cube)

    @functools.cache
    def at(n: int, further: tuple[float | str, ...]) -> float:
        return label_spread(study.model_at(**dict(zip(study.further, further, strict=True))), n)

    return lambda one: at(int(one["n"]), tuple(one[name].item() for name in study.further))


def _beyond(scores: xr.Dataset, name: str, prediction: xr.Dataset, spread: Spread) -> list[Deviation]:
    z, found = scores["z"], []
    for index in zip(*np.nonzero(np.abs(z.values) > BEYOND), strict=True):
        one = scores.isel(dict(zip(map(str, z.dims), map(int, index), strict=True)))
        further = [str(d) for d in z.dims if d not in _PLACE]
        mean, stderr, told = (float(one[v]) for v in ("mean", "stderr", "predicted"))
        reason = _reason(mean, stderr, told, _remainder(prediction, name, one), spread(one))
        place = symbols.place(one, (*_PLACE, *further))
        found.append(Deviation(name, place, with_error(mean, stderr), number(told), float(one["z"]), reason))
    return found


def _remainder(prediction: xr.Dataset, name: str, one: xr.Dataset) -> float:
    """How far the prediction itself may be off there; NaN where that is not known."""
    if f"{name}_remainder" not in prediction:
        return float("nan")
    data = prediction[f"{name}_remainder"]
    labels = {d: one[d].item() for d in map(str, data.dims)}
    names = {d: label for d, label in labels.items() if isinstance(label, str)}
    numbers = {d: label for d, label in labels.items() if d not in names}
    return float(data.sel(names).sel(numbers, method="nearest"))


def _reason(mean: float, stderr: float, told: float, remainder: float, spread: float) -> str:
    """What explains a gap: what reaches over it together with two standard errors.

    That is the theory's own remainder, or that labels of all draws together are `spread` times as strong as typical
    ones, and losses with them.
    """
    known = np.isfinite(remainder)
    most = (remainder if known else 0.0) + 2 * stderr
    off = f"the remainder of theory, ±{float(f'{remainder:.2g}'):g}"
    if known and abs(mean - told) <= most:
        return f"within {off}"
    if abs(mean - spread * told) <= most:
        return f"draws: labels {spread - 1:.0%} stronger on average than typical"
    return f"beyond {off}" if known else "not explained"


def deviations_text(found: Deviations) -> str:
    """How many points lie beyond, and how many would by chance.

    >>> deviations_text(Deviations((), 400, 1.08))
    'None of 400 points lies beyond 3 standard errors; chance alone would leave about 1.1 there.'
    """
    count = len(found.far)
    within, spread = (sum(d.reason.startswith(word) for d in found.far) for word in ("within", "draws"))
    lead = "None" if not count else f"{count}"
    verb = "lies" if count < 2 else "lie"
    chance = float(f"{found.by_chance:.2g}")
    text = f"{lead} of {found.compared} points {verb} beyond 3 standard errors; "
    text += f"chance alone would leave about {chance:g} there."
    text += f" The remainder of theory explains {within} of them." if count else ""
    return text + (f" That labels differ in strength between draws explains {spread}." if spread else "")


def rows(found: Deviations, most: int) -> list[list[str]]:
    """The farthest of them as rows of a table."""
    return [
        [symbols.symbol(d.variable), d.place, d.measured, d.predicted, _signed(d.z), d.reason] for d in found.far[:most]
    ]


def rest(found: Deviations, most: int) -> list[str]:
    """All others, a line for each curve in alpha: `L, n = 100: z = +3.4 at α = 0.4, −3.1 at α = 0.45`.

    >>> far = [Deviation("x", f"α = {a}, n = 5", "", "", z, "") for a, z in ((0.1, 9.0), (0.2, -4.0), (0.3, 3.5))]
    >>> rest(Deviations(tuple(far), 9, 0.1), 1)
    ['x, n = 5: z = −4.0 at α = 0.2, +3.5 at α = 0.3']
    """
    curves: dict[str, list[str]] = {}
    for d in found.far[most:]:
        alpha, _, where = d.place.partition(", ")
        curves.setdefault(f"{symbols.symbol(d.variable)}, {where}", []).append(f"{_signed(d.z)} at {alpha}")
    return [f"{curve}: z = {', '.join(points)}" for curve, points in curves.items()]


def _signed(z: float) -> str:
    return f"{z:+.1f}".replace("-", "−")


HEADER = ("what", "where", "measured", "theory", "z", "explained by")
