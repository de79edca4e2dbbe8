"""The explorer: two linked views of a cube side by side, on localhost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import panel as pn
import xarray as xr

from spikecube.means.places import default_label, further_axes, nearest
from spikecube.means.spikes import study_of
from spikecube.pictures import exports, predicted, style
from spikecube.pictures.app_screen import FREE, Free, Screen
from spikecube.pictures.background import Bulks, in_background
from spikecube.pictures.catalogue import Scene
from spikecube.pictures.elsewhere import Elsewhere, in_process
from spikecube.pictures.marks import Brush
from spikecube.pictures.sources import Source, source_of
from spikecube.words import symbols
from spikecube.words.overview import cells_done

REFRESH_MS = 2000
Fitter = Callable[[xr.Dataset], Mapping[str, xr.Dataset]]


class Explorer:
    """The state of one visitor: a selection, a brush, two screens, and what was computed on demand.

    Parameters
    ----------
    source : where the cube comes from.
    prediction, fits : what is known already.
    fitter : computes the fits of a cube when asked for, a function of a module; None offers none.
    other : a second cube, drawn over the first in every view of points.
    compute : calls a function with arguments, by default in a process of its own so that the page is not held up.
    answer : calls a function that each place of a slider needs, by default in one process that stays.
    """

    def __init__(
        self,
        source: Source,
        prediction: xr.Dataset | None = None,
        fits: Mapping[str, xr.Dataset] | None = None,
        fitter: Fitter | None = None,
        other: xr.Dataset | None = None,
        compute: Callable[..., Any] = in_process,
        answer: Callable[..., Any] | None = None,
    ) -> None:
        self.source, self.fitter, self.other, self._calls = source, fitter, other, compute
        self._version = source.version()
        self._bulks = Bulks(answer or Elsewhere(), lambda: self.draw("alpha"), self._tell)
        self.scene = Scene(source.cube(), prediction, fits or {}, bulk=self._bulks)
        self.brush: Brush = None
        self._running: list[str] = []
        self.sliders = {name: _slider(self.scene.cube, name) for name in _axes(self.scene.cube)}
        self.free = Free(self.scene.cube)
        self.screens = [Screen(view, self.set_brush, self._draw_one) for view in ("spectrum", "test")]
        self.choices = [screen.choice for screen in self.screens]
        self.busy = pn.indicators.LoadingSpinner(value=False, size=22, visible=False)
        self.unmark = pn.widgets.Button(
            label="Clear the mark", on_click=lambda _event: self.set_brush(None), visible=False
        )
        self.message = pn.pane.Str("", stylesheets=["pre { font: inherit; margin: 0; white-space: pre-wrap; }"])
        self.state = pn.pane.HTML("", sizing_mode="stretch_width")
        for name, slider in self.sliders.items():
            slider.param.watch(lambda _event, axis=name: self.draw(axis), "value")
        for screen in self.screens:
            screen.choice.param.watch(lambda _event, its=screen: self._draw_one(its), "value")
        for widget in self.free.widgets.values():
            widget.param.watch(lambda _event: self._draw_free(), "value")
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
        for screen in self.screens:
            if axis is None or axis in self._axes_of(screen):
                self._draw_one(screen)
        self.state.object = self._state()

    def _axes_of(self, screen: Screen) -> list[str]:
        return [name for name in self.sliders if name in (*screen.entry.axes, *further_axes(self.scene.cube))]

    def _draw_one(self, screen: Screen) -> None:
        """Draws a screen where the sliders stand, as it is chosen."""
        entry, place = screen.entry, self.place
        labels = {name: place[name] for name in self._axes_of(screen)}
        chosen = labels | (self.free.keywords() if entry.name == FREE else {}) | screen.scales
        beside = {"other": self.other} if entry.overlays and self.other is not None else {}
        picture = entry.draw(self.scene, self.brush, **chosen, **beside)
        python = exports.python_of(entry, self.scene, self.source.name, chosen, second=bool(beside))
        screen.show(picture, exports.stem(self.scene.cube, entry.name, chosen), python)

    def _draw_free(self) -> None:
        for screen in self.screens:
            if screen.entry.name == FREE:
                self._draw_one(screen)

    def darken(self, dark: bool) -> None:
        """Draws by night, or by day."""
        for screen in self.screens:
            screen.darken(dark)

    def squeeze(self, narrow: bool) -> None:
        """Draws for a narrow screen, or for a wide one."""
        for screen in self.screens:
            screen.squeeze(narrow)

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
    return [name for name in ("alpha", "n", "lam", *further_axes(cube)) if cube.sizes.get(name, 1) > 1]


def _slider(cube: xr.Dataset, name: str) -> pn.widgets.Widget:
    """A slider over the labels of an axis, one step a label: even steps, logarithmic where the axis is."""
    labels = cube[name].values.tolist()
    options = {symbols.value(label): label for label in labels}
    value = default_label(cube, name)
    if name == "alpha":
        value = nearest(cube, "alpha", 0.34)
    label = f"{symbols.symbol(name)} ({name})" if symbols.symbol(name) != name else name
    if isinstance(labels[0], str):
        return pn.widgets.Select(label=label, options=options, value=value, sizing_mode="stretch_width")
    look: dict[str, Any] = {"bar_color": style.SERIES[0], "sizing_mode": "stretch_width"}
    return pn.widgets.DiscreteSlider(label=label, options=options, value=value, **look)


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
    cube : a cube, its file, or a source of one that still grows.
    prediction, fits : what is known already; what theory says is computed in the background.
    fitter : computes fits of a cube when asked, a function of a module.
    other : a second cube, drawn over the first in every view of points.
    """
    from spikecube.pictures.app_page import page

    pn.extension(inline=True)
    explorer = Explorer(source_of(cube), prediction, fits, fitter, other)
    explorer.begin()
    return page(explorer)
