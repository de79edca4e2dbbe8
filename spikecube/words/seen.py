"""What a cube shows, as numbers that are taken once: sentences, headlines and tables are made of these alone."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from spikecube.cube.missing import lost_draws, missing_edges
from spikecube.cube.predict import why_declined
from spikecube.cube.predict_remainders import said_of_remainders
from spikecube.cube.schema import STATUS
from spikecube.means.comparisons import Compared, means_at, plain_means, z_scores
from spikecube.means.places import Missing, beside_alphas, counted_points, further_axes, here, holds, largest_size
from spikecube.study.study import spike_degrees
from spikecube.theory.staircase import threshold
from spikecube.words.spikes_found import Outliers, outliers
from spikecube.words.when import MOST_DEGREE

_COMPARED = ("test_loss", "train_loss", "singular_value")
_TABLED = ("outlier_count", "singular_value", "train_loss", "test_loss")


@dataclass(frozen=True)
class Seen:
    """What is said of a cube, at the default label of each of its further axes; None for what it lacks.

    Attributes
    ----------
    cube, prediction : what was looked at; the prediction is one for a typical draw.
    place : the label of each further axis.
    points : how many points have each status; empty where the cube does not say.
    lost : what failed or is missing of it, in sentences that may be empty.
    doubt : how far theory may be off by its own estimate, or why it does not speak of the study; else empty.
    seeds : how many there are, at each point that has a status, or along the axis.
    scores : the z-scores of losses and of clear outliers that can be had, with the `remainder` of theory and the
        `spread`: how much stronger labels are than typical ones, where the prediction leaves that out.
    means : those at the largest size, the middle penalty and the first rank, of what is there.
    outliers : what lies beyond the edge.
    loss : means of the test loss at the largest size that has one, and what is `predicted`, there and in the `limit`.
    step : means of the difference between its first and last alpha, seeds paired; None with fewer than two.
    best_linear : the loss of the best linear predictor at that size; NaN where it is not known.
    edge : the edge of detection at the largest size.
    limit : the z-scores of the test loss against its limit of infinite n, at the largest size.
    to_come : the spikes of that limit that theory at this size does not have: alphas by degree.
    """

    cube: xr.Dataset
    prediction: xr.Dataset | None
    place: Mapping[str, float | str]
    points: Mapping[str, int]
    lost: tuple[str, str]
    doubt: str
    seeds: np.ndarray
    scores: Mapping[str, xr.Dataset]
    means: Mapping[str, xr.Dataset]
    outliers: Outliers | None
    loss: xr.Dataset | None
    step: xr.Dataset | None
    best_linear: float
    edge: xr.DataArray | None
    limit: xr.Dataset | None
    to_come: Mapping[int, Sequence[float]]


def seen(beside: Compared) -> Seen:
    """All numbers that words are made of, from a cube beside its prediction."""
    cube, study = beside.cube, beside.study
    counts, seeds, doubt = counted_points(cube), _seeds_ok(cube), _doubt(beside)
    one = here(cube)
    place = {name: one[name].item() for name in further_axes(cube)}
    predicted = xr.Dataset() if beside.prediction is None else beside_alphas(here(beside.prediction), one)
    n, counted = largest_size(one, "test_loss"), largest_size(one, "outlier_count")
    model = None if study is None else study.model_at(**{name: place[name] for name in study.further if name in place})
    degrees = () if model is None else spike_degrees(model, MOST_DEGREE)
    beyond = None if counted is None else outliers(cube, one.sel(n=counted), predicted, model, degrees)
    theory = predicted if n is None or "n" not in predicted.dims else predicted.sel(n=n).reset_coords(drop=True)
    beside_loss = {"predicted": _of(theory, "test_loss"), "limit": _of(theory, "test_loss_limit")}
    loss = None if n is None else means_at(cube, "test_loss", n=n).assign(beside_loss)
    return Seen(
        cube=cube,
        prediction=beside.prediction,
        place=place,
        points=counts,
        lost=(lost_draws(cube), missing_edges(cube)),
        doubt=doubt,
        seeds=seeds,
        scores=beside.explained(_COMPARED),
        means={name: means_at(cube, name, n=None, lam=None, rank=1) for name in _TABLED if holds(cube, name)},
        outliers=beyond,
        loss=loss,
        step=None if loss is None else _step(one, loss),
        best_linear=float(_of(theory, "best_linear_loss").values.ravel()[-1]),
        edge=one["detection_edge"].isel(n=-1).dropna("alpha") if holds(one, "detection_edge") else None,
        limit=None if n is None else _against_limit(beside, n),
        to_come={} if n is None else _to_come(theory, degrees),
    )


def _of(theory: xr.Dataset, name: str) -> xr.DataArray:
    """A variable of the theory; NaN where it has none."""
    return theory[name] if name in theory else xr.DataArray(np.nan)


def _seeds_ok(cube: xr.Dataset) -> np.ndarray:
    if "status" not in cube:
        return np.array(cube.sizes["seed"])
    ok = cube["status"] == STATUS["ok"]
    found: np.ndarray = (ok.sum("seed") if "seed" in ok.dims else ok).values
    return found


def _doubt(beside: Compared) -> str:
    if beside.prediction is None:
        return "" if beside.study is None else why_declined(beside.study)
    parts = (said_of_remainders(beside.prediction), str(beside.prediction.attrs.get("declined", "")))
    return "; ".join(filter(None, parts))


def _step(one: xr.Dataset, loss: xr.Dataset) -> xr.Dataset | None:
    """Means of the difference between the last and the first alpha that have every penalty, seeds paired."""
    alphas = loss["alpha"].values[loss["mean"].notnull().all("lam").values]
    if len(alphas) < 2:
        return None
    whole = one["test_loss"].sel(n=int(loss["n"]))
    return plain_means(whole.sel(alpha=alphas[-1], drop=True) - whole.sel(alpha=alphas[0], drop=True))


def _against_limit(beside: Compared, n: int) -> xr.Dataset | None:
    if beside.prediction is None or not holds(beside.prediction, "test_loss_limit"):
        return None
    limit = xr.Dataset({"test_loss": beside.prediction["test_loss_limit"]})
    with contextlib.suppress(Missing):
        return z_scores(beside.cube, limit, "test_loss").sel(n=n)
    return None


def _to_come(theory: xr.Dataset, degrees: Sequence[int]) -> dict[int, list[float]]:
    """The alphas at which the limit has a spike and theory at this size no outlier of its rank, by degree."""
    found = {}
    for rank, k in enumerate(degrees, 1):
        if "singular_value" in theory and rank in theory["rank"]:
            value = theory["singular_value"].sel(rank=rank)
            alphas = value["alpha"].values[~np.isfinite(value.values)].tolist()
            found[k] = [a for a in alphas if a > threshold(k)]
    return {k: alphas for k, alphas in found.items() if alphas}
