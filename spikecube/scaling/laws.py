"""The table of laws in the size n: each entry is a formula, its Jacobian and where a fit may start.

Arrays are batched: sizes have shape (K,), parameters (..., p), values (..., K), Jacobians (..., K, p).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from spikecube.scaling.errors import FitError
from spikecube.scaling.kinds import NONLINEAR, BothSigns, FreeCorrection, Linear, LinearButLast, Nonlinear
from spikecube.scaling.types import Array

_DECAYS = -np.geomspace(0.03, 6.0, 60)


@dataclass(frozen=True)
class Law:
    """One law y(n; theta).

    Attributes
    ----------
    name, formula : what it is called and what it says.
    params : names of theta_1 ... theta_p.
    value, jacobian : functions of (sizes, theta); values outside the law's domain are NaN.
    start : (sizes, y, weights) -> (S, B, p), the starting points for each of the B data sets.
    kind : how its minimum and its intervals are found.
    log : whether the law speaks of log y.
    amplitude : place of the parameter whose term a correction of order 1/n multiplies; None if such a term is no news.
    when : what it is for, in a few words; the page of laws prints them.
    offered : whether users may name it, in `fit_law` and on the command line.
    in_units : parameters that are in the units of y, or (log_...) logarithms of such; with them data are fitted in
        units of their own, which suits numbers of any size, without them as they are.
    """

    name: str
    formula: str
    params: tuple[str, ...]
    value: Callable[[Array, Array], Array]
    jacobian: Callable[[Array, Array], Array]
    start: Callable[[Array, Array, Array], Array]
    kind: Nonlinear = NONLINEAR
    log: bool = False
    amplitude: int | None = None
    when: str = ""
    offered: bool = True
    in_units: tuple[str, ...] = ()


def linear_fit(design: Array, y: Array, weights: Array) -> Array:
    """Weighted least squares for a batch: design (K, p) or (B, K, p), y and weights (B, K) -> (B, p)."""
    root = np.sqrt(weights)[..., None]
    solution: Array = (np.linalg.pinv(root * design) @ (root * y[..., None]))[..., 0]
    return solution


def _power_value(n: Array, theta: Array) -> Array:
    values: Array = theta[..., :1] + theta[..., 1:2] * np.log(n)
    return values


def _power_jacobian(n: Array, theta: Array) -> Array:
    return np.broadcast_to(np.stack([np.ones_like(n), np.log(n)], axis=-1), (*theta.shape[:-1], len(n), 2)).copy()


def _power_start(n: Array, y: Array, weights: Array) -> Array:
    return linear_fit(_power_jacobian(n, np.zeros(2)), y, weights)[None]


POWER = Law(
    "power",
    "log y = log C + b log n",
    ("log_amplitude", "exponent"),
    _power_value,
    _power_jacobian,
    _power_start,
    Linear(),
    log=True,
    amplitude=0,
    when="nothing else sets a scale",
    in_units=("log_amplitude",),
)


def _free_value(n: Array, theta: Array) -> Array:
    inside = 1 + theta[..., 2:3] * n ** -theta[..., 3:4]
    ok = (inside > 0) & (theta[..., 3:4] > 0)
    return np.where(ok, _power_value(n, theta) + np.log(np.where(ok, inside, 1.0)), np.nan)


def _free_jacobian(n: Array, theta: Array) -> Array:
    decay = n ** -theta[..., 3:4]
    inside = 1 + theta[..., 2:3] * decay
    by_d = decay / inside
    by_omega = -theta[..., 2:3] * np.log(n) * by_d
    return np.concatenate([_power_jacobian(n, theta), by_d[..., None], by_omega[..., None]], axis=-1)


def _with(theta: Array, omega: float) -> Array:
    return np.concatenate([theta, np.full((*theta.shape[:-1], 1), omega)], axis=-1)


def _corrected_start(n: Array, y: Array, weights: Array, omega: float) -> Array:
    """log(1 + D n^-omega) = D n^-omega + ...: a linear fit, with D kept where the law is defined."""
    design = np.stack([np.ones_like(n), np.log(n), n**-omega], axis=-1)
    theta = linear_fit(design, y, weights)
    theta[..., 2] = np.maximum(theta[..., 2], -0.8 * n.min() ** omega)
    return theta


def corrected_power(omega: float) -> Law:
    """y = C n^b (1 + D n^-omega) with omega > 0 given.

    >>> law = corrected_power(1.0)
    >>> np.exp(law.value(np.array([10.0]), np.array([0.0, 0.5, 10.0]))).round(6).tolist()
    [6.324555]
    """
    if not omega > 0:
        raise FitError(f"correction={omega} is not positive: a correction to scaling must vanish as n grows")

    def start(n: Array, y: Array, weights: Array) -> Array:
        plain = np.pad(_power_start(n, y, weights)[0], ((0, 0), (0, 1)))
        return np.stack([_corrected_start(n, y, weights, omega), plain])

    return Law(
        "corrected_power",
        f"log y = log C + b log n + log(1 + D n^-{omega:g})",
        (*POWER.params, "correction_amplitude"),
        lambda n, theta: _free_value(n, _with(theta, omega)),
        lambda n, theta: _free_jacobian(n, _with(theta, omega))[..., :3],
        start,
        log=True,
        when="the local exponents drift, and the theory knows the next power",
        in_units=POWER.in_units,
    )


def _free_start(n: Array, y: Array, weights: Array) -> Array:
    return np.stack([_with(_corrected_start(n, y, weights, w), w) for w in (0.25, 0.5, 1.0, 2.0)])


FREE_CORRECTION = Law(
    "free_correction",
    "log y = log C + b log n + log(1 + D n^-omega)",
    (*POWER.params, "correction_amplitude", "correction_exponent"),
    _free_value,
    _free_jacobian,
    _free_start,
    FreeCorrection(),
    log=True,
    when="they drift, and nothing is known of the next power; it needs many sizes",
    in_units=POWER.in_units,
    offered=False,
)


def _limit_value(n: Array, theta: Array) -> Array:
    decay = theta[..., 2:3]
    ok = decay < 0
    return np.where(ok, theta[..., :1] + theta[..., 1:2] * n ** np.where(ok, decay, -1.0), np.nan)


def _limit_jacobian(n: Array, theta: Array) -> Array:
    power = n ** theta[..., 2:3]
    return np.stack([np.ones_like(power), power, theta[..., 1:2] * power * np.log(n)], axis=-1)


def _grid_start(n: Array, y: Array, weights: Array, exponents: Array) -> Array:
    """The best constant and amplitude (linear) at the best of a grid of exponents; (B, 3)."""
    fits = np.stack([linear_fit(np.stack([np.ones_like(n), n**b], axis=-1), y, weights) for b in exponents])
    theta = np.concatenate([fits, np.broadcast_to(exponents[:, None, None], (*fits.shape[:2], 1))], axis=-1)
    values = theta[..., :1] + theta[..., 1:2] * n ** theta[..., 2:3]
    cost = (weights * (y - values) ** 2).sum(-1)
    return np.asarray(theta[cost.argmin(0), np.arange(len(y))])


_FINE_DECAYS = -np.geomspace(12.0, 0.004, 500)


def _limit_bases(n: Array, exponents: Array) -> Array:
    """1 and n^b for all exponents."""
    power = n ** exponents[..., None]
    return np.stack([np.ones_like(power), power], axis=-1)


LIMIT = Law(
    "limit",
    "y = L + A n^b, b < 0",
    ("limit", "amplitude", "exponent"),
    _limit_value,
    _limit_jacobian,
    lambda n, y, weights: _grid_start(n, y, weights, _DECAYS)[None],
    LinearButLast(_FINE_DECAYS, _limit_bases),
    amplitude=1,
    when="a limit is known to exist: losses",
    in_units=("limit", "amplitude"),
    offered=False,
)


_BOTH_SIGNS = np.concatenate([_FINE_DECAYS, -_FINE_DECAYS[::-1]])


def _offset_start(n: Array, y: Array, weights: Array) -> Array:
    """The best growing and the best decaying term of a grid of exponents; (2, B, 3)."""
    return np.stack([_grid_start(n, y, weights, sign * _DECAYS) for sign in (1, -1)])


OFFSET = Law(
    "offset",
    "y = L + A n^b",
    ("offset", "amplitude", "exponent"),
    lambda n, theta: theta[..., :1] + theta[..., 1:2] * n ** theta[..., 2:3],
    _limit_jacobian,
    _offset_start,
    BothSigns(_BOTH_SIGNS, _limit_bases),
    amplitude=1,
    when="a limit, or a background; b of either sign",
    in_units=("offset", "amplitude"),
)

LOGARITHM = Law(
    "log",
    "y = L + A log n",
    ("offset", "amplitude"),
    _power_value,
    _power_jacobian,
    _power_start,
    Linear(),
    amplitude=1,
    when="entropies, marginal dimensions; what offset becomes where its b may be 0",
    in_units=("offset", "amplitude"),
)
LOG_POWER = replace(
    POWER,
    name="log_power",
    formula="log y = log C + b log log n",
    when="upper critical dimensions; it is the power law with log n for n",
)


def known_limit(exponent: float) -> Law:
    """y = L + A n^b with b < 0 given: linear in what is left.

    >>> known_limit(-1.0).value(np.array([2.0]), np.array([1.0, 4.0])).tolist()
    [3.0]
    """
    when = "the theory knows the exponent: losses with the expansion of their limit"
    return _given_powers("known_limit", exponent, ("limit", "amplitude"), when)


def corrected_limit(exponent: float) -> Law:
    """y = L + A n^b + B n^{2b} with b < 0 given: the limit with the next power.

    >>> corrected_limit(-1.0).value(np.array([2.0]), np.array([1.0, 4.0, 8.0])).tolist()
    [5.0]
    """
    when = "the same, where the next power is not small"
    return _given_powers("corrected_limit", exponent, ("limit", "amplitude", "next_amplitude"), when)


def _given_powers(name: str, exponent: float, params: tuple[str, ...], when: str) -> Law:
    """y = sum_j theta_j n^{jb}, a parameter for each j from 0 on."""
    if not exponent < 0:
        raise FitError(f"exponent={exponent} is not negative: then y has no limit")
    powers = exponent * np.arange(len(params))

    def design(n: Array) -> Array:
        return np.asarray(n[:, None] ** powers)

    terms = [f"{letter} n^{b:g}" for letter, b in zip("AB", powers[1:], strict=False)]
    return Law(
        name,
        f"y = L + {' + '.join(terms)}",
        params,
        lambda n, theta: (theta[..., None, :] * design(n)).sum(-1),
        lambda n, theta: np.broadcast_to(design(n), (*theta.shape[:-1], *design(n).shape)).copy(),
        lambda n, y, weights: linear_fit(design(n), y, weights)[None],
        Linear(),
        amplitude=1,
        when=when,
        in_units=params,
    )
