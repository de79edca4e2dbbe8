"""Products with a tall matrix in cache-sized row blocks, and the Krylov bases made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh_tridiagonal

from spikecube.model.hermite import Array

_CACHE = 1 << 19  # bytes of a row block: half of a second-level cache, so that a block is read from memory once
_STREAM = 1 << 21  # for matrix-vector products, where calls on short blocks cost more than the second-level cache gains
_UNPACKED = 1_000_000  # multiplications up to which OpenBLAS does not pack its operands, which here costs more
_FLUSH = 256  # rows summed in the matrix's own precision before the sum is added in float64
GROUP = 8  # columns multiplied at once, always this many: a column's bits do not depend on how many there are

Products = Callable[[Sequence[Array]], list[Array]]


def row_blocks(n_rows: int, row_bytes: int, block_bytes: int = _CACHE) -> Iterator[slice]:
    """Slices of rows that fit in the cache together."""
    size = max(4, block_bytes // max(row_bytes, 1))
    return (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))


def thin_blocks(matrix: Array, columns: int) -> Iterator[slice]:
    """Slices of rows short enough that a product with so few columns runs without packing, and from the cache."""
    width = matrix.shape[1]
    size = max(1, min(_UNPACKED // (columns * width), _CACHE // (width * matrix.itemsize), _FLUSH))
    size = size - size % 8 or size  # whole registers
    return (slice(start, min(start + size, len(matrix))) for start in range(0, len(matrix), size))


def normal_products(matrix: Array, columns: Sequence[Array], scale: float = 1.0, width: int = 1) -> list[Array]:
    """scale F^T F v for each column v, `width` of them in one pass over F, in F's precision; each (N,).

    The last group is padded with zeros, so that the bits of a column depend on the width but not on the other columns.
    Rows are summed in F's precision in short runs, these in float64.
    """
    products = _normal_product if width == 1 else _normal_group
    out: list[Array] = []
    for start in range(0, len(columns), width):
        part = columns[start : start + width]
        group = np.zeros((width, matrix.shape[1]), dtype=matrix.dtype)
        group[: len(part)] = part
        total = products(matrix, group)
        total *= scale
        out.extend(total[: len(part)])
    return out


def _normal_product(matrix: Array, row: Array) -> Array:
    """F^T F v by matrix-vector products, of a single row v; (1, N)."""
    v, total = row[0], np.zeros(row.shape)
    for rows in row_blocks(len(matrix), matrix.shape[1] * matrix.itemsize, _STREAM):
        block = matrix[rows]
        total[0] += (block @ v) @ block
    return total


def _normal_group(matrix: Array, rows: Array) -> Array:
    """F^T F v for each row v of `rows`; same shape."""
    total, part, image = np.zeros(rows.shape), np.zeros_like(rows), np.empty_like(rows)
    pending = 0
    for where in thin_blocks(matrix, len(rows)):
        block = matrix[where]
        part += np.matmul((block @ rows.T).T, block, out=image)
        pending += len(block)
        if pending >= _FLUSH:
            total += part
            part[...], pending = 0.0, 0
    total += part
    return total


def grouped(columns: Array, dtype: npt.DTypeLike = np.float64) -> Iterator[tuple[slice, Array]]:
    """The columns in groups of `GROUP`, the last one padded with zeros; slices into them and contiguous copies."""
    for start in range(0, columns.shape[1], GROUP):
        part = columns[:, start : start + GROUP]
        group = np.zeros((len(columns), GROUP), dtype=dtype)
        group[:, : part.shape[1]] = part
        yield slice(start, start + part.shape[1]), group


def product(matrix: Array, columns: Array) -> Array:
    """F B in float64, for any number of columns with the same bits for each; (n, columns)."""
    out = np.empty((len(matrix), columns.shape[1]))
    for where, group in grouped(columns, matrix.dtype):
        for rows in thin_blocks(matrix, GROUP):
            out[rows, where] = (matrix[rows] @ group)[:, : where.stop - where.start]
    return out


def transposed_product(matrix: Array, columns: Array) -> Array:
    """F^T B, summed in float64, for any number of columns with the same bits for each; (N, columns)."""
    out = np.empty((matrix.shape[1], columns.shape[1]))
    for where, group in grouped(columns, matrix.dtype):
        total = np.zeros((matrix.shape[1], GROUP))
        for rows in thin_blocks(matrix, GROUP):
            total += matrix[rows].T @ group[rows]
        out[:, where] = total[:, : where.stop - where.start]
    return out


def residual_products(matrix: Array, labels: Array, columns: Array) -> tuple[Array, Array]:
    """y - F a and F^T (y - F a) for each column a, one pass per group; (n, columns), (N, columns)."""
    residual, image = np.empty((len(matrix), columns.shape[1])), np.empty(columns.shape)
    for where, group in grouped(columns, matrix.dtype):
        total = np.zeros((len(columns), GROUP))
        for rows in thin_blocks(matrix, GROUP):
            block = matrix[rows]
            rest = labels[rows, None] - block @ group
            total += block.T @ rest.astype(matrix.dtype, copy=False)
            residual[rows, where] = rest[:, : where.stop - where.start]
        image[:, where] = total[:, : where.stop - where.start]
    return residual, image


class Lanczos:
    """Orthonormal Krylov basis of a symmetric operator with its tridiagonal projection, reorthogonalised in float64.

    basis[j] is v_j; A V = V T + beta_k v_{k+1} e_k^T, T = tridiag(beta, alpha, beta), up to the precision of the
    products: `products` for the first `early` steps, `late` for the others.

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

    def absorb(self, image: Array) -> None:
        """One more vector, from the operator's image of `head()`."""
        k = len(self) + 1
        basis, size = self._store[:k], float(np.linalg.norm(image))
        self.alpha.append(float(basis[-1] @ image))
        rest = image - self.alpha[-1] * basis[-1]
        if k > 1:
            rest -= self.beta[-1] * basis[-2]
        rest -= (basis @ rest) @ basis  # once is enough after the three terms; without them the errors would grow
        beta = float(np.linalg.norm(rest))
        self.beta.append(beta if beta > 1e-14 * size else 0.0)
        if k == len(self._store):
            self._store = np.concatenate([self._store, np.empty_like(self._store)])
        self._store[k] = rest / beta if self.beta[-1] > 0 else 0.0

    def ritz(self, count: int, steps: int) -> tuple[Array, Array, Array]:
        """Largest Ritz values (count,) of the first `steps` vectors, coefficients (steps, count), residual norms."""
        values, vectors = eigh_tridiagonal(
            np.array(self.alpha[:steps]),
            np.array(self.beta[: steps - 1]),
            select="i",
            select_range=(max(steps - count, 0), steps - 1),
        )
        values, vectors = values[::-1], vectors[:, ::-1]
        return values, vectors, self.beta[steps - 1] * np.abs(vectors[-1])


def dominant(products: Products, size: int, tolerance: float) -> tuple[float, Array]:
    """The largest eigenvalue of a positive operator and its unit eigenvector, to a residual relative to the eigenvalue.

    Raises
    ------
    ArithmeticError
        If 500 steps do not suffice.
    """
    basis = Lanczos(fixed_start(size), products)
    while not basis.exhausted and len(basis) < 500:
        basis.step()
        if len(basis) >= 3 or basis.exhausted:
            values, vectors, residuals = basis.ritz(1, len(basis))
            if residuals[0] <= tolerance * values[0] or basis.exhausted:
                return float(max(values[0], 0.0)), np.asarray(vectors[:, 0] @ basis.basis)
    raise ArithmeticError("the largest singular value did not converge in 500 steps")


def fixed_start(size: int) -> Array:
    """A vector without structure, the same every time: cosines of an irrational multiple of j^2; (size,)."""
    j = np.arange(1, size + 1, dtype=np.float64)
    return np.asarray(np.cos(np.sqrt(2.0) * j * j))
