"""What a user hands to a fit: labelled real numbers, aligned by label, or a sentence on what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from spikecube.numbers import NumberError, real_array
from spikecube.scaling.errors import FitError
from spikecube.scaling.results import RESERVED
from spikecube.scaling.types import Array

SEED = "seed"
_SHOWN = 3  # labels or places that a sentence names


def as_floats(data: Any, name: str = "the data", dims: tuple[str, ...] = ()) -> xr.DataArray:
    """The same DataArray with values in float64.

    Parameters
    ----------
    dims : those that the data must have, for the sentence of an error; otherwise `n` stands there.

    Raises
    ------
    ValueError
        If it is no DataArray (the sentence has the line to write), or does not hold real numbers.

    Examples
    --------
    >>> as_floats(xr.DataArray([1, 2], dims="n")).dtype.name
    'float64'
    """
    if not isinstance(data, xr.DataArray):
        need = f"dims {_names(dims)}" if dims else "labels"
        what = _remedy(data, dims or ("n",))
        raise FitError(f"{name} must be an xarray.DataArray with {need}, got {_what(data)}: {what}")
    return data.copy(data=real_values(data.to_numpy(), name))


def number_or_labelled(value: Any, name: str, dims: tuple[str, ...] = ()) -> xr.DataArray:
    """A number as an array without dims; all else as `as_floats` has it."""
    if np.ndim(value) == 0 and not isinstance(value, xr.DataArray | str):
        return xr.DataArray(real_values(value, name))
    return as_floats(value, name, dims)


def real_values(values: Any, name: str) -> Array:
    """The values as float64, or a sentence of ours on what they hold."""
    try:
        return real_array(values, name)
    except NumberError as error:
        raise FitError(str(error)) from None


def _what(value: Any) -> str:
    kind = type(value)
    home = "" if kind.__module__ == "builtins" else f"{kind.__module__.partition('.')[0]}."
    return f"{value!r}" if isinstance(value, str | int | float | bool | None) else f"a {home}{kind.__name__}"


def _remedy(value: Any, dims: tuple[str, ...]) -> str:
    """The line that makes labelled data of something else."""
    if isinstance(value, str) or hasattr(value, "__fspath__"):
        return f'open it first, spikecube.open_cube("{value}"), and choose a variable'
    if isinstance(value, xr.Dataset):
        names = ", ".join(map(str, value.data_vars)) or "none"
        return f"choose one of its variables ({names}), data[name]"
    kind, quoted = type(value).__name__, ", ".join(f'"{dim}"' for dim in dims)
    several = f"[{quoted}]" if len(dims) > 1 else quoted
    if kind == "Series":
        return f"write series.rename_axis({several}).to_xarray()"
    if kind == "DataFrame":
        return f'write frame.set_index({several})["value"].to_xarray()'
    coords = ", ".join(f'"{dim}": {name}' for dim, name in zip(dims, ("sizes", "controls"), strict=False))
    return f"write xr.DataArray(values, dims={several}, coords={{{coords}}})"


def as_generator(rng: Any) -> np.random.Generator | None:
    """A generator from whatever `numpy.random.default_rng` takes; None stays None, for no bootstrap.

    >>> bool(as_generator(1).integers(10) == np.random.default_rng(1).integers(10))
    True
    """
    if rng is None:
        return None
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise FitError(f"rng={rng!r} is no seed for numpy.random.default_rng: {error}") from None


def sizes_of(data: xr.DataArray | xr.Dataset, dim: str) -> Array:
    """The sizes along `dim`, in the order of the data.

    Raises
    ------
    ValueError
        If there is no such dim or coordinate, or sizes are no numbers, not positive and finite, or repeated.
    """
    if dim == SEED:
        raise FitError(f"dim={dim!r} is the dim of the replicates: a law needs another dim, that of the sizes")
    if not isinstance(dim, str) or dim not in data.dims:
        raise FitError(f"dim={dim!r} is not a dim of the data, which has {_names(list(data.dims)) or 'none'}")
    if dim not in data.coords:
        raise FitError(f"the data have no coordinate {dim!r}: a law in {dim} needs the sizes")
    if not data.sizes[dim]:
        raise FitError(f"the data have no label along {dim!r}: a law in {dim} needs sizes")
    sizes = real_values(data[dim].to_numpy(), f"the coordinate {dim!r}")
    if not ((sizes > 0) & np.isfinite(sizes)).all() or len(set(sizes)) < len(sizes):
        twice = sorted(set(sizes[np.isfinite(sizes)].tolist()))
        twice = [n for n in twice if (sizes == n).sum() > 1]
        how = f" ({some(twice)} more than once: write data.groupby({dim!r}).mean())" if twice else ""
        raise FitError(f"the coordinate {dim!r} must be positive, finite and without repeats, got {some(sizes)}{how}")
    return sizes


def check_names(data: xr.DataArray | xr.Dataset) -> None:
    """Refuse dims and coordinates that the result needs for itself."""
    clash = sorted({str(d) for d in (*data.dims, *data.coords)} & RESERVED)
    if clash:
        raise FitError(
            f"the data have a dim or coordinate {clash[0]!r}, a name that results use: write "
            f'data.rename({clash[0]}="{clash[0]}_")'
        )


def align(value: xr.DataArray, like: xr.DataArray, name: str) -> xr.DataArray:
    """A value at the labels of `like`, in the order of `like`, with its dims; NaN at labels that the value lacks.

    Labels are compared exactly; nothing is sorted and nothing goes by position, but for dims that have no labels on
    either side. A scalar coordinate is a label too: a value of one curve belongs to that curve alone.

    Parameters
    ----------
    value : its dims are among those of `like`.
    like : the data; only dims and labels are looked at.
    name : what the sentence of an error calls the value.

    Raises
    ------
    ValueError
        If a dim is unknown, a label of the value does not stand in `like` (or stands in it twice), or only one of
        the two has labels.

    Examples
    --------
    >>> like = xr.DataArray([0.0, 0.0, 0.0], dims="k", coords={"k": ["tanh", "relu", "erf"]})
    >>> align(xr.DataArray([1.0, 2.0], dims="k", coords={"k": ["relu", "tanh"]}), like, "stderr").values.tolist()
    [2.0, 1.0, nan]
    """
    named = value.expand_dims([d for d in like.dims if d in value.coords and d not in value.dims])
    foreign = [d for d in named.dims if d not in like.dims]
    if foreign:
        raise FitError(f"{name} has the dim {foreign[0]!r}, which the data do not have (theirs: {_names(like.dims)})")
    _check_scalars(named, like, name)
    for dim in map(str, named.dims):
        places = _places(named, like, dim, name)
        if places is not None:
            taken = named.isel({dim: np.maximum(places, 0)}).drop_vars(dim)
            named = taken.where(xr.DataArray(places >= 0, dims=dim))
    frame = xr.DataArray(np.zeros(like.shape), dims=like.dims)
    wide: xr.DataArray = named.reset_coords(drop=True).drop_vars(named.indexes, errors="ignore").broadcast_like(frame)
    ordered = wide.transpose(*like.dims)
    return ordered.assign_coords({d: like[d] for d in like.dims if d in like.coords})


def _check_scalars(value: xr.DataArray, like: xr.DataArray, name: str) -> None:
    """Two selections that stand at different labels do not belong together."""
    for key, own in value.coords.items():
        theirs = like.coords.get(key)
        if own.ndim or theirs is None or theirs.ndim:
            continue
        if own.item() != theirs.item() and not (own.item() != own.item() and theirs.item() != theirs.item()):
            raise FitError(f"{name} stands at {key} = {own.item()}, the data at {key} = {theirs.item()}")


def _places(value: xr.DataArray, like: xr.DataArray, dim: str, name: str) -> Array | None:
    """Where each label of `like` stands in the value, -1 where nowhere; None if neither has labels."""
    own, theirs = value.indexes.get(dim), like.indexes.get(dim)
    if own is None and theirs is None:
        if value.sizes[dim] != like.sizes[dim]:
            raise FitError(f"{name} has length {value.sizes[dim]} along {dim!r}, the data {like.sizes[dim]}")
        return None
    if own is None or theirs is None:
        who, whom = (name, "the data") if own is None else ("the data", name)
        raise FitError(f"{who} has no labels along {dim!r}, as {whom} has: write assign_coords({dim}=...)")
    if not own.is_unique:
        raise FitError(f"{name} has the label {dim} = {some(own[own.duplicated()].unique())} more than once")
    extra = own[theirs.get_indexer_for(own) < 0] if theirs.is_unique else own[~own.isin(theirs)]
    if len(extra):
        raise FitError(f"{name} has the label {dim} = {some(extra)}, which the data do not have ({some(theirs)})")
    return np.asarray(own.get_indexer(theirs))


def place_of(frame: xr.DataArray, wrong: Array) -> str:
    """The first place of a mask by its labels, and how many more there are."""
    where = np.argwhere(wrong)
    first = [
        f"{d} = {frame[d].values[i] if d in frame.coords else f'#{i}'}"
        for d, i in zip(frame.dims, where[0], strict=True)
    ]
    more = f" (and {len(where) - 1} more)" if len(where) > 1 else ""
    return f"{', '.join(first) or 'everywhere'}{more}"


def standard_errors(stderr: Any, data: xr.DataArray, dim: str, zeros: str = "refuse") -> tuple[Array, Array]:
    """Standard errors at every point of the data (NaN: not known), and which points are left out for an error of zero.

    A number is the error of every point. A curve that the errors do not name has none; inside a curve every point with
    a value needs one.

    Parameters
    ----------
    stderr : DataArray or number.
    data : the values, float64.
    dim : the dim of the sizes.
    zeros : "refuse", or "drop" to leave out points whose error is zero.

    Raises
    ------
    ValueError
        If an error is negative, infinite, missing, or zero and not to be dropped: the sentence names the first place.
    """
    if zeros not in ("refuse", "drop"):
        raise FitError(f'zeros={zeros!r} is not "refuse" or "drop"')
    if isinstance(stderr, np.ndarray) and stderr.shape == data.shape:
        raise FitError("stderr is an array without labels: write data.copy(data=stderr)")
    given = number_or_labelled(stderr, "stderr")
    errors = align(given, data, "stderr").to_numpy()
    named = np.isfinite(align(xr.ones_like(given), data, "stderr").to_numpy())
    present = np.isfinite(data.to_numpy())
    with np.errstate(invalid="ignore"):
        _refuse(data, present & (errors < 0), errors, "stderr must be positive, and is {} at {}")
        _refuse(data, present & np.isinf(errors), errors, "stderr must be finite, and is {} at {}")
        nothing = present & (errors == 0)
    if zeros == "refuse":
        remedy = 'mask these points, data.where(stderr > 0), or leave them out with zeros="drop"'
        _refuse(data, nothing, errors, f"stderr must be positive, and is {{}} at {{}}: {remedy}")
    unnamed = np.broadcast_to(~named.any(data.dims.index(dim), keepdims=True), named.shape)
    missing = present & np.isnan(errors) & ~unnamed
    _refuse(data, missing, errors, "stderr is missing ({}) where the data have a value, at {}: mask the data there too")
    return np.where(nothing, np.nan, errors), nothing


def _refuse(data: xr.DataArray, wrong: Array, values: Array, sentence: str) -> None:
    if wrong.any():
        raise FitError(sentence.format(f"{values[wrong][0]:g}", place_of(data, wrong)))


def _names(names: Sequence[Any]) -> str:
    return ", ".join(map(str, names))


def some(labels: Any) -> str:
    """A few labels, in full precision."""
    shown = [str(label) for label in np.asarray(labels).tolist()[:_SHOWN]]
    return ", ".join(shown) + (" ..." if len(labels) > _SHOWN else "")
