"""What a cube shows of its spikes, in sentences: where each is seen and expected, what points nowhere, how far out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from spikecube.means import spikes
from spikecube.means.comparisons import means_at
from spikecube.means.places import Missing, at, fixed, foretold, variable
from spikecube.model.parameters import Model
from spikecube.study.study import spike_degrees
from spikecube.text import number
from spikecube.theory.staircase import threshold
from spikecube.words import captions
from spikecube.words.when import first_alpha, first_size


def spikes_seen(cube: xr.Dataset, prediction: xr.Dataset | None, **further: Any) -> str:
    """Where each spike is seen at the largest size, against theory and the limit, and what points nowhere.

    A spike is seen where its singular value lies beyond the edge and its vector points along its monomial.
    """
    place = {"n": largest_size(cube, "outlier_count", further)} | fixed(cube, further)
    seeds = captions.seeds_text(_seeds(at(cube["outlier_count"], **place)))
    lead = f"At n = {place['n']}, in {'the one seed' if seeds == '1 seed' else f'at least half of {seeds}'},"
    if "alignment" not in cube:
        share = spikes.outlier_share(cube, 1, **place)
        if not bool((share >= 0.5).any()):
            return f"{lead} no singular value lies beyond the edge of the bulk."
        return (
            f"{lead} a singular value lies beyond the edge of the bulk {alphas_text(share)}; no alignment was measured."
        )
    known = measured_spikes(cube, further)
    shares = {k: spikes.spike_share(cube, k, j, **place) for j, k in known}
    seen = {k: alphas_text(share) for k, share in shares.items()}
    parts = [
        f"{_ORDINAL[j]} {seen[k]} (degree {k}; {_expected(cube, prediction, place, k)})" for j, k in known if seen[k]
    ]
    unseen = [f"degree {k} ({_expected(cube, prediction, place, k)})" for _, k in known if not seen[k]]
    text = f"{lead} " + (
        f"spikes stand clear of the bulk and point along their monomial: {'; '.join(parts)}."
        if parts
        else "no spike stands clear of the bulk and points along its monomial at any α."
    )
    text += f" Not seen: {'; '.join(unseen)}." if unseen else ""
    return text + _pointing_nowhere(cube, known, place)


_ORDINAL = dict(enumerate(("none", "the first", "the second", "the third", *(f"spike {k}" for k in range(4, 21)))))


def measured_spikes(cube: xr.Dataset, further: Mapping[str, Any]) -> list[tuple[int, int]]:
    """(rank, degree) of the spikes whose alignment and rank the cube holds."""
    degrees = spikes.degrees(cube, **further)
    measured = set(cube["degree"].values.tolist())
    return [(j, k) for j, k in enumerate(degrees, 1) if k in measured and j <= cube.sizes.get("rank", len(degrees))]


def _seeds(data: xr.DataArray) -> np.ndarray:
    """How many seeds have a value, at each other label."""
    known = data.notnull()
    return np.atleast_1d((known.sum("seed") if "seed" in known.dims else known.astype(int)).values)


def largest_size(cube: xr.Dataset, name: str, further: Mapping[str, Any]) -> Any:
    """The largest size at which a variable has a value."""
    data = at(variable(cube, name), **fixed(cube, further))
    known = data.notnull().any([d for d in data.dims if d != "n"])
    if not bool(known.any()):
        raise Missing(f"no {name} here")
    return data["n"].values[known.values].max().item()


def alphas_text(share: xr.DataArray) -> str:
    """Where in alpha a share is one half or more; empty where it is nowhere."""
    often = share.values >= 0.5
    if not often.any():
        return ""
    labels, first = share["alpha"].values, int(often.argmax())
    if often[first:].all() and (len(labels) > first + 1 or first == 0):
        return f"from α = {number(float(labels[first]))} on"
    return f"at α = {', '.join(number(float(a)) for a in labels[often])}"


def _expected(cube: xr.Dataset, prediction: xr.Dataset | None, place: Mapping[str, Any], k: int) -> str:
    """Where theory counts the spike of a degree at this size, and in the limit."""
    limit = f"in the limit beyond {threshold(k):.3g}"
    if prediction is None or "singular_value" not in prediction:
        return limit
    further = {name: label for name, label in place.items() if name != "n"}
    model, last = spikes.model_of(cube, further), cube["alpha"].max()
    try:
        return f"theory at this n: {_foretold(model, int(place['n']), float(last), k)}, {limit}"
    except (ValueError, ArithmeticError):  # declined, or not solved
        return limit


def _foretold(model: Model, n: int, last: float, k: int) -> str:
    """From which alpha theory alone has a spike at n; where it has none up to the last alpha, from which n there."""
    rank = spike_degrees(model, k).index(k) + 1
    alpha = first_alpha(model, n, rank)
    if alpha <= last:
        return f"from {alpha:.2f}"
    size = first_size(model, last, rank) if last > threshold(k) else np.inf
    later = f"; there from n of about {float(f'{size:.2g}'):,.0f}" if np.isfinite(size) else ""
    return f"not up to {number(last)}{later}"


def _pointing_nowhere(cube: xr.Dataset, known: list[tuple[int, int]], place: Mapping[str, Any]) -> str:
    """Outliers whose vector does not point along its monomial, and those whose monomial was not measured."""
    counts, cosine = (at(cube[name], **place) for name in ("outlier_count", "alignment"))
    astray = counts * 0.0
    for j, k in known:
        astray = astray + ((counts >= j) & _astray(cosine.sel(degree=k, drop=True)))
    beyond = (counts - len(known)).clip(0)
    text, level = "", f"n^(−1/2) = {place['n'] ** -0.5:.2g}"
    for extra, what in (
        (
            astray,
            f"that point along no monomial (squared cosine with its own below {level}): outliers, not spikes",
        ),
        (beyond, f"more than the {len(known)} whose direction is measured"),
    ):
        mean = extra.mean("seed") if "seed" in extra.dims else extra
        where = alphas_text(mean)
        if where:
            top = mean.isel(alpha=int(mean.fillna(0).argmax("alpha")))
            text += (
                f" Beyond the edge {where} lie singular values {what}; "
                f"{number(round(float(top), 2))} a seed at α = {number(float(top.alpha))}."
            )
    return text


def _astray(cosine: xr.DataArray) -> xr.DataArray:
    return cosine.notnull() & ~spikes.along_monomial(cosine)


def edge_moves(cube: xr.Dataset, **further: Any) -> str:
    """Which way the edge beyond which outliers are counted moves along alpha at the largest size."""
    edge = at(variable(cube, "detection_edge"), n=None, **fixed(cube, further)).dropna("alpha")
    if edge.sizes["alpha"] < 2:
        raise Missing("one alpha")
    first, last = edge.isel(alpha=0), edge.isel(alpha=-1)
    if abs(float(last / first) - 1) < _NOTABLE:
        return ""
    return (
        f"At n = {int(edge.n)} the edge beyond which singular values are counted as outliers moves "
        f"{'out' if last > first else 'in'}, from {number(float(first))} at α = {number(float(first.alpha))} to "
        f"{number(float(last))} at α = {number(float(last.alpha))}."
    )


_NOTABLE = 0.01


def largest_spike(cube: xr.Dataset, prediction: xr.Dataset | None, **further: Any) -> str:
    """The largest singular value just past the alpha where one lies beyond the edge, with edge and prediction."""
    place = {"n": largest_size(cube, "outlier_count", further)} | fixed(cube, further)
    first = spikes.first_alpha(spikes.outlier_share(cube, 1, **place))
    if np.isnan(first):
        raise Missing("no outlier")
    later = [a for a in cube["alpha"].values.tolist() if a >= first]
    where = place | {"alpha": later[min(1, len(later) - 1)], "rank": 1}
    top = means_at(cube, "singular_value", **where)
    spot = f"At α = {number(where['alpha'])}, n = {place['n']}"
    text = f"{spot} the largest singular value of F/√n is {captions.value_text(top)}"
    edge = at(cube["detection_edge"], **where)
    if bool(edge.notnull()):
        text += f", the edge of detection {number(float(edge))}"
    if prediction is not None and "singular_value" in prediction:
        told = float(foretold(prediction["singular_value"], **where))
        text += f"; theory has it at {number(told)}" if np.isfinite(told) else "; theory has no outlier there"
    return text + "."
