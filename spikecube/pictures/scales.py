"""Logarithmic axes for any picture: what has no place on them is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from spikecube.means.places import LabelError
from spikecube.pictures.layers import Columns, Layer
from spikecube.pictures.picture import Picture

_DEEP = 1e-9
"""What stands for zero below a band: far out of the frame."""
_DECADES = 200.0
"""The ends of an axis that begins at zero, once it is logarithmic."""
_MAPS, _AREAS = {"cells"}, {"cells", "histogram", "spikes"}


def may_be_log(picture: Picture) -> tuple[bool, bool]:
    """Whether either axis may be logarithmic: no map, no bars from zero, and what is measured is positive there.

    Along the value axis half of it is enough.
    """
    seen = [layer for layer in picture.layers if layer.measured and len(layer.column(0))]
    if picture.note or not seen:
        return False, False
    kinds = {layer.kind for layer in picture.layers}
    x, y = (np.concatenate([layer.column(i) for layer in seen]) for i in (0, 1))
    return not kinds & _MAPS and bool((x > 0).all()), not kinds & _AREAS and bool(np.mean(y > 0) >= 0.5)


def scaled(picture: Picture, logx: bool | None = None, logy: bool | None = None) -> Picture:
    """The picture with its axes logarithmic or not; None leaves one as it is.

    Raises
    ------
    LabelError
        If the axis of a map, or that of bars from zero, is asked to be logarithmic.
    """
    kinds = {layer.kind for layer in picture.layers}
    if (logx and kinds & _MAPS) or (logy and kinds & _AREAS):
        raise LabelError(f"{'logx' if logx and kinds & _MAPS else 'logy'} is not for maps, nor logy for bars from zero")
    if not picture.note and logx is not None and logx != picture.logx:
        picture = _along_x(picture, logx)
    if not picture.note and logy is not None and logy != picture.logy:
        layers = [_positive_y(layer) for layer in picture.layers] if logy else picture.layers
        picture = replace(picture, layers=layers, logy=logy, ylim=None if logy else picture.ylim)
    return picture


def _along_x(picture: Picture, log: bool) -> Picture:
    """The picture and its strips with their common axis logarithmic or not."""
    ends = picture.xlim
    if log and ends is not None and ends[0] <= 0:
        ends = (ends[1] / _DECADES, ends[1])
    made = replace(picture, logx=log, xlim=ends, layers=[_positive_x(layer) for layer in picture.layers])
    if picture.strip is None:
        return made
    below = _along_x(replace(picture.strip, xlim=made.limits()[0]), log)
    return replace(made, strip=below)


def _positive_x(layer: Layer) -> Layer:
    """The rows of a layer with a positive place; a line keeps its gaps."""
    x = layer.column(0)
    if layer.kind in ("histogram", "cells"):
        return layer
    return _rows(layer, (x > 0) | (np.isnan(x) if layer.kind == "line" else False))


def _positive_y(layer: Layer) -> Layer:
    if layer.kind not in _ON_LOG:
        return layer
    return _ON_LOG[layer.kind](layer)


def _points(layer: Layer) -> Layer:
    return _rows(layer, layer.column(1) > 0)


def _bars(layer: Layer) -> Layer:
    lower, upper = layer.column(1), layer.column(2)
    middle = (lower + upper) / 2
    short = _with(layer, {layer.names[1]: np.maximum(lower, 0.1 * middle)})
    return _rows(short, middle > 0)


def _line(layer: Layer) -> Layer:
    y = layer.column(1)
    return _with(layer, {layer.names[1]: np.where(y > 0, y, np.nan)})


def _band(layer: Layer) -> Layer:
    low, high = layer.column(1), layer.column(2)
    deep = _with(layer, {layer.names[1]: np.maximum(low, _DEEP * high)})
    return _rows(deep, high > 0)


_ON_LOG: dict[str, Callable[[Layer], Layer]] = {
    "points": _points, "bars": _bars, "line": _line, "band": _band, "texts": _points
}  # fmt: skip


def _rows(layer: Layer, kept: np.ndarray) -> Layer:
    return replace(layer, columns={name: np.asarray(column)[kept] for name, column in layer.columns.items()})


def _with(layer: Layer, columns: Columns) -> Layer:
    return replace(layer, columns={**layer.columns, **columns})
