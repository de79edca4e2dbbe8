"""The choices of the explorer for the view of any variable."""

from __future__ import annotations

from typing import Any

import panel as pn
import xarray as xr

from spikecube.pictures.views.means import axes_of, drawable
from spikecube.words import symbols

FREE = "means"
"""The view whose variable, axis and colour are chosen."""


class Free:
    """What is chosen: the variable, its axis, its colour."""

    def __init__(self, cube: xr.Dataset) -> None:
        self.cube = cube
        names = drawable(cube)
        first = "test_loss" if "test_loss" in names else names[0] if names else ""
        self.variable = pn.widgets.Select(label="variable", options=names, value=first, sizing_mode="stretch_width")
        self.x = pn.widgets.Select(label="on the axis", sizing_mode="stretch_width")
        self.colour = pn.widgets.Select(label="as colour", sizing_mode="stretch_width")
        self.variable.param.watch(lambda _event: self._offer(), "value")
        self._offer()

    @property
    def widgets(self) -> dict[str, Any]:
        """Every choice by its keyword."""
        return {"variable": self.variable, "x": self.x, "colour": self.colour}

    def keywords(self) -> dict[str, Any]:
        """What is chosen, as keywords of the view."""
        return {name: widget.value for name, widget in self.widgets.items()}

    def _offer(self) -> None:
        """The axes that the variable has; what was chosen stays where it can."""
        axes = axes_of(self.cube, self.variable.value) if self.variable.value else []
        numbers = [a for a in axes if self.cube[a].dtype.kind in "iuf"]
        for widget, offered, wanted in ((self.x, numbers, ["alpha"]), (self.colour, [*axes, ""], ["n", ""])):
            kept = [v for v in (widget.value, *wanted) if v in offered]
            widget.param.update(options={symbols.symbol(a) if a else "nothing": a for a in offered},
                                value=kept[0] if kept else offered[0] if offered else None)  # fmt: skip
