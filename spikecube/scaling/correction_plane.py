"""The plane of the correction in `free_correction`, with the straight lines in log n taken out of the curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikecube.scaling.types import Array

LOG_SIZE = (-7.0, float(np.log(101.0)))
STEPS = 30


def applied(curve: Array, matrix: Array) -> Array:
    """curve @ matrix for each of the B curves: (B, ..., K) and (B, K, q) -> (B, ..., q)."""
    flat = curve.reshape(len(curve), -1, curve.shape[-1]) @ matrix
    return np.asarray(flat.reshape(*curve.shape[:-1], matrix.shape[-1]))


def _beside(values: Array, like: Array) -> Array:
    """Values (B, ...) in a form that broadcasts with an array (B, ..., ...) whose further axes come first."""
    return values.reshape(len(values), *[1] * (like.ndim - 1), *values.shape[1:])


class Settled(NamedTuple):
    """The best t, its cost, and its deviation with all else held, (B, G) each."""

    t: Array
    cost: Array
    deviation: Array


@dataclass(frozen=True)
class Projection:
    """B curves with the straight lines in log n taken out of them.

    Attributes
    ----------
    ratio : (B, K), log(n/n_0), n_0 the smallest size used; smallest : (B,), n_0.
    project : (B, K, K), curve @ project is the weighted curve less its best line; rest : (B, K), that of y.
    line : (B, K, 2), curve @ line is log C and b of a curve; level : (B, 2), those of y.
    scale : (B, 2), conditional deviations of log C and b.
    """

    ratio: Array
    smallest: Array
    project: Array
    rest: Array
    line: Array
    level: Array
    scale: Array

    @classmethod
    def of(cls, n: Array, y: Array, weights: Array) -> Projection:
        """From sizes (K,), values and weights (B, K)."""
        root = np.sqrt(weights)
        design = root[..., None] * np.stack([np.ones_like(n), np.log(n)], axis=-1)
        lines, inverse = np.linalg.qr(design)[0], np.linalg.pinv(design)
        project = root[..., None] * (np.eye(len(n)) - lines @ lines.transpose(0, 2, 1))
        line = (inverse * root[:, None]).transpose(0, 2, 1)
        smallest = np.where(weights > 0, n, np.inf).min(1)
        smallest = np.where(np.isfinite(smallest), smallest, n.min())
        return cls(
            np.maximum(np.log(n / smallest[:, None]), 0.0),
            smallest,
            project,
            applied(y, project),
            line,
            applied(y, line),
            np.sqrt((inverse**2).sum(-1)),
        )

    def decay(self, omega: Array) -> Array:
        """rho at omega (B, ...); (B, ..., K)."""
        return np.asarray(np.exp(-omega[..., None] * _beside(self.ratio, omega)))

    def correction(self, omega: Array, t: Array) -> Array:
        """g at omega, t (B, ...); (B, ..., K)."""
        return np.asarray(np.log1p(np.expm1(t)[..., None] * self.decay(omega)))

    def slope(self, omega: Array, t: Array) -> Array:
        """dg/dt."""
        rho = self.decay(omega)
        return np.asarray(np.exp(t)[..., None] * rho / (1 + np.expm1(t)[..., None] * rho))

    def amplitude(self, omega: Array, t: Array) -> Array:
        """D at omega, t (B, ...)."""
        return np.asarray(np.expm1(t) * _beside(self.smallest, omega) ** omega)

    def residual(self, g: Array) -> Array:
        """What g (B, ..., K) and the best line leave of y, weighted."""
        return np.asarray(_beside(self.rest, g[..., 0]) - applied(g, self.project))

    def cost(self, omega: Array, t: Array) -> Array:
        """Weighted sum of squares at the best line; omega, t (B, ...)."""
        return np.asarray((self.residual(self.correction(omega, t)) ** 2).sum(-1))

    def linear(self, omega: Array, t: Array) -> Array:
        """log C and b at omega, t (B, ...); (B, ..., 2)."""
        return np.asarray(_beside(self.level, omega) - applied(self.correction(omega, t), self.line))

    def settle(self, omega: Array, t: Array) -> Settled:
        """The best t for each omega (B, G) near a start."""
        damping, cost = np.full(t.shape, 1e-3), self.cost(omega, t)
        for _ in range(STEPS):
            slope = applied(self.slope(omega, t), self.project)
            gradient = (slope * self.residual(self.correction(omega, t))).sum(-1)
            trial = np.clip(t + gradient / ((slope**2).sum(-1) * (1 + damping) + 1e-300), *LOG_SIZE)
            new = self.cost(omega, trial)
            better = new <= cost
            t, cost = np.where(better, trial, t), np.where(better, new, cost)
            damping = np.where(better, damping / 10, damping * 10)
        slope = applied(self.slope(omega, t), self.project)
        return Settled(t, cost, 1 / np.sqrt((slope**2).sum(-1) + 1e-300))
