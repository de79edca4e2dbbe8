"""Leading singular triplets, operator norms, and how singular vectors align with the monomials of x.beta."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikecube.model.cost_model import eigen_is_cheaper
from spikecube.model.hermite import Array
from spikecube.model.krylov import Products, dominant, normal_products, product, transposed_product
from spikecube.model.prepared import Prepared

_VECTOR = 2e-9  # error of a left singular vector
_RITZ = 3e-7  # residual of the Ritz vectors taken from the basis, over the largest eigenvalue
_EXTRA = 10  # Ritz vectors beyond the wanted ones that a refinement starts with
_CHAIN = 8  # single-precision products per refinement of a vector
_ROUNDS = 12  # refinements before the whole spectrum is computed instead
_MOST_STEPS = 600


@dataclass(frozen=True)
class Triplets:
    """Leading singular values of F/sqrt(n), (rank,), and left singular vectors, (n, rank)."""

    values: Array
    left: Array


def spike_degrees(coefficients: Array, degree: int) -> tuple[int, ...]:
    """The degrees k = 1..degree with c_k != 0, the ones that carry a spike.

    >>> spike_degrees(np.array([0.0, 1.0, 0.0, 0.5]), 3)
    (1, 3)
    """
    return tuple(k for k in range(1, degree + 1) if coefficients[k] != 0.0)


def leading_triplets(state: Prepared, rank: int, vectors: int = 0) -> Triplets:
    """The leading singular values of F/sqrt(n) to 1e-10, and the first `vectors` left singular vectors to 2e-9.

    The Ritz vectors of the ridge's Krylov basis are refined by Rayleigh-Ritz projections in double precision, on the
    space that they and a few single-precision products of their residuals span. Small matrices, and what does not
    converge, get the eigendecomposition of the smaller Gram matrix.

    Parameters
    ----------
    state : prepared features (n, N).
    rank : how many, at most min(n, N).
    vectors : how many of the left vectors must be accurate, at most rank; the others are as good as the values need.
    """
    if rank + _EXTRA > min(state.features.shape) // 4 or eigen_is_cheaper(state.features.shape):
        return dense_triplets(state, rank)
    return refined_triplets(state, rank, vectors) or dense_triplets(state, rank)


def dense_triplets(state: Prepared, rank: int) -> Triplets:
    """`leading_triplets` from the eigendecomposition of the smaller Gram matrix."""
    n, width = state.features.shape
    values, vectors = state.eigen
    basis = np.ascontiguousarray(vectors[:, :rank])
    left = basis if n < width else product(state.features, basis)
    return Triplets(np.sqrt(values[:rank]), np.asarray(left / np.linalg.norm(left, axis=0)))


def refined_triplets(state: Prepared, rank: int, vectors: int) -> Triplets | None:
    """`leading_triplets` from the Krylov basis; None where it does not converge."""
    n, exact = len(state.labels), state.features.dtype == np.float64
    right = _ritz_vectors(state, rank)
    if right is None:
        return None
    images = product(state.features, right)
    for _ in range(_ROUNDS):
        values, rotation = np.linalg.eigh(images.T @ images / n)
        keep = rotation[:, : -rank - _EXTRA - 1 : -1]
        right, images, values = right @ keep, images @ keep, values[: -rank - _EXTRA - 1 : -1]
        residual = transposed_product(state.features, images[:, :rank]) / n - values[:rank] * right[:, :rank]
        loose = _unconverged(residual, values, vectors)
        if not exact or not loose:
            lengths = np.linalg.norm(images[:, :rank], axis=0)
            return Triplets(lengths / math.sqrt(n), images[:, :rank] / lengths)
        added = _chains(state, right, residual[:, loose])
        right = np.concatenate([right, added], axis=1)
        images = np.concatenate([images, product(state.features, added)], axis=1)
    return None


def _ritz_vectors(state: Prepared, rank: int) -> Array | None:
    """Leading Ritz vectors once those wanted have residuals of 1e-5 of the largest; (N, rank + extra)."""
    basis, steps = state.basis, 0
    while steps < _MOST_STEPS:
        steps += 8
        while len(basis) < steps and not basis.exhausted:
            basis.step()
        if len(basis) < steps:
            return None
        if steps >= rank + _EXTRA:
            values, vectors, residuals = basis.ritz(rank + _EXTRA, steps)
            if np.all(residuals[:rank] <= _RITZ * values[0]):
                return np.asarray(basis.basis[:steps].T @ vectors)
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


def _chains(state: Prepared, right: Array, heads: Array) -> Array:
    """An orthonormal basis of what the heads and their single-precision products add to `right`; (N, added)."""
    rows = list(right.T)
    columns = list(heads.T)
    for step in range(_CHAIN):
        if step:
            columns = normal_products(state.half, rows[-len(columns) :], 1 / len(state.labels), len(columns))
        for column in columns:
            known = np.array(rows)
            for _ in range(2):
                column = column - (known @ column) @ known
            rows.append(column / np.linalg.norm(column))
    return np.array(rows[right.shape[1] :]).T


def spectrum_counts(state: Prepared, edges: npt.ArrayLike) -> Array:
    """How many of the min(n, N) singular values of F/sqrt(n) fall into each bin, those outside left out; (bins,)."""
    known = eigen_is_cheaper(state.features.shape)  # then it is there already
    squares = state.eigen[0] if known else np.maximum(np.linalg.eigvalsh(state.gram, UPLO="L"), 0.0)
    return np.histogram(np.sqrt(squares), bins=np.asarray(edges))[0].astype(np.float64)


def operator_norm(products: Products, size: int) -> float:
    """The largest singular value of M from products with M^T M, to 1e-12."""
    return math.sqrt(dominant(products, size, 1e-6)[0])


def gradient_products(step: Array, readout: Array, beta: Array, c1: float) -> Products:
    """Products with M^T M for M = G - c_1 a beta^T, without forming it."""

    def products(columns: Sequence[Array]) -> list[Array]:
        (v,) = columns
        image = step @ v.astype(step.dtype) - (c1 * (beta @ v)) * readout
        return [step.T @ image.astype(step.dtype) - (c1 * (readout @ image)) * beta]

    return products


def orthonormal_monomials(projection: Array, degrees: tuple[int, ...]) -> Array:
    """The vectors projection^k, k in `degrees`, orthonormalised in this order; shape (n, len(degrees))."""
    scaled = projection / np.max(np.abs(projection))
    return np.linalg.qr(np.stack([scaled**k for k in degrees], axis=1))[0]


def alignments(left: Array, projection: Array, coefficients: Array, degree: int) -> tuple[Array, Array]:
    """Squared cosines (degree,) of the j-th left singular vector with the j-th spike's orthonormal monomial.

    And the smallest squared canonical cosine (degree,) between the first j of each, j the number of spikes of degree
    up to k. A degree without a spike has alignment 0, and the subspace alignment of the degree before it. All are NaN
    where the projection vanishes.

    Parameters
    ----------
    left : left singular vectors, largest first; (n, at least the number of spikes).
    projection : X~ beta; (n,).
    coefficients : Hermite coefficients c_0 ... c_degree of the activation.
    """
    if not np.any(projection):
        return np.full(degree, np.nan), np.full(degree, np.nan)
    degrees = spike_degrees(coefficients, degree)
    overlap = left[:, : len(degrees)].T @ orthonormal_monomials(projection, degrees)
    single, subspace = np.zeros(degree), np.zeros(degree)
    for k in range(1, degree + 1):
        j = sum(spike <= k for spike in degrees)
        single[k - 1] = overlap[j - 1, j - 1] ** 2 if k in degrees else 0.0
        subspace[k - 1] = np.linalg.svd(overlap[:j, :j], compute_uv=False)[-1] ** 2
    return single, subspace
