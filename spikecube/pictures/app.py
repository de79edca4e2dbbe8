"""The explorer: two linked views of a cube side by side, on localhost."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import xarray as xr

from spikecube.means.places import default_label, further_axes, nearest
from spikecube.pictures import predicted, tables
from spikecube.pictures.background import in_background
from spikecube.pictures.catalogue import CATALOGUE, Scene
from spikecube.pictures.marks import Brush
from spikecube.pictures.picture import Canvas, Picture
from spikecube.pictures.sources import Source, source_of
from spikecube.text import number
from spikecube.words import symbols

REFRESH_MS = 2000
DATA_KINDS = ("points", "line", "band", "spikes", "cells", "histogram")
Fitter = Callable[[xr.Dataset], Mapping[str, xr.Dataset]]

_SAVE_PICTURE = """
const shown = [];
const walk = (view) => {
  if (view.model.tags.includes("view")) shown.push(view);
  else for (const child of view.child_views ?? []) walk(child);
};
for (const view of Bokeh.index) walk(view);
(shown[slot] ?? shown[0]).export(kind).to_blob().then((blob) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = "spikecube." + kind;
  link.click();
});
"""


class Screen:
    """A place for one view: patched in place while the view keeps its parts, drawn anew when they change."""

    def __init__(self, on_brush: Callable[[Brush], None]) -> None:
        self.pane = pn.pane.Bokeh(sizing_mode="stretch_width", min_height=440)
        self.shown = Picture([])
        self._canvas: Canvas | None = None
        self._on_brush = on_brush

    def show(self, picture: Picture, brushable: bool) -> None:
        """Draws a picture."""
        self.shown = picture
        if self._canvas is not None and self._canvas.parts == picture.parts:
            self._canvas.show(picture)
            return
        self._canvas = Canvas(picture)
        if brushable:
            self._canvas.let_select(self._brushed)
        self.pane.object = self._canvas.root

    def _brushed(self, start: float, end: float) -> None:
        self._on_brush((start, end))


class Explorer:
    """The state of one visitor: a selection, a brush, two screens, and what was computed on demand.

    Parameters
    ----------
    source
        Where the cube comes from.
    prediction, fits
        What is known already.
    fitter
        Computes the fits of a cube when asked for; None offers none.
    """

    def __init__(
        self,
        source: Source,
        prediction: xr.Dataset | None = None,
        fits: Mapping[str, xr.Dataset] | None = None,
        fitter: Fitter | None = None,
    ) -> None:
        self.source, self.fitter = source, fitter
        self._version = source.version()
        self.scene = Scene(source.cube(), prediction, fits or {})
        self.brush: Brush = None
        self._running: list[str] = []
        self.sliders = {name: _slider(self.scene.cube, name) for name in _axes(self.scene.cube)}
        options = {entry.title: name for name, entry in CATALOGUE.items()}
        self.choices = [pn.widgets.Select(options=options, value=v) for v in ("spectrum", "test")]
        self.screens = [Screen(self.set_brush) for _ in self.choices]
        self.busy = pn.indicators.LoadingSpinner(value=False, size=22)
        self.message = pn.pane.Str("", css_classes=["message"])
        for name, slider in self.sliders.items():
            slider.param.watch(lambda _event, axis=name: self.draw(axis), "value")
        for choice in self.choices:
            choice.param.watch(lambda _event: self.draw(), "value")
        self.draw()

    @property
    def place(self) -> dict[str, Any]:
        """The selected label of every axis with a slider."""
        return {name: slider.value for name, slider in self.sliders.items()}

    def draw(self, axis: str | None = None) -> None:
        """Draws the screens whose views are chosen along an axis; all of them without one."""
        further = further_axes(self.scene.cube)
        for choice, screen in zip(self.choices, self.screens, strict=True):
            entry = CATALOGUE[choice.value]
            if axis is not None and axis not in (*entry.axes, *further):
                continue
            labels = {name: label for name, label in self.place.items() if name in (*entry.axes, *further)}
            screen.show(entry.draw(self.scene, self.brush, **labels), entry.alpha_axis)

    def set_brush(self, brush: Brush) -> None:
        """Marks an interval of alpha in every view that has it; None clears it."""
        self.brush = None if brush is None else (float(brush[0]), float(brush[1]))
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
        cube = self.scene.cube
        self._compute("Computing the prediction", lambda: predicted.predict_for(cube), "prediction")

    def fit(self, _event: object = None) -> None:
        """Computes the fits in the background."""
        fitter, cube = self.fitter, self.scene.cube
        if fitter is not None:
            self._compute("Fitting", lambda: fitter(cube), "fits")

    def _compute(self, what: str, compute: Callable[[], Any], part: str) -> None:
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
        in_background(compute, done, lambda error: self._ended(what, f"{what} failed: {error}"))

    def _ended(self, what: str, trouble: str = "") -> None:
        self._running.remove(what)
        self._tell(trouble)

    def _tell(self, trouble: str = "") -> None:
        """Shows what is being computed and what went wrong."""
        self.busy.value = bool(self._running)
        self.message.object = "\n".join([*([trouble] if trouble else []), *(f"{what} ..." for what in self._running)])

    def data(self, slot: int) -> pd.DataFrame:
        """What a screen shows as one table: a series a legend entry."""
        return table_of(self.screens[slot].shown)

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


def table_of(picture: Picture) -> pd.DataFrame:
    """The measured and predicted series of a view, one below the other."""
    parts = []
    for layer in picture.layers:
        if layer.kind in DATA_KINDS and len(layer.column(0)):
            part = pd.DataFrame({name: column for name, column in layer.columns.items() if name != "weight"})
            part.insert(0, "series", layer.label or ("measured" if layer.measured else "predicted"))
            parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"series": []})


def csv_of(table: pd.DataFrame) -> io.StringIO:
    """A table as CSV text."""
    return io.StringIO(table.to_csv(index=False))


def netcdf_of(table: pd.DataFrame, scene: Scene) -> io.BytesIO:
    """A table as a netCDF file in memory, with the study it comes from."""
    data = xr.Dataset({str(name): ("row", column.to_numpy(dtype=object if column.dtype == object else None))
                       for name, column in table.items()})  # fmt: skip
    data.attrs = {k: v for k, v in scene.cube.attrs.items() if k in ("title", "study", "study_sha256")}
    text = {
        name: data[name].copy(data=np.char.encode(data[name].values.astype(str), "utf-8"))
        for name in data
        if data[name].dtype.kind in "OU"
    }
    return io.BytesIO(bytes(data.assign(text).to_netcdf(engine="scipy")))


def page(explorer: Explorer) -> pn.viewable.Viewable:
    """The page of an explorer: selection on the left, two views beside it."""
    link = pn.pane.HTML(sizing_mode="stretch_width")

    def update_link(*_events: object) -> None:
        link.object = f'<a href="{explorer.query()}" target="_blank">link to this selection</a>'

    for widget in explorer.named_widgets().values():
        widget.param.watch(update_link, "value")
    update_link()
    predict = pn.widgets.Button(label="Predict", color="primary", on_click=explorer.predict)
    fit = pn.widgets.Button(label="Fit", color="primary", on_click=explorer.fit, disabled=explorer.fitter is None)
    clear = pn.widgets.Button(label="Clear the mark", on_click=lambda _event: explorer.set_brush(None))
    side = pn.Column(
        pn.pane.HTML(f"<h2>{_escaped(explorer.scene.cube.attrs.get('title', 'spikecube'))}</h2>"),
        pn.pane.HTML(f"<p>{_escaped(tables.model_sentence(explorer.scene.cube))}</p>"),
        *explorer.sliders.values(),
        pn.Row(predict, fit, explorer.busy),
        explorer.message,
        clear,
        pn.pane.HTML(
            "<p>Markers are measured (bars: one standard error), lines predicted, dashes limits. "
            "Drag a box over a view with α on its axis to mark those points in both views.</p>"
        ),
        link,
        width=300,
    )
    slots = [_slot(explorer, slot) for slot in range(len(explorer.screens))]
    return pn.Row(side, pn.FlexBox(*slots, sizing_mode="stretch_width"), sizing_mode="stretch_width")


def _escaped(text: object) -> str:
    import html

    return html.escape(str(text))


_DOWNLOAD = {"embed": False, "width": 90, "variant": "outline"}


def _slot(explorer: Explorer, slot: int) -> pn.viewable.Viewable:
    pictures = []
    for kind in ("png", "svg"):
        button = pn.widgets.Button(label=kind.upper(), variant="outline", width=60)
        button.js_on_click(args={"kind": kind, "slot": slot}, code=_SAVE_PICTURE)
        pictures.append(button)
    csv = pn.widgets.FileDownload(
        callback=lambda: csv_of(explorer.data(slot)), filename="spikecube.csv", label="CSV", **_DOWNLOAD
    )
    netcdf = pn.widgets.FileDownload(
        callback=lambda: netcdf_of(explorer.data(slot), explorer.scene),
        filename="spikecube-view.nc",
        label="netCDF",
        **_DOWNLOAD,
    )
    return pn.Column(explorer.choices[slot], explorer.screens[slot].pane, pn.Row(*pictures, csv, netcdf), min_width=520,
                     styles={"flex": "1 1 520px"})  # fmt: skip


def explore(
    cube: xr.Dataset | str | Path | Source,
    prediction: xr.Dataset | None = None,
    fits: Mapping[str, xr.Dataset] | None = None,
    *,
    fitter: Fitter | None = None,
) -> pn.viewable.Viewable:
    """The explorer of a cube: shown where a notebook cell ends, or served by `serve`.

    Parameters
    ----------
    cube
        A cube, its file, or a source of one that still grows.
    prediction, fits
        What is known already; the page computes a prediction when asked.
    fitter
        Computes fits of a cube when asked.
    """
    pn.extension(inline=True)
    return page(Explorer(source_of(cube), prediction, fits, fitter))
