"""Errors and tests of a collapse at its minimum, in the units of the search."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from spikecube.scaling.collapse_search import LEAST_POINTS, frugal_size, spline_size
from spikecube.scaling.collapse_tests import pattern_test, shift_test
from spikecube.scaling.master_curve import Ansatz, Curve, Points, descend, place, slopes
from spikecube.scaling.regression import regression_splines
from spikecube.scaling.samples import Sample, resample
from spikecube.scaling.shared_draws import SharedDraws, collapse_test, parameter_covariance, smoothing_matrix
from spikecube.scaling.types import Array

_RESAMPLES = 200
_UNKNOWN = 1e-6  # part of a slope that is left by all others, below which its parameter is not determined
_GRID = 200


@dataclass(frozen=True)
class Problem:
    """The points of a collapse that are used, their places (control, size) in a sample, and its free parameters."""

    form: Ansatz
    points: Points
    places: Array
    sample: Sample
    free: Array


@dataclass(frozen=True)
class Inference:
    """What the points say at the minimum.

    Attributes
    ----------
    curve, coefficients : the master curve.
    covariance, t_dof : (p, p) and (p,); a parameter that nothing determines has an infinite variance.
    grid, master, master_stderr : the curve (of f alone) and its error.
    drift : (p,), shift of the estimates when the smallest size is left out; NaN where it cannot be.
    """

    curve: Curve
    coefficients: Array
    covariance: Array
    t_dof: Array
    chi2: float
    dof: float
    gof_pvalue: float
    too_good: float
    pattern_pvalue: float
    drift: Array
    drift_pvalue: float
    n_coefficients: int
    grid: Array
    master: Array
    master_stderr: Array


def infer(problem: Problem, theta: Array) -> Inference:
    """Covariance of parameters and curve, the test of the collapse and the looks beside it, at the optimum."""
    form, points, sample, free = problem.form, problem.points, problem.sample, problem.free
    here = place(form, points, theta)
    curve = Curve.through(form, theta, here.u, spline_size(len(points.y)))
    factors = [here.factor] if here.decay is None else [here.factor, here.factor * here.decay]
    y = points.y - here.offset
    coefficients, chi2 = regression_splines(here.u, y, points.weight, [s.knots for s in curve.splines], factors)
    residual = np.sqrt(points.weight) * (y - here.factor * (curve.basis(here.u, here.decay) @ coefficients))
    design, unknown = _design(problem, theta)
    response, fitted = _pseudo_inverse(design)
    n_free, n_params, dof = len(free), len(form.params), len(points.y) - fitted.shape[1]
    draws = None if sample.deviations is None else shared_draws(points, problem.places, sample)
    scale = 1.0 if sample.stderr is not None else chi2 / max(dof, 1)
    gof = too_good = pattern = np.nan
    if draws is None:
        covariance, t_dof = scale * response[:n_free] @ response[:n_free].T, np.full(n_free, np.inf)
        spread = scale * response[n_free:]
        pattern = pattern_test(residual, fitted, points.size, points.control)
        if sample.stderr is not None:
            gof, too_good = float(stats.chi2.sf(chi2, dof)), float(stats.chi2.cdf(chi2, dof))
    else:
        covariance, t_dof = parameter_covariance(response[:n_free], fitted, draws)
        gof = collapse_test(chi2, fitted, draws)
        too_good, spread = 1 - gof, draws.times(response[n_free:])
    wide, wide_dof = np.zeros((n_params, n_params)), np.full(n_params, np.inf)
    wide[np.ix_(free, free)], wide_dof[free] = covariance, t_dof
    wide[free[unknown], free[unknown]] = np.inf
    drift, drift_p = _drift(problem, theta, response[:n_free], scale, draws, t_dof, dof)
    grid = np.linspace(here.u.min(), here.u.max(), _GRID)
    basis, k = curve.splines[0].basis(grid), curve.splines[0].size
    own = spread[:k] @ response[n_free : n_free + k].T
    return Inference(
        curve,
        coefficients,
        wide,
        wide_dof,
        chi2,
        float(dof),
        gof,
        too_good,
        pattern,
        drift,
        drift_p,
        fitted.shape[1],
        grid,
        basis @ coefficients[:k],
        np.sqrt(np.maximum(np.einsum("gp,pq,gq->g", basis, own, basis, optimize=True), 0.0)),
    )


def flat_pvalue(points: Points, places: Array, sample: Sample) -> float:
    """P(so much change along the control or more) if the curve of each size were a constant; NaN without errors."""
    levels = (places[:, 1][:, None] == np.unique(places[:, 1])) * np.sqrt(points.weight)[:, None]
    fitted = levels / np.linalg.norm(levels, axis=0)
    y = np.sqrt(points.weight) * points.y
    chi2 = float(((y - fitted @ (fitted.T @ y)) ** 2).sum())
    if chi2 <= 1e-24 * float(y @ y):
        return 1.0
    if sample.stderr is None:
        return np.nan
    if sample.deviations is None:
        return float(stats.chi2.sf(chi2, len(y) - fitted.shape[1]))
    return collapse_test(chi2, fitted, shared_draws(points, places, sample))


def _design(problem: Problem, theta: Array) -> tuple[Array, Array]:
    """Slopes of the model, weighted, in parameters then coefficients; and which parameters they leave unknown.

    Those in the parameters are taken from the frugal spline: the full one follows the noise, and the square of its
    noisy slope promises more than the data know. What they share with a shift or a stretch of u, f'(u) and u f'(u), is
    taken out: another f would do the same.
    """
    form, points, free = problem.form, problem.points, problem.free
    here = place(form, points, theta)
    curve = Curve.through(form, theta, here.u, spline_size(len(points.y)))
    basis = (np.sqrt(points.weight) * here.factor)[:, None] * curve.basis(here.u, here.decay)
    by_theta, by_u = slopes(form, points, theta, frugal_size(form, points, theta), free)
    shared = np.concatenate([basis, by_u[:, None] * np.stack([np.ones_like(here.u), here.u], axis=1)], axis=1)
    own = by_theta - shared @ (np.linalg.pinv(shared) @ by_theta)
    unknown = np.zeros(len(free), dtype=bool)
    for j in range(len(free)):
        others = np.delete(own, j, axis=1)
        left = own[:, j] - others @ (np.linalg.pinv(others) @ own[:, j])
        unknown[j] = np.linalg.norm(left) <= _UNKNOWN * np.linalg.norm(by_theta[:, j])
    return np.concatenate([own, basis], axis=1), unknown


def _pseudo_inverse(design: Array) -> tuple[Array, Array]:
    """The pseudo-inverse (p, P) of a design, of columns of any length, and an orthonormal basis of its range."""
    size = np.linalg.norm(design, axis=0)
    size = np.where(size > 0, size, 1.0)
    left, values, right = np.linalg.svd(design / size, full_matrices=False)
    good = values > 1e-12 * values[0]
    return (right[good].T / values[good]) @ left[:, good].T / size[:, None], left[:, good]


def _drift(
    problem: Problem, theta: Array, response: Array, scale: float, draws: SharedDraws | None, t_dof: Array, dof: int
) -> tuple[Array, float]:
    """The shift of the free parameters without the smallest size, and its p-value.

    The fits share their data y: with responses H and H' the shift is (H' - H) y, whatever the curve.

    References
    ----------
    Hausman, Econometrica 46 (1978) 1251.
    """
    free, rest = problem.free, problem.points.size > problem.points.size.min()
    shift = np.full(len(theta), np.nan)
    if not len(free) or len(set(problem.points.size[rest])) < 3 or rest.sum() < LEAST_POINTS:
        return shift, np.nan
    part = replace(problem, points=problem.points.keep(rest), places=problem.places[rest])
    moved, _, at_rest = descend(part.form, part.points, theta, spline_size(int(rest.sum())), free)
    if not at_rest:
        return shift, np.nan
    shift[free] = (moved - theta)[free]
    change = -response
    change[:, rest] += _pseudo_inverse(_design(part, moved)[0])[0][: len(free)]
    covariance = scale * change @ change.T if draws is None else draws.times(change) @ change.T
    known = np.inf if problem.sample.stderr is not None else float(dof)
    return shift, shift_test(shift[free], covariance, known if draws is None else float(t_dof.min()))


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
    draws, n_basis = np.tile(theta, (_RESAMPLES, 1)), spline_size(len(points.y))
    for b in range(_RESAMPLES if len(problem.free) else 0):
        moved = replace(points, y=points.y + noise[b, places[:, 0], places[:, 1]])
        draws[b] = descend(problem.form, moved, theta, n_basis, problem.free, iterations=6)[0]
    return draws
