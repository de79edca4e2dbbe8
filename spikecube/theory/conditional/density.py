"""Density of the bulk of F itself: the conditional equivalence continued to lambda = -z just above the real axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array
from spikecube.model.parameters import Model
from spikecube.numbers import real_array
from spikecube.theory.bulk import bulk_of
from spikecube.theory.conditional.build import parts_for, resolved_profile
from spikecube.theory.conditional.edge import SHARE
from spikecube.theory.conditional.equations import jacobian, log_residual, moved, right_sides
from spikecube.theory.conditional.profile import Profile
from spikecube.theory.losses import chosen_degrees
from spikecube.theory.newton import ConvergenceError

_ROUNDS = 40
_TOLERANCE = 1e-8
_ON_THE_WAY = 0.1  # tolerance where the next height only needs a start
_HIGH, _FALL = 4.0, 0.25  # heights over the real axis: from 4 times the edge down, each a quarter of the one before


def conditional_density(
    model: Model,
    n: int,
    alpha: float,
    singular_values: npt.ArrayLike,
    *,
    resolution: float = 0.003,
    degrees: int | None = None,
) -> Array:
    """Density p(s) of the n singular values s > 0 of F/sqrt n in its bulk, outliers left out and zeros counted.

    p(s) = 2 s Im m(z)/pi at z = s^2 (1 + i resolution), m = sum_kappa nu rho: smoothed over a relative width of
    `resolution` in s^2. The edge is soft near alpha = 1/2: it grows with the largest kappa_j and a_i, and the density
    is that of the kappa and a which n samples and N neurons show but for a tenth of a sample and of a neuron. Beyond
    the last of them there are single values, not a density.

    Parameters
    ----------
    n, alpha : samples of the ridge batch and exponent of the step size.
    singular_values : any shape.
    resolution : relative width of the smoothing.
    degrees : blocks kept; None chooses, 1 is the proportional theory.

    Raises
    ------
    ValueError
        If a singular value is not positive, or the initial output is not vanishing.
    ConvergenceError
        If the equations are not solved.

    Examples
    --------
    >>> from spikecube import Model
    >>> model = Model(activation="relu", target=[0, 1, 0.5], noise=0.5)
    >>> conditional_density(model, 1000, 0.4, [0.5, 1.0, 2.0]).round(2).tolist()
    [0.73, 0.34, 0.0]
    """
    s = real_array(singular_values, "singular_values")
    if not np.all(s > 0):
        raise ValueError(f"singular_values = {s.tolist()} was given; the density is that of positive ones")
    profile = resolved_profile(model, n, alpha, SHARE, parts_for(degrees or chosen_degrees(model, n)))
    x = s.ravel() ** 2
    trace = _trace(profile, x, resolution * x, bulk_of(model, n).edge)
    return np.asarray(2 * s * trace.imag.reshape(s.shape) / math.pi)


def _trace(profile: Profile, x: Array, height: Array, edge: float) -> Any:
    """m at z = x + i height, by Newton's method from high above the real axis down; shape (x,)."""
    y = np.full_like(x, _HIGH * edge)
    rho = np.repeat((-1 / (x + 1j * y))[:, None], len(profile.kappa), axis=1)
    e = (profile.samples * rho) @ profile.power
    above = np.ones(len(x), dtype=bool)
    while above.any():
        tolerance = _TOLERANCE if np.any(y[above] == height[above]) else _ON_THE_WAY
        rho[above], e[above] = _newton(profile, -(x + 1j * y)[above], rho[above], e[above], tolerance)
        above &= y > height
        y = np.maximum(_FALL * y, height)
    return rho @ profile.samples


def _newton(profile: Profile, lam: Any, rho: Any, e: Any, tolerance: float) -> tuple[Any, Any]:
    for _ in range(_ROUNDS):
        sides = right_sides(profile, lam[:, None], rho, e)
        residual = log_residual(rho, e, sides)
        if np.abs(residual).max() < tolerance and rho.imag.min() >= 0:
            return rho, e
        step = -np.linalg.solve(jacobian(profile, rho, e, sides), residual[..., None])[..., 0]
        rho, e = moved(rho, e, step / np.maximum(1.0, np.abs(step).max(axis=1))[:, None])
    raise ConvergenceError(
        f"residual {np.abs(residual).max():.2g} after {_ROUNDS} steps at x from {-lam.real.max():.6g} to "
        f"{-lam.real.min():.6g}",
        profile.name,
    )
