"""The explorer: two linked views of a cube side by side, on localhost."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import panel as pn
import xarray as xr

from spikecube.means.places import default_label, further_axes, nearest
from spikecube.means.spikes import study_of
from spikecube.pictures import exports, predicted
from spikecube.pictures.app_free import FREE, Free
from spikecube.pictures.background import in_background
from spikecube.pictures.catalogue import CATALOGUE, Scene
from spikecube.pictures.elsewhere import in_process
from spikecube.pictures.entry import Entry
from spikecube.pictures.marks import Brush
from spikecube.pictures.picture import VIEW, Canvas, Picture
from spikecube.pictures.sources import Source, source_of
from spikecube.text import number
from spikecube.words import symbols
from spikecube.words.overview import cells_done

REFRESH_MS = 2000
Fitter = Callable[[xr.Dataset], Mapping[str, xr.Dataset]]


class Screen:
    """A place for one view: patched in place while the view keeps its parts, drawn anew when they change."""

    def __init__(self, view: str, on_brush: Callable[[Brush], None]) -> None:
        options = {entry.title: name for name, entry in CATALOGUE.items()}
        self.choice = pn.widgets.Select(options=options, value=view, sizing_mode="stretch_width")
        self.title = pn.pane.HTML("", css_classes=["title"], sizing_mode="stretch_width")
        self.pane = pn.pane.Bokeh(sizing_mode="stretch_both")
        self.with_table = pn.widgets.Toggle(label="Table", variant="outline", width=58, height=32, margin=(4, 3))
        self.table = pn.pane.HTML("", visible=False, css_classes=["table"], sizing_mode="stretch_width")
        self.python = pn.widgets.TextAreaInput(value="", visible=False)
        self.stem = ""
        self.shown = Picture([])
        self._canvas: Canvas | None = None
        self._on_brush = on_brush
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
            self.pane.object = self._canvas.root
        self._canvas.root.tags = [VIEW, stem]
        first, *rest = map(html.escape, picture.title.split("\n"))
        self.title.object = f"<b>{first}</b>" + "".join(f"<br>{line}" for line in rest)
        self._tell()

    def _tell(self) -> None:
        """The table of what is seen, where it is wanted."""
        self.table.visible = self.with_table.value
        if self.with_table.value:
            self.table.object = exports.seen_table(self.shown)


class Explorer:
    """The state of one visitor: a selection, a brush, two screens, and what was computed on demand.

    Parameters
    ----------
    source
        Where the cube comes from.
    prediction, fits
        What is known already.
    fitter
        Computes the fits of a cube when asked for, a function of a module; None offers none.
    other
        A second cube, drawn beside the first in the view of any variable.
    compute
        Calls a function with arguments, by default in a process of its own so that the page is not held up.
    """

    def __init__(
        self,
        source: Source,
        prediction: xr.Dataset | None = None,
        fits: Mapping[str, xr.Dataset] | None = None,
        fitter: Fitter | None = None,
        other: xr.Dataset | None = None,
        compute: Callable[..., Any] = in_process,
    ) -> None:
        self.source, self.fitter, self.other, self._calls = source, fitter, other, compute
        self._version = source.version()
        self.scene = Scene(source.cube(), prediction, fits or {})
        self.brush: Brush = None
        self._running: list[str] = []
        self.sliders = {name: _slider(self.scene.cube, name) for name in _axes(self.scene.cube)}
        self.free = Free(self.scene.cube)
        self.screens = [Screen(view, self.set_brush) for view in ("spectrum", "test")]
        self.choices = [screen.choice for screen in self.screens]
        self.busy = pn.indicators.LoadingSpinner(value=False, size=22, visible=False)
        self.unmark = pn.widgets.Button(
            label="Clear the mark", on_click=lambda _event: self.set_brush(None), visible=False
        )
        self.message = pn.pane.Str("", css_classes=["message"])
        self.state = pn.pane.HTML("", sizing_mode="stretch_width")
        for name, slider in self.sliders.items():
            slider.param.watch(lambda _event, axis=name: self.draw(axis), "value")
        for widget in (*self.choices, *self.free.widgets.values()):
            widget.param.watch(lambda _event: self.draw(), "value")
        self.draw()

    def begin(self) -> None:
        """What is done unasked once the page is there: the prediction, if there is none."""
        if self.scene.prediction is None:
            self.predict()

    @property
    def place(self) -> dict[str, Any]:
        """The selected label of every axis with a slider."""
        return {name: slider.value for name, slider in self.sliders.items()}

    def draw(self, axis: str | None = None) -> None:
        """Draws the screens whose views are chosen along an axis; all of them without one."""
        further = further_axes(self.scene.cube)
        for screen in self.screens:
            entry = screen.entry
            if axis is not None and axis not in (*entry.axes, *further):
                continue
            labels = {name: label for name, label in self.place.items() if name in (*entry.axes, *further)}
            chosen = labels | (self.free.keywords() if entry.name == FREE else {})
            beside = {"other": self.other} if entry.name == FREE and self.other is not None else {}
            picture = entry.draw(self.scene, self.brush, **chosen, **beside)
            python = exports.python_of(entry, self.scene, self.source.name, chosen)
            screen.show(picture, exports.stem(self.scene.cube, entry.name, chosen), python)
        self.state.object = self._state()

    def _state(self) -> str:
        """How far a run has come, while it is looked at again and again."""
        if not self.source.live:
            return ""
        done, asked = cells_done(self.scene.cube)
        return f"<b>{done} of {asked} cells</b> are computed" + ("." if done == asked else "; new ones appear here.")

    def set_brush(self, brush: Brush) -> None:
        """Marks an interval of alpha in every view that has it; None clears it."""
        self.brush = None if brush is None else (float(brush[0]), float(brush[1]))
        self.unmark.visible = self.brush is not None
        self.message.object = (
            "" if self.brush is None else f"α from {self.brush[0]:.3f} to {self.brush[1]:.3f} is marked"
        )
        self.draw()

    def refresh(self) -> None:
        """Takes up what a run has finished since the last look."""
        version = self.source.version()
        if version == self._version:
            return
        self._version = version
        self.scene = replace(self.scene, cube=self.source.cube())
        self.draw()

    def predict(self, _event: object = None) -> None:
        """Computes the prediction in the background and draws it."""
        study = study_of(self.scene.cube)
        self._compute("Computing the prediction", predicted.predict_study, study.to_toml(), part="prediction")

    def fit(self, _event: object = None) -> None:
        """Computes the fits in the background."""
        if self.fitter is not None:
            self._compute("Fitting", self.fitter, self.scene.cube, part="fits")

    def _compute(self, what: str, function: Callable[..., Any], argument: Any, part: str) -> None:
        """Computes a part of the scene, unless that is under way; says so meanwhile, and in a sentence what failed."""
        if what in self._running:
            return

        def done(found: Any) -> None:
            self.scene = replace(self.scene, **{part: found})
            try:
                self.draw()
            finally:
                self._ended(what)

        self._running.append(what)
        self._tell()
        failed = f"{what} failed"
        in_background(lambda: self._calls(function, argument), done, lambda e: self._ended(what, f"{failed}: {e}"))

    def _ended(self, what: str, trouble: str = "") -> None:
        self._running.remove(what)
        self._tell(trouble)

    def _tell(self, trouble: str = "") -> None:
        """Shows what is being computed and what went wrong."""
        self.busy.value = self.busy.visible = bool(self._running)
        self.message.object = "\n".join([*([trouble] if trouble else []), *(f"{what} ..." for what in self._running)])

    def data(self, slot: int) -> pd.DataFrame:
        """What a screen shows as one table: a series a legend entry."""
        return exports.table_of(self.screens[slot].shown)

    def follow_address(self, location: Any) -> None:
        """Keeps the selection and the address of the page the same."""
        if location is not None:
            for name, widget in self.named_widgets().items():
                location.sync(widget, {"value": name})

    def named_widgets(self) -> dict[str, Any]:
        """Every choice by its name in the address."""
        return {**self.sliders, "left": self.choices[0], "right": self.choices[1]}

    def query(self) -> str:
        """The part of the address that brings this selection back."""
        from urllib.parse import urlencode

        return "?" + urlencode({name: widget.value for name, widget in self.named_widgets().items()})


def _axes(cube: xr.Dataset) -> list[str]:
    """Axes that can be chosen along."""
    return [name for name in ("alpha", "n", "lam", *further_axes(cube)) if cube.sizes.get(name, 1) > 1]


def _slider(cube: xr.Dataset, name: str) -> pn.widgets.Widget:
    """A slider over the labels of an axis, one step a label: even steps, logarithmic where the axis is."""
    labels = cube[name].values.tolist()
    texts = [v if isinstance(v, str) else number(float(v)) for v in labels]
    options = dict(zip(texts, labels, strict=True))
    value = default_label(cube, name)
    if name == "alpha":
        value = nearest(cube, "alpha", 0.34)
    label = f"{symbols.symbol(name)} ({name})" if symbols.symbol(name) != name else name
    if isinstance(labels[0], str):
        return pn.widgets.Select(label=label, options=options, value=value, sizing_mode="stretch_width")
    return pn.widgets.DiscreteSlider(label=label, options=options, value=value, sizing_mode="stretch_width")


def explore(
    cube: xr.Dataset | str | Path | Source,
    prediction: xr.Dataset | None = None,
    fits: Mapping[str, xr.Dataset] | None = None,
    *,
    fitter: Fitter | None = None,
    other: xr.Dataset | None = None,
) -> pn.viewable.Viewable:
    """The explorer of a cube: shown where a notebook cell ends, or served by `serve`.

    Parameters
    ----------
    cube
        A cube, its file, or a source of one that still grows.
    prediction, fits
        What is known already; what theory says is computed in the background.
    fitter
        Computes fits of a cube when asked, a function of a module.
    other
        A second cube, drawn beside the first in the view of any variable.
    """
    from spikecube.pictures.app_page import page

    pn.extension(inline=True)
    explorer = Explorer(source_of(cube), prediction, fits, fitter, other)
    explorer.begin()
    return page(explorer)
