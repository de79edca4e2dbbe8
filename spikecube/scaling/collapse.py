"""Data collapse: the scaling variables at which curves of all sizes fall on one line."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.scaling.arrays import Array, FitError
from spikecube.scaling.collapse_frame import Frame, frame, of_logs, only, points, value_unit
from spikecube.scaling.collapse_inference import Inference, Problem, bootstrap, flat_pvalue, infer
from spikecube.scaling.collapse_looks import LEVEL, Looks, verdict
from spikecube.scaling.collapse_search import LEAST_POINTS, Minimum, Window, search
from spikecube.scaling.master_curve import ANSATZE, Ansatz, Points
from spikecube.scaling.results import STATUS, describe, messages
from spikecube.scaling.samples import Sample, from_data

_CONFIDENCE = 0.95
_MOVED = 1e-4  # level at which curves without errors move: the best of many collapses of noise passes a milder one
_RESERVED = ("param", "param_i", "param_j", "start", "end", "scaled_grid", "seed")


def collapse(
    data: xr.DataArray,
    size: str = "n",
    control: str = "alpha",
    ansatz: str = "power",
    stderr: xr.DataArray | None = None,
    fixed: Mapping[str, float] | None = None,
    window: float | tuple[float, float] | None = None,
    correction: float | str | None = None,
    curved: bool = False,
    rng: np.random.Generator | int | None = None,
) -> xr.Dataset:
    """Find the parameters for which curves of all sizes collapse on one smooth master curve f.

    ``"power"``: y = n^{zeta/nu} f((x - critical) n^{1/nu}), params critical, nu, zeta;
    ``"log"``: y = f((x - critical) ln n), param critical (a spike leaves the bulk this way).

    f is a cubic regression spline with one coefficient for every five points (6 to 40; a size chosen by looking at the
    data would spoil the test of the collapse); for given parameters it is a linear fit, and the weighted sum of squares
    of y itself is what is minimised, so that no trivial rescaling lowers it. Positive values known to a third that span
    more than four decades are fitted by their logarithms. The best of a coarse grid are starting points of a descent;
    at its end statsmodels' regression on the B-splines of its GAMs gives the curve and the sum of squares. Units and
    zero of the control, the unit of y, that of the sizes (with "power") and the order of labels change nothing.

    `status` and `message` name every doubt: a collapse rejected by its errors, errors that are too large or shared,
    neighbouring residuals that go together, parameters that move when the smallest size is left out, a critical value
    outside the control, an open interval, a window that does not settle; and that nothing was tested without errors.
    Curves that do not move along the control beyond their errors get no estimate.

    Parameters
    ----------
    data : dims `size`, `control` and perhaps `seed`; NaN where the grid is ragged.
    stderr : known errors (no `seed` then); without any, all points weigh the same and nothing is tested.
    fixed : parameters held at a value, by name.
    window : use only points with low <= u <= high, u the scaled control at the final parameters; w stands for (-w, w).
    correction : omega > 0 or "free" (a parameter correction_exponent): f(u) + n^{-omega} g(u) stands for f(u), g a
        spline with a quarter of the coefficients (5 to 10).
    curved : a parameter field bends the control, u = (x - critical) (1 + field (x - critical)) n^{1/nu}.
    rng : anything `numpy.random.default_rng` takes: gives a bootstrap over seeds (whole curves at each size; over the
        known errors with `stderr`).

    Returns
    -------
    xr.Dataset
        As in `fit_power_law`, `param_units` along `param`; for plots scaled_control, scaled_data, scaled_stderr,
        fitted, residual and `used` (control, size) and master_curve, master_stderr over `scaled_grid`. `start_chi2`:
        where the three best starts ended, with a frugal spline. `drift`: shift of the estimates without the smallest
        size, with its p-value `drift_pvalue`; `pattern_pvalue`: of the likeness of neighbouring residuals.

    Raises
    ------
    ValueError
        If a dim, an ansatz, a parameter, a window or a correction is not one of those allowed.

    References
    ----------
    Houdayer and Hartmann, Phys. Rev. B 70 (2004) 014418 (quality of a collapse);
    Golub and Pereyra, Inverse Problems 19 (2003) R1 (variable projection).

    Examples
    --------
    >>> n = xr.DataArray([10.0, 20.0, 40.0, 80.0], dims="n", coords={"n": [10.0, 20.0, 40.0, 80.0]})
    >>> x = xr.DataArray(np.linspace(0, 1, 40), dims="x", coords={"x": np.linspace(0, 1, 40)})
    >>> fit = collapse(np.tanh((x - 0.4) * np.log(n)), control="x", ansatz="log")
    >>> fit.estimate.round(3).values.tolist()
    [0.4]
    """
    form, held, ends = _checked(data, size, control, _form(ansatz, correction, curved), fixed or {}, window)
    task = _task(form, data, size, control, stderr)
    missing, flat = _missing(task)
    if missing:
        return _empty(task, missing)
    free = np.array([i for i, name in enumerate(form.params) if name not in held], dtype=int)
    inner = task.frame.inward(form, held)
    found = search(form, task.points, inner, free, None if ends is None else task.window(ends))
    problem = task.problem(found.used, free)
    fit = infer(problem, found.theta)
    if np.isnan(flat) and _f_pvalue(problem, fit) > _MOVED:
        return _empty(task, "not_resolved")
    draws = None
    if rng is not None and problem.sample.stderr is not None:
        draws = bootstrap(problem, found.theta, np.random.default_rng(rng))
    return _label(task, problem, found, fit, draws)


@dataclass(frozen=True)
class Task:
    """A collapse on its way: the data as they came, and in the units of the search."""

    form: Ansatz
    data: xr.DataArray
    size: str
    control: str
    x: Array
    raw: Sample
    sample: Sample
    frame: Frame
    points: Points
    places: Array

    def window(self, ends: tuple[float, float]) -> Window:
        """The points with scaled controls between two ends, both in the user's units."""

        def inside(theta: Array) -> Array:
            u = self.form.scaled(theta, self.points.size, self.points.control)[0]
            u = u * self.frame.scaled_unit(self.form, theta)
            mask = (ends[0] <= u) & (u <= ends[1])
            n_sizes = len(set(self.points.size[mask]))
            if mask.sum() < LEAST_POINTS or n_sizes < 3:
                given = f"{ends[1]:g}" if ends[0] == -ends[1] else f"({ends[0]:g}, {ends[1]:g})"
                raise FitError(
                    f"window={given} leaves {mask.sum()} points of {n_sizes} sizes; "
                    f"at least {LEAST_POINTS} of 3 sizes are needed"
                )
            return np.asarray(mask)

        return Window(inside, lambda mask: self._only(mask)[1])

    def _only(self, mask: Array) -> tuple[Sample, Points]:
        plane = np.zeros(self.sample.mean.shape, dtype=bool)
        plane[tuple(self.places[mask].T)] = True
        sample = only(self.sample, plane)
        return sample, points(sample, self.x, self.frame)[0]

    def problem(self, used: Array, free: Array) -> Problem:
        """The least squares of the used points."""
        sample, chosen = self._only(used)
        return Problem(self.form, chosen, self.places[used], sample, free)


def _task(form: Ansatz, data: xr.DataArray, size: str, control: str, stderr: xr.DataArray | None) -> Task:
    data = data.sortby(control)
    if stderr is not None and control in stderr.coords:
        stderr = stderr.sortby(control)
    x = data[control].to_numpy().astype(float)
    value = value_unit(data.to_numpy().astype(float))
    raw = from_data(data.astype(float) / value, size, None if stderr is None else stderr.astype(float) / abs(value))
    chosen = frame(form, raw, x, value)
    sample = of_logs(raw) if chosen.log else raw
    return Task(form, data, size, control, x, raw, sample, chosen, *points(sample, x, chosen))


def _missing(task: Task) -> tuple[str, float]:
    """The status of data that admit no fit ("" if they do), and the p-value of curves that are flat."""
    known = task.raw.mean[np.isfinite(task.raw.mean)]
    if len(known) and np.ptp(known) == 0:
        return "not_resolved", 1.0
    if len(set(task.points.size)) < 3:
        return "too_few_sizes", np.nan
    if len(task.points.y) < LEAST_POINTS:
        return "no_data", np.nan
    flat = flat_pvalue(task.points, task.places, task.sample)
    return ("not_resolved" if flat > LEVEL else ""), flat


def _f_pvalue(problem: Problem, fit: Inference) -> float:
    """P(so much less is left by the collapse than by one constant for each size, or more), without known errors."""
    y, column = problem.points.y, problem.places[:, 1]
    left = sum(float(((y[column == c] - y[column == c].mean()) ** 2).sum()) for c in np.unique(column))
    gained, more = left - fit.chi2, fit.n_coefficients - len(np.unique(column))
    if gained <= 0 or more < 1:
        return 1.0
    return float(stats.f.sf(gained / more / (fit.chi2 / fit.dof), more, fit.dof)) if fit.chi2 > 0 else 0.0


def _form(ansatz: str, correction: float | str | None, curved: bool) -> Ansatz:
    """The ansatz with its correction and its field."""
    if ansatz not in ANSATZE:
        raise FitError(f"ansatz={ansatz!r} is not one of {', '.join(ANSATZE)}")
    form = ANSATZE[ansatz]
    if curved:
        bent = form.formula.replace("(x - critical)", "(x - critical) (1 + field (x - critical))")
        form = replace(form, params=(*form.params, "field"), formula=bent)
    if correction is None:
        return form
    formula = f"{form.formula}, f(u) + n^(-correction_exponent) g(u) for f(u)"
    if isinstance(correction, str) and correction == "free":
        return replace(form, params=(*form.params, "correction_exponent"), formula=formula)
    if isinstance(correction, str | bool) or not 0 < correction < np.inf:
        raise FitError(f'correction={correction!r} is not None, "free" or a positive exponent omega of n^-omega')
    return replace(form, omega=float(correction), formula=formula.replace("correction_exponent", f"{correction:g}"))


def _checked(
    data: xr.DataArray,
    size: str,
    control: str,
    form: Ansatz,
    fixed: Mapping[str, float],
    window: float | tuple[float, float] | None,
) -> tuple[Ansatz, dict[str, float], tuple[float, float] | None]:
    unknown = [name for name in fixed if name not in form.params]
    if unknown:
        raise FitError(f"fixed={unknown[0]!r} is not a parameter of {form.name!r}, which has {', '.join(form.params)}")
    held = {k: float(v) for k, v in fixed.items()}
    if not all(np.isfinite(v) for v in held.values()):
        raise FitError(f"fixed={dict(fixed)} must hold finite numbers")
    if held.get("nu", 1.0) <= 0:
        raise FitError(f"nu={fixed['nu']} is not positive")
    _check_labels(data, size, control)
    return form, held, _ends(window)


def _check_labels(data: xr.DataArray, size: str, control: str) -> None:
    if not isinstance(data, xr.DataArray):
        raise FitError(f"data must be an xarray.DataArray with dims {size}, {control}, got {type(data).__name__}")
    clash = [name for name in (size, control) if name in _RESERVED]
    if clash:
        raise FitError(f"{clash[0]!r} names a dim of the result: rename that of the data")
    if size == control or set(data.dims) - {"seed"} != {size, control}:
        raise FitError(
            f"the data have dims {', '.join(map(str, data.dims))}; a collapse takes {size}, {control} and perhaps seed"
        )
    if data.dtype.kind not in "fiub":
        raise FitError(f"the data are of dtype {data.dtype}; a collapse takes real numbers")
    if control not in data.coords:
        raise FitError(f"the data have no coordinate {control!r}: a collapse needs the values of the control")
    values = data[control].to_numpy()
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise FitError(f"the coordinate {control!r} must hold finite numbers, got {values.tolist()}")


def _ends(window: float | tuple[float, float] | None) -> tuple[float, float] | None:
    """The ends of a window in u."""
    if window is None:
        return None
    given = np.asarray(window)
    if given.dtype.kind in "fiu" and given.shape in ((), (2,)):
        low, high = (-float(given), float(given)) if given.ndim == 0 else map(float, given)
        if low < high:
            return low, high
    raise FitError(f"window={window!r} must be a positive number or a pair (low, high) of rising numbers")


def _table(task: Task, problem: Problem, found: Minimum, fit: Inference) -> dict[str, Array]:
    """Estimates with their errors and intervals, in the user's units."""
    form, unit = task.form, task.frame.unit(task.form)
    theta = task.frame.shift(form) + unit * found.theta
    free = np.isin(np.arange(len(theta)), problem.free)
    stderr = np.where(free, unit * np.sqrt(np.diag(fit.covariance)), np.nan)
    half = stats.t.ppf((1 + _CONFIDENCE) / 2, fit.t_dof) * stderr
    low, high = theta - half, theta + half
    for j, name in enumerate(form.params):
        if name == "nu" and half[j] >= theta[j]:  # an interval of 1/nu that holds 0
            low[j], high[j] = theta[j] / (1 + half[j] / theta[j]), np.inf
    return {
        "estimate": theta,
        "stderr": stderr,
        "ci_low": low,
        "ci_high": high,
        "pvalue": np.full(len(theta), np.nan),
        "expected": np.full(len(theta), np.nan),
        "t_dof": fit.t_dof,
        "drift": unit * fit.drift,
        "covariance": fit.covariance * np.outer(unit, unit),
    }


def _aicc(chi2: float, n_points: int, n_params: int, known: bool) -> float:
    """The corrected Akaike criterion; an error that is estimated counts as a parameter."""
    p = n_params if known else n_params + 1
    fit = chi2 if known else n_points * np.log(max(chi2, np.finfo(float).tiny) / n_points)
    return float(fit + 2 * p + 2 * p * (p + 1) / (n_points - p - 1)) if n_points - p > 1 else np.nan


def _looks(task: Task, found: Minimum, fit: Inference, table: dict[str, Array]) -> Looks:
    x = task.frame.centre + task.frame.span * task.points.control
    critical, free = float(table["estimate"][0]), np.isfinite(table["stderr"]) | np.isinf(table["stderr"])
    errors = "none" if task.raw.stderr is None else "given" if task.raw.deviations is None else "seeds"
    return Looks(
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


def _label(task: Task, problem: Problem, found: Minimum, fit: Inference, draws: Array | None) -> xr.Dataset:
    form, plane = task.form, (task.control, task.size)
    table = _table(task, problem, found, fit)
    status, message = verdict(_looks(task, found, fit, table))
    known = task.raw.stderr is not None
    chi2_unit = 1.0 if known else task.frame.value**2
    curve_unit = task.frame.curve_unit(form, found.theta)
    master = np.exp(fit.master) if task.frame.log else fit.master
    variables: dict[Hashable, Any] = {name: (("param",), v) for name, v in table.items() if name != "covariance"}
    if draws is not None:
        variables |= _bootstrap_variables(task, draws)
    variables |= {
        "covariance": (("param_i", "param_j"), table["covariance"]),
        "start_chi2": (("start",), found.ends * chi2_unit),
        "master_curve": (("scaled_grid",), master * curve_unit),
        "master_stderr": (("scaled_grid",), fit.master_stderr * abs(curve_unit) * (master if task.frame.log else 1.0)),
        **{name: (plane, values) for name, values in _planes(task, problem, found, fit).items()},
        "chi2": fit.chi2 * chi2_unit,
        "dof": fit.dof,
        "gof_pvalue": fit.gof_pvalue,
        "pattern_pvalue": fit.pattern_pvalue,
        "drift_pvalue": fit.drift_pvalue,
        "nobs": float(len(problem.points.y)),
        "aicc": _aicc(fit.chi2 * chi2_unit, len(problem.points.y), fit.n_coefficients, known),
        "spline_size": float(fit.curve.splines[0].size),
        "n_min": task.raw.sizes[problem.places[:, 1]].min(),
        "converged": found.at_rest,
        "status": np.int8(STATUS[status]),
        "message": message,
    }
    result = xr.Dataset(variables, coords={"scaled_grid": fit.grid * task.frame.scaled_unit(form, found.theta)})
    return _described(task, result)


def _bootstrap_variables(task: Task, draws: Array) -> dict[Hashable, Any]:
    own = task.frame.shift(task.form) + task.frame.unit(task.form) * draws
    low, high = np.quantile(own, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2], axis=0)
    named = {"bootstrap_stderr": own.std(axis=0, ddof=1), "bootstrap_low": low, "bootstrap_high": high}
    return {name: (("param",), values) for name, values in named.items()}


_EMPTY = ("estimate", "stderr", "ci_low", "ci_high", "pvalue", "expected", "t_dof", "drift")
_EMPTY_SCALARS = ("chi2", "dof", "gof_pvalue", "pattern_pvalue", "drift_pvalue", "aicc", "spline_size", "n_min")


def _empty(task: Task, name: str) -> xr.Dataset:
    """The result where there is no honest number."""
    n_params, value = len(task.form.params), task.frame.value
    variables: dict[Hashable, Any] = {v: (("param",), np.full(n_params, np.nan)) for v in _EMPTY}
    variables["covariance"] = (("param_i", "param_j"), np.full((n_params, n_params), np.nan))
    variables |= dict.fromkeys(_EMPTY_SCALARS, np.nan)
    errors = np.full(task.raw.mean.shape, np.nan) if task.raw.stderr is None else task.raw.stderr * abs(value)
    planes = {"data": task.raw.mean * value, "data_stderr": errors, "used": np.zeros(errors.shape, dtype=bool)}
    variables |= {v: ((task.control, task.size), values) for v, values in planes.items()}
    status = np.int8(STATUS[name])
    words = _FLAT if name == "not_resolved" else messages(np.array(status)).item()
    variables |= {"nobs": 0.0, "converged": False, "status": status, "message": words}
    return _described(task, xr.Dataset(variables))


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


def _described(task: Task, result: xr.Dataset) -> xr.Dataset:
    """Labels, names and units: those of the control and of the data are kept."""
    names, own = list(task.form.params), str(task.data[task.control].attrs.get("units", "1"))
    inverse = "1" if own == "1" else f"({own})-1"
    units = ["1" if name in ("nu", "zeta", "correction_exponent") else own for name in names]
    units = [inverse if name == "field" else unit for name, unit in zip(names, units, strict=True)]
    result = result.assign_coords(
        {
            "param": names,
            "param_i": names,
            "param_j": names,
            "param_units": ("param", units),
            task.control: (task.control, task.x, dict(task.data[task.control].attrs)),
            task.size: (task.size, task.raw.sizes, dict(task.data[task.size].attrs)),
        }
    )
    of_data = str(task.data.attrs.get("units", "1"))
    for label in ("data", "data_stderr", "fitted", "scaled_data", "scaled_stderr", "master_curve", "master_stderr"):
        if label in result:
            result[label].attrs["units"] = of_data
    if "scaled_control" in result:
        result["scaled_control"].attrs["units"] = own
    result.attrs["law"] = task.form.formula
    result = describe(result, quantity=str(task.data.name or "the data"))
    for name, variable in result.data_vars.items():
        if str(name) in _LONG_NAMES:
            variable.attrs["long_name"] = _LONG_NAMES[str(name)]
        if "param" in variable.dims or "param_i" in variable.dims:
            variable.attrs["units"] = units[0] if len(set(units)) == 1 else "1"
    if len(set(units)) > 1:
        for label in ("estimate", "stderr", "ci_low", "ci_high", "covariance", "drift"):
            result[label].attrs.pop("units", None)
    return result
