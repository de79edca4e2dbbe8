"""Outliers of F/sqrt n at finite n: where each spike's singular value sits, and from which alpha it is seen."""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize

from spikecube.model.hermite import Array
from spikecube.model.parameters import Model
from spikecube.theory.bulk import Bulk, bulk_of
from spikecube.theory.conditional.spikes import conditional_spectrum
from spikecube.theory.labels_and_spikes import SpikeTerms, degrees_up_to, finite_spikes, require_vanishing_output
from spikecube.theory.losses import chosen_degrees

_SPIKES = 5
"""Spikes kept by default: the first five detach below alpha = 0.4, and their sum is F to a per cent up to there."""


def predicted_outliers(
    model: Model, n: int, alpha: float, *, ell: int = _SPIKES, conditional: bool = False, degrees: int | None = None
) -> Array:
    """Singular values of F_ell/sqrt n beyond the bulk at finite n, largest first; one per detached spike.

    x is the square of an outlier when det(I - zeta(x) S A(x) S C) = 0, zeta(x) = x (m_1 - (N-n)/(n x)) n/N,
    with m_1 and m_(k) continued to lambda = -x. Equivalently an eigenvalue of zeta R A R^T, R^T R = S C S, is 1; every
    eigenvalue falls as x grows, so that the number of outliers is the number of those above 1 at the edge
    (the transition of Baik, Ben Arous and Peche, Ann. Probab. 33, 1643, 2005).

    Parameters
    ----------
    n, alpha : samples of the ridge batch and exponent of the step size.
    ell : spikes kept.
    conditional : take those of F itself, beyond its own bulk, from the conditional equivalence; ell plays no role then.
    degrees : blocks kept; None chooses, 1 is the proportional theory. With more than one the outlier that F_0 has by
        itself, where c_2 sqrt(2N/d) is well beyond the bulk, is among them.

    Raises
    ------
    ValueError
        If the model's initial output is not vanishing.

    Examples
    --------
    >>> from spikecube import Model
    >>> model = Model(activation="relu", target=[0, 1, 0.5], noise=0.5)
    >>> predicted_outliers(model, 1000, 0.42, degrees=1).round(4).tolist()
    [6.3242, 2.3056]
    >>> predicted_outliers(model, 1000, 0.42, conditional=True, degrees=1).round(2).tolist()
    [6.34, 2.88]
    """
    require_vanishing_output(model)
    degrees = degrees or chosen_degrees(model, n)
    if conditional:
        return conditional_spectrum(model, n, alpha, degrees).outliers
    return _outliers(bulk_of(model, n, degrees), *finite_spikes(model, n, alpha, ell, degrees))


def initial_outliers(model: Model, n: int, degrees: int | None = None) -> Array:
    """The outliers that F_0/sqrt n has by itself, largest first: none, or that of the radius of x.

    It is detached for c_2 sqrt(2N/d) well beyond the bulk, does not point near the target and hardly changes losses.

    >>> from spikecube import Model
    >>> model = Model(activation=[0, 0.3, 1], target=[0, 1], dim_ratio=0.2, width_ratio=8)
    >>> initial_outliers(model, 1000).round(2).tolist()
    [10.01]
    """
    degrees = degrees or chosen_degrees(model, n)
    return _outliers(bulk_of(model, n, degrees), *finite_spikes(model, n, None, 0, degrees))


def _outliers(bulk: Bulk, spikes: SpikeTerms, factors: Array) -> Array:
    if not len(spikes.degrees):
        return np.zeros(0)

    def excess(t: float, k: int) -> float:
        """Positive at the edge, falling to -1 at infinity; t is log(-e)."""
        return float(_eigenvalues(bulk, -math.exp(t), spikes, factors)[k]) - 1

    high, found = math.log(-bulk.edge_e), []
    for k in range(int(np.sum(_eigenvalues(bulk, bulk.edge_e, spikes, factors) > 1))):
        low = high - 1
        while excess(low, k) > 0:
            low -= 2
        e = -math.exp(optimize.brentq(excess, low, high, args=(k,), xtol=1e-13))
        found.append(-float(bulk.outside(e).lam))
    return np.sqrt(found)


def detachment_alphas(model: Model, n: int, *, ell: int = _SPIKES, degrees: int | None = None) -> Array:
    """The alpha in [0, 1/2] from which the k-th spike's outlier of F/sqrt n is detached at this n; shape (spikes,).

    Where the smallest eigenvalue of zeta R A R^T for the spikes up to degree k passes 1 at the edge, for k <= ell,
    degrees with c_k = 0 left out. NaN: not within the range, or a spike that the readout cannot tell from earlier ones;
    0: from the start. The radius of x is left out. As n grows it approaches (k-1)/(2k) for degree k, like 1/ln n.

    >>> from spikecube import Model
    >>> model = Model(activation="relu", target=[0, 1, 0.5], noise=0.5)
    >>> detachment_alphas(model, 1000, ell=2).round(3).tolist()
    [0.127, 0.348]
    """
    require_vanishing_output(model)
    bulk = bulk_of(model, n, degrees or chosen_degrees(model, n))
    orders = degrees_up_to(model, ell)

    def first(k: int) -> float:
        def excess(alpha: float) -> float:
            values = _eigenvalues(bulk, bulk.edge_e, *finite_spikes(model, n, alpha, int(orders[k]), 1))
            return float(values[k]) - 1 if k < len(values) else -1.0

        if excess(0.0) > 0:
            return 0.0
        return float(optimize.brentq(excess, 0.0, 0.5)) if excess(0.5) > 0 else math.nan

    return np.array([first(k) for k in range(len(orders))])


def _eigenvalues(bulk: Bulk, e: float, spikes: SpikeTerms, factors: Array) -> Array:
    """Eigenvalues of zeta R A R^T, zeta = -u, largest first; A is negative definite beyond the edge."""
    moments = bulk.outside(e)
    gram = spikes.gram(moments.weights(spikes.function_degrees))
    return np.linalg.eigvalsh(-moments.u * (factors @ gram @ factors.T))[::-1]
