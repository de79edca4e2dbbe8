"""Data collapse: the scaling variables at which curves of all sizes fall on one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.scaling.arrays import Array, FitError
from spikecube.scaling.master_curve import ANSATZE, Ansatz, Points, Spline, descend, jacobian, reduce
from spikecube.scaling.regression import satterthwaite
from spikecube.scaling.results import STATUS, describe, messages
from spikecube.scaling.samples import Sample, from_data, resample, smooth_variance

_STARTS = 5
_COARSE = 250  # points of the coarse search
_BASES = (6, 8, 10, 12, 16, 20, 24, 32, 40)
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

    f is a cubic spline whose size is chosen by the corrected Akaike criterion; for given parameters it is a linear fit,
    and the weighted sum of squares of y itself is what is minimised, so that no trivial rescaling lowers it. The
    best of a coarse grid are starting points of a descent; a run whose curves do not collapse within their errors, or
    whose starts disagree, says so in its status.

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
        master_curve over `scaled_grid`. `start_chi2`: where each start ended.

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
    if len(set(points.size)) < 3 or len(points.y) < 4 * _BASES[0]:
        return _empty(form, data, size, control, len(set(points.size)))
    theta, n_basis, ends, points, place = _search(form, points, place, held, free, window)
    settled = sum(cost < ends.min() * (1 + 1e-3) + 1e-12 for cost in ends)
    table = _infer(form, points, place, sample, theta, n_basis, free)
    poor = bool(table["gof_pvalue"] < _POOR) or (len(free) > 0 and settled < 2)
    table |= {"status": np.int8(STATUS["poor_minimum" if poor else "ok"]), "start_chi2": ends, "converged": True}
    if rng is not None and sample.stderr is not None:
        table |= _bootstrap(form, points, place, sample, theta, n_basis, free, rng)
    return _label(form, data, size, control, sample, theta, n_basis, points, table)


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


def _points(sample: Sample, data: xr.DataArray, control: str) -> tuple[Points, Array]:
    """All points with a value (and an error, if there are any), and their places (control, size) in the sample."""
    fine = np.isfinite(sample.mean)
    weight = np.ones(sample.mean.shape)
    if sample.stderr is not None:
        fine &= np.isfinite(sample.stderr) & (sample.stderr > 0)
        weight = 1 / np.where(fine, _smooth(sample, fine), 1.0)
    place = np.argwhere(fine)
    x = data[control].to_numpy().astype(float)
    row, column = place.T
    return Points(sample.sizes[column], x[row], sample.mean[fine], weight[fine]), place


def _smooth(sample: Sample, fine: Array) -> Array:
    """Variances read off a line in log n and averaged along the control: those of few seeds weigh points by chance.

    At one size all points share their seeds, so that an average along the control alone would smooth nothing.
    """
    assert sample.stderr is not None
    if not np.isfinite(sample.dof[fine]).all():
        return np.asarray(sample.stderr**2)
    kernel = np.exp(-0.5 * (np.subtract.outer(np.arange(len(fine)), np.arange(len(fine))) / 1.5) ** 2)
    along_n = smooth_variance(sample.sizes, np.where(fine, sample.stderr**2, np.nan), sample.dof)
    return np.asarray((kernel @ np.where(fine, along_n, 0.0)) / np.maximum(kernel @ fine, 1e-300))


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


def _search(
    form: Ansatz, points: Points, place: Array, held: dict[str, float], free: Array, window: float | None
) -> tuple[Array, int, Array, Points, Array]:
    """Grid (on a thinned set of points), descents; with a window, once more inside it."""
    thinned = points.keep(np.arange(len(points.y)) % max(len(points.y) // _COARSE, 1) == 0)
    starts = sorted(_grid(form, points, held), key=lambda t: reduce(form, thinned, t, _BASES[1]).cost)[:_STARTS]
    theta, n_basis, ends = _descents(form, points, starts, free)
    if window is not None:
        u, _ = form.scaled(theta, points.size, points.control)
        inside = np.abs(u) <= window
        if inside.sum() < 4 * _BASES[0]:
            raise FitError(f"window={window} leaves {int(inside.sum())} points; at least {4 * _BASES[0]} are needed")
        points, place = points.keep(inside), place[inside]
        theta, n_basis, ends = _descents(form, points, [theta, *starts], free)
    return theta, n_basis, ends, points, place


def _descents(form: Ansatz, points: Points, starts: list[Array], free: Array) -> tuple[Array, int, Array]:
    """Every start with a small spline, the three best of them with one of the right size; and where these ended."""
    if not len(free):
        return starts[0], _best_size(form, points, starts[0]), np.zeros(1)
    found = sorted((descend(form, points, start, _BASES[1], free) for start in starts), key=lambda f: f[1])
    n_basis = _best_size(form, points, found[0][0])
    theta = descend(form, points, found[0][0], n_basis, free)[0]
    n_basis = _best_size(form, points, theta)
    again = [descend(form, points, start, n_basis, free) for start in (theta, found[1][0], found[2][0])]
    return min(again, key=lambda f: f[1])[0], n_basis, np.array([f[1] for f in again])


def _best_size(form: Ansatz, points: Points, theta: Array) -> int:
    """The number of spline coefficients one step above the one with the least corrected Akaike criterion.

    The best trade of bias and noise keeps a bias that a test of fit can see; one step further it is gone.
    """
    n_points = len(points.y)
    sizes = [b for b in _BASES if 4 * b <= n_points]

    def aicc(n_basis: int) -> float:
        p = n_basis + len(form.params) + 1
        cost = max(reduce(form, points, theta, n_basis).cost, np.finfo(float).tiny)
        return float(n_points * np.log(cost / n_points) + 2 * p + 2 * p * (p + 1) / max(n_points - p - 1, 1e-9))

    best = min(range(len(sizes)), key=lambda i: aicc(sizes[i]))
    return sizes[min(best + 1, len(sizes) - 1)]


def _design(form: Ansatz, points: Points, theta: Array, n_basis: int, free: Array) -> tuple[Array, Array]:
    """Slopes of the model n^{zeta/nu} f(u), weighted, in parameters then coefficients; and the weighted residuals."""
    u, prefactor = form.scaled(theta, points.size, points.control)
    basis = (np.sqrt(points.weight) * prefactor)[:, None] * Spline.through(u, n_basis).basis(u)
    slopes = -jacobian(form, points, theta, n_basis, free) if len(free) else np.empty((len(u), 0))
    return np.concatenate([slopes, basis], axis=1), reduce(form, points, theta, n_basis).residual


def _infer(
    form: Ansatz, points: Points, place: Array, sample: Sample, theta: Array, n_basis: int, free: Array
) -> dict[str, Any]:
    """Sandwich covariance with the covariance that shared draws induce along the control, and the test of collapse."""
    design, residual = _design(form, points, theta, n_basis, free)
    size = np.linalg.norm(design, axis=0)
    size = np.where(size > 0, size, 1.0)
    inverse = np.linalg.pinv(design / size)
    hat = design / size @ inverse
    pull = (inverse / size[:, None])[: len(free)]
    blocks = _blocks(points, place, sample, residual, design.shape[1])
    shares = np.array([(pull[:, rows] @ root) @ (pull[:, rows] @ root).T for rows, root, _ in blocks])
    covariance = shares.sum(0)
    n_params = len(form.params)
    wide = np.zeros((n_params, n_params))
    wide[np.ix_(free, free)] = covariance
    stderr = np.where(np.isin(np.arange(n_params), free), np.sqrt(np.diag(wide)), np.nan)
    chi2, dof = float(residual @ residual), len(residual) - design.shape[1]
    t_dof = np.full(n_params, np.inf)
    own = np.einsum("bpp->bp", shares)
    t_dof[free] = satterthwaite(own.T, np.array([d for _, _, d in blocks]))
    half = stats.t.ppf((1 + _LEVEL) / 2, t_dof) * stderr
    return {
        "estimate": theta,
        "stderr": stderr,
        "ci_low": theta - half,
        "ci_high": theta + half,
        "t_dof": t_dof,
        "covariance": wide,
        "chi2": chi2,
        "dof": float(dof),
        "gof_pvalue": np.nan if sample.stderr is None else collapse_test(chi2, np.eye(len(hat)) - hat, blocks),
        "nobs": float(len(residual)),
        "aicc": chi2 + 2 * design.shape[1],
    }


Block = tuple[Array, Array, float]


def _blocks(points: Points, place: Array, sample: Sample, residual: Array, n_fitted: int) -> list[Block]:
    """Independent groups of weighted points: their rows, a root R of their covariance R R^T, its degrees of freedom.

    With seeds the points of one size are a group; with known errors, or none (their size then comes from the
    residuals), each point is one.
    """
    weight = np.sqrt(points.weight)
    if sample.deviations is None or sample.stderr is None:
        sigma = np.full(len(weight), np.sqrt(residual @ residual / max(len(residual) - n_fitted, 1)))
        if sample.stderr is not None:
            sigma = weight * sample.stderr[place[:, 0], place[:, 1]]
        return [(np.arange(len(weight)), np.diag(sigma), np.inf)]
    found = []
    for column in np.unique(place[:, 1]):
        rows = np.flatnonzero(place[:, 1] == column)
        deviations = np.nan_to_num(sample.deviations[place[rows, 0], column])
        count = np.maximum((deviations != 0).sum(-1, keepdims=True), 1)
        dof = float(np.nanmin(sample.dof[place[rows, 0], column]))
        found.append((rows, weight[rows, None] * deviations / count, dof))
    return found


def collapse_test(chi2: float, annihilator: Array, blocks: list[Block]) -> float:
    """P(chi2 or more) for r = M e, Cov e = V block by block, by Box's F approximation.

    chi2/tr(MV) is close to F(f1, f2), f1 = tr(MV)^2/tr(MVMV), f2 = tr(MV)^2/sum_b tr_b/d_b. Traces of squares within
    one estimated block are corrected for its d degrees of freedom: E tr S^2 exceeds tr V^2 by tr(V)^2/d + tr(V^2)/d.

    References
    ----------
    Box, Ann. Math. Stat. 25 (1954) 290; Srivastava, J. Japan Stat. Soc. 35 (2005) 251 for the correction.
    """
    roots = [annihilator[:, rows] @ root for rows, root, _ in blocks]
    total = sum(float((root**2).sum()) for root in roots)
    squares = noise = 0.0
    for i, (left, (_, _, d)) in enumerate(zip(roots, blocks, strict=True)):
        own, trace = float(((left.T @ left) ** 2).sum()), float((left**2).sum())
        if np.isfinite(d):
            own = max(d**2 / ((d - 1) * (d + 2)) * (own - trace**2 / d), trace**2 / max(left.shape))
            noise += own / d
        squares += own + 2 * sum(float(((left.T @ right) ** 2).sum()) for right in roots[:i])
    f1 = total**2 / squares
    if noise == 0:
        return float(stats.chi2.sf(chi2 / total * f1, f1))
    return float(stats.f.sf(chi2 / total, f1, total**2 / noise))


def _bootstrap(
    form: Ansatz,
    points: Points,
    place: Array,
    sample: Sample,
    theta: Array,
    n_basis: int,
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
        draws[b] = descend(form, moved, theta, n_basis, free, iterations=6)[0]
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
    n_basis: int,
    points: Points,
    table: dict[str, Any],
) -> xr.Dataset:
    params = ("param",)
    dims: dict[str, tuple[str, ...]] = {"covariance": ("param_i", "param_j"), "start_chi2": ("start",)}
    scalars = ("chi2", "dof", "gof_pvalue", "nobs", "aicc", "status", "converged")
    result = xr.Dataset(
        {k: (() if k in scalars else dims.get(k, params), v) for k, v in table.items()},
        coords={name: list(form.params) for name in ("param", "param_i", "param_j")},
    )
    result["message"] = (), messages(np.asarray(table["status"]))
    plane = (control, size)
    x = data[control].to_numpy().astype(float)
    u, prefactor = form.scaled(theta, sample.sizes[None, :] * np.ones((len(x), 1)), x[:, None])
    stderr = np.full(sample.mean.shape, np.nan) if sample.stderr is None else sample.stderr
    at = form.scaled(theta, points.size, points.control)[0]
    spline, fit = Spline.through(at, n_basis), reduce(form, points, theta, n_basis)
    fitted = prefactor * (spline.basis(u.ravel()) @ fit.coefficients).reshape(u.shape)
    grid = np.linspace(at.min(), at.max(), 200)
    result = result.assign_coords({control: x, size: sample.sizes, "scaled_grid": grid})
    result["scaled_control"] = plane, np.where(np.isfinite(sample.mean), u, np.nan)
    result["scaled_data"] = plane, sample.mean / prefactor
    result["scaled_stderr"] = plane, stderr / prefactor
    result["residual"] = plane, (sample.mean - fitted) / stderr
    result["master_curve"] = ("scaled_grid",), spline.basis(grid) @ fit.coefficients
    result["spline_size"] = (), n_basis
    result["n_min"] = (), points.size.min()
    result.attrs["law"] = form.formula
    return describe(result, quantity=str(data.name or "the data"))
