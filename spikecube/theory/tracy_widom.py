"""The Tracy-Widom law for beta = 1: how the largest eigenvalue of a real random matrix fluctuates at a bulk edge."""

from __future__ import annotations

import functools

import numpy as np
from scipy import optimize, special

_NODES, _REACH = 60, 16.0


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
