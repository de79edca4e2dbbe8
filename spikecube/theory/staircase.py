"""The staircase in alpha: how many spikes there are in the limit."""

from __future__ import annotations

import math

UNBOUNDED = -1


def spike_count(alpha: float) -> int:
    """ell(alpha) with (ell - 1)/(2 ell) < alpha <= ell/(2 ell + 2), and at least 1; UNBOUNDED at alpha = 1/2.

    References
    ----------
    Moniri, Lee, Hassani, Dobriban, ICML 2024 (arXiv:2310.07891), section 3.

    Examples
    --------
    >>> [spike_count(alpha) for alpha in (0.0, 0.25, 0.29, 1 / 3, 0.36, 0.5)]
    [1, 1, 2, 2, 3, -1]
    """
    if alpha >= 0.5:
        return UNBOUNDED
    return max(1, math.ceil(1 / (1 - 2 * alpha) * (1 - 1e-12)) - 1)


def threshold(k: int) -> float:
    """alpha_k = (k - 1)/(2k), beyond which the k-th spike detaches in the limit.

    >>> [round(threshold(k), 4) for k in (1, 2, 3, 4)]
    [0.0, 0.25, 0.3333, 0.375]
    """
    return (k - 1) / (2 * k)
