"""The picture of a fit in a file: a page that needs no network, or a figure for a paper."""

from __future__ import annotations

from html import escape
from pathlib import Path

import holoviews as hv
import xarray as xr

from spikecube.pictures import figure_file
from spikecube.pictures.backend import load_backend
from spikecube.pictures.views.any_fit import picture_of_fit

_PAGES = (".html", ".htm")


def write_fit_picture(fit: xr.Dataset, path: str | Path, verdict: str) -> Path:
    """Write the picture of a fit: with its verdict to one HTML file that needs no network, or as .png, .svg or .pdf.

    Of several curves the page shows all, one below the other, a figure the one in the middle.

    Raises
    ------
    ValueError
        If the name of the file is none of these, or what writes it is not installed.
    """
    target = Path(path)
    if target.suffix not in (*_PAGES, *figure_file.SUFFIXES):
        allowed = ", ".join((_PAGES[0], *figure_file.SUFFIXES))
        given = target.suffix or "no suffix"
        raise figure_file.FigureError(f"{target}: pictures are written as {allowed}, got {given}")
    if target.suffix in figure_file.SUFFIXES:
        return figure_file.write_figure(picture_of_fit(fit), target)
    from bokeh.embed import file_html
    from bokeh.resources import INLINE

    load_backend()
    shown = [hv.renderer("bokeh").get_plot(picture_of_fit(one).view()).state for one in _curves(fit)]
    for figure in shown:
        figure.toolbar.update(logo=None, autohide=True)
    page = file_html(shown, INLINE, "fit")
    words = "".join(f"<p>{escape(line)}</p>" for line in verdict.splitlines())
    target.write_text(page.replace("<body>", f"<body>{words}", 1), encoding="utf-8")
    return target


def _curves(fit: xr.Dataset) -> list[xr.Dataset]:
    """Each curve of a fit."""
    stacked = [fit]
    for dim in fit["status"].dims:
        stacked = [one.isel({dim: [i]}) for one in stacked for i in range(fit.sizes[dim])]
    return stacked
