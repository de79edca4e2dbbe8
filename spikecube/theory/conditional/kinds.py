"""Kinds of coordinates: how much of a neuron's length lies along each, after the gradient batch's matrix."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from spikecube.model.activations import resolve_activation
from spikecube.model.hermite import Array, factorials
from spikecube.model.parameters import Model
from spikecube.theory.conditional.gradient_batch import batch_matrix

_RESOLVED = 2  # degrees whose products of kinds are told apart; beyond, kinds are alike


@dataclass(frozen=True)
class Kinds:
    """Kinds of the coordinates of one block: gains (kinds, a) over their mean, and either their shares or directions.

    Attributes
    ----------
    gain, share : of typical coordinates; shapes (kinds, a), (kinds,).
    plane_gain : of the coordinates that make up those within the plane of kappa and xi; shape (plane kinds, a).
    plane : their components along h_i(kappa) h_{k-i}(xi), i = 0 ... k; shape (plane kinds, k + 1).
    """

    gain: Array
    share: Array
    plane_gain: Array
    plane: Array


def batch_kinds(model: Model, n: int, step: Array, degrees: int, *, plane: bool, typical: bool) -> list[Kinds]:
    """The kinds of the coordinates of each block, degrees 1 ... `degrees`; all alike where c_2 = 0 or labels vanish.

    A coordinate of degree k is a product of k input coordinates and its gain the product of theirs. `step` is eta a at
    the nodes of a; `plane` and `typical` tell coordinates in the plane of beta and beta_*, and all others, apart.
    """
    orders, nodes = range(1, degrees + 1), len(step)
    alike = [Kinds(np.ones((1, nodes)), np.ones(1), np.ones((k + 1, nodes)), np.eye(k + 1)) for k in orders]
    activation = resolve_activation(model.activation)
    c = activation.coefficients(2)
    if c[2] == 0 or not (plane or typical):
        return alike
    target = model.target if isinstance(model.target, str) else tuple(model.target)
    matrix = batch_matrix(target, model.noise, model.dim(n), model.step_samples(n))
    if matrix is None:
        return alike
    rest = matrix.noise * max(0.0, activation.slope_power - c[1] ** 2 - 4 * c[2] ** 2)

    def length(mu: Array, s: Array) -> Array:
        return np.asarray((1 + 2 * c[2] * np.multiply.outer(mu, step)) ** 2 + rest * np.multiply.outer(s, step**2))

    (mu, share, s), coarse = matrix.rules
    mean = share @ length(mu, s)
    plane_gain = length(matrix.seen, np.interp(matrix.seen, mu, s)) / mean
    found = []
    for k, kinds, (mu, share, s) in zip(orders, alike, [matrix.rules[0], *[coarse] * (degrees - 1)], strict=True):
        apart = typical and k <= _RESOLVED
        of_typical = _powers(length(mu, s) / mean, share, k) if apart else (kinds.gain, kinds.share)
        in_plane = _plane_powers(plane_gain, matrix.components, k) if plane else (kinds.plane_gain, kinds.plane)
        found.append(Kinds(*of_typical, *in_plane))
    return found


def _powers(gain: Array, share: Array, degree: int) -> tuple[Array, Array]:
    """Gains and shares of the products of `degree` coordinates."""
    counts, ways = _multisets(len(share), degree)
    return np.prod(gain ** counts[..., None], axis=1), ways * np.prod(share**counts, axis=1)


def _plane_powers(gain: Array, components: Array, degree: int) -> tuple[Array, Array]:
    """Gains of products of eigencoordinates, and the components along them of h_i(kappa) h_{k-i}(xi)."""
    if degree > _RESOLVED:
        along = components.T**2 @ gain
        i = np.arange(degree + 1)[:, None]
        return along[0] ** i * along[1] ** (degree - i), np.eye(degree + 1)
    counts, ways = _multisets(len(gain), degree)
    rows = []
    for count, way in zip(counts, ways, strict=True):
        polynomial = np.ones(1)  # of kappa, in rising powers
        for (kappa, xi), times in zip(components, count, strict=True):
            for _ in range(times):
                polynomial = np.convolve(polynomial, [xi, kappa])
        rows.append(polynomial * np.sqrt(way / [math.comb(degree, i) for i in range(degree + 1)]))
    return np.prod(gain ** counts[..., None], axis=1), np.array(rows)


def _multisets(kinds: int, degree: int) -> tuple[Array, Array]:
    """How often each kind occurs in each product of `degree` factors, and in how many orders.

    >>> counts, ways = _multisets(2, 2)
    >>> counts.tolist(), ways.tolist()
    ([[2, 0], [1, 1], [0, 2]], [1.0, 2.0, 1.0])
    """
    chosen = itertools.combinations_with_replacement(range(kinds), degree)
    counts = np.array([np.bincount(pick, minlength=kinds) for pick in chosen])
    orders = factorials(degree)
    return counts, orders[degree] / np.prod(orders[counts], axis=1)
