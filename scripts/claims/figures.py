"""Figures of claims as pictures: drawn by Bokeh in headless Chromium, side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import holoviews as hv
from bokeh.embed import file_html
from bokeh.layouts import gridplot
from bokeh.resources import INLINE

from scripts.browser import Page

WIDTH = 720
COLUMNS = 2


def bokeh_model(shown: Sequence[Any]) -> Any:
    """HoloViews objects as one Bokeh model, two in a row."""
    figures = [hv.renderer("bokeh").get_plot(one).state for one in shown]
    for figure in figures:
        figure.toolbar_location = None
    return gridplot([figures[i : i + COLUMNS] for i in range(0, len(figures), COLUMNS)], toolbar_location=None)


def save(page: Page, shown: Sequence[Any], path: Path) -> None:
    """A picture (PNG) of some HoloViews objects."""
    width = WIDTH * min(COLUMNS, len(shown)) + 20
    with tempfile.TemporaryDirectory() as folder:
        html = Path(folder) / "figure.html"
        html.write_text(file_html(bokeh_model(shown), INLINE, "figure"), encoding="utf-8")
        page.open(html.as_uri(), width=width, height=400)
        page.wait(f"ink().length >= {len(shown)}")
        page.screenshot(path)
