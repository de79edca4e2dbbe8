"""The minimum of a collapse: a coarse grid, descents from its best points, and a window that is that of the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from spikecube.scaling.collapse_ansatz import Ansatz
from spikecube.scaling.collapse_root import settle
from spikecube.scaling.master_curve import Points, descend, frugal_sizes, spline_sizes
from spikecube.scaling.splines import Spline
from spikecube.scaling.types import Array

_STARTS = 5
_ALL_STARTS = 15  # where these do not agree
_AGREE = 3  # starts that end in one minimum, after which no other is tried
_COARSE = 250  # points of the coarse search
_COARSE_BASIS = 8
_ROUNDS = 40  # of a window
_ZETAS = np.array([-1.0, -0.4, 0.0, 0.4, 1.0])
_CLOSE = 1e-6  # relative gain at which a descent with a small spline ends
_ONE = 1e-6  # part by which two findings of one root differ
_LARGEST = 300.0  # of the logarithm of a prefactor


@dataclass(frozen=True)
class SearchEnd:
    """Where the search ended.

    Attributes
    ----------
    theta : (p,), the best parameters in the units of the search.
    ends : (3,) or fewer, sums of squares where the three best starts ended.
    used : (P,), which points were used.
    astray : points inside the window at theta and not used, or used and not inside: 0 unless it does not settle.
    at_rest : whether all came to rest.
    """

    theta: Array
    ends: Array
    used: Array
    astray: int
    at_rest: bool

    @property
    def agreed(self) -> bool:
        """Whether at least two starts ended in the best minimum."""
        return _agree(self.ends)


@dataclass(frozen=True)
class Window:
    """Functions: `inside`, of parameters (p,), is the mask (P,) of the points inside; `select` takes them."""

    inside: Callable[[Array], Array]
    select: Callable[[Array], Points]


def search(
    form: Ansatz,
    points: Points,
    held: dict[str, float],
    free: Array,
    window: Window | None = None,
    near: Array | None = None,
) -> SearchEnd:
    """The minimum over all points, or over those that a window holds at the minimum itself.

    Parameters
    ----------
    held : parameters with a value of their own, in the units of the points.
    near : parameters from which the only descent starts.
    """
    starts = _starts(form, points, held) if near is None else [near]
    theta, ends, rest = _descents(form, points, starts, free)
    if window is None:
        return SearchEnd(theta, ends, np.ones(len(points.y), dtype=bool), 0, at_rest=rest)
    return _settled(form, window, theta, starts, free)


def _settled(form: Ansatz, window: Window, theta: Array, starts: list[Array], free: Array) -> SearchEnd:
    """The minimum over the points that a window holds at it; where there is none, that with the fewest astray."""
    mask, seen, nearest = window.inside(theta), set[bytes](), None
    theta, ends, rest = _descents(form, window.select(mask), [theta, *starts], free)
    for _ in range(_ROUNDS):
        new = window.inside(theta)
        if (new == mask).all():
            theta, ends, rest = _descents(form, window.select(mask), [theta, *starts], free)
            new = window.inside(theta)
        found = SearchEnd(theta, ends, mask, int((new != mask).sum()), at_rest=rest)
        if nearest is None or found.astray < nearest.astray:
            nearest = found
        if new.tobytes() in seen:  # going round: one point at a time
            new = np.where(np.arange(len(mask)) == (new != mask).argmax(), new, mask)
        if not nearest.astray or new.tobytes() in seen:
            break
        seen.add(new.tobytes())
        mask, chosen = new, window.select(new)
        theta, rest = settle(form, chosen, theta, free)
    assert nearest is not None
    return nearest


def _grid(form: Ansatz, points: Points, held: dict[str, float]) -> list[Array]:
    """Coarse parameters to start from; zetas are chosen at each of them."""
    low, high = np.quantile(points.control, [0.05, 0.95])
    axes = {
        "critical": np.linspace(low, high, 15 if form.name == "log" else 9),
        "nu": np.array([0.4, 0.7, 1.0, 1.6, 2.5, -0.4, -0.7, -1.0, -1.6, -2.5]),
        "correction_exponent": np.ones(1),
    }
    chosen = [np.array([held[name]]) if name in held else axes.get(name, np.zeros(1)) for name in form.params]
    return list(np.stack([a.ravel() for a in np.meshgrid(*chosen, indexing="ij")], axis=1))


def _starts(form: Ansatz, points: Points, held: dict[str, float]) -> list[Array]:
    """The best of the grid, on a thinned set of points of every size."""
    order = np.lexsort((points.control, points.size))
    thinned = replace(points, blocks=None).keep(order[:: max(len(order) // _COARSE, 1)])
    parts = [_Ranked.of(thinned.keep(thinned.parts == k)) for k in range(thinned.parts.max() + 1)]
    tried = [start for theta in _grid(form, points, held) for start in _with_zetas(form, parts, theta, held)]
    return [theta for _, theta in sorted(tried, key=lambda t: t[0])[:_ALL_STARTS]]


def _with_zetas(form: Ansatz, parts: list[_Ranked], theta: Array, held: dict[str, float]) -> list[tuple[float, Array]]:
    """Minus twice the log likelihoods, up to a constant, and theta with zetas: the best, then the next best of all."""
    logs, tried = [], []
    for k, ranked in enumerate(parts):
        own = form.zetas[k] if form.zetas else None
        zetas = np.zeros(1) if own is None else np.array([held.get(form.params[own], np.nan)])
        zetas = _ZETAS if np.isnan(zetas[0]) else zetas
        costs = ranked.costs(form, theta, np.zeros(1) if own is None else zetas / form.named(theta)["nu"])
        order = costs.argsort(kind="stable")
        logs.append(len(ranked.points.y) * np.log(np.maximum(costs[order], np.finfo(float).tiny)))
        tried.append(zetas[order])
    found = []
    for rank in range(min(len(z) for z in tried)):
        moved = theta.copy()
        moved[form.zetas] = [z[rank] for z in tried] if form.zetas else []
        found.append((float(sum(cost[rank] for cost in logs)), moved))
    return found


@dataclass(frozen=True)
class _Ranked:
    """Points of one part, and small splines of f and g through the rank of u, which are the same for all parameters."""

    points: Points
    splines: tuple[Array, Array]

    @classmethod
    def of(cls, points: Points) -> _Ranked:
        rank = np.arange(len(points.y), dtype=float)
        return cls(points, (Spline.through(rank, _COARSE_BASIS).basis(rank), Spline.through(rank, 5).basis(rank)))

    def costs(self, form: Ansatz, theta: Array, powers: Array) -> Array:
        """Sums of squares about a small curve for prefactors n^power, all at one u; (len(powers),)."""
        points = self.points
        scaled = form.places(theta, points.size, points.control, points.parts)
        rank = np.empty(len(scaled.u), dtype=int)
        rank[scaled.u.argsort(kind="stable")] = np.arange(len(rank))
        basis = self.splines[0][rank]
        if scaled.decay is not None:
            basis = np.concatenate([basis, scaled.decay[:, None] * self.splines[1][rank]], axis=1)
        prefactor = np.minimum(np.maximum(powers[:, None] * np.log(points.size), -_LARGEST), _LARGEST)
        factor, y = np.exp(np.where(points.log, 0.0, prefactor)), points.y - np.where(points.log, prefactor, 0.0)
        squares = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)
        normal = ((points.weight * factor**2) @ squares).reshape(len(powers), basis.shape[1], -1)
        right = (points.weight * factor * y) @ basis
        length = np.sqrt(np.maximum(np.einsum("zkk->zk", normal), 1e-300))
        normal = normal / (length[:, :, None] * length[:, None, :]) + 1e-10 * np.eye(basis.shape[1])
        inner = np.linalg.solve(normal, (right / length)[..., None])[..., 0]
        return np.asarray((points.weight * y**2).sum(1) - np.einsum("zk,zk->z", right / length, inner))


def _descents(form: Ansatz, points: Points, starts: list[Array], free: Array) -> tuple[Array, Array, bool]:
    """The best end of the first starts; of all of them, where no two of the first agree on it."""
    few, many = starts[:_STARTS], starts[_STARTS:]
    theta, ends, rest = _descents_of(form, points, few, free)
    if _agree(ends) or not many:
        return theta, ends, rest
    other, more, at_rest = _descents_of(form, points, many, free)
    both = np.sort(np.concatenate([ends, more]))[:3]
    return (other, both, at_rest) if more.min() < ends.min() else (theta, both, rest)


def _descents_of(form: Ansatz, points: Points, starts: list[Array], free: Array) -> tuple[Array, Array, bool]:
    """The best end of all starts, where the three best of them ended, and whether the best came to rest.

    All start with a small spline, the three best go on with a frugal one, and the best of these settles. A rich spline
    through noise has many poor minima. Starts whose minima settle at one root ended in one.
    """
    if not len(free):
        return starts[0], np.zeros(1), True
    found: list[tuple[Array, float, bool]] = []
    small = tuple(int(np.clip(size // 3, _COARSE_BASIS, 12)) for size in spline_sizes(points))
    for start in starts:
        found.append(descend(form, points, start, small, free, close=_CLOSE))
        found.sort(key=lambda f: f[1])
        if sum(_same(f[0], found[0][0]) for f in found) >= _AGREE:
            break
    sizes = frugal_sizes(form, points, found[0][0])
    again: list[tuple[Array, float, bool]] = []
    for k, (theta, _, _) in enumerate(found[:3]):
        twin = next((j for j in range(k) if _same(found[j][0], theta)), None)
        again.append(descend(form, points, theta, sizes, free, close=_CLOSE) if twin is None else again[twin])
    again.sort(key=lambda f: f[1])
    theta, rest = settle(form, points, again[0][0], free)
    ends = np.array([cost for _, cost, _ in again])
    if rest and not _agree(ends):  # two minima of a frugal spline may belong to one root
        other, at_rest = settle(form, points, again[1][0], free)
        ends[1] = ends[0] if at_rest and np.allclose(other, theta, rtol=_ONE, atol=_ONE) else ends[1]
    return theta, ends, rest


def _agree(ends: Array) -> bool:
    """Whether at least two starts ended in the best minimum."""
    return len(ends) < 2 or sum(ends < ends.min() * (1 + 1e-3) + 1e-12) > 1


def _same(one: Array, other: Array) -> bool:
    """Whether two descents ended in one place."""
    return bool((np.abs(one - other) <= 1e-3 * (1 + np.abs(other))).all())
