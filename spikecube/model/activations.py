"""The table of activations: each entry is a formula, its derivative and where it has kinks.

An activation is always centred, sigma(z) = raw(z) - E raw(Z), so that sigma(z) = sum_{k>=1} c_k H_k(z).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import special

from spikecube.model.hermite import gaussian_quadrature, hermite_coefficients, series_coefficients
from spikecube.types import Array

Spec = str | Sequence[float]


def _relu(z: Array) -> Array:
    return np.maximum(z, 0)


def _relu_slope(z: Array) -> Array:
    return (z > 0).astype(z.dtype)


def _softplus(z: Array) -> Array:
    return np.logaddexp(z, 0)


def _tanh_slope(z: Array) -> Array:
    return 1 - np.tanh(z) ** 2


def _erf_slope(z: Array) -> Array:
    return 2 / math.sqrt(math.pi) * np.exp(-z * z)


def _sigmoid_slope(z: Array) -> Array:
    p = special.expit(z)
    return p * (1 - p)


def _gelu(z: Array) -> Array:
    return z * special.ndtr(z)


def _gelu_slope(z: Array) -> Array:
    return special.ndtr(z) + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class Polynomial:
    """f(z) = sum_k coefficients[k] H_k(z), and its derivative sum_k k c_k H_{k-1}(z)."""

    coefficients: tuple[float, ...]

    def __call__(self, z: Array) -> Array:
        return self._sum(self.coefficients, z)

    def derivative(self, z: Array) -> Array:
        return self._sum(tuple(k * c for k, c in enumerate(self.coefficients))[1:] or (0.0,), z)

    @staticmethod
    def _sum(coefficients: tuple[float, ...], z: Array) -> Array:
        previous, current = np.zeros_like(z), np.ones_like(z)
        total = coefficients[0] * current
        for k, c in enumerate(coefficients[1:]):
            previous, current = current, z * current - k * previous
            total += c * current
        return total


@dataclass(frozen=True)
class Activation:
    """sigma(z) = raw(z) - E raw(Z), with derivative sigma'(z) and Hermite coefficients c_k.

    Attributes
    ----------
    name : what the study file calls it.
    raw, derivative : elementwise functions of an array; the dtype of the argument is kept.
    kinks : where raw or its derivative is not smooth.
    polynomial : coefficients of a finite Hermite series, else None.
    """

    name: str
    raw: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    kinks: tuple[float, ...] = ()
    polynomial: tuple[float, ...] | None = field(default=None)

    def __call__(self, z: Array) -> Array:
        """The centred activation, elementwise."""
        out = self.raw(z)
        out -= z.dtype.type(self.mean)
        return out

    @cached_property
    def mean(self) -> float:
        """E raw(Z), subtracted by centring."""
        if self.polynomial is not None:
            return self.polynomial[0]
        return float(hermite_coefficients(self.raw, 0, self.kinks)[0])

    def coefficients(self, degree: int) -> Array:
        """c_0 ... c_degree of the centred activation (so c_0 = 0); shape (degree + 1,)."""
        c = series_coefficients(self.raw, self.polynomial, degree, self.kinks)
        c[0] = 0.0
        return c

    @cached_property
    def variance(self) -> float:
        """Var sigma(Z) = sum_{k>=1} k! c_k^2."""
        nodes, weights = gaussian_quadrature(self.kinks)
        return float(weights @ self(nodes) ** 2)

    @cached_property
    def slope_power(self) -> float:
        """E sigma'(Z)^2 = sum_{k>=1} k k! c_k^2."""
        nodes, weights = gaussian_quadrature(self.kinks)
        return float(weights @ self.derivative(nodes) ** 2)


def polynomial_activation(coefficients: Sequence[float]) -> Activation:
    """The activation sum_{k>=1} c_k H_k from its Hermite coefficients [c_0, c_1, ...]; c_0 is centred away.

    >>> polynomial_activation([0.0, 1.0, 0.5])(np.array([2.0])).tolist()
    [3.5]
    """
    series = tuple(float(c) for c in coefficients)
    f = Polynomial(series)
    return Activation("hermite", f, f.derivative, polynomial=series)


ACTIVATIONS: dict[str, Activation] = {
    a.name: a
    for a in (
        Activation("relu", _relu, _relu_slope, kinks=(0.0,)),
        Activation("softplus", _softplus, special.expit),
        Activation("tanh", np.tanh, _tanh_slope),
        Activation("erf", special.erf, _erf_slope),
        Activation("sigmoid", special.expit, _sigmoid_slope),
        Activation("gelu", _gelu, _gelu_slope),
    )
}


def resolve_activation(spec: Spec) -> Activation:
    """The activation that a name or a list of Hermite coefficients stands for.

    Raises
    ------
    ValueError
        If the name is unknown, or if c_1 = 0: then the gradient has no rank-one part.

    Examples
    --------
    >>> resolve_activation("relu").coefficients(2).round(4).tolist()
    [0.0, 0.5, 0.1995]
    """
    if isinstance(spec, str):
        if spec not in ACTIVATIONS:
            raise ValueError(f"{spec!r} is not one of {', '.join(ACTIVATIONS)}, nor a list of Hermite coefficients")
        return ACTIVATIONS[spec]
    activation = polynomial_activation(spec)
    if activation.coefficients(1)[1] == 0.0:
        raise ValueError(f"{list(spec)} has c_1 = 0: the gradient then has no rank-one part, and no spike can form")
    return activation
