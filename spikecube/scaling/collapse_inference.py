"""Errors and tests of a collapse at its minimum, in the units of the search."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikecube.scaling.collapse_linear import (
    Linearised,
    OwnNoise,
    UsedPoints,
    covariance_of,
    enough,
    linearised,
    noise_of,
    uneven_pvalue,
)
from spikecube.scaling.collapse_quality import Quality, judge, shift_test
from spikecube.scaling.collapse_root import part_numbers, settle
from spikecube.scaling.master_curve import Points, Reduction, frugal_sizes, richer_sizes, spline_sizes
from spikecube.scaling.regression import regression_splines
from spikecube.scaling.resampling import resampled
from spikecube.scaling.shared_draws import SharedDraws
from spikecube.scaling.splines import Curve
from spikecube.scaling.types import Array
from spikecube.scaling.verdict import REJECTED

_RESAMPLES = 200
_GRID = 200
_LEAST_REST = 4  # of so many points one is left to test a richer curve


@dataclass(frozen=True)
class Reading:
    """What the points say at the minimum.

    Attributes
    ----------
    reduced : the master curves.
    covariance, t_dof : (p, p) and (p,); a parameter that nothing determines has an infinite variance.
    grid, master, master_stderr : (G,), the curves (of f alone) and their errors (M, G); NaN beyond their points.
    uneven_pvalue : of squared residuals that go with the value, the size or u; NaN where errors are known.
    drift : (p,), shift of the estimates when the smallest size is left out; NaN where it cannot be.
    richer : the fewest coefficients of a curve that the points do not reject, and its p-value, where they reject the
        curve that belongs to their number and there is one; else (0, NaN).
    error_change : (p,), how each error changes within itself, as a largest |log ratio|; NaN where nothing tells.
    """

    reduced: Reduction
    covariance: Array
    t_dof: Array
    quality: Quality
    uneven_pvalue: float
    drift: Array
    drift_pvalue: float
    richer: tuple[int, float]
    error_change: Array
    grid: Array
    master: Array
    master_stderr: Array


def infer(problem: UsedPoints, theta: Array) -> Reading:
    """Covariance of parameters and curve, the test of the collapse and the looks beside it, at the optimum."""
    points, sample = problem.points, problem.sample
    linear = linearised(problem, theta)
    linear = replace(linear, reduced=_by_regression(points, linear.reduced))
    reduced, quality = linear.reduced, judge(problem, linear)
    noise = noise_of(problem, linear)
    wide, wide_dof = covariance_of(problem, linear, noise)
    drift, drift_p = _drift(problem, theta, linear, noise, wide_dof)
    change = _error_change(problem, theta, linear, noise, wide)
    spread = noise.times(linear.curve_response) @ linear.curve_response.T
    grid = np.linspace(reduced.here.u.min(), reduced.here.u.max(), _GRID)
    curves = [_on_grid(reduced.curve, k, grid, reduced.coefficients, spread) for k in part_numbers(points)]
    master, master_stderr = (np.stack(rows) for rows in zip(*curves, strict=True))
    uneven = np.nan if sample.stderr is not None or points.blocks is not None else uneven_pvalue(points, linear)
    richer = _richer(problem, theta) if quality.joint[2] < REJECTED else (0, np.nan)
    return Reading(
        reduced, wide, wide_dof, quality, uneven, drift, drift_p, richer, change, grid, master, master_stderr
    )


def _richer(problem: UsedPoints, theta: Array) -> tuple[int, float]:
    """The fewest coefficients beyond the rule's of curves whose sum of squares is not rejected, and its p-value."""
    for sizes in richer_sizes(problem.points):
        best, _ = settle(problem.form, problem.points, theta, problem.free, sizes)
        quality = judge(problem, linearised(problem, best, sizes))
        if quality.joint[1] < len(problem.points.y) / _LEAST_REST:
            break
        if quality.joint[2] >= REJECTED:
            return max(sizes), quality.joint[2]
    return 0, np.nan


def _by_regression(points: Points, reduced: Reduction) -> Reduction:
    """The same curves by statsmodels' regression."""
    here, knots, factors = reduced.here, [], []
    for k, own in enumerate(reduced.curve.splines):
        factor = np.where(points.parts == k, here.factor, 0.0)
        knots += [spline.knots for spline in own]
        factors += [factor] if here.decay is None else [factor, factor * here.decay]
    y = points.y - here.offset
    coefficients, chi2 = regression_splines(here.u, y, points.white, knots, factors)
    value = reduced.curve.basis(here.u, here.decay, points.parts) @ coefficients
    residual = points.white(y - here.factor * value)
    return replace(reduced, coefficients=coefficients, value=value, residual=residual, cost=chi2)


def _on_grid(curve: Curve, k: int, grid: Array, coefficients: Array, covariance: Array) -> tuple[Array, Array]:
    """The curve f of one part and its error; NaN beyond its points."""
    spline, first = curve.splines[k][0], curve.part(k).start
    own = slice(first, first + spline.size)
    basis = spline.basis(grid)
    inside = (spline.knots[0] <= grid) & (grid <= spline.knots[-1])
    variance = np.einsum("gp,pq,gq->g", basis, covariance[own, own], basis, optimize=True)
    return (
        np.where(inside, basis @ coefficients[own], np.nan),
        np.where(inside, np.sqrt(np.maximum(variance, 0.0)), np.nan),
    )


def _drift(
    problem: UsedPoints, theta: Array, linear: Linearised, noise: OwnNoise | SharedDraws, t_dof: Array
) -> tuple[Array, float]:
    """The shift of the free parameters without the smallest size, and its p-value.

    The fits share their data y: with responses H and H' the shift is (H' - H) y, whatever the curve.

    References
    ----------
    Hausman, Econometrica 46 (1978) 1251.
    """
    free, rest = problem.free, problem.points.size > problem.points.size.min()
    shift = np.full(len(theta), np.nan)
    if not len(free) or not enough(problem.points, rest):
        return shift, np.nan
    part = replace(problem, points=problem.points.keep(rest), places=problem.places[rest])
    sizes = spline_sizes(problem.points)  # a poorer spline would move the parameters too
    moved, at_rest = settle(part.form, part.points, theta, free, sizes)
    if not at_rest:
        return shift, np.nan
    shift[free] = (moved - theta)[free]
    change = -linear.response
    change[:, rest] += linearised(part, moved, sizes).response
    if problem.sample.stderr is None and problem.points.blocks is None:  # one variance for all points has more dof
        left = float(len(rest) - linear.fitted.shape[1])
        return shift, shift_test(shift[free], linear.reduced.cost / left * change @ change.T, left)
    return shift, shift_test(shift[free], noise.times(change) @ change.T, float(t_dof[free].min()))


def _error_change(
    problem: UsedPoints, theta: Array, linear: Linearised, noise: OwnNoise | SharedDraws, covariance: Array
) -> Array:
    """How the error of each free parameter changes within one error: the largest |log ratio|, (p,).

    The other parameters move along, as they do in the profile of a linear problem, in which errors do not change.

    References
    ----------
    Bates and Watts, J. R. Stat. Soc. B 42 (1980) 1, on why intervals fail where a problem is not nearly linear.
    """
    form, free = problem.form, problem.free
    change, frugal = np.full(len(theta), np.nan), frugal_sizes(form, problem.points, theta)
    if not np.isfinite(covariance).all():
        return change
    error = np.sqrt(np.einsum("kp,kp->k", noise.times(linear.response), linear.response))
    for k, j in enumerate(free):
        if not covariance[j, j] > 0:
            continue
        for sign in (-1.0, 1.0):
            moved = theta + sign * covariance[:, j] / np.sqrt(covariance[j, j])
            if not form.allows(moved):
                change[j] = np.inf
                continue
            row = linearised(problem, moved, frugal=frugal).response[k : k + 1]
            ratio = np.sqrt(float((noise.times(row) @ row.T)[0, 0])) / error[k]
            change[j] = np.fmax(change[j], abs(np.log(ratio)))
    return change


def bootstrap(problem: UsedPoints, theta: Array, rng: np.random.Generator) -> Array | None:
    """Estimates near the optimum after resampling seeds at each size, or normal errors where only those are known.

    None where no errors are.
    """
    sample, points, places = problem.sample, problem.points, problem.places
    noise = resampled(sample, rng, _RESAMPLES)
    if noise is None:
        return None
    draws, frugal = np.tile(theta, (_RESAMPLES, 1)), frugal_sizes(problem.form, points, theta)
    for b in range(_RESAMPLES):
        moved = replace(points, y=points.y + noise[b, places[:, 0], places[:, 1]])
        draws[b] = settle(problem.form, moved, theta, problem.free, frugal=frugal)[0]
    return draws
