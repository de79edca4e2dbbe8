"""What is seen beside the estimates of a law: without a size, from other seeds, by a bend, and at the next size."""

from __future__ import annotations

import numpy as np
from scipy import stats

from spikecube.scaling.curve_fits import Curves, Table
from spikecube.scaling.fit_scale import Group, ScaledSample
from spikecube.scaling.regression import LEVEL, satterthwaite
from spikecube.scaling.samples import Sample
from spikecube.scaling.types import Array, Arrays

_RESAMPLES = 999


def looks(scaled: ScaledSample, table: Table, noise: Array | None) -> Arrays:
    """Beside the estimates of a law: without each size, from other seeds, and what is foretold."""
    return _leave_one_out(scaled, table) | _bootstrap(scaled, table, noise) | foresight(scaled, table.estimate)


def _leave_one_out(scaled: ScaledSample, table: Table) -> Arrays:
    """Estimates without each size, and their shift in standard errors; (B, p, K)."""
    n_sizes = len(scaled.sample.sizes)
    left_out = np.full((*table.estimate.shape, n_sizes), np.nan)
    for group in scaled.groups:
        start = table.estimate[group.rows]
        for k in range(n_sizes):
            rest = group.curves.restrict(np.arange(n_sizes) != k)
            left_out[group.rows, :, k] = rest.optimum(start)
    used = scaled.used[:, None, :] & np.isfinite(table.estimate)[..., None]
    left_out = np.where(used, left_out, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = (table.estimate[..., None] - left_out) / table.stderr[..., None]
    dims = ("param", scaled.sample.dim)
    return {"leave_one_out": (dims, left_out), "influence": (dims, shift)}


def resampled(sample: Sample, rng: np.random.Generator | None, count: int = _RESAMPLES) -> Array | None:
    """Errors of resampled means (R, B, K): whole seeds drawn anew at each size, jointly for all curves.

    Normal ones where only the size of errors is known; None without errors, or without a generator.
    """
    if rng is None or sample.stderr is None:
        return None
    if sample.deviations is None:
        return rng.standard_normal((count, *sample.mean.shape)) * sample.stderr
    finite, drawn = np.isfinite(sample.deviations), np.zeros((count, *sample.deviations.shape[1:]))
    for k in range(drawn.shape[1]):
        there = np.flatnonzero(finite[:, k].any(axis=0))
        if len(there):
            drawn[:, k, there] = rng.multinomial(len(there), np.full(len(there), 1 / len(there)), size=count)
    totals = np.einsum("rkm,bkm->rbk", drawn, np.nan_to_num(sample.deviations), optimize=True)
    present = np.einsum("rkm,bkm->rbk", drawn, finite.astype(float), optimize=True)
    return np.where(np.isfinite(sample.stderr), totals / np.maximum(present, 1.0), np.nan)


def _bootstrap(scaled: ScaledSample, table: Table, noise: Array | None) -> Arrays:
    """Refits to the means moved by `noise`."""
    if noise is None:
        return {}
    draws = np.full((_RESAMPLES, *table.estimate.shape), np.nan)
    for group in scaled.groups:
        mean = scaled.sample.mean[group.rows]
        y = group.scaled(mean, mean + noise[:, group.rows])
        many = group.curves.repeat(y)
        start = np.tile(table.estimate[group.rows], (_RESAMPLES, 1))
        draws[:, group.rows] = many.optimum(start).reshape(_RESAMPLES, len(group.rows), -1)
    solved = np.isfinite(table.estimate) & np.isfinite(draws).any(0)
    draws = np.where(solved, draws, 0.0)
    low, high = np.nanquantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    values = {"stderr": np.nanstd(draws, axis=0, ddof=1), "low": low, "high": high}
    return {f"bootstrap_{k}": (("param",), np.where(solved, v, np.nan)) for k, v in values.items()}


_ROUNDING = 1e-12  # differences below this part of the data are none
_LEAST_P = 1e-300
_BEND = ("bend", "bend_stderr", "bend_pvalue")
_ROLLOUT = ("rollout", "rollout_stderr", "rollout_z")


def foresight(scaled: ScaledSample, estimate: Array) -> Arrays:
    """What the curves say of a term of order 1/n, and how well each size is foretold; NaN where nothing is said.

    Both are c.y with c orthogonal to the columns of the Jacobian J, which has mean zero under the law (up to its
    curvature in the parameters) and variance sum_k c_k^2 v_k. For the bend, D of a factor 1 + D/n, c is the row of the
    weighted pseudo-inverse of (J, J_a/n) that belongs to the last column, J_a the term that D multiplies: the score
    test of a correction, which for a power law is the slope of its local exponents in 1/n. For the roll-out, c.y is the
    datum less what the fit to all smaller sizes says of it. Without errors v is the mean square of what is left.

    Parameters
    ----------
    estimate : (B, p), of the fits to all sizes used.

    Returns
    -------
    Arrays
        bend, bend_stderr, bend_pvalue (B,); rollout (the prediction), rollout_stderr (of datum less prediction) and
        rollout_z (that difference as a normal deviate of the same probability), each (B, K).
    """
    law, (n_curves, n_sizes) = scaled.law, scaled.sample.mean.shape
    found = {name: np.full(n_curves, np.nan) for name in _BEND}
    found |= {name: np.full((n_curves, n_sizes), np.nan) for name in _ROLLOUT}
    for group in scaled.groups:
        rows = np.flatnonzero(np.isfinite(estimate[group.rows]).all(1))
        if not len(rows):
            continue
        theta, c = estimate[group.rows][rows], group.curves.pick(rows.tolist())
        if law.amplitude is not None:
            for name, values in zip(_BEND, _bend(c, theta, law.amplitude), strict=True):
                found[name][group.rows[rows]] = values
        for k in range(len(law.params) + 1, n_sizes):
            ahead = _in_data(group, rows, *_next(c, theta, k))
            for name, values in zip(_ROLLOUT, ahead, strict=True):
                found[name][group.rows[rows], k] = values
    return {name: ((scaled.sample.dim,) * (values.ndim - 1), values) for name, values in found.items()}


def _bend(c: Curves, theta: Array, amplitude: int) -> tuple[Array, Array, Array]:
    """D, its standard error and p-value, each (B,)."""
    used = c.weights > 0
    slopes = c.jacobian(theta)
    term = slopes[..., amplitude] * (1.0 if c.law.params[amplitude].startswith("log") else theta[:, amplitude, None])
    wide = np.concatenate([slopes, (term / c.sizes)[..., None]], axis=-1)
    response = _responses(wide, c.weights)
    residual = np.where(used, c.y - c.value(theta), 0.0)
    moved = np.einsum("bpk,bk->bp", response, residual)
    left = np.where(used, residual - np.einsum("bkp,bp->bk", wide, moved), 0.0)
    stderr, dof = _error(c, response[:, -1], left, used.sum(1) - wide.shape[-1])
    pvalue = np.asarray(2 * stats.t.sf(np.abs(moved[:, -1]) / stderr, dof))
    return np.where(dof > 0, moved[:, -1], np.nan), stderr, pvalue


def _next(c: Curves, theta: Array, k: int) -> tuple[Array, Array, Array]:
    """Size k foretold by a fit to the smaller ones, the error of the difference, and its deviate; each (B,)."""
    before = c.restrict(np.arange(c.y.shape[1]) < k)
    used = before.weights > 0
    fit = before.optimum(theta)
    asked = (used.sum(1) > theta.shape[1]) & (c.weights[:, k] > 0) & np.isfinite(fit).all(1)
    fit = np.where(asked[:, None], fit, theta)
    slopes, values = c.jacobian(fit), c.value(fit)
    pull = -np.einsum("bp,bpk->bk", slopes[:, k], _responses(slopes, before.weights))
    pull[:, k] = 1.0
    stderr, dof = _error(c, pull, np.where(used, c.y - values, 0.0), used.sum(1) - theta.shape[1])
    t = (c.y[:, k] - values[:, k]) / stderr
    tail = np.maximum(stats.t.sf(np.abs(t), dof), _LEAST_P)
    z = np.where(np.isinf(dof), t, np.sign(t) * stats.norm.isf(tail))
    return tuple(np.where(asked, v, np.nan) for v in (values[:, k], stderr, z))  # type: ignore[return-value]


def _responses(design: Array, weights: Array) -> Array:
    """The weighted pseudo-inverses (B, p, K) of designs (B, K, p), columns taken to one length first."""
    root = np.sqrt(weights)
    whitened = root[..., None] * np.where(weights[..., None] > 0, design, 0.0)
    size = np.linalg.norm(whitened, axis=1)
    size = np.where((size > 0) & np.isfinite(size), size, 1.0)
    solved: Array = np.linalg.pinv(np.nan_to_num(whitened / size[:, None])) / size[..., None] * root[:, None]
    return solved


def _error(c: Curves, pull: Array, left: Array, dof: Array) -> tuple[Array, Array]:
    """Standard error of pull.y and its degrees of freedom, (B,); without errors from the residuals `left`."""
    if c.variance is None:
        freedom = np.where(dof > 0, dof, np.nan)
        terms = pull**2 * ((left**2).sum(1) / freedom)[:, None]
    else:
        terms = pull**2 * np.where(c.weights > 0, c.variance, 0.0)
        freedom = satterthwaite(terms, c.dof)
    size = np.where(c.weights > 0, np.abs(c.y), 0.0).max(1)
    least = _ROUNDING * (np.maximum(size, 1.0) if c.law.log else size)
    return np.sqrt(terms.sum(1) + least**2 * (pull**2).sum(1)), freedom


def _in_data(group: Group, rows: Array, value: Array, stderr: Array, z: Array) -> tuple[Array, Array, Array]:
    """A prediction, the error of the difference and its deviate, with the units and the sign of the data."""
    if group.curves.law.log:
        level = np.exp(value)
        return level, level * stderr, z
    sign = group.sign[rows]
    return value * sign, stderr, z * sign
