"""Numbers of a collapse with their errors: parameters, and 1/nu and zeta/nu as tables quote them."""

from __future__ import annotations

import numpy as np
from scipy import stats

from spikecube.scaling.collapse_ansatz import Ansatz
from spikecube.scaling.types import Array

CONFIDENCE = 0.95
DERIVED = ("1/nu", "zeta/nu")
DERIVED_VARIABLES = ("derived_estimate", "derived_stderr", "derived_low", "derived_high")


def parameter_table(form: Ansatz, theta: Array, covariance: Array, t_dof: Array, expected: Array) -> dict[str, Array]:
    """Estimates, errors, intervals and p-values of all parameters, (p,) each.

    Powers of n in the law are 1/nu and zeta/nu, in which it is nearly linear: the interval of nu is that of 1/nu, and
    zeta = (zeta/nu)/(1/nu) has that of Fieller, so that both go to infinity where 1/nu may be 0.

    References
    ----------
    Fieller, J. R. Stat. Soc. B 16 (1954) 175.
    """
    stderr = np.sqrt(np.diag(covariance))
    free = stderr > 0
    reach = np.asarray(stats.t.ppf((1 + CONFIDENCE) / 2, t_dof))
    low, high = theta - reach * stderr, theta + reach * stderr
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (theta - expected) / stderr
        distance = np.abs(z)
        for j, name in enumerate(form.params):
            if name == "nu" and free[j]:
                low[j], high[j] = _inverted(1 / theta[j], reach[j] * stderr[j] / theta[j] ** 2)
                distance[j] *= np.abs(theta[j] / expected[j])
            elif j in form.zetas and free[j] and free[1]:
                powers, spread = _powers_of(form, theta, covariance, form.zetas.index(j))
                low[j], high[j] = _fieller(powers, spread, reach[j])
                direction = np.array([-expected[j], 1.0])
                distance[j] = np.abs(direction @ powers) / np.sqrt(direction @ spread @ direction)
    return {
        "estimate": theta,
        "stderr": np.where(free, stderr, np.nan),
        "ci_low": np.where(free, low, np.nan),
        "ci_high": np.where(free, high, np.nan),
        "pvalue": np.where(free, 2 * stats.t.sf(distance, t_dof), np.nan),
        "expected": expected,
        "z": np.where(free, z, np.nan),
        "t_dof": t_dof,
    }


def _powers_of(form: Ansatz, theta: Array, covariance: Array, part: int) -> tuple[Array, Array]:
    """(1/nu, zeta/nu) of one part, and their covariance (2, 2) to first order."""
    at = [form.params.index("nu"), form.zetas[part]]
    nu, zeta = theta[at]
    slope = np.array([[-1 / nu**2, 0.0], [-zeta / nu**2, 1 / nu]])
    return np.array([1 / nu, zeta / nu]), _through(slope, covariance[np.ix_(at, at)])


def _through(slope: Array, covariance: Array) -> Array:
    """slope covariance slope^T, where an infinite variance makes infinite what depends on it."""
    unknown = np.isinf(np.diag(covariance))
    known = np.where(np.outer(~unknown, ~unknown), covariance, 0.0)
    found = slope @ known @ slope.T
    lost = (slope[:, unknown] != 0).any(1)
    found[lost, lost] = np.inf
    return np.asarray(found)


def derived_table(form: Ansatz, theta: Array, covariance: Array, t_dof: Array, part: int) -> dict[str, Array]:
    """1/nu and zeta/nu of one part, with errors and intervals; (2,) each."""
    powers, spread = _powers_of(form, theta, covariance, part)
    dof = np.array([t_dof[1], min(t_dof[1], t_dof[form.zetas[part]])])
    stderr = np.sqrt(np.diag(spread))
    stderr = np.where(stderr > 0, stderr, np.nan)
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, dof) * stderr
    return dict(zip(DERIVED_VARIABLES, (powers, stderr, powers - reach, powers + reach), strict=True))


def _inverted(centre: float, reach: float) -> tuple[float, float]:
    """The ends of 1/x for x within reach of a centre; infinite on the side of 0 if that is among them."""
    low, high = centre - reach, centre + reach
    if low * high > 0:
        return 1 / high, 1 / low
    return (1 / high, np.inf) if centre > 0 else (-np.inf, 1 / low)


def _fieller(powers: Array, spread: Array, reach: float) -> tuple[float, float]:
    """All z with |zeta/nu - z (1/nu)| within reach standard errors of it."""
    inverse, ratio = powers
    square = inverse**2 - reach**2 * spread[0, 0]
    if not square > 0:
        return -np.inf, np.inf
    middle = inverse * ratio - reach**2 * spread[0, 1]
    root = np.sqrt(max(middle**2 - square * (ratio**2 - reach**2 * spread[1, 1]), 0.0))
    return (middle - root) / square, (middle + root) / square
