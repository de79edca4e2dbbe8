"""Predictions for drawing: on a finer grid than the study's, and the density of the bulk."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.study import Study
from spikecube.explore import plotdata, style

MOST_ALPHAS = 40


def study_of(cube: xr.Dataset) -> Study:
    """The study that a cube carries as its attribute."""
    return Study.from_toml(cube.attrs["study"])


def fine_study(study: Study, alphas: int = MOST_ALPHAS) -> Study:
    """The study with alphas in between, so that predicted lines are smooth; its own stay, at most `alphas` of them."""
    own = study.axes.alpha
    between = np.linspace(own[0], own[-1], alphas).round(6).tolist() if len(own) < alphas else []
    near = [a for a in between if min(abs(a - b) for b in own) > 1e-3]
    grid = sorted({*style.thin(own, alphas), *near})
    axes = {"alpha": grid, "n": study.axes.n, "seed": 1, "lam": study.axes.lam, **study.further}
    return Study(title=study.title, model=study.model, axes=axes, measure=study.measure)


def predict_for(cube: xr.Dataset) -> xr.Dataset:
    """The prediction for a cube's study, on a fine grid of alphas that holds its own."""
    from spikecube.cube.predict import predict

    prediction: xr.Dataset = predict(fine_study(study_of(cube)))
    return prediction


def bulk(cube: xr.Dataset, *, n: int | None = None, alpha: float | None = None, **further: Any) -> xr.DataArray:
    """Predicted density of the singular values of F_0/sqrt(n), along `x`; its area is that of the histogram."""
    from spikecube.theory.bulk import bulk_density, bulk_edge

    del n, alpha  # the limiting bulk depends on neither
    labels = {name: plotdata.at(cube[name], **{name: label}).item() for name, label in further.items() if name in cube}
    labels |= {
        name: plotdata.default_label(cube, name) for name in plotdata.further_axes(cube) if labels.get(name) is None
    }
    model = study_of(cube).model_at(**labels)
    x = np.linspace(1e-3, 1.001 * bulk_edge(model), 200)
    return xr.DataArray(bulk_density(model, x), dims="x", coords={"x": x})


def predict_or_none(cube: xr.Dataset) -> xr.Dataset | None:
    """The prediction, or None for a study that theory declines."""
    try:
        return predict_for(cube)
    except ValueError:
        return None
