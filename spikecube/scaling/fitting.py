"""One law fitted to every curve of a sample, with diagnostics and bootstrap, as a labelled result."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import xarray as xr

from spikecube.scaling.arrays import Array, Arrays
from spikecube.scaling.curves import groups
from spikecube.scaling.laws import Law
from spikecube.scaling.regression import LEVEL, holm
from spikecube.scaling.results import describe, messages, unstack
from spikecube.scaling.samples import Sample, resample
from spikecube.scaling.solve import Table, solve
from spikecube.scaling.window import ALLOWED, allow_for_choice, window

_RESAMPLES = 999


def fit_sample(
    law: Law,
    sample: Sample,
    *,
    n_min: float | str | None = None,
    rng: np.random.Generator | None = None,
    expected: Mapping[str, xr.DataArray | float] | None = None,
    quantity: str = "the data",
) -> xr.Dataset:
    """Fit one law to every curve of a sample and label the result.

    Parameters
    ----------
    n_min : smallest size, or "auto" (see `fit_power_law`).
    rng : for the bootstrap; None leaves it out.
    expected : the theory's value of some parameters; arrays broadcast over the labels of the curves.

    Returns
    -------
    xr.Dataset
        As `fit_power_law` says.
    """
    finite = np.isfinite(sample.mean)
    keep, scan = window(law, sample, n_min)
    labels = _expected_values(law, sample, expected or {})
    null = np.where(np.isfinite(labels), labels, 0.0)
    table = solve(law, sample, keep, null=null)
    allowed = _choice(law, sample, table, null, keep & finite) if scan else {}
    arrays = (
        _estimates(table, labels, null) | _scalars(law, table, sample, keep & finite) | _plot_data(table, sample, keep)
    )
    arrays |= _leave_one_out(law, table, sample, keep)
    if rng is not None and sample.stderr is not None:
        arrays |= _bootstrap(law, table, sample, keep, rng)
    result = unstack(arrays | scan | allowed, sample.dims, sample.shape, sample.coords)
    coords: dict[Hashable, object] = {name: list(law.params) for name in ("param", "param_i", "param_j")}
    coords[sample.dim] = sample.sizes
    if scan:
        coords["window"] = sample.sizes[: result.sizes["window"]]
    result = result.assign_coords(coords)
    result.attrs["law"] = law.formula
    return describe(result, quantity=quantity)


def adjust(result: xr.Dataset) -> xr.Dataset:
    """Add `pvalue_holm`: the p-values of each parameter, adjusted over all curves (of each estimator)."""
    apart = [d for d in ("estimator", "param") if d in result["pvalue"].dims]
    pvalue = result["pvalue"].transpose(*apart, ...)
    rows = pvalue.to_numpy().reshape(int(np.prod([pvalue.sizes[d] for d in apart])), -1)
    adjusted = pvalue.copy(data=np.stack([holm(row) for row in rows]).reshape(pvalue.shape))
    return result.assign(pvalue_holm=adjusted.transpose(*result["pvalue"].dims))


def _expected_values(law: Law, sample: Sample, expected: Mapping[str, xr.DataArray | float]) -> Array:
    values = np.full((len(sample.mean), len(law.params)), np.nan)
    frame = xr.DataArray(np.zeros(sample.shape), dims=sample.dims, coords=sample.coords)
    for name, value in expected.items():
        if name in law.params:
            wide = (frame + value).transpose(*sample.dims)
            values[:, law.params.index(name)] = wide.to_numpy().reshape(-1)
    return values


def _estimates(table: Table, expected: Array, null: Array) -> Arrays:
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (table.estimate - expected) / table.stderr
    param = ("param",)
    return {
        "estimate": (param, table.estimate),
        "stderr": (param, table.stderr),
        "ci_low": (param, table.ci_low),
        "ci_high": (param, table.ci_high),
        "pvalue": (param, table.pvalue),
        "t_dof": (param, table.t_dof),
        "expected": (param, expected),
        "null_value": (param, null),
        "z": (param, z),
        "covariance": (("param_i", "param_j"), table.covariance),
    }


def _choice(law: Law, sample: Sample, table: Table, null: Array, used: Array) -> Arrays:
    """Intervals of a chosen window as they would be had it been given, and the smallest size behind those that hold."""
    own: Arrays = {
        "window_low": (("param",), table.ci_low.copy()),
        "window_high": (("param",), table.ci_high.copy()),
    }
    smallest = np.where(used.any(1), sample.sizes[used.argmax(1)], np.nan)
    if law.allowance is not None and len(sample.sizes) > len(law.params) + 1:
        smallest = allow_for_choice(law, sample, table, null)
        solved = np.isfinite(table.estimate).all(1)
        own["message"] = (), messages(table.status, {int(b): ALLOWED for b in np.flatnonzero(solved)})
    return own | {"interval_n_min": ((), smallest)}


def _scalars(law: Law, table: Table, sample: Sample, used: Array) -> Arrays:
    solved: Array = np.asarray(np.isfinite(table.estimate).all(1))
    smallest = np.where(used.any(1), sample.sizes[used.argmax(1)], np.nan)
    return {
        "nobs": ((), table.nobs),
        "dof": ((), table.nobs - len(law.params)),
        "chi2": ((), table.chi2),
        "gof_pvalue": ((), table.gof_pvalue),
        "aicc": ((), table.aicc),
        "n_min": ((), smallest),
        "sign": ((), table.sign),
        "converged": ((), solved),
        "status": ((), table.status),
        "message": ((), messages(table.status)),
        "seeds_worth": ((), _seeds_worth(sample, used)),
    }


def _seeds_worth(sample: Sample, used: Array) -> Array:
    """Seeds that plain means would need for the same errors, averaged over the sizes used."""
    if sample.plain_stderr is None or sample.stderr is None or sample.n_seeds is None:
        return np.full(len(used), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        worth = sample.n_seeds * (sample.plain_stderr / sample.stderr) ** 2
    fine = used & np.isfinite(worth)
    return np.where(fine.any(1), np.where(fine, worth, 0.0).sum(1) / np.maximum(fine.sum(1), 1), np.nan)


def _plot_data(table: Table, sample: Sample, keep: Array) -> Arrays:
    stderr = np.full(sample.mean.shape, np.nan) if sample.stderr is None else sample.stderr
    plain = stderr if sample.plain_stderr is None else sample.plain_stderr
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = (sample.mean - table.fitted) / stderr
    dim = (sample.dim,)
    return {
        "data": (dim, sample.mean),
        "data_stderr": (dim, stderr),
        "data_stderr_plain": (dim, plain),
        "used": (dim, keep & np.isfinite(sample.mean)),
        "fitted": (dim, table.fitted),
        "residual": (dim, residual),
        "leverage": (dim, table.leverage),
        "response": (("param", sample.dim), table.response),
    }


def _leave_one_out(law: Law, table: Table, sample: Sample, keep: Array) -> Arrays:
    n_sizes = len(sample.sizes)
    left_out = np.full((len(sample.mean), len(law.params), n_sizes), np.nan)
    for group in groups(law, sample, keep):
        start = table.estimate[group.rows]
        for k in range(n_sizes):
            rest = group.curves.restrict(np.arange(n_sizes) != k)
            left_out[group.rows, :, k] = rest.optimum(start)
    used = (keep & np.isfinite(sample.mean))[:, None, :] & np.isfinite(table.estimate)[..., None]
    left_out = np.where(used, left_out, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = (table.estimate[..., None] - left_out) / table.stderr[..., None]
    dims = ("param", sample.dim)
    return {"leave_one_out": (dims, left_out), "influence": (dims, shift)}


def _bootstrap(law: Law, table: Table, sample: Sample, keep: Array, rng: np.random.Generator) -> Arrays:
    """Refits to resampled means: whole seeds drawn anew at each size, or normal errors where only those are known."""
    assert sample.stderr is not None
    if sample.deviations is not None:
        noise = resample(sample.deviations, sample.stderr, rng, _RESAMPLES)
    else:
        noise = rng.standard_normal((_RESAMPLES, *sample.mean.shape)) * sample.stderr
    draws = np.full((_RESAMPLES, *table.estimate.shape), np.nan)
    for group in groups(law, sample, keep):
        mean = sample.mean[group.rows]
        y = group.scaled(mean, mean + noise[:, group.rows])
        many = group.curves.repeat(y)
        start = np.tile(table.estimate[group.rows], (_RESAMPLES, 1))
        draws[:, group.rows] = many.optimum(start).reshape(_RESAMPLES, len(group.rows), -1)
    solved = np.isfinite(table.estimate)
    draws = np.where(solved, draws, 0.0)
    low, high = np.nanquantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    values = {"stderr": np.nanstd(draws, axis=0, ddof=1), "low": low, "high": high}
    return {f"bootstrap_{k}": (("param",), np.where(solved, v, np.nan)) for k, v in values.items()}
