"""Expectations over a Gaussian that the conditional theory is made of: Hermite moments, and nodes for kappa and a."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from spikecube.model.hermite import Array

REACH = 9.0  # P(|u| > 9) is below 1e-18
KINKED_REACH = 8.0  # and P(|u| > 8) below 1e-14
_PIECE = 32  # Gauss-Legendre nodes on each side of a kink: 3e-9 of a relu's moments
_LEGENDRE = np.polynomial.legendre.leggauss(_PIECE)
STEP = 0.33  # of the trapezoidal rule in the activation's own argument, whose scale is 1
TAIL = 6.8
"""Gaussian nodes reach so far: P(|Z| > 6.8) is 1e-11."""

Nodes = tuple[Array, Array]
"""Values of a standard Gaussian, or of sqrt(N) a, with their probabilities."""


def hermite_moments(
    function: Callable[[Array], Array], kinks: Sequence[float], mean: Array, scale: Array, degree: int
) -> tuple[Array, Array]:
    """q_k = E[h_k(u) f(mean + scale u)], k = 0 ... degree, and what they leave of E f^2; u ~ N(0, 1).

    Of shapes (degree + 1, *mean.shape) and mean.shape. h_k = H_k/sqrt(k!) are orthonormal, so that the rest,
    E f^2 - sum_k q_k^2, is not negative. Smooth functions by the trapezoidal rule, which is exact to rounding where the
    step is small against the distance of the poles; functions with kinks by Gauss-Legendre between them.

    >>> q, rest = hermite_moments(np.square, (), np.array([1.0]), np.array([2.0]), 1)
    >>> q[:, 0].round(9).tolist(), rest.round(9).tolist()
    ([5.0, 4.0], [32.0])
    """
    mean, scale = np.broadcast_arrays(mean, scale)
    nodes, weights = _pieces(kinks, mean, scale) if kinks else _trapezoid(float(scale.max()))
    weights = weights * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
    values = function(mean[..., None] + scale[..., None] * nodes)
    weighted = weights * values
    q = np.empty((degree + 1, *mean.shape))
    before, here = np.zeros_like(nodes), np.ones_like(nodes)
    for k in range(degree + 1):
        q[k] = (weighted * here).sum(axis=-1)
        before, here = here, (nodes * here - math.sqrt(k) * before) / math.sqrt(k + 1)
    rest = (weighted * values).sum(axis=-1) - (q**2).sum(axis=0)
    return q, np.maximum(rest, 0.0)


def _trapezoid(scale: float) -> tuple[Array, Array]:
    count = math.ceil(REACH * max(3.0, scale / STEP))
    step = REACH / count
    nodes = step * np.arange(-count, count + 1)
    return nodes, np.full(nodes.shape, step)


def _pieces(kinks: Sequence[float], mean: Array, scale: Array) -> tuple[Array, Array]:
    places = [(k - mean) / np.maximum(scale, 1e-300) for k in kinks]
    return broken_nodes(mean, places, KINKED_REACH)


def broken_nodes(like: Array, places: Sequence[Array], reach: float) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights from -reach to reach, broken at places of the shape of `like`, as a last axis.

    >>> nodes, weights = broken_nodes(np.zeros(1), [np.array([0.3])], 1.0)
    >>> round(float((weights * np.abs(nodes - 0.3)).sum()), 12)
    1.09
    """
    unit, unit_weights = _LEGENDRE
    inner = [np.clip(place, -reach, reach) for place in places]
    ends = np.stack([np.full_like(like, -reach), *inner, np.full_like(like, reach)], axis=-1)
    half, middle = np.diff(ends)[..., None] / 2, (ends[..., 1:] + ends[..., :-1])[..., None] / 2
    shape = (*like.shape, -1)
    return (middle + half * unit).reshape(shape), (half * unit_weights).reshape(shape)


def gaussian_nodes(scale: float, step: float, reach: float = TAIL) -> Nodes:
    """Nodes scale sinh(t) for equidistant t: finer than `scale` around 0, ever coarser (in proportion) further out.

    The trapezoidal rule in t converges exponentially, for functions that vary on the scale as for those of Z itself.
    Z is cut off at `reach`.

    >>> nodes, probabilities = gaussian_nodes(scale=0.1, step=0.2)
    >>> len(nodes), round(float(probabilities @ nodes**4), 6)
    (51, 3.0)
    """
    end = math.asinh(reach / scale)
    t = np.linspace(-end, end, 2 * math.ceil(end / step) + 1)
    nodes = scale * np.sinh(t)
    weights = np.cosh(t) * np.exp(-(nodes**2) / 2)
    return nodes, weights / weights.sum()


def samples_reach(count: int, share: float) -> float:
    """How far `count` Gaussian samples reach: all but `share` of one lie within.

    >>> round(samples_reach(1000, 0.1), 2)
    3.89
    """
    return min(TAIL, float(-special.ndtri(share / count / 2)))
