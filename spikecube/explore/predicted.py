"""Predictions for drawing: on a finer grid than the study's, and the density of the bulk."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.predict import PredictionError, predict
from spikecube.explore import plotdata, style
from spikecube.model.activations import resolve_activation
from spikecube.model.spikes import nonzero_degrees
from spikecube.study.study import Study
from spikecube.theory import bulk_density, bulk_edge, chosen_degrees, conditional_density
from spikecube.theory.conditional.edge import conditional_edge

MOST_ALPHAS = 40
_POINTS = 80


def study_of(cube: xr.Dataset) -> Study:
    """The study that a cube carries as its attribute.

    Raises
    ------
    Missing
        If it has none.
    """
    if "study" not in cube.attrs:
        raise plotdata.Missing("The cube has lost its attribute 'study': the model is not known.")
    return _study(str(cube.attrs["study"]))


@functools.lru_cache(maxsize=8)
def _study(text: str) -> Study:
    return Study.from_toml(text)


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
    return predict(fine_study(study_of(cube)))


def bulk(cube: xr.Dataset, **labels: Any) -> xr.DataArray:
    """Predicted density of the singular values of F/sqrt(n) in its bulk along `x`; its area is that of the histogram.

    At one alpha and n of the cube. Where theory declines F, that of F_0: `long_name` says which.
    """
    alpha, n = (float(plotdata.at(cube[name], **{name: labels.get(name)})) for name in ("alpha", "n"))
    x, density, whose = _bulk(str(cube.attrs["study"]), _further_labels(cube, labels), alpha, int(n))
    return xr.DataArray(density, dims="x", coords={"x": x}, attrs={"long_name": f"predicted bulk of {whose}"})


def degrees(cube: xr.Dataset, most: int = 5, **labels: Any) -> tuple[int, ...]:
    """The degrees k with c_k != 0, the ones that carry a spike: the j-th of them is the j-th spike.

    Raises
    ------
    Missing
        If the cube does not hold its study.
    """
    model = study_of(cube).model_at(**dict(_further_labels(cube, labels)))
    return nonzero_degrees(resolve_activation(model.activation).coefficients(most), most)


def detachment(cube: xr.Dataset, prediction: xr.Dataset, **labels: Any) -> xr.DataArray:
    """The alpha from which theory has each spike counted at size n, NaN where it never has: dims n, degree.

    Where the predicted outlier, that of the conditional equivalence, passes the edge beyond which outliers are
    counted; the predicted edge of the bulk where a cube has none.
    """
    place = plotdata.fixed(cube, labels)
    outliers = plotdata.at(prediction["singular_value"], **place)
    edge = plotdata.at(prediction["bulk_edge"], **place).reset_coords(drop=True)
    if "detection_edge" in cube and cube.sizes["alpha"] > 1:
        counted = plotdata.at(cube["detection_edge"], **place).interp(alpha=outliers["alpha"].values)
        edge = counted.reset_coords(drop=True).fillna(edge)
    margin = (outliers.reset_coords(drop=True) - edge).transpose("n", "rank", "alpha")
    found = degrees(cube, **labels)[: margin.sizes["rank"]]
    alphas = [[plotdata.first_crossing(margin["alpha"].values, row) for row in rows] for rows in margin.values]
    table = np.array(alphas).reshape(margin.shape[:2])[:, : len(found)]
    return xr.DataArray(table, dims=("n", "degree"), coords={"n": margin["n"].values, "degree": list(found)})


Labels = tuple[tuple[str, float | str], ...]


def _further_labels(cube: xr.Dataset, labels: Mapping[str, Any]) -> Labels:
    """The labels along the further axes of the cube, its own or their defaults."""
    chosen = plotdata.fixed(cube, labels)
    return tuple((name, plotdata.at(cube[name], **{name: label}).item()) for name, label in chosen.items())


@functools.lru_cache(maxsize=1024)
def _bulk(study: str, labels: Labels, alpha: float, n: int) -> tuple[np.ndarray, np.ndarray, str]:
    model = _study(study).model_at(**dict(labels))
    try:
        kept = chosen_degrees(model, n)
        x = _grid(math.sqrt(conditional_edge(model, n, alpha, kept).x))
        return x, conditional_density(model, n, alpha, x, degrees=kept), "F"
    except (ValueError, ArithmeticError):  # declined, or not solved
        x = _grid(bulk_edge(model))
        return x, bulk_density(model, x), "F₀"


def _grid(edge: float) -> np.ndarray:
    """Singular values up to just beyond the edge, closer together near both ends, where densities turn."""
    return edge * (1e-3 + 0.51 * (1 - np.cos(np.linspace(0, np.pi, _POINTS))))


def predict_or_none(cube: xr.Dataset) -> xr.Dataset | None:
    """The prediction, or None for a study that theory declines."""
    try:
        return predict_for(cube)
    except PredictionError:
        return None
