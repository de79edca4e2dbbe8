"""The points at which theory and measurement are far apart, each with what explains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.stats import t as student

from spikecube.text import number, with_error
from spikecube.words import symbols
from spikecube.words.seen import Seen

BEYOND = 3.0
_COMPARED = ("test_loss", "train_loss", "singular_value")
_COLUMNS = ("mean", "stderr", "predicted", "remainder", "spread")
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


def deviations(seen: Seen) -> Deviations | None:
    """Every point of losses and clear outliers that lies beyond `BEYOND` standard errors from its prediction.

    Chance: two tails of Student's t with one degree of freedom less than there are seeds. None where nothing can be
    compared.
    """
    far: list[Deviation] = []
    compared, chance = 0, 0.0
    for name, scores in seen.scores.items():
        count = int(scores["z"].notnull().sum())
        compared += count
        chance += count * 2 * float(student.sf(BEYOND, max(int(scores.attrs["seeds"]) - 1, 1)))
        far += _beyond(name, scores)
    return Deviations(tuple(sorted(far, key=lambda d: -abs(d.z))), compared, chance) if compared else None


def _beyond(name: str, scores: xr.Dataset) -> list[Deviation]:
    z, found = scores["z"], []
    axes = (*_PLACE, *(str(d) for d in z.dims if d not in _PLACE))
    for index in zip(*np.nonzero(np.abs(z.values) > BEYOND), strict=True):
        one = scores.isel(dict(zip(map(str, z.dims), map(int, index), strict=True)))
        mean, stderr, predicted, remainder, spread = (float(one[v]) for v in _COLUMNS)
        reason = _reason(mean, stderr, predicted, remainder, spread)
        place, measured = symbols.labels_text(one, axes), with_error(mean, stderr)
        found.append(Deviation(name, place, measured, number(predicted), float(one["z"]), reason))
    return found


def _reason(mean: float, stderr: float, predicted: float, remainder: float, spread: float) -> str:
    """What explains a gap: what reaches over it together with two standard errors.

    That is the theory's own remainder, or that labels of all draws together are `spread` times as strong as typical
    ones, and losses with them.
    """
    known = np.isfinite(remainder)
    most = (remainder if known else 0.0) + 2 * stderr
    off = f"the remainder of theory, ±{float(f'{remainder:.2g}'):g}"
    if known and abs(mean - predicted) <= most:
        return f"within {off}"
    if abs(mean - spread * predicted) <= most:
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


class FarPoints(NamedTuple):
    """What is printed of `Deviations`: a sentence, a row for each of the farthest, a line for each curve of others."""

    text: str
    rows: list[list[str]]
    others: list[str]


def far_points(seen: Seen, most: int) -> FarPoints | None:
    """The points of `deviations` as they are printed, at most so many as rows; None where nothing can be compared."""
    found = deviations(seen)
    if found is None:
        return None
    return FarPoints(deviations_text(found), _rows(found.far[:most]), _lines(found.far[most:]))


def _rows(far: Sequence[Deviation]) -> list[list[str]]:
    return [[symbols.symbol(d.variable), d.place, d.measured, d.predicted, _signed(d.z), d.reason] for d in far]


def _lines(far: Sequence[Deviation]) -> list[str]:
    """A line for each curve in alpha.

    >>> _lines([Deviation("x", f"α = {a}, n = 5", "", "", z, "") for a, z in ((0.2, -4.0), (0.3, 3.5))])
    ['x, n = 5: z = −4.0 at α = 0.2, +3.5 at α = 0.3']
    """
    curves: dict[str, list[str]] = {}
    for d in far:
        alpha, _, where = d.place.partition(", ")
        curves.setdefault(f"{symbols.symbol(d.variable)}, {where}", []).append(f"{_signed(d.z)} at {alpha}")
    return [f"{curve}: z = {', '.join(points)}" for curve, points in curves.items()]


def _signed(z: float) -> str:
    return f"{z:+.1f}".replace("-", "−")


HEADER = ("what", "where", "measured", "theory", "z", "explained by")
