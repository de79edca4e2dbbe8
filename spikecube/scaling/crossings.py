"""Crossings of the curves of sizes n and 2n, and where they run to: a second way to a critical point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from spikecube.scaling.collapse_frame import usable, value_unit
from spikecube.scaling.collapse_inputs import check_labels, curves_of, is_number, numbers_by_name
from spikecube.scaling.crossing_points import LEAST_POINTS, SizeCurve, cross, extrapolate, size_curve
from spikecube.scaling.crossing_result import PARAMS, Asked, Found, Units, empty_crossings, labelled_crossings
from spikecube.scaling.errors import FitError
from spikecube.scaling.samples import Sample
from spikecube.scaling.types import Array

_CLOSE = 0.02  # of a ratio of two sizes


def crossings(
    data: xr.DataArray,
    size: str = "n",
    control: str = "alpha",
    stderr: xr.DataArray | float | None = None,
    ratio: float = 2.0,
    exponent: float | tuple[float, float] = (0.5, 8.0),
    zeta_over_nu: float = 0.0,
    expected: Mapping[str, float] | None = None,
    zeros: str = "refuse",
) -> xr.Dataset:
    """The critical point from the crossings of the curves of sizes n and `ratio` n, extrapolated to n -> infinity.

    If n^{-zeta/nu} y = f(u) + n^-omega g(u), u = (x - critical) n^{1/nu}, curves of n and b n cross at
    x(n) = critical + amplitude n^-exponent, exponent = 1/nu + omega, to leading order.

    Through the points of each size goes a cubic regression spline. Pairs that have a size in common share its errors,
    and the extrapolation is by generalised least squares. Intervals are those of the profile over the exponents
    allowed; where these are not told apart, that of `critical` holds for all of them, and that of `exponent` is open.

    Parameters
    ----------
    data : dims `size`, `control` and perhaps `seed`; NaN where the grid is ragged.
    stderr : known errors (no `seed` then); without any, the scatter about each curve.
    ratio : of the sizes of a pair, to 2 per cent.
    exponent : least and largest, or one to hold.
    zeta_over_nu : where y is not dimensionless, of n^{zeta/nu} before f.
    expected : values of parameters, by name, that `pvalue` tests.
    zeros : "drop" leaves out points whose error is zero, which are refused otherwise.

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
    check_labels(data, size, control, law="a crossing")
    if not (is_number(ratio) and is_number(zeta_over_nu)) or not ratio > 1:
        raise FitError(f"ratio={ratio!r} must be greater than 1, and zeta_over_nu={zeta_over_nu!r} a number")
    want = Asked(ratio, _exponents(exponent), zeta_over_nu, _expected({} if expected is None else expected))
    value = value_unit(data.to_numpy().astype(float))
    sample = curves_of(data, size, control, stderr, value, zeros)
    x = np.sort(data[control].to_numpy().astype(float))
    units = Units(float(x.min() / 2 + x.max() / 2), float(np.ptp(x) / 2) or 1.0, value)
    found = _cross_all(sample, (x - units.centre) / units.span, want)
    if len(found.pairs) < want.n_free:
        return empty_crossings(data, control, found, sample, ratio)
    places = np.array([c.place for c in found.crossings])
    inner = (want.expected - [units.centre, 0.0, 0.0]) / [units.span, units.span, 1.0]
    fit = extrapolate(found.sizes(sample), places, found.covariance, want.exponents, found.dof, inner)
    return labelled_crossings(data, control, sample, found, fit, units, want)


def _exponents(exponent: Any) -> tuple[float, float]:
    given = np.asarray(exponent)
    if given.dtype.kind in "fiu" and given.shape in ((), (2,)):
        low, high = (float(given),) * 2 if given.ndim == 0 else (float(given[0]), float(given[1]))
        if 0 < low <= high < np.inf:
            return low, high
    raise FitError(f"exponent={exponent!r} must be a positive number or a pair (least, largest) of them")


def _expected(given: Mapping[str, float]) -> Array:
    known = numbers_by_name("expected", given, PARAMS, "crossings")
    return np.array([known.get(name, np.nan) for name in PARAMS])


def _cross_all(sample: Sample, x: Array, want: Asked) -> Found:
    """All crossings of sizes with the ratio, and the covariance of their places."""
    n = sample.sizes
    pairs = [(i, j) for j in range(len(n)) for i in range(j) if abs(n[j] / n[i] / want.ratio - 1) < _CLOSE]
    if not pairs:
        near = ", ".join(f"{r:.3g}" for r in sorted(set(np.round(n[1:] / n[:-1], 3).tolist()))[:4])
        raise FitError(f"no two sizes have the ratio {want.ratio:g}: give ratio= (neighbours have {near})")
    scale = (n / np.exp(np.log(n).mean())) ** -want.zeta_over_nu
    scaled = replace(
        sample,
        mean=sample.mean * scale,
        stderr=None if sample.stderr is None else sample.stderr * scale,
        deviations=None if sample.deviations is None else sample.deviations * scale[:, None],
    )
    curves = [_curve(scaled, x, k) for k in range(len(n))]
    return _collected(sample, sorted(pairs), [c[0] for c in curves], [c[1] for c in curves])


def _curve(sample: Sample, x: Array, k: int) -> tuple[SizeCurve | None, Array]:
    """The curve of one size and the covariance of its points; none with too few of them."""
    rows = np.flatnonzero(usable(sample)[:, k])
    if len(rows) < LEAST_POINTS:
        return None, np.zeros((0, 0))
    weight = np.ones(len(rows)) if sample.stderr is None else sample.stderr[rows, k] ** -2.0
    curve = size_curve(x[rows], sample.mean[rows, k], weight, sample.stderr is not None)
    return curve, _spread(sample, rows, k, curve, weight)


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
) -> Found:
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
    return Found(kept, found, lost, covariance, curves, dof)
