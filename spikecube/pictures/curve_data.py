"""Curves that only a view draws: the staircase of limits, a collapsed spike and its slope, a fitted law."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from spikecube.means.comparisons import plain_means
from spikecube.means.places import fixed, sliced, variable
from spikecube.theory.staircase import threshold


def staircase(limit: xr.DataArray, ell_alpha: xr.DataArray, start: float, stop: float) -> xr.Dataset:
    """The limit of a loss as steps: its value between the thresholds of the spikes, from `start` to `stop`.

    Returns `start`, `end` and `value` along `step`; steps without an alpha in them are left out.
    """
    values, ells = limit.values, ell_alpha.values
    rows = []
    for ell in np.unique(ells[ells > 0]):
        inside = values[(ells == ell) & np.isfinite(values)]
        lower, upper = max(threshold(int(ell)), start), min(threshold(int(ell) + 1), stop)
        if inside.size and lower < upper:
            rows.append((lower, upper, float(inside.mean())))
    table = np.array(rows, dtype=float).reshape(-1, 3)
    return xr.Dataset({name: ("step", table[:, i]) for i, name in enumerate(("start", "end", "value"))})


def last(data: xr.DataArray) -> float:
    """The value at the end of every dim: at the largest size, say."""
    return float(data.values.ravel()[-1])


def finite(value: xr.DataArray) -> float:
    """A number, NaN for an infinite one: an interval that is open there has no end to draw."""
    return float(value) if np.isfinite(value) else float("nan")


def spike_curves(cube: xr.Dataset, *, k: int, rank: int, **further: Any) -> xr.Dataset:
    """The singular value of degree k, the rank-th largest, in the variable x = (alpha - alpha_k) ln n.

    It scales as n^{1/2 - k(1/2 - alpha)} = exp(k x) (theory section 2): sizes fall on one line of slope k.
    """
    values = sliced(variable(cube, "singular_value"), rank=rank, **fixed(cube, further))
    data = plain_means(values)
    x = (data["alpha"] - threshold(k)) * np.log(data["n"])
    return data.assign_coords(x=x)


def slope_line(collapsed: xr.Dataset, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The line C exp(k x) from x = 0 on, C the median over the points there; empty without such points."""
    x, y = collapsed["x"].values, collapsed["mean"].values
    beyond = (x > 0) & np.isfinite(y) & (y > 0)
    if not beyond.any():
        return np.empty(0), np.empty(0)
    amplitude = np.exp(np.median(np.log(y[beyond]) - k * x[beyond]))
    along = np.linspace(0, float(x[beyond].max()), 50)
    return along, amplitude * np.exp(k * along)


def power_law(fit: xr.Dataset, n: np.ndarray) -> xr.Dataset:
    """A fitted power law between the sizes: `value` along n with the ends `low`, `high` of its 95 per cent band.

    log y = m + b log n has the variance (1, log n) C (1, log n)^T; NaN where nothing was fitted.
    """
    along = np.geomspace(n[0], n[-1], 40)
    names = ["log_amplitude", "exponent"]
    theta = fit["estimate"].sel(param=names).values
    covariance = fit["covariance"].sel(param_i=names, param_j=names).values
    design = np.stack([np.ones_like(along), np.log(along)], axis=1)
    middle = design @ theta
    half = 1.96 * np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", design, covariance, design), 0))
    curves = {"value": middle, "low": middle - half, "high": middle + half}
    return xr.Dataset({name: ("n", np.exp(np.minimum(v, 700))) for name, v in curves.items()}, coords={"n": along})


def fitted_means(fit: xr.Dataset, measured: xr.Dataset) -> xr.Dataset:
    """The means that a fit was made to (with control variates, if it used them), with their errors and residuals.

    Where there is no fit of this place they are those that are `measured`, without residuals.
    """
    means = {"mean": fit["data"], "stderr": fit["data_stderr"]}
    if not bool(fit["data"].notnull().any()):
        means = {name: measured[name] for name in means}
    return xr.Dataset(means | ({"residual": fit["residual"]} if "residual" in fit else {}))
