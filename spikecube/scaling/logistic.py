"""Separation of binary outcomes, the penalised logistic fit that survives it, and a score test for clusters."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special, stats

from spikecube.scaling.types import Array


def is_separated(design: Array, outcome: Array) -> bool:
    """Whether some combination of regressors tells all outcomes apart (touching allowed), so that no maximum exists.

    The linear programme of Konis: max sum_i s_i x_i.b with 0 <= s_i x_i.b <= 1 exceeds 0, s_i = +-1 the outcomes.

    >>> x = np.column_stack([np.ones(4), np.arange(4.0)])
    >>> is_separated(x, np.array([0, 0, 1, 1])), is_separated(x, np.array([0, 1, 0, 1]))
    (True, False)
    """
    scaled = design / np.abs(design).max(axis=0)
    signed = np.where(outcome > 0, 1.0, -1.0)[:, None] * scaled
    rows = np.unique(signed, axis=0)
    n_rows, n_params = rows.shape
    found = optimize.linprog(
        -rows.sum(0),
        A_ub=np.concatenate([-rows, rows]),
        b_ub=np.concatenate([np.zeros(n_rows), np.ones(n_rows)]),
        bounds=[(None, None)] * n_params,
    )
    return bool(found.fun is not None and found.fun < -1e-6)


def firth(design: Array, outcome: Array, *, iterations: int = 200) -> tuple[Array, Array]:
    """Coefficients that maximise the likelihood times Jeffreys' prior, and the inverse information; always finite.

    Score: X^T (y - p + h (1/2 - p)), h the diagonal of the hat matrix.

    References
    ----------
    Firth, Biometrika 80 (1993) 27; Heinze and Schemper, Stat. Med. 21 (2002) 2409.

    Examples
    --------
    >>> x = np.column_stack([np.ones(4), [-1.5, -0.5, 0.5, 1.5]])
    >>> params, _ = firth(x, np.array([0.0, 0.0, 1.0, 1.0]))
    >>> bool(abs(params[0]) < 1e-8 and 0 < params[1] < 10)
    True
    """
    size = np.abs(design).max(axis=0)
    x = design / size
    params = np.zeros(x.shape[1])
    for _ in range(iterations):
        p = special.expit(x @ params)
        weights = p * (1 - p)
        inverse = np.linalg.pinv((x * weights[:, None]).T @ x, hermitian=True)
        leverage = weights * np.einsum("ip,pq,iq->i", x, inverse, x)
        step = inverse @ (x.T @ (outcome - p + leverage * (0.5 - p)))
        step *= min(1.0, 5.0 / max(np.abs(step).max(), 1e-300))
        params += step
        if np.abs(step).max() < 1e-10:
            break
    return params / size, inverse / size / size[:, None]


def cluster_score_test(design: Array, extra: Array, outcome: Array, groups: Array, params: Array) -> float:
    """p-value of "the coefficients of `extra` vanish" in a logistic regression, rows of a group being dependent.

    With e what `extra` has beyond `design` (weighted by p (1 - p)) the score is S = sum_g u_g, u_g = sum_{i in g}
    e_i (y_i - p_i), and T = S^T C^{-1} S, C the covariance of the u_g over groups times their number G: Hotelling's
    T (G - q)/(q (G - 1)) against F(q, G - q). In C the residuals of a group are those of the fit without it,
    (1 - P_gg)^{-1} r_g with P the hat matrix: its own outcomes have drawn the fit towards them.

    Parameters
    ----------
    design, extra, outcome, groups : (n, p), (n, q), (n,) of 0 and 1, (n,) labels.
    params : (p,), the fit without `extra`.

    References
    ----------
    Rao, Proc. Camb. Phil. Soc. 44 (1948) 50; Mancl and DeRouen, Biometrics 57 (2001) 126, for the residuals.

    Examples
    --------
    >>> x = np.ones((8, 1))
    >>> extra = np.repeat([[1.0], [0.0]], 4, axis=0)
    >>> round(cluster_score_test(x, extra, np.tile([0.0, 1.0], 4), np.arange(8), np.zeros(1)), 6)
    1.0
    """
    p = special.expit(design @ params)
    weight = np.maximum(p * (1 - p), 1e-300)
    inverse = np.linalg.pinv((design * weight[:, None]).T @ design, hermitian=True)
    beyond = extra - design @ (inverse @ (design.T @ (weight[:, None] * extra)))
    rows, residual = design * np.sqrt(weight)[:, None], (outcome - p) / np.sqrt(weight)
    scores = []
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        kept = np.eye(len(own)) - rows[own] @ inverse @ rows[own].T
        without = np.linalg.pinv(kept, hermitian=True) @ residual[own]
        scores.append((beyond[own] * np.sqrt(weight[own])[:, None]).T @ without)
    count, tested = len(scores), extra.shape[1]
    if count <= tested:
        return float("nan")
    covariance = np.atleast_2d(np.cov(np.array(scores), rowvar=False)) * count
    score = beyond.T @ (outcome - p)
    statistic = float(score @ np.linalg.pinv(covariance, hermitian=True) @ score)
    return float(stats.f.sf(statistic * (count - tested) / (tested * (count - 1)), tested, count - tested))
