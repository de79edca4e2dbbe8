"""The view of the spectrum of one cell: the bulk, its edge, and the spike that walks out."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from spikecube.means import spikes
from spikecube.means.places import Missing, fixed, foretold, sliced
from spikecube.pictures import marks, style
from spikecube.pictures.entry import Entry, view
from spikecube.pictures.layers import Layer
from spikecube.pictures.picture import Picture
from spikecube.text import number
from spikecube.words import symbols


@view(Entry("spectrum", "Spectrum of one cell", ("alpha", "n"), "Does a spike leave the bulk?"))
def spectrum(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    density: xr.DataArray | None = None,
    *,
    alpha: float | None = None,
    n: int | None = None,
    **further: Any,
) -> Picture:
    """Does a spike leave the bulk? Singular values of F/sqrt(n) at one (alpha, n), all seeds.

    Parameters
    ----------
    cube : with `spectrum` for the histogram, else only the leading singular values are drawn.
    prediction : from `predict`: the bulk edge and the outliers are drawn.
    density : predicted density of the bulk along `x`, named by its `long_name`; see `predicted.bulk`.
    """
    where = {"alpha": alpha, "n": n} | fixed(cube, further)
    top = spikes.leading(cube, **where)
    counted = "spectrum" in cube and bool(cube["spectrum"].notnull().any())
    ends = _ends(cube, further)
    layers = [_histogram(cube, where)] if counted else []
    height = max([0.0, *(layer.column(1)[layer.columns["right"] > ends[0]].max(initial=0.0) for layer in layers)])
    if density is not None:
        height = max([height, *density.values[density.x.values > max(0.1, ends[0])]])
        label = density.attrs.get("long_name", "predicted bulk")
        layers.append(marks.line(density.x, density, "s", "density", label=label, colour=style.SERIES[0], width=2.5))
    height = height or 1.0
    edge = float(sliced(cube["detection_edge"], **where).fillna(0.0)) if "detection_edge" in cube else 0.0
    layers.append(_rug(top, edge if counted else 0.0, 0.3 * height))
    if prediction is not None:
        outliers, edges = (_finite(prediction, name, where) for name in ("singular_value", "bulk_edge"))
        layers += [
            marks.stems(outliers, 0.55 * height, "s", "density", label="predicted outliers", colour=style.SERIES[2]),
            marks.stems(edges, 1.1 * height, "s", "density", label="predicted edge", colour=style.INK, dash="dashed"),
        ]
    which = "Singular values" if counted else "Leading singular values"
    spot = f"{symbols.labels_text(top, ('alpha', 'n', *further))}, {_seeds(top)}"
    return Picture(
        layers,
        title=f"{which} of F/√n at {spot}" + (_beyond_bins(layers[0], edge) if counted else ""),
        xlabel="s   singular value of F/√n",
        ylabel="density of singular values",
        xlim=ends,
        ylim=(0, 1.15 * height),
        logx=ends[0] > 0,
        options={"height": 290},
    )


def _ends(cube: xr.Dataset, further: dict[str, Any]) -> tuple[float, float]:
    """The ends of the axis, the same at every alpha and n: the spike walks along it.

    From zero, or on a log axis where the largest outlier would squeeze the bulk of some place into a corner.
    """
    edge = cube["detection_edge"] if "detection_edge" in cube else cube["singular_value"].isel(rank=-1)
    edges, values = (sliced(v, **fixed(cube, further)) for v in (edge, cube["singular_value"]))
    least, bulk, top = float(edges.min()), float(edges.max()), float(values.max())
    return (0.0, max(1.05 * top, 1.5 * bulk)) if top < _SQUEEZED * least else (least / 20, 1.2 * max(top, bulk))


_SQUEEZED = 6.0


def _seeds(data: xr.DataArray) -> str:
    count = data.sizes["seed"]
    return f"{count} seeds" if count > 1 else "1 seed"


def _beyond_bins(bars: Layer, edge: float) -> str:
    """A line that says where the histogram ends, if the bulk goes on: bins are those of a small step."""
    end = float(bars.columns["right"][-1])
    return f"\nthe bins of the histogram end at s = {number(end)}" if end < edge else ""


def _histogram(cube: xr.Dataset, where: dict[str, Any]) -> Layer:
    """The distribution of all singular values; without one, a bar of no height, so that the rest is drawn."""
    try:
        data = spikes.histogram(cube, **where)
        left, right, heights = (data[name].values.astype(float) for name in ("lower", "upper", "density"))
    except Missing:
        left, right, heights = np.array([0.0]), np.array([1.0]), np.array([0.0])
    left = np.maximum(left, 1e-6 * right[-1])  # zero has no place on a log axis
    columns = {"s": (left + right) / 2, "density": heights, "left": left, "right": right}
    look = {
        "fill_color": style.FILL,
        "line_color": style.FILL,
        "line_width": 0.5,
        "tools": ["hover"],
        "show_legend": True,
    }
    return Layer("histogram", columns, "measured, all", look, measured=True)


def _rug(top: xr.DataArray, edge: float, height: float) -> Layer:
    """The leading singular values of each seed that lie beyond the detection edge, as spikes from the axis."""
    values = top.values.ravel()
    beyond = values > edge
    rank, seed = (
        np.broadcast_to(c, top.shape).ravel()[beyond] for c in (top["rank"].values, top["seed"].values[:, None])
    )
    columns = {"s": values[beyond], "height": np.full(int(beyond.sum()), height), "rank": rank, "seed": seed}
    label = "measured outliers" if edge else "measured, leading"
    look = {
        "color": style.SERIES[1],
        "line_width": 2,
        "line_alpha": 0.75,
        "tools": ["hover"],
        "hover_tooltips": [("", label), ("s", "@s{0.000}"), ("rank", "@rank"), ("seed", "@seed")],
    }
    return Layer("spikes", columns, label, look, measured=True)


def _finite(prediction: xr.Dataset, name: str, where: dict[str, Any]) -> np.ndarray:
    """The values of a prediction at one place that are there."""
    if name not in prediction:
        return np.empty(0)
    values = np.asarray(foretold(prediction[name], **where), dtype=float).ravel()
    finite: np.ndarray = values[np.isfinite(values)]
    return finite
