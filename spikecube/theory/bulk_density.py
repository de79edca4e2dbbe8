"""Density of the singular values of F_0 in the proportional limit: inside the bulk e solves a quartic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array
from spikecube.model.parameters import Model
from spikecube.numbers import real_array
from spikecube.theory.bulk import Bulk, bulk_of, span

_Complex = npt.NDArray[np.complex128]


def bulk_density(model: Model, singular_values: npt.ArrayLike) -> Array:
    """Limiting density p(s) = 2 s rho(s^2) of the n singular values s > 0 of F_0/sqrt n, zeros counted.

    It integrates to 1 - `bulk_atom(model)`.

    >>> from spikecube import Model
    >>> bulk_density(Model(activation="relu", dim_ratio=0.5), [0.5, 1.0, 2.0]).round(4).tolist()
    [0.7008, 0.3284, 0.0]
    """
    s = real_array(singular_values, "singular_values")
    return 2 * s * eigenvalue_density(bulk_of(model), s.ravel() ** 2).reshape(s.shape)


def eigenvalue_density(bulk: Bulk, x: npt.ArrayLike) -> Array:
    """Density of the eigenvalues of F_0 F_0^T/n at x > 0, Im m_1(x + i0)/pi, without the atom at zero.

    It is for x > 0 and one block: that of more is `conditional_density`.
    """
    x = np.asarray(x, dtype=np.float64)
    if not np.all(x > 0):
        raise ValueError(f"x = {x.tolist()} was given; the density is that of positive eigenvalues")
    if bulk.higher:
        raise ValueError(f"{len(bulk.blocks)} blocks were given; the quartic is that of one")
    density = np.zeros_like(x)
    inside = x < bulk.edge
    density[inside] = m_1_inside(bulk, x[inside]).imag / math.pi
    return density


def m_1_inside(bulk: Bulk, x: Array) -> _Complex:
    """m_1(x + i0): of the roots of the quartic for e, the one that keeps the upper half plane."""
    z = np.asarray(x * (1 + 1e-10j), dtype=np.complex128)
    roots = np.linalg.eigvals(_companion(_quartic(bulk, -z)))
    z = z[:, None]
    with np.errstate(all="ignore"):
        u = 1 / (1 + roots)
        m_1 = (bulk.width_ratio * roots * u - 1) / z
        m_2 = m_1 / (1 + bulk.width_ratio * bulk.linear / bulk.dim_ratio * u * m_1)
        residual = np.abs(bulk.linear * m_2 + bulk.nonlinear * m_1 - roots) / np.abs(roots)
        height = np.minimum(np.minimum(m_1.imag, m_2.imag), (-u / z).imag)
    height = np.where(residual < 1e-8, height, -np.inf)
    bulk.check(np.where(np.isfinite(height.max(axis=1)), 0.0, np.inf), 1e-8, f"x in {span(x)}")
    chosen: _Complex = m_1[np.arange(len(x)), np.argmax(height, axis=1)]
    return chosen


def _quartic(bulk: Bulk, lam: _Complex) -> _Complex:
    """Coefficients, leading one first and equal to 1, of the quartic for e at lambda; shape (..., 5).

    e (1+e)^3 + e (1+e) k w/lambda = (1+e)^2 w var/lambda + c_{>1}^2 k w^2/lambda^2, w = 1 + (1-r) e.
    """
    g, k = 1 - bulk.width_ratio, bulk.width_ratio * bulk.linear / bulk.dim_ratio
    one = np.ones_like(lam)
    cubic = np.multiply.outer(one, [1.0, 3.0, 3.0, 1.0, 0.0])
    linear = np.multiply.outer(k / lam, [0.0, g, 1 + g, 1.0, 0.0])
    whole = np.multiply.outer(bulk.variance / lam, [0.0, g, 1 + 2 * g, 2 + g, 1.0])
    square = np.multiply.outer(bulk.nonlinear * k / lam**2, [0.0, 0.0, g * g, 2 * g, 1.0])
    total: _Complex = cubic + linear - whole - square
    return total


def _companion(monic: _Complex) -> npt.NDArray[Any]:
    degree = monic.shape[-1] - 1
    matrix = np.zeros((*monic.shape[:-1], degree, degree), dtype=np.complex128)
    matrix[..., 0, :] = -monic[..., 1:]
    matrix[..., np.arange(1, degree), np.arange(degree - 1)] = 1
    return matrix
