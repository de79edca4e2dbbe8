"""Strips below a picture, over the same sizes: what is left of a fit, and what it foretells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from spikecube.pictures import marks, style
from spikecube.pictures.layers import Layer
from spikecube.pictures.picture import Picture
from spikecube.words import symbols

_HEIGHT = 150


def stacked(top: Picture, *strips: Picture) -> Picture:
    """A picture with strips below it; only the lowest has a label on its x axis."""
    if not strips:
        return top
    return replace(top, xlabel="", strip=stacked(*strips))


def level_strip(
    above: Picture,
    sizes: npt.ArrayLike,
    values: npt.ArrayLike,
    what: str,
    *,
    x: str = "n",
    unit: str = "standard errors",
    marked: Sequence[float] = (2.0, -2.0),
) -> Picture:
    """Values along the sizes with a line at 0 and dashed ones at the `marked` levels."""
    known = np.isfinite(np.asarray(values, dtype=float))
    columns = {x: np.asarray(sizes, dtype=float)[known], what: np.asarray(values, dtype=float)[known]}
    ends, _ = above.limits()
    lines = [
        marks.steps([ends[0]], [ends[1]], [level], x, what, label="", colour=style.SOFT, dash=dash, width=1.2)
        for level, dash in ((0.0, "solid"), *((level, "dashed") for level in marked))
    ]
    tips = [(symbols.symbol(x), f"@{{{x}}}"), (f"{what} in {unit}", f"@{{{what}}}{{0.00}}")]
    look = {"color": style.SERIES[1], "size": 7, "tools": ["hover"], "hover_tooltips": tips}
    most = 1.2 * max(float(np.abs(columns[what]).max(initial=0)), 1.25 * max(map(abs, marked), default=0.0))
    return strip(above, [*lines, Layer("points", columns, style=look, measured=True)], what, (-most, most))


def strip(above: Picture, layers: Sequence[Layer], ylabel: str, ylim: tuple[float, float] | None = None) -> Picture:
    """A low picture over the x axis of the one above it."""
    ends, _ = above.limits()
    ticks = {"xticks": above.options["xticks"]} if "xticks" in above.options else {}
    options = {**ticks, "height": _HEIGHT, "toolbar": None, "show_legend": False}
    return Picture(layers, xlabel=above.xlabel, ylabel=ylabel, logx=above.logx, xlim=ends, ylim=ylim, options=options)
