"""Regularised systems of many columns at many penalties, each by the cheapest way that reaches its accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import spotrf, spotrs

from spikecube.linalg.conjugate_gradients import conjugate_gradients
from spikecube.linalg.costs import steps_are_cheaper
from spikecube.linalg.matrix import FeatureMatrix, double_gram, small_gram
from spikecube.linalg.products import product, residual_products, transposed_product
from spikecube.types import Array

SVD = 1e-6  # penalty over the scale of the eigenvalues below which normal equations lose too many digits
_SINGLE = 1e-4  # and below which a single-precision factor does not correct itself fast
_REFINED = 1e-10  # error of a refined solution over its norm
_ROUNDS = 6
_WIDTH = 4  # right-hand sides of conjugate gradients that share a pass

Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


class Solution(NamedTuple):
    """Solutions at one penalty for columns B (n, b) and V (N, v), with A = F F^T + n lam and K = F^T F/n + lam.

    Attributes
    ----------
    coefficients : F^T A^{-1} B, the ridge regressions of the columns; (N, b).
    inner : lam B^T A^{-1} B, on whose diagonal stand their training losses; (b, b).
    inverse : K^{-1} V; (N, v).
    """

    coefficients: Array
    inner: Array
    inverse: Array


Way = Callable[[FeatureMatrix, Array, Array, Array], Sequence[Solution | None]]


def solve_systems(matrix: FeatureMatrix, columns: Array, right: Array, lams: Array) -> list[Solution]:
    """The `Solution` at every penalty, by conjugate gradients where they cost less than a factor.

    Parameters
    ----------
    columns, right : B (n, b) and V (N, v).
    lams : penalties > 0; (lam,). What happens at one of them does not depend on the others.
    """
    count, shape = columns.shape[1] + right.shape[1], matrix.array.shape
    easy = np.array([steps_are_cheaper(shape, matrix.edge, float(lam), count) for lam in lams])
    return _first_way([(conjugate_systems, easy), *_factored(matrix, lams)], matrix, columns, right, lams)


def factored_systems(matrix: FeatureMatrix, columns: Array, right: Array, lams: Array) -> list[Solution]:
    """`solve_systems` from dense factors alone.

    From singular values where the penalty is beyond the reach of normal equations; where N <= n from a
    single-precision Cholesky factor of K with corrections in double precision; else, and where these fail, from a
    double-precision factor of the smaller of K and A/n.
    """
    return _first_way(_factored(matrix, lams), matrix, columns, right, lams)


def conjugate_systems(matrix: FeatureMatrix, columns: Array, right: Array, lams: Array) -> list[Solution | None]:
    """`solve_systems` by conjugate gradients; None where too slow."""
    correlation = transposed_product(matrix.array, columns) / len(columns)
    goal = np.tile(np.concatenate([correlation, right], axis=1).T, (len(lams), 1))
    lam = np.repeat(lams, len(goal) // len(lams))

    def correct(residual: Array, rows: Rows, bound: Array) -> Array:
        return conjugate_gradients(matrix, residual, lam[rows], bound / 1.5, lambda _: _WIDTH)

    found, missed = _corrected(matrix.array, goal, lam, correct)
    failed, solutions = set(lam[missed]), np.split(found.T, len(lams), axis=1)
    return [None if x in failed else _solution(columns, correlation, z) for x, z in zip(lams, solutions, strict=True)]


def svd_systems(matrix: FeatureMatrix, columns: Array, right: Array, lams: Array) -> list[Solution]:
    """`solve_systems` from the singular value decomposition of F."""
    n, (u, s, vt) = len(columns), np.linalg.svd(matrix.array.astype(np.float64), full_matrices=False)
    inside, row_inside = u.T @ columns, vt @ right
    outside = columns - u @ inside

    def solution(lam: float) -> Solution:
        scaled = inside / (s * s + n * lam)[:, None]
        inverse = vt.T @ (row_inside / (s * s / n + lam)[:, None])
        if len(s) < len(right):  # else nothing lies outside the row space but rounding
            inverse += (right - vt.T @ row_inside) / lam
        inner = lam * (inside.T @ scaled) + outside.T @ outside / n
        return Solution(vt.T @ (s[:, None] * scaled), inner, inverse)

    return [solution(float(lam)) for lam in lams]


def refined_systems(matrix: FeatureMatrix, columns: Array, right: Array, lams: Array) -> list[Solution | None]:
    """`solve_systems` for N <= n from single-precision factors of K, corrected; None where that takes too long."""
    correlation = transposed_product(matrix.array, columns) / len(columns)
    goal, gram = np.concatenate([correlation, right], axis=1).T, small_gram(matrix.single)
    room = np.empty_like(gram)

    def solution(lam: float) -> Solution | None:
        factor, failed = spotrf(_shifted(gram, lam, room), lower=1, overwrite_a=1, clean=0)
        if failed:
            return None

        def correct(residual: Array, *_: object) -> Array:
            return np.asarray(spotrs(factor, residual.T.astype(np.float32), lower=1)[0].T)

        found, missed = _corrected(matrix.array, goal, np.full(len(goal), lam), correct)
        return None if len(missed) else _solution(columns, correlation, found.T)

    return [solution(float(lam)) for lam in lams]


def cholesky_systems(matrix: FeatureMatrix, columns: Array, right: Array, lams: Array) -> list[Solution]:
    """`solve_systems` from Cholesky factors of K, or of A/n where n < N."""
    f, (n, count) = matrix.array, columns.shape
    gram = double_gram(f)
    room = np.empty_like(gram)

    def factor(lam: float) -> tuple[Array, bool]:
        return cho_factor(_shifted(gram, lam, room), lower=True, overwrite_a=True, check_finite=False)

    def tall(lam: float) -> Solution:
        made = factor(lam)
        solved = [cho_solve(made, goal, check_finite=False) for goal in (correlation, right)]
        return _solution(columns, correlation, np.concatenate(solved, axis=1))

    def wide(lam: float) -> Solution:
        x = cho_solve(factor(lam), goal, check_finite=False) / n
        back, inner = transposed_product(f, x), lam * (columns.T @ x[:, :count])
        return Solution(back[:, :count], np.asarray(inner), np.asarray((right - back[:, count:]) / lam))

    if n >= f.shape[1]:
        correlation = transposed_product(f, columns) / n
        return [tall(float(lam)) for lam in lams]
    goal = np.concatenate([columns, product(f, right)], axis=1)
    return [wide(float(lam)) for lam in lams]


def _factored(matrix: FeatureMatrix, lams: Array) -> list[tuple[Way, Mask]]:
    """The dense ways in the order in which they are tried, and the penalties that each is for; (lam,)."""
    n, width = matrix.array.shape
    tiny = lams < SVD * matrix.edge
    fast = (lams >= _SINGLE * matrix.edge) & (width <= n)
    return [(svd_systems, tiny), (refined_systems, fast), (cholesky_systems, np.full(len(lams), True))]


def _first_way(
    ways: Sequence[tuple[Way, Mask]], matrix: FeatureMatrix, columns: Array, right: Array, lams: Array
) -> list[Solution]:
    """Every penalty by the first way that is meant for it and does not decline."""
    found: dict[int, Solution] = {}
    for way, meant in ways:
        rows = [int(i) for i in np.flatnonzero(meant) if i not in found]
        solutions = way(matrix, columns, right, lams[rows]) if rows else []
        found |= {i: s for i, s in zip(rows, solutions, strict=True) if s is not None}
    return [found[i] for i in range(len(lams))]


def _shifted(gram: Array, lam: float, room: Array) -> Array:
    """gram + lam in `room`, which the factor then overwrites."""
    room[...] = gram
    room[np.diag_indices_from(room)] += lam
    return room


def _solution(columns: Array, correlation: Array, found: Array) -> Solution:
    """From solutions with K of F^T B/n and V side by side; (N, b + v)."""
    n, count = columns.shape
    inner = columns.T @ columns / n - correlation.T @ found[:, :count]
    return Solution(found[:, :count], np.asarray(inner), found[:, count:])


def _corrected(f: Array, goal: Array, lam: Array, correct: Callable[[Array, Rows, Array], Array]) -> tuple[Array, Rows]:
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
    n = len(f)
    found, residual, bound = np.zeros_like(goal), goal, np.zeros(len(goal))
    rows: Rows = np.arange(len(goal))
    for rounds in range(_ROUNDS):
        found[rows] += correct(residual, rows, bound[rows])
        residual = goal[rows] - residual_products(f, np.zeros(n), -found[rows].T).product.T / n
        residual -= lam[rows, None] * found[rows]
        bound = _REFINED * lam * np.linalg.norm(found, axis=1)
        loose = ~(np.linalg.norm(residual, axis=1) <= bound[rows])  # NaN is not small
        rows, residual = rows[loose], residual[loose]
        if not len(rows) or (f.dtype != np.float64 and rounds == 1):
            return found, rows[:0]
    return found, rows
