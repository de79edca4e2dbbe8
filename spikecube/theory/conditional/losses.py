"""Losses of F itself at finite n and any alpha: the conditional equivalence, as a ridge problem of its own.

With the resolvent R = (F F^T + n diag(Lambda))^{-1} and T(Lambda) = y~^T R y~,

    L_tr = lambda T,    L_te = -dT/dt at Lambda_kappa = lambda + t/rho(kappa)^2 with this rho held fixed

(leave-one-out: F's resolvent is not the same at every kappa).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array
from spikecube.numbers import real_array
from spikecube.theory.conditional.build import Draw, initial_profile, parts_of, profile_of
from spikecube.theory.conditional.equations import jacobian, solve
from spikecube.theory.conditional.profile import Profile
from spikecube.theory.conditional.ridge_form import quadratic_form
from spikecube.theory.losses import chosen_degrees, initial_losses
from spikecube.theory.parameters import Model


@dataclass(frozen=True)
class ConditionalLosses:
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
    """All losses that a profile gives.

    Raises
    ------
    ValueError
        If a penalty is not positive.
    ConvergenceError
        If the profile's equations are not solved.
    """
    shape = np.shape(lam)
    flat = real_array(lam, "lam").ravel()
    rho, e, at = solve(profile, flat)
    on_samples, on_neurons = quadratic_form(profile, rho, at.w)
    source = np.concatenate([on_samples, on_neurons * (e / (1 + e))], axis=1)
    response = np.linalg.solve(jacobian(profile, rho, e, at).swapaxes(1, 2), source[..., None])[..., 0]
    response = response[:, : rho.shape[1]]
    value = on_samples.sum(axis=1) + on_neurons.sum(axis=1)
    test = (response / rho).sum(axis=1)
    error = flat**2 * (response * rho).sum(axis=1)
    return ConditionalLosses(*(v.reshape(shape) for v in (flat * value, test, error)))


def finite_losses(
    model: Model, lam: npt.ArrayLike, n: int, alpha: float, *, degrees: int | None = None, draw: Draw | None = None
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

    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(activation="relu", target=[0, 1, 0.5], noise=0.5, readout="gaussian",
    ...     initial_output="vanishing", dim=lambda n: n // 2, width=lambda n: n, step_samples=lambda n: n,
    ...     eta=lambda n, alpha: n**alpha)
    >>> [round(float(loss), 3) for loss in finite_losses(model, 0.1, 1000, 0.48, degrees=1)]
    [0.402, 1.177]
    """
    profile = profile_of(model, n, alpha, parts_of(degrees or chosen_degrees(model, n)), draw=draw)
    losses = conditional_losses(profile, lam)
    return losses.train, losses.test


def finite_initial_losses(
    model: Model, lam: npt.ArrayLike, n: int, *, degrees: int | None = None
) -> tuple[Array, Array]:
    """Losses (train, test) of F_0 at finite n with the radius of x in them; each of the shape of lam.

    Inputs of one length see a kernel of their own: what the blocks are to a typical input (`initial_losses`), they are
    here to each. The two differ by some (1 to 5)/d.

    Parameters
    ----------
    degrees : blocks kept; None chooses, 1 is `initial_losses` of degree 1.

    Raises
    ------
    ValueError
        If a penalty is not positive.
    ConvergenceError
        If the profile's equations are not solved.

    >>> import spikecube as sc
    >>> model = sc.Model(target=[0.0, 1.0, 0.5], dim_ratio=0.05)
    >>> [round(float(loss), 2) for loss in finite_initial_losses(model, 0.1, 400)]
    [0.0, 0.0]
    """
    degrees = degrees or chosen_degrees(model, n)
    if degrees == 1:
        return initial_losses(model, lam, n, degrees=1)
    losses = conditional_losses(initial_profile(model, n, degrees), lam)
    return losses.train, losses.test
