"""Nodes of what is known of an input, and the expectations over the rest of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikecube.model.hermite import Array, factorials, hermite_values
from spikecube.theory.conditional.expectations import Nodes, hermite_moments
from spikecube.theory.conditional.sphere import LEAST_DIM, MOST_DIM, along, harmonic_moments, shells


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
            return along(self.kappa / self.radius, self.dim, degree)
        return np.asarray(hermite_values(self.kappa, degree) / np.sqrt(factorials(degree))[:, None])
