"""Laws of log y turned into laws of y itself, for means that noise makes negative."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikecube.scaling.kinds import NONLINEAR
from spikecube.scaling.laws import Law
from spikecube.scaling.types import Array

_EXPONENTS = np.linspace(-6.0, 6.0, 121)


def best_power(n: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Amplitude (of either sign) and exponent of the best C n^b over a grid of b, each of shape (B,).

    For given b the best C is linear, so the grid costs one product (variable projection).
    """
    centre = np.exp(np.log(n).mean())
    basis = (n / centre) ** _EXPONENTS[:, None]
    cross, power = (weights * y) @ basis.T, weights @ (basis**2).T
    best, row = np.argmax(cross**2 / power, axis=1), np.arange(len(y))
    exponent = _EXPONENTS[best]
    return cross[row, best] / power[row, best] * centre**-exponent, exponent


def raw_scale(law: Law) -> Law:
    """The same law for y itself, exp of the law for log y, which noise around zero does not spoil.

    The amplitude must be positive: turn the data's sign first (`best_power` tells it).
    """

    def value(n: Array, theta: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.exp(law.value(n, theta))

    def start(n: Array, y: Array, weights: Array) -> Array:
        amplitude, exponent = best_power(n, y, weights)
        theta = np.zeros((1, len(y), len(law.params)))
        theta[0, :, 0] = np.log(np.maximum(np.abs(amplitude), np.finfo(float).tiny))
        theta[0, :, 1] = exponent
        if len(law.params) == 4:
            theta[..., 3] = 1.0
        return theta

    return replace(
        law,
        formula=law.formula.replace("log y = ", "y = exp(") + ")",
        value=value,
        jacobian=lambda n, theta: value(n, theta)[..., None] * law.jacobian(n, theta),
        start=start,
        kind=NONLINEAR,
        log=False,
    )
