"""Data collapse: the scaling variables at which curves of all sizes fall on one line."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.scaling.arrays import Array, FitError
from spikecube.scaling.master_curve import ANSATZE, Ansatz, Points, Spline, descend, reduce, slopes
from spikecube.scaling.regression import regression_spline
from spikecube.scaling.results import STATUS, describe, messages
from spikecube.scaling.samples import Sample, from_data, resample
from spikecube.scaling.shared_draws import (
    SharedDraws,
    collapse_test,
    parameter_covariance,
    smooth_plane,
    smoothing_matrix,
)

_STARTS = 5
_COARSE = 250  # points of the coarse search
_COARSE_BASIS = 8
_BASES = (6, 8, 10, 12, 16, 20, 24, 32, 40)
_POINTS_EACH = 5  # points for each coefficient of the spline
_LEAST_POINTS = 24
_RESAMPLES = 200
_POOR = 0.01
_LEVEL = 0.95


def collapse(
    data: xr.DataArray,
    size: str = "n",
    control: str = "alpha",
    ansatz: str = "power",
    stderr: xr.DataArray | None = None,
    fixed: Mapping[str, float] | None = None,
    window: float | None = None,
    rng: np.random.Generator | None = None,
) -> xr.Dataset:
    """Find the parameters for which curves of all sizes collapse on one smooth master curve f.

    ``"power"``: y = n^{zeta/nu} f((x - critical) n^{1/nu}), params critical, nu, zeta;
    ``"log"``: y = f((x - critical) ln n), param critical (a spike leaves the bulk this way).

    f is a cubic regression spline with one coefficient for every five points (6 to 40; a size chosen by looking at the
    data would spoil the test of the collapse); for given parameters it is a linear fit, and the weighted sum of squares
    of y itself is what is minimised, so that no trivial rescaling lowers it. The best of a coarse grid are starting
    points of a descent; at its end statsmodels' regression on the B-splines of its GAMs gives the curve and the sum of
    squares. A run whose curves do not collapse within their errors, or whose starts disagree, says so in its status.

    Parameters
    ----------
    data : dims `size`, `control` and perhaps `seed`; NaN where the grid is ragged.
    stderr : known errors (no `seed` then); without any, all points weigh the same and nothing is tested.
    fixed : parameters held at a value, by name.
    window : use only points with |u| up to this, u the scaled control at the parameters found.
    rng : gives a bootstrap over seeds (whole curves at each size; over the known errors with `stderr`).

    Returns
    -------
    xr.Dataset
        As in `fit_power_law`, and for plots scaled_control, scaled_data, scaled_stderr, residual (size, control) and
        master_curve, master_stderr over `scaled_grid`. `start_chi2`: where the three best starts ended, with a
        frugal spline.

    Raises
    ------
    ValueError
        If a dim, an ansatz or a parameter is not one of those allowed.

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
    form, held = _checked(data, size, control, ansatz, fixed or {})
    sample = from_data(data, size, stderr)
    points, place = _points(sample, data, control)
    free = np.array([i for i, name in enumerate(form.params) if name not in held], dtype=int)
    if len(set(points.size)) < 3 or len(points.y) < _LEAST_POINTS:
        return _empty(form, data, size, control, len(set(points.size)))
    starts = _starts(form, points, held)
    theta, ends = _descents(form, points, starts, free)
    if window is not None:
        points, place = _points(sample, data, control, _inside(form, theta, points, place, window, sample.mean.shape))
        theta, ends = _descents(form, points, [theta, *starts], free)
    settled = sum(cost < ends.min() * (1 + 1e-3) + 1e-12 for cost in ends)
    table, coefficients = _infer(form, points, place, sample, theta, free)
    poor = bool(table["gof_pvalue"] < _POOR) or (len(free) > 0 and settled < 2)
    table |= {"status": np.int8(STATUS["poor_minimum" if poor else "ok"]), "start_chi2": ends, "converged": True}
    if rng is not None and sample.stderr is not None:
        table |= _bootstrap(form, points, place, sample, theta, free, rng)
    return _label(form, data, size, control, sample, theta, points, coefficients, table)


def _checked(
    data: xr.DataArray, size: str, control: str, ansatz: str, fixed: Mapping[str, float]
) -> tuple[Ansatz, dict[str, float]]:
    if ansatz not in ANSATZE:
        raise FitError(f"ansatz={ansatz!r} is not one of {', '.join(ANSATZE)}")
    form = ANSATZE[ansatz]
    unknown = [name for name in fixed if name not in form.params]
    if unknown:
        raise FitError(f"fixed={unknown[0]!r} is not a parameter of {ansatz!r}, which has {', '.join(form.params)}")
    others = set(data.dims) - {size, control, "seed"}
    missing = {size, control} - set(data.dims)
    if others or missing:
        raise FitError(
            f"the data have dims {', '.join(map(str, data.dims))}; a collapse takes {size}, {control} and perhaps seed"
        )
    if fixed.get("nu", 1.0) <= 0:
        raise FitError(f"nu={fixed['nu']} is not positive")
    return form, {k: float(v) for k, v in fixed.items()}


def _points(sample: Sample, data: xr.DataArray, control: str, among: Array | None = None) -> tuple[Points, Array]:
    """All points with a value (and an error, if there are any), and their places (control, size) in the sample."""
    fine = np.isfinite(sample.mean)
    if among is not None:
        fine &= among
    weight = np.ones(sample.mean.shape)
    if sample.stderr is not None:
        fine &= np.isfinite(sample.stderr) & (sample.stderr > 0)
        weight = 1 / np.where(fine, smooth_plane(sample, fine), 1.0)
    place = np.argwhere(fine)
    x = data[control].to_numpy().astype(float)
    row, column = place.T
    return Points(sample.sizes[column], x[row], sample.mean[fine], weight[fine]), place


def _grid(form: Ansatz, points: Points, held: dict[str, float]) -> list[Array]:
    """Coarse parameters to start from."""
    low, high = np.quantile(points.control, [0.05, 0.95])
    axes = {
        "critical": np.linspace(low, high, 15 if form.name == "log" else 9),
        "nu": np.array([0.4, 0.7, 1.0, 1.6, 2.5]),
        "zeta": np.array([-1.0, -0.4, 0.0, 0.4, 1.0]),
    }
    chosen = [np.array([held[name]]) if name in held else axes[name] for name in form.params]
    return list(np.stack([a.ravel() for a in np.meshgrid(*chosen, indexing="ij")], axis=1))


def _starts(form: Ansatz, points: Points, held: dict[str, float]) -> list[Array]:
    """The best of the grid, on a thinned set of points."""
    thinned = points.keep(np.arange(len(points.y)) % max(len(points.y) // _COARSE, 1) == 0)
    return sorted(_grid(form, points, held), key=lambda t: reduce(form, thinned, t, _COARSE_BASIS).cost)[:_STARTS]


def _inside(form: Ansatz, theta: Array, points: Points, place: Array, window: float, shape: tuple[int, ...]) -> Array:
    """Mask (control, size) of the points whose scaled control is inside the window."""
    u, _ = form.scaled(theta, points.size, points.control)
    chosen = place[np.abs(u) <= window]
    if len(chosen) < _LEAST_POINTS:
        raise FitError(f"window={window} leaves {len(chosen)} points; at least {_LEAST_POINTS} are needed")
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(chosen.T)] = True
    return mask


def _descents(form: Ansatz, points: Points, starts: list[Array], free: Array) -> tuple[Array, Array]:
    """The best end of all starts, and where the three best of them ended.

    All start with a small spline, the three best go on with a frugal one, and the best of these with the full one. A
    rich spline through noise has many poor minima; a descent that begins in the right one stays there.
    """
    if not len(free):
        return starts[0], np.zeros(1)
    found = sorted((descend(form, points, start, _COARSE_BASIS, free) for start in starts), key=lambda f: f[1])
    n_basis = _frugal_size(form, points, found[0][0])
    again = sorted((descend(form, points, start, n_basis, free) for start, _, _ in found[:3]), key=lambda f: f[1])
    theta = descend(form, points, again[0][0], _spline_size(points), free)[0]
    return theta, np.array([f[1] for f in again])


def _frugal_size(form: Ansatz, points: Points, theta: Array) -> int:
    """The number of coefficients with the least corrected Akaike criterion, at most that of the full spline."""
    n_points = len(points.y)

    def aicc(n_basis: int) -> float:
        p = n_basis + len(form.params) + 1
        cost = max(reduce(form, points, theta, n_basis).cost, np.finfo(float).tiny)
        return float(n_points * np.log(cost / n_points) + 2 * p + 2 * p * (p + 1) / max(n_points - p - 1, 1e-9))

    return min((b for b in _BASES if b <= _spline_size(points)), key=aicc)


def _spline_size(points: Points) -> int:
    """Coefficients of the spline: a rule that does not look at the data, so that it costs no test its level."""
    return int(np.clip(len(points.y) // _POINTS_EACH, _BASES[0], _BASES[-1]))


def _design(form: Ansatz, points: Points, theta: Array, free: Array) -> Array:
    """Slopes of the model n^{zeta/nu} f(u), weighted, in parameters then coefficients of the spline.

    Those in the parameters are taken from the frugal spline: the full one follows the noise, and the square of its
    noisy slope promises more than the data know. What they share with a shift or a stretch of u, f'(u) and u f'(u), is
    taken out: another f would do the same.
    """
    u, prefactor = form.scaled(theta, points.size, points.control)
    weight = (np.sqrt(points.weight) * prefactor)[:, None]
    basis = weight * Spline.through(u, _spline_size(points)).basis(u)
    by_theta, by_u = slopes(form, points, theta, _frugal_size(form, points, theta), free)
    shared = np.concatenate([basis, by_u[:, None] * np.stack([np.ones_like(u), u], axis=1)], axis=1)
    own = by_theta - shared @ (np.linalg.pinv(shared) @ by_theta)
    return np.concatenate([own, basis], axis=1)


def _infer(
    form: Ansatz, points: Points, place: Array, sample: Sample, theta: Array, free: Array
) -> tuple[dict[str, Any], Array]:
    """Covariance of parameters and curve and the test of the collapse, at the optimum; the curve's coefficients."""
    u, prefactor = form.scaled(theta, points.size, points.control)
    spline = Spline.through(u, _spline_size(points))
    coefficients, chi2 = regression_spline(u, points.y / prefactor, points.weight * prefactor**2, spline.knots)
    response, fitted = _pseudo_inverse(_design(form, points, theta, free))
    n_free, n_params, dof = len(free), len(form.params), len(points.y) - fitted.shape[1]
    if sample.deviations is None:
        scale = 1.0 if sample.stderr is not None else chi2 / max(dof, 1)
        covariance, t_dof = scale * response[:n_free] @ response[:n_free].T, np.full(n_free, np.inf)
        gof = np.nan if sample.stderr is None else float(stats.chi2.sf(chi2, dof))
        spread = scale * response[n_free:]
    else:
        draws = _draws(points, place, sample)
        covariance, t_dof = parameter_covariance(response[:n_free], fitted, draws)
        gof = collapse_test(chi2, fitted, draws)
        spread = draws.times(response[n_free:])
    wide, wide_dof = np.zeros((n_params, n_params)), np.full(n_params, np.inf)
    wide[np.ix_(free, free)], wide_dof[free] = covariance, t_dof
    stderr = np.where(np.isin(np.arange(n_params), free), np.sqrt(np.diag(wide)), np.nan)
    half = stats.t.ppf((1 + _LEVEL) / 2, wide_dof) * stderr
    grid = np.linspace(u.min(), u.max(), 200)
    basis = spline.basis(grid)
    table = {
        "estimate": theta,
        "stderr": stderr,
        "ci_low": theta - half,
        "ci_high": theta + half,
        "t_dof": wide_dof,
        "covariance": wide,
        "chi2": chi2,
        "dof": float(dof),
        "gof_pvalue": gof,
        "nobs": float(len(points.y)),
        "aicc": chi2 + 2 * fitted.shape[1],
        "spline_size": float(len(coefficients)),
        "scaled_grid": grid,
        "master_curve": basis @ coefficients,
        "master_stderr": np.sqrt(np.einsum("gp,pq,gq->g", basis, spread @ response[n_free:].T, basis, optimize=True)),
    }
    return table, coefficients


def _pseudo_inverse(design: Array) -> tuple[Array, Array]:
    """The pseudo-inverse (p, P) of a design, of columns of any length, and an orthonormal basis of its range."""
    size = np.linalg.norm(design, axis=0)
    size = np.where(size > 0, size, 1.0)
    left, values, right = np.linalg.svd(design / size, full_matrices=False)
    good = values > 1e-12 * values[0]
    return (right[good].T / values[good]) @ left[:, good].T / size[:, None], left[:, good]


def _draws(points: Points, place: Array, sample: Sample) -> SharedDraws:
    """The covariance of the weighted points from their seeds."""
    assert sample.deviations is not None
    weight, groups, dof = np.sqrt(points.weight), [], []
    covariance = np.zeros((len(weight), len(weight)))
    for column in np.unique(place[:, 1]):
        rows = np.flatnonzero(place[:, 1] == column)
        deviations = sample.deviations[place[rows, 0], column]
        count = np.maximum(np.isfinite(deviations).sum(-1, keepdims=True), 1)
        root = weight[rows, None] * np.nan_to_num(deviations) / count
        covariance[np.ix_(rows, rows)] = root @ root.T
        groups.append(rows)
        dof.append(float(np.nanmin(sample.dof[place[rows, 0], column])))
    return SharedDraws(tuple(groups), covariance, np.array(dof), smoothing_matrix(sample, place))


def _bootstrap(
    form: Ansatz,
    points: Points,
    place: Array,
    sample: Sample,
    theta: Array,
    free: Array,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Descents from the optimum after resampling seeds at each size (or normal errors where only those are known)."""
    assert sample.stderr is not None
    if sample.deviations is None:
        noise = rng.standard_normal((_RESAMPLES, *sample.mean.shape)) * sample.stderr
    else:
        noise = resample(sample.deviations, sample.stderr, rng, _RESAMPLES)
    draws = np.tile(theta, (_RESAMPLES, 1))
    for b in range(_RESAMPLES if len(free) else 0):
        moved = Points(points.size, points.control, points.y + noise[b, place[:, 0], place[:, 1]], points.weight)
        draws[b] = descend(form, moved, theta, _spline_size(points), free, iterations=6)[0]
    low, high = np.quantile(draws, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], axis=0)
    return {"bootstrap_stderr": draws.std(axis=0, ddof=1), "bootstrap_low": low, "bootstrap_high": high}


def _empty(form: Ansatz, data: xr.DataArray, size: str, control: str, n_sizes: int) -> xr.Dataset:
    nothing = np.full(len(form.params), np.nan)
    names = ("estimate", "stderr", "ci_low", "ci_high")
    result = xr.Dataset(dict.fromkeys(names, ("param", nothing)), coords={"param": list(form.params)})
    status = STATUS["too_few_sizes" if n_sizes < 3 else "no_data"]
    result["status"], result["converged"] = np.int8(status), False
    result["message"] = (), messages(np.array(status))
    return describe(result, quantity=str(data.name or "the data"))


def _label(
    form: Ansatz,
    data: xr.DataArray,
    size: str,
    control: str,
    sample: Sample,
    theta: Array,
    points: Points,
    coefficients: Array,
    table: dict[str, Any],
) -> xr.Dataset:
    dims: dict[str, tuple[str, ...]] = {"covariance": ("param_i", "param_j"), "start_chi2": ("start",)}
    dims |= dict.fromkeys(("master_curve", "master_stderr", "scaled_grid"), ("scaled_grid",))
    scalars = ("chi2", "dof", "gof_pvalue", "nobs", "aicc", "spline_size", "status", "converged")
    params: dict[Hashable, Any] = {name: list(form.params) for name in ("param", "param_i", "param_j")}
    x = data[control].to_numpy().astype(float)
    plane = (control, size)
    u, prefactor = form.scaled(theta, sample.sizes[None, :] * np.ones((len(x), 1)), x[:, None])
    stderr = np.full(sample.mean.shape, np.nan) if sample.stderr is None else sample.stderr
    spline = Spline.through(form.scaled(theta, points.size, points.control)[0], len(coefficients))
    fitted = prefactor * (spline.basis(u.ravel()) @ coefficients).reshape(u.shape)
    variables = {k: (() if k in scalars else dims.get(k, ("param",)), v) for k, v in table.items()}
    grid = variables.pop("scaled_grid")
    variables |= {
        "message": ((), messages(np.asarray(table["status"]))),
        "scaled_control": (plane, np.where(np.isfinite(sample.mean), u, np.nan)),
        "scaled_data": (plane, sample.mean / prefactor),
        "scaled_stderr": (plane, stderr / prefactor),
        "residual": (plane, (sample.mean - fitted) / stderr),
        "n_min": ((), points.size.min()),
    }
    result = xr.Dataset(variables, coords=params | {control: x, size: sample.sizes, "scaled_grid": grid})
    result.attrs["law"] = form.formula
    return describe(result, quantity=str(data.name or "the data"))
