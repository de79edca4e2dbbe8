"""How many sizes and seeds a claim about an exponent needs, before they are computed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from spikecube.means.replicates import MIN_SEEDS

MOST_SEEDS = 1_000_000


def exponent_stderr(sizes: npt.ArrayLike, spread: float, n_seeds: int) -> float:
    """Standard error of the exponent of y = C n^b from `n_seeds` replicates of relative spread at each size.

    spread / sqrt(n_seeds sum_k (log n_k - mean)^2).

    >>> round(exponent_stderr([1.0, np.e, np.e**2], 0.2, 8), 9)
    0.05
    """
    logs = np.log(np.asarray(sizes, dtype=float))
    return float(spread / np.sqrt(n_seeds * ((logs - logs.mean()) ** 2).sum()))


def seeds_for_half_width(sizes: npt.ArrayLike, spread: float, half_width: float, *, level: float = 0.95) -> int:
    """The fewest seeds at each size whose interval of the exponent is at most +- half_width; at least 3.

    >>> seeds_for_half_width([500, 1000, 2000, 4000], 0.1, 0.05)
    8
    """

    def enough(m: int) -> bool:
        dof = np.size(sizes) * (m - 1)
        return bool(stats.t.ppf((1 + level) / 2, dof) * exponent_stderr(sizes, spread, m) <= half_width)

    return _fewest(enough)


def seeds_for_power(
    sizes: npt.ArrayLike, spread: float, difference: float, *, power: float = 0.8, level: float = 0.95
) -> int:
    """The fewest seeds at which a two-sided test tells an exponent from one that differs by `difference`.

    The power of the t test, with the noncentral t distribution; at least 3 seeds.

    >>> seeds_for_power([500, 1000, 2000, 4000], 0.1, 0.05)
    14
    """

    def enough(m: int) -> bool:
        dof = np.size(sizes) * (m - 1)
        t = stats.t.ppf((1 + level) / 2, dof)
        return bool(special.nctdtr(dof, difference / exponent_stderr(sizes, spread, m), t) <= 1 - power)

    return _fewest(enough)


def _fewest(enough: Callable[[int], bool]) -> int:
    """The smallest count from 3 on for which a condition that stays true holds."""
    return MIN_SEEDS + bisect_left(range(MIN_SEEDS, MOST_SEEDS), True, key=enough)
