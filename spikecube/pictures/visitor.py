"""What the screen of a visitor is like, dark or narrow, and figures for such screens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import panel as pn
from bokeh.core.property.vectorization import Value
from bokeh.model import Model
from bokeh.models import CustomJS, Quad, Text
from bokeh.models.widgets import Toggle

from spikecube.pictures import style
from spikecube.pictures.legend import INSIDE

DARK, NARROW = "(prefers-color-scheme: dark)", "(max-width: 600px)"
"""Media queries; report.js asks the same."""

BY_NIGHT = style.DARK
BY_DAY = {dark: light for light, dark in style.DARK.items()}


def watch(query: str, call: Callable[[bool], None]) -> pn.viewable.Viewable:
    """A part of a served page, not seen, that tells whether a media query holds, now and when that changes."""
    toggle = Toggle(visible=False)
    toggle.on_change("active", lambda _name, _old, holds: call(bool(holds)))
    document = pn.state.curdoc
    if document is not None:
        document.js_on_event(
            "document_ready", CustomJS(args={"toggle": toggle, "query": query}, code=style.asset("watch.js"))
        )
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


def paint(root: Model, table: Mapping[str, str]) -> None:
    """Exchanges the colours of a figure and of all its parts."""
    for model in root.references():
        for name in model.properties():
            if "color" in name or "palette" in name:
                old = getattr(model, name)
                new = _exchanged(old, table)
                if new != old:
                    setattr(model, name, new)


def _exchanged(value: Any, table: Mapping[str, str]) -> Any:
    if isinstance(value, Value):
        return Value(_exchanged(value.value, table))
    if isinstance(value, str):
        return table.get(value.lower(), value)
    if isinstance(value, list | tuple):
        return [_exchanged(part, table) for part in value]
    return value
