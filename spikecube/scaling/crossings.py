"""Crossings of the curves of sizes n and 2n, and where they run to: a second way to a critical point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.scaling.collapse_inputs import check_labels, curves_of, is_number, numbers_by_name
from spikecube.scaling.collapse_task import usable, value_unit
from spikecube.scaling.crossing_points import LEAST_POINTS, Crossing, Drift, SizeCurve, cross, extrapolate, size_curve
from spikecube.scaling.errors import FitError
from spikecube.scaling.regression import aicc
from spikecube.scaling.results import SHAPE, STATUS, UNEXPECTED, fit_result
from spikecube.scaling.samples import Sample, of_each_seed
from spikecube.scaling.types import Array, Arrays, over
from spikecube.scaling.verdict import verdict

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
    want = CrossingOptions(ratio, _exponents(exponent), zeta_over_nu, _expected({} if expected is None else expected))
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


def _cross_all(sample: Sample, x: Array, want: CrossingOptions) -> Pairs:
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
    return _collected(sample, sorted(pairs), [_curve(scaled, x, k) for k in range(len(n))])


def _curve(sample: Sample, x: Array, k: int) -> SizeCurve | None:
    """The curve of one size; none with too few points."""
    rows = np.flatnonzero(usable(sample)[:, k])
    if len(rows) < LEAST_POINTS:
        return None
    weight = np.ones(len(rows)) if sample.stderr is None else sample.stderr[rows, k] ** -2.0
    root = None if sample.deviations is None else of_each_seed(sample.deviations[rows, k])
    covariance = None if root is None else root @ root.T
    return size_curve(x[rows], sample.mean[rows, k], weight, covariance, known=sample.stderr is not None)


def _collected(sample: Sample, pairs: list[tuple[int, int]], curves: list[SizeCurve | None]) -> Pairs:
    kept, found, lost = [], [], []
    for i, j in pairs:
        one, other = curves[i], curves[j]
        crossing = None if one is None or other is None else cross(one, other)
        if crossing is None:
            lost.append((i, j))
        else:
            kept.append((i, j))
            found.append(crossing)
    covariance = np.zeros((len(kept), len(kept)))
    for k, curve in enumerate(curves):
        rows = [a for a, pair in enumerate(kept) if k in pair]
        if rows and curve is not None:
            response = np.stack([found[a].first if kept[a][0] == k else found[a].second for a in rows])
            covariance[np.ix_(rows, rows)] += response @ curve.covariance @ response.T
    if sample.deviations is not None:
        dof = float(min((np.nanmin(sample.dof[:, k]) for pair in kept for k in pair), default=np.inf))
    else:
        free = sum(c.dof for c in curves if c is not None)
        dof = np.inf if sample.stderr is not None else float(free)
    return Pairs(kept, found, lost, covariance, curves, dof)


PARAMS = ("critical", "amplitude", "exponent")
_FORMULA = "x(n) = critical + amplitude n^-exponent, where the curves of n and {ratio:g} n cross"


@dataclass(frozen=True)
class Pairs:
    """Pairs of sizes and their crossings, those that are resolved, with the covariance of their places."""

    pairs: list[tuple[int, int]]
    crossings: list[Crossing]
    lost: list[tuple[int, int]]
    covariance: Array
    curves: list[SizeCurve | None]
    dof: float

    def sizes(self, sample: Sample) -> Array:
        """The smaller size of each pair."""
        return np.asarray(sample.sizes[[i for i, _ in self.pairs]])


@dataclass(frozen=True)
class CrossingOptions:
    """Arguments of `crossings` that are allowed: the ratio, the ends of the exponent, and the expected values (3,)."""

    ratio: float
    exponents: tuple[float, float]
    zeta_over_nu: float
    expected: Array

    @property
    def n_free(self) -> int:
        """Parameters that are fitted."""
        return 3 - (self.exponents[0] == self.exponents[1])


@dataclass(frozen=True)
class Units:
    """x = centre + span x', y = value y'."""

    centre: float
    span: float
    value: float


def labelled_crossings(
    data: xr.DataArray, control: str, sample: Sample, found: Pairs, fit: Drift, units: Units, asked: CrossingOptions
) -> xr.Dataset:
    """The result of an extrapolation."""
    unit, shift = np.array([units.span, units.span, 1.0]), np.array([units.centre, 0.0, 0.0])
    covariance, theta = fit.covariance * np.outer(unit, unit), shift + unit * fit.theta
    stderr = np.sqrt(np.diag(covariance))
    stderr = np.where(stderr > 0, stderr, np.nan)
    arrays = over(("param",), estimate=theta, stderr=stderr, ci_low=shift + unit * fit.low)
    arrays |= over(("param",), ci_high=shift + unit * fit.high, pvalue=fit.pvalue, expected=asked.expected)
    arrays |= over(("param",), z=(theta - asked.expected) / stderr, t_dof=np.full(3, found.dof))
    arrays |= over(("param_i", "param_j"), covariance=covariance)
    arrays |= over((sample.dim, f"{sample.dim}_j"), crossing_covariance=units.span**2 * found.covariance)
    places = units.centre + units.span * np.array([c.place for c in found.crossings])
    errors, fitted = units.span * np.sqrt(np.diag(found.covariance)), units.centre + units.span * fit.fitted
    level = np.array([c.value for c in found.crossings]) * units.value
    arrays |= over((sample.dim,), data=places, data_stderr=errors, fitted=fitted, residual=(places - fitted) / errors)
    arrays |= over((sample.dim,), level=level) | _scalars(sample, found, fit, asked.n_free)
    return _described(data, control, sample, arrays, found.sizes(sample), asked.ratio)


def _scalars(sample: Sample, found: Pairs, fit: Drift, n_free: int) -> Arrays:
    """Tests, and what they say."""
    m, dof = len(found.pairs), len(found.pairs) - n_free
    gof = _gof(fit.chi2, dof, found.dof)
    state = "open_interval" if fit.open_exponent else "ok"
    status, message = verdict(state, gof, dof, "given", _notes(sample, found, fit))
    akaike = aicc(fit.chi2, m, n_free) if dof > 1 else np.nan
    known = sample.stderr is not None and sample.deviations is None
    arrays = over((), nobs=float(m), dof=float(dof), chi2=fit.chi2, gof_pvalue=gof)
    arrays |= over((), curve_gof_pvalue=_curves_gof(found) if known else np.nan, aicc=akaike)
    arrays |= over((), n_min=found.sizes(sample)[0], converged=True)
    return arrays | over((), status=np.int8(STATUS[status]), message=message)


def _gof(chi2: float, dof: int, of_errors: float) -> float:
    if dof < 1:
        return float("nan")
    return float(stats.chi2.sf(chi2, dof) if np.isinf(of_errors) else stats.f.sf(chi2 / dof, dof, of_errors))


def _curves_gof(found: Pairs) -> float:
    """P(so much scatter, or more, about the splines), with known errors."""
    curves = [c for c in found.curves if c is not None]
    return float(stats.chi2.sf(sum(c.chi2 for c in curves), sum(c.dof for c in curves)))


def _notes(sample: Sample, found: Pairs, fit: Drift) -> tuple[str, ...]:
    notes = []
    if fit.open_exponent:
        notes.append(
            "The crossings do not tell the exponent: the interval of the critical value holds for all allowed."
        )
    if found.lost:
        named = ", ".join(f"{sample.sizes[i]:g} and {sample.sizes[j]:g}" for i, j in found.lost)
        notes.append(f"The curves of {named} have no crossing that is resolved.")
    return tuple(notes)


def empty_crossings(data: xr.DataArray, control: str, found: Pairs, sample: Sample, ratio: float) -> xr.Dataset:
    """The result of too few crossings."""
    words = (
        f"Only {len(found.pairs)} of {len(found.pairs) + len(found.lost)} pairs of sizes have a crossing that is "
        f"resolved, fewer than parameters: no estimate is given; hold the exponent, or give more sizes."
    )
    arrays = over((), status=np.int8(STATUS["too_few_sizes"]), message=words)
    arrays |= over((), converged=False, nobs=float(len(found.pairs)))
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
    if not reason and result["pvalue"].isnull().all():
        result["pvalue"].attrs["comment"] = UNEXPECTED
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
