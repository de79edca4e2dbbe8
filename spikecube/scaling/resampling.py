"""What becomes of estimates when a size is left out, or the seeds are drawn anew; all looks beside an estimate."""

from __future__ import annotations

import numpy as np

from spikecube.scaling.curve_fits import Table
from spikecube.scaling.fit_scale import ScaledSample
from spikecube.scaling.foresight import foresight
from spikecube.scaling.regression import LEVEL
from spikecube.scaling.samples import Sample
from spikecube.scaling.types import Array, Arrays

_RESAMPLES = 999


def looks(scaled: ScaledSample, table: Table, noise: Array | None) -> Arrays:
    """Beside the estimates of a law: without each size, from other seeds, and what is foretold."""
    return _leave_one_out(scaled, table) | _bootstrap(scaled, table, noise) | foresight(scaled, table.estimate)


def _leave_one_out(scaled: ScaledSample, table: Table) -> Arrays:
    """Estimates without each size, and their shift in standard errors; (B, p, K)."""
    n_sizes = len(scaled.sample.sizes)
    left_out = np.full((*table.estimate.shape, n_sizes), np.nan)
    for group in scaled.groups:
        start = table.estimate[group.rows]
        for k in range(n_sizes):
            rest = group.curves.restrict(np.arange(n_sizes) != k)
            left_out[group.rows, :, k] = rest.optimum(start)
    used = scaled.used[:, None, :] & np.isfinite(table.estimate)[..., None]
    left_out = np.where(used, left_out, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = (table.estimate[..., None] - left_out) / table.stderr[..., None]
    dims = ("param", scaled.sample.dim)
    return {"leave_one_out": (dims, left_out), "influence": (dims, shift)}


def noise_of(sample: Sample, rng: np.random.Generator | None) -> Array | None:
    """Errors of resampled means (R, B, K): whole seeds drawn anew at each size, or normal ones of the known size."""
    if rng is None or sample.stderr is None:
        return None
    if sample.deviations is not None:
        return resample(sample.deviations, sample.stderr, rng, _RESAMPLES)
    return rng.standard_normal((_RESAMPLES, *sample.mean.shape)) * sample.stderr


def resample(deviations: Array, stderr: Array, rng: np.random.Generator, n_resamples: int) -> Array:
    """Bootstrap errors of the means, (R, B, K): whole seeds are drawn anew at each size, jointly for all curves."""
    counts = np.zeros((n_resamples, *deviations.shape[1:]))
    for k in range(deviations.shape[1]):
        there = np.flatnonzero(np.isfinite(deviations[:, k]).any(axis=0))
        if len(there):
            counts[:, k, there] = rng.multinomial(len(there), np.full(len(there), 1 / len(there)), size=n_resamples)
    filled = np.nan_to_num(deviations)
    totals = np.einsum("rkm,bkm->rbk", counts, filled, optimize=True)
    present = np.einsum("rkm,bkm->rbk", counts, np.isfinite(deviations).astype(float), optimize=True)
    return np.where(np.isfinite(stderr), totals / np.maximum(present, 1.0), np.nan)


def _bootstrap(scaled: ScaledSample, table: Table, noise: Array | None) -> Arrays:
    """Refits to the means moved by `noise`."""
    if noise is None:
        return {}
    draws = np.full((_RESAMPLES, *table.estimate.shape), np.nan)
    for group in scaled.groups:
        mean = scaled.sample.mean[group.rows]
        y = group.scaled(mean, mean + noise[:, group.rows])
        many = group.curves.repeat(y)
        start = np.tile(table.estimate[group.rows], (_RESAMPLES, 1))
        draws[:, group.rows] = many.optimum(start).reshape(_RESAMPLES, len(group.rows), -1)
    solved = np.isfinite(table.estimate) & np.isfinite(draws).any(0)
    draws = np.where(solved, draws, 0.0)
    low, high = np.nanquantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    values = {"stderr": np.nanstd(draws, axis=0, ddof=1), "low": low, "high": high}
    return {f"bootstrap_{k}": (("param",), np.where(solved, v, np.nan)) for k, v in values.items()}
