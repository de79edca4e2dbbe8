"""Tests of a collapse that see what its sum of squares does not."""

from __future__ import annotations

import numpy as np
from scipy import stats

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
