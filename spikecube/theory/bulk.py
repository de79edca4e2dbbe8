"""The bulk of F_0: its resolvent traces m_1 and m_2, the density of its singular values and their upper edge.

With A = r c_1^2/(1+e), B = r c_{>1}^2/(1+e) + lambda and e = c_1^2 m_2 + c_{>1}^2 m_1,

    m_1 = 1 / (A/(1 + A m_1/phi) + B),     m_2 = m_1/(1 + A m_1/phi),

which imply 1 = r e/(1+e) + lambda m_1. Everything is written with the one unknown e:
for lambda > 0 it is the only fixed point of an increasing map T with T(e)/e decreasing (see docs/theory.md),
beyond the edge lambda = -x is an explicit function of e, inside the bulk e solves a quartic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize

from spikecube.model.activations import resolve_activation
from spikecube.model.hermite import Array
from spikecube.numbers import real_array
from spikecube.theory.newton import ConvergenceError, increasing_root
from spikecube.theory.parameters import Model

Complex = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class Moments:
    """m_1, m_2, their derivatives in lambda, and u = 1/(1+e), all of the shape of lambda.

    u is the mu of the spiked losses, u = lambda (m_1 + (N-n)/(lambda n)) n/N, and -u is the zeta of the outliers.
    """

    lam: Array
    m_1: Array
    m_2: Array
    dm_1: Array
    dm_2: Array
    u: Array
    du: Array


@dataclass(frozen=True)
class Bulk:
    """The law of F_0 F_0^T/n for given ratios.

    Attributes
    ----------
    linear, nonlinear : c_1^2 and c_{>1}^2 of the activation.
    dim_ratio, width_ratio : phi = d/n and r = N/n.

    >>> bulk = Bulk(linear=0.0, nonlinear=1.0, dim_ratio=1.0, width_ratio=4.0)
    >>> float(bulk.edge)  # Marchenko-Pastur: (1 + sqrt(r))^2
    9.0
    """

    linear: float
    nonlinear: float
    dim_ratio: float
    width_ratio: float

    @property
    def variance(self) -> float:
        """Var sigma(Z) = c_1^2 + c_{>1}^2."""
        return self.linear + self.nonlinear

    @property
    def atom(self) -> float:
        """The share of zero eigenvalues of F_0 F_0^T/n: 1 - rank/n."""
        rank = self.width_ratio if self.nonlinear > 0 else min(self.width_ratio, self.dim_ratio)
        return max(0.0, 1.0 - rank)

    @property
    def _k(self) -> float:
        return self.width_ratio * self.linear / self.dim_ratio

    def moments(self, lam: npt.ArrayLike) -> Moments:
        """m_1 and m_2 for penalties lambda > 0, to about 1e-10 for lambda from 1e-10 to 1e6.

        Raises
        ------
        ValueError
            If a penalty is not positive.
        ConvergenceError
            If the fixed point is not reached.
        """
        lam = real_array(lam, "lam")
        if not np.all(lam > 0) or not np.all(np.isfinite(lam)):
            raise ValueError(f"lam = {lam.tolist()} was given; penalties are positive and finite")

        def gap(t: Array) -> tuple[Array, Array]:
            e = np.exp(t)
            u, m_1, m_2, q, s = self._at(e, lam)
            image = self.linear * m_2 + self.nonlinear * m_1
            return np.log(e / image), u * (1 + lam * q * s * e / image)

        _, m_1, m_2, _, _ = self._at(np.zeros_like(lam), lam)
        low = np.log(self.linear * m_2 + self.nonlinear * m_1)
        t = increasing_root(gap, low, np.log(self.variance / lam), name=f"m_1 at lam in {_span(lam)}, {self}")
        e = np.exp(t)
        u, m_1, m_2, q, s = self._at(e, lam)
        self._check(np.abs(self.width_ratio * e * u + lam * m_1 - 1), 1e-9, f"lam in {_span(lam)}")
        return _moments(lam, e, m_1, m_2, q, s)

    def beyond(self, x: npt.ArrayLike) -> Moments:
        """m_1 and m_2 continued to lambda = -x for x above the edge; derivatives are in lambda.

        Raises
        ------
        ValueError
            If some x is not above the edge.
        ConvergenceError
            If x(e) is not inverted.
        """
        x = np.asarray(x, dtype=np.float64)
        if not np.all(x > self.edge):
            raise ValueError(f"x = {x.tolist()} was given; the continuation holds above the edge {self.edge:.6g}")

        def gap(t: Array) -> tuple[Array, Array]:
            e = -np.exp(t)
            there, slope = self._inverse(e)
            return np.log(x / there), -slope * e / there

        low, high = np.log(self.variance / x), np.full_like(x, math.log(-self.edge_e))
        t = increasing_root(gap, low, high, name=f"m_1 at lam = -x, x in {_span(x)}, {self}")
        e = -np.exp(t)
        self._check(np.abs(self._inverse(e)[0] / x - 1), 1e-9, f"x in {_span(x)}")
        m_1 = self._m_1(e)
        _, m_1, m_2, q, s = self._rest(e, m_1, -x)
        return _moments(-x, e, m_1, m_2, q, s)

    @cached_property
    def edge(self) -> float:
        """x_+, the upper end of the support: where x(e), decreasing as e goes down from 0, first turns."""
        return float(self._inverse(np.asarray(self.edge_e))[0])

    @cached_property
    def edge_curvature(self) -> float:
        """C in density(x) = (C/pi) sqrt(x_+ - x) + ..., x_+ being the edge."""
        e = self.edge_e
        h = 1e-20
        slope = self._inverse(np.asarray(e + 1j * h))[1]
        m_1 = self._m_1(np.asarray(e))
        _, m_1, _, _, s = self._rest(np.asarray(e), m_1, -np.asarray(self.edge))
        return float((1 + m_1 * s) / (s * (1 + e)) * math.sqrt(2 * h / slope.imag))

    def outside(self, e: float) -> tuple[float, float, float, float]:
        """x, m_1, m_2 and u beyond the edge as explicit functions of e, `edge_e` <= e < 0 (0 is x at infinity)."""
        at = np.asarray(e)
        x, _ = self._inverse(at)
        u, m_1, m_2, _, _ = self._rest(at, self._m_1(at), -x)
        return float(x), float(m_1), float(m_2), float(u)

    def density(self, x: npt.ArrayLike) -> Array:
        """Density of the eigenvalues of F_0 F_0^T/n at x > 0, Im m_1(x + i0)/pi, without the atom at zero."""
        x = np.asarray(x, dtype=np.float64)
        if not np.all(x > 0):
            raise ValueError(f"x = {x.tolist()} was given; the density is that of positive eigenvalues")
        density = np.zeros_like(x)
        inside = x < self.edge
        density[inside] = self._m_1_inside(x[inside]).imag / math.pi
        return density

    @cached_property
    def edge_e(self) -> float:
        """e at the edge."""
        grid = -np.logspace(-8, 0, 1000)[:-1]
        turned = np.flatnonzero(self._inverse(grid)[1] <= 0)
        if not len(turned) or turned[0] == 0:
            raise ConvergenceError(f"no upper edge found for {self}")
        right, left = grid[turned[0] - 1], grid[turned[0]]
        return float(optimize.brentq(lambda e: float(self._inverse(np.asarray(e))[1]), left, right, xtol=1e-16))

    def _at(self, e: Array, lam: Array) -> tuple[Array, Array, Array, Array, Array]:
        """u, m_1, m_2, q = -dm_1/dlambda at fixed e, and s, where e is given and need not be the solution."""
        u = 1 / (1 + e)
        a = self.width_ratio * self.linear * u
        b = self.width_ratio * self.nonlinear * u + lam
        half = a * (1 - 1 / self.dim_ratio) + b
        product = a * b / self.dim_ratio
        root = np.sqrt(half**2 + 4 * product)
        with np.errstate(divide="ignore", invalid="ignore"):
            m_1 = np.where(half > 0, 2 / (half + root), (root - half) / (2 * product))
        return self._rest(e, m_1, lam)

    def _rest(self, e: Array, m_1: Array, lam: Array) -> tuple[Array, Array, Array, Array, Array]:
        u = 1 / (1 + e)
        a = self._k * u
        b = self.width_ratio * self.nonlinear * u + lam
        p = 1 / (1 + a * m_1)
        q = m_1**2 / (p * (1 + a * b * m_1**2))
        return u, m_1, m_1 * p, q, self.linear * p**2 + self.nonlinear

    def _m_1(self, e: Array) -> Array:
        """m_1 from e beyond the edge (e < 0): the small root of the quadratic e = c_1^2 m_2 + c_{>1}^2 m_1."""
        a = self._k / (1 + e)
        b = self.variance - e * a
        root: Array = 2 * e / (b + np.sqrt(b**2 + 4 * e * self.nonlinear * a))
        return root

    def _inverse(self, e: Array) -> tuple[Array, Array]:
        """x and dx/de as functions of e beyond the edge."""
        m_1 = self._m_1(e)
        u = 1 / (1 + e)
        x = (self.width_ratio * e * u - 1) / m_1
        _, _, _, q, s = self._rest(e, m_1, -x)
        return x, u * (1 / (q * s) - x)

    def _m_1_inside(self, x: Array) -> Complex:
        """m_1(x + i0): of the roots of the quartic for e, the one that keeps the upper half plane."""
        z = np.asarray(x * (1 + 1e-10j), dtype=np.complex128)
        roots = np.linalg.eigvals(_companion(self._quartic(-z)))
        z = z[:, None]
        with np.errstate(all="ignore"):
            u = 1 / (1 + roots)
            m_1 = (self.width_ratio * roots * u - 1) / z
            m_2 = m_1 / (1 + self._k * u * m_1)
            residual = np.abs(self.linear * m_2 + self.nonlinear * m_1 - roots) / np.abs(roots)
            height = np.minimum(np.minimum(m_1.imag, m_2.imag), (-u / z).imag)
        height = np.where(residual < 1e-8, height, -np.inf)
        self._check(np.where(np.isfinite(height.max(axis=1)), 0.0, np.inf), 1e-8, f"x in {_span(x)}")
        chosen: Complex = m_1[np.arange(len(x)), np.argmax(height, axis=1)]
        return chosen

    def _quartic(self, lam: Complex) -> Complex:
        """Coefficients, leading one first and equal to 1, of the quartic for e at lambda; shape (..., 5).

        e (1+e)^3 + e (1+e) k w/lambda = (1+e)^2 w var/lambda + c_{>1}^2 k w^2/lambda^2, w = 1 + (1-r) e.
        """
        g = 1 - self.width_ratio
        one = np.ones_like(lam)
        cubic = np.multiply.outer(one, [1.0, 3.0, 3.0, 1.0, 0.0])
        linear = np.multiply.outer(self._k / lam, [0.0, g, 1 + g, 1.0, 0.0])
        whole = np.multiply.outer(self.variance / lam, [0.0, g, 1 + 2 * g, 2 + g, 1.0])
        square = np.multiply.outer(self.nonlinear * self._k / lam**2, [0.0, 0.0, g * g, 2 * g, 1.0])
        total: Complex = cubic + linear - whole - square
        return total

    def _check(self, residual: Array, tolerance: float, where: str) -> None:
        worst = float(np.max(residual, initial=0.0))
        if not worst <= tolerance:
            raise ConvergenceError(f"residual {worst:.2g} exceeds {tolerance:g} at {where} for {self}")


def _moments(lam: Array, e: Array, m_1: Array, m_2: Array, q: Array, s: Array) -> Moments:
    """Implicit differentiation of the two equations; every sum has terms of one sign for lambda > 0."""
    u = 1 / (1 + e)
    common = -q / (1 + lam * q * s)
    return Moments(
        lam=lam,
        m_1=m_1,
        m_2=m_2,
        dm_1=common * (1 + m_1 * s),
        dm_2=common * ((m_2 / m_1) ** 2 + m_2 * s),
        u=u,
        du=-common * s * u,
    )


def _companion(monic: Complex) -> npt.NDArray[Any]:
    degree = monic.shape[-1] - 1
    matrix = np.zeros((*monic.shape[:-1], degree, degree), dtype=np.complex128)
    matrix[..., 0, :] = -monic[..., 1:]
    matrix[..., np.arange(1, degree), np.arange(degree - 1)] = 1
    return matrix


def _span(values: Array) -> str:
    return f"[{values.min():.6g}, {values.max():.6g}]" if values.size else "[]"


def bulk_of(model: Model, n: int | None = None) -> Bulk:
    """The bulk of F_0 for a model: in the limit, or with the rounded d/n and N/n of a given n."""
    activation = resolve_activation(model.activation)
    linear = float(activation.coefficients(1)[1]) ** 2
    phi = model.dim_ratio if n is None else model.dim(n) / n
    r = model.width_ratio if n is None else model.width(n) / n
    nonlinear = activation.variance - linear
    return Bulk(linear, nonlinear if nonlinear > 1e-13 * linear else 0.0, phi, r)


def bulk_edge(model: Model, n: int | None = None) -> float:
    """sqrt(x_+), where the bulk of singular values of F_0/sqrt n ends: in the limit, or with the rounded d and N of n.

    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(activation="relu", dim_ratio=0.5, width_ratio=1.0)
    >>> round(bulk_edge(model), 6)
    1.569252
    """
    return math.sqrt(bulk_of(model, n).edge)


def bulk_density(model: Model, singular_values: npt.ArrayLike) -> Array:
    """Limiting density p(s) = 2 s rho(s^2) of the n singular values s > 0 of F_0/sqrt n, zeros counted.

    It integrates to 1 - `bulk_atom(model)`.

    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(activation="relu", dim_ratio=0.5, width_ratio=1.0)
    >>> bulk_density(model, [0.5, 1.0, 2.0]).round(4).tolist()
    [0.7008, 0.3284, 0.0]
    """
    s = real_array(singular_values, "singular_values")
    return 2 * s * bulk_of(model).density(s.ravel() ** 2).reshape(s.shape)


def bulk_atom(model: Model) -> float:
    """The share of the n singular values of F_0/sqrt n that vanish because its rank is below n.

    >>> from types import SimpleNamespace
    >>> bulk_atom(SimpleNamespace(activation="relu", dim_ratio=0.5, width_ratio=0.75))
    0.25
    """
    return bulk_of(model).atom
