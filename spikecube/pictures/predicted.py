"""Predictions for drawing: on a finer grid than the study's, and the density of the bulk."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.predict import PredictionError, predict
from spikecube.means.places import sliced
from spikecube.means.spikes import Labels, further_labels
from spikecube.pictures import style
from spikecube.study.study import Study, study_from
from spikecube.theory import bulk_density, bulk_edge, chosen_degrees, conditional_density
from spikecube.theory.conditional.edge import conditional_edge

MOST_ALPHAS = 40
_SIZES, _PENALTIES = 7, 31
_POINTS = 80


def fine_study(study: Study) -> Study:
    """The study with alphas in between, so that predicted lines are smooth; its own stay, `MOST_ALPHAS` at most."""
    own = study.axes.alpha
    between = np.linspace(own[0], own[-1], MOST_ALPHAS).round(6).tolist() if len(own) < MOST_ALPHAS else []
    near = [a for a in between if min(abs(a - b) for b in own) > 1e-3]
    return study.on_axes(alpha=sorted({*style.thin(own, MOST_ALPHAS), *near}))


def predict_study(study: str) -> xr.Dataset:
    """As `predict_or_none`, of a study as TOML text: what another process is asked for."""
    return predict(fine_study(study_from(study)))


def smooth_losses(study: Study, alphas: Sequence[float]) -> xr.Dataset:
    """The predicted losses at some alphas, at sizes and penalties between those of a study too: smooth lines."""
    sizes, penalties = _filled(study.axes.n, _SIZES), _filled(study.axes.lam, _PENALTIES)
    fine = study.on_axes(alpha=alphas, n=sorted({round(n) for n in sizes}), lam=penalties)
    return predict(fine, only=("train_loss", "test_loss", "train_loss_init", "test_loss_init"))


def _filled(labels: Sequence[float], most: int) -> list[float]:
    """Labels with more between them, evenly on a log axis; their own stay."""
    if len(labels) < 2 or len(labels) >= most:
        return list(labels)
    added = np.geomspace(min(labels), max(labels), most).tolist()
    return sorted({*labels, *(v for v in added if min(abs(v / own - 1) for own in labels) > 1e-3)})


def bulk(cube: xr.Dataset, **labels: Any) -> xr.DataArray:
    """Predicted density of the singular values of F/sqrt(n) in its bulk along `x`; its area is that of the histogram.

    At one alpha and n of the cube. Where theory declines F, that of F_0: `long_name` says which.
    """
    return bulk_at(*bulk_place(cube, **labels))


Place = tuple[str, Labels, float, int]
"""Where a bulk is: the study, labels of further axes, alpha and n."""


def bulk_place(cube: xr.Dataset, **labels: Any) -> Place:
    """What `bulk_at` needs to know of a cube and labels."""
    alpha, n = (float(sliced(cube[name], **{name: labels.get(name)})) for name in ("alpha", "n"))
    return str(cube.attrs["study"]), further_labels(cube, labels), alpha, int(n)


def no_bulk() -> xr.DataArray:
    """A bulk that is not known yet: a line without points."""
    return xr.DataArray(np.empty(0), dims="x", coords={"x": np.empty(0)}, attrs={"long_name": "predicted bulk of F"})


def bulk_at(*place: Any) -> xr.DataArray:
    """As `bulk`, of the place alone: what another process is asked for."""
    x, density, whose = _bulk(*place)
    return xr.DataArray(density, dims="x", coords={"x": x}, attrs={"long_name": f"predicted bulk of {whose}"})


@functools.lru_cache(maxsize=1024)
def _bulk(study: str, labels: Labels, alpha: float, n: int) -> tuple[np.ndarray, np.ndarray, str]:
    model = study_from(study).model_at(**dict(labels))
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


def predict_or_none(study: Study) -> xr.Dataset | None:
    """The prediction on a fine grid of alphas that holds those of the study, or None where theory declines it."""
    fine = fine_study(study)
    try:
        return predict(fine)
    except PredictionError:
        return None
