"""How many coefficients the curves of a collapse have."""

from __future__ import annotations

import numpy as np

from spikecube.scaling.collapse_ansatz import Ansatz
from spikecube.scaling.master_curve import Points, reduce
from spikecube.scaling.types import Array

LEAST_POINTS = 24
_BASES = (6, 8, 10, 12, 16, 20, 24, 32, 40)
_POINTS_EACH = 5  # points for each coefficient of the spline


def spline_size(n_points: int) -> int:
    """Coefficients of the spline: a rule that does not look at the data, so that it costs no test its level."""
    return int(np.clip(n_points // _POINTS_EACH, _BASES[0], _BASES[-1]))


def spline_sizes(points: Points) -> tuple[int, ...]:
    """Coefficients of the spline of each part."""
    return tuple(spline_size(int(count)) for count in np.bincount(points.parts))


def richer_sizes(points: Points) -> list[tuple[int, ...]]:
    """Splines with more coefficients than the rule's, up to one for two points, the smallest first.

    >>> points = Points(*np.zeros((4, 60)))
    >>> spline_sizes(points), richer_sizes(points)
    ((12,), [(16,), (20,), (24,), (30,)])
    """
    own, most = spline_sizes(points), [int(count) // 2 for count in np.bincount(points.parts)]
    ladder = [tuple(max(min(b, m), o) for o, m in zip(own, most, strict=True)) for b in _BASES]
    return [sizes for sizes in dict.fromkeys(ladder) if sizes != own]


def frugal_sizes(form: Ansatz, points: Points, theta: Array) -> tuple[int, ...]:
    """For each part the number of coefficients with the least corrected Akaike criterion, at most the full one."""
    return tuple(_frugal_size(form, points.keep(points.parts == k), theta) for k in range(points.parts.max() + 1))


def _frugal_size(form: Ansatz, points: Points, theta: Array) -> int:
    n_points = len(points.y)

    def aicc(n_basis: int) -> float:
        p = n_basis + len(form.names) + 1
        cost = max(reduce(form, points, theta, n_basis).cost, np.finfo(float).tiny)
        return float(n_points * np.log(cost / n_points) + 2 * p + 2 * p * (p + 1) / max(n_points - p - 1, 1e-9))

    return min((b for b in _BASES if b <= spline_size(n_points)), key=aicc)


def shortfall(points: Points) -> str:
    """A sentence on points that are too few for a collapse."""
    n_points, n_sizes = min(
        (len(own), len(set(own)))
        for own in (points.size[points.parts == k] for k in range(points.parts.max(initial=0) + 1))
    )
    return (
        f"The data have fewer sizes or points than a collapse needs, {n_points} of {n_sizes} sizes where at least "
        f"{LEAST_POINTS} of 3 are needed: no estimate is given."
    )
