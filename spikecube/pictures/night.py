"""Figures by night: every colour of the table exchanged for its other one, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import panel as pn
from bokeh.core.property.vectorization import Value
from bokeh.model import Model
from bokeh.models import CustomJS
from bokeh.models.widgets import Toggle

from spikecube.pictures import style

BY_NIGHT = style.DARK
BY_DAY = {dark: light for light, dark in style.DARK.items()}

_WATCH = """
const night = matchMedia("(prefers-color-scheme: dark)");
night.onchange = () => { toggle.active = night.matches; };
night.onchange();
"""


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


def watch(darken: Callable[[bool], None]) -> pn.viewable.Viewable:
    """A part of a served page, not seen, that tells whether the visitor's screen is dark, now and when it changes."""
    toggle = Toggle(visible=False)
    toggle.on_change("active", lambda _name, _old, dark: darken(bool(dark)))
    document = pn.state.curdoc
    if document is not None:
        document.js_on_event("document_ready", CustomJS(args={"toggle": toggle}, code=_WATCH))
    return pn.pane.Bokeh(toggle, width=0, height=0, margin=0)
