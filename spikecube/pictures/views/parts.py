"""What several views share: names in titles, and pictures against alpha."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import xarray as xr

from spikecube.pictures.layers import Layer
from spikecube.pictures.picture import Picture
from spikecube.words import captions, symbols

Kind = Literal["train", "test"]
KIND = {"train": "Training", "test": "Test"}
MOST_SPIKES = 4
SUB = dict(enumerate("₀₁₂₃₄₅₆₇₈₉"))


def against_alpha(layers: Sequence[Layer], title: str, name: str, **axes: Any) -> Picture:
    return Picture(layers, title=title, xlabel=symbols.axis_label("alpha"), ylabel=symbols.axis_label(name), **axes)


def which_means(*data: xr.Dataset) -> str:
    """The line of a title that says what means are drawn, and over how many seeds."""
    return f"\n{captions.means_text(*data)}"
