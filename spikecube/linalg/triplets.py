"""Leading singular triplets, and counts of all singular values."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spikecube.linalg.lanczos import Lanczos
from spikecube.linalg.matrix import Eigen, FeatureMatrix
from spikecube.linalg.products import normal_products, product, transposed_product
from spikecube.types import Array

_VECTOR = 2e-9  # error of a left singular vector
_RITZ = 3e-7  # residual of the Ritz vectors taken from the basis, over the largest eigenvalue
_EXTRA = 10  # Ritz vectors beyond the wanted ones that a refinement starts with
_CHAIN = 8  # single-precision products per refinement of a vector
_ROUNDS = 12  # refinements before the whole spectrum is computed instead
_MOST_STEPS = 600


class Triplets(NamedTuple):
    """Leading singular values of F/sqrt(n), (rank,), and left singular vectors, (n, rank)."""

    values: Array
    left: Array


def dense_triplets(f: Array, eigen: Eigen, rank: int) -> Triplets:
    """The leading `rank` triplets of F (n, N) from the eigendecomposition of the smaller Gram matrix."""
    vectors = np.ascontiguousarray(eigen.vectors[:, :rank])
    left = vectors if f.shape[0] < f.shape[1] else product(f, vectors)
    return Triplets(np.sqrt(eigen.values[:rank]), np.asarray(left / np.linalg.norm(left, axis=0)))


def has_room(basis_size: int, rank: int) -> bool:
    """Whether a Krylov space well below the whole can hold the leading `rank` vectors and those beside them."""
    return rank + _EXTRA <= basis_size // 4


def refined_triplets(matrix: FeatureMatrix, basis: Lanczos, rank: int, vectors: int) -> Triplets | None:
    """The leading `rank` triplets of F from its Krylov basis; None where it does not converge.

    Ritz vectors are refined by Rayleigh-Ritz projections in F's own precision, on the space that they and a few
    single-precision products of their residuals span, until values are accurate to 1e-10 and the first `vectors` left
    vectors to 2e-9.
    """
    f, n, exact = matrix.array, len(matrix.array), matrix.array.dtype == np.float64
    right = _ritz_vectors(basis, rank)
    if right is None:
        return None
    left = product(f, right)
    for _ in range(_ROUNDS):
        values, rotation = np.linalg.eigh(left.T @ left / n)
        keep = rotation[:, : -rank - _EXTRA - 1 : -1]
        right, left, values = right @ keep, left @ keep, values[: -rank - _EXTRA - 1 : -1]
        residual = transposed_product(f, left[:, :rank]) / n - values[:rank] * right[:, :rank]
        loose = _unconverged(residual, values, vectors)
        if not exact or not loose:
            lengths = np.linalg.norm(left[:, :rank], axis=0)
            return Triplets(lengths / math.sqrt(n), left[:, :rank] / lengths)
        added = _chains(matrix.single, right, residual[:, loose])
        right = np.concatenate([right, added], axis=1)
        left = np.concatenate([left, product(f, added)], axis=1)
    return None


def _ritz_vectors(basis: Lanczos, rank: int) -> Array | None:
    """Leading Ritz vectors once those wanted have residuals of 3e-7 of the largest; (N, rank + extra)."""
    steps = 0
    while steps < _MOST_STEPS:
        steps += 8
        while len(basis) < steps and not basis.exhausted:
            basis.step()
        if len(basis) < steps:
            return None
        if steps >= rank + _EXTRA:
            ritz = basis.ritz(rank + _EXTRA, steps)
            if np.all(ritz.residuals[:rank] <= _RITZ * ritz.values[0]):
                return np.asarray(basis.basis[:steps].T @ ritz.coefficients)
    return None


def _unconverged(residual: Array, values: Array, vectors: int) -> list[int]:
    """Which triplets are not accurate yet: vectors by residual over gap, values by its square."""
    rank = residual.shape[1]
    gaps = values[:-1] - values[1:]
    gap = np.minimum(gaps[:rank], np.concatenate([[np.inf], gaps[: rank - 1]]))
    size = np.linalg.norm(residual, axis=0)
    fine = size**2 <= 1e-11 * gap * values[:rank]
    fine[:vectors] &= size[:vectors] <= _VECTOR * gap[:vectors]
    return [int(j) for j in np.flatnonzero(~fine)]


def _chains(single: Array, right: Array, heads: Array) -> Array:
    """An orthonormal basis of what the heads and their single-precision products add to `right`; (N, added)."""
    rows = list(right.T)
    columns = list(heads.T)
    for step in range(_CHAIN):
        if step:
            columns = normal_products(single, rows[-len(columns) :], 1 / len(single), len(columns))
        for column in columns:
            known = np.array(rows)
            for _ in range(2):
                column = column - (known @ column) @ known
            rows.append(column / np.linalg.norm(column))
    return np.array(rows[right.shape[1] :]).T


def singular_value_counts(eigenvalues: Array, edges: npt.ArrayLike) -> Array:
    """How many square roots of the eigenvalues of a Gram matrix fall into each bin; (bins,)."""
    return np.histogram(np.sqrt(eigenvalues), bins=np.asarray(edges))[0].astype(np.float64)
