"""Shares of random sets against the level that they should have, from both sides."""

from __future__ import annotations

import numpy as np
from scipy import stats

RISK = 1e-3
"""With what probability a check of a right level fails, were its seed drawn anew."""


def bounds(level: float, sets: int) -> tuple[int, int]:
    """The fewest and the most hits in `sets` that a share of `level` admits: binomial, RISK/2 on each side.

    >>> bounds(0.95, 1000)
    (926, 971)
    """
    low, high = stats.binom.ppf([RISK / 2, 1 - RISK / 2], sets, level)
    return int(low), int(high)


def seen(level: float, sets: int, true: float) -> float:
    """With what probability a check of `level` fails where the share is truly `true`.

    >>> round(seen(0.95, 1000, 0.90), 3), round(seen(0.95, 10, 0.80), 3)
    (0.997, 0.033)
    """
    low, high = bounds(level, sets)
    return float(stats.binom.cdf(low - 1, sets, true) + stats.binom.sf(high, sets, true))


def assert_level(hits: object, level: float, *, off: tuple[float, float]) -> None:
    """Asks that the share of `hits`, true or false for each set, is `level` within binomial bounds.

    `off` are shares below and above the level that the check must be able to tell: each is seen by at least 95 in 100
    checks, else there are too few sets for it.
    """
    found = np.asarray(hits, dtype=bool).ravel()
    low, high = bounds(level, found.size)
    power = [seen(level, found.size, true) for true in off]
    assert min(power) > 0.95, f"{found.size} sets tell {off} from {level} with probability {power} only"
    assert low <= found.sum() <= high, f"{found.sum()} of {found.size}, where {level} admits {low} to {high}"
