"""The view that holds all outliers against their predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from spikecube.means import spikes
from spikecube.means.comparisons import z_scores
from spikecube.means.places import Missing, fixed, sliced
from spikecube.pictures import marks, style
from spikecube.pictures.entry import Entry, view
from spikecube.pictures.layers import Layer
from spikecube.pictures.picture import Picture
from spikecube.pictures.views.parts import MOST_SPIKES, SUB, labelled, residual_strip, strips_below
from spikecube.words import symbols

_AGREE = "How far do theory and measurement agree?"


@view(Entry("agree_outliers", "Agreement, all outliers", question=_AGREE, overlays=False))
def outlier_agreement(cube: xr.Dataset, prediction: xr.Dataset | None = None, **further: Any) -> Picture:
    """How far do theory and measurement of the outliers agree? Measured means against predictions, z below.

    All (alpha, n) at which 95 per cent of the seeds have the outlier; on the diagonal both are the same.
    """
    if prediction is None:
        raise Missing("The agreement of outliers needs a prediction.")
    data = sliced(z_scores(spikes.clear_only(cube), prediction, "singular_value"), **fixed(cube, further))
    layers: list[Layer] = []
    for i, k in enumerate(data["rank"].values[:MOST_SPIKES].tolist()):
        one = data.sel(rank=k).stack(place=("alpha", "n")).reset_index("place").dropna("place", subset=["z"])
        if one.sizes["place"]:
            shown = one[["mean", "stderr"]].assign_coords(predicted=one["predicted"])
            look: dict[str, Any] = {
                "colour": style.SERIES[i],
                "marker": style.MARKERS[i],
                "label": f"measured, s{SUB[k]}",
            }
            layers += marks.points(shown, "predicted", "singular_value", positive=True, **look)
    if not layers:
        raise Missing("No outlier stands clear in 95 per cent of the seeds where theory has one too.")
    ends = data["predicted"].where(data["z"].notnull())
    both = np.array([float(ends.min()), float(ends.max())])
    same = marks.line(both, both, "predicted", "singular_value", label="predicted", colour=style.INK, dash="dashed")
    spot = symbols.labels_text(data, list(further))
    title = f"Outliers at all α and n{' at ' + spot if spot else ''}, measured against predicted"
    made = labelled([same, *layers], title, "predicted singular value of F/√n", "measured", logx=True, logy=True)
    predicted = data["predicted"].broadcast_like(data["z"]).values.ravel()
    return strips_below(made, residual_strip(made, "predicted", predicted, data["z"].values.ravel(), "z"))
