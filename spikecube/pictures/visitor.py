"""What the screen of a visitor is like: dark, or narrow; and figures for narrow ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import panel as pn
from bokeh.models import CustomJS, Quad, Text
from bokeh.models.widgets import Toggle

from spikecube.pictures.legend import INSIDE

DARK, NARROW = "(prefers-color-scheme: dark)", "(max-width: 600px)"
"""Media queries; report.js asks the same."""

_WATCH = """
const media = matchMedia(query);
media.onchange = () => { toggle.active = media.matches; };
media.onchange();
"""


def watch(query: str, told: Callable[[bool], None]) -> pn.viewable.Viewable:
    """A part of a served page, not seen, that tells whether a media query holds, now and when that changes."""
    toggle = Toggle(visible=False)
    toggle.on_change("active", lambda _name, _old, holds: told(bool(holds)))
    document = pn.state.curdoc
    if document is not None:
        document.js_on_event("document_ready", CustomJS(args={"toggle": toggle, "query": query}, code=_WATCH))
    return pn.pane.Bokeh(toggle, width=0, height=0, margin=0)


def fit_to(figure: Any, *, narrow: bool) -> None:
    """On a narrow screen the legend of a figure stands above its frame, and numbers in its cells stand upright.

    The twin of `fitTo` in narrow.js.
    """
    there, goal = (figure.center, figure.above) if narrow else (figure.above, figure.center)
    for legend in [m for m in there if INSIDE in m.tags]:
        goal.append(legend)  # first, so that the browser always has a place for it
        there.remove(legend)
    glyphs = [renderer.glyph for renderer in figure.renderers if hasattr(renderer, "glyph")]
    texts = [glyph for glyph in glyphs if isinstance(glyph, Text)]
    if texts and any(isinstance(glyph, Quad) for glyph in glyphs):
        for glyph in texts:
            glyph.angle = math.pi / 2 if narrow else 0.0
        figure.xaxis[0].major_label_orientation = "vertical" if narrow else "horizontal"
