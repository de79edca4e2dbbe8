"""Crossings and their extrapolation as a labelled result, in the user's units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.scaling.crossing_points import Crossing, Drift, SizeCurve
from spikecube.scaling.least_squares import aicc
from spikecube.scaling.results import SHAPE, STATUS, UNEXPECTED, fit_result
from spikecube.scaling.samples import Sample
from spikecube.scaling.types import Array, Arrays, over
from spikecube.scaling.verdict import verdict

PARAMS = ("critical", "amplitude", "exponent")
_FORMULA = "x(n) = critical + amplitude n^-exponent, where the curves of n and {ratio:g} n cross"


@dataclass(frozen=True)
class Found:
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
class Asked:
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
    data: xr.DataArray, control: str, sample: Sample, found: Found, fit: Drift, units: Units, asked: Asked
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


def _scalars(sample: Sample, found: Found, fit: Drift, n_free: int) -> Arrays:
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


def _curves_gof(found: Found) -> float:
    """P(so much scatter, or more, about the splines), with known errors."""
    curves = [c for c in found.curves if c is not None]
    return float(stats.chi2.sf(sum(c.chi2 for c in curves), sum(c.dof for c in curves)))


def _notes(sample: Sample, found: Found, fit: Drift) -> tuple[str, ...]:
    notes = []
    if fit.open_exponent:
        notes.append(
            "The crossings do not tell the exponent: the interval of the critical value holds for all allowed."
        )
    if found.lost:
        named = ", ".join(f"{sample.sizes[i]:g} and {sample.sizes[j]:g}" for i, j in found.lost)
        notes.append(f"The curves of {named} have no crossing that is resolved.")
    return tuple(notes)


def empty_crossings(data: xr.DataArray, control: str, found: Found, sample: Sample, ratio: float) -> xr.Dataset:
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
