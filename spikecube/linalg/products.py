"""Products with a tall matrix in cache-sized row blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spikecube.types import Array

_CACHE = 1 << 19  # bytes of a row block: half of a second-level cache, so that a block is read from memory once
_STREAM = 1 << 21  # for matrix-vector products, where calls on short blocks cost more than the second-level cache gains
_UNPACKED = 1_000_000  # multiplications up to which OpenBLAS does not pack its operands, which here costs more
_FLUSH = 256  # rows summed in the matrix's own precision before the sum is added in float64
GROUP = 8  # columns multiplied at once, always this many: a column's bits do not depend on how many there are


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
    total, part, room = np.zeros(rows.shape), np.zeros_like(rows), np.empty_like(rows)
    pending = 0
    for where in thin_blocks(matrix, len(rows)):
        block = matrix[where]
        part += np.matmul((block @ rows.T).T, block, out=room)
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


def vector_product(matrix: Array, vector: Array) -> Array:
    """F v, made in F's precision and given in float64; (n,)."""
    return np.asarray(matrix @ vector.astype(matrix.dtype), dtype=np.float64)


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


class Residuals(NamedTuple):
    """y - F a, (n, columns), and F^T (y - F a), (N, columns)."""

    rest: Array
    product: Array


def residual_products(matrix: Array, labels: Array, columns: Array) -> Residuals:
    """The residuals of each column a of coefficients, one pass per group."""
    residual, product = np.empty((len(matrix), columns.shape[1])), np.empty(columns.shape)
    for where, group in grouped(columns, matrix.dtype):
        total = np.zeros((len(columns), GROUP))
        for rows in thin_blocks(matrix, GROUP):
            block = matrix[rows]
            rest = labels[rows, None] - block @ group
            total += block.T @ rest.astype(matrix.dtype, copy=False)
            residual[rows, where] = rest[:, : where.stop - where.start]
        product[:, where] = total[:, : where.stop - where.start]
    return Residuals(residual, product)
