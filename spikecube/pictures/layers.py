"""The layers of a picture: columns of plain numbers, how they look, and what each kind is to HoloViews and Bokeh."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import holoviews as hv
import numpy as np

from spikecube.pictures.backend import load_backend

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Kind:
    """What a layer is to HoloViews, and which columns its Bokeh source has."""

    element: Callable[[Layer], hv.Element]
    source: Callable[[Layer], Columns]
    extent: Callable[[Layer], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Layer:
    """One set of marks: its columns, those of the axes first, and how it looks.

    `measured` tells layers of measured values from predictions and guides; one that is not `framed` widens the
    view to twice the rest on either side at most, and may run out of it.
    """

    kind: str
    columns: Columns
    label: str = ""
    style: Mapping[str, Any] = field(default_factory=dict)
    measured: bool = False
    framed: bool = True

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self.columns)

    def column(self, place: int) -> np.ndarray:
        """A column by its place: 0 is the x axis, 1 the y axis."""
        return np.asarray(self.columns[self.names[place]])

    def source(self) -> Columns:
        """The columns that the Bokeh figure holds."""
        return KINDS[self.kind].source(self)

    def element(self) -> hv.Element:
        """The layer as HoloViews draws it."""
        load_backend()
        element = KINDS[self.kind].element(self)
        return element.opts(backend="bokeh", **copy.deepcopy(dict(self.style)))  # HoloViews writes into it


def _each(kind: type[hv.Element], layer: Layer) -> hv.Element:
    x, *rest = layer.names
    return kind(dict(layer.columns), x, rest, label=layer.label)


def _bars(layer: Layer) -> hv.Element:
    base, lower, upper = (layer.column(i) for i in range(3))
    middle = (lower + upper) / 2
    return hv.ErrorBars((base, middle, middle - lower, upper - middle), "base", ["middle", "below", "above"])


def _band(layer: Layer) -> hv.Element:
    x, low, high = layer.names
    return hv.Area(dict(layer.columns), x, [high, low], label=layer.label)


def _outline(layer: Layer) -> Columns:
    x, low, high = (layer.column(i) for i in range(3))
    return {"x": np.append(x, x[::-1]), "y": np.append(low, high[::-1])}


def _cells(layer: Layer) -> hv.Element:
    return hv.Rectangles(dict(layer.columns), layer.names[:4], layer.names[4:])


def _cells_source(layer: Layer) -> Columns:
    left, bottom, right, top, value = (layer.column(i) for i in range(5))
    return {"left": left, "bottom": bottom, "right": right, "top": top, "color": value} | dict(layer.columns)


def _histogram(layer: Layer) -> hv.Element:
    middle, height = layer.names[:2]
    edges = np.append(layer.columns["left"], layer.columns["right"][-1:])
    return hv.Histogram((edges, layer.columns[height]), kdims=middle, vdims=height, label=layer.label)


def _with_top(layer: Layer) -> Columns:
    return {"top": layer.column(1)} | dict(layer.columns)


def _spike_source(layer: Layer) -> Columns:
    return {"x": layer.column(0), "y0": np.zeros(len(layer.column(0))), "y1": layer.column(1)} | dict(layer.columns)


def _same(layer: Layer) -> Columns:
    return layer.columns


def _xy(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    x, y = layer.column(0), layer.column(1)
    drawn = np.isfinite(np.asarray(y, dtype=float))
    return x[drawn], y[drawn]


def _whole_bars(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    return layer.column(0), np.concatenate([layer.column(1), layer.column(2)])


def _nothing(_layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    return np.empty(0), np.empty(0)


KINDS = {
    "points": Kind(partial(_each, hv.Scatter), _same, _xy),
    "bars": Kind(_bars, _same, _whole_bars),
    "line": Kind(partial(_each, hv.Curve), _same, _xy),
    "band": Kind(_band, _outline, _nothing),
    "spikes": Kind(partial(_each, hv.Spikes), _spike_source, _xy),
    "cells": Kind(_cells, _cells_source, _nothing),
    "histogram": Kind(_histogram, _with_top, _xy),
    "verticals": Kind(lambda layer: hv.VLines(layer.column(0), layer.names[0]), _same, _nothing),
    "texts": Kind(lambda layer: hv.Labels(dict(layer.columns), layer.names[:2], layer.names[2:]), _same, _nothing),
}
