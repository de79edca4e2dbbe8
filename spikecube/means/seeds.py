"""Means over the seeds of a cube and their errors, with control variates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from spikecube.cube.cuts import as_cube
from spikecube.means.controls import DEFAULT_PRIORITY, PRIORITY, centred_controls, has_controls
from spikecube.means.replicates import MIN_SEEDS, means_by_count
from spikecube.model.hermite import Array


def priority(name: str) -> tuple[str, ...]:
    """The controls for a variable, the most useful first.

    >>> priority("train_loss")[0], priority("test_loss")[0]
    ('label_power', 'test_label_power')
    """
    return PRIORITY.get(name.split("_")[0], DEFAULT_PRIORITY)


def controls_for(values: xr.DataArray, controls: xr.DataArray, names: Sequence[str]) -> tuple[Array, Array]:
    """Replicates and controls as arrays for `replicate_means`: (..., m) and (..., m, q), dims as `values` has them.

    `values` must have `seed` as its last dim.
    """
    known = controls["control"].values.tolist()
    aligned = controls.isel(control=[known.index(name) for name in names if name in known])
    shared = [d for d in values.dims if d in aligned.dims and d in aligned.coords]
    others = {d: values[d] for d in shared if not aligned.indexes[d].equals(values.indexes[d])}
    aligned = aligned.reindex(others) if others else aligned
    dims = [d for d in values.dims if d in aligned.dims]
    array = aligned.transpose(*dims, "control").to_numpy()
    shape = [values.sizes[d] if d in aligned.dims else 1 for d in values.dims]
    wide = np.broadcast_to(array.reshape(*shape, -1), (*values.shape, array.shape[-1]))
    return values.to_numpy().astype(float), wide


def seed_means(cube: xr.Dataset, name: str, *, controls: bool = True) -> xr.Dataset:
    """Mean of one variable over `seed`, its standard error with and without control variates, and what they are worth.

    The one place that takes means over seeds. Each point uses the controls that its own seeds allow, so that a mean is
    the same whatever other points the cube holds. One or two seeds give their plain mean; the error of one is NaN.

    Returns
    -------
    xr.Dataset
        mean, stderr, stderr_plain, dof, seeds: seeds with a value, controls: how many control variates were used,
        seeds_worth: seeds that a plain mean would need for the same error.

    Raises
    ------
    ControlError
        If controls are wanted and the cube has no study.
    """
    values = cube[name].transpose(..., "seed")
    y, z = values.to_numpy().astype(float), None
    if controls:
        y, z = controls_for(values, centred_controls(cube), priority(name))
    found = _by_count(y, z)
    with np.errstate(divide="ignore", invalid="ignore"):
        found["seeds_worth"] = found["seeds"] * (found["stderr_plain"] / found["stderr"]) ** 2
    long_name = cube[name].attrs.get("long_name", name)
    texts = {
        "mean": f"mean over seeds of: {long_name}",
        "stderr": f"standard error of the mean over seeds of: {long_name}",
        "stderr_plain": f"the same without control variates, of: {long_name}",
        "dof": "degrees of freedom of the standard error",
        "seeds": "seeds with a value",
        "controls": "control variates used",
        "seeds_worth": "seeds that a plain mean would need for the same standard error",
    }
    coords = {k: v for k, v in values.coords.items() if "seed" not in v.dims}
    table = {k: (values.dims[:-1], found[k], {"long_name": text, "units": "1"}) for k, text in texts.items()}
    return xr.Dataset(table, coords)


def _by_count(y: Array, z: Array | None) -> dict[str, Array]:
    """The means of `means_by_count`; those of one or two seeds are plain."""
    means = means_by_count(y, z)
    few = (means.count > 0) & (means.count < MIN_SEEDS)
    mean, stderr = _of_few(y)
    return {
        "mean": np.where(few, mean, means.mean),
        "stderr": np.where(few, stderr, means.stderr),
        "stderr_plain": np.where(few, stderr, means.plain_stderr),
        "dof": np.where(few, means.count - 1.0, means.dof),
        "seeds": means.count,
        "controls": np.asarray(means.n_controls),
    }


def _of_few(y: Array) -> tuple[Array, Array]:
    """Plain mean of one or two values in the last axis, and its standard error, NaN for one."""
    known = np.where(np.isfinite(y), y, 0.0)
    count = np.isfinite(y).sum(-1)
    mean = known.sum(-1) / np.maximum(count, 1)
    square = (np.where(np.isfinite(y), y - mean[..., None], 0.0) ** 2).sum(-1)
    return mean, np.where(count > 1, np.sqrt(square / np.maximum((count - 1) * count, 1)), np.nan)


def means(cube: xr.Dataset, name: str, *, controls: bool = True) -> xr.Dataset:
    """As `seed_means`, with control variates where the cube holds its study and their draws, else plain.

    A variable without `seed` is its own mean, of one seed.
    """
    if "seed" not in cube[name].dims:
        value = cube[name].astype(float)
        one = {"mean": value, "stderr": value * np.nan, "seeds": value.notnull().astype(int)}
        return xr.Dataset(one | {"controls": xr.zeros_like(value, dtype=int)})
    return seed_means(cube, name, controls=controls and has_controls(cube))


def kind_of_means(used: Iterable[int]) -> str:
    """The name of means by the numbers of control variates that went into them.

    >>> kind_of_means([0, 0]), kind_of_means([1, 2]), kind_of_means([0, 2])
    ('plain means', 'means with control variates', 'means with control variates, plain where seeds are few')
    """
    numbers = {bool(u) for u in used}
    if numbers == {True, False}:
        return "means with control variates, plain where seeds are few"
    return "means with control variates" if numbers == {True} else "plain means"


def summarize(cube: xr.Dataset | str | Path, *, controls: bool = True) -> xr.Dataset:
    """Every variable with a `seed` dim as its mean, beside `NAME_stderr` and `NAME_seeds_worth`.

    >>> cube = xr.Dataset({"train_loss": (("n", "seed"), [[1.0, 2.0, 3.0]])}, {"n": [100], "seed": [0, 1, 2]})
    >>> summarize(cube, controls=False).train_loss.item()
    2.0
    """
    cube = as_cube(cube, "seed", *(("n",) if controls else ()))
    parts = {}
    for name in (str(v) for v in cube.data_vars):
        if "seed" in cube[name].dims and name != "status":
            means = seed_means(cube, name, controls=controls)
            parts[name] = means["mean"]
            parts[f"{name}_stderr"], parts[f"{name}_seeds_worth"] = means["stderr"], means["seeds_worth"]
    return xr.Dataset(parts)
