"""The numbers that the theory's formulas share: strengths of spikes, moments of the readout, powers of the labels."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikecube.model.activations import resolve_activation
from spikecube.model.hermite import Array, factorials, monomial_coefficients
from spikecube.model.parameters import Model
from spikecube.model.targets import resolve_target


def label_power(model: Model) -> float:
    """V = E sigma_*(Z)^2 + noise^2, the second moment of a label.

    >>> label_power(Model(target=[0.0, 1.0, 0.5], noise=0.5))
    1.75
    """
    return resolve_target(model.target).power + model.noise**2


def linear_power(model: Model) -> float:
    """c_{*,1}^2, the second moment of the best linear predictor of a label."""
    return float(resolve_target(model.target).coefficients(1)[1]) ** 2


def beta_length(model: Model, n: int | None = None) -> float:
    """b = |beta|, b^2 = c_{*,1}^2 + (d/n_0) V: in the limit, or with the rounded d and n_0 of n.

    >>> beta_length(Model(target=[0.0, 1.0], noise=0.0, dim_ratio=3.0))
    2.0
    """
    ratio = model.dim_ratio / model.step_ratio if n is None else model.dim(n) / model.step_samples(n)
    return float(np.sqrt(linear_power(model) + ratio * label_power(model)))


def beta_cosine(model: Model, n: int | None = None) -> float:
    """rho = c_{*,1}/b, the cosine of beta with beta_*; 0 where labels vanish and beta with them.

    >>> beta_cosine(Model(target=[0.0, 1.0], noise=0.0, dim_ratio=3.0))
    0.5
    """
    length = beta_length(model, n)
    return float(resolve_target(model.target).coefficients(1)[1]) / length if length else 0.0


def readout_nodes(kind: str, nodes: int) -> tuple[Array, Array]:
    """Values of sqrt(N) a_i and their probabilities; with `nodes` of them Gaussian moments below 2 nodes are exact.

    >>> [v.tolist() for v in readout_nodes("rademacher", 5)]
    [[-1.0, 1.0], [0.5, 0.5]]
    """
    if kind == "gaussian":
        return _gauss_hermite(nodes)
    if kind == "rademacher":
        return np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    if kind == "constant":
        return np.array([1.0]), np.array([1.0])
    raise ValueError(f"readout = {kind!r} was given; predictions know gaussian, rademacher, constant")


@functools.lru_cache(maxsize=16)
def _gauss_hermite(nodes: int) -> tuple[Array, Array]:
    values, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights /= weights.sum()
    values.flags.writeable = weights.flags.writeable = False  # they are shared by all callers
    return values, weights


@dataclass(frozen=True)
class SpikeTerms:
    """The spikes' functions in orthonormal functions of the input, each of which the resolvent of F_0 weighs.

    A function of degree p has weight m_(p), or m_1 where p has no block: forms are C diag(weights) C^T.

    Attributes
    ----------
    degrees : the k with c_k != 0, k <= ell, of the functions kappa^k; then 0 for the radius of x, where it is one.
    coordinates : of the spikes; shape (spikes, functions).
    label : of the label; shape (functions,).
    function_degrees : the degree of each function.
    """

    degrees: npt.NDArray[np.int64]
    coordinates: Array
    label: Array
    function_degrees: tuple[int, ...]

    def gram(self, weights: Array) -> Array:
        """A_{jk} = sum_p p! h_jp h_kp w_p; weights (*shape, functions), the result (*shape, spikes, spikes)."""
        return np.asarray((self.coordinates * weights[..., None, :]) @ self.coordinates.T)

    def overlap(self, weights: Array) -> Array:
        """v_k = sum_p p! h_kp g_p w_p; shape (*shape, spikes)."""
        return np.asarray((weights * self.label) @ self.coordinates.T)


def degrees_up_to(model: Model, ell: int) -> npt.NDArray[np.int64]:
    """The degrees k <= ell with c_k != 0, each of which gives a spike; a ValueError for a negative ell."""
    if ell < 0:
        raise ValueError(f"ell = {ell} was given; a number of spikes is 0 or more")
    return np.flatnonzero(resolve_activation(model.activation).coefficients(ell))


def spike_terms(model: Model, ell: int, n: int | None = None, *, radius: bool = False) -> SpikeTerms:
    """The first ell spikes; E[y | kappa] has Hermite coefficients g_p = c_{*,p} rho^p.

    Parameters
    ----------
    radius : with the spike that F_0 has by itself: the degree-2 part of the activation sees sum_i h_2(x_i)/sqrt(d), the
        radius of x. That is h_2(kappa)/sqrt(d) and a function of its own.
    """
    degrees = degrees_up_to(model, ell)
    top = max(ell, 2) if radius else ell
    norms = np.sqrt(factorials(top))
    target = resolve_target(model.target).coefficients(max(top, 1))
    rho = beta_cosine(model, n)
    coordinates = monomial_coefficients(top)[degrees] * norms
    label = np.asarray(target[: top + 1] * rho ** np.arange(top + 1) * norms)
    functions = tuple(range(top + 1))
    if not radius:
        return SpikeTerms(degrees, coordinates, label, functions)
    if n is None:
        raise ValueError("n = None was given; the radius of x is a spike at finite n only")
    share = 1 / model.dim(n)
    own: Array = np.eye(1, top + 2, 2)[0] * share**0.5
    own[-1] = (1 - share) ** 0.5
    coordinates = np.vstack([np.hstack([coordinates, np.zeros((len(coordinates), 1))]), own])
    apart = math.sqrt(2 * share / max(1 - share, share)) * target[2] * (1 - rho**2)
    return SpikeTerms(np.append(degrees, 0), coordinates, np.append(label, apart), (*functions, 2))


def finite_spikes(model: Model, n: int, alpha: float | None, ell: int, degrees: int) -> tuple[SpikeTerms, Array]:
    """The spikes of F_ell at finite n and their factors R with R^T R = S C S; shape (nodes of the readout, spikes).

    R[i, k] = sqrt(N p_i) a_i^k s_k with s_k = c_k (c_1 eta b)^k, so that C_{jk} = N E[a^{j+k}].

    Parameters
    ----------
    alpha : exponent of the step size; None for F_0, which has no step (ell = 0).
    degrees : blocks of the bulk that they stand on; with more than one, the radius of x is a spike if c_2 != 0, of
        strength sqrt(2/d) c_2 and the same for all neurons.
    """
    c, width = resolve_activation(model.activation).coefficients(max(ell, 2)), model.width(n)
    spikes = spike_terms(model, ell, n, radius=degrees > 1 and bool(c[2]))
    no_step = (np.ones(1), np.ones(1))
    values, weights = no_step if alpha is None else readout_nodes(model.readout, ell + 1)
    eta = 0.0 if alpha is None else model.eta(n, alpha)
    reach = c[1] * eta * beta_length(model, n) * values / np.sqrt(width)
    strengths = np.where(spikes.degrees > 0, c[spikes.degrees], math.sqrt(2 / model.dim(n)) * c[2])
    return spikes, np.sqrt(width * weights)[:, None] * reach[:, None] ** spikes.degrees * strengths


def require_vanishing_output(model: Model) -> None:
    """Decline models whose step does not point along beta, by a ValueError."""
    if model.initial_output != "vanishing":
        raise ValueError(
            f"initial_output = {model.initial_output!r} was given; predictions after the step exist only for "
            "'vanishing': at full output the step does not point along beta"
        )
