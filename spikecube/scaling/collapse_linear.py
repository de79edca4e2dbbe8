"""A collapse linearised at its minimum: how parameters and curves answer to the points, and their covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from spikecube.scaling.collapse_ansatz import Ansatz
from spikecube.scaling.collapse_root import UNKNOWN, part_numbers, slope_noise, white_slopes
from spikecube.scaling.collapse_sharing import Sharing, sharing_dof
from spikecube.scaling.master_curve import LEAST_POINTS, Points, Reduction, frugal_sizes, reduce, spline_sizes
from spikecube.scaling.samples import Sample, of_each_seed
from spikecube.scaling.shared_draws import SharedDraws, parameter_covariance, smoothing_matrix
from spikecube.scaling.types import Array


@dataclass(frozen=True)
class UsedPoints:
    """The points of a collapse that are used, their places (control, size) in a sample, and its free parameters.

    `sharing` is what was read off the points about errors that they share.
    """

    form: Ansatz
    points: Points
    places: Array
    sample: Sample
    free: Array
    sharing: Sharing | None = None


@dataclass(frozen=True)
class Linearised:
    """The fit linearised at its minimum, in weighted units.

    Attributes
    ----------
    response, curve_response : (k, P), (n, P), of the free parameters and the coefficients to the points.
    fitted : (P, r), an orthonormal basis of what is fitted.
    unknown : (k,), parameters that the points do not determine.
    """

    reduced: Reduction
    response: Array
    curve_response: Array
    fitted: Array
    unknown: Array


def linearised(
    problem: UsedPoints, theta: Array, sizes: tuple[int, ...] | None = None, frugal: tuple[int, ...] | None = None
) -> Linearised:
    """The responses of parameters and coefficients, and which parameters the points leave unknown.

    The square of the slopes S is I + N in the mean (see `settle`), and the response I^-1 S^T = (1 + (S^T S)^-1 N + ...)
    (S^T S)^-1 S^T.

    Parameters
    ----------
    sizes, frugal : of the splines of each part, by default those that belong to its points, as in `settle`.
    """
    form, points, free = problem.form, problem.points, problem.free
    reduced = reduce(form, points, theta, sizes or spline_sizes(points))
    plain = reduce(form, points, theta, frugal or frugal_sizes(form, points, theta))
    by_theta, others = white_slopes(form, points, theta, free, plain)
    basis, inverse = orthonormal(reduced.design)
    left = orthonormal(np.concatenate([basis, others], axis=1))[0]
    slope = by_theta - left @ (left.T @ by_theta)
    unknown = np.zeros(len(free), dtype=bool)
    for j in range(len(free)):
        rest = orthonormal(np.delete(slope, j, axis=1))[0]
        own = slope[:, j] - rest @ (rest.T @ slope[:, j])
        unknown[j] = np.linalg.norm(own) <= UNKNOWN * np.linalg.norm(by_theta[:, j])
    directions, response = orthonormal(slope)
    noise = slope_noise(form, points, theta, free, plain, left)
    if problem.sample.stderr is None and points.blocks is None:
        noise *= reduced.cost / max(len(points.y) - reduced.design.shape[1] - len(free), 1)
    response = response + response @ response.T @ noise @ response
    return Linearised(
        reduced, response, inverse / reduced.length[:, None], np.concatenate([directions, basis], axis=1), unknown
    )


def orthonormal(design: Array) -> tuple[Array, Array]:
    """An orthonormal basis (P, r) of the range of a design, of columns of any length, and its pseudo-inverse (p, P)."""
    size = np.linalg.norm(design, axis=0)
    size = np.where(size > 0, size, 1.0)
    if not design.shape[1]:
        return design, design.T
    left, triangle = np.linalg.qr(design / size)
    inner, values, right = np.linalg.svd(triangle)
    good = values > 1e-12 * values[0]
    basis = left @ inner[:, good]
    return basis, (right[good].T / values[good]) @ basis.T / size[:, None]


def enough(points: Points, mask: Array) -> bool:
    """Whether some of the points are enough of each part for a collapse: in number, and in sizes."""
    own = [mask & (points.parts == k) for k in part_numbers(points)]
    return all(rows.sum() >= LEAST_POINTS and len(set(points.size[rows])) >= 3 for rows in own)


_LEAST_FREE = 1e-3  # of a residual, at points that only their own coefficient follows


@dataclass(frozen=True)
class OwnNoise:
    """Independent errors of variance (P,), in weighted units: 1 where they are known."""

    variance: Array

    def times(self, left: Array) -> Array:
        """The product left @ covariance."""
        return left * self.variance


def noise_of(problem: UsedPoints, linear: Linearised) -> OwnNoise | SharedDraws:
    """What is known of the errors; without any the residuals tell them, freed of what the fit takes (HC2).

    References
    ----------
    MacKinnon and White, J. Econometrics 29 (1985) 305.
    """
    points, sample = problem.points, problem.sample
    if sample.deviations is not None:
        return shared_draws(points, problem.places, sample)
    if sample.stderr is not None or points.blocks is not None:
        return OwnNoise(np.ones(len(points.y)))
    return OwnNoise(linear.reduced.residual**2 / np.maximum(1 - (linear.fitted**2).sum(1), _LEAST_FREE))


def covariance_of(problem: UsedPoints, linear: Linearised, noise: OwnNoise | SharedDraws) -> tuple[Array, Array]:
    """The covariance of all parameters (p, p) and the degrees of freedom of their intervals (p,)."""
    free, p = problem.free, len(problem.form.params)
    if isinstance(noise, SharedDraws):
        covariance, t_dof = parameter_covariance(linear.response, linear.fitted, noise)
    else:
        covariance, t_dof = noise.times(linear.response) @ linear.response.T, np.full(len(free), np.inf)
        if problem.sample.stderr is None and problem.points.blocks is None:
            t_dof = _sandwich_dof(linear)
        elif problem.sharing is not None:
            along = problem.sharing.along(linear.reduced.here.u, problem.points.control)
            known = problem.sample.stderr is not None
            t_dof = sharing_dof(problem.sharing, problem.points, along, linear.response, linear.fitted, known)
    wide, wide_dof = np.zeros((p, p)), np.full(p, np.inf)
    wide[np.ix_(free, free)], wide_dof[free] = covariance, t_dof
    wide[free[linear.unknown], free[linear.unknown]] = np.inf
    return wide, wide_dof


def _sandwich_dof(linear: Linearised) -> Array:
    """Degrees of freedom of variances from residuals, by their own first two moments for equal errors; (k,).

    References
    ----------
    Bell and McCaffrey, Survey Methodology 28 (2002) 169.
    """
    left = 1 - (linear.fitted**2).sum(1)
    share = linear.response**2 / np.maximum(left, _LEAST_FREE)
    squares = (linear.fitted @ linear.fitted.T) ** 2
    squares[np.diag_indices(len(left))] = left**2
    mean, spread = (linear.response**2).sum(1), np.einsum("ka,ab,kb->k", share, squares, share, optimize=True)
    return np.asarray(np.where(spread > 0, mean**2 / np.where(spread > 0, spread, 1.0), np.inf))


def uneven_pvalue(points: Points, linear: Linearised) -> float:
    """P(squared residuals that go so much, or more, with the value, the size and u) if all errors are equal.

    References
    ----------
    Koenker, J. Econometrics 17 (1981) 107.
    """
    free = np.maximum(1 - (linear.fitted**2).sum(1), _LEAST_FREE)
    squares = linear.reduced.residual**2 / free
    model = points.white(points.y) - linear.reduced.residual
    by = [np.abs(model), np.log(points.size), np.abs(linear.reduced.here.u)]
    columns = np.stack([np.ones(len(free)), *by], axis=1) * np.sqrt(free)[:, None]
    basis = orthonormal(columns)[0]
    mean = orthonormal(columns[:, :1])[0]
    y = squares * np.sqrt(free)
    left, all_left = float(((y - basis @ (basis.T @ y)) ** 2).sum()), float(((y - mean @ (mean.T @ y)) ** 2).sum())
    more, dof = basis.shape[1] - 1, len(y) - linear.fitted.shape[1] - basis.shape[1]
    if more < 1 or dof < 1 or not left > 0:
        return np.nan
    return float(stats.f.sf((all_left - left) / more / (left / dof), more, dof))


def shared_draws(points: Points, places: Array, sample: Sample) -> SharedDraws:
    """The covariance of the weighted points from their seeds."""
    assert sample.deviations is not None
    weight, groups, dof = np.sqrt(points.weight), [], []
    covariance = np.zeros((len(weight), len(weight)))
    for column in np.unique(places[:, 1]):
        rows = np.flatnonzero(places[:, 1] == column)
        root = of_each_seed(weight[rows, None] * sample.deviations[places[rows, 0], column])
        covariance[np.ix_(rows, rows)] = root @ root.T
        groups.append(rows)
        dof.append(float(np.nanmin(sample.dof[places[rows, 0], column])))
    return SharedDraws(tuple(groups), covariance, np.array(dof), smoothing_matrix(sample, places))
