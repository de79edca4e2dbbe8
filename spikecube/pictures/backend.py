"""HoloViews drawing with Bokeh, without a word to a notebook that draws with something else, and without a network."""

from __future__ import annotations

import base64
import re
from typing import Any

import holoviews as hv

from spikecube.notebook import in_notebook


def load_backend() -> None:
    """Makes HoloViews able to draw with Bokeh; a backend that the user has loaded stays the current one."""
    loaded, current = hv.Store.loaded_backends(), hv.Store.current_backend
    if "bokeh" in loaded:
        return
    if in_notebook() and not loaded:
        _load_in_notebook()
        return
    import holoviews.plotting.bokeh  # noqa: F401

    if loaded:
        hv.Store.set_current_backend(current)


def _load_in_notebook() -> None:
    """Puts scripts and style sheets into the notebook itself, which by default would fetch them from a server."""
    from holoviews.core.dimension import LabelledData
    from holoviews.ipython.display_hooks import pprint_display

    hv.extension("bokeh", logo=False, inline=True)

    def shown(view: Any) -> Any:
        found = pprint_display(view)
        return None if found is None else (_with_styles(found[0]), found[1])

    hv.Store.set_display_hook("html+js", LabelledData, shown)


_SHEET = re.compile(r"https://cdn\.holoviz\.org/panel/[^/\"]+/dist/([\w./-]+\.css)(\?v=[\w.]+)?")


def _with_styles(data: dict[str, Any]) -> dict[str, Any]:
    """A display whose style sheets are those of the installed Panel, as data."""
    return {mime: _SHEET.sub(_as_data, text) if mime == "text/html" else text for mime, text in data.items()}


def _as_data(sheet: re.Match[str]) -> str:
    from panel.io.resources import DIST_DIR

    path = DIST_DIR / sheet[1]
    if not path.is_file():
        return sheet[0]
    return "data:text/css;base64," + base64.b64encode(path.read_bytes()).decode()
