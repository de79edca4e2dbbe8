"""Traces of the resolvent of F_0 and their derivatives in the penalty."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from spikecube.model.hermite import Array


@dataclass(frozen=True)
class Moments:
    """m_1, m_(k) of the blocks, their derivatives dm_1, du in lambda, and u = 1/(1+e), (lam,) each.

    `blocks` (degrees, lam) holds m_(1), m_(2), ... and `dblocks` their derivatives; m_2 is m_(1).
    u is the mu of the spiked losses, u = lambda (m_1 + (N-n)/(lambda n)) n/N, and -u is the zeta of the outliers.
    """

    lam: Array
    m_1: Array
    dm_1: Array
    u: Array
    du: Array
    blocks: Array
    dblocks: Array

    @property
    def degrees(self) -> int:
        """How many degrees have a block."""
        return len(self.blocks)

    def weights(self, degrees: Iterable[int]) -> Array:
        """m_(k) for each degree k, m_1 for those without a block; shape (*lam.shape, degrees)."""
        return _picked(degrees, self.blocks, self.m_1)

    def slopes(self, degrees: Iterable[int]) -> Array:
        """The derivatives of `weights(degrees)` in lambda."""
        return _picked(degrees, self.dblocks, self.dm_1)


def _picked(degrees: Iterable[int], blocks: Array, other: Array) -> Array:
    return np.stack([blocks[k - 1] if 1 <= k <= len(blocks) else other for k in degrees], axis=-1)


@dataclass(frozen=True)
class FixedPoint:
    """At some e: u = 1/(1+e), m_1, p_k = m_(k)/m_1, q = -dm_1/dlambda, s = d(image)/dm_1 at fixed e, and e's image."""

    u: Array
    m_1: Array
    p: Array
    q: Array
    s: Array
    image: Array


def moments_of(lam: Array, fixed: FixedPoint) -> Moments:
    """Implicit differentiation of the two equations; every sum has terms of one sign for lambda > 0."""
    common = -fixed.q / (1 + lam * fixed.q * fixed.s)
    m = fixed.m_1 * fixed.p
    return Moments(
        lam=lam,
        m_1=fixed.m_1,
        dm_1=common * (1 + fixed.m_1 * fixed.s),
        u=fixed.u,
        du=-common * fixed.s * fixed.u,
        blocks=m,
        dblocks=common * (fixed.p**2 + m * fixed.s),
    )
