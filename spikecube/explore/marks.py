"""The marks that views are made of: markers for what was measured, lines for predictions, dashes for limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from spikecube.explore import style
from spikecube.explore.plotdata import Missing

Brush = tuple[float, float] | None
MEASURED = (hv.Scatter, hv.Rectangles, hv.Histogram, hv.Spikes)

FIGURE = {
    "width": 720,
    "height": 420,
    "show_grid": True,
    "gridstyle": {"grid_line_color": "#e6e6e6"},
    "fontsize": {"title": "11pt", "labels": "10pt", "ticks": "9pt", "legend": "9pt"},
    "default_tools": ["save", "pan", "wheel_zoom", "box_zoom", "reset"],
    "active_tools": [],
    "padding": 0.04,
}
LEGEND = {"background_fill_alpha": 0.85, "border_line_color": None, "padding": 4, "spacing": 1, "glyph_height": 16}


def load_backend() -> None:
    """Makes Bokeh HoloViews' backend, and in a notebook sends it what it needs to draw."""
    if "bokeh" in hv.Store.loaded_backends():
        return
    if in_notebook():
        hv.extension("bokeh", logo=False)
    else:
        import holoviews.plotting.bokeh

        assert holoviews.plotting.bokeh
    hv.Store.set_current_backend("bokeh")


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs us."""
    import sys

    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def dimension(name: str, label: str = "") -> hv.Dimension:
    """A HoloViews dimension labelled by the schema."""
    return hv.Dimension(name, label=label or style.axis_label(name))


def points(
    data: xr.Dataset,
    x: str,
    y: str,
    *,
    label: str,
    colour: str,
    marker: str = "circle",
    y_label: str = "",
    brush: Brush = None,
    positive: bool = False,
) -> list[hv.Element]:
    """Measured means as markers with error bars of one standard error; outside the brush they fade.

    `data` holds `mean`, `stderr` and `seeds` along one dim with the coordinate `x`; `positive` is for a log axis.
    """
    columns = _columns(data, x, y, positive)
    if brush is None:
        columns["weight"] = np.ones_like(columns[x])
    else:
        along = np.asarray(columns.get("alpha", columns[x]))
        columns["weight"] = np.where((along >= brush[0]) & (along <= brush[1]), 1.0, 0.15)
    kdim, vdim = dimension(x), dimension(y, y_label)
    low, high = _reach(columns[y], columns["stderr"], positive)
    bars = hv.ErrorBars((columns[x], columns[y], low, high), kdim, [vdim, "below", "above"]).opts(
        line_color=colour, lower_head=None, upper_head=None, line_width=1.5, line_alpha=0.8, framewise=True
    )
    extra = [name for name in columns if name not in (x, y)]
    marks = hv.Scatter(columns, kdim, [vdim, *extra], label=label).opts(
        color=colour,
        marker=marker,
        size=8,
        line_color="white",
        line_width=0.8,
        fill_alpha=hv.dim("weight"),
        line_alpha=hv.dim("weight"),
        framewise=True,
        tools=["hover"],
        hover_tooltips=[("", label), *_tips(x, y, extra)],
    )
    return [bars, marks]


def _columns(data: xr.Dataset, x: str, y: str, positive: bool) -> dict[str, np.ndarray]:
    """One row a point that has a value."""
    mean = data["mean"].values.ravel()
    keep = np.isfinite(mean) & (mean > 0 if positive else True)
    dims = data["mean"].dims
    columns: dict[str, np.ndarray] = {}
    names = [x, *(c for c in ("alpha", "n", "lam") if c in data.coords and c != x)]
    for name in names:
        columns[name] = data[name].broadcast_like(data["mean"]).transpose(*dims).values.ravel()[keep].astype(float)
    columns[y] = mean[keep]
    for name in ("stderr", "seeds"):
        columns[name] = data[name].transpose(*dims).values.ravel()[keep].astype(float)
    return columns


def _reach(y: np.ndarray, stderr: np.ndarray, positive: bool) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of the bars below and above; on a log axis the lower one ends before zero."""
    above = np.nan_to_num(stderr)
    below = np.minimum(above, 0.9 * y) if positive else above
    return below, above


def _tips(x: str, y: str, extra: Sequence[str]) -> list[tuple[str, str]]:
    tips = [(style.symbol(x), f"@{{{x}}}"), (style.symbol(y), f"@{{{y}}}{{0.0000}}")]
    if "stderr" in extra:
        tips.append(("standard error", "@stderr{0.0000}"))
    if "seeds" in extra:
        tips.append(("seeds", "@seeds{0}"))
    return tips + [(style.symbol(c), f"@{{{c}}}") for c in extra if c in ("alpha", "n", "lam")]


def curve(
    x_values: Any,
    y_values: Any,
    x: str,
    y: str,
    *,
    label: str,
    colour: str,
    dash: str = "solid",
    width: float = 2.0,
    y_label: str = "",
) -> hv.Curve:
    """A predicted line; NaN leaves a gap."""
    return hv.Curve(
        (np.asarray(x_values), np.asarray(y_values)), dimension(x), dimension(y, y_label), label=label
    ).opts(
        color=colour,
        line_dash=dash,
        line_width=width,
        framewise=True,
        tools=["hover"],
        hover_tooltips=[("", label), (style.symbol(x), f"@{{{x}}}"), (style.symbol(y), f"@{{{y}}}{{0.0000}}")],
    )


def vertical(
    positions: Sequence[float], x: str, *, colour: str = style.SOFT, dash: str = "dashed", width: float = 1.5
) -> hv.VLines:
    """Vertical lines at positions on the x axis."""
    return hv.VLines(np.asarray(positions, dtype=float), dimension(x)).opts(
        color=colour, line_dash=dash, line_width=width, apply_ranges=False, framewise=True
    )


def finish(elements: Sequence[hv.Element], **options: Any) -> hv.Overlay:
    """The elements on top of each other, in the common look.

    Raises
    ------
    Missing
        If none of them holds a measured value.
    """
    if not any(len(e) for e in elements if isinstance(e, MEASURED)):
        raise Missing("Nothing is measured here yet.")
    options = {**FIGURE, "legend_position": "right", "legend_opts": LEGEND, "hooks": [_tidy]} | options
    return hv.Overlay(list(elements)).opts(hv.opts.Overlay(**options))


def _tidy(plot: Any, _element: Any) -> None:
    figure = plot.state
    figure.toolbar.logo = None
    figure.toolbar.autohide = True
    figure.outline_line_color = None
    figure.min_border_right = 16
    for axis in figure.axis:
        axis.axis_line_color = style.SOFT
        axis.major_tick_line_color = style.SOFT
        axis.minor_tick_line_color = None
        axis.axis_label_text_font_style = "normal"
    figure.title.text_font_style = "normal"
    figure.title.text_color = style.INK
    for legend in figure.legend:
        legend.click_policy = "hide"
        legend.location = "top_left"


def note(sentence: str) -> hv.Overlay:
    """A view's place with a sentence that says what is missing."""
    text = hv.Text(0.5, 0.5, _wrap(sentence)).opts(color=style.SOFT, text_font_size="11pt", text_font_style="italic")
    return hv.Overlay([text]).opts(
        hv.opts.Overlay(
            **{**FIGURE, "show_grid": False},
            xaxis=None,
            yaxis=None,
            xlim=(0, 1),
            ylim=(0, 1),
            hooks=[_tidy],
            toolbar=None,
        )
    )


def _wrap(sentence: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(sentence, 60))


load_backend()
