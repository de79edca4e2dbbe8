"""Training and test losses of F_0 and F_ell: their limits, and at finite n with spikes of finite strength.

The fit's quadratic form T(lambda) = lim y^T R y, R = (F F^T + lambda n I)^{-1}, gives both losses,

    L_tr = lambda T,      L_te = -T'(lambda) / m_1^2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array, factorials
from spikecube.model.parameters import Model
from spikecube.model.targets import resolve_target
from spikecube.theory.bulk import bulk_of
from spikecube.theory.labels_and_spikes import (
    finite_spikes,
    label_power,
    linear_power,
    require_vanishing_output,
    spike_terms,
)
from spikecube.theory.moments import Moments

Losses = tuple[Array, Array]
_MOST_DEGREES = 4
"""Blocks are kept up to this degree at most."""
_TRIED = np.logspace(-4, 1, 6)
_NEGLIGIBLE = 1e-4


def best_linear_loss(model: Model) -> float:
    """V - c_{*,1}^2: the test loss of the best x -> theta.x, which knows the target.

    >>> from spikecube import Model
    >>> best_linear_loss(Model(target=[0.0, 1.0, 0.5], noise=0.5))
    0.75
    """
    return label_power(model) - linear_power(model)


def initial_limit(model: Model, lam: npt.ArrayLike) -> Losses:
    """Limits (train, test) of the losses of F_0: T = c_{*,1}^2 m_2 + (V - c_{*,1}^2) m_1."""
    moments = bulk_of(model).moments(lam)
    linear = linear_power(model)
    return _losses(moments, *_mix(moments, linear, label_power(model) - linear))


def chosen_degrees(model: Model, n: int) -> int:
    """The least K >= 2 for which more blocks, up to degree 4, change no loss of F_0 by 1e-4 of it.

    Tried at penalties from 1e-4 to 10.

    >>> from spikecube import Model
    >>> chosen_degrees(Model(activation="tanh", target=[0, 1, 0.5, 0.2], dim_ratio=0.02), 1000)
    3
    """
    tried = range(2, _MOST_DEGREES)
    return next((k for k in tried if block_remainder(model, _TRIED, n, k).max() < _NEGLIGIBLE), _MOST_DEGREES)


def block_remainder(model: Model, lam: npt.ArrayLike, n: int, degrees: int) -> Array:
    """How much the blocks beyond `degrees`, up to degree 4, change the losses of F_0, over them; (2, *lam.shape).

    With all four kept it is what the last of them changes: the next one changes less where the orders settle.
    """
    degrees = min(degrees, _MOST_DEGREES - 1)
    bulks = (bulk_of(model, n, k).moments(lam) for k in (degrees, _MOST_DEGREES))
    kept, all_of_them = (np.array(_losses(moments, *_no_spikes(model, moments))) for moments in bulks)
    return np.abs(relative_change(kept, all_of_them))


def relative_change(values: Array, base: Array) -> Array:
    """values/base - 1; no change where both are 0, as losses are without labels.

    >>> relative_change(np.array([3.0, 0.0]), np.array([2.0, 0.0])).tolist()
    [0.5, 0.0]
    """
    some = (values != 0) | (base != 0)
    return np.divide(values, base, out=np.ones_like(base), where=some) - 1


def limit_losses(model: Model, lam: npt.ArrayLike, ell: int) -> Losses:
    """Limits (train, test) of the losses of F_ell, the spikes being infinitely strong; each of the shape of lam.

    L_tr = L_tr(F_0) - lambda v^T A^{-1} v, and L_te from the residual of the regression on the spikes: with
    gamma = A^{-1} v, r_1 = g_1 - sum_k gamma_k h_k1, t_1 = r_1^2 + c_{*,1}^2 (1 - rho^2) and t_r the residual's other
    second moment, L_te = -(t_1 m_2' + t_r m_1') / m_1^2. For ell = 1, 2 these are the limits of section 4 of
    Moniri, Lee, Hassani, Dobriban, ICML 2024 (arXiv:2310.07891).

    Parameters
    ----------
    lam : penalties > 0.
    ell : number of spikes; 0 is F_0. Degrees with c_k = 0 give none.

    Raises
    ------
    ValueError
        If a penalty is not positive, or if the model's initial output is not vanishing (and ell > 0).

    Examples
    --------
    >>> from spikecube import Model
    >>> [round(float(loss), 4) for loss in limit_losses(Model(activation="relu", target=[0, 1, 0.5]), 0.1, 2)]
    [0.43, 1.1317]
    """
    if ell == 0:
        return initial_limit(model, lam)
    require_vanishing_output(model)
    moments = bulk_of(model).moments(lam)
    spikes = spike_terms(model, ell)
    label, columns = spikes.label, spikes.coordinates.T
    weights = moments.weights(spikes.function_degrees) ** 0.5
    basis, _ = np.linalg.qr(weights[..., None] * (columns / np.linalg.norm(columns, axis=0)))  # only their span matters
    seen = weights * label
    explained = (basis @ (seen[..., None, :] @ basis).swapaxes(-1, -2))[..., 0]
    rest = (seen - explained) / weights
    linear, power = linear_power(model), label_power(model)
    t_1 = linear - label[1] ** 2 + rest[..., 1] ** 2
    total = power + np.sum(rest**2 - label**2, axis=-1)
    value, _ = _mix(moments, linear, power - linear)
    _, slope = _mix(moments, t_1, total - t_1)
    return _losses(moments, value - np.sum(explained**2, axis=-1), slope)


def block_losses(
    model: Model,
    lam: npt.ArrayLike,
    n: int,
    alpha: float | None = None,
    ell: int = 0,
    *,
    degrees: int | None = None,
    moments: Moments | None = None,
) -> Losses:
    """Losses (train, test) of F_ell at finite n for inputs of typical length; each of the shape of lam.

    T = T_0 - v^T (A + (u S C S)^{-1})^{-1} v,   u = lambda (m_1 + (N-n)/(lambda n)) n/N

    with T_0 = sum_k k! c_{*,k}^2 m_(k) + (everything else of V) m_1 that of F_0, s_k = c_k (c_1 eta b)^k and
    C_{jk} = N E[a^{j+k}]. With S C S = R^T R the last term is v^T Q v, Q = u R^T (I + u R A R^T)^{-1} R, which also
    holds where C is singular.

    Parameters
    ----------
    degrees : blocks kept; None chooses, 1 is the proportional theory. With more than one, the radius of x is a spike.
    moments : those of `bulk_of(model, n, degrees)` at lam, where they are known already.
    """
    if ell > 0:
        require_vanishing_output(model)
    moments = moments or bulk_of(model, n, degrees or chosen_degrees(model, n)).moments(lam)
    value, slope = _no_spikes(model, moments)
    spikes, factors = finite_spikes(model, n, alpha, ell, moments.degrees)
    if not len(spikes.degrees):
        return _losses(moments, value, slope)
    weights, slopes = moments.weights(spikes.function_degrees), moments.slopes(spikes.function_degrees)
    v, dv = spikes.overlap(weights), spikes.overlap(slopes)
    gram, dgram = spikes.gram(weights), spikes.gram(slopes)
    u = moments.u[..., None, None]
    inner = np.eye(len(factors)) + u * (factors @ gram @ factors.T)
    seen = np.linalg.solve(inner, (v @ factors.T)[..., None])[..., 0]
    q = moments.u[..., None] * (seen @ factors)
    down = 2 * np.sum(dv * q, axis=-1) + moments.du * np.sum(seen**2, axis=-1)
    down = down - np.einsum("...j,...jk,...k->...", q, dgram, q)
    return _losses(moments, value - np.sum(v * q, axis=-1), slope - down)


def _no_spikes(model: Model, moments: Moments) -> tuple[Array, Array]:
    """T_0 and its derivative, without what F_0 shares among its neurons."""
    degrees = range(1, moments.degrees + 1)
    known = resolve_target(model.target).coefficients(moments.degrees) ** 2 * factorials(moments.degrees)
    powers = np.append(known[1:], label_power(model) - known[1:].sum())
    return moments.weights([*degrees, 0]) @ powers, moments.slopes([*degrees, 0]) @ powers


def _mix(moments: Moments, t_1: Array | float, t_r: Array | float) -> tuple[Array, Array]:
    """t_1 m_2 + t_r m_1 and its derivative in lambda at fixed t_1, t_r."""
    return t_1 * moments.blocks[0] + t_r * moments.m_1, t_1 * moments.dblocks[0] + t_r * moments.dm_1


def _losses(moments: Moments, value: Array, slope: Array) -> Losses:
    return moments.lam * value, (0.0 - slope) / moments.m_1**2  # 0, and not -0, without labels
