"""The numbers that the theory's formulas share: strengths of spikes, moments of the readout, powers of the labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikecube.model.activations import resolve_activation
from spikecube.model.hermite import Array, factorials, monomial_coefficients
from spikecube.model.targets import Target, resolve_target
from spikecube.theory.parameters import Model


def label_power(model: Model) -> float:
    """V = E sigma_*(Z)^2 + noise^2, the second moment of a label.

    >>> from types import SimpleNamespace
    >>> label_power(SimpleNamespace(target=[0.0, 1.0, 0.5], noise=0.5))
    1.75
    """
    return resolve_target(model.target).power + model.noise**2


def linear_power(model: Model) -> float:
    """c_{*,1}^2, the second moment of the best linear predictor of a label."""
    return float(resolve_target(model.target).coefficients(1)[1]) ** 2


def beta_length(model: Model, n: int | None = None) -> float:
    """b = |beta|, b^2 = c_{*,1}^2 + (d/n_0) V: in the limit, or with the rounded d and n_0 of n.

    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(target=[0.0, 1.0], noise=0.0, dim_ratio=3.0, step_ratio=1.0)
    >>> beta_length(model)
    2.0
    """
    ratio = model.dim_ratio / model.step_ratio if n is None else model.dim(n) / model.step_samples(n)
    return float(np.sqrt(linear_power(model) + ratio * label_power(model)))


def readout_nodes(kind: str, nodes: int) -> tuple[Array, Array]:
    """Values of sqrt(N) a_i and their probabilities; with `nodes` of them Gaussian moments below 2 nodes are exact.

    Raises
    ------
    ValueError
        If the readout is not one of gaussian, rademacher, constant.

    >>> [v.tolist() for v in readout_nodes("rademacher", 5)]
    [[-1.0, 1.0], [0.5, 0.5]]
    """
    if kind == "gaussian":
        values, weights = np.polynomial.hermite_e.hermegauss(nodes)
        return values, weights / weights.sum()
    if kind == "rademacher":
        return np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    if kind == "constant":
        return np.array([1.0]), np.array([1.0])
    raise ValueError(f"readout = {kind!r} was given; predictions know gaussian, rademacher, constant")


@dataclass(frozen=True)
class Monomials:
    """The spikes' functions kappa^k of kappa = x.beta/|beta|, seen by the resolvent of F_0.

    The resolvent weighs degree 1 in Hermite polynomials by m_2 and every other degree by m_1, so that every bilinear
    form is m_1 (full) + (m_2 - m_1) (degree one).

    Attributes
    ----------
    degrees : the k with c_k != 0, k <= ell.
    full, first : E[kappa^j kappa^k] and its part of degree one; shape (spikes, spikes).
    label, label_first : E[kappa^k y] and its part of degree one; shape (spikes,).
    """

    degrees: npt.NDArray[np.int64]
    full: Array
    first: Array
    label: Array
    label_first: Array

    def gram(self, m_1: Array, m_2: Array) -> Array:
        """A_{jk} = sum_p p! h_jp h_kp w_p; shape (*m_1.shape, spikes, spikes)."""
        return np.multiply.outer(m_1, self.full) + np.multiply.outer(m_2 - m_1, self.first)

    def overlap(self, m_1: Array, m_2: Array) -> Array:
        """v_k = sum_p p! h_kp g_p w_p; shape (*m_1.shape, spikes)."""
        return np.multiply.outer(m_1, self.label) + np.multiply.outer(m_2 - m_1, self.label_first)


def spike_degrees(model: Model, ell: int) -> npt.NDArray[np.int64]:
    """The degrees k <= ell with c_k != 0, each of which gives a spike.

    Raises
    ------
    ValueError
        If ell is negative.
    """
    if ell < 0:
        raise ValueError(f"ell = {ell} was given; a number of spikes is 0 or more")
    return np.flatnonzero(resolve_activation(model.activation).coefficients(ell))


def monomials(model: Model, ell: int, n: int | None = None) -> Monomials:
    """The monomials of the first ell spikes; E[y | kappa] has Hermite coefficients g_p = c_{*,p} rho^p."""
    degrees = spike_degrees(model, ell)
    h = monomial_coefficients(ell)[degrees]
    target: Target = resolve_target(model.target)
    rho = target.coefficients(1)[1] / beta_length(model, n)
    g = target.coefficients(ell) * rho ** np.arange(ell + 1)
    weighted = h * factorials(ell)
    one = h[:, 1] if ell else np.zeros(len(degrees))
    g_1 = g[1] if ell else 0.0
    return Monomials(degrees, weighted @ h.T, np.outer(one, one), weighted @ g, one * g_1)


def hermite_spikes(model: Model, ell: int) -> tuple[Array, Array]:
    """The limit's spikes kappa^k and E[y | kappa] as coordinates in the orthonormal Hermite polynomials of kappa.

    Columns of the first, shape (ell + 1, spikes), have length 1: only their span matters when strengths are infinite.
    """
    degrees = spike_degrees(model, ell)
    norms = np.sqrt(factorials(ell))
    spikes = (monomial_coefficients(ell)[degrees] * norms).T
    target = resolve_target(model.target).coefficients(ell)
    rho = resolve_target(model.target).coefficients(1)[1] / beta_length(model)
    return spikes / np.linalg.norm(spikes, axis=0), target * rho ** np.arange(ell + 1) * norms


def spike_factors(model: Model, n: int, alpha: float, degrees: npt.NDArray[np.int64]) -> Array:
    """R with R^T R = S C S: R[i, k] = sqrt(N p_i) a_i^k s_k over nodes a_i of the readout; shape (nodes, spikes).

    s_k = c_k (c_1 eta b)^k is the strength of the k-th spike and C_{jk} = N E[a^{j+k}].
    """
    ell = int(degrees.max(initial=0))
    c = resolve_activation(model.activation).coefficients(max(ell, 1))
    width = model.width(n)
    values, weights = readout_nodes(model.readout, ell + 1)
    reach = c[1] * model.eta(n, alpha) * beta_length(model, n) * values / np.sqrt(width)
    return np.asarray(np.sqrt(width * weights)[:, None] * reach[:, None] ** degrees * c[degrees])


def require_vanishing_output(model: Model) -> None:
    """Decline models whose step does not point along beta.

    Raises
    ------
    ValueError
        If initial_output is "full".
    """
    if model.initial_output != "vanishing":
        raise ValueError(
            f"initial_output = {model.initial_output!r} was given; predictions after the step exist only for "
            "'vanishing': at full output the step does not point along beta"
        )
