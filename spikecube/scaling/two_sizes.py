"""A law of two sizes, y = E + A N^-a + B D^-b, for points anywhere in the plane of the sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import xarray as xr

from spikecube.scaling.curve_fits import Table, fit_on_scale
from spikecube.scaling.errors import FitError
from spikecube.scaling.fit_scale import curves, kind_of_errors
from spikecube.scaling.huber import Robust, fit_robust
from spikecube.scaling.inputs import SEED, align, as_floats, check_names, number_or_labelled, real_values
from spikecube.scaling.labelled_fits import expected_values, in_data_units, in_own_units, of_table
from spikecube.scaling.laws import Law, linear_fit
from spikecube.scaling.results import STATUS, fit_result
from spikecube.scaling.samples import Sample, from_data
from spikecube.scaling.types import Array, Arrays
from spikecube.scaling.verdict import judged

POINT = "point"
_EXPONENTS = np.geomspace(0.03, 3.0, 20)
_STARTS = 3  # of the grid, from which descents begin


def _powers(sizes: Array, theta: Array) -> tuple[Array, Array, Array]:
    """N^-a, D^-b, and whether both exponents are positive; (..., K), (..., K), (..., 1)."""
    p, q = theta[..., 2, None], theta[..., 4, None]
    ok = (p > 0) & (q > 0)
    return sizes[:, 0] ** np.where(ok, -p, -1.0), sizes[:, 1] ** np.where(ok, -q, -1.0), ok


def _value(sizes: Array, theta: Array) -> Array:
    first, second, ok = _powers(sizes, theta)
    linear = theta[..., [0]] + theta[..., [1]] * first + theta[..., [3]] * second
    if theta.shape[-1] == 6:
        linear = linear + theta[..., [5]] * first * second
    return np.where(ok, linear, np.nan)


def _slopes(sizes: Array, theta: Array) -> Array:
    first, second, _ = _powers(sizes, theta)
    a, b = theta[..., [1]], theta[..., [3]]
    c = theta[..., [5]] if theta.shape[-1] == 6 else np.zeros_like(a)
    log_n, log_d = np.log(sizes).T
    by_p, by_q = -log_n * first * (a + c * second), -log_d * second * (b + c * first)
    columns = [np.ones_like(first), first, by_p, second, by_q, first * second]
    return np.stack(columns[: theta.shape[-1]], axis=-1)


def _start(sizes: Array, y: Array, weights: Array, interaction: bool = False) -> Array:
    """The best of a grid of both exponents, at which the others are linear; (S, B, 5 or 6)."""
    thetas, costs = [], []
    for p, q in product(_EXPONENTS, _EXPONENTS):
        first, second = sizes[:, 0] ** -p, sizes[:, 1] ** -q
        design = np.stack([np.ones_like(first), first, second, first * second][: 3 + interaction], axis=-1)
        scale = np.linalg.norm(design, axis=0)
        linear = linear_fit(design / scale, y, weights) / scale
        costs.append((weights * (y - linear @ design.T) ** 2).sum(-1))
        here = np.broadcast_to([p, q], (len(y), 2))
        terms = [linear[:, 0], linear[:, 1], here[:, 0], linear[:, 2], here[:, 1], *linear.T[3:]]
        thetas.append(np.stack(terms, axis=1))
    order = np.argsort(np.stack(costs), axis=0)[:_STARTS]
    return np.asarray(np.take_along_axis(np.stack(thetas), order[..., None], axis=0))


TWO_SIZES = Law(
    "two_size",
    "y = E + A N^-a + B D^-b",
    ("offset", "amplitude_N", "exponent_N", "amplitude_D", "exponent_D"),
    _value,
    _slopes,
    _start,
    when="losses of models of N parameters trained on D tokens",
    in_units=("offset", "amplitude_N", "amplitude_D"),
)
INTERACTION = Law(
    "two_size_interaction",
    "y = E + A N^-a + B D^-b + C N^-a D^-b",
    (*TWO_SIZES.params, "amplitude_ND"),
    _value,
    _slopes,
    partial(_start, interaction=True),
    when="the same, where the law above is rejected",
    in_units=(*TWO_SIZES.in_units, "amplitude_ND"),
)


def fit_two_sizes(
    data: xr.DataArray,
    dims: tuple[str, str],
    law: Law = TWO_SIZES,
    *,
    stderr: xr.DataArray | float | None = None,
    expected: Mapping[str, xr.DataArray | float] | None = None,
    zeros: str = "refuse",
    quantity: str = "the data",
    robust: Robust | None = None,
) -> xr.Dataset:
    """Fit the law to all points at once; see `fit_law`.

    Parameters
    ----------
    data : a grid with both dims, NaN where nothing was measured, or points along one dim with both as coordinates.
    law : `TWO_SIZES` or `INTERACTION`.
    robust : Huber's loss on logarithms in place of squares.
    """
    sizes, sample = _points(as_floats(data), dims, stderr, zeros)
    used = sample.fine
    if sample.stderr is not None:
        used = used & (np.nan_to_num(sample.stderr) > 0)
    labels = in_own_units(expected_values(law, sample, expected or {}), law, sample.scale)
    null = np.where(np.isfinite(labels), labels, 0.0)
    table, rows = _empty(law, sizes, sample, used)
    looks: Arrays = {}
    if robust is not None:
        looks = fit_robust(law, sizes, sample, used, table, rows, null, robust)
    elif len(rows):
        chosen = replace(curves(law, sample, used), sizes=sizes)
        table.put(rows, fit_on_scale(chosen.pick(rows.tolist()), null[rows], intervals=True))
    table.nobs[:] = used.sum(1)
    arrays = of_table(law, table, sample, used, labels, null)
    arrays |= looks or judged(law, table, sample, kind_of_errors(sample, used), np.zeros(len(used), dtype=bool))
    del arrays["n_min"]
    coords = dict(sample.coords) | {name: (POINT, sizes[:, j]) for j, name in enumerate(dims)}
    return fit_result(
        in_data_units(arrays, law, sample.scale),
        law.params,
        dims=sample.dims,
        shape=sample.shape,
        coords=coords,
        law=law.formula.replace("N^", f"{dims[0]}^").replace("D^", f"{dims[1]}^"),
        quantity=quantity,
        without={"n_min": "a point has two sizes, and none of them orders all points"},
    )


def _empty(law: Law, sizes: Array, sample: Sample, used: Array) -> tuple[Table, Array]:
    """A table without answers, and the curves with enough points and sizes for one."""
    table = Table.empty(len(used), len(law.params), len(sizes))
    apart = np.array([[len(set(sizes[row, j])) for j in range(2)] for row in used])
    enough = (used.sum(1) > len(law.params)) & (apart >= 3).all(1)
    table.status[:] = np.where(used.any(1), STATUS["too_few_sizes"], STATUS["no_data"])
    if sample.infinite is not None:
        enough, table.status[sample.infinite] = enough & ~sample.infinite, STATUS["infinite"]
    return table, np.flatnonzero(enough)


def _points(
    data: xr.DataArray, dims: tuple[str, str], stderr: xr.DataArray | float | None, zeros: str
) -> tuple[Array, Sample]:
    """Both sizes of each point (P, 2), and the sample along the points; its own size is the product of both."""
    if stderr is not None:
        stderr = align(number_or_labelled(stderr, "stderr"), data, "stderr")
    check_names(data)
    homes = {d for name in dims for d in _home(data, name)}
    axes = [str(d) for d in data.dims if d in homes]
    grid = xr.DataArray(np.zeros([data.sizes[d] for d in axes]), dims=axes)
    sizes = np.stack([_sizes(data, name).broadcast_like(grid).transpose(*axes).values.ravel() for name in dims], axis=1)

    def flat(values: xr.DataArray) -> xr.DataArray:
        bare = values.drop_vars([c for c in values.coords if homes & set(values[c].dims)])
        joined = bare.stack({POINT: axes}, create_index=False) if axes != [POINT] else bare
        return joined.assign_coords({POINT: np.arange(1.0, len(sizes) + 1)})

    sample = from_data(flat(data), POINT, None if stderr is None else flat(stderr), zeros=zeros, own_units=True)
    return sizes, replace(sample, sizes=sizes.prod(axis=1))


def _home(data: xr.DataArray, name: str) -> tuple[str, ...]:
    """The dim along which a size runs."""
    if name == SEED:
        raise FitError(f"dim={name!r} is the dim of the replicates, not a size")
    if name not in data.coords or data[name].ndim != 1:
        raise FitError(
            f"the data have no coordinate {name!r} along one dim (coordinates: "
            f"{', '.join(map(str, data.coords)) or 'none'}): a law of two sizes needs both"
        )
    return tuple(map(str, data[name].dims))


def _sizes(data: xr.DataArray, name: str) -> xr.DataArray:
    values = real_values(data[name].to_numpy(), f"the coordinate {name!r}")
    if not ((values > 0) & np.isfinite(values)).all():
        raise FitError(f"the coordinate {name!r} must be positive and finite")
    return xr.DataArray(values, dims=data[name].dims)
