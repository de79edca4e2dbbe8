"""Where the bulk ends, and beyond which singular value an outlier is counted."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from spikecube.model.hermite import Array
from spikecube.model.parameters import Model
from spikecube.numbers import real_array
from spikecube.theory.bulk import bulk_of
from spikecube.theory.conditional.build import step_reach
from spikecube.theory.conditional.edge import SHARE, Edge, conditional_edges
from spikecube.theory.labels_and_spikes import beta_length
from spikecube.theory.losses import chosen_degrees

_SHORT = 0.15  # steps, over the length of a neuron with sqrt(N) a = 1: the edge is not soft, 4e-5 of x in trials
_NODES, _REACH = 60, 16.0  # of the Tracy-Widom law


def bulk_edge(model: Model, n: int | None = None, *, degrees: int | None = None) -> float:
    """sqrt(x_+), where the bulk of singular values of F_0/sqrt n ends: in the limit, or at finite n.

    Parameters
    ----------
    degrees : blocks kept at finite n; None chooses, 1 is the limit's formula with the rounded d and N of n.

    Raises
    ------
    ConvergenceError
        If no edge is found.

    Examples
    --------
    >>> from spikecube import Model
    >>> round(bulk_edge(Model(activation="relu", dim_ratio=0.5)), 6)
    1.569252
    """
    kept = 1 if n is None else degrees or chosen_degrees(model, n)
    return math.sqrt(bulk_of(model, n, kept).edge)


def detection_edge(
    model: Model,
    n: int,
    alphas: npt.ArrayLike,
    false_positive_rate: float = 0.01,
    *,
    degrees: int | None = None,
    edges: Sequence[Edge] | None = None,
) -> Array:
    """The singular value of F/sqrt n beyond which an outlier is counted, for each alpha; shape (alphas,).

    sqrt( x_+ + (n C)^{-2/3} t ),   density(x) = (C/pi) sqrt(x_+ - x) near x_+,   F_1(t) = 1 - false_positive_rate

    with F_1 the Tracy-Widom law (beta = 1): a network without outliers exceeds it with that probability as n grows.
    (Corrections fall like n^{-1/3}: relu keeps the rate at n = 100 already, tanh stays below it by a factor of 3.)

    The edge is that of F itself (conditional equivalence), which moves with alpha. Near alpha = 1/2 it is soft: it
    grows with the largest kappa_j and a_i. It is therefore taken on what n samples and N neurons show but for
    `false_positive_rate` of a sample and of a neuron. With `initial_output = "full"`, where the conditional
    equivalence does not hold, it is the edge of F_0 for every alpha.

    Parameters
    ----------
    degrees : blocks of the theory; None chooses.
    edges : those of `conditional_spectrum`, where they are known: for short steps they are taken as they are, for long
        ones the edge is sought from there.

    Raises
    ------
    ConvergenceError
        If an edge is not found.

    Examples
    --------
    >>> from spikecube import Model
    >>> model = Model(activation="relu", target=[0, 1, 0.5], noise=0.5)
    >>> detection_edge(model, 1000, [0.0, 0.3, 0.45], degrees=1).round(3).tolist()
    [1.588, 1.602, 1.704]
    """
    alphas = real_array(alphas, "alphas")
    quantile = tracy_widom_quantile(1 - false_positive_rate)

    def beyond(x: float, curvature: float) -> float:
        return math.sqrt(x + quantile * (n * curvature) ** (-2 / 3))

    degrees = degrees or chosen_degrees(model, n)
    if model.initial_output != "vanishing":
        bulk = bulk_of(model, n, degrees)
        return np.full(alphas.shape, beyond(bulk.edge, bulk.edge_curvature))
    found = _edges(model, n, alphas.ravel().tolist(), degrees, false_positive_rate, edges)
    return np.array([beyond(edge.x, edge.curvature) for edge in found]).reshape(alphas.shape)


def _edges(
    model: Model, n: int, alphas: list[float], degrees: int, rate: float, known: Sequence[Edge] | None
) -> list[Edge]:
    length = beta_length(model, n)
    short = np.array([max(step_reach(model, n, alpha, length)) < _SHORT for alpha in alphas], dtype=bool)
    found = dict(enumerate(known or ()))
    for still, share in ((True, SHARE), (False, rate)):
        places = [int(i) for i in np.flatnonzero(short == still) if not (still and known)]
        near = [found[i].x for i in places] if known else None
        edges = conditional_edges(model, n, [alphas[i] for i in places], degrees, share=share, near=near)
        found |= zip(places, edges, strict=True)
    return [found[i] for i in range(len(alphas))]


def tracy_widom_cdf(s: float) -> float:
    """F_1(s) = det(1 - B_s) with B_s(x, y) = Ai(x + y + s) on L^2(0, inf).

    The formula is that of Ferrari and Spohn, J. Phys. A 38, L557 (2005); the determinant is taken on Gauss-Legendre
    nodes, exact to rounding (Bornemann, Math. Comp. 79, 871, 2010).

    >>> round(tracy_widom_cdf(0.9793), 4)
    0.95
    """
    unit, weights = np.polynomial.legendre.leggauss(_NODES)
    x, root = _REACH * (unit + 1) / 2, np.sqrt(_REACH * weights / 2)
    kernel = root[:, None] * special.airy(x[:, None] + x + s)[0] * root
    return float(np.linalg.det(np.eye(_NODES) - kernel))


@functools.cache
def tracy_widom_quantile(probability: float) -> float:
    """The s with F_1(s) = probability, for probabilities within [1e-6, 1 - 1e-9].

    >>> round(tracy_widom_quantile(0.99), 4)
    2.0234
    """
    if not 1e-6 <= probability <= 1 - 1e-9:
        raise ValueError(f"probability = {probability} was given; it must lie in [1e-6, 1 - 1e-9]")
    return float(optimize.brentq(lambda s: tracy_widom_cdf(s) - probability, -10.0, 13.0, xtol=1e-10))
