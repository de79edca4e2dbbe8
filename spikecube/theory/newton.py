"""Roots of many increasing functions at once: Newton's method inside a bracket that bisection keeps honest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikecube.errors import SpikecubeError
from spikecube.model.hermite import Array

_ROUNDS = 200
EXACT = 4 * float(np.finfo(float).eps)


class ConvergenceError(SpikecubeError, ArithmeticError):
    """An equation of the theory was not solved to its tolerance: `reason` without, the message with its arguments."""

    def __init__(self, reason: str, arguments: str = "") -> None:
        super().__init__(f"{reason}: {arguments}" if arguments else reason)
        self.reason = reason


def increasing_root(
    function: Callable[[Array], tuple[Array, Array]], low: Array, high: Array, *, name: str, tolerance: float = EXACT
) -> Array:
    """The roots t of elementwise increasing functions f with f(low) <= 0 <= f(high).

    A Newton step is taken where it stays inside the bracket and at least halves the step before last, a bisection step
    elsewhere: convergence is certain, and quadratic near a simple root. A root that is not found is a ConvergenceError.

    Parameters
    ----------
    function : takes t and returns f(t) and f'(t), all of the shape of `low`.
    low, high : brackets.
    name : what is being solved and for which arguments, for the error.
    tolerance : of a root, in units of the larger of it and 1.

    Examples
    --------
    >>> f = lambda t: (t**3 - np.array([8.0, 27.0]), 3 * t**2)
    >>> increasing_root(f, np.array([0.0, 0.0]), np.array([9.0, 9.0]), name="cube roots").round(12).tolist()
    [2.0, 3.0]
    """
    low, high = low.copy(), high.copy()
    t = (low + high) / 2
    before = step = high - low
    for _ in range(_ROUNDS):
        value, slope = function(t)
        if not np.all(np.isfinite(value)):
            raise ConvergenceError(f"{name}: not finite on the way to the root")
        low, high = np.where(value < 0, t, low), np.where(value > 0, t, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = -value / slope
        safe = (t + newton > low) & (t + newton < high) & (2 * np.abs(newton) < np.abs(before))
        before, step = step, np.where(value == 0, 0.0, np.where(safe, newton, (low + high) / 2 - t))
        t = t + step
        if np.all(np.abs(step) <= tolerance * np.maximum(1.0, np.abs(t))):
            return t
    raise ConvergenceError(f"no root of {name} after {_ROUNDS} steps")
