"""One law fitted to every curve of a sample, with diagnostics and bootstrap, as a labelled result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from spikecube.scaling.curve_fits import Table
from spikecube.scaling.fit_scale import ScaledSample, fit_curves, kind_of_errors, on_scale
from spikecube.scaling.inputs import SEED, align, as_floats
from spikecube.scaling.laws import Law
from spikecube.scaling.resampling import looks, resampled
from spikecube.scaling.results import fit_result
from spikecube.scaling.samples import Sample, shifts
from spikecube.scaling.types import Array, Arrays, over
from spikecube.scaling.verdict import judged
from spikecube.scaling.window import ALLOWANCES, adopt, window, with_correction


@np.errstate(over="ignore", divide="ignore", invalid="ignore")  # numbers that are not finite end in a status
def fit_sample(
    law: Law,
    sample: Sample,
    *,
    n_min: float | str | None = None,
    rng: np.random.Generator | None = None,
    expected: Mapping[str, xr.DataArray | float] | None = None,
    quantity: str = "the data",
    draws: bool = False,
) -> xr.Dataset:
    """Fit one law to every curve of a sample and label the result.

    Parameters
    ----------
    n_min : smallest size, or "auto" (see `fit_power_law`).
    rng : for the bootstrap; None leaves it out.
    expected : the theory's value of some parameters, each aligned with the labels of the curves.
    draws : whether the result keeps the shift of each estimate by each seed.

    Returns
    -------
    xr.Dataset
        As `fit_power_law` says.
    """
    labels = in_own_units(expected_values(law, sample, expected or {}), law, sample.scale)
    null = np.where(np.isfinite(labels), labels, in_own_units(np.zeros(labels.shape), law, sample.scale))
    keep, scan = window(law, sample, n_min)
    scaled = on_scale(law, sample, keep)
    table, errors = fit_curves(scaled, null=null), kind_of_errors(sample, scaled.used)
    noise = resampled(sample, rng)
    details = looks(scaled, table, noise)
    chosen: Arrays = {}
    allowed = np.zeros(len(table.status), dtype=bool)
    if scan:
        chosen, details, allowed = _choice(scaled, table, null, details, noise)
    arrays = of_table(law, table, sample, scaled.used, labels, null)
    if draws and sample.deviations is not None:
        arrays["draws"] = ("param", sample.dim, SEED), shifts(table.response, sample)
    arrays |= details | scan | chosen | judged(law, table, sample, errors, allowed, details)
    arrays = in_data_units(arrays, law, sample.scale)
    return _labelled(arrays, law, sample, quantity)


def _labelled(arrays: Arrays, law: Law, sample: Sample, quantity: str) -> xr.Dataset:
    coords: dict[str, Any] = dict(sample.coords) | {sample.dim: (sample.dim, sample.sizes, sample.size_attrs)}
    if "scan_chi2" in arrays:
        starts = sample.sizes[: arrays["scan_chi2"][1].shape[1]]
        coords["window"] = ("window", starts, sample.size_attrs)
    result = fit_result(
        arrays, law.params, dims=sample.dims, shape=sample.shape, coords=coords, law=law.formula, quantity=quantity
    )
    result.attrs["curves"] = "independent" if sample.deviations is None else "share seeds"
    if "units" in sample.attrs:
        for name in set(_IN_DATA) & set(result):
            result[name].attrs["units"] = sample.attrs["units"]
    return result


_VALUES = (
    *("estimate", "ci_low", "ci_high", "leave_one_out", "bootstrap_low", "bootstrap_high", "scan_estimate"),
    *("window_estimate", "window_low", "window_high", "expected", "null_value"),
)
_SPREADS = ("stderr", "bootstrap_stderr", "scan_stderr", "draws")
_IN_DATA = ("data", "data_stderr", "data_stderr_plain", "fitted", "fitted_stderr", "rollout", "rollout_stderr")


def _moves(law: Law, scale: Array) -> tuple[Array, Array]:
    """Factor and shift of each parameter, (B, p), when data are multiplied by `scale`."""
    moved, log = np.isin(law.params, law.in_units), np.array([name.startswith("log_") for name in law.params])
    return np.where(moved & ~log, scale[:, None], 1.0), np.where(moved & log, np.log(scale)[:, None], 0.0)


def in_own_units(params: Array, law: Law, scale: Array | None) -> Array:
    """Parameters (B, p) of the data as those of the data divided by `scale`."""
    if scale is None:
        return params
    factor, shift = _moves(law, scale)
    return np.asarray((params - shift) / factor)


def in_data_units(arrays: Arrays, law: Law, scale: Array | None) -> Arrays:
    """Results of curves that were divided by `scale` (B,), in the units of the data."""
    if scale is None:
        return arrays
    factor, shift = _moves(law, scale)

    def moved(name: str, tail: tuple[str, ...], values: Array) -> Array:
        if name in _IN_DATA:
            return np.asarray(values * scale[:, None])
        wide = [1] * len(tail)
        if "param" in tail:
            wide[tail.index("param")] = len(law.params)
        by, to = factor.reshape(-1, *wide), shift.reshape(-1, *wide)
        if name in _VALUES:
            return np.asarray(values * by + to)
        if name in _SPREADS:
            return np.asarray(values * by)
        if name == "covariance":
            return np.asarray(values * factor[:, :, None] * factor[:, None, :])
        return np.asarray(values * by / scale[:, None, None]) if name == "response" else values

    return {name: (tail, moved(name, tuple(tail), values)) for name, (tail, values) in arrays.items()}


def expected_values(law: Law, sample: Sample, expected: Mapping[str, xr.DataArray | float]) -> Array:
    """The expected parameters of every curve, NaN where nothing is expected; (B, p)."""
    values = np.full((len(sample.mean), len(law.params)), np.nan)
    frame = xr.DataArray(np.zeros(sample.shape), dims=sample.dims, coords=sample.coords)
    for name, value in expected.items():
        if name in law.params:
            given = as_floats(xr.DataArray(value) if np.ndim(value) == 0 else value, "expected")
            values[:, law.params.index(name)] = align(given, frame, "expected").to_numpy().reshape(-1)
    return values


def _choice(
    scaled: ScaledSample, table: Table, null: Array, details: Arrays, noise: Array | None
) -> tuple[Arrays, Arrays, Array]:
    """What the chosen window would say, had it been given; details of the law whose estimates are given instead.

    The table is changed in place; the third value says which curves have the answer of the law with a correction, (B,).
    """
    ends = {"window_low": table.ci_low.copy(), "window_high": table.ci_high.copy()}
    own = over(("param",), window_estimate=table.estimate.copy(), **ends)
    law, sample, used, p = scaled.law, scaled.sample, scaled.used, len(scaled.law.params)
    if law.name not in ALLOWANCES or len(sample.sizes) <= p + 1:
        return own | {"interval_n_min": ((), _smallest(sample, used))}, details, np.zeros(len(used), dtype=bool)
    wide, honest = with_correction(law, sample, null)
    other = looks(wide, honest, noise)
    solved = np.asarray(np.isfinite(table.estimate).all(1))
    known = adopt(table, honest)
    mixed: Arrays = {}
    for name, (dims, values) in details.items():
        mask = known.reshape(-1, *[1] * (values.ndim - 1))
        theirs = other[name][1][:, :p] if "param" in dims else other[name][1]
        mixed[name] = dims, np.where(mask, theirs, values)
    smallest = np.where(known, _smallest(sample, wide.used), np.nan)
    return own | {"interval_n_min": ((), smallest)}, mixed, solved


def _smallest(sample: Sample, used: Array) -> Array:
    """The smallest size used by each curve, NaN without one; (B,)."""
    return np.where(used.any(1), sample.sizes[used.argmax(1)], np.nan)


def _seeds_worth(sample: Sample, used: Array) -> Array:
    """Seeds that plain means would need for the same errors, averaged over the sizes used."""
    if sample.plain_stderr is None or sample.stderr is None or sample.n_seeds is None:
        return np.full(len(used), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        worth = sample.n_seeds * (sample.plain_stderr / sample.stderr) ** 2
    fine = used & np.isfinite(worth)
    return np.where(fine.any(1), np.where(fine, worth, 0.0).sum(1) / np.maximum(fine.sum(1), 1), np.nan)


def of_table(law: Law, table: Table, sample: Sample, used: Array, expected: Array, null: Array) -> Arrays:
    """Estimates with intervals and tests, numbers of each curve, and data, law and residuals along the sizes."""
    stderr = np.full(sample.mean.shape, np.nan) if sample.stderr is None else sample.stderr
    with np.errstate(divide="ignore", invalid="ignore"):
        z, residual = (table.estimate - expected) / table.stderr, (sample.mean - table.fitted) / stderr
    along = ("estimate", "stderr", "ci_low", "ci_high", "pvalue", "t_dof")
    arrays = over(("param",), **{name: getattr(table, name) for name in along}, expected=expected, null_value=null, z=z)
    arrays |= over(("param_i", "param_j"), covariance=table.covariance)
    arrays |= over((), nobs=table.nobs, dof=table.nobs - len(law.params), chi2=table.chi2, gof_pvalue=table.gof_pvalue)
    arrays |= over((), aicc=table.aicc, n_min=_smallest(sample, used), sign=table.sign)
    arrays |= over((), converged=np.isfinite(table.estimate).all(1), seeds_worth=_seeds_worth(sample, used))
    plain = stderr if sample.plain_stderr is None else sample.plain_stderr
    arrays |= over((sample.dim,), data=sample.mean, data_stderr=stderr, data_stderr_plain=plain, used=used)
    arrays |= over((sample.dim,), fitted=table.fitted, fitted_stderr=table.fitted_stderr, residual=residual)
    arrays |= over((sample.dim,), leverage=table.leverage)
    return arrays | over(("param", sample.dim), response=table.response)
