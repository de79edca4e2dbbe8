"""One page with the picture of a fit to anybody's data: points, law, residuals; or curves on their master curve."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from spikecube.pictures.backend import load_backend

_SIZE = {"width": 620, "height": 380}


def write_fit_page(fit: xr.Dataset, path: str | Path, verdict: str) -> Path:
    """Write the picture of a fit with its verdict to one HTML file that needs no network.

    Raises
    ------
    ValueError
        If the name of the file is not that of an HTML file.
    """
    target = Path(path)
    if target.suffix not in (".html", ".htm"):
        raise ValueError(f"{target}: pictures are written as .html, got {target.suffix or 'no suffix'}")
    from bokeh.embed import file_html
    from bokeh.resources import INLINE

    load_backend()
    renderer = hv.renderer("bokeh")
    page = file_html(renderer.get_plot(fit_picture(fit)).state, INLINE, "fit")
    words = "".join(f"<p>{escape(line)}</p>" for line in verdict.splitlines())
    target.write_text(page.replace("<body>", f"<body>{words}", 1), encoding="utf-8")
    return target


def fit_picture(fit: xr.Dataset) -> Any:
    """Measured points with their errors and the fitted law, and residuals below where errors are known."""
    if "scaled_control" in fit:
        return _collapsed(fit)
    dims = [d for d in fit["data"].dims if d not in fit["status"].dims]
    x = str(dims[0])
    curves = [fit.isel(dict(zip(fit["status"].dims, place, strict=True))) for place in np.ndindex(fit["status"].shape)]
    law = hv.Overlay([layer for one in curves for layer in _measured(one, x)]).opts(
        backend="bokeh", title=str(fit.attrs["law"]), logx=x != "point", show_legend=False, **_SIZE
    )
    residuals = [_residuals(one, x) for one in curves if one["residual"].notnull().any()]
    if not residuals:
        return law
    below = hv.Overlay([*residuals, hv.HLine(0).opts(backend="bokeh", color="gray")]).opts(
        backend="bokeh", logx=x != "point", show_legend=False, **_SIZE
    )
    return hv.Layout([law, below]).cols(1)


def _measured(one: xr.Dataset, x: str) -> list[Any]:
    data, sizes = one["data"].values, one[x].values
    seen = np.isfinite(data)
    points = hv.Scatter((sizes[seen], data[seen]), x, str(one.attrs["quantity"])).opts(backend="bokeh", size=6)
    line = hv.Curve((sizes[seen], one["fitted"].values[seen]), x, str(one.attrs["quantity"]))
    errors = one["data_stderr"].values[seen]
    bars = [hv.ErrorBars((sizes[seen], data[seen], errors), x, [str(one.attrs["quantity"]), "stderr"])]
    return [line, points, *(bars if np.isfinite(errors).all() else [])]


def _residuals(one: xr.Dataset, x: str) -> Any:
    return hv.Scatter((one[x].values, one["residual"].values), x, "residual in standard errors").opts(
        backend="bokeh", size=6
    )


def _collapsed(fit: xr.Dataset) -> Any:
    """The scaled points of every size on the master curve."""
    size = str(fit["scaled_control"].dims[1])
    u, y = hv.Dimension("u", label="scaled control"), hv.Dimension("f", label=f"scaled {fit.attrs['quantity']}")
    layers = []
    for n in fit[size].values:
        one = fit.sel({size: n})
        points = hv.Scatter((one["scaled_control"].values, one["scaled_data"].values), u, y, label=f"{size} = {n:g}")
        layers.append(points.opts(backend="bokeh", size=5))
    master = hv.Curve((fit["scaled_grid"].values, fit["master_curve"].values), u, y).opts(
        backend="bokeh", color="black"
    )
    return hv.Overlay([*layers, master]).opts(
        backend="bokeh", title=str(fit.attrs["law"]), legend_position="right", **_SIZE
    )
