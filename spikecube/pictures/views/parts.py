"""What several views share: names in titles, and pictures against alpha."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from spikecube.pictures import marks, style
from spikecube.pictures.layers import Layer
from spikecube.pictures.picture import Picture
from spikecube.words import captions, symbols

Kind = Literal["train", "test"]
KIND = {"train": "Training", "test": "Test"}
MOST_SPIKES = 4
SUB = dict(enumerate("₀₁₂₃₄₅₆₇₈₉"))


def labelled(layers: Sequence[Layer], title: str, x: str, y: str, **axes: Any) -> Picture:
    """A picture with the labels of two variables, or other texts, at its axes."""
    return Picture(layers, title=title, xlabel=symbols.symbol_of(x), ylabel=symbols.symbol_of(y), **axes)


def predicted_loss(
    prediction: xr.Dataset | None,
    name: str,
    pick: Callable[[xr.DataArray], xr.DataArray],
    x: str,
    y: str,
    fine: xr.Dataset | None = None,
    **look: Any,
) -> list[Layer]:
    """A predicted loss as a line, in a band of its remainder where the prediction says how far it may be off.

    `pick` takes the curve along `x` out of a variable; `look` is the line's label and colour. `fine` has the loss at
    more places of a log axis: the remainder over the loss is drawn straight between those of the prediction.
    """
    if prediction is None or name not in prediction:
        return []
    known, remainder = pick(prediction[name]), f"{name}_remainder"
    curve = known if fine is None or name not in fine else pick(fine[name])
    line = marks.line(curve[x], curve, x, y, **look)
    if remainder not in prediction:
        return [line]
    half = pick(prediction[remainder])
    if curve is not known:
        share = (half / known).sortby(x)
        half = curve * np.interp(np.log(curve[x]), np.log(share[x]), share)
    around = look | {"label": look["label"].replace("predicted", "predicted ± remainder", 1)}
    return [marks.band(curve[x], curve, half, x, **around), line]


def residual_strip(
    made: Picture,
    x: str,
    values: np.ndarray,
    residual: np.ndarray,
    name: str,
    *,
    unit: str = "standard errors",
    marked: float | None = 2.0,
) -> Picture:
    """Residuals over the x axis of a picture, with lines at 0 and at plus and minus the `marked` level.

    Those that are not known are left out; without any, words stand in their place.
    """
    known = np.isfinite(residual)
    values, residual = values[known].astype(float), residual[known]
    ends, _ = made.limits()
    tips = [(symbols.symbol(x), f"@{{{x}}}"), (f"{name} in {unit}", "@residual{0.00}")]
    look = {"color": style.SERIES[1], "size": 7, "tools": ["hover"], "hover_tooltips": tips}
    levels = [
        marks.steps([ends[0]], [ends[1]], [level], x, "residual", label="", colour=style.SOFT, dash=dash, width=1.2)
        for level, dash in ((0.0, "solid"), *(() if marked is None else ((marked, "dashed"), (-marked, "dashed"))))
    ]
    most = max(1.5 * (marked or 0.0), 1.2 * float(np.abs(residual).max(initial=0))) or 1.0
    points = Layer("points", {x: values, "residual": residual}, style=look, measured=True)
    middle = np.sqrt(ends[0] * ends[1]) if made.logx else np.mean(ends)
    columns = {x: [middle], "residual": [most / 4], "text": ["no law is fitted here"]}
    without = {name: np.array([] if len(values) else column, dtype=object if name == "text" else float)
               for name, column in columns.items()}  # fmt: skip
    counts = Layer("texts", without, style={"text_color": style.SOFT, "text_font_size": "9pt"})
    return Picture(
        [*levels, counts, points],
        xlabel=made.xlabel,
        ylabel=name,
        logx=made.logx,
        xlim=ends,
        ylim=(-most, most),
        options={**{k: v for k, v in made.options.items() if k == "xticks"}, "height": 150, "toolbar": None},
    )


def strips_below(top: Picture, *strips: Picture) -> Picture:
    """A picture with strips below it; only the lowest has a label on its x axis."""
    return replace(top, xlabel="", strip=strips_below(*strips)) if strips else top


def banded(
    along: npt.ArrayLike,
    curves: Iterable[npt.ArrayLike],
    x: str,
    y: str,
    labels: tuple[str, str],
    colour: str,
    *,
    framed: bool = True,
) -> list[Layer]:
    """A curve and the two ends of its band, dotted; `labels` are those of the curve and of the band."""
    looks = ((labels[0], "solid", 2.0, framed), (labels[1], "dotted", 1.2, False), ("", "dotted", 1.2, False))
    return [
        marks.line(along, curve, x, y, label=label, colour=colour, dash=dash, width=width, framed=inside)
        for curve, (label, dash, width, inside) in zip(curves, looks, strict=True)
    ]


def which_means(*data: xr.Dataset) -> str:
    """The line of a title that says what means are drawn, and over how many seeds."""
    return f"\n{captions.means_text(*data)}"
