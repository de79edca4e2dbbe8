"""A collapse as a labelled result, in the user's units."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.scaling.collapse_inference import Inference, Problem
from spikecube.scaling.collapse_search import Minimum
from spikecube.scaling.collapse_task import Task
from spikecube.scaling.results import SHAPE, STATUS, fit_result, messages
from spikecube.scaling.types import Array, Arrays
from spikecube.scaling.verdict import CollapseFindings, collapse_verdict

_CONFIDENCE = 0.95

Variables = dict[str, tuple[tuple[str, ...], Any]]


def _table(task: Task, problem: Problem, found: Minimum, fit: Inference, expected: Array) -> dict[str, Array]:
    """Estimates with their errors and intervals, in the user's units."""
    form, unit = task.form, task.frame.unit(task.form)
    theta = task.frame.shift(form) + unit * found.theta
    free = np.isin(np.arange(len(theta)), problem.free)
    stderr = np.where(free, unit * np.sqrt(np.diag(fit.covariance)), np.nan)
    half_width = stats.t.ppf((1 + _CONFIDENCE) / 2, fit.t_dof) * stderr
    low, high = theta - half_width, theta + half_width
    z = (theta - expected) / stderr
    distance = np.abs(z)
    for j, name in enumerate(form.params):
        if name == "nu" and half_width[j] >= theta[j]:  # an interval of 1/nu that holds 0
            low[j], high[j] = theta[j] / (1 + half_width[j] / theta[j]), np.inf
            distance[j] *= theta[j] / expected[j]
    return {
        "estimate": theta,
        "stderr": stderr,
        "ci_low": low,
        "ci_high": high,
        "pvalue": np.asarray(2 * stats.t.sf(distance, fit.t_dof)),
        "expected": expected,
        "z": z,
        "t_dof": fit.t_dof,
        "drift": unit * fit.drift,
        "covariance": fit.covariance * np.outer(unit, unit),
    }


def _aicc(chi2: float, n_points: int, n_params: int, known: bool) -> float:
    """The corrected Akaike criterion; an error that is estimated counts as a parameter."""
    p = n_params if known else n_params + 1
    fit = chi2 if known else n_points * np.log(max(chi2, np.finfo(float).tiny) / n_points)
    return float(fit + 2 * p + 2 * p * (p + 1) / (n_points - p - 1)) if n_points - p > 1 else np.nan


def _findings(task: Task, found: Minimum, fit: Inference, table: dict[str, Array]) -> CollapseFindings:
    x = task.frame.centre + task.frame.span * task.points.control
    critical, free = float(table["estimate"][0]), np.isfinite(table["stderr"]) | np.isinf(table["stderr"])
    errors = "none" if task.raw.stderr is None else "given" if task.raw.deviations is None else "seeds"
    return CollapseFindings(
        errors,
        fit.chi2,
        fit.dof,
        fit.gof_pvalue,
        fit.too_good,
        fit.pattern_pvalue,
        fit.drift_pvalue,
        found.agreed,
        found.astray,
        bool(np.isfinite(np.stack([table["ci_low"], table["ci_high"]])[:, free]).all()),
        found.at_rest,
        None if not free[0] or x.min() <= critical <= x.max() else (critical, float(x.min()), float(x.max())),
    )


def _planes(task: Task, problem: Problem, found: Minimum, fit: Inference) -> dict[str, Array]:
    """Data, curve and scaled variables over (control, size), in the user's units."""
    form, frame_, sample = task.form, task.frame, task.sample
    n, x = np.meshgrid(sample.sizes / frame_.size, (task.x - frame_.centre) / frame_.span)
    u, prefactor = form.scaled(found.theta, n, x)
    decay = form.decay(found.theta, n.ravel())
    curve = (fit.curve.basis(u.ravel(), decay) @ fit.coefficients).reshape(u.shape)
    model = np.log(prefactor) + curve if frame_.log else prefactor * curve
    used = np.zeros(u.shape, dtype=bool)
    used[tuple(problem.places.T)] = True
    between = (fit.grid[0] <= u) & (u <= fit.grid[-1])
    nothing = np.full(u.shape, np.nan)
    errors = nothing if sample.stderr is None else sample.stderr
    raw_errors = nothing if task.raw.stderr is None else task.raw.stderr * abs(frame_.value)
    unit = frame_.curve_unit(form, found.theta) / frame_.value
    fitted = np.where(between, model, np.nan)
    return {
        "data": task.raw.mean * frame_.value,
        "data_stderr": raw_errors,
        "fitted": (np.exp(fitted) if frame_.log else fitted) * frame_.value,
        "residual": np.where(used, (sample.mean - model) / errors, np.nan),
        "used": used,
        "scaled_control": np.where(np.isfinite(sample.mean), u * frame_.scaled_unit(form, found.theta), np.nan),
        "scaled_data": task.raw.mean * frame_.value / prefactor * unit,
        "scaled_stderr": raw_errors / prefactor * unit,
    }


def labelled_collapse(
    task: Task, problem: Problem, found: Minimum, fit: Inference, expected: Array, draws: Array | None
) -> xr.Dataset:
    """The result of a collapse that came to an end; expected (p,), NaN where nothing is."""
    form, plane = task.form, (task.control, task.size)
    table = _table(task, problem, found, fit, expected)
    status, message = collapse_verdict(_findings(task, found, fit, table))
    known = task.raw.stderr is not None
    chi2_unit = 1.0 if known else task.frame.value**2
    curve_unit = task.frame.curve_unit(form, found.theta)
    master = np.exp(fit.master) if task.frame.log else fit.master
    variables: Variables = {name: (("param",), v) for name, v in table.items() if name != "covariance"}
    if draws is not None:
        variables |= _bootstrap_variables(task, draws)
    variables |= {
        "covariance": (("param_i", "param_j"), table["covariance"]),
        "start_chi2": (("start",), found.ends * chi2_unit),
        "master_curve": (("scaled_grid",), master * curve_unit),
        "master_stderr": (("scaled_grid",), fit.master_stderr * abs(curve_unit) * (master if task.frame.log else 1.0)),
        **{name: (plane, values) for name, values in _planes(task, problem, found, fit).items()},
        "chi2": ((), fit.chi2 * chi2_unit),
        "dof": ((), fit.dof),
        "gof_pvalue": ((), fit.gof_pvalue),
        "pattern_pvalue": ((), fit.pattern_pvalue),
        "drift_pvalue": ((), fit.drift_pvalue),
        "nobs": ((), float(len(problem.points.y))),
        "aicc": ((), _aicc(fit.chi2 * chi2_unit, len(problem.points.y), fit.n_coefficients, known)),
        "spline_size": ((), float(fit.curve.splines[0].size)),
        "n_min": ((), task.raw.sizes[problem.places[:, 1]].min()),
        "converged": ((), found.at_rest),
        "status": ((), np.int8(STATUS[status])),
        "message": ((), message),
    }
    return _described(task, variables, {"scaled_grid": fit.grid * task.frame.scaled_unit(form, found.theta)})


def _bootstrap_variables(task: Task, draws: Array) -> Variables:
    own = task.frame.shift(task.form) + task.frame.unit(task.form) * draws
    low, high = np.quantile(own, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2], axis=0)
    named = {"bootstrap_stderr": own.std(axis=0, ddof=1), "bootstrap_low": low, "bootstrap_high": high}
    return {name: (("param",), values) for name, values in named.items()}


_ALSO_EMPTY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("t_dof", "drift", "z"), ("param",)),
    **dict.fromkeys(("pattern_pvalue", "drift_pvalue", "spline_size"), ()),
}


def empty_collapse(task: Task, name: str, expected: Array) -> xr.Dataset:
    """The result where there is no honest number."""
    n_params, value = len(task.form.params), task.frame.value
    variables: Variables = {v: (tail, np.full([n_params] * len(tail), np.nan)) for v, tail in _ALSO_EMPTY.items()}
    errors = np.full(task.raw.mean.shape, np.nan) if task.raw.stderr is None else task.raw.stderr * abs(value)
    planes = {"data": task.raw.mean * value, "data_stderr": errors, "used": np.zeros(errors.shape, dtype=bool)}
    variables |= {v: ((task.control, task.size), values) for v, values in planes.items()}
    status = np.int8(STATUS[name])
    words = _FLAT if name == "not_resolved" else messages(np.array(status)).item()
    variables |= {"nobs": ((), 0.0), "converged": ((), False), "status": ((), status), "message": ((), words)}
    return _described(task, variables | {"expected": (("param",), expected)}, {}, words)


_FLAT = "The data do not change along the control beyond their errors: there is nothing to collapse, and no estimate."
_LONG_NAMES = {
    "nobs": "points used",
    "dof": "points used less parameters and coefficients of the curve",
    "aicc": "corrected Akaike criterion, coefficients of the curve counting as parameters",
    "gof_pvalue": "p-value of the test that the curves collapse within their errors",
    "pattern_pvalue": "p-value of the likeness of neighbouring residuals of one size",
    "drift": "shift of the estimate when the smallest size is left out",
    "drift_pvalue": "p-value of the shift of all parameters when the smallest size is left out",
    "used": "whether the point entered the fit",
}


def _described(task: Task, variables: Variables, coords: dict[str, Any], reason: str = "") -> xr.Dataset:
    """Labels, names and units: those of the control and of the data are kept; `reason` says why variables are not."""
    names, own = list(task.form.params), str(task.data[task.control].attrs.get("units", "1"))
    inverse = "1" if own == "1" else f"({own})-1"
    units = ["1" if name in ("nu", "zeta", "correction_exponent") else own for name in names]
    units = [inverse if name == "field" else unit for name, unit in zip(names, units, strict=True)]
    arrays: Arrays = {name: (tail, np.asarray(values)[None]) for name, (tail, values) in variables.items()}
    labels = {
        "param_units": ("param", units),
        task.control: (task.control, task.x, dict(task.data[task.control].attrs)),
        task.size: (task.size, task.raw.sizes, dict(task.data[task.size].attrs)),
    }
    result = fit_result(
        arrays,
        names,
        coords=coords | labels,
        law=task.form.formula,
        quantity=str(task.data.name or "the data"),
        without=dict.fromkeys(SHAPE, reason) if reason else None,
    )
    of_data = str(task.data.attrs.get("units", "1"))
    for label in ("data", "data_stderr", "fitted", "scaled_data", "scaled_stderr", "master_curve", "master_stderr"):
        if label in result:
            result[label].attrs["units"] = of_data
    if "scaled_control" in result:
        result["scaled_control"].attrs["units"] = own
    for name, variable in result.data_vars.items():
        if str(name) in _LONG_NAMES:
            variable.attrs["long_name"] = _LONG_NAMES[str(name)]
        if "param" in variable.dims or "param_i" in variable.dims:
            variable.attrs["units"] = units[0] if len(set(units)) == 1 else "1"
    if len(set(units)) > 1:
        for label in ("estimate", "stderr", "ci_low", "ci_high", "covariance", "drift"):
            result[label].attrs.pop("units", None)
    return result
