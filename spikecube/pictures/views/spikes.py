"""Views of the spikes: how many leave the bulk, how far, and where they point."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from spikecube.means import spikes
from spikecube.means.comparisons import plain_means
from spikecube.means.places import Missing, fixed, sliced, variable
from spikecube.pictures import curve_data, marks, style
from spikecube.pictures.entry import Entry, view
from spikecube.pictures.layers import Layer
from spikecube.pictures.marks import Brush
from spikecube.pictures.picture import Picture
from spikecube.pictures.views import maps
from spikecube.pictures.views.parts import MOST_SPIKES, SUB, labelled, which_means
from spikecube.theory.staircase import threshold
from spikecube.words import symbols

_WHEN = "When do the spikes appear?"
_POINT = "Do the spikes point where theory says?"


@view(Entry("outliers", "Number of outliers", question=_WHEN, alpha_axis=True, overlays=False))
def outlier_count(
    cube: xr.Dataset, detachment: xr.DataArray | None = None, *, brush: Brush = None, **further: Any
) -> Picture:
    """When do spikes appear? Mean number of outliers over (alpha, n).

    The limits of the thresholds, alpha_k = (k - 1)/(2k), are dashed for the degrees with c_k != 0; `detachment` (dims
    n, degree) holds the alpha from which theory has each spike counted at size n, see
    `spikecube.means.spikes.detachment`.
    """
    data = plain_means(sliced(variable(cube, "outlier_count"), **fixed(cube, further)))
    low, high = maps.alpha_ends(cube)
    degrees = _degrees(cube, further)
    limits = [threshold(k) for k in degrees if low < threshold(k) < high and k > 1]
    layers = [
        marks.cells(
            maps.grid(data, {"count": data["mean"], "stderr": data["stderr"], "seeds": data["seeds"]}),
            limits=(0, max(2, cube.sizes.get("rank", 6))),
            colours=style.COUNTS,
            hover_tooltips=[*maps.CELL_TIPS, ("outliers", "@count{0.00}"), *maps.ERROR_TIPS, ("seeds", "@seeds")],
        ),
        marks.verticals(limits, "alpha", colour=style.SERIES[1], width=2),
    ]
    if detachment is not None:
        layers += _detachment_lines(sliced(detachment, **fixed(cube, further)), data)
    layers.append(marks.verticals(brush or (), "alpha", colour=style.SERIES[2], dash="solid", width=2))
    listed = ", ".join(str(k) for k in degrees if low < threshold(k) < high and k > 1)
    limits_text = f"; dashes: limits αₖ = (k − 1)/(2k), k = {listed}" if listed else ""
    title = f"Mean number of outliers{which_means(data)}{limits_text}"
    return maps.map_of(layers, data, title, (low, high))


def _degrees(cube: xr.Dataset, further: dict[str, Any]) -> tuple[int, ...]:
    """The degrees that carry a spike; none where the model is not known."""
    try:
        return spikes.degrees(cube, **further)
    except Missing:
        return ()


def _detachment_lines(detachment: xr.DataArray, data: xr.Dataset) -> list[Layer]:
    """Where theory has each spike detach, from row to row of the map; across the row of a single size."""
    rows = np.arange(data.sizes["n"]) + 0.5 if data.sizes["n"] > 1 else np.array([0.0, 1.0])
    lines = []
    for i, k in enumerate(detachment["degree"].values[:MOST_SPIKES].tolist()):
        alphas = detachment.sel(degree=k).reindex(n=data["n"].values).values
        if np.isfinite(alphas).any():
            look: dict[str, Any] = {"label": f"predicted, degree {k}", "dash": _DASHES[i]}
            across = np.broadcast_to(alphas, rows.shape)
            lines.append(marks.line(across, rows, "alpha", "row", colour=style.SERIES[2], width=3, **look))
    return lines


_DASHES = ("solid", "dashed", "dotdash", "dotted")


@view(Entry("singular", "Singular values against α", ("n",), _WHEN, alpha_axis=True))
def singular_values(
    cube: xr.Dataset, prediction: xr.Dataset | None = None, *, n: int | None = None, brush: Brush = None, **further: Any
) -> Picture:
    """How far do the spikes go? Leading singular values of F/sqrt(n) against alpha at one n."""
    where = {"n": n} | fixed(cube, further)
    name = "singular_value"
    data = plain_means(sliced(variable(cube, name), **where).isel(rank=slice(0, MOST_SPIKES)))
    layers: list[Layer] = []
    for i, k in enumerate(data["rank"].values):
        look: dict[str, Any] = {"colour": style.SERIES[i]}
        if _predicted_anywhere(prediction, name, rank=k):
            assert prediction is not None
            curve = sliced(prediction[name], **where).sel(rank=k)
            layers.append(marks.line(curve.alpha, curve, "alpha", name, label=f"predicted, s{SUB[k]}", **look))
        look |= {"label": f"measured, s{SUB[k]}", "marker": style.MARKERS[i], "brush": brush, "positive": True}
        layers += marks.points(data.sel(rank=k), "alpha", name, **look)
    if prediction is not None and "bulk_edge" in prediction:
        edge = sliced(prediction["bulk_edge"], **where).broadcast_like(prediction["alpha"])
        line: dict[str, Any] = {"label": "predicted edge", "colour": style.INK, "dash": "dashed"}
        layers.append(marks.line(edge.alpha, edge, "alpha", name, **line))
    title = f"Leading singular values at {symbols.labels_text(data, ('n', *further))}{which_means(data)}"
    return labelled(layers, title, "alpha", name, logy=True)


def _predicted_anywhere(prediction: xr.Dataset | None, name: str, **label: int) -> bool:
    """Whether a spike is predicted at any place, so that its line is there at all of them."""
    if prediction is None or name not in prediction or any(k not in prediction[dim] for dim, k in label.items()):
        return False
    return bool(prediction[name].sel(label).notnull().any())


@view(Entry("alignment", "Alignments", ("n",), _POINT, alpha_axis=True))
def alignments(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    *,
    n: int | None = None,
    subspace: bool = False,
    brush: Brush = None,
    **further: Any,
) -> Picture:
    """Do the spikes point where theory says? Squared cosines with the monomials of x.beta against alpha at one n."""
    name = "subspace_alignment" if subspace else "alignment"
    where = {"n": n} | fixed(cube, further)
    data = plain_means(sliced(variable(cube, name), **where))
    low, high = float(cube["alpha"].min()), float(cube["alpha"].max())
    limit = marks.steps([low], [high], [1.0], "alpha", name, label="limit", colour=style.INK, dash="dashed", width=1.2)
    layers: list[Layer] = [limit]
    for i, k in enumerate(data["degree"].values[:MOST_SPIKES].tolist()):
        if not bool((cube[name].sel(degree=k) > 0).any()):
            continue  # no spike of this degree: c_k = 0
        look: dict[str, Any] = {"colour": style.SERIES[i]}
        if _predicted_anywhere(prediction, name, degree=k):
            assert prediction is not None
            curve = sliced(prediction[name], **where).sel(degree=k)
            layers.append(marks.line(curve.alpha, curve, "alpha", name, label=f"predicted, k = {k}", **look))
        look |= {"label": f"measured, k = {k}", "marker": style.MARKERS[i], "brush": brush}
        layers += marks.points(data.sel(degree=k), "alpha", name, **look)
    title = f"Alignment with the monomials, {symbols.labels_text(data, ('n', *further))}{which_means(data)}"
    return labelled(layers, title, "alpha", name, ylim=(-0.03, 1.05))


@view(
    Entry("collapse1", "Collapse of the spike of degree 1", question=_POINT, fixed={"k": 1}),
    Entry("collapse2", "Collapse of the spike of degree 2", fixed={"k": 2}),
)
def collapse(cube: xr.Dataset, *, k: int = 2, brush: Brush = None, **further: Any) -> Picture:
    """Do the sizes fall on one curve? The singular value of degree k against (alpha - alpha_k) ln n."""
    degrees = spikes.degrees(cube, max(k, 5), **further)
    if k not in degrees:
        raise Missing(f"The activation has c{SUB[k]} = 0: there is no spike of degree {k}.")
    rank = degrees.index(k) + 1
    if rank not in cube["rank"]:
        raise Missing(f"The spike of degree {k} is singular value {rank}, which was not measured.")
    data = curve_data.spike_curves(cube, k=k, rank=rank, **further)
    sizes = style.thin(data["n"].values.tolist(), 6)
    layers: list[Layer] = []
    for size, colours in zip(sizes, style.ordered_looks(len(sizes)), strict=True):
        look: dict[str, Any] = {**colours, "label": f"measured, n = {size}", "brush": brush, "positive": True}
        layers += marks.points(data.sel(n=size), "x", "singular_value", **look)
    x, y = curve_data.slope_line(data, k)
    layers.append(marks.line(x, y, "x", "singular_value", label=f"limit, slope {k}", colour=style.INK, dash="dashed"))
    title = f"Collapse of singular value {rank}, the spike of degree {k}{which_means(data)}"
    along = f"(α − α{SUB[k]}) ln n,   α{SUB[k]} = {threshold(k):.4g}"
    return labelled(layers, title, along, "singular_value", logy=True)
