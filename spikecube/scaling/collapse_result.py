"""A collapse as a labelled result, in the user's units."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from spikecube.scaling.collapse_ansatz import (
    DERIVED,
    DERIVED_VARIABLES,
    Ansatz,
    derived_table,
    parameter_table,
)
from spikecube.scaling.collapse_inference import Reading
from spikecube.scaling.collapse_linear import UsedPoints
from spikecube.scaling.collapse_quality import CollapseFindings, collapse_verdict
from spikecube.scaling.collapse_scan import Scan, derived_hull, hull, scan_note, scan_variables
from spikecube.scaling.collapse_search import SearchEnd
from spikecube.scaling.collapse_task import Stage
from spikecube.scaling.master_curve import shortfall
from spikecube.scaling.regression import LEVEL, aicc
from spikecube.scaling.results import SHAPE, STATUS, UNEXPECTED, fit_result
from spikecube.scaling.types import Array, Arrays, over


def _findings(
    task: Stage, found: SearchEnd, fit: Reading, table: dict[str, Array], part: int, chosen: Scan | None
) -> CollapseFindings:
    x = task.frame.centre + task.frame.span * task.points.control
    critical, free = float(table["estimate"][0]), np.isfinite(table["stderr"]) | np.isinf(table["stderr"])
    q = fit.quality
    return CollapseFindings(
        task.errors(),
        float(q.chi2[part]),
        float(q.dof[part]),
        float(q.gof_pvalue[part]),
        float(q.too_good[part]),
        float(q.pattern_pvalue[part]),
        fit.drift_pvalue,
        fit.uneven_pvalue,
        found.agreed,
        found.astray,
        bool(np.isfinite(np.stack([table["ci_low"], table["ci_high"]])[:, free]).all()),
        found.at_rest,
        None if not free[0] or x.min() <= critical <= x.max() else (critical, float(x.min()), float(x.max())),
        chosen is not None and all(place[1] > 0 for place in chosen.admitted),
        _roughest(task.form.names, table["error_change"]),
        fit.richer,
    )


def _roughest(names: list[str], change: Array) -> tuple[str, float]:
    """The parameter whose error changes most within itself, and by what factor."""
    if np.isnan(change).all():
        return "", 1.0
    worst = int(np.nanargmax(change))
    return names[worst], float(np.exp(change[worst]))


def _planes(task: Stage, problem: UsedPoints, found: SearchEnd, fit: Reading) -> dict[str, Array]:
    """Data, curve and scaled variables over (observable, control, size), in the user's units."""
    form, frame_, sample, shape = task.form, task.frame, task.sample, task.plane
    part, x, n = np.meshgrid(np.arange(shape[0]), task.x, sample.sizes, indexing="ij")
    spots = form.places(found.theta, n.ravel() / frame_.size, (x.ravel() - frame_.centre) / frame_.span, part.ravel())
    curve = fit.reduced.curve.basis(spots.u, spots.decay, part.ravel()) @ fit.reduced.coefficients
    u, prefactor, curve = (v.reshape(shape) for v in (spots.u, np.exp(spots.prefactor), curve))
    value, log = frame_.value[:, None, None], frame_.log[:, None, None]
    model = np.where(log, np.log(prefactor) + curve, prefactor * curve)
    used = np.zeros(sample.mean.shape, dtype=bool)
    used[tuple(problem.places.T)] = True
    used = used.reshape(shape)
    measured, mean = _measured(task), sample.mean.reshape(shape)
    errors = np.full(shape, np.nan) if sample.stderr is None else sample.stderr.reshape(shape)
    unit = (frame_.curve_unit(form, found.theta) / frame_.value)[:, None, None]
    ends = [[own[0].knots[0], own[0].knots[-1]] for own in fit.reduced.curve.splines]
    low, high = np.transpose(ends)[:, :, None, None]
    fitted = np.where((low <= u) & (u <= high), model, np.nan)
    return {
        **measured,
        "fitted": np.where(log, np.exp(np.where(log, fitted, 0.0)), fitted) * value,
        "residual": np.where(used, (mean - model) / errors, np.nan),
        "used": used,
        "scaled_control": np.where(np.isfinite(mean), u * frame_.scaled_unit(form, found.theta), np.nan),
        "scaled_data": measured["data"] / prefactor * unit,
        "scaled_stderr": measured["data_stderr"] / prefactor * unit,
    }


def labelled_collapse(
    task: Stage,
    problem: UsedPoints,
    found: SearchEnd,
    fit: Reading,
    expected: Array,
    draws: Array | None,
    chosen: Scan | None = None,
) -> xr.Dataset:
    """The result of a collapse that came to an end; expected (p,), NaN where nothing is."""
    form, frame_ = task.form, task.frame
    unit, shift = frame_.unit(form), frame_.shift(form)
    theta, covariance = shift + unit * found.theta, fit.covariance * np.outer(unit, unit)
    table = parameter_table(form, theta, covariance, fit.t_dof, expected)
    table |= {"drift": unit * fit.drift, "error_change": fit.error_change}
    if chosen is not None:
        table |= {"window_low": table["ci_low"], "window_high": table["ci_high"]} | hull(chosen)
    if draws is not None:
        table |= _bootstrap(shift + unit * draws)
    planes = _planes(task, problem, found, fit)
    parts = []
    for k in range(task.plane[0]):
        rows = np.array(form.rows(k))
        here = {name: v[rows] for name, v in table.items()}
        own = over(("param",), **here) | over(("param_i", "param_j"), covariance=covariance[np.ix_(rows, rows)])
        if form.name == "power":
            own |= over(("derived",), **derived_table(form, theta, covariance, fit.t_dof, k))
        if form.name == "power" and chosen is not None:
            own |= over(("derived",), **derived_hull(chosen, k))
        own |= over((task.control, task.size), **{name: v[k] for name, v in planes.items()})
        own |= _scalars(task, problem, found, fit, k)
        parts.append(own | _said(task, found, fit, here, k, chosen))
    coords = {"scaled_grid": fit.grid * frame_.scaled_unit(form, found.theta)}
    if chosen is not None:
        coords |= {"scan_window": chosen.widths, "scan_n_min": chosen.smallest}
    return _described(task, [own | _joint(form, covariance, fit, k) for k, own in enumerate(parts)], coords)


def _said(task: Stage, found: SearchEnd, fit: Reading, here: dict[str, Array], k: int, chosen: Scan | None) -> Arrays:
    """Status and message of one part, and the scan of its windows."""
    status, message = collapse_verdict(_findings(task, found, fit, here, k, chosen))
    if chosen is None:
        return over((), status=np.int8(STATUS[status]), message=message)
    scan = scan_variables(chosen, np.array(task.form.rows(k)), k, _chi2_unit(task, k))
    return scan | over((), status=np.int8(STATUS[status]), message=f"{message} {scan_note(chosen)}")


def _chi2_unit(task: Stage, k: int) -> float:
    """chi2/chi2' of one part: squares in the units of the data where no errors are known."""
    return 1.0 if task.raw.stderr is not None else float(task.frame.value[k] ** 2 / task.weight[k])


def _scalars(task: Stage, problem: UsedPoints, found: SearchEnd, fit: Reading, k: int) -> Arrays:
    """What is known of one part beside its parameters."""
    frame_, q, chi2_unit = task.frame, fit.quality, _chi2_unit(task, k)
    curve_unit, log = frame_.curve_unit(task.form, found.theta)[k], bool(frame_.log[k])
    master = np.exp(fit.master[k]) if log else fit.master[k]
    stderr = fit.master_stderr[k] * abs(curve_unit) * (master if log else 1.0)
    rows, chi2, dof = problem.points.parts == k, q.chi2[k] * chi2_unit, q.dof[k]
    count = int(rows.sum())
    arrays = over(("start",), start_chi2=found.ends * (chi2_unit if task.plane[0] == 1 else 1.0))
    arrays |= over(("scaled_grid",), master_curve=master * curve_unit, master_stderr=stderr)
    arrays |= over((), chi2=chi2, dof=dof, gof_pvalue=q.gof_pvalue[k], pattern_pvalue=q.pattern_pvalue[k])
    arrays |= over((), drift_pvalue=fit.drift_pvalue, uneven_pvalue=fit.uneven_pvalue, nobs=float(count))
    arrays |= over((), aicc=aicc(chi2, count, count - dof, known=task.raw.stderr is not None))
    arrays |= over((), spline_size=float(fit.reduced.curve.splines[k][0].size))
    return arrays | over((), n_min=task.raw.sizes[problem.places[rows, 1]].min(), converged=found.at_rest)


def _joint(form: Ansatz, covariance: Array, fit: Reading, k: int) -> Arrays:
    """What several observables have together: the test of all points, and the covariances of their parameters."""
    if not form.observables:
        return {}
    chi2, dof, pvalue = fit.quality.joint
    across = np.stack([covariance[np.ix_(form.rows(k), form.rows(j))] for j in range(len(form.observables))])
    tests = over((), joint_chi2=chi2, joint_dof=dof, joint_gof_pvalue=pvalue)
    return tests | over(("observable_j", "param_i", "param_j"), joint_covariance=across)


def _bootstrap(draws: Array) -> dict[str, Array]:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return {"bootstrap_stderr": draws.std(axis=0, ddof=1), "bootstrap_low": low, "bootstrap_high": high}


def empty_collapse(task: Stage, name: str, expected: Array) -> xr.Dataset:
    """The result where there is no honest number."""
    form, nothing = task.form, np.full(len(task.form.names), np.nan)
    words = _FLAT if name == "not_resolved" else shortfall(task.points)
    planes = _measured(task) | {"used": np.zeros(task.plane, dtype=bool)}
    parts = []
    for k in range(task.plane[0]):
        own = over(("param",), **dict.fromkeys(("t_dof", "drift", "error_change", "z"), nothing))
        own |= over((), **dict.fromkeys(("pattern_pvalue", "drift_pvalue", "uneven_pvalue", "spline_size"), np.nan))
        own |= over((task.control, task.size), **{v: values[k] for v, values in planes.items()})
        own |= over((), nobs=0.0, converged=False, status=np.int8(STATUS[name]), message=words)
        if form.name == "power":
            own |= over(("derived",), **dict.fromkeys(DERIVED_VARIABLES, np.full(len(DERIVED), np.nan)))
        parts.append(own | over(("param",), expected=expected[form.rows(k)]))
    return _described(task, parts, {}, words)


def _measured(task: Stage) -> dict[str, Array]:
    """Data and errors over (observable, control, size), in the user's units."""
    shape, value = task.plane, task.frame.value[:, None, None]
    stderr = np.full(shape, np.nan) if task.raw.stderr is None else task.raw.stderr.reshape(shape) * np.abs(value)
    return {"data": task.raw.mean.reshape(shape) * value, "data_stderr": stderr}


_FLAT = "The data do not change along the control beyond their errors: there is nothing to collapse, and no estimate."
_LONG_NAMES = {
    "nobs": "points used",
    "dof": "points used less parameters and coefficients of the curve",
    "aicc": "corrected Akaike criterion, coefficients of the curve counting as parameters",
    "gof_pvalue": "p-value of the test that the curves collapse within their errors",
    "pattern_pvalue": "p-value of the likeness of neighbouring residuals of one size",
    "drift": "shift of the estimate when the smallest size is left out",
    "error_change": "largest |log ratio| of the standard error within one standard error of the estimate",
    "drift_pvalue": "p-value of the shift of all parameters when the smallest size is left out",
    "uneven_pvalue": "p-value of the test that squared residuals do not go with value, size and u; without errors",
    "used": "whether the point entered the fit",
    "derived_estimate": "powers of n in the law: 1/nu and zeta/nu",
    "derived_stderr": "standard error of derived_estimate",
    "derived_low": "lower end of the 95 per cent interval of derived_estimate",
    "derived_high": "upper end of the 95 per cent interval of derived_estimate",
    "scan_ci_low": "lower end of the 95 per cent interval that the choice would have, had it been given",
    "scan_ci_high": "upper end of the 95 per cent interval that the choice would have, had it been given",
    "scan_dof": "dof of the choice",
    "scan_nobs": "points of the choice",
    "scan_pattern_pvalue": "pattern_pvalue of the choice",
    "scan_admitted": "whether the choice is admitted, so that the intervals hold its own",
    "joint_chi2": "weighted sum of squared residuals of all observables",
    "joint_dof": "points of all observables less parameters and coefficients of their curves",
    "joint_gof_pvalue": "p-value of the test that all observables collapse within their errors",
    "joint_covariance": "covariance of the estimates of two observables",
}


def _described(task: Stage, parts: list[Arrays], coords: dict[str, Any], reason: str = "") -> xr.Dataset:
    """Labels, names and units: those of the control and of the data are kept; `reason` says why variables are not."""
    names, data = task.form.names, task.data[0]
    own = str(data[task.control].attrs.get("units", "1"))
    inverse = "1" if own == "1" else f"({own})-1"
    units = ["1" if name in ("nu", "zeta", "correction_exponent") else own for name in names]
    units = [inverse if name == "field" else unit for name, unit in zip(names, units, strict=True)]
    arrays: Arrays = {
        name: (tail, np.stack([np.asarray(part[name][1]) for part in parts])) for name, (tail, _) in parts[0].items()
    }
    labels = {
        "param_units": ("param", units),
        task.control: (task.control, task.x, dict(data[task.control].attrs)),
        task.size: (task.size, task.raw.sizes, dict(data[task.size].attrs)),
    }
    if task.form.name == "power":
        labels["derived"] = ("derived", np.array(DERIVED))
    observables = list(task.form.observables)
    if observables:
        labels |= {"observable": ("observable", observables), "observable_j": ("observable_j", observables)}
    result = fit_result(
        arrays,
        names,
        dims=("observable",) if observables else (),
        shape=(len(observables),) if observables else (),
        coords=coords | labels,
        law=task.form.formula,
        quantity=", ".join(observables) or str(data.name or "the data"),
        without=dict.fromkeys(SHAPE, reason) if reason else None,
    )
    if not reason and result["pvalue"].isnull().all():
        result["pvalue"].attrs["comment"] = UNEXPECTED
    _set_units(result, {str(array.attrs.get("units", "1")) for array in task.data}, own, units)
    return result


def _set_units(result: xr.Dataset, of_data: set[str], of_control: str, of_params: list[str]) -> None:
    """Units, where there is one for all values of a variable."""
    for label in ("data", "data_stderr", "fitted", "scaled_data", "scaled_stderr", "master_curve", "master_stderr"):
        if label in result:
            result[label].attrs["units"] = next(iter(of_data)) if len(of_data) == 1 else "1"
    if "scaled_control" in result:
        result["scaled_control"].attrs["units"] = of_control
    for name, variable in result.data_vars.items():
        if str(name) in _LONG_NAMES:
            variable.attrs["long_name"] = _LONG_NAMES[str(name)]
        if name != "error_change" and ("param" in variable.dims or "param_i" in variable.dims):
            variable.attrs["units"] = of_params[0] if len(set(of_params)) == 1 else "1"
    if len(set(of_params)) > 1:
        for label in ("estimate", "stderr", "ci_low", "ci_high", "covariance", "drift"):
            result[label].attrs.pop("units", None)
