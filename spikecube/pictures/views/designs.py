"""A view of a design of seeds: how the half-width falls with what is spent, by three ways to spend it."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from spikecube.pictures import marks, picture, style
from spikecube.pictures.layers import Layer
from spikecube.pictures.picture import Picture

_LOOKS = {"design": "solid", "equal money": "dashdot", "equal seeds": "dotted"}


def design(made: xr.Dataset, target: int = 0) -> hv.Overlay | hv.Layout:
    """How much is a half-width, by the design, by equal money and by equal seeds at each size?

    Parameters
    ----------
    made : from `spikecube.design`.
    target : which of its targets, counted from 0.
    """
    return picture_of_design(made, target).view()


def picture_of_design(made: xr.Dataset, target: int = 0) -> Picture:
    """The picture, layers as plain columns; a sentence for what is no design, or has no such target."""
    if "half_width_curve" not in made:
        return picture.note("This is no design: a result of spikecube.design is.")
    if not 0 <= target < made.sizes["target"]:
        return picture.note(f"There is no target {target}: the design has {made.sizes['target']}, counted from 0.")
    one = made.isel(target=target)
    layers: list[Layer] = []
    for i, (name, dash) in enumerate(_LOOKS.items()):
        curve = one["half_width_curve"].sel(strategy=name)
        look: dict[str, Any] = {"label": f"predicted, {name}", "colour": style.SERIES[i], "dash": dash}
        layers.append(marks.line(made["budget"], curve.where(np.isfinite(curve)), "cost", "half_width", **look))
    wanted, ends = float(one["wanted"]), made["budget"].values[[0, -1]]
    asked = {"label": "asked for", "colour": style.INK, "dash": "dashed"}
    layers.append(marks.steps(ends[:1], ends[1:], [wanted], "cost", "half_width", **asked))
    ratio = float(one["half_width_equal_seeds"] / one["half_width"])
    return Picture(
        layers,
        title=f"{one['target'].item()}\nequal seeds are {ratio**2:.2g} times as expensive",
        xlabel=str(made["cost"].attrs.get("units", "cost of all seeds")),
        ylabel="half-width of the 95 per cent interval",
        logx=True,
        logy=True,
        options={"legend_position": "top_right"},
    )
