"""Whether the points of a collapse lie on their curves: the tests of each observable and of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from spikecube.scaling.collapse_linear import Linear, Problem, orthonormal
from spikecube.scaling.collapse_noise import shared_draws
from spikecube.scaling.collapse_root import parts_of
from spikecube.scaling.collapse_tests import pattern_test
from spikecube.scaling.master_curve import Points
from spikecube.scaling.samples import Sample
from spikecube.scaling.shared_draws import collapse_test
from spikecube.scaling.types import Array

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
