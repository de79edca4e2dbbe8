"""Whether the points of a collapse lie on their curves: the tests of each observable and of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from spikecube.scaling.collapse_linear import Linear, Problem, orthonormal, shared_draws
from spikecube.scaling.collapse_root import parts_of
from spikecube.scaling.master_curve import Points
from spikecube.scaling.samples import Sample
from spikecube.scaling.shared_draws import collapse_test
from spikecube.scaling.types import Array

_WIDTH = 2.0  # of the kernel of `pattern_test`, in points


def pattern_test(residual: Array, fitted: Array, size: Array, control: Array) -> float:
    """P(so much likeness or more) of neighbouring residuals of one size; it needs no errors, only equal weights.

    Q = r^T A r/r^T r with A_ab = exp(-(a - b)^2/8) for the a-th and b-th point of one size along the control, a != b,
    else 0. For r = M e, e independent and normal, N = tr M: E Q = tr(MA)/N and
    Var Q = 2 [N tr(MAMA) - tr(MA)^2]/(N^2 (N + 2)).

    Parameters
    ----------
    residual, size, control : (P,), weighted residuals and the labels of their points.
    fitted : (P, r), an orthonormal basis of the space of fitted values, M = 1 - fitted fitted^T.

    References
    ----------
    Durbin and Watson, Biometrika 37 (1950) 409, for the moments.

    Examples
    --------
    >>> rng, nothing = np.random.default_rng(1), np.zeros((80, 0))
    >>> size, x = np.repeat([1.0, 2.0], 40), np.tile(np.arange(40.0), 2)
    >>> pattern_test(rng.standard_normal(80), nothing, size, x) > 0.01
    True
    >>> pattern_test(np.cos(x / 6) * (size - 1.5), nothing, size, x) < 1e-6
    True
    """
    like, squares = np.zeros_like(fitted), 0.0
    form = 0.0
    for n in np.unique(size):
        rows = np.flatnonzero(size == n)
        rows = rows[np.argsort(control[rows], kind="stable")]
        rank = np.arange(len(rows))
        kernel = np.exp(-0.5 * (np.subtract.outer(rank, rank) / _WIDTH) ** 2) - np.eye(len(rows))
        like[rows] = kernel @ fitted[rows]
        squares += float((kernel**2).sum())
        form += float(residual[rows] @ kernel @ residual[rows])
    inner, n_free = fitted.T @ like, len(residual) - fitted.shape[1]
    total = float(residual @ residual)
    if n_free < 2 or not total > 0:
        return np.nan
    trace = -float(np.trace(inner))
    square = squares - 2 * float((like**2).sum()) + float((inner**2).sum())
    variance = 2 * (n_free * square - trace**2) / (n_free**2 * (n_free + 2))
    return float(stats.norm.sf((form / total - trace / n_free) / np.sqrt(variance)))


def shift_test(shift: Array, covariance: Array, dof: float) -> float:
    """P(so large a shift or larger): Hotelling's T^2 with `dof` degrees of freedom of its covariance (inf: chi^2)."""
    length = np.sqrt(np.diag(covariance))
    moved = length > 0
    if not moved.any():
        return np.nan
    scaled, unit = shift[moved] / length[moved], np.outer(length[moved], length[moved])
    values, vectors = np.linalg.eigh(covariance[np.ix_(moved, moved)] / unit)
    good = values > 1e-8 * values[-1]
    square, k = float((((vectors[:, good].T @ scaled) ** 2) / values[good]).sum()), int(good.sum())
    if not np.isfinite(dof):
        return float(stats.chi2.sf(square, k))
    return float(stats.f.sf(square * (dof - k + 1) / (dof * k), k, dof - k + 1)) if dof >= k else np.nan


_Tests = tuple[float, float, float, float, float]


@dataclass(frozen=True)
class Quality:
    """How well the points of each part lie on their curve, (M,) each; `joint` (chi2, dof, p-value) is of all points."""

    chi2: Array
    dof: Array
    gof_pvalue: Array
    too_good: Array
    pattern_pvalue: Array
    joint: tuple[float, float, float]


def judge(problem: Problem, linear: Linear) -> Quality:
    """The tests of each part, and that of all together."""
    points, residual, fitted = problem.points, linear.at.residual, linear.fitted
    rows = [np.flatnonzero(points.parts == k) for k in parts_of(points)]
    if len(rows) == 1:
        tests = [_tests(problem, rows[0], residual, fitted, linear.at.cost, len(points.y) - fitted.shape[1])]
        chi2, dof, gof, _, _ = tests[0]
        return Quality(*_columns(tests), joint=(chi2, dof, gof))
    tests = []
    for k, own in enumerate(rows):
        dof = len(own) - float((fitted[own] ** 2).sum())
        curve = orthonormal(linear.at.design[own][:, linear.at.curve.part(k)])[0]
        tests.append(_tests(problem, own, residual[own], curve, float(residual[own] @ residual[own]), dof))
    every = np.arange(len(residual))
    joint = _tests(problem, every, residual, fitted, linear.at.cost, len(residual) - fitted.shape[1])
    return Quality(*_columns(tests), joint=joint[:3])


def _columns(tests: list[_Tests]) -> tuple[Array, Array, Array, Array, Array]:
    chi2, dof, gof, too_good, pattern = np.array(tests).T
    return chi2, dof, gof, too_good, pattern


def _tests(problem: Problem, rows: Array, residual: Array, fitted: Array, chi2: float, dof: float) -> _Tests:
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
