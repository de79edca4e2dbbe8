"""Means over seeds with their errors, for every curve in n that a DataArray holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from spikecube.cube.controls import centred_controls
from spikecube.cube.summary import controls_for, priority, replicate_means
from spikecube.scaling.arrays import Array, FitError

_SEED = "seed"


@dataclass(frozen=True)
class Sample:
    """B curves of means at K sizes.

    Attributes
    ----------
    sizes : (K,).
    mean : (B, K); NaN where there is nothing.
    stderr : (B, K) or None if nothing is known of the errors.
    dof : (B, K), degrees of freedom of each stderr; inf if it is known.
    deviations : (B, K, m) or None: seed by seed, scaled so that the mean square over m of a mean of m resampled ones
        is stderr^2; equal seeds of different curves belong together.
    dims, coords, shape : the labels of B.
    dim : the name of K.
    n_seeds : (B, K) or None, seeds with a value.
    plain_stderr : (B, K) or None, standard errors before control variates.
    """

    sizes: Array
    mean: Array
    stderr: Array | None
    dof: Array
    deviations: Array | None
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: dict[str, xr.DataArray]
    dim: str
    n_seeds: Array | None = None
    plain_stderr: Array | None = None


def from_data(
    data: xr.DataArray,
    dim: str = "n",
    stderr: xr.DataArray | None = None,
    controls: xr.DataArray | None = None,
) -> Sample:
    """The means along `seed` (if there is such a dim) at each point of `dim`, for every other label.

    `controls`, dims (control, dim, seed, ...), are control variates of expectation 0, the dearest first.

    Raises
    ------
    ValueError
        If `dim` is missing or not positive, if `stderr` is given beside seeds, or has other labels.

    >>> data = xr.DataArray([[1.0, 2.0, 3.0], [4.0, 4.0, 7.0]], dims=("n", "seed"), coords={"n": [10, 20]})
    >>> sample = from_data(data)
    >>> sample.mean.tolist(), sample.dof.tolist()
    ([[2.0, 5.0]], [[2.0, 2.0]])
    """
    if dim not in data.dims:
        raise FitError(f"dim={dim!r} is not a dim of the data, which has {', '.join(map(str, data.dims))}")
    if dim not in data.coords:
        raise FitError(f"the data have no coordinate {dim!r}: a law in {dim} needs the sizes")
    data = data.sortby(dim)
    sizes = data[dim].to_numpy().astype(float)
    if not (sizes > 0).all() or len(set(sizes)) < len(sizes):
        raise FitError(f"the coordinate {dim!r} must be positive and without repeats, got {sizes.tolist()}")
    others = tuple(str(d) for d in data.dims if d not in (dim, _SEED))
    coords = {str(k): v for k, v in data.coords.items() if set(v.dims) <= set(others)}
    shape = tuple(data.sizes[d] for d in others)
    if _SEED in data.dims:
        if stderr is not None:
            raise FitError("the data have a dim 'seed', which gives the errors: leave out stderr")
        ordered = data.transpose(*others, dim, _SEED)
        values, regressors = ordered.to_numpy().astype(float), None
        if controls is not None:
            values, regressors = controls_for(ordered, controls, controls["control"].values.tolist())
            regressors = regressors.reshape(-1, len(sizes), data.sizes[_SEED], regressors.shape[-1])
        means = replicate_means(values.reshape(-1, len(sizes), data.sizes[_SEED]), regressors)
        return Sample(
            sizes,
            means.mean,
            means.stderr,
            means.dof,
            means.deviations,
            others,
            shape,
            coords,
            dim,
            means.count,
            means.plain_stderr,
        )
    flat = data.transpose(*others, dim).to_numpy().astype(float).reshape(-1, len(sizes))
    dof = np.full(flat.shape, np.inf)
    if stderr is None:
        return Sample(sizes, flat, None, dof, None, others, shape, coords, dim)
    try:
        _, wide = xr.broadcast(data, stderr.sortby(dim) if dim in stderr.coords else stderr)
        errors = wide.transpose(*others, dim).to_numpy().astype(float).reshape(flat.shape)
    except ValueError:
        raise FitError(
            f"stderr has dims {tuple(stderr.dims)}, which do not fit those of the data, {data.dims}"
        ) from None
    if not (np.isnan(errors) | (errors > 0)).all():
        raise FitError("stderr must be positive")
    return Sample(sizes, flat, errors, dof, None, others, shape, coords, dim)


def cube_controls(cube: xr.Dataset, name: str, controls: bool) -> xr.DataArray | None:
    """The control variates of a cube in the order in which they help the variable `name`; None if not wanted."""
    if not controls:
        return None
    centred = centred_controls(cube)
    return centred.sel(control=[c for c in priority(name) if c in centred["control"].values])


def smooth_variance(sizes: Array, variance: Array, dof: Array) -> Array:
    """Variances read off the line log v = a + b log n fitted to the estimates; known ones (infinite dof) are kept.

    Weights made from single estimates with few degrees of freedom favour the sizes that happen to scatter little
    and spoil every interval; a line through them does not. Shapes (B, K).

    >>> smooth_variance(np.array([1.0, 2.0, 4.0]), np.array([[1.0, 2.0, 4.0]]), np.full((1, 3), 9.0)).round(9).tolist()
    [[1.0, 2.0, 4.0]]
    """
    usable = np.isfinite(variance) & (variance > 0)
    weights = np.where(usable, np.where(np.isfinite(dof), dof, 1.0), 0.0)
    x = np.log(sizes)
    centred = x - (weights * x).sum(-1, keepdims=True) / np.maximum(weights.sum(-1, keepdims=True), 1.0)
    logs = np.log(np.where(usable, variance, 1.0))
    middle = (weights * logs).sum(-1, keepdims=True) / np.maximum(weights.sum(-1, keepdims=True), 1.0)
    power = (weights * centred**2).sum(-1, keepdims=True)
    slope = (weights * centred * logs).sum(-1, keepdims=True) / np.where(power > 0, power, 1.0)
    slope = np.where(usable.sum(-1, keepdims=True) >= 3, slope, 0.0)
    line = np.exp(middle + slope * centred)
    return np.where(np.isfinite(dof), np.where(np.isfinite(variance), line, np.nan), variance)


def resample(deviations: Array, stderr: Array, rng: np.random.Generator, n_resamples: int) -> Array:
    """Bootstrap errors of the means, (R, B, K): whole seeds are drawn anew at each size, jointly for all curves."""
    n_seeds = deviations.shape[-1]
    counts = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=(n_resamples, deviations.shape[1]))
    filled = np.nan_to_num(deviations)
    totals = np.einsum("rkm,bkm->rbk", counts, filled, optimize=True)
    present = np.einsum("rkm,bkm->rbk", counts, np.isfinite(deviations).astype(float), optimize=True)
    return np.where(np.isfinite(stderr), totals / np.maximum(present, 1.0), np.nan)


def curve_covariance(response: Array, sample: Sample, rows: Array) -> Array:
    """Covariance (C, C) of one parameter of the curves `rows` with responses (C, K) to their means.

    Sizes are independent; at one size, equal seeds of different curves share their draw:
    cov = sum_k response_ak response_bk Cov(mean_ak, mean_bk).
    """
    if sample.deviations is None:
        stderr = 0.0 if sample.stderr is None else sample.stderr[rows]
        return np.diag(((response * np.nan_to_num(stderr)) ** 2).sum(-1))
    deviations = np.nan_to_num(sample.deviations[rows])
    pull = response[..., None] * deviations / np.maximum(np.isfinite(sample.deviations[rows]).sum(-1), 1)[..., None]
    covariance: Array = np.einsum("akm,bkm->ab", pull, pull)
    return covariance
