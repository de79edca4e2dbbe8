"""Where one stands in a cube: labels chosen, defaults, a prediction put on the labels of a cube."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from spikecube.cube.schema import STATUS
from spikecube.errors import SpikecubeError
from spikecube.text import number as number_text

Data = TypeVar("Data", xr.Dataset, xr.DataArray)
AXES = ("alpha", "n", "lam", "rank", "degree", "ell")
_MOST_LISTED = 24
_NEAR = 1e-9
"""Labels closer than this, relative to their size, are the same."""


class Missing(SpikecubeError, ValueError):
    """What a view needs and a cube does not have, as a sentence that is shown in the view's place."""


class LabelError(SpikecubeError, ValueError):
    """A label or an axis that is not in a cube, as a sentence with those that are."""


def variable(data: xr.Dataset, name: str, need: str = "") -> xr.DataArray:
    """A variable that holds at least one number.

    Raises
    ------
    Missing
        If it is not there or has no finite value.
    """
    if name not in data:
        raise Missing(f"This cube has no {name}.{' ' + need if need else ''}")
    if not bool(data[name].notnull().any()):
        raise Missing(f"No value of {name} is there yet.{' ' + need if need else ''}")
    return data[name]


def counted_points(cube: xr.Dataset) -> dict[str, int]:
    """How many points of a cube have each status; empty where it does not say."""
    if "status" not in cube:
        return {}
    return {name: int((cube["status"] == value).sum()) for name, value in STATUS.items()}


def holds(data: xr.Dataset, name: str) -> bool:
    """Whether a variable holds a number anywhere."""
    return name in data and bool(data[name].notnull().any())


def largest_size(one: xr.Dataset, name: str) -> int | None:
    """The largest size at which a variable has a value."""
    if not holds(one, name):
        return None
    known = one[name].notnull()
    return int(one["n"].values[known.any([d for d in known.dims if d != "n"]).values].max())


def default_label(data: xr.Dataset | xr.DataArray, name: str) -> Any:
    """Where a view stands along an axis that was not chosen: the largest alpha and n, the middle of the others."""
    values = data[name].values
    if values.dtype.kind not in "iuf":
        return values[0].item() if hasattr(values[0], "item") else values[0]
    return values[-1 if name in ("alpha", "n") else len(values) // 2].item()


def chosen(data: xr.Dataset | xr.DataArray, name: str, label: Any) -> Any:
    """The coordinate value that a label names: the same to rounding, or the only one that is printed so.

    Raises
    ------
    LabelError
        If there is none; the sentence lists what there is.

    Examples
    --------
    >>> chosen(xr.DataArray([0, 0], dims="lam", coords={"lam": [0.1, 10**-0.5]}), "lam", 0.3162) == 10**-0.5
    True
    """
    values = data[name].values.tolist()
    same = [v for v in values if _same(v, label)]
    if len(same) != 1:
        texts = [v if isinstance(v, str) else number_text(v) for v in values]
        listed = ", ".join(texts if len(texts) <= _MOST_LISTED else [*texts[: _MOST_LISTED - 2], "...", texts[-1]])
        raise LabelError(f"{name} = {label!r} is not there; {name} has {listed}")
    return same[0]


def _same(value: Any, label: Any) -> bool:
    if isinstance(value, str) or isinstance(label, str | bool):
        return bool(value == label)
    try:
        number = float(label)
    except (TypeError, ValueError):
        return False
    return math.isclose(value, number, rel_tol=1e-9, abs_tol=1e-12) or number_text(value) == f"{number:.15g}"


def nearest(data: xr.Dataset | xr.DataArray, name: str, label: float) -> Any:
    """The coordinate value nearest to a number: where a slider starts."""
    values = data[name].values
    return values[int(np.argmin(np.abs(values.astype(float) - label)))].item()


def sliced(data: Data, **labels: Any) -> Data:
    """The data at some labels, scalar coordinates kept; None stands for its default, other axes are skipped.

    Raises
    ------
    LabelError
        If a label is not there.
    """
    picked = {}
    for name, label in labels.items():
        if name in data.dims:
            picked[name] = default_label(data, name) if label is None else chosen(data, name, label)
    return data.sel(picked)


def boxed(cube: xr.Dataset, along: Sequence[str], where: Mapping[str, Any]) -> tuple[xr.Dataset, list[str]]:
    """As `sliced`, but every axis stays, one label long; and the names of those that were chosen along.

    They are those of `where`, and the further axes that `along` does not name.
    """
    labels = {**where, **{name: label for name, label in fixed(cube, where).items() if name not in along}}
    spot = sliced(cube, **labels)
    chosen = [name for name in labels if name in cube.dims]
    return cube.sel({name: [spot[name].item()] for name in chosen}), chosen


def here(data: xr.Dataset) -> xr.Dataset:
    """A dataset at the default label of each of its further axes, which stay as scalar coordinates."""
    return sliced(data, **dict.fromkeys(further_axes(data)))


def beside_alphas(prediction: xr.Dataset, cube: xr.Dataset) -> xr.Dataset:
    """A prediction at the alphas of a cube; NaN where it has none."""
    if "alpha" not in prediction.dims:
        return prediction
    return prediction.reindex(alpha=cube["alpha"].values, method="nearest", tolerance=_NEAR)


def foretold(data: xr.DataArray, **labels: Any) -> xr.DataArray:
    """A prediction at some labels, as `sliced`; NaN where it has none at this alpha."""
    alpha = labels.pop("alpha", None)
    if "alpha" not in data.dims:
        return sliced(data, **labels)
    if alpha is None:
        return sliced(data, alpha=None, **labels)
    one = sliced(data, **labels).reindex(alpha=[float(alpha)], method="nearest", tolerance=_NEAR).isel(alpha=0)
    return one.assign_coords(alpha=alpha)


def aligned(prediction: xr.Dataset, cube: xr.Dataset) -> xr.Dataset:
    """A prediction on the sizes, penalties and further labels of a cube, within its alphas; NaN where it has none."""
    for name in ("n", "lam", *further_axes(cube)):
        if name in prediction.dims and name in cube.dims:
            prediction = _on_labels(prediction, name, cube[name].values)
    if "alpha" not in prediction.dims or "alpha" not in cube.dims:
        return prediction
    alpha, low, high = prediction["alpha"].values, float(cube["alpha"].min()), float(cube["alpha"].max())
    inside = (alpha >= low - _NEAR) & (alpha <= high + _NEAR)
    return prediction if inside.all() else prediction.isel(alpha=inside)


def _on_labels(data: xr.Dataset, name: str, labels: np.ndarray) -> xr.Dataset:
    own = data[name].values
    if np.array_equal(own, labels):
        return data
    bare = data.drop_vars([c for c in data.coords if c != name and name in data[c].dims])
    if labels.dtype.kind not in "iuf" or own.dtype.kind not in "iuf":
        return bare.reindex({name: labels})
    return bare.reindex({name: labels}, method="nearest", tolerance=_NEAR * np.maximum(np.abs(labels), 1e-3))


def refuse_unknown(cube: xr.Dataset, view: str, known: Sequence[str], given: Sequence[str]) -> None:
    """Refuses keywords of a view that are neither its own nor further axes of the cube.

    Raises
    ------
    LabelError
        One sentence with what there is.
    """
    allowed = [*known, *further_axes(cube)]
    for name in given:
        if name not in allowed:
            raise LabelError(f"{view} has no keyword {name}; it has {', '.join(allowed)}")


def further_axes(cube: xr.Dataset) -> list[str]:
    """The axes of a cube beyond those that every cube has."""
    known = {*AXES, "seed", "bin"}
    return [str(d) for d in cube.dims if d not in known]


def fixed(cube: xr.Dataset, labels: Mapping[str, Any]) -> dict[str, Any]:
    """A label for each further axis of the cube, as given or its default."""
    return {name: labels.get(name) for name in further_axes(cube)}
