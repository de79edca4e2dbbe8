"""The form of every fit's result: estimates, intervals and tests, with a status that is also a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.schema import COORDINATES
from spikecube.cube.store import without_fill_values
from spikecube.scaling.types import Array, Arrays

STATUS = {
    "ok": 0,
    "too_few_sizes": 1,
    "too_few_seeds": 2,
    "not_converged": 3,
    "open_interval": 4,
    "not_resolved": 5,
    "separated": 6,
    "poor_minimum": 7,
    "no_data": 8,
    "not_applicable": 9,
    "rejected": 10,
    "untested": 11,
    "too_good": 12,
    "infinite": 13,
    "not_aligned": 14,
    "patterned": 15,
    "drifting": 16,
    "unsettled": 17,
    "outside": 18,
    "doubted": 19,
    "uneven": 20,
}

SOLVED = (
    *("ok", "open_interval", "separated", "poor_minimum", "rejected", "untested", "too_good"),
    *("patterned", "drifting", "unsettled", "outside", "doubted", "uneven"),
)
"""The states that have an estimate."""

SENTENCES = {
    "ok": "The fit converged and every interval is closed.",
    "too_few_sizes": "There are fewer sizes with data than parameters and one for a test of fit: no estimate is given.",
    "too_few_seeds": "Some sizes have fewer than 3 seeds, too few for an error: no estimate is given.",
    "not_converged": "The minimum was not found inside the law's domain: no estimate is given.",
    "open_interval": "The data leave an interval open on one side: the estimate has no error bar there.",
    "not_resolved": "The quantity is not resolved from zero at these sizes, so that its exponent is not determined.",
    "separated": "Spike and no spike are perfectly separated: the threshold comes from a penalised fit.",
    "poor_minimum": "Different starts end in different minima; the best one is reported.",
    "no_data": "There are no values to fit: none were measured, or none meet what the fit asks of them.",
    "not_applicable": "The law does not apply here.",
    "rejected": "The law is rejected: its intervals take a law for granted that these data do not follow.",
    "untested": "The fit converged, but nothing tests the law.",
    "too_good": "The fit converged, but the points lie closer to the law than their errors allow.",
    "infinite": "The data hold infinite values, which are no measurements: no estimate is given.",
    "not_aligned": "No singular vector points along this monomial at any size: there is no spike and no threshold.",
    "patterned": "Neighbouring residuals go together: the law does not hold, or the data share errors.",
    "drifting": "Without the smallest size the parameters move by more than their errors allow.",
    "unsettled": "The points inside the window at the parameters found are not quite those used.",
    "outside": "The critical value lies outside of the control.",
    "doubted": "The law is not rejected, and yet the points bend away from it, or it does not foretell the last size.",
    "uneven": "The points scatter unevenly about the law, and no errors were given.",
}

_LONG_NAMES = {
    "estimate": "estimate of the parameter",
    "stderr": "standard error of the estimate (linearised)",
    "ci_low": "lower end of the 95 per cent interval",
    "ci_high": "upper end of the 95 per cent interval",
    "pvalue": "two-sided p-value against null_value: below 0.05 exactly where the interval excludes it",
    "pvalue_holm": "p-value adjusted by Holm's method over all curves of the same parameter",
    "null_value": "value that pvalue tests: the expected one, or 0 where theory predicts none",
    "expected": "the theory's value",
    "z": "(estimate - expected)/stderr",
    "t_dof": "degrees of freedom of the t interval (inf: normal)",
    "covariance": "covariance of the estimates",
    "nobs": "sizes used",
    "dof": "sizes used less parameters",
    "chi2": "weighted sum of squared residuals over the variances of the means",
    "gof_pvalue": "p-value of the lack-of-fit test against the saturated model in n",
    "aicc": "corrected Akaike criterion, each size left out counting as a parameter",
    "n_min": "smallest size used",
    "converged": "whether the minimum was found",
    "seeds_worth": "seeds without control variates that give the same mean error",
    "data": "mean over seeds",
    "data_stderr": "standard error of the mean over seeds",
    "data_stderr_plain": "standard error of the mean over seeds without control variates",
    "used": "whether the size entered the fit",
    "fitted": "value of the fitted law",
    "fitted_stderr": "standard error of fitted (linearised)",
    "residual": "(data - fitted)/data_stderr",
    "leverage": "diagonal of the hat matrix",
    "influence": "shift of the estimate over its stderr when the size is left out",
    "leave_one_out": "estimate when the size is left out",
    "bootstrap_stderr": "standard deviation of the estimate over resamples of the seeds",
    "bootstrap_low": "2.5 per cent point of the estimate over resamples of the seeds",
    "bootstrap_high": "97.5 per cent point of the estimate over resamples of the seeds",
    "response": "slope of the estimate in the mean at each size",
    "sign": "sign of the amplitude",
    "window_estimate": "estimate of the law itself in the chosen window",
    "window_low": "lower end of the 95 per cent interval that the chosen window would have, had it been given",
    "window_high": "upper end of the 95 per cent interval that the chosen window would have, had it been given",
    "interval_n_min": "smallest size used by the law that gives the interval",
    "scan_estimate": "estimate with the window as the smallest size",
    "scan_stderr": "standard error of scan_estimate",
    "scan_chi2": "chi2 with the window as the smallest size",
    "scan_gof_pvalue": "gof_pvalue with the window as the smallest size",
    "scan_aicc": "aicc with the window as the smallest size",
    "bend": "factor D of a correction 1 + D/n, to first order",
    "bend_stderr": "standard error of bend",
    "bend_pvalue": "p-value of bend against 0",
    "rollout": "the size foretold by the fit to all smaller ones",
    "rollout_stderr": "standard error of data less rollout",
    "rollout_z": "(data - rollout)/rollout_stderr as a normal deviate",
    "draws": "shift of the estimate by each seed at each size",
    "huber_weight": "weight of the point in Huber's loss, below 1 beyond huber_delta",
    "huber_delta": "where Huber's loss turns from squares to absolute values, on logarithms or in standard errors",
    "threshold": "alpha at which half of the seeds show the spike",
    "threshold_stderr": "standard error of threshold (linearised)",
    "threshold_low": "lower end of the 95 per cent interval of threshold",
    "threshold_high": "upper end of the 95 per cent interval of threshold",
    "scaled_control": "scaled control u at the estimate",
    "scaled_data": "data over the prefactor of the master curve",
    "scaled_stderr": "standard error of scaled_data",
    "master_curve": "spline through the scaled data",
    "master_stderr": "standard error of the master curve at its scaled control",
    "spline_size": "coefficients of the spline",
    "start_chi2": "chi2 at which each start ended",
    "stray_fraction": "fraction of draws whose singular value beyond the edge does not point along the monomial",
    "status": "state of the fit",
    "message": "what the state means",
}

RESERVED = frozenset({*_LONG_NAMES, "param", "param_i", "param_j", "window"})
"""Names of results, which dims and coordinates of the data cannot have."""


def describe(result: xr.Dataset, *, quantity: str = "the data") -> xr.Dataset:
    """Long names, units and the flags of `status` on every variable; the attribute `quantity` names what was fitted."""
    for name, variable in result.data_vars.items():
        label = str(name)
        if label in _LONG_NAMES:
            variable.attrs["long_name"] = _LONG_NAMES[label]
        if variable.dtype.kind == "f":
            variable.attrs.setdefault("units", "1")
            variable.attrs["coverage_content_type"] = "modelResult"
    if "status" in result:
        result["status"].attrs["flag_values"] = np.array(list(STATUS.values()), dtype=np.int8)
        result["status"].attrs["flag_meanings"] = " ".join(STATUS)
    for name, coordinate in result.coords.items():
        known = COORDINATES.get(str(name))
        result.variables[name].attrs.setdefault("long_name", known.long_name if known else str(name))
        if coordinate.dtype.kind in "iuf":
            result.variables[name].attrs.setdefault("units", "1")
    result.attrs["quantity"] = quantity
    without_fill_values(result)
    result.attrs["confidence_level"] = 0.95
    return result


def adjust(result: xr.Dataset) -> xr.Dataset:
    """Add `pvalue_holm`: the p-values of each parameter, adjusted over all curves (of each estimator)."""
    apart = [d for d in ("estimator", "param") if d in result["pvalue"].dims]
    pvalue = result["pvalue"].transpose(*apart, ...)
    rows = pvalue.to_numpy().reshape(int(np.prod([pvalue.sizes[d] for d in apart])), -1)
    adjusted = pvalue.copy(data=np.stack([holm(row) for row in rows]).reshape(pvalue.shape))
    return result.assign(pvalue_holm=adjusted.transpose(*result["pvalue"].dims))


def holm(pvalues: Array) -> Array:
    """p-values adjusted for their number by Holm's step-down method; NaN stays NaN and is not counted.

    >>> holm(np.array([0.01, np.nan, 0.04])).tolist()
    [0.02, nan, 0.04]
    """
    adjusted = np.full(pvalues.shape, np.nan)
    order = np.argsort(pvalues)[: np.isfinite(pvalues).sum()]
    adjusted[order] = np.minimum(np.maximum.accumulate(np.arange(len(order), 0, -1) * pvalues[order]), 1.0)
    return adjusted


UNEXPECTED = "no value was expected, so that none is tested"
"""Why a fit has no p-values."""

_PER_PARAMETER = ("estimate", "stderr", "ci_low", "ci_high", "pvalue", "expected")
SCALARS = ("nobs", "dof", "chi2", "gof_pvalue", "aicc", "n_min")
SHAPE = {
    **dict.fromkeys(_PER_PARAMETER, ("param",)),
    "covariance": ("param_i", "param_j"),
    **dict.fromkeys((*SCALARS, "converged", "status", "message"), ()),
}
"""Variables and inner dims that every fit has."""


def fit_result(
    arrays: Arrays,
    params: Sequence[str],
    *,
    dims: Sequence[str] = (),
    shape: Sequence[int] = (),
    coords: Mapping[str, Any],
    law: str,
    quantity: str,
    without: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """The one constructor of fits: every variable of `SHAPE`, those that a fit does not have as NaN with a reason.

    Parameters
    ----------
    arrays : name -> (inner dims, values), the first axis of the values running over all labels `dims` at once;
        status and message among them.
    params : names along `param`.
    dims, shape : the labels of the curves.
    coords : of the result, but those of the parameters.
    law, quantity : the formula, and what was fitted.
    without : why a variable of `SHAPE` is not there; the reason becomes its attribute `comment`.

    Raises
    ------
    KeyError
        If a variable is missing without a reason.

    Examples
    --------
    >>> found: Arrays = {"status": ((), np.zeros(1, np.int8)), "message": ((), np.array(["fine"]))}
    >>> reasons = dict.fromkeys(SHAPE, "nothing was fitted")
    >>> fit = fit_result(found, ["slope"], coords={}, law="y = b x", quantity="y", without=reasons)
    >>> float(fit.chi2), fit.chi2.attrs["comment"]
    (nan, 'nothing was fitted')
    """
    lost = {name: (without or {})[name] for name in SHAPE if name not in arrays}
    count, p = int(np.prod(shape)), len(params)
    blank: Arrays = {name: (SHAPE[name], np.full((count, *[p] * len(SHAPE[name])), np.nan)) for name in lost}
    variables = {
        name: xr.Variable((*dims, *tail), np.asarray(values).reshape((*shape, *np.shape(values)[1:])))
        for name, (tail, values) in (dict(arrays) | blank).items()
    }
    names = {name: list(params) for name in ("param", "param_i", "param_j")}
    result = xr.Dataset(variables, coords={**coords, **names})
    for name, reason in lost.items():
        result[name].attrs["comment"] = reason
    result.attrs["law"] = law
    return describe(result, quantity=quantity)
