"""Ridge regression for all penalties from one Krylov basis, or from dense factors where they cost less."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import solveh_banded

from spikecube.model.conjugate import conjugate_gradients
from spikecube.model.cost_model import krylov_is_cheaper
from spikecube.model.hermite import Array
from spikecube.model.krylov import Lanczos, residual_products
from spikecube.model.numbers import NumberError, real_array
from spikecube.model.prepared import Prepared
from spikecube.model.solves import dense_solves

_ACCURACY = 1e-8  # error of the coefficients over their norm
_NOISE = 1e-7  # rounding of single-precision products: the shared basis reduces no residual below this times edge |a|
_ROUNDS = 8  # corrections before a penalty is handed to dense factors


@dataclass(frozen=True)
class RidgePath:
    """Coefficients (lam, width) and training losses (lam,) along the penalties."""

    coefficients: Array
    train_loss: Array


def ridge_path(features: npt.ArrayLike, labels: npt.ArrayLike, lam: npt.ArrayLike) -> RidgePath:
    """argmin_a (1/n)|y - F a|^2 + lam |a|^2 for every penalty, and its minimum.

    One Krylov basis, grown in single precision, serves every penalty; conjugate gradients on the residuals in double
    precision then correct each penalty until r = F^T (y - F a)/n - lam a is at most 1e-8 lam |a|. As the error e has
    |e| <= |r|/lam, and the excess loss is at most |r|^2/lam while the loss is at least lam |a|^2, this guarantees the
    coefficients to 1e-8 and the losses to rounding. Where the penalty is so small that a Cholesky factor
    costs less it is used instead, and below the reach of normal equations a singular value decomposition.

    Parameters
    ----------
    features, labels : (n, width) and (n,); integers and truth values become float64, float32 features stay.
    lam : penalties > 0; shape (lam,).

    Raises
    ------
    ValueError
        If the shapes do not fit, a penalty is not positive, or something else than real numbers is given.

    References
    ----------
    Paige and Saunders, ACM Transactions on Mathematical Software 8 (1982) 43; for the corrections Higham, Accuracy and
    Stability of Numerical Algorithms, chapter 12.

    Examples
    --------
    >>> path = ridge_path(np.eye(2), np.array([1.0, 2.0]), [0.5])
    >>> path.coefficients.round(12).tolist(), path.train_loss.round(12).tolist()
    ([[0.5, 1.0]], [1.25])
    """
    matrix, values = real_array(features, "features", single=True), real_array(labels, "labels")
    if matrix.ndim != 2 or values.shape != matrix.shape[:1] or 0 in matrix.shape:
        raise NumberError(f"features {matrix.shape} and labels {values.shape} must have shapes (n, width) and (n,)")
    penalties = np.atleast_1d(real_array(lam, "lam"))
    if penalties.ndim != 1 or not ((penalties > 0) & (penalties < np.inf)).all():
        raise NumberError(f"lam={penalties.tolist()} must be positive numbers, one or a list of them")
    return solve_path(Prepared.of(matrix, values), penalties)


def solve_path(state: Prepared, lam: npt.ArrayLike) -> RidgePath:
    """`ridge_path` from a prepared state; what happens at one penalty depends on that penalty alone."""
    penalties = np.atleast_1d(np.asarray(lam, dtype=np.float64))
    if not np.any(state.image):
        loss = float(np.mean(state.labels**2))
        return RidgePath(np.zeros((len(penalties), state.features.shape[1])), np.full(len(penalties), loss))
    coefficients, losses = np.empty((len(penalties), state.features.shape[1])), np.full(len(penalties), np.nan)
    krylov = [i for i, x in enumerate(penalties) if krylov_is_cheaper(state.features.shape, state.edge, float(x))]
    if krylov:
        path = krylov_path(state, penalties[krylov])
        coefficients[krylov], losses[krylov] = path.coefficients, path.train_loss
    for i in np.flatnonzero(np.isnan(losses)):
        coefficients[i], losses[i] = dense_solution(state, float(penalties[i]))
    return RidgePath(coefficients, losses)


def eigen_path(state: Prepared, lam: npt.ArrayLike) -> RidgePath:
    """`ridge_path` from the eigendecomposition of the smaller Gram matrix, where that is at hand."""
    penalties = np.atleast_1d(np.asarray(lam, dtype=np.float64))
    n, width = state.features.shape
    values, vectors = state.eigen
    start = vectors.T @ (state.labels / n if n < width else state.image)

    def solution(x: float) -> Array:
        if x < 1e-6 * state.edge:  # beyond normal equations
            return dense_solution(state, x)[0]
        a = vectors @ (start / (values + x))
        return np.asarray(a @ state.features if n < width else a)

    coefficients = np.array([solution(float(x)) for x in penalties])
    return RidgePath(coefficients, _evaluate(state, coefficients, penalties)[0])


def krylov_path(state: Prepared, penalties: Array, accuracy: float = _ACCURACY) -> RidgePath:
    """`ridge_path` by the shared basis and corrections; the loss is NaN where they did not converge."""
    coefficients = first_solutions(state, penalties, accuracy)
    losses = np.full(len(penalties), np.nan)
    exact = state.features.dtype == np.float64
    active = np.arange(len(penalties))
    for _ in range(_ROUNDS):
        if not len(active):
            break
        lam, a = penalties[active], coefficients[active]
        loss, residual = _evaluate(state, a, lam)
        size = np.linalg.norm(residual, axis=1)
        target = accuracy * lam * np.linalg.norm(a, axis=1)
        done = (size <= target) | (not exact)
        losses[active[done]] = loss[done]
        active, lam, a, residual, target = (x[~done] for x in (active, lam, a, residual, target))
        coefficients[active] = a + conjugate_gradients(state, residual, lam, target / 1.5, _width)
    return RidgePath(coefficients, losses)


def _evaluate(state: Prepared, coefficients: Array, lam: Array) -> tuple[Array, Array]:
    """Training losses (lam,) and residuals F^T (y - F a)/n - lam a; (lam, N)."""
    n = len(state.labels)
    rest, image = residual_products(state.features, state.labels, coefficients.T)
    loss = [float(r @ r) / n + x * float(a @ a) for r, a, x in zip(rest.T.copy(), coefficients, lam, strict=True)]
    return np.array(loss), image.T / n - lam[:, None] * coefficients


def first_solutions(state: Prepared, penalties: Array, accuracy: float) -> Array:
    """Coefficients (lam, N) from the shared basis, each from as many of its vectors as its own residual asks for.

    The residual after k steps is |b| prod_j beta_j/d_j, with d the pivots of the tridiagonal matrix plus lam. It ends
    at half the one aimed at, which is first estimated once it fell by 1e-3, or in the rounding of the products.
    """
    basis, size = state.basis, float(np.linalg.norm(state.image))
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
                    _NOISE * state.edge * float(np.linalg.norm(c[basis.early :])),
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


def dense_solution(state: Prepared, lam: float) -> tuple[Array, float]:
    """Coefficients (N,) and training loss at one penalty from dense factors."""
    nothing = np.empty((state.features.shape[1], 0))
    a = dense_solves(state, state.labels[:, None], nothing, lam)[0][:, 0]
    loss, _ = _evaluate(state, a[None], np.array([lam]))
    return a, float(loss[0])
