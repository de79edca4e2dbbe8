"""A place of the explorer for one view, and the choices and switches that belong to views."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import panel as pn
import xarray as xr

from spikecube.pictures import exports
from spikecube.pictures.catalogue import CATALOGUE
from spikecube.pictures.entry import Entry
from spikecube.pictures.marks import Brush
from spikecube.pictures.picture import VIEW, Canvas, Picture
from spikecube.pictures.scales import may_be_log
from spikecube.pictures.views.means import axes_of, drawable
from spikecube.pictures.visitor import BY_DAY, BY_NIGHT, fit_to, paint
from spikecube.words import symbols


class Screen:
    """A place for one view: patched in place while the view keeps its parts, drawn anew when they change."""

    def __init__(self, view: str, on_brush: Callable[[Brush], None], on_scale: Callable[[Screen], None]) -> None:
        options = {entry.title: name for name, entry in CATALOGUE.items()}
        self.choice = pn.widgets.Select(options=options, value=view, sizing_mode="stretch_width")
        self.title = pn.pane.HTML("", css_classes=["title"], sizing_mode="stretch_width")
        self.pane = pn.pane.Bokeh(sizing_mode="stretch_both")
        self.with_table = pn.widgets.Toggle(label="Table", variant="outline", width=58, height=32, margin=(4, 3))
        self.table = pn.pane.HTML("", visible=False, css_classes=["table"], sizing_mode="stretch_width")
        self.logs = {
            name: pn.widgets.Toggle(label=label, variant="outline", width=60, height=32, margin=(5, 3))
            for name, label in (("logx", "log x"), ("logy", "log y"))
        }
        self.scales: dict[str, bool] = {}
        self.python = pn.widgets.TextAreaInput(value="", visible=False)
        self.stem = ""
        self.shown = Picture([])
        self._canvas: Canvas | None = None
        self._dark = self._narrow = False
        self._on_brush, self._on_scale = on_brush, on_scale
        self.choice.param.watch(lambda _event: self.scales.clear(), "value")
        for name, switch in self.logs.items():
            switch.param.watch(lambda event, axis=name: self._rescale(axis, event.new), "value")
        self.with_table.param.watch(lambda _event: self._tell(), "value")

    @property
    def entry(self) -> Entry:
        """The view that is chosen."""
        return CATALOGUE[self.choice.value]

    def show(self, picture: Picture, stem: str, python: str) -> None:
        """Draws a picture; `stem` names the files that it is saved as, `python` draws it again."""
        self.shown, self.stem, self.python.value = picture, stem, python
        if self._canvas is not None and self._canvas.parts == picture.parts:
            self._canvas.show(picture)
        else:
            self._canvas = Canvas(picture)
            for figure in self._canvas.figures:
                figure.sizing_mode = "stretch_both"
            self._canvas.root.sizing_mode = "stretch_both"
            self._canvas.figure.title.visible = False  # the page has it above, where it can be as long as it is
            if self.entry.alpha_axis:
                self._canvas.let_select(lambda start, end: self._on_brush((start, end)))
            if self._dark:
                paint(self._canvas.root, BY_NIGHT)
            if self._narrow:
                self._fit()
            self.pane.object = self._canvas.root
        self._canvas.root.tags = [VIEW, stem]
        first, *rest = map(html.escape, picture.title.split("\n"))
        self.title.object = f"<b>{first}</b>" + "".join(f"<br>{line}" for line in rest)
        self._offer_scales()
        self._tell()

    def darken(self, dark: bool) -> None:
        """Exchanges the colours of the figure for those of the night, or back."""
        if dark != self._dark and self._canvas is not None:
            paint(self._canvas.root, BY_NIGHT if dark else BY_DAY)
        self._dark = dark

    def squeeze(self, narrow: bool) -> None:
        """Has the figure fit on a narrow screen, or back."""
        if narrow != self._narrow:
            self._narrow = narrow
            self._fit()

    def _fit(self) -> None:
        for figure in [] if self._canvas is None else self._canvas.figures:
            fit_to(figure, narrow=self._narrow)

    def _rescale(self, axis: str, log: bool) -> None:
        """Draws an axis as a switch says, unless that is what it shows."""
        if log != getattr(self.shown, axis):
            self.scales[axis] = log
            self._on_scale(self)

    def _offer_scales(self) -> None:
        """The switches as the axes are; those that make no sense cannot be pressed."""
        for (axis, switch), possible in zip(self.logs.items(), may_be_log(self.shown), strict=True):
            on = bool(getattr(self.shown, axis)) and not self.shown.note
            switch.param.update(value=on, disabled=not (possible or on))

    def _tell(self) -> None:
        """The table of what is seen, where it is wanted."""
        self.table.visible = self.with_table.value
        if self.with_table.value:
            self.table.object = exports.seen_table(self.shown)


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
