"""The bulk of F_0: its resolvent traces m_1 and m_2, the density of its singular values and their upper edge.

With A = r c_1^2/(1+e), B = r c_{>1}^2/(1+e) + lambda and e = c_1^2 m_2 + c_{>1}^2 m_1,

    m_1 = 1 / (A/(1 + A m_1/phi) + B),     m_2 = m_1/(1 + A m_1/phi),

which imply 1 = r e/(1+e) + lambda m_1. Everything is written with the one unknown e:
for lambda > 0 it is the only fixed point of an increasing map T with T(e)/e decreasing (docs/explanation/theory.md),
beyond the edge lambda = -x is an explicit function of e, inside the bulk e solves a quartic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import optimize

from spikecube.model.activations import resolve_activation
from spikecube.model.hermite import Array, factorials
from spikecube.model.parameters import Model
from spikecube.numbers import real_array
from spikecube.theory.moments import FixedPoint, Moments, moments_of
from spikecube.theory.newton import EXACT, ConvergenceError, increasing_root

_ROUNDS = 200


@dataclass(frozen=True)
class Bulk:
    """The law of F_0 F_0^T/n for given ratios.

    Attributes
    ----------
    linear : c_1^2 of the activation.
    nonlinear : what counts as noise: the power of all degrees that have no block.
    dim_ratio, width_ratio : phi = d/n and r = N/n.
    higher : (k! c_k^2, D_k/n) of the blocks of degree 2, 3, ...; none in the proportional limit.

    Examples
    --------
    >>> bulk = Bulk(linear=0.0, nonlinear=1.0, dim_ratio=1.0, width_ratio=4.0)
    >>> float(bulk.edge)  # Marchenko-Pastur: (1 + sqrt(r))^2
    9.0
    """

    linear: float
    nonlinear: float
    dim_ratio: float
    width_ratio: float
    higher: tuple[tuple[float, float], ...] = ()

    @property
    def blocks(self) -> tuple[tuple[float, float], ...]:
        """(k! c_k^2, D_k/n) of every block."""
        return ((self.linear, self.dim_ratio), *self.higher)

    @property
    def variance(self) -> float:
        """Var sigma(Z) = sum_k k! c_k^2."""
        return self.linear + sum(power for power, _ in self.higher) + self.nonlinear

    @property
    def atom(self) -> float:
        """The share of zero eigenvalues of F_0 F_0^T/n: 1 - rank/n."""
        seen = sum(ratio for power, ratio in self.blocks if power > 0)
        rank = self.width_ratio if self.nonlinear > 0 else min(self.width_ratio, seen)
        return max(0.0, 1.0 - rank)

    def moments(self, lam: npt.ArrayLike, *, tolerance: float = EXACT) -> Moments:
        """m_1 and m_2 for penalties lambda > 0, to about 1e-10 for lambda from 1e-10 to 1e6.

        A ConvergenceError says that the fixed point is not reached. The tolerance is that of log e; a coarse one makes
        a start for something else, and is not checked.
        """
        lam = real_array(lam, "lam")
        if not np.all(lam > 0) or not np.all(np.isfinite(lam)):
            raise ValueError(f"lam = {lam.tolist()} was given; penalties are positive and finite")

        def gap(t: Array) -> tuple[Array, Array]:
            e = np.exp(t)
            fixed = self._fixed(e, lam)
            return np.log(e / fixed.image), fixed.u * (1 + lam * fixed.q * fixed.s * e / fixed.image)

        low = np.log(self._fixed(np.zeros_like(lam), lam).image)
        name = f"m_1 at lam in {span(lam)}, {self}"
        t = increasing_root(gap, low, np.log(self.variance / lam), name=name, tolerance=tolerance)
        fixed = self._fixed(np.exp(t), lam)
        if tolerance <= EXACT:
            residual = np.abs(self.width_ratio * np.exp(t) * fixed.u + lam * fixed.m_1 - 1)
            self.check(residual, 1e-9, f"lam in {span(lam)}")
        return moments_of(lam, fixed)

    @cached_property
    def edge(self) -> float:
        """x_+, the upper end of the support: where x(e), decreasing as e goes down from 0, first turns."""
        return float(self._inverse(np.asarray(self.edge_e))[0])

    @cached_property
    def edge_curvature(self) -> float:
        """C in density(x) = (C/pi) sqrt(x_+ - x) + ..., x_+ being the edge."""
        e = self.edge_e
        h = 1e-5 * abs(e) * (1 + e)
        bend = np.diff(self._inverse(np.array([e - h, e + h]))[1])[0] / (2 * h)
        fixed = self._rest(np.asarray(e), self._m_1(np.asarray(e)), -np.asarray(self.edge))
        return float((1 + fixed.m_1 * fixed.s) / (fixed.s * (1 + e)) * math.sqrt(2 / bend))

    def edge_shift(self, other: Bulk) -> float:
        """How far, relatively, the edge of another bulk lies from this one's, while that is little.

        x has no slope in e at the edge, so that it moves with x at this edge's e.
        """
        return float(other._inverse(np.asarray(self.edge_e))[0]) / self.edge - 1

    def outside(self, e: npt.ArrayLike) -> Moments:
        """The moments beyond the edge (at lam = -x) as functions of e, `edge_e` <= e < 0 (0 is x at infinity)."""
        here = np.asarray(e)
        x, _ = self._inverse(here)
        with np.errstate(divide="ignore", invalid="ignore"):  # derivatives are infinite at the edge itself
            return moments_of(-x, self._rest(here, self._m_1(here), -x))

    @cached_property
    def edge_e(self) -> float:
        """e at the edge."""
        grid = -np.logspace(-8, 0, 1000)[:-1]
        turned = np.flatnonzero(self._inverse(grid)[1] <= 0)
        if not len(turned) or turned[0] == 0:
            raise ConvergenceError(f"no upper edge found for {self}")
        right, left = grid[turned[0] - 1], grid[turned[0]]
        return float(optimize.brentq(lambda e: float(self._inverse(np.asarray(e))[1]), left, right, xtol=1e-16))

    def _fixed(self, e: Array, lam: Array) -> FixedPoint:
        """What follows from an e that need not be the solution, at lambda > 0."""
        u = 1 / (1 + e)
        b = self.width_ratio * self.nonlinear * u + lam
        if self.higher:
            return self._rest(e, 1 / self._inverse_m_1(u, b), lam)
        a = self.width_ratio * self.linear * u
        half = a * (1 - 1 / self.dim_ratio) + b
        product = a * b / self.dim_ratio
        root = np.sqrt(half**2 + 4 * product)
        with np.errstate(divide="ignore", invalid="ignore"):
            m_1 = np.where(half > 0, 2 / (half + root), (root - half) / (2 * product))
        return self._rest(e, m_1, lam)

    def _inverse_m_1(self, u: Array, b: Array) -> Array:
        """y = 1/m_1 with y = sum_k A_k y/(y + A_k/phi_k) + B: its right side is concave, so Newton descends to it."""
        a = np.multiply.outer([self.width_ratio * power for power, _ in self.blocks], u)
        ends = a / np.array([ratio for _, ratio in self.blocks]).reshape(-1, *[1] * u.ndim)
        y = a.sum(axis=0) + b
        for _ in range(_ROUNDS):
            excess = y - (a * y / (y + ends)).sum(axis=0) - b
            step = excess / (1 - (a * ends / (y + ends) ** 2).sum(axis=0))
            y = y - step
            if np.all(np.abs(step) <= 1e-14 * y):
                return np.asarray(y)
        raise ConvergenceError(f"1/m_1 is not found in {_ROUNDS} steps for {self}")

    def _rest(self, e: Array, m_1: Array, lam: Array) -> FixedPoint:
        u = 1 / (1 + e)
        shrinks, spread = [], self.width_ratio * self.nonlinear * u + lam
        for power, ratio in self.blocks:
            a = self.width_ratio * power * u
            shrinks.append(1 / (1 + a * m_1 / ratio))
            spread = spread + a * shrinks[-1] ** 2
        p = np.stack(shrinks)
        powers = np.array([power for power, _ in self.blocks]).reshape(-1, *[1] * e.ndim)
        image = (powers * p).sum(axis=0) * m_1 + self.nonlinear * m_1
        return FixedPoint(u, m_1, p, m_1 / spread, (powers * p**2).sum(axis=0) + self.nonlinear, image)

    def _m_1(self, e: Array) -> Array:
        """m_1 from e beyond the edge (e < 0): the root of e = sum_k k! c_k^2 m_(k) + c_>^2 m_1 next to zero."""
        a = [self.width_ratio * power / ratio / (1 + e) for power, ratio in self.blocks]
        if not self.higher:
            b = self.variance - e * a[0]
            root: Array = 2 * e / (b + np.sqrt(b**2 + 4 * e * self.nonlinear * a[0]))
            return root
        return self._m_1_of_blocks(e, a)

    def _m_1_of_blocks(self, e: Array, a: list[Array]) -> Array:
        """With 1/m_1 = -(max_k a_k + t), -e = sum_k k! c_k^2/(t + max a - a_k) + c_>^2/(t + max a) falls as t grows."""
        top = np.max(a, axis=0)
        powers = [power for power, _ in self.blocks]
        strongest = np.take(powers, np.argmax(a, axis=0))

        def gap(log_t: Array) -> tuple[Array, Array]:
            t = np.exp(log_t)
            terms = [power / (t + top - a_k) for power, a_k in zip(powers, a, strict=True)]
            total = sum(terms) + self.nonlinear / (t + top)
            slope = sum(term**2 / power for term, power in zip(terms, powers, strict=True) if power)
            slope = slope + self.nonlinear / (t + top) ** 2
            return np.log(-e / total), t * slope / total

        low, high = np.log(strongest / -e), np.log(self.variance / -e)
        t = np.exp(increasing_root(gap, low, high, name=f"m_1 beyond the edge, {self}"))
        return np.asarray(-1 / (top + t))

    def _inverse(self, e: Array) -> tuple[Array, Array]:
        """x and dx/de as functions of e beyond the edge."""
        m_1 = self._m_1(e)
        x = (self.width_ratio * e / (1 + e) - 1) / m_1
        fixed = self._rest(e, m_1, -x)
        return x, fixed.u * (1 / (fixed.q * fixed.s) - x)

    def check(self, residual: Array, tolerance: float, where: str) -> None:
        """Refuse a residual above its tolerance, by a ConvergenceError."""
        worst = float(np.max(residual, initial=0.0))
        if not worst <= tolerance:
            raise ConvergenceError(f"residual {worst:.2g} exceeds {tolerance:g} at {where} for {self}")


def span(values: Array) -> str:
    return f"[{values.min():.6g}, {values.max():.6g}]" if values.size else "[]"


def bulk_of(model: Model, n: int | None = None, degrees: int = 1) -> Bulk:
    """The bulk of F_0 for a model: in the limit, or with the rounded d/n and N/n of a given n.

    So many degrees have blocks at finite n; in the proportional limit every degree beyond 1 is noise.
    """
    activation = resolve_activation(model.activation)
    powers = activation.coefficients(degrees) ** 2 * factorials(degrees)
    linear, rest = float(powers[1]), activation.variance - float(powers.sum())
    noise = rest if rest > 1e-13 * linear else 0.0
    if n is None:
        return Bulk(linear, noise, model.dim_ratio, model.width_ratio)
    d = model.dim(n)
    if degrees > 1:
        powers[2] *= 1 - 1 / d  # the rest of it is the radius of x, which all neurons share
    higher = tuple((float(powers[k]), math.comb(d + k - 1, k) / n) for k in range(2, degrees + 1))
    return Bulk(linear, noise, d / n, model.width(n) / n, higher)


def bulk_atom(model: Model) -> float:
    """The share of the n singular values of F_0/sqrt n that vanish because its rank is below n.

    >>> from spikecube import Model
    >>> bulk_atom(Model(activation="relu", dim_ratio=0.5, width_ratio=0.75))
    0.25
    """
    return bulk_of(model).atom
