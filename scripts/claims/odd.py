"""Claims on the third spike of odd activations, which have no second: at a large scale of the step, and at 1."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import xarray as xr

from scripts.claims.finding import Finding
from scripts.claims.sizes import against_n, largest, outlier_exponent
from scripts.claims.spikes import SECTION
from scripts.claims.thresholds import critical
from scripts.claims.verdicts import Interval, of_share, of_value, share
from spikecube import views
from spikecube.means.spikes import along_monomial, detachment, study_of
from spikecube.pictures import marks, style
from spikecube.pictures.picture import Layer, Picture
from spikecube.words.when import first_alpha, first_size

RANK = 2
"""The third spike of an odd activation is its second outlier."""
ABOVE, BELOW, CLEAR_FROM = 0.36, 0.28, 1000
FAR = 10**7


# m: the third spike at a large scale of the step


def judge_third(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """Whether spike 3 is there above its threshold and not below, the threshold extrapolated, and its growth."""
    seen = [_seen(cube, prediction, alpha) for alpha in (ABOVE, BELOW)]
    return [*seen, _threshold(cube), _growth(cube, prediction)]


def _seen(cube: xr.Dataset, prediction: xr.Dataset, alpha: float) -> Finding:
    n, there = largest(cube), alpha == ABOVE
    one = cube.sel(alpha=alpha, n=n)
    found = ((one["outlier_count"] >= RANK) & along_monomial(one["alignment"].sel(degree=3))).reset_coords(drop=True)
    found = found.isel(seed=one["outlier_count"].notnull().values)
    hits = int(found.sum()) if there else int((~found).sum())
    rate = share(hits, found.sizes["seed"])
    theory = int(prediction["outlier_count"].sel(alpha=alpha, n=n))
    cosine = float(one["alignment"].sel(degree=3).mean())
    return Finding(
        f"At α = {alpha:g}, {'beyond' if there else 'below'} 1/3, tanh has {'its' if there else 'no'} third spike.",
        SECTION,
        f"draws with{'' if there else 'out'} an outlier along (Xβ)³, n = {n}, α = {alpha:g}, η₀ = {_scale(cube):g}",
        rate,
        "all draws",
        of_share(rate, n, here=float((theory >= RANK) == there)),
        f"The theory at this n counts {theory} outlier{'s' * (theory != 1)}; the second left singular vector has a "
        f"mean squared cosine of {cosine:.2f} with (Xβ)³.",
    )


def _scale(cube: xr.Dataset) -> float:
    return study_of(cube).model.eta_scale


def _threshold(cube: xr.Dataset) -> Finding:
    model, n = study_of(cube).model, largest(cube)
    near, far = (first_alpha(model, m, RANK) for m in (n, FAR))
    more = f" They are {near:.2f} at n = {n} and {far:.2f} at 10⁷: tanh flattens the spike at small n."
    one = critical(cube, 3)
    return dataclasses.replace(one, why=one.why + more)


def _growth(cube: xr.Dataset, prediction: xr.Dataset, alpha: float = 0.42) -> Finding:
    """The third spike's exponent where it stands clear, told from those that a second and a first would have."""
    claimed, second, first = (0.5 - k * (0.5 - alpha) for k in (3, 2, 1))
    where = {"alpha": alpha, "rank": RANK}
    curve, theory = (d["singular_value"].sel(where).reset_coords(drop=True) for d in (cube, prediction))
    ratio = (curve / theory).sel(n=cube["n"] >= CLEAR_FROM)
    found = Interval(math.nan, -math.inf, math.inf)
    if ratio.sizes["n"]:
        found = Interval(*(v + claimed for v in outlier_exponent(cube.sel(n=ratio["n"]), ratio)))
    return Finding(
        f"The second outlier of tanh grows as the third spike: as n to the power {claimed:.2f} at α = {alpha:g}.",
        SECTION,
        f"exponent of n of the second outlier, relative to the theory at each n, α = {alpha:g}, n ≥ {CLEAR_FROM}",
        found,
        f"{claimed:.2f}",
        of_value(found, claimed, [second, first], largest(cube)),
        f"A second spike would have {second:.2f}, a first {first:.2f}.",
    )


def draw_third(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """The map of counts, and the second singular value over its edge against n."""
    return [
        views.outlier_count(cube, detachment(cube, prediction).sel(degree=[3])),
        _over_edge(cube, prediction).view(),
    ]


def _over_edge(cube: xr.Dataset, prediction: xr.Dataset) -> Picture:
    layers: list[Layer] = []
    alphas = [BELOW, 1 / 3, ABOVE, 0.42]
    curves = {}
    for a, colour in zip(alphas, style.SERIES, strict=False):
        one, theory = (d.sel(alpha=a, method="nearest") for d in (cube, prediction))
        curves[f"measured, α = {a:.3g}"] = one["singular_value"].sel(rank=RANK) / one["detection_edge"]
        line = theory["singular_value"].sel(rank=RANK) / theory["detection_edge"]
        layers.append(marks.line(line.n, line, "n", "value", label="", colour=colour))
    title = "Second singular value over the edge beyond which it is counted; lines: predicted"
    plain = against_n(curves, "s₂ over the edge", title, law=False)
    return dataclasses.replace(plain, layers=[*layers, *plain.layers])


# n: tanh and erf with the scale 1


def judge_odd(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """That only one spike is seen, and from which n theory has the next."""
    return [_alone(cube, prediction, a) for a in cube["activation"].values.tolist()]


def _alone(cube: xr.Dataset, prediction: xr.Dataset, activation: str, alpha: float = 0.42) -> Finding:
    n, where = largest(cube), {"activation": activation, "alpha": alpha}
    counts = cube["outlier_count"].sel(where).sel(n=n).dropna("seed")
    found = share(int((counts == 1).sum()), counts.sizes["seed"])
    theory = int(prediction["outlier_count"].sel(where).sel(n=n))
    next_one = first_size(study_of(cube).model_at(activation=activation), alpha, RANK)
    cosine = float(cube["alignment"].sel(where).sel(n=n, degree=3).mean())
    return Finding(
        f"{activation} has no second spike at α = {alpha:g}, and no third yet at n = {n}.",
        f"{SECTION} (c₂ = 0)",
        f"draws with one outlier, n = {n}, α = {alpha:g}, η₀ = {_scale(cube):g}",
        found,
        "all draws",
        of_share(found, n, here=float(theory == 1)),
        f"Theory has the third from n = {float(f'{next_one:.2g}'):,.0f} on; the second left singular vector has a "
        f"mean squared cosine of {cosine:.2g} with (Xβ)³.",
    )


def draw_odd(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """The second singular value over its edge, and the cosine of its vector with the third monomial."""
    labels = [(a, x) for a in cube["activation"].values.tolist() for x in cube["alpha"].values.tolist()]
    edges, cosines = {}, {}
    for activation, alpha in labels:
        one = cube.sel(activation=activation, alpha=alpha)
        name = f"measured, {activation}, α = {alpha:g}"
        edges[name] = one["singular_value"].sel(rank=RANK) / one["detection_edge"]
        cosines[name] = one["alignment"].sel(degree=3)
    title = "Second singular value over the edge beyond which it is counted"
    return [
        against_n(edges, "s₂ over the edge", title, law=False).view(),
        against_n(cosines, "cos²", "Second left singular vector and (Xβ)³", law=False).view(),
    ]
