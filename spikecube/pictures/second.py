"""A second cube over the first in any view of points: its own marks, hollow, at the nearest labels, which are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from spikecube.means.places import LabelError, default_label, further_axes, nearest
from spikecube.pictures import style
from spikecube.pictures.layers import Layer
from spikecube.pictures.legend import Limits
from spikecube.pictures.picture import Picture
from spikecube.words import symbols

SECOND = "second cube"
_OTHER = style.SERIES[3]


def place_in(
    other: xr.Dataset, cube: xr.Dataset, axes: Sequence[str], given: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """The labels of a second cube that are nearest to those of a view, and in words those that differ."""
    labels: dict[str, Any] = {}
    moved = ""
    for axis in dict.fromkeys([*axes, *further_axes(cube), *further_axes(other)]):
        if axis not in other.dims:
            continue
        own = given.get(axis)
        if own is None and axis in cube.dims:
            own = default_label(cube, axis)
        labels[axis] = _near(other, axis, own)
        if labels[axis] != own:
            moved += f", {symbols.symbol(axis)} = {symbols.value(labels[axis])}"
    return labels, moved


def _near(cube: xr.Dataset, axis: str, label: Any) -> Any:
    """The label of an axis that is nearest; of names the same or the first."""
    if cube[axis].dtype.kind in "iuf":
        return default_label(cube, axis) if label is None else nearest(cube, axis, float(label))
    return label if label in cube[axis].values else default_label(cube, axis)


def laid_over(picture: Picture, second: Picture, moved: str) -> Picture:
    """The measured marks of a second picture over the first.

    Raises
    ------
    LabelError
        If the picture is a map.
    """
    if any(layer.kind == "cells" for layer in picture.layers):
        raise LabelError("other is not for maps: a second cube would cover the first")
    if second.note:
        return replace(picture, title=f"{picture.title}\n{SECOND}: {second.note}")
    xlim = _around(picture.xlim, second.xlim, picture.logx)
    ylim = _around(picture.ylim, second.ylim, picture.logy)
    return replace(picture, layers=[*picture.layers, *_marks(second, moved)], xlim=xlim, ylim=ylim)


def _around(one: Limits | None, other: Limits | None, log: bool) -> Limits | None:
    """The ends of an axis that hold both; on a log axis the other's zero has no place."""
    if one is None or other is None:
        return None
    return one[0] if log and other[0] <= 0 else min(one[0], other[0]), max(one[1], other[1])


def _marks(second: Picture, moved: str) -> list[Layer]:
    """What is measured in a picture, with its error bars, hollow and named after the second cube."""
    made = []
    for layer in second.layers:
        if layer.kind == "bars":
            made.append(layer)
        elif layer.measured:
            named = replace(layer, label=layer.label.replace("measured", SECOND, 1) + moved)
            made.append(_HOLLOW[layer.kind](named))
    return made


def _points(layer: Layer) -> Layer:
    look = layer.style
    tips = [("", layer.label), *look["hover_tooltips"][1:]]
    hollow = {"color": style.PAPER, "line_color": look["color"], "line_width": 1.6, "hover_tooltips": tips}
    return replace(layer, style={**look, **hollow})


def _outline(layer: Layer) -> Layer:
    """A histogram as the line around it."""
    edges = np.append(layer.columns["left"], layer.columns["right"][-1:])
    x, y = layer.names[:2]
    columns = {x: np.repeat(edges, 2)[1:-1], y: np.repeat(layer.column(1), 2)}
    return Layer("line", columns, layer.label, {"color": _OTHER, "line_width": 1.5}, measured=True)


def _rug(layer: Layer) -> Layer:
    tips = [("", layer.label), *layer.style["hover_tooltips"][1:]]
    return replace(layer, style={**layer.style, "color": _OTHER, "line_dash": "dashed", "hover_tooltips": tips})


_HOLLOW: dict[str, Callable[[Layer], Layer]] = {"points": _points, "histogram": _outline, "spikes": _rug}
