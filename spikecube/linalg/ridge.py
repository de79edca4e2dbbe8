"""Ridge regression for all penalties from one Krylov basis, or from dense factors where they cost less."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import solveh_banded

from spikecube.linalg.conjugate_gradients import conjugate_gradients
from spikecube.linalg.costs import krylov_is_cheaper
from spikecube.linalg.lanczos import Lanczos
from spikecube.linalg.matrix import Eigen, FeatureMatrix
from spikecube.linalg.products import residual_products
from spikecube.linalg.systems import SVD, factored_systems
from spikecube.types import Array

_ACCURACY = 1e-8  # error of the coefficients over their norm
_NOISE = 1e-7  # rounding of single-precision products: the shared basis reduces no residual below this times edge |a|
_ROUNDS = 8  # corrections before a penalty is handed to dense factors


class Regression(NamedTuple):
    """What ridge regressions of labels y on F share at every penalty.

    Attributes
    ----------
    matrix : F; (n, N).
    labels : y; (n,).
    correlation : F^T y / n; (N,).
    """

    matrix: FeatureMatrix
    labels: Array
    correlation: Array


class RidgePath(NamedTuple):
    """Coefficients (lam, N) and training losses (lam,) along the penalties."""

    coefficients: Array
    train_loss: Array


class Evaluation(NamedTuple):
    """Training losses (lam,) of given coefficients, and residuals F^T (y - F a)/n - lam a; (lam, N)."""

    losses: Array
    residuals: Array


def shared_path(problem: Regression, basis: Lanczos, lam: npt.ArrayLike) -> RidgePath:
    """The ridge path by `krylov_path` where that is cheaper, else, and where it does not converge, from dense factors.

    What happens at one penalty depends on that penalty alone. Labels that no feature sees have the path 0.
    """
    penalties = np.atleast_1d(np.asarray(lam, dtype=np.float64))
    shape, edge = problem.matrix.array.shape, problem.matrix.edge
    coefficients, losses = np.zeros((len(penalties), shape[1])), np.full(len(penalties), np.nan)
    if not np.any(problem.correlation):
        losses[:] = float(np.mean(problem.labels**2))
        return RidgePath(coefficients, losses)
    cheap = np.array([krylov_is_cheaper(shape, edge, float(x)) for x in penalties])
    if np.any(cheap):
        coefficients[cheap], losses[cheap] = krylov_path(problem, basis, penalties[cheap])
    rest = np.isnan(losses)
    coefficients[rest], losses[rest] = dense_path(problem, penalties[rest])
    return RidgePath(coefficients, losses)


def eigen_path(problem: Regression, eigen: Eigen, lam: npt.ArrayLike) -> RidgePath:
    """The ridge path from the eigendecomposition of the smaller Gram matrix, where that is at hand."""
    penalties = np.atleast_1d(np.asarray(lam, dtype=np.float64))
    f, (n, width) = problem.matrix.array, problem.matrix.array.shape
    start = eigen.vectors.T @ (problem.labels / n if n < width else problem.correlation)
    solved = [eigen.vectors @ (start / (eigen.values + x)) for x in penalties]
    coefficients = np.array([a @ f if n < width else a for a in solved], dtype=np.float64)
    tiny = penalties < SVD * problem.matrix.edge  # beyond normal equations
    coefficients[tiny] = dense_path(problem, penalties[tiny]).coefficients
    return RidgePath(coefficients, evaluate(problem, coefficients, penalties).losses)


def krylov_path(problem: Regression, basis: Lanczos, penalties: Array, accuracy: float = _ACCURACY) -> RidgePath:
    """The ridge path by the shared basis and corrections; the loss is NaN where they did not converge."""
    coefficients = first_solutions(problem, basis, penalties, accuracy)
    losses = np.full(len(penalties), np.nan)
    exact = problem.matrix.array.dtype == np.float64
    active = np.arange(len(penalties))
    for _ in range(_ROUNDS):
        if not len(active):
            break
        lam, a = penalties[active], coefficients[active]
        loss, residual = evaluate(problem, a, lam)
        size = np.linalg.norm(residual, axis=1)
        target = accuracy * lam * np.linalg.norm(a, axis=1)
        done = (size <= target) | (not exact)
        losses[active[done]] = loss[done]
        active, lam, a, residual, target = (x[~done] for x in (active, lam, a, residual, target))
        coefficients[active] = a + conjugate_gradients(problem.matrix, residual, lam, target / 1.5, _width)
    return RidgePath(coefficients, losses)


def dense_path(problem: Regression, penalties: Array) -> RidgePath:
    """The ridge path from dense factors, each made once."""
    nothing = np.empty((problem.matrix.array.shape[1], 0))
    solutions = factored_systems(problem.matrix, problem.labels[:, None], nothing, penalties)
    coefficients = np.array([s.coefficients[:, 0] for s in solutions]).reshape(len(penalties), len(nothing))
    return RidgePath(coefficients, evaluate(problem, coefficients, penalties).losses)


def evaluate(problem: Regression, coefficients: Array, lam: Array) -> Evaluation:
    """Losses |y - F a|^2/n + lam |a|^2 and residuals of coefficients (lam, N), one penalty each."""
    n = len(problem.labels)
    rest, product = residual_products(problem.matrix.array, problem.labels, coefficients.T)
    loss = [float(r @ r) / n + x * float(a @ a) for r, a, x in zip(rest.T.copy(), coefficients, lam, strict=True)]
    return Evaluation(np.array(loss), product.T / n - lam[:, None] * coefficients)


def first_solutions(problem: Regression, basis: Lanczos, penalties: Array, accuracy: float) -> Array:
    """Coefficients (lam, N) from the shared basis, each from as many of its vectors as its own residual asks for.

    The residual after k steps is |b| prod_j beta_j/d_j, with d the pivots of the tridiagonal matrix plus lam. It ends
    at half the one aimed at, which is first estimated once it fell by 1e-3, or in the rounding of the products.
    """
    size = float(np.linalg.norm(problem.correlation))
    solutions: list[Array | None] = [None] * len(penalties)
    target, guessed = np.full(len(penalties), 1e-3 * size), np.zeros(len(penalties), dtype=bool)
    pivot, residual = np.ones(len(penalties)), np.full(len(penalties), size)
    k, previous = 0, 0.0
    while any(solution is None for solution in solutions):
        if k == len(basis):
            basis.step()
        pivot = basis.alpha[k] + penalties - previous * previous / pivot
        previous = basis.beta[k]
        residual = residual * previous / pivot
        k += 1
        for i in np.flatnonzero((residual <= target) | (previous == 0.0)):
            if solutions[i] is not None:
                continue
            lam = float(penalties[i])
            c = _projected(basis, size, k, lam)
            if not guessed[i]:
                target[i] = max(
                    0.5 * accuracy * lam * float(np.linalg.norm(c)),
                    _NOISE * problem.matrix.edge * float(np.linalg.norm(c[basis.early :])),
                )
                guessed[i] = True
            if residual[i] <= target[i] or previous == 0.0:
                solutions[i] = c @ basis.basis[:k]
    return np.array(solutions, dtype=np.float64)


def _projected(basis: Lanczos, size: float, steps: int, lam: float) -> Array:
    """(T_k + lam)^{-1} e_1 |b|."""
    if steps == 1:
        return np.array([size / (basis.alpha[0] + lam)])
    banded = np.zeros((2, steps))
    banded[0, 1:], banded[1] = basis.beta[: steps - 1], np.array(basis.alpha[:steps]) + lam
    start = np.zeros(steps)
    start[0] = size
    return np.asarray(solveh_banded(banded, start))


def _width(step: int) -> int:
    """How many penalties share a pass at this step: fewer as they end, but never because of which others there are."""
    return 4 if step <= 12 else 2 if step <= 32 else 1
