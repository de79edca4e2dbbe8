"""Data collapse: the scaling variables at which curves of all sizes fall on one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.scaling.collapse_inference import Reading, bootstrap, infer
from spikecube.scaling.collapse_inputs import Wishes, ansatz_of, asked
from spikecube.scaling.collapse_linear import UsedPoints, enough, linearised
from spikecube.scaling.collapse_quality import flat_pvalue, judge
from spikecube.scaling.collapse_result import empty_collapse, labelled_collapse
from spikecube.scaling.collapse_scan import scan
from spikecube.scaling.collapse_search import SearchEnd, Window, search
from spikecube.scaling.collapse_task import Stage, task_of
from spikecube.scaling.inputs import as_generator
from spikecube.scaling.types import Array
from spikecube.scaling.verdict import REJECTED

_WEIGHINGS = 2  # of observables by their scatter
_SHARINGS = 2  # readings of what points share
_LEAST = 1e-300

_MOVED = 1e-4  # level at which curves without errors move: the best of many collapses of noise passes a milder one


def collapse(
    data: xr.DataArray | xr.Dataset | Mapping[str, xr.DataArray],
    size: str = "n",
    control: str = "alpha",
    ansatz: str = "power",
    stderr: xr.DataArray | float | xr.Dataset | Mapping[str, xr.DataArray] | None = None,
    fixed: Mapping[str, float] | None = None,
    window: float | tuple[float, float] | str | None = None,
    correction: float | str | None = None,
    curved: bool = False,
    rng: Any = None,
    expected: Mapping[str, float] | None = None,
    covariance: xr.DataArray | Array | None = None,
    shared: str | None = None,
    zeros: str = "refuse",
) -> xr.Dataset:
    """Find the parameters for which curves of all sizes collapse on one smooth master curve f.

    ``"power"``: y = n^{zeta/nu} f((x - critical) n^{1/nu}), params critical, nu, zeta;
    ``"log"``: y = f((x - critical) ln n), param critical (a spike leaves the bulk this way).

    f is a cubic regression spline with one coefficient for every five points (6 to 40; a size chosen by looking at the
    data would spoil the test of the collapse); for given parameters it is a linear fit, and residuals are those of y
    itself, so that no trivial rescaling lowers them. At the estimate the slopes in the parameters, at a frugal spline,
    find nothing in them. Positive values known to a third that span more than four decades are fitted by their
    logarithms. The best of a coarse grid are starting points of a descent; at its end statsmodels' regression on the
    B-splines of its GAMs gives the curve and the sum of squares. Units and zero of the control, the unit of y, that of
    the sizes (with "power") and the order of labels change nothing.

    `status` and `message` name every doubt: a collapse rejected by its errors, errors that are too large or shared,
    neighbouring residuals that go together, parameters that move when the smallest size is left out, a critical value
    outside the control, an open interval, a window that does not settle; and that nothing was tested without errors.
    Curves that do not move along the control beyond their errors get no estimate.

    Parameters
    ----------
    data : dims `size`, `control` and perhaps `seed`; NaN where the grid is ragged. A mapping or Dataset of several
        observables shares critical and nu; each has its zeta (zeta_m of m) and its curve.
    stderr : known errors (no `seed` then), by name for several observables; without any all points weigh the same.
    fixed : parameters held at a value, by name.
    window : use only points with low <= u <= high, u the scaled control at the final parameters; w stands for (-w, w).
        "auto" scans windows and smallest sizes, reports all of them (`scan_*`), and its intervals hold those of every
        choice that no test rejects.
    correction : omega > 0 or "free" (a parameter correction_exponent): f(u) + n^{-omega} g(u) stands for f(u), g a
        spline with half of the coefficients (5 to 20).
    curved : a parameter field bends the control, u = (x - critical) (1 + field (x - critical)) n^{1/nu}.
    rng : anything `numpy.random.default_rng` takes: gives a bootstrap over seeds (whole curves at each size; over the
        known errors with `stderr`).
    expected : values of parameters, by name, that `pvalue` tests; others have none.
    covariance : of the errors at each size, dims {control}_i, {control}_j and perhaps `size`; an array for all sizes.
    zeros : "drop" leaves out points whose error is zero, which are refused otherwise.
    shared : the name of `size` where one run serves all controls of a size: what its points share is read off them.

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
    want = asked(
        data,
        size,
        control,
        ansatz_of(ansatz, correction, curved),
        stderr=stderr,
        covariance=covariance,
        shared=shared,
        fixed={} if fixed is None else fixed,
        window=window,
        expected={} if expected is None else expected,
    )
    task, random = task_of(want.form, want.data, size, control, want.stderr, want.covariance, zeros), as_generator(rng)
    missing, flat = _missing(task)
    if missing:
        return empty_collapse(task, missing, want.expected)
    free = np.array([i for i, name in enumerate(want.form.params) if name not in want.held], dtype=int)
    task, found = _minimum(task, want, free, shared=shared is not None)
    return _finished(task, found, want, free, random, tested=not np.isnan(flat))


def _finished(
    task: Stage, found: SearchEnd, want: Wishes, free: Array, random: np.random.Generator | None, *, tested: bool
) -> xr.Dataset:
    """What follows from a minimum; `tested` says whether errors told that the curves move along the control."""
    chosen = scan(task, found, free, want.expected) if want.ends == "auto" else None
    if chosen is not None:
        found = replace(found, theta=chosen.best.theta, used=chosen.best.used, at_rest=chosen.best.rest)
    problem = task.problem(found.used, free)
    fit = infer(problem, found.theta)
    if not tested and _f_pvalue(problem, fit) > _MOVED:
        return empty_collapse(task, "not_resolved", want.expected)
    draws = None if random is None else bootstrap(problem, found.theta, random)
    return labelled_collapse(task, problem, found, fit, want.expected, draws, chosen)


def _minimum(task: Stage, want: Wishes, free: Array, *, shared: bool) -> tuple[Stage, SearchEnd]:
    """The minimum; several observables without errors weigh by their scatter, which the first minimum shows.

    What points of one size share (`shared`) the residuals at it show.
    """
    inner = task.frame.inward(task.form, want.held)
    found = search(task.form, task.points, inner, free, _window(task, want))
    for _ in range(_WEIGHINGS if task.raw.stderr is None and len(task.data) > 1 else 0):
        quality = judge(problem := task.problem(found.used, free), linearised(problem, found.theta))
        task = task.weighing(task.weight * quality.dof / np.maximum(quality.chi2, _LEAST), None)
        found = search(task.form, task.points, inner, free, _window(task, want))
    for _ in range(_SHARINGS if shared else 0):
        task = task.sharing_at(found, free)
        found = search(task.form, task.points, {}, free, _window(task, want), near=found.theta)
    return task, found


def _window(task: Stage, want: Wishes) -> Window | None:
    """The window that was asked for, if it is given by its ends."""
    return task.window(want.ends) if isinstance(want.ends, tuple) else None


def _missing(task: Stage) -> tuple[str, float]:
    """The status of data that admit no fit ("" if they do), and the p-value of curves that are flat."""
    parts = task.raw.mean.reshape(task.plane[0], -1)
    known = [part[np.isfinite(part)] for part in parts]
    if any(len(values) and np.ptp(values) == 0 for values in known):
        return "not_resolved", 1.0
    every = np.ones(len(task.points.y), dtype=bool)
    if any(len(set(task.points.size[task.points.parts == k])) < 3 for k in range(len(parts))):
        return "too_few_sizes", np.nan
    if not enough(task.points, every):
        return "no_data", np.nan
    flat = flat_pvalue(task.points, task.places, task.sample)
    return ("not_resolved" if flat > REJECTED else ""), flat


def _f_pvalue(problem: UsedPoints, fit: Reading) -> float:
    """P(so much less is left by the collapse than by one constant for each size, or more), without known errors."""
    points = problem.points
    y, level = points.white(points.y), points.parts * (problem.places[:, 1].max() + 1) + problem.places[:, 1]
    left = sum(float(((y[level == c] - y[level == c].mean()) ** 2).sum()) for c in np.unique(level))
    chi2, dof, _ = fit.quality.joint
    gained, more = left - chi2, len(y) - dof - len(np.unique(level))
    if gained <= 0 or more < 1:
        return 1.0
    return float(stats.f.sf(gained / more / (chi2 / dof), more, dof)) if chi2 > 0 else 0.0
