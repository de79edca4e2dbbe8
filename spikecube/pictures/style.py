"""How the views look: colours, marks, and labels from the schema."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from importlib import resources
from typing import Any

INK = "#222222"
SOFT = "#7a7a7a"
FILL = "#b9c9d9"
GRID = "#e6e6e6"
PAPER = "white"
ON_LIGHT, ON_DARK = "#000", "#fff"
"""Text on coloured cells, which are the same by day and by night."""

# Okabe and Ito (2008): apart for every common kind of colour vision; lightness differs, so they survive a grey print.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex")

# Sizes are ordered, so their colours are too: light to dark, ends left out where they would vanish in print.
_ORDERED = ("#9bc3dd", "#5fa3cf", "#2c7fb8", "#1d5a96", "#123a6b", "#0a1f44")

# Blue - nothing - orange, for signed z-scores from -5 to 5: within 2 standard errors there is no colour.
_NEUTRAL = "#f7f7f7"
DIVERGING = ("#0b4f8a", "#3d86bd", "#97c3e0", *[_NEUTRAL] * 4, "#f6b37d", "#db7130", "#963d06")
# White to dark blue, for counts.
COUNTS = ("#f7fafc", "#d6e6f1", "#a8cce3", "#6fabd1", "#3d86bd", "#1d5f9c", "#103d6e", "#071f40")


DARK = {
    INK: "#e4e7ea", SOFT: "#98a2ad", FILL: "#41566b", GRID: "#2f363d", PAPER: "#171b20", "#ffffff": "#171b21",
    "#444444": "#c3cad1", "#0072b2": "#58aee8", "#d55e00": "#ff8a3d", "#009e73": "#2fc99b", "#cc79a7": "#e39bc4",
    "#e69f00": "#f2b63d", "#56b4e9": "#8ccdf5", "#9bc3dd": "#3f77a3", "#5fa3cf": "#4a86b4", "#2c7fb8": "#6aa6d3",
    "#1d5a96": "#93c4e8", "#123a6b": "#badcf4", "#0a1f44": "#e2f1fc", _NEUTRAL: "#22282f",
    "#f7fafc": "#1c2228", "#d6e6f1": "#22384c", "#a8cce3": "#2a5274", "#6fabd1": "#39719d", "#3d86bd": "#5592c4",
    "#1d5f9c": "#7fb4dd", "#103d6e": "#abd2f0", "#071f40": "#dcedfb",
}  # fmt: skip
"""What each colour becomes on a dark page; no colour stands on both sides, so that exchanging twice changes nothing."""


def stylesheet() -> str:
    """The look that every page of ours shares: colours by day and by night, text, tables, focus."""
    return asset("look.css")


def asset(name: str) -> str:
    """A style sheet or script of ours."""
    return (resources.files("spikecube.pictures") / "assets" / name).read_text(encoding="utf-8")


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


def ordered_looks(count: int) -> list[dict[str, Any]]:
    """Colour and marker of each series along an ordered axis."""
    return [{"colour": c, "marker": m} for c, m in zip(ordered_colours(count), markers(count), strict=True)]


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
