"""Profiles of a minimum: the intervals in which they rise by so much, and how far they have risen at a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikecube.scaling.least_squares import Minimum, Problem, best_of, minimise
from spikecube.scaling.types import Array


def profile_ends(
    problem: Problem, minimum: Minimum, curvature: Array, rise: Array, *, iterations: int = 30
) -> tuple[Array, Array]:
    """Where the profile of each parameter, min over the others of the cost, has risen by so much.

    The root of the rise is nearly linear in the distance from the minimum, so false position on it takes few steps;
    each starts on the tangent of the profile's path. An end farther than 100 linearised ones is infinite: the interval
    is open there.

    Parameters
    ----------
    curvature : (B, p, p), (J^T W J)^{-1} at the minimum.
    rise : (B, p), the rise asked for.

    Returns
    -------
    low, high : (B, p).

    References
    ----------
    Venzon and Moolgavkar, Appl. Stat. 37 (1988) 87; Bates and Watts (1988), chapter 6.
    """
    n_sets, n_params = minimum.theta.shape
    item, param, side = (a.ravel() for a in np.indices((n_sets, n_params, 2)))
    sign = 2.0 * side - 1
    centre, aim = minimum.theta[item, param], np.sqrt(rise[item, param])
    own = curvature[item, param, param]
    with np.errstate(divide="ignore", invalid="ignore"):
        tangent = curvature[item, :, param] / own[:, None]
    inside, outside = np.zeros(len(item)), np.full(len(item), np.inf)
    rise_in, rise_out = np.zeros(len(item)), np.full(len(item), np.inf)
    distance = aim * np.sqrt(own)
    limit = 100 * distance
    held = np.zeros(tangent.shape, dtype=bool)
    held[np.arange(len(item)), param] = True
    end = np.full(len(item), np.nan)
    alive = np.isfinite(distance) & np.isfinite(aim) & (distance > 0)
    end[distance == 0] = 0.0
    for _ in range(iterations):
        r = np.flatnonzero(alive)
        if not len(r):
            break
        start = minimum.theta[item[r]] + (sign * distance)[r, None] * tangent[r]
        fit = minimise(problem.rows(item[r]), start, held=held[r], iterations=40)
        risen = np.sqrt(np.maximum(fit.cost - minimum.cost[item[r]], 0.0))
        low = risen < aim[r]
        inside[r], rise_in[r] = np.where(low, [distance[r], risen], [inside[r], rise_in[r]])
        outside[r], rise_out[r] = np.where(low, [outside[r], rise_out[r]], [distance[r], risen])
        done = (np.abs(risen - aim[r]) < 1e-5 * aim[r]) | (outside[r] - inside[r] < 1e-6 * outside[r])
        end[r[done]] = distance[r[done]]
        open_ended = low & (distance[r] >= limit[r])
        end[r[open_ended]] = np.inf
        alive[r] = ~(done | open_ended)
        distance[r] = np.minimum(_next_distance(inside[r], outside[r], rise_in[r], rise_out[r], aim[r]), limit[r])
    end = np.where(np.isnan(end) & alive, np.where(np.isfinite(outside), (inside + outside) / 2, np.inf), end)
    ends = (centre + sign * end).reshape(n_sets, n_params, 2)
    return ends[..., 0], ends[..., 1]


def _next_distance(inside: Array, outside: Array, rise_in: Array, rise_out: Array, aim: Array) -> Array:
    """False position on the root of the rise where it is bracketed, else outwards by at most four times."""
    with np.errstate(divide="ignore", invalid="ignore"):
        outwards = inside * np.clip(aim / rise_in * 1.05, 1.2, 4.0)
        part = (aim - rise_in) / (rise_out - rise_in)
        between = inside + np.clip(part, 0.02, 0.98) * (outside - inside)
    middle = (inside + outside) / 2
    return np.where(np.isfinite(outside), np.where(np.isfinite(rise_out), between, middle), outwards)


def profile_rises(
    problem: Problem, minimum: Minimum, curvature: Array, values: Array, places: Array | None = None
) -> Array:
    """min over the other parameters of the cost with parameter j held at values[:, j], less the minimum; (B, p).

    The search starts on the tangent of the profile's path, as in `profile_ends`, so that it stays on the branch of the
    minimum, and at the other places that are given. Infinite where the law does not allow the value.

    Parameters
    ----------
    curvature : (B, p, p), (J^T W J)^{-1} at the minimum.
    values : (B, p).
    places : (B, p, p), a start for each parameter held.

    Examples
    --------
    >>> x, y = np.array([1.0, 2.0]), np.array([[1.0, 2.0]])
    >>> best = Minimum(np.ones((1, 1)), np.zeros(1), np.ones(1, dtype=bool))
    >>> line = Problem(lambda t: t * x, lambda t: x[:, None] + 0 * t[..., None], y, np.ones((1, 2)))
    >>> float(profile_rises(line, best, np.full((1, 1, 1), 0.2), np.full((1, 1), 3.0))[0, 0])
    20.0
    """
    n_sets, n_params = minimum.theta.shape
    item, param = (a.ravel() for a in np.indices((n_sets, n_params)))
    held = np.arange(n_params) == param[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        tangent = curvature[item, :, param] / curvature[item, param, param][:, None]
    step = (values - minimum.theta)[item, param][:, None] * np.where(np.isfinite(tangent), tangent, 0.0)
    starts = [minimum.theta[item] + step] + ([] if places is None else [places[item, param]])
    with np.errstate(over="ignore", invalid="ignore"):  # a value far away may leave the range of floats
        fit = best_of(
            np.where(held, values[item], np.stack(starts)),
            lambda start: minimise(problem.rows(item), start, held=held, iterations=40),
        )
    return np.asarray(np.maximum(fit.cost - minimum.cost[item], 0.0).reshape(n_sets, n_params))


@dataclass(frozen=True)
class Slices:
    """A law that is linear but for its last parameter b, fitted at every b of a grid.

    Attributes
    ----------
    grid : (B, G), ascending.
    theta, variance : (B, G, q), the linear parameters, and the diagonal of (X^T W X)^-1.
    cost : (B, G).
    """

    grid: Array
    theta: Array
    variance: Array
    cost: Array


def conditional_fits(grid: Array, bases: Array, y: Array, weights: Array) -> Slices:
    """The slices of y = bases @ theta; shapes (B, G), (B, G, K, q), (B, K), (B, K)."""
    size = np.sqrt((bases**2).sum(2))
    scaled = bases / size[:, :, None]
    normal = np.einsum("bgkp,bk,bgkq->bgpq", scaled, weights, scaled, optimize=True)
    inverse = np.linalg.pinv(normal, hermitian=True)
    projected = np.einsum("bgkp,bk->bgp", scaled, weights * y, optimize=True)
    theta = np.einsum("bgpq,bgq->bgp", inverse, projected) / size
    cost = (weights[:, None] * (y[:, None] - np.einsum("bgkp,bgp->bgk", bases, theta, optimize=True)) ** 2).sum(-1)
    return Slices(grid, theta, np.einsum("bgpp->bgp", inverse) / size**2, cost)


def conditional_ends(slices: Slices, cost: Array, rise: Array) -> tuple[Array, Array]:
    """Profile intervals of a law that is linear but for its last parameter b, over a whole grid of b.

    At each b the cost is a parabola in every linear parameter, so the set below the rise is
    theta_j(b) +- s_j(b) sqrt(rise_j + cost - cost(b)), joined over b: no branch of the profile is missed, as a descent
    along it would miss those that b -> 0 opens. A side on which the set reaches the end of the grid is infinite.

    Parameters
    ----------
    cost, rise : the minimum (B,), and the rises (B, q + 1), that of b last.

    Returns
    -------
    low, high : (B, q + 1).

    Examples
    --------
    >>> x, grid = np.array([1.0, 2.0, 4.0]), np.linspace(-1, 1, 2001)[None]
    >>> bases = (x ** grid[..., None])[..., None]
    >>> ones = np.ones((1, 3))
    >>> slices = conditional_fits(grid, bases, ones, ones)
    >>> low, high = conditional_ends(slices, np.zeros(1), np.full((1, 2), 1e-4))
    >>> [round(float(v), 4) for v in (high[0, 1], 0.01 / np.log(2) / 2**0.5)]
    [0.0102, 0.0102]
    """
    low, high = np.full(rise.shape, np.nan), np.full(rise.shape, np.nan)
    for j in range(rise.shape[1]):
        slack = rise[:, j, None] + cost[:, None] - slices.cost
        if j < slices.theta.shape[-1]:
            reach, centre = np.sqrt(np.maximum(slack, 0.0) * slices.variance[..., j]), slices.theta[..., j]
            low[:, j], high[:, j] = _extremes(slices.grid, centre - reach, centre + reach, slack >= 0)
        else:
            low[:, j], high[:, j] = zeros(slices.grid, slack)
    return low, high


def _extremes(grid: Array, lower: Array, upper: Array, inside: Array) -> tuple[Array, Array]:
    """Least and greatest ends over the grid, infinite where they are taken at an end of the grid."""
    ends = np.isclose(grid, grid[:, :1], rtol=1e-6) | np.isclose(grid, grid[:, -1:], rtol=1e-6)
    down, up = np.where(inside, lower, np.inf), np.where(inside, upper, -np.inf)
    at_low, at_high, row = down.argmin(1), up.argmax(1), np.arange(len(lower))
    low = np.where(ends[row, at_low], -np.inf, down[row, at_low])
    return low, np.where(ends[row, at_high], np.inf, up[row, at_high])


def zeros(grid: Array, slack: Array) -> tuple[Array, Array]:
    """First and last zero of slack along the grid, linearly interpolated; infinite where it is positive at an end."""
    row, last = np.arange(len(slack)), slack.shape[1] - 1
    first, final = (slack >= 0).argmax(1), last - (slack[:, ::-1] >= 0).argmax(1)

    def cross(inner: Array, outer: Array) -> Array:
        a, b = slack[row, inner], slack[row, outer]
        part = np.where(a > b, a / np.where(a > b, a - b, 1.0), 0.0)
        return np.asarray(grid[row, inner] + part * (grid[row, outer] - grid[row, inner]))

    low = np.where(first == 0, -np.inf, cross(first, np.maximum(first - 1, 0)))
    return low, np.where(final == last, np.inf, cross(final, np.minimum(final + 1, last)))


def conditional_rises(slices: Slices, minimum: Minimum, low: Array, high: Array, values: Array) -> Array:
    """The same for `conditional_ends`: the least rise at which its interval (low, high) would reach the `values`.

    For a linear parameter that is the least over b of cost(b) + (distance of theta_j(b) to what is beyond the
    value)^2/s_j^2, for b itself the least cost beyond it on the linear interpolation of the grid. Where an interval is
    open the end of the grid reaches every value.
    """
    rises = np.full(values.shape, np.nan)
    for j in range(values.shape[1]):
        below = values[:, j] < minimum.theta[:, j]
        if j < slices.theta.shape[-1]:
            beyond = (slices.theta[..., j] - values[:, j, None]) * np.where(below, 1.0, -1.0)[:, None]
            least = (slices.cost + np.maximum(beyond, 0.0) ** 2 / slices.variance[..., j]).min(1)
        else:
            least = np.array([_beyond(*row) for row in zip(slices.grid, slices.cost, values[:, j], below, strict=True)])
        open_ended = np.isinf(np.where(below, low[:, j], high[:, j]))
        edge = np.minimum(slices.cost[:, 0], slices.cost[:, -1])
        rises[:, j] = np.where(open_ended, np.minimum(least, edge), least) - minimum.cost
    return np.asarray(np.maximum(rises, 0.0))


def _beyond(grid: Array, costs: Array, value: float, below: bool) -> float:
    """The least cost at `value` and beyond it on the side away from the minimum."""
    inside = min(max(value, grid[0]), grid[-1])
    rest = costs[grid <= inside] if below else costs[grid >= inside]
    return float(min(np.interp(inside, grid, costs), rest.min()))


def fieller(ratio: Array, covariance: Array, reach: float) -> tuple[float, float]:
    """All z with |b - z a| within `reach` standard errors of it, (a, b) = ratio; open where a is not resolved from 0.

    References
    ----------
    Fieller, J. R. Stat. Soc. B 16 (1954) 175.
    """
    a, b = (float(v) for v in ratio)
    square = a**2 - reach**2 * covariance[0, 0]
    if square <= 0:
        return -np.inf, np.inf
    middle = a * b - reach**2 * covariance[0, 1]
    root = np.sqrt(max(middle**2 - square * (b**2 - reach**2 * covariance[1, 1]), 0.0))
    return (middle - root) / square, (middle + root) / square
