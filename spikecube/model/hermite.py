"""Probabilists' Hermite polynomials H_k and expectations over a standard Gaussian Z."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.polynomial.hermite_e import hermevander

from spikecube.types import Array as Array

_REACH = 16.0  # P(|Z| > 16) is below 1e-56, so polynomially growing integrands are complete to double precision
_PANEL = 0.5
_PANEL_NODES = 20
ZERO = 1e-12  # a Hermite coefficient below this, over its norm, is a zero that quadrature could not hit exactly


def hermite_values(x: npt.ArrayLike, degree: int) -> Array:
    """H_0(x) ... H_degree(x), from H_{k+1} = x H_k - k H_{k-1}; shape (degree + 1, *x.shape).

    >>> hermite_values(2.0, 3).tolist()
    [1.0, 2.0, 3.0, 2.0]
    """
    x = np.asarray(x, dtype=np.float64)
    return np.moveaxis(hermevander(x, degree), -1, 0).reshape(degree + 1, *x.shape)


def factorials(degree: int) -> Array:
    """0!, 1!, ..., degree!: the squared norms E H_k(Z)^2.

    >>> factorials(4).tolist()
    [1.0, 1.0, 2.0, 6.0, 24.0]
    """
    return np.array([math.factorial(k) for k in range(degree + 1)], dtype=np.float64)


def monomial_coefficients(degree: int) -> Array:
    """h with z^k = sum_p h[k, p] H_p(z); shape (degree + 1, degree + 1).

    h[k, p] = k! / (2^m m! p!) with m = (k - p)/2 where that is a whole number >= 0, else 0.

    >>> monomial_coefficients(3)[3].tolist()
    [0.0, 3.0, 0.0, 1.0]
    """
    h = np.zeros((degree + 1, degree + 1))
    for k in range(degree + 1):
        for p in range(k % 2, k + 1, 2):
            m = (k - p) // 2
            h[k, p] = math.factorial(k) / (2**m * math.factorial(m) * math.factorial(p))
    return h


class Quadrature(NamedTuple):
    """Nodes and weights with E f(Z) = sum_i weights[i] f(nodes[i]); (nodes,) each."""

    nodes: Array
    weights: Array


@functools.cache
def gaussian_quadrature(kinks: tuple[float, ...] = ()) -> Quadrature:
    """The quadrature of a standard Gaussian for f smooth between the kinks.

    Composite Gauss-Legendre on panels that end at the kinks: unlike Gauss-Hermite, exact to rounding for
    relu and its kind.

    >>> nodes, weights = gaussian_quadrature(kinks=(0.0,))
    >>> bool(abs(weights @ abs(nodes) - math.sqrt(2 / math.pi)) < 1e-14)
    True
    """
    edges = np.unique(np.concatenate([np.arange(-_REACH, _REACH + _PANEL / 2, _PANEL), np.asarray(kinks, dtype=float)]))
    unit, unit_weights = np.polynomial.legendre.leggauss(_PANEL_NODES)
    half_width, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    nodes = (middle[:, None] + half_width[:, None] * unit).ravel()
    weights = (half_width[:, None] * unit_weights).ravel() * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
    nodes.flags.writeable = weights.flags.writeable = False  # they are shared by all callers
    return Quadrature(nodes, weights)


def hermite_coefficients(function: Callable[[Array], Array], degree: int, kinks: Sequence[float] = ()) -> Array:
    """c_0 ... c_degree with c_k = E[f(Z) H_k(Z)] / k!; shape (degree + 1,).

    >>> (hermite_coefficients(lambda z: z**2, 3).round(12) + 0.0).tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    nodes, weights = gaussian_quadrature(tuple(kinks))
    values = np.asarray(function(nodes), dtype=np.float64)
    coefficients: Array = hermite_values(nodes, degree) @ (weights * values) / factorials(degree)
    return coefficients


def series_coefficients(
    function: Callable[[Array], Array], polynomial: Sequence[float] | None, degree: int, kinks: Sequence[float] = ()
) -> Array:
    """c_0 ... c_degree of a finite series, given as such, or by quadrature with its near zeros as zeros; (degree + 1,).

    >>> series_coefficients(np.square, None, 3)[1::2].tolist()
    [0.0, 0.0]
    """
    if polynomial is None:
        return _by_quadrature(function, degree, tuple(kinks)).copy()
    known = polynomial[: degree + 1]
    return np.array([*known, *[0.0] * (degree + 1 - len(known))])


@functools.lru_cache(maxsize=256)
def _by_quadrature(function: Callable[[Array], Array], degree: int, kinks: tuple[float, ...]) -> Array:
    c = hermite_coefficients(function, degree, kinks)
    c[np.abs(c) * np.sqrt(factorials(degree)) < ZERO] = 0.0
    return c
