"""Training and test losses of F_0 and F_ell: their limits, and at finite n with spikes of finite strength.

The fit's quadratic form T(lambda) = lim y^T R y, R = (F F^T + lambda n I)^{-1}, gives both losses,

    L_tr = lambda T,      L_te = -T'(lambda) / m_1^2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array
from spikecube.theory.bulk import Moments, bulk_of
from spikecube.theory.parameters import Model
from spikecube.theory.quantities import (
    hermite_spikes,
    label_power,
    linear_power,
    monomials,
    require_vanishing_output,
    spike_factors,
)

Losses = tuple[Array, Array]


def best_linear_loss(model: Model) -> float:
    """V - c_{*,1}^2: the test loss of the best x -> theta.x, which knows the target.

    >>> from types import SimpleNamespace
    >>> best_linear_loss(SimpleNamespace(target=[0.0, 1.0, 0.5], noise=0.5))
    0.75
    """
    return label_power(model) - linear_power(model)


def initial_losses(model: Model, lam: npt.ArrayLike, n: int | None = None, *, moments: Moments | None = None) -> Losses:
    """Losses (train, test) of F_0: in the limit, or with the rounded d and N of n; each of the shape of lam.

    T = c_{*,1}^2 m_2 + (V - c_{*,1}^2) m_1; `moments`, if known already, are those of `bulk_of(model, n)` at lam.

    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(activation="relu", target=[0, 1, 0.5], noise=0.5, dim_ratio=0.5, width_ratio=1.0)
    >>> [round(float(loss), 4) for loss in initial_losses(model, 0.1)]
    [0.5958, 1.495]
    """
    moments = moments or bulk_of(model, n).moments(lam)
    linear = linear_power(model)
    return _losses(moments, *_mix(moments, linear, label_power(model) - linear))


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

    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(activation="relu", target=[0, 1, 0.5], noise=0.5, dim_ratio=0.5, width_ratio=1.0,
    ...     step_ratio=1.0, initial_output="vanishing")
    >>> [round(float(loss), 4) for loss in limit_losses(model, 0.1, 2)]
    [0.43, 1.1317]
    """
    if ell == 0:
        return initial_losses(model, lam)
    require_vanishing_output(model)
    moments = bulk_of(model).moments(lam)
    spikes, label = hermite_spikes(model, ell)
    weights = np.where(np.arange(ell + 1) == 1, moments.m_2[..., None], moments.m_1[..., None]) ** 0.5
    basis, _ = np.linalg.qr(weights[..., None] * spikes)
    seen = weights * label
    explained = (basis @ (seen[..., None, :] @ basis).swapaxes(-1, -2))[..., 0]
    rest = (seen - explained) / weights
    linear, power = linear_power(model), label_power(model)
    t_1 = linear - label[1] ** 2 + rest[..., 1] ** 2
    total = power + np.sum(rest**2 - label**2, axis=-1)
    value, _ = _mix(moments, linear, power - linear)
    _, slope = _mix(moments, t_1, total - t_1)
    return _losses(moments, value - np.sum(explained**2, axis=-1), slope)


def spiked_losses(
    model: Model, lam: npt.ArrayLike, n: int, alpha: float, ell: int, *, moments: Moments | None = None
) -> Losses:
    """Losses (train, test) of F_ell at finite n: the spikes keep their finite strength; each of the shape of lam.

    T = c_{*,1}^2 m_2 + (V - c_{*,1}^2) m_1 - v^T (A + (u S C S)^{-1})^{-1} v,   u = lambda (m_1 + (N-n)/(lambda n)) n/N

    with s_k = c_k (c_1 eta b)^k and C_{jk} = N E[a^{j+k}]. With S C S = R^T R the last term is
    v^T Q v, Q = u R^T (I + u R A R^T)^{-1} R, which also holds where C is singular.

    Parameters
    ----------
    lam : penalties > 0.
    n, alpha : samples of the ridge batch and exponent of the step size.
    ell : number of spikes; 0 is F_0.
    moments : those of `bulk_of(model, n)` at lam, where they are known already.

    Raises
    ------
    ValueError
        If a penalty is not positive, or if the model's initial output is not vanishing (and ell > 0).

    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(activation="relu", target=[0, 1, 0.5], noise=0.5, readout="gaussian",
    ...     initial_output="vanishing", dim=lambda n: n // 2, width=lambda n: n, step_samples=lambda n: n,
    ...     eta=lambda n, alpha: n**alpha)
    >>> [round(float(loss), 4) for loss in spiked_losses(model, 0.1, 1000, 0.3, 5)]
    [0.4714, 1.2108]
    """
    if ell == 0:
        return initial_losses(model, lam, n, moments=moments)
    require_vanishing_output(model)
    moments = moments or bulk_of(model, n).moments(lam)
    spikes = monomials(model, ell, n)
    factors = spike_factors(model, n, alpha, spikes.degrees)
    linear = linear_power(model)
    value, slope = _mix(moments, linear, label_power(model) - linear)
    v, dv = spikes.overlap(moments.m_1, moments.m_2), spikes.overlap(moments.dm_1, moments.dm_2)
    gram, dgram = spikes.gram(moments.m_1, moments.m_2), spikes.gram(moments.dm_1, moments.dm_2)
    u = moments.u[..., None, None]
    inner = np.eye(len(factors)) + u * (factors @ gram @ factors.T)
    seen = np.linalg.solve(inner, (v @ factors.T)[..., None])[..., 0]
    q = moments.u[..., None] * (seen @ factors)
    down = 2 * np.sum(dv * q, axis=-1) + moments.du * np.sum(seen**2, axis=-1) - _quadratic(q, dgram)
    return _losses(moments, value - np.sum(v * q, axis=-1), slope - down)


def _mix(moments: Moments, t_1: Array | float, t_r: Array | float) -> tuple[Array, Array]:
    """t_1 m_2 + t_r m_1 and its derivative in lambda at fixed t_1, t_r."""
    return t_1 * moments.m_2 + t_r * moments.m_1, t_1 * moments.dm_2 + t_r * moments.dm_1


def _quadratic(vectors: Array, matrix: Array) -> Array:
    return np.asarray(np.einsum("...j,...jk,...k->...", vectors, matrix, vectors))


def _losses(moments: Moments, value: Array, slope: Array) -> Losses:
    return moments.lam * value, -slope / moments.m_1**2
