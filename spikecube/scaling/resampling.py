"""What becomes of estimates when a size is left out, or the seeds are drawn anew."""

from __future__ import annotations

import numpy as np

from spikecube.scaling.curve_fits import Table
from spikecube.scaling.fit_scale import groups
from spikecube.scaling.laws import Law
from spikecube.scaling.regression import LEVEL
from spikecube.scaling.samples import Sample, resample
from spikecube.scaling.types import Array, Arrays

_RESAMPLES = 999


def leave_one_out(law: Law, table: Table, sample: Sample, keep: Array) -> Arrays:
    """Estimates without each size, and their shift in standard errors; (B, p, K)."""
    n_sizes = len(sample.sizes)
    left_out = np.full((len(sample.mean), len(law.params), n_sizes), np.nan)
    for group in groups(law, sample, keep):
        start = table.estimate[group.rows]
        for k in range(n_sizes):
            rest = group.curves.restrict(np.arange(n_sizes) != k)
            left_out[group.rows, :, k] = rest.optimum(start)
    used = (keep & sample.fine)[:, None, :] & np.isfinite(table.estimate)[..., None]
    left_out = np.where(used, left_out, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = (table.estimate[..., None] - left_out) / table.stderr[..., None]
    dims = ("param", sample.dim)
    return {"leave_one_out": (dims, left_out), "influence": (dims, shift)}


def noise_of(sample: Sample, rng: np.random.Generator | None) -> Array | None:
    """Errors of resampled means (R, B, K): whole seeds drawn anew at each size, or normal ones of the known size."""
    if rng is None or sample.stderr is None:
        return None
    if sample.deviations is not None:
        return resample(sample.deviations, sample.stderr, rng, _RESAMPLES)
    return rng.standard_normal((_RESAMPLES, *sample.mean.shape)) * sample.stderr


def bootstrap(law: Law, table: Table, sample: Sample, keep: Array, noise: Array | None) -> Arrays:
    """Refits to the means moved by `noise`."""
    if noise is None:
        return {}
    draws = np.full((_RESAMPLES, *table.estimate.shape), np.nan)
    for group in groups(law, sample, keep):
        mean = sample.mean[group.rows]
        y = group.scaled(mean, mean + noise[:, group.rows])
        many = group.curves.repeat(y)
        start = np.tile(table.estimate[group.rows], (_RESAMPLES, 1))
        draws[:, group.rows] = many.optimum(start).reshape(_RESAMPLES, len(group.rows), -1)
    solved = np.isfinite(table.estimate) & np.isfinite(draws).any(0)
    draws = np.where(solved, draws, 0.0)
    low, high = np.nanquantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    values = {"stderr": np.nanstd(draws, axis=0, ddof=1), "low": low, "high": high}
    return {f"bootstrap_{k}": (("param",), np.where(solved, v, np.nan)) for k, v in values.items()}
