"""The spiked equivalents F_ell = F_0 + sum_{k<=ell} c_1^k c_k eta^k (X~ beta)^{ok} (a^{ok})^T."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikecube.model.hermite import Array


@dataclass(frozen=True)
class Spikes:
    """F_ell - F_0 = left[:, :j] diag(strength[:j]) right[:, :j]^T with j the number of spikes of degree <= ell.

    Attributes
    ----------
    degrees : degrees that carry a spike, ascending.
    left : columns (X~ beta)^{ok} / |X~ beta|^k; (n, spikes).
    right : columns a^{ok} / |a|^k; (width, spikes).
    unit : strength at eta = 1; (spikes,).
    """

    degrees: tuple[int, ...]
    left: Array
    right: Array
    unit: Array

    def strength(self, eta: float) -> Array:
        """c_1^k c_k eta^k |X~ beta|^k |a|^k; shape (spikes,)."""
        return self.unit * eta ** np.array(self.degrees, dtype=np.float64)

    def count(self, ell: int) -> int:
        """How many spikes F_ell has."""
        return sum(k <= ell for k in self.degrees)


def make_spikes(coefficients: Array, degrees: tuple[int, ...], projection: Array, readout: Array) -> Spikes:
    """The spikes of the given degrees; `projection` = X~ beta (n,), `readout` = a (width,)."""
    p, a = (float(np.linalg.norm(v)) or 1.0 for v in (projection, readout))
    return Spikes(
        degrees,
        np.stack([(projection / p) ** k for k in degrees], axis=1),
        np.stack([(readout / a) ** k for k in degrees], axis=1),
        np.array([coefficients[1] ** k * coefficients[k] * (p * a) ** k for k in degrees]),
    )
