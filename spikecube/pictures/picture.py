"""A view as plain data: layers of columns with their style, drawn by HoloViews once and then patched in place.

HoloViews makes a Bokeh figure from a picture (`overlay`); a slider that moves afterwards only replaces the columns of
the figure's layers (`Canvas.show`), which is some thirty times faster than drawing anew.
"""

from __future__ import annotations

import copy
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.events import SelectionGeometry
from bokeh.layouts import column
from bokeh.models import BoxSelectTool, CustomJSTicker, CustomJSTickFormatter, LogTicker

from spikecube.pictures import legend, style
from spikecube.pictures.backend import load_backend
from spikecube.pictures.layers import KINDS, Layer
from spikecube.pictures.legend import Limits

PADDING = 0.04
BORDERS = {"min_border_left": 66, "min_border_bottom": 50, "min_border_right": 16, "min_border_top": 8}
"""Around the frame, so that figures beside and above each other have frames of one size."""
VIEW = "view"
"""The tag of the Bokeh model that holds a whole view."""

_FIGURE = {
    "width": 720,
    "height": 380,
    "fontsize": {"title": "11pt", "labels": "10pt", "ticks": "9pt", "legend": "9pt"},
    "gridstyle": {"grid_line_color": style.GRID},
    "active_tools": [],
    "legend_position": "top_left",
    "legend_opts": {
        "background_fill_alpha": 0.75,
        "border_line_color": None,
        "padding": 4,
        "spacing": 0,
        "margin": 6,
        "glyph_height": 16,
        "title_text_font_size": "9pt",
        "title_text_font_style": "normal",
        "title_text_color": style.SOFT,
    },
}
_TOOLS = ["save", "pan", "wheel_zoom", "box_zoom", "reset"]


@dataclass(frozen=True)
class Picture:
    """A view: its layers from back to front, title, axes, and limits where they do not follow from the layers.

    A `strip` is a lower picture below it over the same x axis.
    """

    layers: Sequence[Layer]
    title: str = ""
    xlabel: str = ""
    ylabel: str = ""
    logx: bool = False
    logy: bool = False
    xlim: Limits | None = None
    ylim: Limits | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    strip: Picture | None = None

    @property
    def parts(self) -> tuple[Any, ...]:
        """What must be the same for one picture to be patched into another's figure."""
        layers = tuple((layer.kind, layer.label, tuple(layer.names), repr(layer.style)) for layer in self.layers)
        below = () if self.strip is None else self.strip.parts
        return (self.note, self.logx, self.logy, repr(self.options), layers, below)

    def limits(self) -> tuple[Limits, Limits]:
        """The ends of both axes: as given, or those of the layers with a margin."""
        extents = [KINDS[layer.kind].extent(layer) for layer in self.layers if layer.framed]
        x = self.xlim or _span([e[0] for e in extents], self.logx)
        y = self.ylim or _span([e[1] for e in extents], self.logy)
        beyond = [KINDS[layer.kind].extent(layer)[1] for layer in self.layers if not layer.framed]
        return x, y if self.ylim or not beyond else _stretched(y, np.concatenate(beyond), self.logy)

    @property
    def stack(self) -> list[Picture]:
        """The picture and its strips, from above."""
        return [self, *([] if self.strip is None else self.strip.stack)]

    def view(self) -> hv.Overlay | hv.Layout:
        """The picture as a HoloViews object, its strip below it."""
        shown = [part.overlay() for part in self.stack]
        return hv.Layout(shown).cols(1) if self.strip else shown[0]

    def overlay(self) -> hv.Overlay:
        """The picture without its strip as a HoloViews object."""
        xlim, ylim = self.limits()
        options: dict[str, Any] = _FIGURE | {
            "title": self.title,
            "xlabel": self.xlabel,
            "ylabel": self.ylabel,
            "logx": self.logx,
            "logy": self.logy,
            "xlim": xlim,
            "ylim": ylim,
            "show_grid": True,
            "default_tools": _TOOLS,
        }
        options = copy.deepcopy({**options, **self.options})  # HoloViews writes into it
        load_backend()
        overlay = hv.Overlay([layer.element() for layer in self.layers])
        return overlay.opts(backend="bokeh", **options, hooks=[_tidy, lambda plot, _: _arrange(plot.state, self)])


class Canvas:
    """A Bokeh figure of a picture that can be made to show others of the same parts."""

    def __init__(self, picture: Picture) -> None:
        plot = hv.renderer("bokeh").get_plot(picture.overlay())
        self.parts = picture.parts
        self.figure = plot.state
        self.figure.update(width=None, sizing_mode="stretch_width")
        self.sources = [part.handles.get("source") for part in plot.subplots.values()]
        self.strip = None if picture.strip is None else Canvas(picture.strip)
        self.root = self.figure
        if self.strip is not None:
            self.strip.figure.x_range = self.figure.x_range
            self.root = column(*self.figures, sizing_mode="stretch_width")
        self.root.tags = [VIEW]
        _arrange(self.figure, picture)

    @property
    def figures(self) -> list[Any]:
        """The figure, and that of the strip."""
        return [self.figure, *([] if self.strip is None else self.strip.figures)]

    def let_select(self, selected: Callable[[float, float], None]) -> None:
        """Gives the figure a tool that selects an interval of its x axis, and tells of each interval."""
        tool = BoxSelectTool(dimensions="width")
        self.figure.add_tools(tool)
        self.figure.toolbar.active_drag = tool

        def tell(event: SelectionGeometry) -> None:
            ends: dict[str, Any] = dict(event.geometry or {})
            if event.final and {"x0", "x1"} <= set(ends):
                selected(float(ends["x0"]), float(ends["x1"]))

        self.figure.on_event(SelectionGeometry, tell)

    def show(self, picture: Picture) -> None:
        """Replaces the columns, the limits, the title and the labels."""
        for layer, source in zip(picture.layers, self.sources, strict=True):
            if source is not None:
                source.data = dict(layer.source())
                source.selected.indices = []
        xlim, ylim = picture.limits()
        self.figure.x_range.update(start=xlim[0], end=xlim[1])
        self.figure.y_range.update(start=ylim[0], end=ylim[1])
        self.figure.title.text = picture.title
        self.figure.xaxis[0].axis_label = picture.xlabel
        self.figure.yaxis[0].axis_label = picture.ylabel
        _arrange(self.figure, picture)
        if self.strip is not None and picture.strip is not None:
            self.strip.show(picture.strip)


def note(sentence: str) -> Picture:
    """A view's place with a sentence that says what is missing."""
    columns = {"x": np.array([0.5]), "y": np.array([0.5]), "text": np.array(["\n".join(textwrap.wrap(sentence, 60))])}
    look = {"text_color": style.SOFT, "text_font_size": "11pt", "text_font_style": "italic"}
    options = {"xaxis": None, "yaxis": None, "toolbar": None, "show_grid": False}
    return Picture([Layer("texts", columns, style=look)], xlim=(0, 1), ylim=(0, 1), options=options, note=sentence)


def _span(parts: Sequence[np.ndarray], log: bool) -> Limits:
    """The ends of an axis with a margin on both sides."""
    values = np.concatenate([np.asarray(p, dtype=float).ravel() for p in parts]) if parts else np.empty(0)
    values = values[np.isfinite(values) & (values > 0 if log else True)]
    if not values.size:
        return (0.1, 10.0) if log else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if log:
        low, high = math.log(low), math.log(high)
    margin = PADDING * (high - low) or (0.5 if log else 0.05 * abs(high) or 0.5)
    low, high = low - margin, high + margin
    return (math.exp(low), math.exp(high)) if log else (low, high)


def _stretched(span: Limits, values: np.ndarray, log: bool) -> Limits:
    """The ends of an axis moved out until they hold some values, each by the length of the axis at most."""
    values = values[np.isfinite(values) & (values > 0 if log else True)]
    if not values.size:
        return span
    low, high = map(math.log, span) if log else span
    length, inside = high - low, np.log(values) if log else values
    low, high = min(low, max(inside.min(), low - length)), max(high, min(inside.max(), high + length))
    return (math.exp(low), math.exp(high)) if log else (float(low), float(high))


_RIM = """:host::before { content: ""; position: absolute; inset: 0; z-index: 1; pointer-events: none;
  border: solid var(--paper, transparent); border-width: 1px 0 0 1px; }"""
"""A canvas painted anew keeps half a pixel of the old colour at its upper and left rim."""


def _tidy(plot: Any, _element: Any) -> None:
    figure = plot.state
    figure.toolbar.update(logo=None, autohide=True)
    figure.update(**BORDERS, outline_line_color=None, stylesheets=[_RIM])
    for axis in figure.axis:
        axis.update(axis_line_color=style.SOFT, major_tick_line_color=style.SOFT, minor_tick_line_color=None)
        axis.axis_label_text_font_style = "normal"
        if isinstance(axis.ticker, LogTicker):
            axis.formatter = CustomJSTickFormatter(code=style.asset("tick_labels.js"))
    for part in (*figure.axis, *figure.grid):
        if isinstance(part.ticker, LogTicker):
            part.ticker = CustomJSTicker(major_code=style.asset("ticks.js"))
    figure.title.update(text_font_style="normal", text_color=style.INK)
    for box in figure.legend:
        box.click_policy = "hide"
        legend.gather(box)
        box.spacing = 14 if box.orientation == "horizontal" or box.ncols != "auto" else 0
    for part in plot.subplots.values():
        if "weight" in getattr(part.handles.get("source"), "data", {}):
            part.handles["glyph"].update(fill_alpha="weight", line_alpha="weight")
            part.handles["glyph_renderer"].nonselection_glyph = None  # the brush fades, over both views


def _arrange(figure: Any, picture: Picture) -> None:
    """The legend without entries that stand for nothing, where it covers no mark."""
    for box in figure.legend:
        legend.hide_the_dead(box)
        if "legend_position" not in picture.options:
            log, box.tags = (picture.logx, picture.logy), [legend.INSIDE]
            box.location, (_, figure.y_range.end) = legend.placed(box, picture.layers, picture.limits(), log)
