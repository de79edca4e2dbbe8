"""HoloViews drawing with Bokeh, without a word to a notebook that draws with something else."""

from __future__ import annotations

import sys

import holoviews as hv


def load_backend() -> None:
    """Makes HoloViews able to draw with Bokeh; a backend that the user has loaded stays the current one."""
    loaded, current = hv.Store.loaded_backends(), hv.Store.current_backend
    if "bokeh" in loaded:
        return
    if in_notebook() and not loaded:
        hv.extension("bokeh", logo=False)
        return
    import holoviews.plotting.bokeh  # noqa: F401

    if loaded:
        hv.Store.set_current_backend(current)


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs us."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
