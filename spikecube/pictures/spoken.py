"""What a picture shows, in a sentence for those who do not see it."""

from __future__ import annotations

import numpy as np

from spikecube.pictures.layers import Layer
from spikecube.pictures.picture import Picture
from spikecube.text import number

MOST_SERIES = 8


def spoken(picture: Picture) -> str:
    """Title, axes, and for each series how many points it has and where it begins and ends; the note of a note."""
    if picture.note:
        return picture.note
    title = picture.title.replace("\n", "; ")
    series = [text for text in map(_series, picture.layers) if text]
    more = f"; and {len(series) - MOST_SERIES} more" if len(series) > MOST_SERIES else ""
    along = picture.xlabel or (picture.strip.xlabel if picture.strip else "")  # the lowest of several has the label
    return f"{title}. {_axis(picture.ylabel)} against {_axis(along)}. {'; '.join(series[:MOST_SERIES])}{more}."


def _axis(label: str) -> str:
    return ", ".join(part.strip(" ,") for part in label.split("   "))


def _series(layer: Layer) -> str:
    """What one layer shows; nothing for guides and for what is not there."""
    if layer.kind == "cells":
        values = np.asarray(layer.column(4), dtype=float)
        return f"{len(values)} cells, from {number(values.min())} to {number(values.max())}" if len(values) else ""
    if not layer.label:
        return ""
    if layer.kind == "band":
        half = (layer.column(2) - layer.column(1)) / 2
        return f"{layer.label}: off by up to {number(half.max())}" if len(half) else ""
    x, y = (np.asarray(layer.column(i), dtype=float) for i in (0, 1))
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return ""
    x, y = x[known], y[known]
    if layer.kind == "spikes" or _stems(x, y):
        places = x if layer.kind == "spikes" else x[::2]
        if len(places) == 1:
            return f"{layer.label}: at {number(places[0])}"
        return f"{layer.label}: {len(places)}, from {number(places.min())} to {number(places.max())}"
    first, last = int(x.argmin()), int(x.argmax())
    count = f"{len(x)} point{'s' if len(x) > 1 else ''}, " if layer.kind == "points" else ""
    if (y == y[0]).all():
        return f"{layer.label}: {count}{number(y[first])}"
    ends = f"{number(y[first])} at {number(x[first])} to {number(y[last])} at {number(x[last])}"
    return f"{layer.label}: {count}from {ends}"


def _stems(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether a line is pieces up from the axis, whose places tell all."""
    return len(x) % 2 == 0 and bool((x[::2] == x[1::2]).all() and (y[::2] == 0).all() and (y[1::2] > 0).all())
