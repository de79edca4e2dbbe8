"""Nodes of what is known of an input, and the expectations over the rest of it.

Given its length, x is sqrt(r) times a point of the sphere of radius sqrt(d), uniform on it, and so is a neuron's
direction. A coordinate u of such a point has, exactly and at any d, the density (1 - u^2/d)^{(d-3)/2} on
(-sqrt d, sqrt d). Its orthonormal polynomials G_k, Gegenbauer's of index (d-2)/2, take the place of h_k = H_k/sqrt(k!),
to which they tend as d grows, and the D_k = C(d+k-1, k) - C(d+k-3, k-2) harmonics of degree k that of the Hermite
tensors (Stein and Weiss, Fourier Analysis on Euclidean Spaces, 1971, chapter IV).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from spikecube.model.hermite import Array, factorials, hermite_values
from spikecube.theory.conditional.expectations import KINKED_REACH, REACH, STEP, Nodes, broken_nodes, hermite_moments

LEAST_DIM, MOST_DIM = 4, 100_000
"""On fewer dimensions densities are not smooth at their ends; on more the Gaussian's are the same to 1e-5."""
_FEW_DIMS = (40, 100)  # below these four and three lengths are told apart, else two: no loss moves by 4e-4 from d = 20
_LEAST = 64  # midpoints on each side: at d = 5 the density's ends have a third derivative only


def radius_is_a_node(dim: int) -> bool:
    """Whether the length of an input is told apart: densities are smooth, and no Gaussian to within 1e-5."""
    return LEAST_DIM < dim <= MOST_DIM


@dataclass(frozen=True)
class Inputs:
    """Nodes of what is known of an input x: kappa, and |x|^2/d where it is a node of its own.

    Attributes
    ----------
    kappa, samples : its values and their probabilities; shape (m,).
    radius, rest : |x|/sqrt(d), and that of what lies across kappa; 1 where the radius is no node.
    dim : d where the radius is a node, so that functions are those of a sphere; 0 where they are those of a Gaussian.
    """

    kappa: Array
    samples: Array
    radius: Array
    rest: Array
    dim: int

    @classmethod
    def of(cls, kappa: Nodes, dim: int, *, radius: bool) -> Inputs:
        """Nodes of kappa, and of the radius where that is asked for and there are dimensions enough."""
        if not radius or not radius_is_a_node(dim):
            ones = np.ones(len(kappa[0]))
            return cls(*kappa, ones, ones, 0)
        square, share = shells(dim - 1)
        values, rest = np.repeat(kappa[0], len(square)), np.tile(square, len(kappa[0]))
        samples = np.multiply.outer(kappa[1], share).ravel()
        return cls(values, samples, np.sqrt((values**2 + (dim - 1) * rest) / dim), np.sqrt(rest), dim)

    def moments(self, function: Any, mean: Array, scale: Array, degrees: int) -> tuple[Array, Array]:
        """Moments of a function of mean + radius scale u, u a coordinate of x over its radius."""
        scale = self.radius[:, None] * scale
        if self.dim:
            return harmonic_moments(function, function.kinks, mean, scale, degrees, self.dim)
        return hermite_moments(function, function.kinks, mean, scale, degrees)

    def label_moments(self, function: Any, mean: Array, turn: float, degrees: int) -> tuple[Array, Array]:
        """Moments of a function of mean + turn xi, xi being a coordinate of x across kappa."""
        if self.dim:
            return harmonic_moments(function, function.kinks, mean, turn * self.rest, degrees, self.dim - 1)
        return hermite_moments(function, function.kinks, mean, np.asarray(turn), degrees)

    def along(self, degree: int) -> Array:
        """The functions of kappa that go with degree k - i in xi, i = 0 ... k."""
        if self.dim:
            return rest_harmonics(self.kappa / self.radius, self.dim, degree)
        return np.asarray(hermite_values(self.kappa, degree) / np.sqrt(factorials(degree))[:, None])


def harmonics(dim: int, degree: int) -> int:
    """How many harmonics of a degree there are on the sphere in `dim` dimensions.

    >>> [harmonics(3, k) for k in range(4)]
    [1, 3, 5, 7]
    """
    return math.comb(dim + degree - 1, degree) - (math.comb(dim + degree - 3, degree - 2) if degree > 1 else 0)


def shells(dim: int) -> Nodes:
    """Values of chi^2/dim with `dim` degrees of freedom and their probabilities, by Gauss's rule.

    >>> values, probabilities = shells(50)
    >>> round(float(probabilities @ values), 9), round(float(probabilities @ (values - 1) ** 2), 9)
    (1.0, 0.04)
    """
    k, a = np.arange(2 + sum(dim < few for few in _FEW_DIMS)), dim / 2 - 1
    beside = np.sqrt(k[1:] * (k[1:] + a))
    values, vectors = np.linalg.eigh(np.diag(2 * k + 1 + a) + np.diag(beside, 1) + np.diag(beside, -1))
    return 2 * values / dim, vectors[0] ** 2


def harmonic_moments(
    function: Callable[[Array], Array], kinks: Sequence[float], mean: Array, scale: Array, degree: int, dim: int
) -> tuple[Array, Array]:
    """q_k = E[G_k(u) f(mean + scale u)], k = 0 ... degree, and what they leave of E f^2; u a coordinate on the sphere.

    Of shapes (degree + 1, *mean.shape) and mean.shape. By the midpoint rule in the angle, functions with kinks by
    Gauss-Legendre between them.

    >>> q, rest = harmonic_moments(np.square, (), np.array([1.0]), np.array([2.0]), 1, 10)
    >>> q[:, 0].round(9).tolist(), rest.round(9).tolist()
    ([5.0, 4.0], [24.0])
    """
    mean, scale = np.broadcast_arrays(mean, scale)
    angle, weights = _pieces(kinks, mean, scale, dim) if kinks else _midpoints(float(scale.max()), dim)
    weights = weights * np.cos(angle) ** (dim - 2) * math.exp(special.gammaln(dim / 2) - special.gammaln(dim / 2 - 0.5))
    weights = weights / math.sqrt(math.pi)
    sine = np.sin(angle)
    values = function(mean[..., None] + scale[..., None] * math.sqrt(dim) * sine)
    weighted = weights * values
    q = np.array([(weighted * p).sum(axis=-1) for p in _orthonormal(sine, degree, dim / 2 - 1)])
    return q, np.maximum((weighted * values).sum(axis=-1) - (q**2).sum(axis=0), 0.0)


def rest_harmonics(u: Array, dim: int, degree: int) -> Array:
    """The functions of u that go with harmonics of degree k - i of the rest, i = 0 ... k; shape (degree + 1, *u.shape).

    They are (1 - u^2/d)^{(k-i)/2} times Gegenbauer polynomials of degree i and index (d-2)/2 + k - i, of mean square 1.

    >>> rest_harmonics(np.array([1.0]), 10**6, 2)[:, 0].round(3).tolist()
    [1.0, 1.0, 0.0]
    """
    sine, index = u / math.sqrt(dim), dim / 2 - 1
    found = []
    for i in range(degree + 1):
        j = degree - i
        power = float(special.poch(index + 0.5, j) / special.poch(index + 1, j))  # E (1 - u^2/d)^j
        found.append((1 - sine**2) ** (j / 2) / math.sqrt(power) * _orthonormal(sine, i, index + j)[-1])
    return np.array(found)


def _orthonormal(t: Array, degree: int, index: float) -> list[Array]:
    """Gegenbauer polynomials of degree 0 ... `degree`, orthonormal for the weight (1 - t^2)^{index - 1/2} of mass 1."""
    found, before, last = [np.ones_like(t)], np.zeros_like(t), 0.0
    for k in range(1, degree + 1):
        step = math.sqrt(k * (k + 2 * index - 1) / (4 * (k + index) * (k + index - 1)))
        found.append((t * found[-1] - last * before) / step)
        before, last = found[-2], step
    return found


def _midpoints(scale: float, dim: int) -> tuple[Array, Array]:
    reach = min(math.pi / 2, REACH / math.sqrt(dim))
    count = max(_LEAST, math.ceil(reach * math.sqrt(dim) * max(3.0, scale / STEP)))
    step = reach / count
    return step * (np.arange(-count, count) + 0.5), np.full(2 * count, step)


def _pieces(kinks: Sequence[float], mean: Array, scale: Array, dim: int) -> tuple[Array, Array]:
    places = [(k - mean) / np.maximum(scale, 1e-300) / math.sqrt(dim) for k in kinks]
    angles = [np.arcsin(np.clip(place, -1, 1)) for place in places]
    return broken_nodes(mean, angles, min(math.pi / 2, KINKED_REACH / math.sqrt(dim)))
