"""How the views look: colours, marks, and labels from the schema."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from importlib import resources
from typing import Any

INK = "#222222"
SOFT = "#8a8a8a"
FILL = "#b9c9d9"

# Okabe and Ito (2008): apart for every common kind of colour vision; lightness differs, so they survive a grey print.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex")

# Sizes are ordered, so their colours are too: light to dark, ends left out where they would vanish in print.
_ORDERED = ("#9bc3dd", "#5fa3cf", "#2c7fb8", "#1d5a96", "#123a6b", "#0a1f44")

# Blue - white - orange, for signed z-scores.
DIVERGING = (
    "#0b4f8a", "#2a78b5", "#5c9fce", "#97c3e0", "#cfe1ee", "#f5f5f5",
    "#fbdcc0", "#f6b37d", "#e98644", "#cc5c17", "#963d06",
)  # fmt: skip
# White to dark blue, for counts.
COUNTS = ("#f7fafc", "#d6e6f1", "#a8cce3", "#6fabd1", "#3d86bd", "#1d5f9c", "#103d6e", "#071f40")


def stylesheet() -> str:
    """The look that every page of ours shares: colours by day and by night, text, tables, focus."""
    return (resources.files("spikecube.pictures") / "assets" / "look.css").read_text(encoding="utf-8")


def ordered_colours(count: int) -> list[str]:
    """Colours of an ordered axis, light to dark.

    >>> ordered_colours(1), len(set(ordered_colours(4)))
    (['#123a6b'], 4)
    """
    if count == 1:
        return [_ORDERED[4]]
    return [_ORDERED[round(i * (len(_ORDERED) - 1) / (count - 1))] for i in range(count)]


def markers(count: int) -> list[str]:
    """One marker a series, so that a print without colour still tells them apart."""
    return list(itertools.islice(itertools.cycle(MARKERS), count))


def thin(values: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of some values, evenly by position, both ends among them.

    >>> thin(range(100), 4)
    [0, 33, 66, 99]
    """
    values = list(values)
    if len(values) <= most:
        return values
    if most == 1:
        return [values[-1]]
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]
