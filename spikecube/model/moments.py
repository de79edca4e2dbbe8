"""Second moments of neurons and of functions of one direction over Gaussian inputs, in closed form or as series."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikecube.linalg.products import row_blocks, vector_product
from spikecube.model.activations import Activation
from spikecube.model.hermite import gaussian_quadrature
from spikecube.model.network import blockwise_product
from spikecube.types import Array

_TRUNCATION = 1e-11  # what a Hermite series may leave out of a second moment, summed over neurons
_CROSS = 1e-10  # and of one moment with a function of a single direction
_MOST_TERMS = 256
_ROWS = 64  # neurons whose scaled activation is tabulated at a time

Kernel = Callable[[slice, Array], Array]


def orthonormal_hermite(x: Array, degree: int) -> Array:
    """h_k = H_k / sqrt(k!), k = 0..degree, from sqrt(k+1) h_{k+1} = x h_k - sqrt(k) h_{k-1}; (degree + 1, *x.shape)."""
    values = np.ones((degree + 1, *x.shape))
    if degree:
        values[1] = x
    for k in range(1, degree):
        values[k + 1] = (x * values[k] - math.sqrt(k) * values[k - 1]) / math.sqrt(k + 1)
    return values


class Series(NamedTuple):
    """Hermite series of f(pZ) at every scale p.

    Attributes
    ----------
    coefficients : s_k(p) = E f(pZ) h_k(Z), k = 0..degree; (scales, degree + 1).
    rest : R(p) = E f(pZ)^2 - sum_{k <= degree} s_k(p)^2 >= 0; (scales,).
    """

    coefficients: Array
    rest: Array


def scaled_series(
    function: Callable[[Array], Array], scales: Array, degree: int, kinks: Sequence[float] = ()
) -> Series:
    """The Hermite series of f(pZ) up to a degree, for every scale p.

    Parameters
    ----------
    function : elementwise, smooth but for kinks, which lie at 0 if anywhere.
    scales : standard deviations p > 0; (scales,).
    """
    nodes, weights = gaussian_quadrature(kinks)
    table = (orthonormal_hermite(nodes, degree) * weights).T
    series, rest = np.empty((len(scales), degree + 1)), np.empty(len(scales))
    for start in range(0, len(scales), _ROWS):
        rows = slice(start, start + _ROWS)
        values = function(scales[rows, None] * nodes)
        series[rows] = values @ table
        rest[rows] = (values**2) @ weights - np.sum(series[rows] ** 2, axis=1)
    return Series(series, np.maximum(rest, 0.0))


@dataclass(frozen=True)
class RidgeFunction:
    """A function g(v . x) of one direction.

    Attributes
    ----------
    direction : v; (dim,).
    initial, step : W_0 v and G v; (width,).
    series, rest : Hermite series of g(|v| z), and what it leaves of E g(|v| z)^2.
    """

    direction: Array
    initial: Array
    step: Array
    series: Array
    rest: float

    @property
    def power(self) -> float:
        """E g(v . x)^2."""
        return float(np.sum(self.series**2)) + self.rest


def ridge_function(
    function: Callable[[Array], Array],
    direction: Array,
    weights: Array,
    step: Array,
    degree: int | None = None,
    kinks: Sequence[float] = (),
) -> RidgeFunction:
    """g(v . x) beside the network W_0 + eta G; `degree` is that of a polynomial g, None for any other function."""
    scale = np.array([float(np.linalg.norm(direction))])
    series, rest = scaled_series(function, scale, _MOST_TERMS if degree is None else degree, kinks)
    left_out = float(rest[0]) if degree is None else 0.0
    return RidgeFunction(
        direction, vector_product(weights, direction), vector_product(step, direction), series[0], left_out
    )


def ridge_moment(f: RidgeFunction, g: RidgeFunction) -> float:
    """E f(x) g(x) = sum_k s_k t_k rho^k, rho the cosine between the directions; one of them a polynomial."""
    size = float(np.linalg.norm(f.direction) * np.linalg.norm(g.direction))
    rho = float(f.direction @ g.direction) / size if size else 0.0
    terms = min(len(f.series), len(g.series))
    return float(np.sum(f.series[:terms] * g.series[:terms] * rho ** np.arange(terms)))


@dataclass(frozen=True)
class Neurons:
    """Rows w_i = w_{0,i} + eta g_i of a network, known by their inner products.

    Attributes
    ----------
    activation : centred at unit scale, whatever the norms of the rows.
    constant, linear, quadratic : W_0 W_0^T, W_0 G^T + G W_0^T and G G^T; (width, width).
    """

    activation: Activation
    constant: Array
    linear: Array
    quadratic: Array

    def scales(self, eta: float) -> Array:
        """The norms |w_i|; (width,)."""
        c, b, a = (np.diagonal(m).astype(np.float64) for m in (self.constant, self.linear, self.quadratic))
        return np.asarray(np.sqrt(c + eta * b + eta * eta * a))

    def cosines(self, eta: float) -> Iterator[tuple[slice, Array]]:
        """Row blocks of the cosines between the rows."""
        scales = self.scales(eta)
        for rows in row_blocks(len(scales), 4 * 8 * len(scales)):
            block = self.constant[rows] + eta * self.linear[rows].astype(np.float64)
            block += (eta * eta) * self.quadratic[rows].astype(np.float64)
            block /= scales[rows, None] * scales
            yield rows, np.clip(block, -1.0, 1.0, out=block)

    def moments(self, eta: float) -> Iterator[tuple[slice, Array]]:
        """Row blocks of E sigma(w_i . x) sigma(w_j . x) for x ~ N(0, I).

        With p = |w_i|, q = |w_j| and rho their cosine, before centring: the arc-cosine kernel for relu,

            p q (sqrt(1 - rho^2) + rho (pi - arccos rho)) / (2 pi),

        the arc-sine kernel for erf, (2/pi) arcsin(2 p q rho / sqrt((1 + 2 p^2)(1 + 2 q^2))), and for the others the
        Hermite series sum_k s_k(p) s_k(q) rho^k, whose rest is at most |rho|^{K+1} sqrt(R(p) R(q)): it ends where the
        largest |rho|^{K+1} times sum_i R(p_i) is below 1e-11, which bounds the operator norm of what it leaves out.
        The diagonal, where rho = 1, is exact.

        References
        ----------
        Cho and Saul, NeurIPS 2009 (arc-cosine); Williams, NeurIPS 1996 (arc-sine).
        """
        scales = self.scales(eta)
        kernel = self._closed(scales) or self._series(eta, scales)
        for rows, cosine in self.cosines(eta):
            yield rows, kernel(rows, cosine)

    def _closed(self, p: Array) -> Kernel | None:
        mean = self.activation.mean

        def arc_cosine(rows: slice, rho: Array) -> Array:
            raw = np.sqrt(1 - rho * rho)
            raw += rho * (math.pi - np.arccos(rho))
            raw *= p[rows, None] * p / (2 * math.pi)
            return np.asarray(raw - mean * (p[rows, None] + p) / math.sqrt(2 * math.pi) + mean * mean)

        def arc_sine(rows: slice, rho: Array) -> Array:
            q = p / np.sqrt(1 + 2 * p * p)
            return np.asarray(2 / math.pi * np.arcsin(2 * q[rows, None] * q * rho))

        return {"relu": arc_cosine, "erf": arc_sine}.get(self.activation.name)

    def _series(self, eta: float, scales: Array) -> Kernel:
        largest = 0.0
        for rows, cosine in self.cosines(eta):
            np.abs(cosine, out=cosine)
            cosine[np.arange(len(cosine)), np.arange(rows.start, rows.stop)] = 0.0
            largest = max(largest, float(cosine.max()))
        terms, bound = 8, math.inf
        while bound > _TRUNCATION:
            if terms > _MOST_TERMS:
                raise ArithmeticError(
                    f"the Hermite series of {self.activation.name} at eta = {eta:.3g} needs more than "
                    f"{_MOST_TERMS} terms: test_risk = 'sample' has no such limit"
                )
            terms *= 2
            series, rest = scaled_series(self.activation, scales, terms, self.activation.kinks)
            bounds = largest ** np.arange(1.0, terms + 2) * (rest.sum() + np.cumsum((series**2).sum(0)[::-1])[::-1])
            bound = float(bounds[-1])
        return self._summed(series, rest, int(np.argmax(bounds <= _TRUNCATION)))

    @staticmethod
    def _summed(series: Array, rest: Array, last: int) -> Kernel:
        whole = rest + np.sum(series**2, axis=1)

        def kernel(rows: slice, rho: Array) -> Array:
            total = np.zeros_like(rho)
            for k in range(last, -1, -1):
                total *= rho
                total += series[rows, k, None] * series[:, k]
            total[np.arange(len(total)), np.arange(rows.start, rows.stop)] = whole[rows]
            return total

        return kernel

    def apply(self, eta: float, columns: Sequence[Array]) -> list[Array]:
        """M B for each B in `columns`, M the second moments; each (width, columns of B)."""
        return blockwise_product(self.moments(eta), len(self.constant), columns)

    def cross_moments(self, eta: float, ridges: Sequence[RidgeFunction]) -> Array:
        """E sigma(w_i . x) f_j(x) for each ridge function f_j; (width, ridges).

        sum_k s_k(p_i) t_k rho_i^k with rho_i the cosine of w_i and the direction of f_j. A finite series of f_j makes
        it exact; else its rest is at most |rho_i|^{K+1} sqrt(R(p_i) R_j).
        """
        scales = self.scales(eta)
        degree = max(len(f.series) for f in ridges) - 1
        series, rest = scaled_series(self.activation, scales, degree, self.activation.kinks)
        out = np.empty((len(scales), len(ridges)))
        for j, f in enumerate(ridges):
            size, terms = float(np.linalg.norm(f.direction)), len(f.series)
            rho = np.clip((f.initial + eta * f.step) / (scales * (size or 1.0)), -1.0, 1.0)
            left_out = float(np.max(np.abs(rho) ** terms * np.sqrt(rest * f.rest)))
            if left_out > _CROSS:
                raise ArithmeticError(
                    f"{terms} Hermite terms of the target leave out {left_out:.1g} of its product with "
                    f"{self.activation.name} at eta = {eta:.3g}: test_risk = 'sample' has no such limit"
                )
            out[:, j] = np.polynomial.polynomial.polyval(rho, f.series[:, None] * series.T[:terms], tensor=False)
        return out
