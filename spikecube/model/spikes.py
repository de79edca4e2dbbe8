"""The spikes of a step: their degrees, their two sides and strengths, and how singular vectors align with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikecube.linalg.lanczos import Products
from spikecube.types import Array


def nonzero_degrees(coefficients: Array, degree: int) -> tuple[int, ...]:
    """The degrees k = 1..degree with c_k != 0, the ones that carry a spike.

    >>> nonzero_degrees(np.array([0.0, 1.0, 0.0, 0.5]), 3)
    (1, 3)
    """
    return tuple(k for k in range(1, degree + 1) if coefficients[k] != 0.0)


@dataclass(frozen=True)
class Spikes:
    """F_ell - F_0 = left[:, :j] diag(strength[:j]) right[:, :j]^T with j the number of spikes of degree <= ell.

    Attributes
    ----------
    degrees : degrees that carry a spike, ascending.
    left : columns (X~ beta)^{ok} / p^k; (n, spikes).
    scale : p = |X~ beta|.
    right : columns a^{ok} / |a|^k; (width, spikes).
    unit : strengths c_1^k c_k p^k |a|^k at eta = 1; (spikes,).
    """

    degrees: tuple[int, ...]
    scale: float
    left: Array
    right: Array
    unit: Array

    def strength(self, eta: float) -> Array:
        """c_1^k c_k eta^k p^k |a|^k; shape (spikes,)."""
        return np.asarray(self.unit * eta ** np.array(self.degrees, dtype=np.float64))

    def count(self, ell: int) -> int:
        """How many spikes F_ell has."""
        return sum(k <= ell for k in self.degrees)


def make_spikes(coefficients: Array, degrees: tuple[int, ...], projection: Array, readout: Array) -> Spikes:
    """The spikes of the given degrees from X~ beta (n,) and a (width,)."""
    p, a = (float(np.linalg.norm(v)) or 1.0 for v in (projection, readout))
    return Spikes(
        degrees,
        p,
        np.stack([(projection / p) ** k for k in degrees], axis=1),
        np.stack([(readout / a) ** k for k in degrees], axis=1),
        np.array([coefficients[1] ** k * coefficients[k] * (p * a) ** k for k in degrees]),
    )


def gradient_products(step: Array, readout: Array, beta: Array, c1: float) -> Products:
    """Products with M^T M for M = G - c_1 a beta^T, without forming it."""

    def products(columns: Sequence[Array]) -> list[Array]:
        (v,) = columns
        left = step @ v.astype(step.dtype) - (c1 * (beta @ v)) * readout
        return [step.T @ left.astype(step.dtype) - (c1 * (readout @ left)) * beta]

    return products


def orthonormal_monomials(projection: Array, degrees: tuple[int, ...]) -> Array:
    """The vectors projection^k, k in `degrees`, orthonormalised in this order; shape (n, len(degrees))."""
    scaled = projection / np.max(np.abs(projection))
    return np.linalg.qr(np.stack([scaled**k for k in degrees], axis=1))[0]


class Alignments(NamedTuple):
    """How left singular vectors align with orthonormal monomials, by the degree k = 1..degree.

    Attributes
    ----------
    single : squared cosine of the j-th vector and the j-th monomial, k the degree of the j-th spike, else 0; (degree,).
    subspace : smallest squared canonical cosine between the first j of each, j spikes of degree up to k; (degree,).
    """

    single: Array
    subspace: Array


def alignments(left: Array, projection: Array, coefficients: Array, degree: int) -> Alignments:
    """Squared cosines of left singular vectors with the monomials of the spikes; NaN where the projection vanishes.

    Parameters
    ----------
    left : left singular vectors, largest first; (n, at least the number of spikes).
    projection : X~ beta; (n,).
    coefficients : Hermite coefficients c_0 ... c_degree of the activation.
    """
    if not np.any(projection):
        return Alignments(np.full(degree, np.nan), np.full(degree, np.nan))
    degrees = nonzero_degrees(coefficients, degree)
    overlap = left[:, : len(degrees)].T @ orthonormal_monomials(projection, degrees)
    single, subspace = np.zeros(degree), np.zeros(degree)
    for k in range(1, degree + 1):
        j = sum(spike <= k for spike in degrees)
        single[k - 1] = overlap[j - 1, j - 1] ** 2 if k in degrees else 0.0
        subspace[k - 1] = np.linalg.svd(overlap[:j, :j], compute_uv=False)[-1] ** 2
    return Alignments(single, subspace)
