"""Weighted nonlinear least squares for a batch of small data sets at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from spikecube.scaling.types import Array

_TINY = np.finfo(float).tiny
_EXACT = 1e-30  # a weighted sum of squares below this part of the data's own is a perfect fit
_STUCK = 1e15  # no damping beyond this: the step is below rounding

Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Problem:
    """sum_k w_k (y_k - f_k(theta))^2 for B data sets.

    Attributes
    ----------
    value, jacobian : f and its slopes, theta (B, p) -> (B, K) and (B, K, p); NaN outside the domain.
    y, weights : (B, K); a weight of zero leaves a point out.
    """

    value: Function
    jacobian: Function
    y: Array
    weights: Array

    def rows(self, index: Array) -> Problem:
        """The data sets with these indices, which may repeat."""
        return replace(self, y=self.y[index], weights=self.weights[index])


@dataclass(frozen=True)
class Minimum:
    """theta (B, p), the weighted sum of squares (B,), and whether the gradient vanishes there (B,)."""

    theta: Array
    cost: Array
    converged: Array


def _weighted_cost(value: Function, theta: Array, y: Array, weights: Array) -> tuple[Array, Array]:
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


def minimise(problem: Problem, start: Array, *, held: Array | None = None, iterations: int = 200) -> Minimum:
    """Levenberg-Marquardt, every data set with a damping of its own.

    Parameters
    ----------
    start : (B, p).
    held : (B, p) bool, parameters that keep their starting value.

    References
    ----------
    Marquardt, J. SIAM 11 (1963) 431; More, Lect. Notes Math. 630 (1978) 105 for the scaling by columns.

    Examples
    --------
    >>> x, y = np.array([0.0, 1.0, 2.0]), np.array([[1.0, 2.0, 4.0]])
    >>> growth = Problem(lambda t: np.exp(t * x), lambda t: (x * np.exp(t * x))[..., None], y, np.ones((1, 3)))
    >>> fit = minimise(growth, np.zeros((1, 1)))
    >>> bool(abs(fit.theta[0, 0] - np.log(2)) < 1e-12)
    True
    """
    theta = np.array(start, dtype=float)
    free = np.ones(theta.shape, dtype=bool) if held is None else ~held
    shape = (len(theta), problem.y.shape[-1])
    value, jacobian = problem.value, problem.jacobian
    y, weights = np.broadcast_to(problem.y, shape), np.broadcast_to(problem.weights, shape)
    enough = _EXACT * (weights * y**2).sum(-1)
    residual, cost = _weighted_cost(value, theta, y, weights)
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
        new_residual, new_cost = _weighted_cost(value, theta[rows] + step, y[rows], weights[rows])
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
