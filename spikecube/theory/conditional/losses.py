"""Losses of F itself at finite n and any alpha: the conditional equivalence, as a ridge problem of its own.

With the resolvent R = (F F^T + n diag(Lambda))^{-1} and T(Lambda) = y~^T R y~,

    L_tr = lambda T,    L_te = -dT/dt at Lambda_kappa = lambda + t/rho(kappa)^2 with this rho held fixed

(leave-one-out: F's resolvent is not the same at every kappa).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array
from spikecube.model.parameters import Model
from spikecube.numbers import real_array
from spikecube.theory.conditional.build import Known, initial_profile, parts_for, profile_of
from spikecube.theory.conditional.equations import jacobian, solve
from spikecube.theory.conditional.inputs import radius_is_a_node
from spikecube.theory.conditional.profile import Profile
from spikecube.theory.conditional.ridge_form import quadratic_form
from spikecube.theory.losses import block_losses, chosen_degrees, initial_limit, relative_change


class ConditionalLosses(NamedTuple):
    """Losses of F; each of the shape of lam.

    Attributes
    ----------
    train : (1/n)|y~ - F a^|^2 + lambda |a^|^2.
    test : E (y - a^.sigma(W x))^2.
    train_error : (1/n)|y~ - F a^|^2, without the penalty.
    """

    train: Array
    test: Array
    train_error: Array


def conditional_losses(profile: Profile, lam: npt.ArrayLike) -> ConditionalLosses:
    """All losses that a profile gives; a ConvergenceError if its equations are not solved."""
    shape = np.shape(lam)
    flat = real_array(lam, "lam").ravel()
    rho, e, sides = solve(profile, flat)
    on_samples, on_neurons = quadratic_form(profile, rho, sides.w)
    source = np.concatenate([on_samples, on_neurons * (e / (1 + e))], axis=1)
    response = np.linalg.solve(jacobian(profile, rho, e, sides).swapaxes(1, 2), source[..., None])[..., 0]
    response = response[:, : rho.shape[1]]
    value = on_samples.sum(axis=1) + on_neurons.sum(axis=1)
    test = (response / rho).sum(axis=1)
    error = flat**2 * (response * rho).sum(axis=1)
    return ConditionalLosses(*(v.reshape(shape) for v in (flat * value, test, error)))


def finite_losses(
    model: Model, lam: npt.ArrayLike, n: int, alpha: float, *, degrees: int | None = None, draw: Known | None = None
) -> tuple[Array, Array]:
    """Losses (train, test) of F at finite n and any alpha in [0, 1/2]; each of the shape of lam.

    Parameters
    ----------
    lam : penalties > 0; meant for 1e-6 to 1e3.
    n, alpha : samples of the ridge batch and exponent of the step size.
    degrees : blocks kept; None chooses, 1 is the proportional theory.
    draw : what is known of a gradient batch at hand; by default a typical one.

    Raises
    ------
    ValueError
        If a penalty is not positive, or the model's initial output is not vanishing.
    ConvergenceError
        If the profile's equations are not solved.

    Examples
    --------
    >>> from spikecube import Model
    >>> model = Model(activation="relu", target=[0, 1, 0.5], noise=0.5)
    >>> [round(float(loss), 3) for loss in finite_losses(model, 0.1, 1000, 0.48, degrees=1)]
    [0.402, 1.177]
    """
    profile = profile_of(model, n, alpha, parts_for(degrees or chosen_degrees(model, n)), draw=draw)
    return conditional_losses(profile, lam)[:2]


def initial_losses(
    model: Model, lam: npt.ArrayLike, n: int | None = None, *, degrees: int | None = None
) -> tuple[Array, Array]:
    """Losses (train, test) of F_0: in the limit, or at finite n; each of the shape of lam.

    T = sum_k k! c_{*,k}^2 m_(k) + (everything else of V) m_1, in the limit c_{*,1}^2 m_2 + (V - c_{*,1}^2) m_1, is for
    inputs of one length. At finite n that length differs from input to input, by 1/sqrt(2 d) of it, and so do kernels.

    Parameters
    ----------
    lam : penalties > 0.
    degrees : blocks kept at finite n; None chooses, 1 is the limit's formula with the rounded d and N of n.

    Raises
    ------
    ValueError
        If a penalty is not positive.
    ConvergenceError
        If the profile's equations are not solved.

    Examples
    --------
    >>> import spikecube as sc
    >>> model = sc.Model(target=[0.0, 1.0, 0.5], noise=0.5)
    >>> [round(float(loss), 4) for loss in initial_losses(model, 0.1)]
    [0.5958, 1.495]
    """
    if n is None:
        return initial_limit(model, lam)
    degrees = degrees or chosen_degrees(model, n)
    if degrees == 1 or not radius_is_a_node(model.dim(n)):
        return block_losses(model, lam, n, degrees=degrees)
    return conditional_losses(initial_profile(model, n, degrees), lam)[:2]


def spiked_losses(
    model: Model, lam: npt.ArrayLike, n: int, alpha: float, ell: int, *, degrees: int | None = None
) -> tuple[Array, Array]:
    """Losses (train, test) of F_ell at finite n: the spikes keep their finite strength; each of the shape of lam.

    Those of inputs of typical length (`block_losses`), times what the length of inputs does to F_0.

    Parameters
    ----------
    lam : penalties > 0.
    n, alpha : samples of the ridge batch and exponent of the step size.
    ell : number of spikes; 0 is F_0.
    degrees : blocks kept; None chooses, 1 is the proportional theory.

    Raises
    ------
    ValueError
        If a penalty is not positive, or if the model's initial output is not vanishing (and ell > 0).
    ConvergenceError
        If the profile's equations are not solved.

    Examples
    --------
    >>> import spikecube as sc
    >>> model = sc.Model(target=[0.0, 1.0, 0.5], noise=0.5)
    >>> [round(float(loss), 4) for loss in spiked_losses(model, 0.1, 1000, 0.3, 5, degrees=1)]
    [0.4714, 1.2108]
    """
    degrees = degrees or chosen_degrees(model, n)
    blocks = block_losses(model, lam, n, alpha, ell, degrees=degrees)
    if degrees == 1 or not radius_is_a_node(model.dim(n)):
        return blocks
    change = 1 + relative_change(
        np.array(initial_losses(model, lam, n, degrees=degrees)),
        np.array(block_losses(model, lam, n, degrees=degrees)),
    )
    return blocks[0] * change[0], blocks[1] * change[1]
