"""Traces of the resolvent of F_0 and their derivatives in the penalty."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from spikecube.model.hermite import Array


@dataclass(frozen=True)
class Moments:
    """m_1, m_(k) of the blocks, their derivatives dm_1, dm_2, du in lambda, and u = 1/(1+e), (lam,) each.

    m_2 is m_(1), `higher` (blocks, lam) holds m_(2), m_(3), ... and `dhigher` their derivatives.
    u is the mu of the spiked losses, u = lambda (m_1 + (N-n)/(lambda n)) n/N, and -u is the zeta of the outliers.
    """

    lam: Array
    m_1: Array
    m_2: Array
    dm_1: Array
    dm_2: Array
    u: Array
    du: Array
    higher: Array
    dhigher: Array

    @property
    def degrees(self) -> int:
        """How many degrees have a block."""
        return len(self.higher) + 1

    def weights(self, degrees: Iterable[int]) -> Array:
        """m_(k) for each degree k, m_1 for those without a block; shape (*lam.shape, degrees)."""
        return np.stack([self._pick(k, self.m_1, self.m_2, self.higher) for k in degrees], axis=-1)

    def slopes(self, degrees: Iterable[int]) -> Array:
        """The derivatives of `weights(degrees)` in lambda."""
        return np.stack([self._pick(k, self.dm_1, self.dm_2, self.dhigher) for k in degrees], axis=-1)

    def _pick(self, k: int, other: Array, first: Array, higher: Array) -> Array:
        if k == 1:
            return first
        return np.asarray(higher[k - 2]) if 2 <= k <= self.degrees else other


@dataclass(frozen=True)
class AtFixed:
    """At some e: u = 1/(1+e), m_1, p_k = m_(k)/m_1, q = -dm_1/dlambda, s = d(image)/dm_1 at fixed e, and e's image."""

    u: Array
    m_1: Array
    p: Array
    q: Array
    s: Array
    image: Array


def moments_of(lam: Array, at: AtFixed) -> Moments:
    """Implicit differentiation of the two equations; every sum has terms of one sign for lambda > 0."""
    common = -at.q / (1 + lam * at.q * at.s)
    m = at.m_1 * at.p
    dm = common * (at.p**2 + m * at.s)
    return Moments(
        lam=lam,
        m_1=at.m_1,
        m_2=m[0],
        dm_1=common * (1 + at.m_1 * at.s),
        dm_2=dm[0],
        u=at.u,
        du=-common * at.s * at.u,
        higher=m[1:],
        dhigher=dm[1:],
    )
