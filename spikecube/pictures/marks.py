"""The marks of the views: markers with error bars for what was measured, lines for predictions, dashes for limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from spikecube.pictures import style
from spikecube.pictures.layers import Layer
from spikecube.words import symbols

Brush = tuple[float, float] | None
FADED = 0.15


def points(
    data: xr.Dataset,
    x: str,
    y: str,
    *,
    label: str,
    colour: str,
    marker: str = "circle",
    brush: Brush = None,
    positive: bool = False,
) -> list[Layer]:
    """Measured means as markers with error bars of one standard error; outside the brush they fade.

    `data` holds `mean`, `stderr` and perhaps `seeds` with the coordinate `x`; `positive` is for a log axis.
    """
    columns = _columns(data, x, y, positive)
    along = columns.get("alpha", columns[x])
    inside = np.ones(len(along), dtype=bool) if brush is None else (along >= brush[0]) & (along <= brush[1])
    columns["weight"] = np.where(inside, 1.0, FADED)
    above = np.nan_to_num(columns["stderr"])
    below = np.minimum(above, 0.9 * columns[y]) if positive else above
    ends = {"base": columns[x], "lower": columns[y] - below, "upper": columns[y] + above}
    extra = [name for name in columns if name not in (x, y)]
    bar = {"line_color": colour, "lower_head": None, "upper_head": None, "line_width": 1.5, "line_alpha": 0.8}
    mark = {
        "color": colour,
        "marker": marker,
        "size": 8,
        "line_color": style.PAPER,
        "line_width": 0.8,
        "tools": ["hover"],
        "hover_tooltips": [("", label), *_tips(x, y, extra)],
    }
    return [Layer("bars", ends, style=bar), Layer("points", columns, label, mark, measured=True)]


def _columns(data: xr.Dataset, x: str, y: str, positive: bool) -> dict[str, np.ndarray]:
    """One row a point that has a value."""
    mean = data["mean"].values
    keep = np.isfinite(mean) & (mean > 0 if positive else True)
    names = [x, *(c for c in ("alpha", "n", "lam") if c in data.coords and c != x)]
    dims = data["mean"].dims
    spread = {name: data[name].broadcast_like(data["mean"]).transpose(*dims).values[keep] for name in names}
    columns = {x: spread.pop(x).astype(float), y: mean[keep]} | {name: v.astype(float) for name, v in spread.items()}
    for name in ("stderr", "seeds", "residual"):
        if name in data:
            columns[name] = data[name].transpose(*dims).values[keep].astype(float)
    return columns


def _tips(x: str, y: str, extra: Sequence[str]) -> list[tuple[str, str]]:
    tips = [(symbols.symbol(x), f"@{{{x}}}"), (symbols.symbol(y), f"@{{{y}}}{{0.0000}}")]
    tips += [("standard error", "@stderr{0.0000}")] + ([("seeds", "@seeds{0}")] if "seeds" in extra else [])
    tips += [("residual of the fit", "@residual{0.00}")] if "residual" in extra else []
    return tips + [(symbols.symbol(c), f"@{{{c}}}") for c in extra if c in ("alpha", "n", "lam")]


def line(
    x_values: npt.ArrayLike | xr.DataArray,
    y_values: npt.ArrayLike | xr.DataArray,
    x: str,
    y: str,
    *,
    label: str,
    colour: str,
    dash: str = "solid",
    width: float = 2.0,
    framed: bool = True,
) -> Layer:
    """A predicted line; NaN leaves a gap."""
    columns = {x: np.asarray(x_values, dtype=float), y: np.asarray(y_values, dtype=float)}
    look = {
        "color": colour,
        "line_dash": dash,
        "line_width": width,
        "tools": ["hover"],
        "hover_tooltips": [("", label), (symbols.symbol(x), f"@{{{x}}}"), (symbols.symbol(y), f"@{{{y}}}{{0.0000}}")],
    }
    return Layer("line", columns, label, look, framed=framed)


def band(
    x_values: npt.ArrayLike | xr.DataArray,
    middle: npt.ArrayLike | xr.DataArray,
    half: npt.ArrayLike | xr.DataArray,
    x: str,
    *,
    label: str,
    colour: str,
) -> Layer:
    """How far a predicted line may be off, to both sides; it ends where that is not known."""
    along, mean, off = (np.asarray(v, dtype=float) for v in (x_values, middle, half))
    known = np.isfinite(mean) & np.isfinite(off)
    columns = {x: along, "low": mean - off, "high": mean + off}
    look = {"fill_color": colour, "fill_alpha": FADED, "line_alpha": 0.0}
    return Layer("band", {name: column[known] for name, column in columns.items()}, label, look)


def steps(start: npt.ArrayLike, end: npt.ArrayLike, level: npt.ArrayLike, x: str, y: str, **look: Any) -> Layer:
    """Level pieces of a line, each from its start to its end."""
    low, high, height = (np.asarray(v, dtype=float) for v in (start, end, level))
    return line(np.stack([low, high, high * np.nan], axis=1).ravel(), np.repeat(height, 3), x, y, **look)


def stems(positions: npt.ArrayLike, height: float, x: str, y: str, **look: Any) -> Layer:
    """Pieces of a line from the axis up, at some positions, with one legend entry for all."""
    places = np.asarray(positions, dtype=float)
    return line(np.repeat(places, 3), np.tile([0.0, height, np.nan], len(places)), x, y, **look)


def verticals(
    positions: Sequence[float], x: str, *, colour: str = style.SOFT, dash: str = "dashed", width: float = 1.5
) -> Layer:
    """Lines across the view at positions on the x axis."""
    look = {"color": colour, "line_dash": dash, "line_width": width, "apply_ranges": False}
    return Layer("verticals", {x: np.asarray(positions, dtype=float)}, style=look)


def cells(columns: dict[str, np.ndarray], *, limits: tuple[float, float], colours: Sequence[str], **look: Any) -> Layer:
    """Rectangles coloured by their value: columns left, bottom, right, top, the value, then what hover shows."""
    value = list(columns)[4]
    base = {
        "color": value,
        "cmap": list(colours),
        "clim": limits,
        "colorbar": True,
        "colorbar_opts": {"width": 12},
        "clabel": "",
        "line_color": style.PAPER,
        "line_width": 0.5,
        "tools": ["hover"],
    }
    return Layer("cells", columns, style=base | look, measured=True)
