"""The picture of a fit in a file: a page that needs no network, or a figure for a paper by Matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from spikecube.errors import SpikecubeError
from spikecube.pictures.backend import load_backend
from spikecube.pictures.layers import Layer
from spikecube.pictures.picture import Picture
from spikecube.pictures.views.any_fit import picture_of_fit

_PAGES = (".html", ".htm")
SUFFIXES = (".png", ".svg", ".pdf")
_INCH = 110  # points of the screen
_HEIGHT = 420
_MARKERS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "inverted_triangle": "v", "hex": "h"}


class FigureError(SpikecubeError, ValueError):
    """A picture cannot be written to such a file; the sentence says why."""


def write_fit_picture(fit: xr.Dataset, path: str | Path, verdict: str) -> Path:
    """Write the picture of a fit: with its verdict to one HTML file that needs no network, or as .png, .svg or .pdf.

    Of several curves the page shows all, one below the other, a figure the one in the middle.

    Raises
    ------
    ValueError
        If the name of the file is none of these, or what writes it is not installed.
    """
    target = Path(path)
    if target.suffix not in (*_PAGES, *SUFFIXES):
        allowed = ", ".join((_PAGES[0], *SUFFIXES))
        given = target.suffix or "no suffix"
        raise FigureError(f"{target}: pictures are written as {allowed}, got {given}")
    if target.suffix in SUFFIXES:
        return write_figure(picture_of_fit(fit), target)
    from bokeh.embed import file_html
    from bokeh.resources import INLINE

    load_backend()
    curves = [fit]
    for dim in fit["status"].dims:
        curves = [one.isel({dim: [i]}) for one in curves for i in range(fit.sizes[dim])]
    shown = [hv.renderer("bokeh").get_plot(picture_of_fit(one).view()).state for one in curves]
    for figure in shown:
        figure.toolbar.update(logo=None, autohide=True)
    page = file_html(shown, INLINE, "fit")
    words = "".join(f"<p>{escape(line)}</p>" for line in verdict.splitlines())
    target.write_text(page.replace("<body>", f"<body>{words}", 1), encoding="utf-8")
    return target


def write_figure(picture: Picture, path: Path) -> Path:
    """Write a picture and its strips as PNG, SVG or PDF.

    Raises
    ------
    ValueError
        If Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise FigureError(
            f"{path}: {path.suffix} is written by Matplotlib, which is not installed: pip install matplotlib, or write "
            ".html"
        ) from None
    parts = picture.stack
    heights = [float(part.options.get("height", _HEIGHT)) for part in parts]
    figure = Figure(figsize=(720 / _INCH, sum(heights) / _INCH), layout="constrained")
    axes = figure.subplots(len(parts), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for part, axis in zip(parts, axes, strict=True):
        _draw(part, axis)
    figure.savefig(path, dpi=2 * _INCH, metadata={"Date": None} if path.suffix == ".svg" else None)
    return path


def _draw(picture: Picture, axis: Any) -> None:
    for layer in picture.layers:
        if layer.kind in _DRAWN:
            _DRAWN[layer.kind](axis, layer)
    axis.set_xscale("log" if picture.logx else "linear")
    axis.set_yscale("log" if picture.logy else "linear")
    xlim, ylim = picture.limits()
    axis.set_xlim(*xlim)
    axis.set_ylim(*ylim)
    axis.set(title=picture.title, xlabel=picture.xlabel, ylabel=picture.ylabel)
    if "xticks" in picture.options:
        places, labels = zip(*picture.options["xticks"], strict=True)
        axis.set_xticks(places, labels)
        axis.xaxis.minorticks_off()
    axis.grid(color="#e6e6e6", linewidth=0.6)
    axis.set_axisbelow(True)
    if picture.options.get("show_legend", True) and any(layer.label for layer in picture.layers):
        axis.legend(frameon=False, fontsize="small")


def _named(layer: Layer) -> dict[str, Any]:
    return {"color": layer.style.get("color"), "label": layer.label or None}


def _line(axis: Any, layer: Layer) -> None:
    dash, width = layer.style.get("line_dash", "solid"), 0.7 * layer.style.get("line_width", 2.0)
    axis.plot(layer.column(0), layer.column(1), linestyle=dash, linewidth=width, **_named(layer))


def _points(axis: Any, layer: Layer) -> None:
    marker, size = _MARKERS.get(layer.style.get("marker", "circle"), "o"), 0.7 * layer.style.get("size", 8)
    axis.plot(layer.column(0), layer.column(1), marker, markersize=size, **_named(layer))


def _bars(axis: Any, layer: Layer) -> None:
    base, lower, upper = (np.asarray(layer.column(i)) for i in range(3))
    axis.vlines(base, lower, upper, color=layer.style.get("line_color"), linewidth=1.0)


def _texts(axis: Any, layer: Layer) -> None:
    for x, y, text in zip(layer.column(0), layer.column(1), layer.column(2), strict=True):
        axis.text(x, y, text, ha="center", va="center")


_DRAWN: dict[str, Callable[[Any, Layer], None]] = {"line": _line, "points": _points, "bars": _bars, "texts": _texts}
