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
    return f"{title}. {_axis(picture.ylabel)} against {_axis(picture.xlabel)}. {'; '.join(series[:MOST_SERIES])}{more}."


def _axis(label: str) -> str:
    return label.replace("   ", ", ")


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
    if layer.kind == "spikes":
        return f"{layer.label}: {len(x)}, from {number(x.min())} to {number(x.max())}"
    first, last = int(x.argmin()), int(x.argmax())
    count = f"{len(x)} points, " if layer.kind == "points" else ""
    if len(x) == 1 or y[first] == y[last]:
        return f"{layer.label}: {count}{number(y[first])}"
    ends = f"{number(y[first])} at {number(x[first])} to {number(y[last])} at {number(x[last])}"
    return f"{layer.label}: {count}from {ends}"
