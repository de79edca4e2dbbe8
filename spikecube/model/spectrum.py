"""Operator norms, and how singular vectors align with the monomials of x.beta."""

from __future__ import annotations

import numpy as np

from spikecube.model.hermite import Array


def spike_degrees(coefficients: Array, degree: int) -> tuple[int, ...]:
    """The degrees k = 1..degree with c_k != 0, the ones that carry a spike.

    >>> spike_degrees(np.array([0.0, 1.0, 0.0, 0.5]), 3)
    (1, 3)
    """
    return tuple(k for k in range(1, degree + 1) if coefficients[k] != 0.0)


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


def operator_norm(matrix: Array) -> float:
    """The largest singular value."""
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    return float(np.sqrt(np.maximum(np.linalg.eigvalsh(small)[-1], 0.0)))


def leading_right(matrix: Array) -> tuple[float, Array]:
    """The largest singular value and its right singular vector."""
    values, vectors = np.linalg.eigh((matrix.T @ matrix).astype(np.float64))
    return float(np.sqrt(np.maximum(values[-1], 0.0))), vectors[:, -1]
