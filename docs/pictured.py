"""Views on pages of the documentation: as wide as the page, interactive, drawn by the BokehJS that lies beside it."""

from __future__ import annotations

import html
from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # so that no view loads it into the page
from bokeh.embed import components
from bokeh.layouts import column
from bokeh.models import Plot
from IPython import get_ipython

_EMPTY: list[str] = []


def show_in_page() -> None:
    """Lets HoloViews objects of this kernel be shown as figures of the page."""
    formatter = get_ipython().display_formatter.formatters["text/html"]
    for kind in (hv.Overlay, hv.Layout, hv.Element):
        formatter.for_type(kind, in_page)


def in_page(view: Any) -> str:
    """A view as HTML: each figure below its title, which wraps here, and strips below what they belong to."""
    shown = hv.renderer("bokeh").get_plot(view).state
    groups: list[tuple[str, list[Plot]]] = []
    for figure in [shown] if isinstance(shown, Plot) else [child for child, *_ in shown.children]:
        figure.update(width=None, sizing_mode="stretch_width", toolbar_location="above")
        if not any(axis.visible for axis in figure.axis):
            _EMPTY.append(str(view))
        if figure.title.text or not groups:
            groups.append((figure.title.text, []))
        figure.title.visible = False
        groups[-1][1].append(figure)
    script, divs = components([column(*figures, sizing_mode="stretch_width") for _, figures in groups])
    captions = [html.escape(title).replace("\n", "<br>") for title, _ in groups]
    parts = [f"<figcaption>{caption}</figcaption>{div}" for caption, div in zip(captions, divs, strict=True)]
    return f'<figure class="view">{"".join(parts)}{script}</figure>'


def refuse_empty() -> None:
    """Fails the page that shows a sentence in place of a picture."""
    assert not _EMPTY, _EMPTY
