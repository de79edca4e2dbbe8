"""Ridge regressions of any label columns, from dense factors or by conjugate gradients."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import spotrf, spotrs

from spikecube.model.conjugate import conjugate_gradients
from spikecube.model.cost_model import steps_are_cheaper
from spikecube.model.hermite import Array
from spikecube.model.krylov import product, residual_products, transposed_product
from spikecube.model.prepared import Prepared

_SVD = 1e-6  # penalty over the scale of the eigenvalues below which normal equations lose too many digits
_HALF = 1e-4  # and below which a single-precision factor does not correct itself fast
_REFINED = 1e-10  # error of a refined solution over its norm
_ROUNDS = 6
_WIDTH = 4  # right-hand sides of conjugate gradients that share a pass

Solution = tuple[Array, Array, Array]


def solve_all(state: Prepared, columns: Array, right: Array, lams: Array) -> list[Solution]:
    """`dense_solves` at every penalty, by conjugate gradients where they cost less than a factor."""
    count = columns.shape[1] + right.shape[1]
    shape = state.features.shape
    easy = [i for i, lam in enumerate(lams) if steps_are_cheaper(shape, state.edge, float(lam), count)]
    found = dict(zip(easy, iterative_solves(state, columns, right, lams[easy]) if easy else [], strict=True))
    return [found.get(i) or dense_solves(state, columns, right, float(lam)) for i, lam in enumerate(lams)]


def iterative_solves(state: Prepared, columns: Array, right: Array, lams: Array) -> list[Solution | None]:
    """`dense_solves` at every penalty by conjugate gradients, corrected as in `refined_solves`; None where too slow."""
    f, n = state.features, len(columns)
    image = transposed_product(f, columns) / n
    goal = np.tile(np.concatenate([image, right], axis=1).T, (len(lams), 1))
    lam = np.repeat(lams, len(goal) // len(lams))
    found, residual, bound = np.zeros_like(goal), goal.copy(), np.zeros(len(goal))
    active = np.arange(len(goal))
    for rounds in range(_ROUNDS):
        found[active] += conjugate_gradients(state, residual, lam[active], bound[active] / 1.5, lambda _: _WIDTH)
        residual = goal[active] - residual_products(f, np.zeros(n), -found[active].T)[1].T / n
        residual -= lam[active, None] * found[active]
        bound = _REFINED * lam * np.linalg.norm(found, axis=1)
        loose = np.linalg.norm(residual, axis=1) > bound[active]
        active, residual = active[loose], residual[loose]
        if _is_final(f, rounds) or not len(active):
            active = active[:0]
            break
    failed, solutions = set(lam[active]), np.split(found.T, len(lams), axis=1)
    return [None if x in failed else _solution(columns, image, z) for x, z in zip(lams, solutions, strict=True)]


def dense_solves(state: Prepared, columns: Array, right: Array, lam: float) -> Solution:
    """F^T A^{-1} B, lam B^T A^{-1} B and K^{-1} V, with A = F F^T + n lam and K = F^T F/n + lam.

    From a single-precision Cholesky factor of K with corrections in double precision where N <= n, else from a
    double-precision factor of the smaller of K and A/n, or from singular values where the penalty is out of its reach.

    Parameters
    ----------
    columns, right : B (n, any) and V (width, any).
    lam : one penalty.

    Returns
    -------
    Arrays (width, columns of B), (columns of B, columns of B) and (width, columns of V).
    """
    if lam < _SVD * state.edge:
        return svd_solves(state, columns, right, lam)
    if lam >= _HALF * state.edge and state.features.shape[1] <= len(columns):
        found = refined_solves(state, columns, right, lam)
        if found is not None:
            return found
    return cholesky_solves(state, columns, right, lam)


def svd_solves(state: Prepared, columns: Array, right: Array, lam: float) -> Solution:
    """`dense_solves` from the singular value decomposition of F."""
    n, (u, s, vt) = len(columns), state.svd
    inside, row_inside = u.T @ columns, vt @ right
    outside = columns - u @ inside
    scaled = inside / (s * s + n * lam)[:, None]
    inverse = vt.T @ (row_inside / (s * s / n + lam)[:, None])
    if len(s) < len(right):  # else nothing lies outside the row space but rounding
        inverse += (right - vt.T @ row_inside) / lam
    return vt.T @ (s[:, None] * scaled), lam * (inside.T @ scaled) + outside.T @ outside / n, inverse


def cholesky_solves(state: Prepared, columns: Array, right: Array, lam: float) -> Solution:
    """`dense_solves` from a Cholesky factor of K, or of A/n where n < N."""
    f, n = state.features, len(columns)
    shifted = state.scratch
    shifted[...] = state.gram
    shifted[np.diag_indices_from(shifted)] += lam
    factor = cho_factor(shifted, lower=True, overwrite_a=True, check_finite=False)
    if n >= f.shape[1]:
        image = transposed_product(f, columns) / n
        a = cho_solve(factor, image, check_finite=False)
        inverse = cho_solve(factor, right, check_finite=False)
        return a, np.asarray(columns.T @ columns / n - image.T @ a), np.asarray(inverse)
    x = cho_solve(factor, np.concatenate([columns, product(f, right)], axis=1), check_finite=False) / n
    back, count = transposed_product(f, x), columns.shape[1]
    inner = lam * (columns.T @ x[:, :count])
    return back[:, :count], np.asarray(inner), np.asarray((right - back[:, count:]) / lam)


def refined_solves(state: Prepared, columns: Array, right: Array, lam: float) -> Solution | None:
    """`dense_solves` for N <= n from a single-precision factor of K, corrected until |r| <= 1e-10 lam |z| for each.

    As |K^{-1}| <= 1/lam this bounds the error of each solution z by 1e-10 |z|. None where that takes over six rounds.
    Features in single precision, whose products round more than that, get one correction.

    References
    ----------
    Higham, Accuracy and Stability of Numerical Algorithms, chapter 12.
    """
    f, n = state.features, len(columns)
    shifted = state.half_scratch
    shifted[...] = state.half_gram
    shifted[np.diag_indices_from(shifted)] += np.float32(lam)
    factor, failed = spotrf(shifted, lower=1, overwrite_a=1, clean=0)
    image, zero = transposed_product(f, columns) / n, np.zeros(n)
    goal = np.concatenate([image, right], axis=1)
    found, residual = np.zeros_like(goal), goal
    for rounds in range(0 if failed else _ROUNDS):
        found += spotrs(factor, residual.astype(np.float32), lower=1)[0]
        residual = goal + residual_products(f, zero, found)[1] / n - lam * found
        small = np.linalg.norm(residual, axis=0) <= _REFINED * lam * np.linalg.norm(found, axis=0)
        if np.all(small) or _is_final(f, rounds):
            return _solution(columns, image, found)
    return None


def _is_final(features: Array, rounds: int) -> bool:
    """Whether another round would correct nothing: features in single precision allow one correction."""
    return bool(features.dtype != np.float64) and rounds == 1


def _solution(columns: Array, image: Array, found: Array) -> Solution:
    n, count = columns.shape
    return found[:, :count], np.asarray(columns.T @ columns / n - image.T @ found[:, :count]), found[:, count:]
