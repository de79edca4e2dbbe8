"""The gradient batch's matrix: what one step does to a neuron along different input coordinates.

The step moves neuron i by eta a_i (c_1 beta + 2 c_2 M w_i + rest) with one matrix M = X^T diag(y) X/n_0 for all
neurons. Input coordinates are therefore not alike: in an eigendirection of M with eigenvalue mu the squared length of
a neuron is

    (1 + 2 c_2 eta a mu)^2 + eta^2 a^2 (d/n_0) V (E sigma'^2 - c_1^2 - 4 c_2^2) s(mu)

over d, where s(mu) is the diagonal of S = X^T diag(y^2) X/(n_0 V), which shapes the rest. Typical coordinates follow
the law of M; the plane of beta and beta_*, which belong to the batch, has a spectral measure of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikecube.model.hermite import Array
from spikecube.model.targets import resolve_target
from spikecube.theory.conditional.expectations import gaussian_nodes, samples_reach

SHARE = 0.1
"""Labels reach as far as one sample in ten gradient batches does."""
_ORDER = 2  # blocks of the spectral measure of the plane: 4 eigenvalues


@dataclass(frozen=True)
class LabelLaw:
    """Nodes of t = x.beta_* and of the label y, and their probabilities, (nodes,) each: what n_0 samples show."""

    t: Array
    y: Array
    probability: Array

    def moment(self, y: int, t: int = 0) -> float:
        """E y^y t^t."""
        return float(self.probability @ (self.y**y * self.t**t))


def label_law(target: str | Sequence[float], noise: float, samples: int) -> LabelLaw:
    """The joint law of x.beta_* and the label, cut where that many samples end.

    >>> law = label_law([0.0, 1.0], 1.0, 10_000)
    >>> round(law.moment(4), 2), round(law.moment(1, 3), 2)
    (12.0, 3.0)
    """
    reach = samples_reach(samples, SHARE)
    t, p = gaussian_nodes(2.0, 0.2, reach)
    z, q = gaussian_nodes(2.0, 0.2, reach) if noise else (np.zeros(1), np.ones(1))
    signal = np.asarray(resolve_target(target)(t))
    y = np.add.outer(signal, noise * z)
    return LabelLaw(np.repeat(t, len(z)), y.ravel(), np.multiply.outer(p, q).ravel())


def free_moments(cumulants: list[complex]) -> list[complex]:
    """Moments m_0 ... m_K of the law with free cumulants kappa_1 ... kappa_K.

    m_k = sum_s kappa_s sum_{i_1 + ... + i_s = k - s} m_{i_1} ... m_{i_s} (Speicher 1994).

    >>> free_moments([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])  # semicircle: Catalan numbers
    [1.0, 0.0, 1.0, 0.0, 2.0, 0.0, 5.0]
    """
    moments: list[complex] = [1.0]
    for k in range(1, len(cumulants) + 1):
        products: list[complex] = [1.0, *[0.0] * (k - 1)]  # of s moments whose degrees add up to the index
        total: complex = 0.0
        for s in range(1, k + 1):
            products = [sum(products[i] * moments[j - i] for i in range(j + 1)) for j in range(k)]
            total += cumulants[s - 1] * products[k - s]
        moments.append(total)
    return moments


class BatchSpectrum(NamedTuple):
    """Eigenvalues mu of M on Gauss nodes, their shares, and s(mu), (kinds,) each."""

    mu: Array
    shares: Array
    s: Array


def batch_spectrum(law: LabelLaw, ratio: float, kinds: int) -> BatchSpectrum:
    """The spectrum of M and s on `kinds` Gauss nodes.

    X is a Gaussian matrix and y is nearly independent of it, so M is a free compound Poisson law with free cumulants
    kappa_k = ratio^{k-1} E y^k, ratio = d/n_0. Moments of S between powers of M are derivatives of moments of M + t V S
    in t. A law of fewer than `kinds` eigenvalues, as of labels that are all zero, gives a LinAlgError.
    """
    degree, h = 2 * kinds, 1e-25
    y = [law.moment(k) for k in range(degree + 2)]
    moments = free_moments([ratio ** (k - 1) * (y[k] + 1j * h * k * y[k + 1]) for k in range(1, degree + 1)])
    plain = [complex(m).real for m in moments]
    with_s = [complex(moments[k + 1]).imag / h / (k + 1) / y[2] for k in range(kinds)]
    mu, shares = _gauss(plain, kinds)
    s = np.linalg.solve(np.vander(mu, increasing=True).T, with_s) / shares
    return BatchSpectrum(mu, shares, np.maximum(s, 0.0))


def _gauss(moments: list[float], count: int) -> tuple[Array, Array]:
    """Gauss nodes and weights of a law from its moments (Golub and Welsch, Math. Comp. 23, 221, 1969)."""
    hankel = np.array([[moments[i + j] for j in range(count + 1)] for i in range(count + 1)])
    r = np.linalg.cholesky(hankel).T
    ratio = np.append(0.0, np.diagonal(r, 1) / np.diagonal(r)[:-1])
    off = np.diagonal(r)[1:count] / np.diagonal(r)[: count - 1]
    nodes, vectors = np.linalg.eigh(np.diag(np.diff(ratio)[:count]) + np.diag(off, 1) + np.diag(off, -1))
    return nodes, vectors[0] ** 2


def plane_moments(law: LabelLaw, ratio: float, count: int) -> Array:
    """v_i^T M^k v_j for (v_0, v_1) = (beta_*, beta), k = 0 ... count - 1; shape (count, 2, 2).

    They are the coefficients of 1/z in the resolvent: with g the trace of (z - M)^{-1} and tau = (d/n_0) g,

        <beta_*, beta_*> = 1/(z - E[y t^2/(1 - tau y)]) =: 1/S,      <beta_*, beta> = E[y t/(1 - tau y)]/S,
        <beta, beta> = E[y t/(1 - tau y)]^2/S + tau E[y^2/(1 - tau y)].
    """
    trace = free_moments([ratio ** (k - 1) * law.moment(k) for k in range(1, count)])
    tau = np.array([0.0, *(ratio * complex(m).real for m in trace)])[: count + 1]

    def product(f: Array, g: Array) -> Array:
        return np.convolve(f, g)[: count + 1]

    def average(y: int, t: int) -> Array:
        """E[y^y t^t/(1 - tau y)] as a series in 1/z."""
        total, power = np.zeros(count + 1), np.eye(1, count + 1)[0]
        for j in range(count + 1):
            total, power = total + law.moment(y + j, t) * power, product(power, tau)
        return total

    shift = np.append(0.0, average(1, 2)[:-1])
    star, power = np.zeros(count + 1), np.eye(1, count + 1)[0]
    for _ in range(count + 1):
        star, power = star + power, product(power, shift)
    star, mixed = np.append(0.0, star[:-1]), average(1, 1)
    cross = product(mixed, star)
    own = product(mixed, cross) + product(tau, average(2, 0))
    return np.stack([[star, cross], [cross, own]])[..., 1:].transpose(2, 0, 1)


def plane_spectrum(moments: Array) -> tuple[Array, Array]:
    """Eigenvalues of M that beta and beta_* see, (kinds,), and the components of kappa and xi along them, (kinds, 2).

    The Rayleigh-Ritz values of M on the span of M^j beta_*, M^j beta, j below half the number of moments: the Gauss
    rule of the matrix-valued measure, whose weights are positive and add up to the identity. kappa is along beta, xi
    along what beta_* has orthogonal to it.
    """
    order = len(moments) // 2
    gram, matrix = (
        np.block([[moments[i + j + shift] for j in range(order)] for i in range(order)]) for shift in (0, 1)
    )
    values, vectors = np.linalg.eigh(gram)
    keep = values > 1e-10 * values[-1]
    basis = vectors[:, keep] / np.sqrt(values[keep])
    mu, ritz = np.linalg.eigh(basis.T @ matrix @ basis)
    star, beta = (gram[:2] @ basis @ ritz)[:2]
    kappa = beta / np.linalg.norm(beta)
    across = star - (star @ kappa) * kappa
    length = float(np.linalg.norm(across))
    xi = across / length if length > 1e-6 else np.zeros_like(kappa)
    return mu, np.stack([kappa, xi], axis=1)


@dataclass(frozen=True)
class BatchMatrix:
    """M of a gradient batch: its law, and what beta and beta_* see of it.

    Attributes
    ----------
    noise : (d/n_0) V.
    rules : eigenvalues, shares and s on four Gauss nodes, and on two.
    seen, components : `plane_spectrum`.
    """

    noise: float
    rules: tuple[tuple[Array, Array, Array], ...]
    seen: Array
    components: Array


@functools.lru_cache(maxsize=64)
def batch_matrix(target: str | tuple[float, ...], noise: float, dim: int, samples: int) -> BatchMatrix | None:
    """M for a target, a label noise, d and n_0; None where labels are all zero. It does not depend on the step."""
    law, ratio = label_law(target, noise, samples), dim / samples
    if law.moment(2) == 0:
        return None
    rules = tuple(batch_spectrum(law, ratio, count) for count in (4, 2))
    return BatchMatrix(ratio * law.moment(2), rules, *plane_spectrum(plane_moments(law, ratio, 2 * _ORDER)))
