"""Numbers made from fitted parameters, with the covariance of one curve and of curves that share their seeds."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.scaling.errors import FitError
from spikecube.scaling.inputs import SEED, align
from spikecube.scaling.regression import LEVEL
from spikecube.scaling.results import SENTENCES, SHAPE, STATUS, fit_result
from spikecube.scaling.types import Array, over

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt}
_ALLOWED = f"names, numbers, + - * / **, brackets and {', '.join(_FUNCTIONS)}"


def formula_value(text: str, names: Mapping[str, Any]) -> Any:
    """The value of a formula of numbers, names, + - * / **, brackets, exp, log and sqrt.

    Raises
    ------
    ValueError
        If it is no such formula or a name is not known; the sentence says which.

    Examples
    --------
    >>> formula_value("1 - exponent/(2*log_amplitude)", {"exponent": 4.0, "log_amplitude": 4.0})
    0.5
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        raise FitError(f"{text!r} is no formula: allowed are {_ALLOWED}") from None

    def value(node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return float(number)
            case ast.Name(id=name) if name in names:
                return names[name]
            case ast.Name(id=name):
                raise FitError(f"{text!r} names {name!r}, which is none of {', '.join(names)}")
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _BINARY[type(op)](value(left), value(right))
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return _UNARY[type(op)](value(operand))
            case ast.Call(func=ast.Name(id=name), args=[one], keywords=[]) if name in _FUNCTIONS:
                return _FUNCTIONS[name](value(one))
        raise FitError(f"{text!r} has {ast.unparse(node)!r}: allowed are {_ALLOWED}")

    return value(tree.body)


DRAWS = "draws"
_STEP = 1e-3  # of a standard error, for slopes by differences
_FAR = 100  # half-widths of the delta method beyond which an end is none
_AGREE = 0.1  # of the half-width, by which an end may leave the delta method's without a word
_ROUNDS = 50

Function = Callable[[xr.DataArray], "xr.DataArray | float"]


def derived(
    fit: xr.Dataset, number: str | Function, *, name: str | None = None, expected: xr.DataArray | float | None = None
) -> xr.Dataset:
    """A number g(theta) made from the parameters of a fit: a ratio, a difference, a threshold.

    ::

        se^2 = g'^T Sigma g'
        interval = range of g over (theta - estimate)^T Sigma^-1 (theta - estimate) <= t^2

    Sigma is the covariance of the fit. Between curves that share their seeds it is the sum over sizes and seeds of the
    products of their `draws`, the shift of each estimate by each seed, which a fit keeps with ``draws=True``. The range
    is the profile interval for a quadratic log-likelihood, for a ratio Fieller's; where it leaves that of the delta
    method the message says so.

    Parameters
    ----------
    fit : of `fit_law`, `fit_power_law`, `fit_outliers`, `fit_limits` or `fit_gaps`, or a part of it, `fit.sel(...)`.
    number : a formula in the parameters and the coordinates of the curves (+ - * / **, brackets, exp, log, sqrt), taken
        for each curve; or a function of the labelled estimates (..., param), which may join curves.
    name : what it is called, by default the formula.
    expected : a value that `pvalue` tests; 0 without it.

    Returns
    -------
    xr.Dataset
        As other fits, with one `param`; estimate, stderr (linearised), interval, pvalue, status and message.

    Raises
    ------
    ValueError
        If the formula cannot be read, or joins curves that share seeds of which the fit kept no draws.

    References
    ----------
    Fieller, J. R. Stat. Soc. B 16 (1954) 175; Cox and Hinkley, Theoretical Statistics (1974), section 9.2.

    Examples
    --------
    >>> from spikecube.scaling.any_law import fit_law
    >>> n = np.array([10.0, 20.0, 40.0, 80.0, 160.0])
    >>> fit = fit_law(xr.DataArray(2 + 3 * n**-0.5, dims="n", coords={"n": n}), "offset", stderr=0.01)
    >>> derived(fit, "amplitude/offset").estimate.round(6).values.tolist()
    [1.5]
    """
    if "param" not in fit.dims or not {"estimate", "covariance", "status"} <= set(fit):
        raise FitError("a derived number needs a whole fit, with the dim 'param' and its covariance")
    called = name or (number if isinstance(number, str) else str(getattr(number, "__name__", "number")))
    g = _Number(fit["estimate"].transpose(*fit["status"].dims, "param"), _function(fit, number))
    blocks, joint = _covariances(fit)
    spread, curve = np.sqrt(np.diag(blocks)), np.repeat(np.arange(fit["status"].size), fit.sizes["param"])
    slopes = g.slopes(g.flat, spread, np.arange(len(spread)))
    dof = fit["t_dof"].broadcast_like(g.theta).transpose(*g.theta.dims).values.ravel()
    freedom = np.array([np.min(np.where(row != 0, dof, np.inf)) for row in slopes])
    null = _expected(expected, g.shaped)
    found = []
    for r, slope in enumerate(slopes):
        joins = len(set(curve[slope != 0])) > 1
        if joins and joint is None:
            raise FitError(
                "the number joins curves that may share their seeds: fit with draws=True, which keeps what it needs"
            )
        sigma = joint if joins and joint is not None else blocks
        found.append(_interval(g, r, slope, sigma, spread, float(freedom[r]), float(null[r])))
    arrays = over(("param",), **{key: np.array([[getattr(one, key)] for one in found]) for key in _Found._fields[:5]})
    arrays |= over(("param",), expected=(null if expected is not None else np.full(len(found), np.nan))[:, None])
    arrays |= over(("param",), t_dof=freedom[:, None])
    arrays |= over(("param_i", "param_j"), covariance=arrays["stderr"][1][:, None] ** 2)
    arrays |= over((), status=np.array([STATUS[one.state] for one in found], dtype=np.int8))
    arrays |= over((), message=np.array([one.message for one in found], dtype=object))
    return fit_result(
        arrays,
        [called],
        dims=[str(d) for d in g.shaped.dims],
        shape=g.shaped.shape,
        coords={str(k): v for k, v in g.shaped.coords.items() if str(k) not in SHAPE and str(k) != "param"},
        law=f"{called} of: {fit.attrs.get('law', 'a fit')}",
        quantity=called,
        without={k: "a derived number has no test of fit of its own" for k in SHAPE if k not in arrays},
    )


def _function(fit: xr.Dataset, number: str | Function) -> Function:
    """A formula as a function of the labelled estimates."""
    if not isinstance(number, str):
        return number
    labels = {str(k): v for k, v in fit["status"].coords.items() if v.dtype.kind in "iuf"}

    def formula(theta: xr.DataArray) -> xr.DataArray | float:
        params = {str(p): theta.sel(param=p, drop=True) for p in theta["param"].values}
        value: xr.DataArray | float = formula_value(number, labels | params)
        return value

    return formula


@dataclass(frozen=True)
class _Number:
    """A function of the labelled estimates, taken at flat parameters."""

    theta: xr.DataArray
    function: Function

    @property
    def flat(self) -> Array:
        """The estimates, (Q,)."""
        return np.asarray(self.theta.values.ravel())

    @property
    def shaped(self) -> xr.DataArray:
        """The numbers at the estimates, with their labels."""
        return xr.DataArray(self.function(self.theta))

    def value(self, flat: Array) -> Array:
        """The numbers at other parameters (Q,), flat."""
        with np.errstate(all="ignore"):
            value = self.function(self.theta.copy(data=flat.reshape(self.theta.shape)))
            return np.asarray(value, dtype=float).ravel()

    def slopes(self, flat: Array, spread: Array, active: Array) -> Array:
        """Slopes in the `active` parameters by central differences; (R, Q)."""
        columns = []
        for q in range(len(flat)):
            step = np.zeros(len(flat))
            step[q] = _STEP * spread[q] if q in active else 0.0
            columns.append((self.value(flat + step) - self.value(flat - step)) / (2 * step[q]) if step[q] else None)
        zero = np.zeros(self.shaped.size)
        return np.stack([zero if c is None else np.nan_to_num(c) for c in columns], axis=1)


def _covariances(fit: xr.Dataset) -> tuple[Array, Array | None]:
    """Covariance (Q, Q) of all parameters, curve by curve, and with that of shared seeds; None where it is not known.

    The draws give the correlations, the fit's own standard errors the size: they allow for weights that come from the
    same seeds.
    """
    own = fit["covariance"].transpose(*fit["status"].dims, "param_i", "param_j").values
    p = own.shape[-1]
    count = own.size // p**2
    blocks = np.zeros((count, p, count, p))
    blocks[np.arange(count), :, np.arange(count)] = np.nan_to_num(own.reshape(count, p, p))
    flat = blocks.reshape(count * p, count * p)
    if DRAWS not in fit:
        return flat, flat if count == 1 or fit.attrs.get("curves") == "independent" else None
    pull = fit[DRAWS].transpose(*fit["status"].dims, "param", ..., SEED).values.reshape(count * p, -1)
    pull = np.nan_to_num(pull)
    size = np.linalg.norm(pull, axis=1)
    pull = pull * (np.sqrt(np.diag(flat)) / np.where(size > 0, size, 1.0))[:, None]
    return flat, pull @ pull.T


def _expected(expected: xr.DataArray | float | None, like: xr.DataArray) -> Array:
    if isinstance(expected, xr.DataArray):
        return np.asarray(align(expected, like, "expected").values.ravel())
    return np.full(like.size, 0.0 if expected is None else float(expected))


class _Found(NamedTuple):
    estimate: float
    stderr: float
    ci_low: float
    ci_high: float
    pvalue: float
    state: str
    message: str


def _interval(g: _Number, r: int, slope: Array, sigma: Array, spread: Array, dof: float, null: float) -> _Found:
    """Estimate, error, range and what to think of it, of one number."""
    estimate, stderr = float(g.value(g.flat)[r]), float(np.sqrt(np.maximum(slope @ sigma @ slope, 0.0)))
    if not np.isfinite(estimate):
        lost = "A parameter that the number needs was not fitted."
        return _Found(np.nan, np.nan, np.nan, np.nan, np.nan, "no_data", lost)
    t = float(stats.t.ppf((1 + LEVEL) / 2, dof))
    half = t * stderr
    low, high = (_end(g, r, slope, sigma, spread, t * side, estimate, half) for side in (-1, 1))
    state = "ok" if np.isfinite([low, high]).all() else "open_interval"
    if state != "ok":
        low, high = -np.inf, np.inf
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = float(2 * stats.t.sf(np.divide(abs(estimate - null), stderr), dof))
    edge = round(1 - LEVEL, 12)
    below = float(np.nextafter(edge, 0))
    pvalue = max(tail, edge) if low <= null <= high else min(tail, below)
    return _Found(estimate, stderr, low, high, pvalue, state, _message(state, estimate, half, low, high))


def _message(state: str, estimate: float, half: float, low: float, high: float) -> str:
    if state != "ok":
        return f"{SENTENCES[state]} The number has a pole, or bends too much, within the errors of its parameters."
    if max(abs(low - (estimate - half)), abs(high - (estimate + half))) > _AGREE * half:
        return (
            f"The number bends within the errors of its parameters: the delta method would give "
            f"[{estimate - half:.4g}, {estimate + half:.4g}]."
        )
    return "The interval is that of the delta method to a tenth of its half-width."


def _end(
    g: _Number, r: int, slope: Array, sigma: Array, spread: Array, t: float, estimate: float, half: float
) -> float:
    """The extreme of g over the ellipsoid on the side of the sign of t.

    theta = estimate + t Sigma g'/(g'^T Sigma g')^(1/2) with g' at the last theta, repeated.
    """
    active = np.flatnonzero(slope)
    if not half > 0:
        return estimate
    place, found = slope, estimate
    for _ in range(_ROUNDS):
        length = float(np.sqrt(np.maximum(place @ sigma @ place, 0.0)))
        theta = np.asarray(g.flat + t * (sigma @ place) / (length if length > 0 else 1.0))
        before, found = found, float(g.value(theta)[r])
        if not np.isfinite(found) or (found - estimate) * t <= 0 or abs(found - estimate) > _FAR * half:
            return np.inf if t > 0 else -np.inf
        if abs(found - before) < 1e-7 * half:
            return found
        place = g.slopes(theta, spread, active)[r]
    return found
