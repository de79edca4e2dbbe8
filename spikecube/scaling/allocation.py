"""Seeds where they pay: the cheapest numbers of replicates at each size that give several estimates their half-widths.

An estimate c.theta of a law with slopes G (K, p) at K sizes, fitted to means of m_j seeds of variance v_j, has the
variance c^T M^{-1} c with M = sum_j m_j G_j G_j^T / v_j. It is convex in m, so multipliers certify the cheapest
m.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from scipy import optimize, stats

from spikecube.scaling.errors import FitError
from spikecube.scaling.regression import LEVEL
from spikecube.scaling.types import Array

LEAST_SEEDS = 5  # at a size that takes part: fewer give no error worth a lack-of-fit test
SPARE_SIZES = 2  # sizes beyond the number of parameters, for the lack-of-fit test
_GAP = 1e-6  # between the cost and its lower bound, relative
_NEWTON = 100


@dataclass(frozen=True)
class Aim:
    """One estimate c.theta and the half-width that it shall have.

    Attributes
    ----------
    direction : (p,), c.
    slopes : (K, p), the law's slopes in its parameters at each size, in units of the data.
    variance : (K,), of one seed; inf at a size that says nothing.
    half_width : of the 95 per cent interval, in units of the estimate.
    sizes : (K,), for a name of the rows.
    """

    direction: Array
    slopes: Array
    variance: Array
    half_width: float
    sizes: Array = field(default_factory=lambda: np.empty(0))

    @property
    def rows(self) -> Array:
        """G_j/sqrt(v_j), (K, p)."""
        return np.asarray(self.slopes / np.sqrt(self.variance)[:, None])

    def restrict(self, some: Array) -> Aim:
        """The aim with the sizes of a mask (K,) alone."""
        return replace(self, slopes=self.slopes[some], variance=self.variance[some], sizes=self.sizes[some])


@dataclass(frozen=True)
class Allocation:
    """How many seeds at each size, and what they give.

    Attributes
    ----------
    seeds : (K,), whole numbers.
    ideal : (K,), the optimum of the convex problem, before rounding.
    half_width : (T,), of each aim with `seeds`.
    sensitivity : (K,), what one more unit of cost at a size would save elsewhere: at most 1 at the optimum, and 1 where
        more than the least number of seeds is spent (Kiefer and Wolfowitz; Elfving).
    """

    seeds: Array
    ideal: Array
    half_width: Array
    sensitivity: Array


def variance_of(aim: Aim, seeds: Array) -> tuple[float, Array]:
    """c^T M^{-1} c, and its derivatives in the seeds, (K,): minus (c^T M^{-1} G_j)^2 / v_j.

    >>> aim = Aim(np.array([1.0]), np.ones((2, 1)), np.array([1.0, 4.0]), 0.1)
    >>> variance_of(aim, np.array([4.0, 16.0]))
    (0.125, array([-0.015625  , -0.00390625]))
    """
    rows = aim.rows
    solved = np.linalg.lstsq(rows.T * seeds @ rows, aim.direction, rcond=1e-14)[0]
    return float(aim.direction @ solved), -((rows @ solved) ** 2)


def half_width_of(aim: Aim, seeds: Array) -> float:
    """The expected half-width of the interval from `seeds`: t (Satterthwaite) times the standard error."""
    variance, slopes = variance_of(aim, seeds)
    terms = -slopes * seeds
    dof = terms.sum() ** 2 / (terms**2 / np.maximum(seeds - 1.0, 0.5)).sum() if variance > 0 else np.inf
    return float(stats.t.ppf((1 + LEVEL) / 2, dof) * np.sqrt(variance))


def allocate(aims: Sequence[Aim], cost: Array, *, least: Array | None = None) -> Allocation:
    """The cheapest seeds whose intervals are as short as every aim asks, at least `least` of them at each size.

    minimise sum_j cost_j m_j subject to t_a^2 c_a^T M_a(m)^{-1} c_a <= h_a^2 for every aim a, and m_j >= least_j.

    Parameters
    ----------
    aims : one or more, on the same K sizes.
    cost : (K,), of one seed at each size, in any unit.
    least : (K,), fewest seeds at each size; by default `support` chooses where there are at least LEAST_SEEDS.

    Raises
    ------
    ValueError
        If the sizes do not determine an estimate.

    References
    ----------
    Kiefer and Wolfowitz, Can. J. Math. 12 (1960) 363; Elfving, Ann. Math. Stat. 23 (1952) 255; Pukelsheim, Optimal
    Design of Experiments (1993), chapters 2 and 7.

    Examples
    --------
    For the mean of one quantity all money goes where a unit of it buys most:

    >>> aim = Aim(np.array([1.0]), np.ones((2, 1)), np.array([1.0, 4.0]), 0.1)
    >>> allocate([aim], np.array([1.0, 1.0]), least=np.zeros(2)).seeds.tolist()
    [387, 0]
    """
    for aim in aims:
        if not determined(aim):
            raise _undetermined(aim)
    floor = support(aims, cost) * LEAST_SEEDS if least is None else np.asarray(least, dtype=float)
    start = np.maximum(sum(elfving(a, cost)[0] for a in aims) / len(aims), 1e-3) / cost
    quantiles = np.full(len(aims), 1.96)
    for _ in range(4):  # the quantile of t depends a little on the seeds
        if len(aims) == len(aims[0].direction) == 1:
            ideal, sensitivity = _of_one_mean(aims[0], cost, floor, quantiles[0])
        else:
            ideal, sensitivity = _by_barrier(aims, cost, floor, quantiles, start)
        found = np.array([half_width_of(a, ideal) / np.sqrt(max(variance_of(a, ideal)[0], 1e-300)) for a in aims])
        if np.allclose(found, quantiles, rtol=1e-4):
            break
        quantiles = found
    seeds = _whole(aims, cost, floor, ideal)
    return Allocation(seeds, ideal, np.array([half_width_of(a, seeds) for a in aims]), sensitivity)


def determined(aim: Aim) -> bool:
    """Whether the direction lies in the span of the slopes at sizes that say something."""
    rows = aim.rows / np.maximum(np.linalg.norm(aim.rows, axis=0), 1e-300)
    scaled = aim.direction / np.maximum(np.linalg.norm(aim.rows, axis=0), 1e-300)
    left = scaled - rows.T @ np.linalg.lstsq(rows.T, scaled, rcond=1e-12)[0]
    return bool(np.linalg.norm(left) <= 1e-6 * np.linalg.norm(scaled))


def _undetermined(aim: Aim) -> FitError:
    sizes = int(np.isfinite(aim.variance).sum())
    return FitError(f"{sizes} sizes do not determine {len(aim.direction)} parameters: allow more sizes")


def elfving(aim: Aim, cost: Array) -> tuple[Array, Array]:
    """Shares (K,) of the cost of the best design for one aim without least numbers, and its certificate |u.f_j| <= 1.

    A linear programme: min sum |z_j| with sum z_j f_j = c and f_j = G_j/sqrt(v_j cost_j); the shares are |z|/sum |z|.

    >>> aim = Aim(np.array([0.0, 1.0]), np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.ones(3), 0.1)
    >>> elfving(aim, np.ones(3))[0].round(6).tolist()
    [0.5, 0.0, 0.5]
    """
    rows = aim.rows / np.sqrt(cost)[:, None]
    if rows.shape[1] == 1:  # the one size where a unit of cost says most
        size = np.abs(rows[:, 0])
        return (np.arange(len(size)) == size.argmax()).astype(float), size / size.max()
    unit = np.maximum(np.abs(rows).max(axis=0), 1e-300)
    rows, target = rows / unit, aim.direction / unit
    scale = np.abs(target).max()
    found = optimize.linprog(np.ones(2 * len(rows)), A_eq=np.hstack([rows.T, -rows.T]), b_eq=target / scale)
    if found.x is None:
        raise _undetermined(aim)
    z = np.abs(found.x[: len(rows)] - found.x[len(rows) :])
    return z / z.sum(), np.abs(rows @ found.eqlin.marginals)


def support(aims: Sequence[Aim], cost: Array) -> Array:
    """Sizes (K,) that must take part: of each aim's best design, the cheapest between for the lack-of-fit test."""
    chosen = np.zeros(len(cost), dtype=bool)
    for aim in aims:
        shares, _ = elfving(aim, cost)
        own = shares > 1e-6
        usable = np.flatnonzero(np.isfinite(aim.variance))
        inside = [j for j in usable if np.flatnonzero(own).min() <= j <= np.flatnonzero(own).max()]
        order = sorted(usable, key=lambda j: (j not in inside, cost[j]))
        wanted = len(aim.direction) + SPARE_SIZES if len(aim.direction) > 1 else 1
        for j in order:
            if own.sum() >= min(wanted, len(usable)):
                break
            own[j] = True
        chosen |= own
    return chosen.astype(float)


def _of_one_mean(aim: Aim, cost: Array, floor: Array, quantile: float) -> tuple[Array, Array]:
    """As `_by_barrier` for one aim of one parameter: all beyond the floor goes where a unit of cost says most."""
    says = (aim.rows[:, 0] / aim.direction[0]) ** 2
    lacks = (quantile / aim.half_width) ** 2 - says @ floor
    worth = says / cost
    best = np.arange(len(cost)) == worth.argmax()
    return floor + best * max(lacks, 0.0) / says.max(where=best, initial=0.0), worth / worth.max() * (lacks > 0)


def _by_barrier(aims: Sequence[Aim], cost: Array, floor: Array, quantiles: Array, start: Array) -> tuple[Array, Array]:
    """Real seeds (K,) and the sensitivities (K,), by a barrier method in units of the cost from any positive seeds."""
    allowed = np.array([(a.half_width / q) ** 2 for a, q in zip(aims, quantiles, strict=True)])
    worst = max(variance_of(a, start)[0] / b for a, b in zip(aims, allowed, strict=True))
    start = 2 * start * worst + 2 * floor
    unit = (start * cost).sum() / cost
    least, x, weight = floor / unit, start / unit, 10.0
    pairs = [_orthonormal(a, np.sqrt(unit * b)) for a, b in zip(aims, allowed, strict=True)]
    rows, directions = zip(*pairs, strict=True)
    while (len(x) + len(aims)) / weight >= _GAP * x.sum():  # the way there need not be exact
        x, _, _ = _centre(rows, directions, x, least, weight, 1e-2)
        weight *= 10.0
    x, multipliers, slopes = _centre(rows, directions, x, least, weight, 1e-10)
    return x * unit, multipliers @ slopes


def _orthonormal(aim: Aim, scale: Array) -> tuple[Array, Array]:
    """The rows times `scale` in parameters in which they are orthonormal, and the direction in these."""
    q, r = np.linalg.qr(aim.rows * scale[:, None])
    return q, np.linalg.solve(r.T, aim.direction)


def _centre(
    rows: Sequence[Array], directions: Sequence[Array], x: Array, least: Array, weight: float, within: float
) -> tuple[Array, Array, Array]:
    """The minimum of weight sum(x) - sum_a log(1 - variance_a(x)) - sum_j log(x_j - least_j), `within` so much of it.

    Returns x (K,), the multipliers (T,) and the slopes -d variance_a/dx_j (T, K) there.
    """

    def variances(x: Array) -> tuple[Array, Array, list[Array]]:
        values, slopes, bends = [], [], []
        for f, c in zip(rows, directions, strict=True):
            inverse = np.linalg.inv(f.T * x @ f)
            pull = f @ (inverse @ c)
            values.append(c @ inverse @ c)
            slopes.append(pull**2)
            bends.append(2 * np.outer(pull, pull) * (f @ inverse @ f.T))
        return np.array(values), np.array(slopes), bends

    def barrier(x: Array, values: Array) -> float:
        if (x <= least).any() or (values >= 1).any():
            return np.inf
        return float(weight * x.sum() - np.log(1 - values).sum() - np.log(x - least).sum())

    values, slopes, bends = variances(x)
    for _ in range(_NEWTON):
        slack, room = 1 - values, x - least
        gradient = weight - slopes.T @ (1 / slack) - 1 / room
        bend = sum(b / s + np.outer(g, g) / s**2 for b, g, s in zip(bends, slopes, slack, strict=True))
        curvature = bend * np.outer(room, room) + np.eye(len(x))  # in units of the room, which tames the scales
        step = -room * np.linalg.solve(curvature, room * gradient)
        decrement, length, here = -gradient @ step, 1.0, barrier(x, values)
        while length > 1e-12:
            moved = variances(x + length * step) if (x + length * step > least).all() else None
            if moved is not None and barrier(x + length * step, moved[0]) <= here - 0.1 * length * decrement:
                x, (values, slopes, bends) = x + length * step, moved
                break
            length /= 2
        if decrement < within or length <= 1e-12:
            break
    return x, 1 / (weight * (1 - values)), slopes


def _whole(aims: Sequence[Aim], cost: Array, floor: Array, ideal: Array) -> Array:
    """Whole seeds near the optimum that keep every half-width: rounded up, then taken back, the dearest first.

    A size that need not take part has LEAST_SEEDS or none, since fewer have no error that a fit could use.
    """
    least = np.ceil(floor)
    kept = ideal > np.where(least > 0, least + 0.05, LEAST_SEEDS / 2)
    seeds = np.where(kept, np.maximum(np.ceil(ideal), np.where(least > 0, 2.0, LEAST_SEEDS)), least)

    def enough(trial: Array) -> bool:
        return all(half_width_of(a, trial) <= a.half_width * (1 + 1e-9) for a in aims)

    def enough_with(j: int, count: int) -> bool:
        return enough(np.where(np.arange(len(seeds)) == j, count, seeds))

    while not enough(seeds):
        seeds = np.where(seeds > 0, np.ceil(seeds * 1.01), 0.0)
    for j in np.argsort(-cost):
        fewest = int(max(least[j], min(seeds[j], 2.0 if least[j] > 0 else LEAST_SEEDS)))
        seeds[j] = fewest + bisect_left(range(fewest, int(seeds[j])), True, key=partial(enough_with, int(j)))
    return seeds.astype(np.int64)
