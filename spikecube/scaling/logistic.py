"""Separation of binary outcomes, and the penalised logistic fit that survives it."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from spikecube.scaling.arrays import Array


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
