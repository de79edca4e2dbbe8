"""Errors that points of one size share, when one run serves all controls: their correlation, read off the residuals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg

from spikecube.scaling.types import Array

if TYPE_CHECKING:
    from spikecube.scaling.master_curve import Points

_OWN = np.array([1.0, 0.7, 0.4, 0.15, 0.05, 0.01, 0.002])  # shares of the variance that a point does not share
_LEAST_OWN = 1e-3
_LENGTHS = 7
_HALVINGS = 4  # of the steps about the best of the grid
_STEP = 1e-4


@dataclass(frozen=True)
class Sharing:
    """Correlation own 1 + (1 - own) exp(-(v - v')^2/2 length^2) of the errors at two points of one size.

    v is u where `scaled`, else the control. `variance` stands before it: 1 where errors are known, which then stand
    before it too.
    """

    own: float
    length: float
    variance: float
    scaled: bool = True

    def along(self, u: Array, control: Array) -> Array:
        """v."""
        return u if self.scaled else control

    def correlation(self, u: Array) -> Array:
        """Of points (X,) of one size, times the variance; (X, X)."""
        like = np.exp(-0.5 * (np.subtract.outer(u, u) / self.length) ** 2)
        return np.asarray(self.variance * (self.own * np.eye(len(u)) + (1 - self.own) * like))


def read_sharing(u: Array, control: Array, size: Array, y: Array, fitted: Array, known: bool) -> Sharing:
    """The sharing with the greatest restricted likelihood.

    With V the covariance and F a basis of what is fitted, -2 log L = log|V| + log|F^T V^-1 F| + y^T P y,
    P = V^-1 - V^-1 F (F^T V^-1 F)^-1 F^T V^-1.

    Parameters
    ----------
    u, control, size, y : (P,), the values in units of their errors.
    fitted : (P, r), an orthonormal basis.
    known : whether the errors are known, so that the variance is 1.

    References
    ----------
    Patterson and Thompson, Biometrika 58 (1971) 545.
    """
    groups = [np.flatnonzero(size == n) for n in np.unique(size)]
    tried = [_read_along(v, groups, y, fitted, known) for v in (u, control)]
    best = min((0, 1), key=lambda k: tried[k][0])
    return replace(tried[best][1], scaled=best == 0)


def _read_along(v: Array, groups: list[Array], y: Array, fitted: Array, known: bool) -> tuple[float, Sharing]:
    """-2 log L of the best sharing along v, and this."""
    spans = [float(np.ptp(v[rows])) for rows in groups if len(rows) > 1]
    steps = [float(np.median(np.diff(np.sort(v[rows])))) for rows in groups if len(rows) > 1]
    lengths = np.geomspace(max(min(steps), 1e-300), 3 * max(spans), _LENGTHS)

    def cost(own: float, length: float) -> tuple[float, float]:
        return _likelihood(Sharing(own, length, 1.0), groups, v, y, fitted, known)

    tried = [(cost(own, length)[0], own, length) for own in _OWN for length in (lengths if own < 1 else lengths[:1])]
    best, step = min(tried), 0.5
    for _ in range(_HALVINGS if best[1] < 1 else 0):
        _, own, length = best
        near = [
            (own * np.exp(2 * step * a), length * np.exp(step * b)) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b
        ]
        inside = [(float(np.clip(o, _LEAST_OWN, 1.0)), float(np.clip(m, lengths[0], lengths[-1]))) for o, m in near]
        best, step = min([best, *((cost(o, m)[0], o, m) for o, m in inside)]), step / 2
    least, variance = cost(*best[1:])
    return least, Sharing(best[1], best[2], 1.0 if known else variance)


def _likelihood(
    sharing: Sharing, groups: list[Array], u: Array, y: Array, fitted: Array, known: bool
) -> tuple[float, float]:
    """-2 log L, with the best variance if it is not known; and that variance."""
    columns, logs = np.column_stack([fitted, y]), 0.0
    for rows in groups:
        root = np.linalg.cholesky(sharing.correlation(u[rows]))
        logs += 2 * float(np.log(np.diag(root)).sum())
        columns[rows] = linalg.solve_triangular(root, columns[rows], lower=True, check_finite=False)
    white, values = columns[:, :-1], columns[:, -1]
    inner = np.linalg.cholesky(white.T @ white)
    logs += 2 * float(np.log(np.diag(inner)).sum())
    taken = linalg.solve_triangular(inner, white.T @ values, lower=True, check_finite=False)
    left, dof = max(float(values @ values - taken @ taken), 1e-300), len(y) - fitted.shape[1]
    if known:
        return logs + left, 1.0
    return logs + dof * float(np.log(left / dof)), left / dof


def sharing_dof(sharing: Sharing, points: Points, u: Array, response: Array, fitted: Array, known: bool) -> Array:
    """Degrees of freedom of variances v_j = h_j h_j^T that rest on an estimated sharing; (k,).

    2 v^2/Var(v) with Var(v) = g^T I^-1 g, g_a = h V_a h^T the slopes of v in the parameters of the sharing, and
    I_ab = tr(P V_a P V_b)/2, all in units in which V is 1.

    Parameters
    ----------
    points, u : with the covariance of the sharing, and v of `Sharing`.
    response, fitted : (k, P) h, and (P, r), P = 1 - fitted fitted^T.

    References
    ----------
    Satterthwaite, Biometrics Bull. 2 (1946) 110; Giesbrecht and Burns, Biometrics 41 (1985) 477.
    """
    assert points.blocks is not None
    own = sharing.own + (_STEP if sharing.own < 0.5 else -_STEP)
    moved = [Sharing(own, sharing.length, 1.0), Sharing(sharing.own, sharing.length * np.exp(_STEP), 1.0)]
    base = Sharing(sharing.own, sharing.length, 1.0)
    n_points, slopes = len(u), []
    for other in moved:
        change = np.zeros((n_points, n_points))
        for rows, block in points.blocks:
            scale = np.sqrt(np.diag(block))
            part = (other.correlation(u[rows]) - base.correlation(u[rows])) / _STEP
            change[np.ix_(rows, rows)] = part * np.outer(scale, scale)
        slopes.append(points.white(points.white(change).T))
    slopes += [] if known else [np.eye(n_points)]
    slope_of_v = np.array([np.einsum("ka,ab,kb->k", response, s, response, optimize=True) for s in slopes])
    left = [s - fitted @ (fitted.T @ s) for s in slopes]
    information = np.array([[0.5 * np.einsum("ab,ba->", a, b) for b in left] for a in left])
    spread = np.linalg.pinv(information, rcond=1e-8, hermitian=True)
    variance = np.einsum("ak,ab,bk->k", slope_of_v, spread, slope_of_v)
    square = (response**2).sum(1)
    return np.asarray(np.where(variance > 0, 2 * square**2 / np.where(variance > 0, variance, 1.0), np.inf))
