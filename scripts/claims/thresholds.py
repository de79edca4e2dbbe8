"""Claims on where spikes appear: the critical step exponents, alpha = 1/2, and a chart of the sizes that are needed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from scripts.claims.finding import Finding
from scripts.claims.sizes import against_n, exponent, largest, outlier_exponent
from scripts.claims.spikes import SECTION
from scripts.claims.verdicts import Interval, fitted, of_nothing, of_share, of_value, share
from spikecube import fit_thresholds, views
from spikecube.means.comparisons import plain_means
from spikecube.means.spikes import degrees, detachment, spike_share, study_of
from spikecube.model.parameters import Model
from spikecube.pictures import marks, style
from spikecube.pictures.picture import Layer, Picture
from spikecube.theory.staircase import threshold
from spikecube.words.when import first_alpha, first_size

# h: the critical step exponents


def judge_thresholds(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """The second spike's extrapolated threshold, its growth there, and both outliers at alpha = 1/2."""
    below = cube.sel(alpha=cube["alpha"] < HARD_EDGE)
    found = [critical(below, 2, prediction), _at_threshold(cube, prediction)]
    return [*found, *(_largest_step(cube, prediction, k) for k in (1, 2))]


HARD_EDGE = 0.37
"""Beyond this alpha the edge of the bulk is soft for an activation without bounds, and takes spikes in again."""
LEAST_SIZES, SEEN = 3, 0.95
ALONG = 0.5
"""The mean squared cosine from which on a singular vector is that of a spike, as in `fit_outliers`."""


def bend(cube: xr.Dataset, prediction: xr.Dataset, alpha: float, k: int) -> float:
    """By how much the logarithm of outlier k over the theory's moves over the sizes: theory's own error, and noise."""
    ratio = cube["singular_value"].sel(alpha=alpha, rank=k) / prediction["singular_value"].sel(alpha=alpha, rank=k)
    means = ratio.where(_along(cube, alpha, k)).mean("seed").dropna("n")
    return float(np.ptp(np.log(means.values)))


def _along(cube: xr.Dataset, alpha: float, k: int) -> xr.DataArray:
    """At which sizes the singular vector points along its monomial."""
    return (cube["alignment"].sel(alpha=alpha, degree=k).mean("seed") >= ALONG).reset_coords(drop=True)


def widened(found: Interval, by: float) -> Interval:
    """An interval that is longer by as much on both sides.

    >>> widened(Interval(1.0, 0.5, 2.0), 0.25)
    Interval(value=1.0, low=0.25, high=2.25)
    """
    return Interval(found.value, found.low - by, found.high + by)


def _of_threshold(cube: xr.Dataset, prediction: xr.Dataset, k: int) -> float:
    """What the bend of an outlier k moves a threshold that is extrapolated in 1/ln n.

    The outlier grows as n^{k alpha}: a factor e^b is a shift of alpha by b/(k ln n).
    """
    beyond = [a for a in cube["alpha"].values if a > threshold(k) and bool(_along(cube, a, k).all())]
    if not beyond:
        return 0.0
    small, large = np.log(cube["n"].values[[0, -1]].astype(float))
    return float(bend(cube, prediction, beyond[0], k) / (k * small) * (1 / large) / (1 / small - 1 / large))


def critical(cube: xr.Dataset, k: int, prediction: xr.Dataset | None = None) -> Finding:
    """The alpha from which spike k is seen, extrapolated from the sizes that show it, widened by theory's bend."""
    rank, n = degrees(cube).index(k) + 1, largest(cube)
    sizes = [m for m in cube["n"].values.tolist() if float(spike_share(cube.sel(n=m), k, rank).max()) >= SEEN]
    found, theory, bare = Interval(math.nan, -math.inf, math.inf), math.nan, ""
    if len(sizes) >= LEAST_SIZES:
        found = fitted(fit_thresholds(cube.sel(n=sizes)).sel(degree=k), "critical")
        if prediction is not None:
            bare = f" Without what theory's own error can do the interval is [{found.low:.3f}, {found.high:.3f}]."
            found = widened(found, _of_threshold(cube.sel(n=sizes), prediction.sel(n=sizes), k))
        theory = extrapolated(sizes, [first_alpha(study_of(cube).model, m, rank) for m in sizes])
    return Finding(
        f"Spike {k} appears beyond α = {threshold(k):.4g}.",
        SECTION,
        f"α from which spike {k} is seen in half of the draws, extrapolated in 1/ln n",
        found,
        f"{threshold(k):.4g}",
        of_value(found, threshold(k), [threshold(k - 1), threshold(k + 1)], n, here=theory),
        f"{len(sizes)} of {cube.sizes['n']} sizes show it in {SEEN:.0%} of the draws at some α up to "
        f"{float(cube['alpha'].max()):g}, and count"
        + (f". The theory's own thresholds, extrapolated alike, end at {theory:.3f}." if sizes else ".")
        + bare,
    )


def extrapolated(sizes: Sequence[int], thresholds: Sequence[float]) -> float:
    """The limit of thresholds by a line in 1/ln n.

    >>> round(extrapolated([100, 1000], [0.3 + 1 / np.log(100), 0.3 + 1 / np.log(1000)]), 9)
    0.3
    """
    return float(np.polyfit(1 / np.log(sizes), thresholds, 1)[1])


def _over_edge(cube: xr.Dataset, prediction: xr.Dataset, alpha: float) -> xr.DataArray:
    """The second singular value over the predicted edge; (n, seed)."""
    edge = prediction["bulk_edge"].sel(alpha=alpha, method="nearest").reset_coords(drop=True)
    return cube["singular_value"].sel(alpha=alpha, rank=2, drop=True).reset_coords(drop=True) / edge


def _at_threshold(cube: xr.Dataset, prediction: xr.Dataset) -> Finding:
    alpha, n = threshold(2), largest(cube)
    found, _ = exponent(_over_edge(cube, prediction, alpha))
    return Finding(
        "At α = 1/4 itself the second singular value does not grow away from the bulk.",
        SECTION,
        "exponent of n of the second singular value over the predicted edge, α = 1/4",
        found,
        "0, to 0.05; at α = 0.31 it would be 0.12",
        of_nothing(found, 0.05, n),
        "The exponent 1/2 − 2(1/2 − α) of the second spike vanishes there.",
    )


def _largest_step(cube: xr.Dataset, prediction: xr.Dataset, k: int) -> Finding:
    """The k-th outlier at alpha = 1/2, at the sizes at which its singular vector points along its monomial."""
    where = {"alpha": 0.5, "rank": k}
    curve, theory = (d["singular_value"].sel(where).reset_coords(drop=True) for d in (cube, prediction))
    along = _along(cube, 0.5, k)
    sizes = np.log(theory["n"].values[along.values].astype(float))
    bare = Interval(*(v + 0.5 for v in outlier_exponent(cube, (curve / theory).where(along))))
    found = widened(bare, bend(cube, prediction, 0.5, k) / np.ptp(sizes))
    seen = theory.dropna("n")
    plain = np.polyfit(np.log(seen["n"].values.astype(float)), np.log(seen.values), 1)[0]
    name = ("first", "second")[k - 1]
    return Finding(
        f"At the largest step, α = 1/2, the {name} outlier grows as n to the power 1/2.",
        "past the paper (α = 1/2)",
        f"exponent of n of the {name} outlier, relative to the theory at each n",
        found,
        "0.5",
        of_value(found, 0.5, [0.5 - k * 0.04], largest(cube)),
        f"It is told from {0.5 - k * 0.04:.2f}, which α = 0.46 has; a plain power law through the theory's own values "
        f"has {plain:.3f}. Without what theory's own error can do the interval is [{bare.low:.3f}, {bare.high:.3f}].",
    )


def draw_thresholds(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """The map of counts with both kinds of thresholds, and the second singular value around its threshold."""
    around = [a for a in cube["alpha"].values if 0.2 < a < 0.35]
    curves = {f"measured, α = {a:g}": _over_edge(cube, prediction, float(a)) for a in around}
    title = "Second singular value over the predicted edge, and fitted power laws"
    return [
        views.outlier_count(cube, detachment(cube, prediction).sel(degree=[2])),
        against_n(curves, "s₂ over the edge", title).view(),
    ]


# k: from which size a spike is visible

CLEAR = 0.1  # of the detection edge: outliers predicted closer to it may fall on either side


def judge_chart(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """How many of the chart's points simulation confirms, spike by spike."""
    return [_chart(cube, prediction, k) for k in degrees(cube, int(cube["degree"].max()))]


def chart_points(cube: xr.Dataset, prediction: xr.Dataset, degree: int) -> xr.Dataset:
    """Where theory has a spike clearly visible or clearly not, and the share of draws in which it was seen."""
    rank = degrees(cube, 2, eta_scale=cube["eta_scale"].values[0]).index(degree) + 1
    outlier, edge = prediction["singular_value"].sel(rank=rank), prediction["detection_edge"]
    margin = (outlier / edge - 1).fillna(-1.0)
    parts = [spike_share(cube.sel(eta_scale=e), degree, rank) for e in cube["eta_scale"].values]
    seen = xr.concat([p.reset_coords(drop=True) for p in parts], dim=cube["eta_scale"])
    return xr.Dataset({"margin": margin.reset_coords(drop=True), "seen": seen})


def _chart(cube: xr.Dataset, prediction: xr.Dataset, degree: int) -> Finding:
    points = chart_points(cube, prediction, degree)
    clear = np.abs(points["margin"]) > CLEAR
    right = ((points["seen"] > 0.5) == (points["margin"] > 0)) & clear
    visible = int(((points["margin"] > 0) & clear).sum())
    found = share(int(right.sum()), int(clear.sum()))
    n = largest(cube)
    return Finding(
        f"From the n that the chart names on, spike {degree} is visible.",
        "past the paper (theory at finite n)",
        f"places (η₀, α, n) at which most draws show spike {degree} where theory has it and none where not",
        found,
        "all places",
        of_share(found, n),
        f"Theory has it at {visible} of {int(clear.sum())} places; those within {CLEAR:.0%} of the edge are left out.",
    )


def draw_chart(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """The chart by eta_scale and by c_2, and the second spike over the edge, measured and predicted."""
    scales = {f"η₀ = {e:g}": study_of(cube).model_at(eta_scale=float(e)) for e in cube["eta_scale"].values}
    base = scales["η₀ = 1"]
    shapes = {f"c₂ = {c}": dataclasses.replace(base, activation=[0.0, 1.0, c]) for c in (0.05, 0.1, 0.2, 0.4)}
    titles = ("relu, by the scale of the step", "activation H₁ + c₂H₂, η₀ = 1")
    charts = [_sizes(models, title) for models, title in zip((scales, shapes), titles, strict=True)]
    return [*(c.view() for c in charts), *(_margins(cube, prediction, k, alpha=0.36).view() for k in (1, 2))]


def _sizes(models: dict[str, Model], title: str) -> Picture:
    """The n from which the second spike is visible against alpha, by theory."""
    alphas = np.linspace(0.27, 0.47, 6)
    layers: list[Layer] = []
    for (label, model), colour in zip(models.items(), style.SERIES, strict=False):
        sizes = np.array([first_size(model, float(a), 2) for a in alphas])
        shown = np.where(np.isfinite(sizes), sizes, np.nan)
        layers.append(marks.line(alphas, shown, "alpha", "n", label=f"predicted, {label}", colour=colour))
    whole = f"n from which the second spike is visible: {title}"
    return Picture(layers, title=whole, xlabel="α", ylabel="n", logy=True)


def _margins(cube: xr.Dataset, prediction: xr.Dataset, degree: int, alpha: float) -> Picture:
    layers: list[Layer] = []
    for e, colour, marker in zip(cube["eta_scale"].values, style.SERIES, style.MARKERS, strict=False):
        where = {"alpha": alpha, "eta_scale": e}
        rank = degrees(cube, 2, eta_scale=e).index(degree) + 1
        curve, top = (
            d["singular_value"].sel({**where, "rank": rank}) / d["detection_edge"].sel(where)
            for d in (prediction, cube)
        )
        layers.append(marks.line(curve.n, curve, "n", "margin", label=f"predicted, η₀ = {e:g}", colour=colour))
        data = plain_means(top.reset_coords(drop=True))
        label = f"measured, η₀ = {e:g}"
        layers += marks.points(data, "n", "margin", label=label, colour=colour, marker=marker, positive=True)
    title = f"Singular value of spike {degree} over the edge beyond which it is counted, α = {alpha:g}"
    options = {"xticks": [(int(n), f"{int(n)}") for n in cube["n"].values]}
    return Picture(layers, title=title, xlabel="n", ylabel="over the edge", logx=True, logy=True, options=options)
