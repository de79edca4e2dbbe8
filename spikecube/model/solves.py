"""Ridge regressions of any label columns, from dense factors or by conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
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
Rows = npt.NDArray[np.intp]


def solve_all(state: Prepared, columns: Array, right: Array, lams: Array) -> list[Solution]:
    """`dense_solves` at every penalty, by conjugate gradients where they cost less than a factor."""
    count = columns.shape[1] + right.shape[1]
    shape = state.features.shape
    easy = [i for i, lam in enumerate(lams) if steps_are_cheaper(shape, state.edge, float(lam), count)]
    found = dict(zip(easy, iterative_solves(state, columns, right, lams[easy]) if easy else [], strict=True))
    return [found.get(i) or dense_solves(state, columns, right, float(lam)) for i, lam in enumerate(lams)]


def iterative_solves(state: Prepared, columns: Array, right: Array, lams: Array) -> list[Solution | None]:
    """`dense_solves` at every penalty by conjugate gradients; None where too slow."""
    image = transposed_product(state.features, columns) / len(columns)
    goal = np.tile(np.concatenate([image, right], axis=1).T, (len(lams), 1))
    lam = np.repeat(lams, len(goal) // len(lams))

    def correct(residual: Array, rows: Rows, bound: Array) -> Array:
        return conjugate_gradients(state, residual, lam[rows], bound / 1.5, lambda _: _WIDTH)

    found, missed = _corrected(state, goal, lam, correct)
    failed, solutions = set(lam[missed]), np.split(found.T, len(lams), axis=1)
    return [None if x in failed else _solution(columns, image, z) for x, z in zip(lams, solutions, strict=True)]


def _corrected(
    state: Prepared, goal: Array, lam: Array, correct: Callable[[Array, Rows, Array], Array]
) -> tuple[Array, Rows]:
    """Solutions z of (F^T F/n + lam) z = goal, each corrected until |r| <= 1e-10 lam |z|, and which did not get there.

    As |K^{-1}| <= 1/lam this bounds the error of each solution by 1e-10 |z|. Features in single precision, whose
    products round more than that, get one correction.

    Parameters
    ----------
    goal, lam : (count, N) and (count,).
    correct : (residuals, their rows, their bounds) -> corrections.

    References
    ----------
    Higham, Accuracy and Stability of Numerical Algorithms, chapter 12.
    """
    f, n = state.features, len(state.labels)
    found, residual, bound = np.zeros_like(goal), goal, np.zeros(len(goal))
    rows: Rows = np.arange(len(goal))
    for rounds in range(_ROUNDS):
        found[rows] += correct(residual, rows, bound[rows])
        residual = goal[rows] - residual_products(f, np.zeros(n), -found[rows].T)[1].T / n
        residual -= lam[rows, None] * found[rows]
        bound = _REFINED * lam * np.linalg.norm(found, axis=1)
        loose = ~(np.linalg.norm(residual, axis=1) <= bound[rows])  # NaN is not small
        rows, residual = rows[loose], residual[loose]
        if not len(rows) or (f.dtype != np.float64 and rounds == 1):
            return found, rows[:0]
    return found, rows


def _solution(columns: Array, image: Array, found: Array) -> Solution:
    n, count = columns.shape
    return found[:, :count], np.asarray(columns.T @ columns / n - image.T @ found[:, :count]), found[:, count:]


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
    """`dense_solves` for N <= n from a single-precision factor of K, corrected; None where that takes too long."""
    shifted = state.half_scratch
    shifted[...] = state.half_gram
    shifted[np.diag_indices_from(shifted)] += np.float32(lam)
    factor, failed = spotrf(shifted, lower=1, overwrite_a=1, clean=0)
    if failed:
        return None

    def correct(residual: Array, *_: object) -> Array:
        return np.asarray(spotrs(factor, residual.T.astype(np.float32), lower=1)[0].T)

    image = transposed_product(state.features, columns) / len(columns)
    goal = np.concatenate([image, right], axis=1).T
    found, missed = _corrected(state, goal, np.full(len(goal), lam), correct)
    return None if len(missed) else _solution(columns, image, found.T)
