"""Errors and tests of a collapse at its minimum, in the units of the search."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from spikecube.scaling.collapse_ansatz import Ansatz
from spikecube.scaling.collapse_search import LEAST_POINTS, frugal_sizes, spline_sizes
from spikecube.scaling.collapse_sharing import Sharing, sharing_dof
from spikecube.scaling.collapse_tests import pattern_test, shift_test
from spikecube.scaling.master_curve import Points, Reduction, descend, reduce, slopes
from spikecube.scaling.regression import regression_splines
from spikecube.scaling.samples import Sample, resample
from spikecube.scaling.shared_draws import SharedDraws, collapse_test, parameter_covariance, smoothing_matrix
from spikecube.scaling.splines import Curve
from spikecube.scaling.types import Array

_RESAMPLES = 200
_UNKNOWN = 1e-6  # part of a slope that is left by all others, below which its parameter is not determined
_GRID = 200
_LEAST_FREE = 1e-3  # of a residual, at points that only their own coefficient follows


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
class Quality:
    """How well the points of each part lie on their curve, (M,) each; `joint` (chi2, dof, p-value) is of all points."""

    chi2: Array
    dof: Array
    gof_pvalue: Array
    too_good: Array
    pattern_pvalue: Array
    joint: tuple[float, float, float]


@dataclass(frozen=True)
class Inference:
    """What the points say at the minimum.

    Attributes
    ----------
    at : the master curves.
    covariance, t_dof : (p, p) and (p,); a parameter that nothing determines has an infinite variance.
    grid, master, master_stderr : (G,), the curves (of f alone) and their errors (M, G); NaN beyond their points.
    uneven_pvalue : of squared residuals that go with the value, the size or u; NaN where errors are known.
    drift : (p,), shift of the estimates when the smallest size is left out; NaN where it cannot be.
    """

    at: Reduction
    covariance: Array
    t_dof: Array
    quality: Quality
    uneven_pvalue: float
    drift: Array
    drift_pvalue: float
    grid: Array
    master: Array
    master_stderr: Array


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


def infer(problem: Problem, theta: Array) -> Inference:
    """Covariance of parameters and curve, the test of the collapse and the looks beside it, at the optimum."""
    points, sample = problem.points, problem.sample
    linear = linearised(problem, theta)
    linear = replace(linear, at=_by_regression(points, linear.at))
    at, quality = linear.at, judge(problem, linear)
    noise = noise_of(problem, linear)
    wide, wide_dof = covariance_of(problem, linear, noise)
    drift, drift_p = _drift(problem, theta, linear, noise, wide_dof)
    spread = noise.times(linear.curve_response) @ linear.curve_response.T
    grid = np.linspace(at.here.u.min(), at.here.u.max(), _GRID)
    curves = [_on_grid(at.curve, k, grid, at.coefficients, spread) for k in parts_of(points)]
    master, master_stderr = (np.stack(rows) for rows in zip(*curves, strict=True))
    uneven = np.nan if sample.stderr is not None or points.blocks is not None else _uneven(points, linear)
    return Inference(at, wide, wide_dof, quality, uneven, drift, drift_p, grid, master, master_stderr)


@dataclass(frozen=True)
class OwnNoise:
    """Independent errors of variance (P,), in weighted units: 1 where they are known."""

    variance: Array

    def times(self, left: Array) -> Array:
        """The product left @ covariance."""
        return left * self.variance


def noise_of(problem: Problem, linear: Linear) -> OwnNoise | SharedDraws:
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
    return OwnNoise(linear.at.residual**2 / np.maximum(1 - (linear.fitted**2).sum(1), _LEAST_FREE))


def covariance_of(problem: Problem, linear: Linear, noise: OwnNoise | SharedDraws) -> tuple[Array, Array]:
    """The covariance of all parameters (p, p) and the degrees of freedom of their intervals (p,)."""
    free, p = problem.free, len(problem.form.params)
    if isinstance(noise, SharedDraws):
        covariance, t_dof = parameter_covariance(linear.response, linear.fitted, noise)
    else:
        covariance, t_dof = noise.times(linear.response) @ linear.response.T, np.full(len(free), np.inf)
        if problem.sample.stderr is None and problem.points.blocks is None:
            t_dof = _sandwich_dof(linear)
        elif problem.sharing is not None:
            along = problem.sharing.along(linear.at.here.u, problem.points.control)
            known = problem.sample.stderr is not None
            t_dof = sharing_dof(problem.sharing, problem.points, along, linear.response, linear.fitted, known)
    wide, wide_dof = np.zeros((p, p)), np.full(p, np.inf)
    wide[np.ix_(free, free)], wide_dof[free] = covariance, t_dof
    wide[free[linear.unknown], free[linear.unknown]] = np.inf
    return wide, wide_dof


def _sandwich_dof(linear: Linear) -> Array:
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


def _uneven(points: Points, linear: Linear) -> float:
    """P(squared residuals that go so much, or more, with the value, the size and u) if all errors are equal.

    References
    ----------
    Koenker, J. Econometrics 17 (1981) 107.
    """
    free = np.maximum(1 - (linear.fitted**2).sum(1), _LEAST_FREE)
    squares = linear.at.residual**2 / free
    model = points.white(points.y) - linear.at.residual
    by = [np.abs(model), np.log(points.size), np.abs(linear.at.here.u)]
    columns = np.stack([np.ones(len(free)), *by], axis=1) * np.sqrt(free)[:, None]
    basis = orthonormal(columns)[0]
    mean = orthonormal(columns[:, :1])[0]
    y = squares * np.sqrt(free)
    left, all_left = float(((y - basis @ (basis.T @ y)) ** 2).sum()), float(((y - mean @ (mean.T @ y)) ** 2).sum())
    more, dof = basis.shape[1] - 1, len(y) - linear.fitted.shape[1] - basis.shape[1]
    if more < 1 or dof < 1 or not left > 0:
        return np.nan
    return float(stats.f.sf((all_left - left) / more / (left / dof), more, dof))


def parts_of(points: Points) -> range:
    """The numbers of the observables."""
    return range(int(points.parts.max()) + 1)


def _by_regression(points: Points, at: Reduction) -> Reduction:
    """The same curves by statsmodels' regression."""
    here, knots, factors = at.here, [], []
    for k, own in enumerate(at.curve.splines):
        factor = np.where(points.parts == k, here.factor, 0.0)
        knots += [spline.knots for spline in own]
        factors += [factor] if here.decay is None else [factor, factor * here.decay]
    y = points.y - here.offset
    coefficients, chi2 = regression_splines(here.u, y, points.white, knots, factors)
    value = at.curve.basis(here.u, here.decay, points.parts) @ coefficients
    residual = points.white(y - here.factor * value)
    return replace(at, coefficients=coefficients, value=value, residual=residual, cost=chi2)


def judge(problem: Problem, linear: Linear) -> Quality:
    """The tests of each part, and that of all together."""
    points, residual, fitted = problem.points, linear.at.residual, linear.fitted
    rows = [np.flatnonzero(points.parts == k) for k in parts_of(points)]
    if len(rows) == 1:
        tests = [_tests(problem, rows[0], residual, fitted, linear.at.cost, len(points.y) - fitted.shape[1])]
        chi2, dof, gof, _, _ = tests[0]
        return Quality(*np.array(tests).T, joint=(chi2, dof, gof))
    tests = []
    for k, own in enumerate(rows):
        dof = len(own) - float((fitted[own] ** 2).sum())
        curve = orthonormal(linear.at.design[own][:, linear.at.curve.part(k)])[0]
        tests.append(_tests(problem, own, residual[own], curve, float(residual[own] @ residual[own]), dof))
    every = np.arange(len(residual))
    joint = _tests(problem, every, residual, fitted, linear.at.cost, len(residual) - fitted.shape[1])
    return Quality(*np.array(tests).T, joint=joint[:3])


def _tests(
    problem: Problem, rows: Array, residual: Array, fitted: Array, chi2: float, dof: float
) -> tuple[float, float, float, float, float]:
    """chi2, dof, P(more), P(less), and the p-value of the pattern; NaN for what nothing tests."""
    points, sample = problem.points, problem.sample
    if sample.deviations is not None:
        draws = shared_draws(points.keep(rows), problem.places[rows], sample)
        gof = collapse_test(chi2, fitted, draws)
        return chi2, dof, gof, 1 - gof, np.nan
    pattern = pattern_test(residual, fitted, points.size[rows], points.control[rows])
    if sample.stderr is None:
        return chi2, dof, np.nan, np.nan, pattern
    return chi2, dof, float(stats.chi2.sf(chi2, dof)), float(stats.chi2.cdf(chi2, dof)), pattern


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


def flat_pvalue(points: Points, places: Array, sample: Sample) -> float:
    """P(so much change along the control or more) if the curve of each size were a constant; NaN without errors."""
    level = points.parts * (places[:, 1].max() + 1) + places[:, 1]
    fitted = orthonormal(points.white((level[:, None] == np.unique(level)).astype(float)))[0]
    y = points.white(points.y)
    chi2 = float(((y - fitted @ (fitted.T @ y)) ** 2).sum())
    if chi2 <= 1e-24 * float(y @ y):
        return 1.0
    if sample.stderr is None:
        return np.nan
    if sample.deviations is None:
        return float(stats.chi2.sf(chi2, len(y) - fitted.shape[1]))
    return collapse_test(chi2, fitted, shared_draws(points, places, sample))


def linearised(problem: Problem, theta: Array) -> Linear:
    """The responses of parameters and coefficients, and which parameters the points leave unknown.

    Slopes in the parameters are taken from the frugal spline: the full one follows the noise, and the square of its
    noisy slope promises more than the data know. What they share with a shift or a stretch of u, f'(u) and u f'(u), is
    taken out: another f would do the same.
    """
    form, points, free = problem.form, problem.points, problem.free
    at = reduce(form, points, theta, spline_sizes(points))
    frugal = reduce(form, points, theta, frugal_sizes(form, points, theta))
    by_theta, by_u = slopes(form, points, theta, free, frugal)
    shifts = np.stack([np.where(points.parts == k, by_u, 0.0) for k in parts_of(points)], axis=1)
    others = points.white(np.concatenate([shifts, shifts * at.here.u[:, None]], axis=1))
    basis, inverse = orthonormal(at.design)
    left, by_theta = orthonormal(np.concatenate([basis, others], axis=1))[0], points.white(by_theta)
    slope = by_theta - left @ (left.T @ by_theta)
    unknown = np.zeros(len(free), dtype=bool)
    for j in range(len(free)):
        rest = orthonormal(np.delete(slope, j, axis=1))[0]
        own = slope[:, j] - rest @ (rest.T @ slope[:, j])
        unknown[j] = np.linalg.norm(own) <= _UNKNOWN * np.linalg.norm(by_theta[:, j])
    directions, response = orthonormal(slope)
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


def _drift(
    problem: Problem, theta: Array, linear: Linear, noise: OwnNoise | SharedDraws, t_dof: Array
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
    moved, _, at_rest = descend(part.form, part.points, theta, spline_sizes(part.points), free)
    if not at_rest:
        return shift, np.nan
    shift[free] = (moved - theta)[free]
    change = -linear.response
    change[:, rest] += linearised(part, moved).response
    if problem.sample.stderr is None and problem.points.blocks is None:  # one variance for all points has more dof
        left = float(len(rest) - linear.fitted.shape[1])
        return shift, shift_test(shift[free], linear.at.cost / left * change @ change.T, left)
    return shift, shift_test(shift[free], noise.times(change) @ change.T, float(t_dof[free].min()))


def enough(points: Points, mask: Array) -> bool:
    """Whether some of the points are enough of each part for a collapse: in number, and in sizes."""
    own = [mask & (points.parts == k) for k in parts_of(points)]
    return all(rows.sum() >= LEAST_POINTS and len(set(points.size[rows])) >= 3 for rows in own)


def shared_draws(points: Points, places: Array, sample: Sample) -> SharedDraws:
    """The covariance of the weighted points from their seeds."""
    assert sample.deviations is not None
    weight, groups, dof = np.sqrt(points.weight), [], []
    covariance = np.zeros((len(weight), len(weight)))
    for column in np.unique(places[:, 1]):
        rows = np.flatnonzero(places[:, 1] == column)
        deviations = sample.deviations[places[rows, 0], column]
        count = np.maximum(np.isfinite(deviations).sum(-1, keepdims=True), 1)
        root = weight[rows, None] * np.nan_to_num(deviations) / count
        covariance[np.ix_(rows, rows)] = root @ root.T
        groups.append(rows)
        dof.append(float(np.nanmin(sample.dof[places[rows, 0], column])))
    return SharedDraws(tuple(groups), covariance, np.array(dof), smoothing_matrix(sample, places))


def bootstrap(problem: Problem, theta: Array, rng: np.random.Generator) -> Array:
    """Descents from the optimum after resampling seeds at each size (or normal errors where only those are known)."""
    sample, points, places = problem.sample, problem.points, problem.places
    assert sample.stderr is not None
    if sample.deviations is None:
        noise = rng.standard_normal((_RESAMPLES, *sample.mean.shape)) * sample.stderr
    else:
        noise = resample(sample.deviations, sample.stderr, rng, _RESAMPLES)
    draws, n_basis = np.tile(theta, (_RESAMPLES, 1)), spline_sizes(points)
    for b in range(_RESAMPLES if len(problem.free) else 0):
        moved = replace(points, y=points.y + noise[b, places[:, 0], places[:, 1]])
        draws[b] = descend(problem.form, moved, theta, n_basis, problem.free, iterations=6)[0]
    return draws
