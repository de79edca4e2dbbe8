"""A collapse linearised at its minimum: how parameters and curves answer to the points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikecube.scaling.collapse_ansatz import Ansatz
from spikecube.scaling.collapse_root import UNKNOWN, parts_of, slope_noise, white_slopes
from spikecube.scaling.collapse_sharing import Sharing
from spikecube.scaling.collapse_sizes import LEAST_POINTS, frugal_sizes, spline_sizes
from spikecube.scaling.master_curve import Points, Reduction, reduce
from spikecube.scaling.samples import Sample
from spikecube.scaling.types import Array


@dataclass(frozen=True)
class Problem:
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
class Linear:
    """The fit linearised at its minimum, in weighted units.

    Attributes
    ----------
    response, curve_response : (k, P), (n, P), of the free parameters and the coefficients to the points.
    fitted : (P, r), an orthonormal basis of what is fitted.
    unknown : (k,), parameters that the points do not determine.
    """

    at: Reduction
    response: Array
    curve_response: Array
    fitted: Array
    unknown: Array


def linearised(
    problem: Problem, theta: Array, sizes: tuple[int, ...] | None = None, frugal: tuple[int, ...] | None = None
) -> Linear:
    """The responses of parameters and coefficients, and which parameters the points leave unknown.

    The square of the slopes S is I + N in the mean (see `settle`), and the response I^-1 S^T = (1 + (S^T S)^-1 N + ...)
    (S^T S)^-1 S^T.

    Parameters
    ----------
    sizes, frugal : of the splines of each part, by default those that belong to its points, as in `settle`.
    """
    form, points, free = problem.form, problem.points, problem.free
    at = reduce(form, points, theta, sizes or spline_sizes(points))
    plain = reduce(form, points, theta, frugal or frugal_sizes(form, points, theta))
    by_theta, others = white_slopes(form, points, theta, free, plain)
    basis, inverse = orthonormal(at.design)
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
        noise *= at.cost / max(len(points.y) - at.design.shape[1] - len(free), 1)
    response = response + response @ response.T @ noise @ response
    return Linear(at, response, inverse / at.length[:, None], np.concatenate([directions, basis], axis=1), unknown)


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
    own = [mask & (points.parts == k) for k in parts_of(points)]
    return all(rows.sum() >= LEAST_POINTS and len(set(points.size[rows])) >= 3 for rows in own)
