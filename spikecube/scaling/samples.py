"""Means over seeds with their errors, for every curve in n that a DataArray holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from spikecube.means.replicates import means_by_count
from spikecube.means.seeds import controls_for
from spikecube.scaling.errors import FitError
from spikecube.scaling.inputs import SEED, as_floats, check_names, sizes_of, standard_errors
from spikecube.scaling.types import Array


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
    infinite : (B,) or None, curves that hold an infinite value.
    scale : (B,) or None, the unit (in that of the data) of mean, stderr and deviations of each curve; None is 1.
    attrs, size_attrs : those of the data and of the sizes.
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
    infinite: Array | None = None
    scale: Array | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    size_attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def fine(self) -> Array:
        """Where there is a mean that may enter a fit; (B, K)."""
        finite = np.isfinite(self.mean)
        return finite if self.infinite is None else finite & ~self.infinite[:, None]


def from_data(
    data: xr.DataArray,
    dim: str = "n",
    stderr: xr.DataArray | float | None = None,
    controls: xr.DataArray | None = None,
    *,
    zeros: str = "refuse",
    own_units: bool = False,
) -> Sample:
    """The means along `seed` (if there is such a dim) at each point of `dim`, for every other label.

    `controls`, dims (control, dim, seed, ...), are control variates of expectation 0, the dearest first. With
    `own_units` every curve is divided by a power of two near its largest value, whose squares then neither overflow nor
    vanish. `zeros` = "drop" leaves out points whose error is zero.

    Raises
    ------
    ValueError
        If `dim` is missing or not positive, if `stderr` is given beside seeds, or does not fit the data.

    Examples
    --------
    >>> data = xr.DataArray([[1.0, 2.0, 3.0], [4.0, 4.0, 7.0]], dims=("n", "seed"), coords={"n": [10, 20]})
    >>> sample = from_data(data)
    >>> sample.mean.tolist(), sample.dof.tolist()
    ([[2.0, 5.0]], [[2.0, 2.0]])
    """
    data = as_floats(data)
    check_names(data)
    data = data.isel({dim: np.argsort(sizes_of(data, dim), kind="stable")})
    if SEED in data.dims:
        if stderr is not None:
            raise FitError("the data have a dim 'seed', which gives the errors: leave out stderr")
        return from_seeds(data, dim, controls, own_units=own_units)
    labels = _labels(data, dim)
    data = data.transpose(*labels["dims"], dim)
    errors = None
    if stderr is not None:
        known, dropped = standard_errors(stderr, data, dim, zeros)
        data, errors = data.where(~dropped), known.reshape(-1, data.sizes[dim])
    flat = data.to_numpy().reshape(-1, data.sizes[dim])
    dof, infinite = np.full(flat.shape, np.inf), np.isinf(flat).any(-1)
    if own_units:
        scale = _own_scale(flat, errors)
        flat, errors = flat / scale[:, None], None if errors is None else errors / scale[:, None]
        labels["scale"] = scale
    return Sample(mean=flat, stderr=errors, dof=dof, deviations=None, infinite=infinite, **labels)


def from_seeds(
    data: xr.DataArray, dim: str = "n", controls: xr.DataArray | None = None, *, own_units: bool = False
) -> Sample:
    """`from_data` of data with a dim `seed` that need no check: a variable of a cube, sizes in ascending order."""
    labels = _labels(data, dim)
    ordered = data.transpose(*labels["dims"], dim, SEED)
    values, regressors, tail = ordered.to_numpy().astype(float), None, ordered.shape[-2:]
    if controls is not None:
        values, regressors = controls_for(ordered, controls, controls["control"].values.tolist())
        regressors = regressors.reshape(-1, *tail, regressors.shape[-1])
    flat = values.reshape(-1, *tail)
    if own_units:
        labels["scale"] = _own_scale(flat.reshape(len(flat), -1), None)
        flat = flat / labels["scale"][:, None, None]
    means = means_by_count(flat, regressors)
    return Sample(
        mean=means.mean,
        stderr=means.stderr,
        dof=means.dof,
        deviations=means.deviations,
        n_seeds=means.count,
        plain_stderr=means.plain_stderr,
        infinite=np.isinf(flat).any((-2, -1)),
        **labels,
    )


def _labels(data: xr.DataArray, dim: str) -> dict[str, Any]:
    """The fields of a sample that are not numbers of its curves."""
    others = tuple(str(d) for d in data.dims if d not in (dim, SEED))
    return {
        "sizes": data[dim].to_numpy().astype(float),
        "dims": others,
        "shape": tuple(data.sizes[d] for d in others),
        "coords": {str(k): v for k, v in data.coords.items() if set(v.dims) <= set(others)},
        "dim": dim,
        "attrs": dict(data.attrs),
        "size_attrs": dict(data[dim].attrs),
    }


def _own_scale(flat: Array, errors: Array | None) -> Array:
    """A power of two near the largest value of each curve, or near its least error if that is larger; (B,)."""
    size = np.where(np.isfinite(flat), np.abs(flat), 0.0).max(-1, initial=0.0)
    if errors is not None:
        least = np.where(errors > 0, errors, np.inf).min(-1, initial=np.inf)
        size = np.where(np.isfinite(least), np.maximum(size, least), size)
    exponent = np.clip(np.frexp(np.where(size > 0, size, 1.0))[1], -1000, 1000)
    return np.asarray(np.ldexp(1.0, exponent))


def curve_covariance(response: Array, sample: Sample, rows: Array) -> Array:
    """Covariance (C, C) of one parameter of the curves `rows` with responses (C, K) to their means.

    Sizes are independent; at one size, equal seeds of different curves share their draw:
    cov = sum_k response_ak response_bk Cov(mean_ak, mean_bk).
    """
    if sample.deviations is None:
        stderr = 0.0 if sample.stderr is None else sample.stderr[rows]
        return np.diag(((response * np.nan_to_num(stderr)) ** 2).sum(-1))
    pull = of_each_seed(sample.deviations[rows]) * response[..., None]
    covariance: Array = np.einsum("akm,bkm->ab", pull, pull)
    return covariance


def of_each_seed(deviations: Array) -> Array:
    """What each seed adds to its mean; (..., K, m)."""
    count = np.maximum(np.isfinite(deviations).sum(-1, keepdims=True), 1)
    return np.asarray(np.nan_to_num(deviations) / count)


def shifts(response: Array, sample: Sample) -> Array:
    """The shift of each estimate by each seed, response (B, p, K) -> (B, p, K, m); their products sum to covariances.

    >>> data = xr.DataArray([[1.0, 2.0, 3.0]], dims=("n", "seed"), coords={"n": [10]})
    >>> pull = shifts(np.ones((1, 1, 1)), from_data(data))
    >>> bool(abs((pull**2).sum() - 1 / 3) < 1e-12)  # the variance of the mean
    True
    """
    assert sample.deviations is not None
    return np.asarray(np.nan_to_num(response)[..., None] * of_each_seed(sample.deviations)[:, None])
