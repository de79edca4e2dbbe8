"""Weighted nonlinear least squares for a batch of small data sets at once, and profiles of its minimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikecube.scaling.arrays import Array

_TINY = np.finfo(float).tiny
_EXACT = 1e-30  # a weighted sum of squares below this part of the data's own is a perfect fit
_STUCK = 1e15  # no damping beyond this: the step is below rounding

Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Minimum:
    """theta (B, p), the weighted sum of squares (B,), and whether the gradient vanishes there (B,)."""

    theta: Array
    cost: Array
    converged: Array


def weighted_cost(value: Function, theta: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Residuals (B, K) and sum_k w_k r_k^2 (B,), infinite outside the domain of the law."""
    with np.errstate(over="ignore", invalid="ignore"):
        residual = np.where(weights > 0, y - value(theta), 0.0)
        cost = (weights * residual**2).sum(-1)
    return residual, np.where(np.isfinite(cost), cost, np.inf)


def _step(jacobian: Array, residual: Array, weights: Array, damping: Array, scale: Array) -> tuple[Array, Array]:
    """The damped Gauss-Newton step, and the largest cosine between the residual and a column of the Jacobian.

    `scale` (B, p), the longest each column has been, is updated in place.
    """
    root = np.sqrt(weights)
    design = root[..., None] * jacobian
    gradient = np.einsum("bkp,bk->bp", design, root * residual)
    normal = np.einsum("bkp,bkq->bpq", design, design)
    size = np.sqrt(np.einsum("bpp->bp", normal))
    size = np.where(size > 0, size, 1.0)
    np.maximum(scale, size, out=scale)
    normal = normal / (size[:, :, None] * size[:, None, :])
    diagonal = np.arange(normal.shape[-1])
    with np.errstate(over="ignore"):  # a column that vanished far from where it was long
        normal[:, diagonal, diagonal] = 1 + damping[:, None] * (scale / size) ** 2
    step = np.linalg.solve(normal, (gradient / size)[..., None])[..., 0] / size
    length = np.sqrt((weights * residual**2).sum(-1))
    return step, (np.abs(gradient) / (size * length[:, None] + _TINY)).max(-1)


def minimise(
    value: Function,
    jacobian: Function,
    y: Array,
    weights: Array,
    start: Array,
    *,
    held: Array | None = None,
    iterations: int = 200,
) -> Minimum:
    """Levenberg-Marquardt for sum_k w_k (y_k - f_k(theta))^2, every data set with a damping of its own.

    Parameters
    ----------
    value, jacobian : theta (B, p) -> (B, K) and (B, K, p); NaN outside the domain.
    y, weights : (B, K); a weight of zero leaves a point out.
    start : (B, p).
    held : (B, p) bool, parameters that keep their starting value.

    References
    ----------
    Marquardt, J. SIAM 11 (1963) 431; More, Lect. Notes Math. 630 (1978) 105 for the scaling by columns.

    Examples
    --------
    >>> x, y = np.array([0.0, 1.0, 2.0]), np.array([[1.0, 2.0, 4.0]])
    >>> fit = minimise(lambda t: np.exp(t * x), lambda t: (x * np.exp(t * x))[..., None],
    ...                y, np.ones((1, 3)), np.zeros((1, 1)))
    >>> bool(abs(fit.theta[0, 0] - np.log(2)) < 1e-12)
    True
    """
    theta = np.array(start, dtype=float)
    free = np.ones(theta.shape, dtype=bool) if held is None else ~held
    shape = (len(theta), y.shape[-1])
    y, weights = np.broadcast_to(y, shape), np.broadcast_to(weights, shape)
    enough = _EXACT * (weights * y**2).sum(-1)
    residual, cost = weighted_cost(value, theta, y, weights)
    damping, scale = np.full(len(theta), 1e-3), np.zeros(theta.shape)
    converged = cost <= enough
    alive = np.isfinite(cost) & ~converged
    for _ in range(iterations):
        rows = np.flatnonzero(alive)
        if not len(rows):
            break
        slopes = np.where((weights[rows] > 0)[..., None] & free[rows, None, :], jacobian(theta[rows]), 0.0)
        longest = scale[rows]
        step, cosine = _step(slopes, residual[rows], weights[rows], damping[rows], longest)
        scale[rows] = longest
        new_residual, new_cost = weighted_cost(value, theta[rows] + step, y[rows], weights[rows])
        better = new_cost <= cost[rows]
        resting = (np.abs(step) <= 1e-12 * np.abs(theta[rows])).all(-1) & (cosine < 1e-5)
        won, lost = rows[better], rows[~better]
        theta[won] += step[better]
        residual[won], cost[won] = new_residual[better], new_cost[better]
        damping[won] = np.maximum(damping[won] / 10, 1e-15)
        damping[lost] *= 10
        converged[rows] = (cosine < 1e-11) | resting | (cost[rows] <= enough[rows])
        converged[rows] |= (damping[rows] > _STUCK) & (cosine < 1e-6)
        alive[rows] = ~converged[rows] & (damping[rows] <= _STUCK)
    return Minimum(theta, cost, converged)


def best_of(starts: Array, fit: Callable[[Array], Minimum]) -> Minimum:
    """The lowest minimum for each data set over several starting points; starts has shape (S, B, p)."""
    fits = [fit(start) for start in starts]
    best, row = np.argmin([f.cost for f in fits], axis=0), np.arange(starts.shape[1])
    return Minimum(
        np.stack([f.theta for f in fits])[best, row],
        np.stack([f.cost for f in fits])[best, row],
        np.stack([f.converged for f in fits])[best, row],
    )


def profile_ends(
    value: Function,
    jacobian: Function,
    y: Array,
    weights: Array,
    minimum: Minimum,
    curvature: Array,
    rise: Array,
    *,
    iterations: int = 30,
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
        fit = minimise(value, jacobian, y[item[r]], weights[item[r]], start, held=held[r], iterations=40)
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
            low[:, j], high[:, j] = crossings(slices.grid, slack)
    return low, high


def _extremes(grid: Array, lower: Array, upper: Array, inside: Array) -> tuple[Array, Array]:
    """Least and greatest ends over the grid, infinite where they are taken at an end of the grid."""
    ends = np.isclose(grid, grid[:, :1], rtol=1e-6) | np.isclose(grid, grid[:, -1:], rtol=1e-6)
    down, up = np.where(inside, lower, np.inf), np.where(inside, upper, -np.inf)
    at_low, at_high, row = down.argmin(1), up.argmax(1), np.arange(len(lower))
    low = np.where(ends[row, at_low], -np.inf, down[row, at_low])
    return low, np.where(ends[row, at_high], np.inf, up[row, at_high])


def crossings(grid: Array, slack: Array) -> tuple[Array, Array]:
    """First and last zero of slack along the grid, linearly interpolated; infinite where it is positive at an end."""
    row, last = np.arange(len(slack)), slack.shape[1] - 1
    first, final = (slack >= 0).argmax(1), last - (slack[:, ::-1] >= 0).argmax(1)

    def cross(inner: Array, outer: Array) -> Array:
        a, b = slack[row, inner], slack[row, outer]
        part = np.where(a > b, a / np.where(a > b, a - b, 1.0), 0.0)
        return np.asarray(grid[row, inner] + part * (grid[row, outer] - grid[row, inner]))

    low = np.where(first == 0, -np.inf, cross(first, np.maximum(first - 1, 0)))
    return low, np.where(final == last, np.inf, cross(final, np.minimum(final + 1, last)))
