"""The minimum of a collapse: a coarse grid, descents from its best points, and a window that is that of the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikecube.scaling.master_curve import Ansatz, Points, descend, reduce
from spikecube.scaling.types import Array

LEAST_POINTS = 24
_STARTS = 5
_COARSE = 250  # points of the coarse search
_COARSE_BASIS = 8
_BASES = (6, 8, 10, 12, 16, 20, 24, 32, 40)
_POINTS_EACH = 5  # points for each coefficient of the spline
_ROUNDS = 40  # of a window


@dataclass(frozen=True)
class Minimum:
    """The best parameters, where the three best starts ended, which points were used, and whether all came to rest.

    `astray` points are inside the window at theta and not used, or used and not inside: 0 unless it does not settle.
    """

    theta: Array
    ends: Array
    used: Array
    astray: int
    at_rest: bool

    @property
    def agreed(self) -> bool:
        """Whether at least two starts ended in the best minimum."""
        return len(self.ends) < 2 or sum(self.ends < self.ends.min() * (1 + 1e-3) + 1e-12) > 1


@dataclass(frozen=True)
class Window:
    """The mask (P,) of the points inside at given parameters, and the points of a mask with their weights."""

    inside: Callable[[Array], Array]
    select: Callable[[Array], Points]


def search(form: Ansatz, points: Points, held: dict[str, float], free: Array, window: Window | None = None) -> Minimum:
    """The minimum over all points, or over those that a window holds at the minimum itself.

    Parameters
    ----------
    held : parameters with a value of their own, in the units of the points.
    """
    starts = _starts(form, points, held)
    theta, ends, rest = _descents(form, points, starts, free)
    if window is None:
        return Minimum(theta, ends, np.ones(len(points.y), dtype=bool), 0, at_rest=rest)
    mask, seen = window.inside(theta), set[bytes]()
    theta, ends, rest = _descents(form, window.select(mask), [theta, *starts], free)
    for _ in range(_ROUNDS):
        new = window.inside(theta)
        if (new == mask).all():
            best, ends, rest = _descents(form, window.select(mask), [theta, *starts], free)
            if (window.inside(best) == mask).all():
                return Minimum(best, ends, mask, 0, at_rest=rest)
            theta, new = best, window.inside(best)
        if new.tobytes() in seen:
            break
        seen.add(new.tobytes())
        mask = new
        theta, _, rest = descend(form, window.select(mask), theta, spline_size(mask.sum()), free)
    return Minimum(theta, ends, mask, int((window.inside(theta) != mask).sum()), at_rest=rest)


def spline_size(n_points: int) -> int:
    """Coefficients of the spline: a rule that does not look at the data, so that it costs no test its level."""
    return int(np.clip(n_points // _POINTS_EACH, _BASES[0], _BASES[-1]))


def frugal_size(form: Ansatz, points: Points, theta: Array) -> int:
    """The number of coefficients with the least corrected Akaike criterion, at most that of the full spline."""
    n_points = len(points.y)

    def aicc(n_basis: int) -> float:
        p = n_basis + len(form.params) + 1
        cost = max(reduce(form, points, theta, n_basis).cost, np.finfo(float).tiny)
        return float(n_points * np.log(cost / n_points) + 2 * p + 2 * p * (p + 1) / max(n_points - p - 1, 1e-9))

    return min((b for b in _BASES if b <= spline_size(n_points)), key=aicc)


def _grid(form: Ansatz, points: Points, held: dict[str, float]) -> list[Array]:
    """Coarse parameters to start from."""
    low, high = np.quantile(points.control, [0.05, 0.95])
    axes = {
        "critical": np.linspace(low, high, 15 if form.name == "log" else 9),
        "nu": np.array([0.4, 0.7, 1.0, 1.6, 2.5]),
        "zeta": np.array([-1.0, -0.4, 0.0, 0.4, 1.0]),
        "field": np.zeros(1),
        "correction_exponent": np.ones(1),
    }
    chosen = [np.array([held[name]]) if name in held else axes[name] for name in form.params]
    return list(np.stack([a.ravel() for a in np.meshgrid(*chosen, indexing="ij")], axis=1))


def _starts(form: Ansatz, points: Points, held: dict[str, float]) -> list[Array]:
    """The best of the grid, on a thinned set of points of every size."""
    order = np.lexsort((points.control, points.size))
    thinned = points.keep(order[:: max(len(order) // _COARSE, 1)])
    return sorted(_grid(form, points, held), key=lambda t: reduce(form, thinned, t, _COARSE_BASIS).cost)[:_STARTS]


def _descents(form: Ansatz, points: Points, starts: list[Array], free: Array) -> tuple[Array, Array, bool]:
    """The best end of all starts, where the three best of them ended, and whether the best came to rest.

    All start with a small spline, the three best go on with a frugal one, and the best of these with the full one. A
    rich spline through noise has many poor minima; a descent that begins in the right one stays there.
    """
    if not len(free):
        return starts[0], np.zeros(1), True
    found = sorted((descend(form, points, start, _COARSE_BASIS, free) for start in starts), key=lambda f: f[1])
    n_basis = frugal_size(form, points, found[0][0])
    again = sorted((descend(form, points, start, n_basis, free) for start, _, _ in found[:3]), key=lambda f: f[1])
    theta, _, rest = descend(form, points, again[0][0], spline_size(len(points.y)), free)
    return theta, np.array([f[1] for f in again]), rest
