"""The gradient batch's own spectrum: the next correction to the conditional equivalence.

The random part of the step, e_i = (1/n_0) sum_j y_j (sigma'(w_i.x_j) - c_1) x_j, was taken as independent of w_i and
isotropic. Its largest part, of degree 2, is 2 c_2 M w_i with one matrix M = X^T diag(y) X/n_0 for all neurons. Input
coordinates are therefore not alike: in an eigendirection of M with eigenvalue mu the squared length of a neuron is

    (1 + 2 c_2 eta a mu)^2 + eta^2 a^2 (d/n_0) V (E sigma'^2 - c_1^2 - 4 c_2^2) s(mu)

over d, where s(mu) is the diagonal of S = X^T diag(y^2) X/(n_0 V), which shapes the rest of e_i. Its mean over mu is
the s(a)^2 of the profile; what it adds is its spread, by which a network sees some coordinates better than others.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from spikecube.model.activations import resolve_activation
from spikecube.model.hermite import Array, gaussian_quadrature
from spikecube.model.targets import resolve_target
from spikecube.theory.parameters import Model
from spikecube.theory.profile import Profile, profile_of
from spikecube.theory.quantities import label_power

KINDS = 4
"""Gauss nodes for the law of M."""


def label_moments(model: Model, degree: int) -> Array:
    """E y^k, k = 0 ... degree, of a label with its Gaussian noise; shape (degree + 1,).

    >>> from types import SimpleNamespace
    >>> label_moments(SimpleNamespace(target=[0.0, 1.0], noise=1.0), 4).round(9).tolist()
    [1.0, 0.0, 2.0, 0.0, 12.0]
    """
    target = resolve_target(model.target)
    nodes, weights = gaussian_quadrature(target.kinks)
    signal = [float(weights @ target(nodes) ** k) for k in range(degree + 1)]
    noise = [math.prod(range(1, k, 2)) * model.noise**k if k % 2 == 0 else 0.0 for k in range(degree + 1)]
    return np.array([sum(math.comb(k, j) * signal[j] * noise[k - j] for j in range(k + 1)) for k in range(degree + 1)])


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


def batch_spectrum(model: Model, n: int, kinds: int = KINDS) -> tuple[Array, Array, Array]:
    """Eigenvalues mu of M = X^T diag(y) X/n_0 on Gauss nodes, their shares, and s(mu); each of shape (kinds,).

    X is a Gaussian matrix and y is nearly independent of it, so M is a free compound Poisson law with free cumulants
    kappa_k = (d/n_0)^{k-1} E y^k. Moments of S between powers of M are derivatives of moments of M + t V S in t.

    Raises
    ------
    LinAlgError
        If the law has fewer than `kinds` eigenvalues, as for labels that are all zero.
    """
    ratio, degree = model.dim(n) / model.step_samples(n), 2 * kinds + 1
    y, h = label_moments(model, degree + 1), 1e-25
    moments = free_moments([ratio ** (k - 1) * (y[k] + 1j * h * k * y[k + 1]) for k in range(1, degree + 1)])
    plain = [complex(m).real for m in moments]
    with_s = [complex(moments[k + 1]).imag / h / (k + 1) / y[2] for k in range(kinds)]
    mu, shares = _gauss(plain, kinds)
    s = np.linalg.solve(np.vander(mu, increasing=True).T, with_s) / shares
    return mu, shares, np.maximum(s, 0.0)


def _gauss(moments: list[float], count: int) -> tuple[Array, Array]:
    """Gauss nodes and weights of a law from its moments (Golub and Welsch, Math. Comp. 23, 221, 1969)."""
    hankel = np.array([[moments[i + j] for j in range(count + 1)] for i in range(count + 1)])
    r = np.linalg.cholesky(hankel).T
    ratio = np.append(0.0, np.diagonal(r, 1) / np.diagonal(r)[:-1])
    off = np.diagonal(r)[1:count] / np.diagonal(r)[: count - 1]
    nodes, vectors = np.linalg.eigh(np.diag(np.diff(ratio)[:count]) + np.diag(off, 1) + np.diag(off, -1))
    return nodes, vectors[0] ** 2


def refined_profile(model: Model, n: int, alpha: float) -> Profile:
    """The profile with kinds of input coordinates from the spectrum of the gradient batch; the plain one if c_2 = 0.

    Raises
    ------
    ValueError
        If the initial output is not vanishing, or the readout is unknown.
    """
    profile, activation = profile_of(model, n, alpha), resolve_activation(model.activation)
    c = activation.coefficients(2)
    if c[2] == 0 or label_power(model) == 0:
        return profile
    mu, shares, s = batch_spectrum(model, n)
    size = model.eta(n, alpha) / math.sqrt(model.width(n)) * profile.readout
    rest = model.dim(n) / model.step_samples(n) * label_power(model)
    rest *= max(0.0, activation.slope_power - c[1] ** 2 - 4 * c[2] ** 2)
    length = (1 + 2 * c[2] * np.multiply.outer(mu, size)) ** 2 + rest * np.multiply.outer(s, size**2)
    return dataclasses.replace(profile, gain=length / (shares @ length), coordinates=shares)
