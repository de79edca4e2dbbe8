"""How far a profile has risen at a given value of a parameter: the test that belongs to a profile interval."""

from __future__ import annotations

import numpy as np

from spikecube.scaling.arrays import Array
from spikecube.scaling.least_squares import Function, Minimum, Slices, best_of, minimise


def profile_rises(
    value: Function,
    jacobian: Function,
    y: Array,
    weights: Array,
    minimum: Minimum,
    curvature: Array,
    at: Array,
    places: Array | None = None,
) -> Array:
    """min over the other parameters of the cost with parameter j held at at[:, j], less the minimum; (B, p).

    The search starts on the tangent of the profile's path, as in `profile_ends`, so that it stays on the branch of the
    minimum, and at the other places that are given. Infinite where the law does not allow the value.

    Parameters
    ----------
    curvature : (B, p, p), (J^T W J)^{-1} at the minimum.
    at : (B, p).
    places : (B, p, p), a start for each parameter held.

    Examples
    --------
    >>> x, y = np.array([1.0, 2.0]), np.array([[1.0, 2.0]])
    >>> best = Minimum(np.ones((1, 1)), np.zeros(1), np.ones(1, dtype=bool))
    >>> float(profile_rises(lambda t: t * x, lambda t: x[:, None] + 0 * t[..., None], y, np.ones((1, 2)), best,
    ...                     np.full((1, 1, 1), 0.2), np.full((1, 1), 3.0))[0, 0])
    20.0
    """
    n_sets, n_params = minimum.theta.shape
    item, param = (a.ravel() for a in np.indices((n_sets, n_params)))
    held = np.arange(n_params) == param[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        tangent = curvature[item, :, param] / curvature[item, param, param][:, None]
    step = (at - minimum.theta)[item, param][:, None] * np.where(np.isfinite(tangent), tangent, 0.0)
    starts = [minimum.theta[item] + step] + ([] if places is None else [places[item, param]])
    with np.errstate(over="ignore", invalid="ignore"):  # a value far away may leave the range of floats
        fit = best_of(
            np.where(held, at[item], np.stack(starts)),
            lambda start: minimise(value, jacobian, y[item], weights[item], start, held=held, iterations=40),
        )
    return np.asarray(np.maximum(fit.cost - minimum.cost[item], 0.0).reshape(n_sets, n_params))


def conditional_rises(slices: Slices, minimum: Minimum, low: Array, high: Array, at: Array) -> Array:
    """The same for `conditional_ends`: the least rise at which its interval (low, high) would reach the values `at`.

    For a linear parameter that is the least over b of cost(b) + (distance of theta_j(b) to what is beyond at)^2/s_j^2,
    for b itself the least cost beyond `at` on the linear interpolation of the grid. Where an interval is open the end
    of the grid reaches every value.
    """
    rises = np.full(at.shape, np.nan)
    for j in range(at.shape[1]):
        below = at[:, j] < minimum.theta[:, j]
        if j < slices.theta.shape[-1]:
            beyond = (slices.theta[..., j] - at[:, j, None]) * np.where(below, 1.0, -1.0)[:, None]
            least = (slices.cost + np.maximum(beyond, 0.0) ** 2 / slices.variance[..., j]).min(1)
        else:
            least = np.array([_beyond(*row) for row in zip(slices.grid, slices.cost, at[:, j], below, strict=True)])
        open_ended = np.isinf(np.where(below, low[:, j], high[:, j]))
        edge = np.minimum(slices.cost[:, 0], slices.cost[:, -1])
        rises[:, j] = np.where(open_ended, np.minimum(least, edge), least) - minimum.cost
    return np.asarray(np.maximum(rises, 0.0))


def _beyond(grid: Array, costs: Array, at: float, below: bool) -> float:
    """The least cost at `at` and beyond it on the side away from the minimum."""
    inside = min(max(at, grid[0]), grid[-1])
    rest = costs[grid <= inside] if below else costs[grid >= inside]
    return float(min(np.interp(inside, grid, costs), rest.min()))
