"""Crossings of the curves of sizes n and 2n, and where they run to: a second way to a critical point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.scaling.collapse_frame import usable, value_unit
from spikecube.scaling.collapse_inputs import check_labels
from spikecube.scaling.crossing_points import LEAST_POINTS, Crossing, Drift, SizeCurve, cross, extrapolate, size_curve
from spikecube.scaling.errors import FitError
from spikecube.scaling.results import SHAPE, STATUS, fit_result
from spikecube.scaling.samples import Sample, from_data
from spikecube.scaling.types import Array, Arrays
from spikecube.scaling.verdict import verdict

PARAMS = ("critical", "amplitude", "exponent")
_CLOSE = 0.02  # of a ratio of two sizes
_FORMULA = "x(n) = critical + amplitude n^-exponent, where the curves of n and {ratio:g} n cross"


@dataclass(frozen=True)
class _Found:
    """Pairs of sizes and their crossings, those that are resolved, with the covariance of their places."""

    pairs: list[tuple[int, int]]
    crossings: list[Crossing]
    lost: list[tuple[int, int]]
    covariance: Array
    curves: list[SizeCurve | None]
    dof: float


def crossings(
    data: xr.DataArray,
    size: str = "n",
    control: str = "alpha",
    stderr: xr.DataArray | float | None = None,
    ratio: float = 2.0,
    exponent: float | tuple[float, float] = (0.5, 8.0),
    zeta_over_nu: float = 0.0,
    expected: Mapping[str, float] | None = None,
) -> xr.Dataset:
    """The critical point from the crossings of the curves of sizes n and `ratio` n, extrapolated to n -> infinity.

    If n^{-zeta/nu} y = f(u) + n^-omega g(u), u = (x - critical) n^{1/nu}, curves of n and b n cross at
    x(n) = critical + amplitude n^-exponent, exponent = 1/nu + omega, to leading order.

    Through the points of each size goes a cubic regression spline. Pairs that have a size in common share its errors,
    and the extrapolation is by generalised least squares. Intervals are those of the profile over the exponents allowed;
    where these are not told apart, that of `critical` holds for all of them, and that of `exponent` is open.

    Parameters
    ----------
    data : dims `size`, `control` and perhaps `seed`; NaN where the grid is ragged.
    stderr : known errors (no `seed` then); without any, the scatter about each curve.
    ratio : of the sizes of a pair, to 2 per cent.
    exponent : least and largest, or one to hold.
    zeta_over_nu : where y is not dimensionless, of n^{zeta/nu} before f.
    expected : values of parameters, by name, that `pvalue` tests.

    Returns
    -------
    xr.Dataset
        As in `fit_power_law`, with params critical, amplitude, exponent; along `size`, the smaller n of each pair, the
        crossings as data, data_stderr, fitted, residual, `level` (y there), and `crossing_covariance`.

    Raises
    ------
    ValueError
        If no two sizes have the ratio, or an argument is not one of those allowed.

    References
    ----------
    Binder, Z. Phys. B 43 (1981) 119.

    Examples
    --------
    >>> n = xr.DataArray(2.0 ** np.arange(3, 9), dims="n", coords={"n": 2.0 ** np.arange(3, 9)})
    >>> x = xr.DataArray(np.linspace(0.2, 0.6, 41), dims="x", coords={"x": np.linspace(0.2, 0.6, 41)})
    >>> fit = crossings(np.tanh((x - 0.4) * n) + 2 / n, control="x", stderr=1e-4, exponent=2.0)
    >>> fit.estimate.sel(param="critical").round(3).item()
    0.4
    """
    check_labels(data, size, control)
    ends, theory = _exponents(exponent), _expected(expected or {})
    if not ratio > 1 or not np.isfinite(zeta_over_nu):
        raise FitError(f"ratio={ratio!r} must be greater than 1, and zeta_over_nu={zeta_over_nu!r} a number")
    ordered = data.sortby(control)
    value = value_unit(ordered.to_numpy().astype(float))
    errors = stderr.sortby(control) if isinstance(stderr, xr.DataArray) and control in stderr.coords else stderr
    sample = from_data(ordered.astype(float) / value, size, None if errors is None else errors / abs(value))
    x = ordered[control].to_numpy().astype(float)
    centre, span = float(x.min() / 2 + x.max() / 2), float(np.ptp(x) / 2) or 1.0
    found = _cross_all(sample, (x - centre) / span, ratio, zeta_over_nu)
    m, n_free = len(found.pairs), 3 - (ends[0] == ends[1])
    if m < n_free:
        return _empty(data, control, found, sample, ratio)
    small = sample.sizes[[i for i, _ in found.pairs]]
    places = np.array([c.place for c in found.crossings])
    inner = (theory - [centre, 0.0, 0.0]) / [span, span, 1.0]
    fit = extrapolate(small, places, found.covariance, ends, found.dof, inner)
    return _labelled(data, control, sample, found, fit, (centre, span, value), ratio, theory, n_free)


def _exponents(exponent: Any) -> tuple[float, float]:
    given = np.asarray(exponent)
    if given.dtype.kind in "fiu" and given.shape in ((), (2,)):
        low, high = (float(given),) * 2 if given.ndim == 0 else (float(given[0]), float(given[1]))
        if 0 < low <= high < np.inf:
            return low, high
    raise FitError(f"exponent={exponent!r} must be a positive number or a pair (least, largest) of them")


def _expected(given: Mapping[str, float]) -> Array:
    unknown = [name for name in given if name not in PARAMS]
    if unknown:
        raise FitError(f"expected={unknown[0]!r} is no parameter of crossings, which have {', '.join(PARAMS)}")
    return np.array([float(given.get(name, np.nan)) for name in PARAMS])


def _cross_all(sample: Sample, x: Array, ratio: float, power: float) -> _Found:
    """All crossings of sizes with the ratio, and the covariance of their places."""
    n, fine = sample.sizes, usable(sample)
    pairs = [(i, j) for i in range(len(n)) for j in range(i) if abs(n[i] / n[j] / ratio - 1) < _CLOSE]
    pairs = sorted((j, i) for i, j in pairs)
    if not pairs:
        near = ", ".join(f"{r:.3g}" for r in sorted(set(np.round(n[1:] / n[:-1], 3).tolist()))[:4])
        raise FitError(f"no two sizes have the ratio {ratio:g}: give ratio= (neighbours have {near})")
    scale = (n / np.exp(np.log(n).mean())) ** -power
    curves, spreads = [], []
    for k in range(len(n)):
        rows = np.flatnonzero(fine[:, k])
        if len(rows) < LEAST_POINTS:
            curves.append(None)
            spreads.append(np.zeros((0, 0)))
            continue
        weight = np.ones(len(rows)) if sample.stderr is None else (scale[k] * sample.stderr[rows, k]) ** -2.0
        curve = size_curve(x[rows], scale[k] * sample.mean[rows, k], weight, sample.stderr is not None)
        curves.append(curve)
        spreads.append(
            _spread(sample, rows, k, curve, weight) * (scale[k] ** 2 if sample.deviations is not None else 1)
        )
    return _collected(sample, pairs, curves, spreads)


def _spread(sample: Sample, rows: Array, k: int, curve: SizeCurve, weight: Array) -> Array:
    """The covariance of the points of one size."""
    if sample.deviations is not None:
        deviations = sample.deviations[rows, k]
        count = np.maximum(np.isfinite(deviations).sum(-1, keepdims=True), 1)
        root = np.nan_to_num(deviations) / count
        return np.asarray(root @ root.T)
    variance = curve.chi2 / max(curve.dof, 1) if sample.stderr is None else 1.0
    return np.diag(variance / weight)


def _collected(
    sample: Sample, pairs: list[tuple[int, int]], curves: list[SizeCurve | None], spreads: list[Array]
) -> _Found:
    kept, found, lost = [], [], []
    for i, j in pairs:
        one, other = curves[i], curves[j]
        crossing = None if one is None or other is None else cross(one, other, (spreads[i], spreads[j]))
        if crossing is None:
            lost.append((i, j))
        else:
            kept.append((i, j))
            found.append(crossing)
    covariance = np.zeros((len(kept), len(kept)))
    for k in {size for pair in kept for size in pair}:
        rows = [a for a, pair in enumerate(kept) if k in pair]
        response = np.stack([found[a].first if kept[a][0] == k else found[a].second for a in rows])
        covariance[np.ix_(rows, rows)] += response @ spreads[k] @ response.T
    if sample.deviations is not None:
        dof = float(min((np.nanmin(sample.dof[:, k]) for pair in kept for k in pair), default=np.inf))
    else:
        free = sum(c.dof for c in curves if c is not None)
        dof = np.inf if sample.stderr is not None else float(free)
    return _Found(kept, found, lost, covariance, curves, dof)


def _labelled(
    data: xr.DataArray,
    control: str,
    sample: Sample,
    found: _Found,
    fit: Drift,
    units: tuple[float, float, float],
    ratio: float,
    expected: Array,
    n_free: int,
) -> xr.Dataset:
    centre, span, value = units
    errors = "seeds" if sample.deviations is not None else "none" if sample.stderr is None else "given"
    m, unit, shift = len(found.pairs), np.array([span, span, 1.0]), np.array([centre, 0.0, 0.0])
    dof = m - n_free
    gof = _gof(fit.chi2, dof, found.dof)
    state = "open_interval" if fit.open_exponent else "ok"
    status, message = verdict(state, gof, dof, "given", _notes(sample, found, fit))
    covariance = fit.covariance * np.outer(unit, unit)
    stderr = np.sqrt(np.diag(covariance))
    stderr = np.where(stderr > 0, stderr, np.nan)
    places = centre + span * np.array([c.place for c in found.crossings])
    own, along = span * np.sqrt(np.diag(found.covariance)), (sample.dim,)
    theta, fitted = shift + unit * fit.theta, centre + span * fit.fitted
    level = np.array([c.value for c in found.crossings]) * value
    arrays: Arrays = {
        "estimate": (("param",), theta),
        "stderr": (("param",), stderr),
        "ci_low": (("param",), shift + unit * fit.low),
        "ci_high": (("param",), shift + unit * fit.high),
        "pvalue": (("param",), fit.pvalue),
        "expected": (("param",), expected),
        "z": (("param",), (theta - expected) / stderr),
        "t_dof": (("param",), np.full(3, found.dof)),
        "covariance": (("param_i", "param_j"), covariance),
        "data": (along, places),
        "data_stderr": (along, own),
        "fitted": (along, fitted),
        "residual": (along, (places - fitted) / own),
        "level": (along, level),
        "crossing_covariance": ((sample.dim, f"{sample.dim}_j"), span**2 * found.covariance),
        "nobs": ((), np.float64(m)),
        "dof": ((), np.float64(dof)),
        "chi2": ((), np.float64(fit.chi2)),
        "gof_pvalue": ((), np.float64(gof)),
        "curve_gof_pvalue": ((), np.float64(_curves_gof(found, errors))),
        "aicc": ((), np.float64(_aicc(fit.chi2, m, n_free))),
        "n_min": ((), sample.sizes[found.pairs[0][0]]),
        "converged": ((), np.True_),
        "status": ((), np.int8(STATUS[status])),
        "message": ((), np.array(message)),
    }
    small = sample.sizes[[i for i, _ in found.pairs]]
    return _described(data, control, sample, arrays, small, ratio)


def _gof(chi2: float, dof: int, of_errors: float) -> float:
    if dof < 1:
        return float("nan")
    return float(stats.chi2.sf(chi2, dof) if np.isinf(of_errors) else stats.f.sf(chi2 / dof, dof, of_errors))


def _curves_gof(found: _Found, errors: str) -> float:
    """P(so much scatter, or more, about the splines), with known errors."""
    if errors != "given":
        return float("nan")
    curves = [c for c in found.curves if c is not None]
    return float(stats.chi2.sf(sum(c.chi2 for c in curves), sum(c.dof for c in curves)))


def _aicc(chi2: float, m: int, p: int) -> float:
    return float(chi2 + 2 * p + 2 * p * (p + 1) / (m - p - 1)) if m > p + 1 else float("nan")


def _notes(sample: Sample, found: _Found, fit: Drift) -> tuple[str, ...]:
    notes = []
    if fit.open_exponent:
        notes.append(
            "The crossings do not tell the exponent: the interval of the critical value holds for all allowed."
        )
    if found.lost:
        named = ", ".join(f"{sample.sizes[i]:g} and {sample.sizes[j]:g}" for i, j in found.lost)
        notes.append(f"The curves of {named} have no crossing that is resolved.")
    return tuple(notes)


def _empty(data: xr.DataArray, control: str, found: _Found, sample: Sample, ratio: float) -> xr.Dataset:
    """The result of too few crossings."""
    words = (
        f"Only {len(found.pairs)} of {len(found.pairs) + len(found.lost)} pairs of sizes have a crossing that is "
        f"resolved, fewer than parameters: no estimate is given; hold the exponent, or give more sizes."
    )
    arrays: Arrays = {
        "status": ((), np.int8(STATUS["too_few_sizes"])),
        "message": ((), np.array(words)),
        "converged": ((), np.False_),
        "nobs": ((), np.float64(len(found.pairs))),
    }
    return _described(data, control, sample, arrays, sample.sizes[:0], ratio, words)


def _described(
    data: xr.DataArray, control: str, sample: Sample, arrays: Arrays, small: Array, ratio: float, reason: str = ""
) -> xr.Dataset:
    result = fit_result(
        {name: (tail, np.asarray(values)[None]) for name, (tail, values) in arrays.items()},
        list(PARAMS),
        coords={sample.dim: (sample.dim, small, dict(sample.size_attrs))},
        law=_FORMULA.format(ratio=ratio),
        quantity=f"crossings of {data.name or 'the data'}",
        without=dict.fromkeys(SHAPE, reason) if reason else None,
    )
    own = str(data[control].attrs.get("units", "1"))
    for name in ("data", "data_stderr", "fitted"):
        if name in result:
            result[name].attrs["units"] = own
    names = {"level": "value of the data where the curves cross", "crossing_covariance": "covariance of the crossings"}
    names |= {"curve_gof_pvalue": "p-value of the test that the splines follow the points within their errors"}
    names |= {"data": f"{control} at which the curves of n and {ratio:g} n cross", "data_stderr": "its standard error"}
    for name, text in names.items():
        if name in result:
            result[name].attrs["long_name"] = text
    return result
