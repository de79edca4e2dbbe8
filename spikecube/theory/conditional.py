"""Losses of F itself at finite n and any alpha: the conditional equivalence.

Given kappa and a, F is a matrix with a variance profile plus a mean of low numerical rank. With r_a = N_a/n,
w_a = r_a/(1 + e_a) and rho(kappa) = n R(kappa), R the resolvent's diagonal, the profile's equations are

    K_ab = sum_kappa nu_kappa rho l_a l_b,     M = (diag(1/w) + K/phi)^{-1}
    rho(kappa) = 1 / ( sum_ab l_a M_ab l_b + sum_a w_a v_a + lambda )
    e_a = K_aa - (K M K)_aa/phi + sum_kappa nu_kappa rho v_a.

The right-hand sides are increasing in (rho, e) and grow by less than a factor t when both grow by t > 1. In the
logarithms the map therefore expands no distance, its fixed point is unique, and 1 - d log(map) is an M-matrix
everywhere: Newton's method in the logarithms never meets a singular matrix. Steps are halved until the residual falls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array
from spikecube.numbers import real_array
from spikecube.theory.batch import refined_profile
from spikecube.theory.bulk import Bulk
from spikecube.theory.newton import ConvergenceError
from spikecube.theory.parameters import Model
from spikecube.theory.profile import Profile, profile_of

_TOLERANCE = 1e-10
_ROUNDS, _HALVINGS = 100, 30
_LONGEST = 3.0  # Newton step in the logarithms


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


def finite_losses(
    model: Model, lam: npt.ArrayLike, n: int, alpha: float, *, refined: bool = False
) -> tuple[Array, Array]:
    """Losses (train, test) of F at finite n and any alpha in [0, 1/2]; each of the shape of lam.

    With T(Lambda) the quadratic form y~^T R y~ of the labels in the resolvent R = (F F^T + n diag(Lambda))^{-1},

    L_tr = lambda T,    L_te = -dT/dt at Lambda_kappa = lambda + t/rho(kappa)^2 with this rho held fixed

    (leave-one-out: F's resolvent is not the same at every kappa). See docs/theory.md.

    Parameters
    ----------
    lam : penalties > 0; meant for 1e-6 to 1e3.
    n, alpha : samples of the ridge batch and exponent of the step size.
    refined : with the spectrum of the gradient batch (`batch`), which brings it closer to simulation near alpha = 1/2.

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
    >>> [round(float(loss), 3) for loss in finite_losses(model, 0.1, 1000, 0.48)]
    [0.402, 1.177]
    """
    profile = refined_profile(model, n, alpha) if refined else profile_of(model, n, alpha)
    losses = conditional_losses(profile, lam)
    return losses.train, losses.test


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
    value, on_samples, on_neurons = quadratic_form(profile, rho, at.w)
    source = np.concatenate([on_samples, on_neurons * (e / (1 + e))], axis=1)
    response = np.linalg.solve(jacobian(profile, rho, e, at).swapaxes(1, 2), source[..., None])[..., 0]
    response = response[:, : rho.shape[1]]
    test = (response / rho).sum(axis=1)
    error = flat**2 * (response * rho).sum(axis=1)
    return ConditionalLosses(*(v.reshape(shape) for v in (flat * value, test, error)))


def quadratic_form(profile: Profile, rho: Array, w: Array) -> tuple[Array, Array, Array]:
    """T, shape (penalties,), and its derivatives in log rho and in log(1 + e), shapes (penalties, kappa or a).

    T is the least value of a ridge problem of its own,

        T = min sum_kappa nu rho [ (g - m.z - kappa l.y)^2 + (p - l.x)^2 + q ]
                + sum_a ( phi y_a^2 + phi x_a^2 + z_a^2/n ) / w_a     over vectors x, y, z on the nodes of a,

    so that at fixed minimisers every derivative is one of its terms, and T is their sum.
    """
    weight, root, phi = profile.samples * rho, np.sqrt(w)[:, None, :], profile.dim_ratio
    linear = linear_parts(profile, w)
    label = np.broadcast_to(profile.label[:, None], (*rho.shape, 1))
    gram, rest, y = overlaps(profile, rho, linear, np.concatenate([profile.mean * root, label], axis=2))
    eye = np.eye(w.shape[1])
    z = np.linalg.solve(gram[:, :-1, :-1] + eye / profile.n, gram[:, :-1, -1:])
    linear_label = np.broadcast_to(profile.label_linear[:, None], (*rho.shape, 1))
    x = _ridge(linear, weight, phi, linear_label)
    along = rest[..., -1:] - rest[..., :-1] @ z[:, None]
    across = linear_label[:, None] - linear @ x
    on_samples = weight * (profile.over_coordinates(along**2 + across**2)[..., 0] + profile.label_noise)
    y_label = y[..., -1:] - y[..., :-1] @ z[:, None]
    on_neurons = (phi * profile.over_coordinates(y_label**2 + x**2) + z**2 / profile.n)[..., 0]
    return on_samples.sum(axis=1) + on_neurons.sum(axis=1), on_samples, on_neurons


def linear_parts(profile: Profile, w: Array) -> Array:
    """l sqrt(w) for each kind of input coordinate; shape (penalties, coordinates, kappa, a)."""
    return np.asarray(profile.linear * np.sqrt(w[:, None, :] * profile.gain)[:, :, None, :])


def overlaps(profile: Profile, rho: Array, linear: Array, functions: Array) -> tuple[Array, Array, Array]:
    """<f,g> of functions of kappa, what is left of each beside the input coordinate along beta, and its coefficients.

    <f,g> = sum_kappa nu rho f g - F^T (phi diag(1/w) + K')^{-1} G,   F_a = sum_kappa nu rho kappa l_a f,
    K'_ab = sum_kappa nu rho kappa^2 l_a l_b, where `linear` comes from `linear_parts`; shapes
    (penalties, functions, functions), and (penalties, coordinates, kappa or a, functions).
    """
    weight = profile.samples * rho
    tilted = profile.kappa[:, None] * linear
    coefficients = _ridge(tilted, weight, profile.dim_ratio, functions)
    rest = functions[:, None] - tilted @ coefficients
    gram = (functions * weight[..., None]).swapaxes(1, 2) @ profile.over_coordinates(rest)
    return gram, rest, coefficients


def _ridge(features: Array, weight: Array, penalty: float, targets: Array) -> Array:
    """argmin_c sum_kappa weight (targets - features c)^2 + penalty |c|^2, for each of the leading axes of features."""
    weighted = (features * weight[:, None, :, None]).swapaxes(2, 3)
    return np.linalg.solve(weighted @ features + penalty * np.eye(features.shape[3]), weighted @ targets[:, None])


@dataclass(frozen=True)
class Images:
    """The right-hand sides at some (rho, e), and what their derivatives are made of; a leading axis of penalties.

    scaled is l sqrt(w), seen is scaled times (1 + sqrt(w) K sqrt(w)/phi)^{-1}, share is one minus that inverse; each
    has a second axis of kinds of input coordinates.
    """

    rho: Array
    e: Array
    w: Array
    scaled: Array
    seen: Array
    share: Array


def images(profile: Profile, lam: Array, rho: Array, e: Array) -> Images:
    """One evaluation of the profile's equations; lam (penalties, 1), rho (penalties, kappa), e (penalties, a)."""
    w = profile.neurons / (1 + e)
    scaled = linear_parts(profile, w)
    weight = profile.samples * rho
    k = (scaled * weight[:, None, :, None]).swapaxes(2, 3) @ scaled / profile.dim_ratio
    inverse = np.linalg.inv(np.eye(k.shape[-1]) + k)
    seen, share = scaled @ inverse, k @ inverse
    linear = profile.over_coordinates((seen * scaled).sum(axis=-1))
    new_rho = 1 / (linear + w @ profile.noise.T + lam)
    own = profile.over_coordinates(np.diagonal(share, axis1=2, axis2=3))
    return Images(new_rho, profile.dim_ratio * own / w + weight @ profile.noise, w, scaled, seen, share)


def jacobian(profile: Profile, rho: Array, e: Array, at: Images) -> Array:
    """1 - d log(images)/d log(rho, e); shape (penalties, kappa + a, kappa + a)."""
    weight, r, phi = profile.samples * rho, profile.neurons, profile.dim_ratio
    split = rho.shape[1]
    w = at.w[:, None, :]
    joint = w * profile.over_coordinates(at.seen**2) + w**2 * profile.noise
    between = profile.over_coordinates((at.seen @ at.scaled.swapaxes(2, 3)) ** 2)
    out = np.empty((len(rho), split + e.shape[1], split + e.shape[1]), dtype=at.rho.dtype)
    out[:, :split, :split] = at.rho[..., None] * between * weight[:, None, :] / phi
    out[:, :split, split:] = at.rho[..., None] * joint * (e / r)[:, None, :]
    out[:, split:, :split] = (weight[..., None] * joint / (at.w**2 * at.e)[:, None, :]).swapaxes(1, 2)
    among = profile.over_coordinates(at.share**2)
    out[:, split:, split:] = phi * among * (at.w * e / r)[:, None, :] / (at.w * at.e)[..., None]
    return np.eye(out.shape[-1]) - out


def solve(profile: Profile, lam: Array) -> tuple[Array, Array, Images]:
    """rho and e at penalties lam > 0, of shape (penalties, kappa) and (penalties, a).

    Raises
    ------
    ConvergenceError
        If the residual of the logarithms does not fall below 1e-10.
    """
    rho, e = _start(profile, lam)
    at = images(profile, lam[:, None], rho, e)
    for _ in range(_ROUNDS):
        residual = log_residual(rho, e, at)
        worst = np.abs(residual).max(axis=1)
        if worst.max() < _TOLERANCE:
            return rho, e, at
        step = -np.linalg.solve(jacobian(profile, rho, e, at), residual[..., None])[..., 0]
        step *= (_LONGEST / np.maximum(_LONGEST, np.abs(step).max(axis=1)))[:, None]
        rho, e, at = _descend(profile, lam, rho, e, step, np.maximum(worst, _TOLERANCE))
    raise ConvergenceError(
        f"residual {worst.max():.2g} exceeds {_TOLERANCE:g} after {_ROUNDS} steps: "
        f"lam in [{lam.min():.6g}, {lam.max():.6g}], {profile.name}"
    )


def _descend(
    profile: Profile, lam: Array, rho: Array, e: Array, step: Array, worst: Array
) -> tuple[Array, Array, Images]:
    """The point along the step where the residual falls below `worst`, the step being halved until it does."""
    length = np.ones((len(lam), 1))
    for _ in range(_HALVINGS):
        there = moved(rho, e, length * step)
        at = images(profile, lam[:, None], *there)
        falls = np.abs(log_residual(*there, at)).max(axis=1) < worst
        if falls.all():
            break
        length[~falls] /= 2
    return *there, at


def _start(profile: Profile, lam: Array) -> tuple[Array, Array]:
    """rho and e of the network whose l^2 and v are everywhere the profile's means."""
    neurons = profile.neurons / profile.neurons.sum()
    linear = profile.samples @ profile.linear**2 @ neurons
    noise = profile.samples @ profile.noise @ neurons
    bulk = Bulk(float(linear), float(noise), profile.dim_ratio, float(profile.neurons.sum()))
    moments = bulk.moments(lam)
    rho = np.repeat(moments.m_1[:, None], len(profile.kappa), axis=1)
    return rho, np.repeat((1 / moments.u - 1)[:, None], len(profile.neurons), axis=1)


def log_residual(rho: Array, e: Array, at: Images) -> Array:
    """log of (rho, e) over their images; shape (penalties, kappa + a)."""
    return np.concatenate([np.log(rho / at.rho), np.log(e / at.e)], axis=1)


def moved(rho: Array, e: Array, step: Array) -> tuple[Array, Array]:
    """(rho, e) after a step in their logarithms."""
    split = rho.shape[1]
    return rho * np.exp(step[:, :split]), e * np.exp(step[:, split:])
