"""The Lanczos method: an orthonormal Krylov basis, and the largest eigenvalue that comes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dstebz, dstein

from spikecube.types import Array

Products = Callable[[Sequence[Array]], list[Array]]


class RitzPairs(NamedTuple):
    """Ritz values, largest first, (count,), their vectors in the basis, (steps, count), residual norms, (count,)."""

    values: Array
    coefficients: Array
    residuals: Array


class Dominant(NamedTuple):
    """The largest eigenvalue of a positive operator, and its unit eigenvector; (size,)."""

    value: float
    vector: Array


class Lanczos:
    """Orthonormal Krylov basis of a symmetric operator with its tridiagonal projection, reorthogonalised in float64.

    basis[j] is v_j; A V = V T + beta_k v_{k+1} e_k^T, T = tridiag(beta, alpha, beta), up to the precision of the
    products: `products` for the first `early` steps, `late` for the others. It grows as it is used: what is read of its
    first k vectors does not depend on how many follow.

    Attributes
    ----------
    alpha, beta : diagonal of T, and the k numbers beside it, the last one leading out; lists of length k.
    early : steps taken with `products`.

    References
    ----------
    Paige and Saunders, ACM Transactions on Mathematical Software 8 (1982) 43: this is Golub-Kahan bidiagonalisation,
    kept as the tridiagonal B^T B.
    """

    def __init__(self, start: Array, products: Products, late: Products | None = None, early: int = 0) -> None:
        self._products, self._late, self.early = products, late or products, early
        self._norm = float(np.linalg.norm(start))
        self._store = np.empty((32, len(start)))
        self._store[0] = start / self._norm if self._norm > 0 else 0.0
        self.alpha: list[float] = []
        self.beta: list[float] = []

    def __len__(self) -> int:
        return len(self.alpha)

    @property
    def basis(self) -> Array:
        """The vectors so far as rows; (k, N)."""
        return self._store[: len(self)]

    @property
    def exhausted(self) -> bool:
        """Whether the Krylov space is invariant, so that no further vector exists."""
        return self._norm == 0 or len(self) == self._store.shape[1] or (len(self) > 0 and self.beta[-1] == 0.0)

    def head(self) -> Array:
        """The vector that the next step multiplies."""
        return np.asarray(self._store[len(self)])

    def step(self) -> None:
        """One more vector."""
        self.absorb((self._products if len(self) < self.early else self._late)([self.head()])[0])

    def absorb(self, product: Array) -> None:
        """One more vector, from the operator's product with `head()`."""
        k = len(self) + 1
        basis, size = self._store[:k], float(np.linalg.norm(product))
        self.alpha.append(float(basis[-1] @ product))
        rest = product - self.alpha[-1] * basis[-1]
        if k > 1:
            rest -= self.beta[-1] * basis[-2]
        rest -= (basis @ rest) @ basis  # once is enough after the three terms; without them the errors would grow
        beta = float(np.linalg.norm(rest))
        self.beta.append(beta if beta > 1e-14 * size else 0.0)
        if k == len(self._store):
            self._store = np.concatenate([self._store, np.empty_like(self._store)])
        self._store[k] = rest / beta if self.beta[-1] > 0 else 0.0

    def ritz(self, count: int, steps: int) -> RitzPairs:
        """The `count` largest Ritz pairs of the first `steps` vectors, whatever came after them."""
        values, vectors = largest_pairs(np.array(self.alpha[:steps]), np.array(self.beta[: steps - 1]), count)
        return RitzPairs(values, vectors, self.beta[steps - 1] * np.abs(vectors[-1]))


def largest_pairs(diagonal: Array, beside: Array, count: int) -> tuple[Array, Array]:
    """The `count` largest eigenvalues of a tridiagonal matrix, largest first, and their vectors (k, count).

    What `scipy.linalg.eigh_tridiagonal` returns, bit for bit, in a third of the time for the small matrices that most
    calls have.

    >>> largest_pairs(np.array([1.0, 1.0]), np.array([2.0]), 1)[0].round(12).tolist()
    [3.0]
    """
    if not (np.isfinite(diagonal).all() and np.isfinite(beside).all()):
        raise ValueError("a tridiagonal matrix must not contain infs or NaNs")
    size = len(diagonal)
    if size == 1:
        return diagonal, np.ones((1, 1))
    found, values, block, split, info = dstebz(diagonal, beside, 2, 0.0, 0.0, max(size - count, 0) + 1, size, 0.0, "B")
    vectors, failed = dstein(diagonal, beside, values[:found], block, split)
    if info or failed:
        raise ArithmeticError(f"eigenvalues of a tridiagonal matrix did not converge ({info}, {failed})")
    order = np.argsort(values[:found])[::-1]
    return values[order], vectors[:, order]


def dominant(products: Products, size: int, tolerance: float) -> Dominant:
    """The largest eigenpair of a positive operator, to a residual relative to the eigenvalue, in at most 500 steps."""
    basis = Lanczos(fixed_start(size), products)
    while not basis.exhausted and len(basis) < 500:
        basis.step()
        if len(basis) >= 3 or basis.exhausted:
            values, vectors, residuals = basis.ritz(1, len(basis))
            if residuals[0] <= tolerance * values[0] or basis.exhausted:
                return Dominant(float(max(values[0], 0.0)), np.asarray(vectors[:, 0] @ basis.basis))
    raise ArithmeticError("the largest singular value did not converge in 500 steps")


def operator_norm(products: Products, size: int) -> float:
    """The largest singular value of M from products with M^T M, to 1e-12: the square of the residual of its vector."""
    return math.sqrt(dominant(products, size, 1e-6).value)


def fixed_start(size: int) -> Array:
    """A vector without structure, the same every time: cosines of an irrational multiple of j^2; (size,)."""
    j = np.arange(1, size + 1, dtype=np.float64)
    return np.asarray(np.cos(np.sqrt(2.0) * j * j))
