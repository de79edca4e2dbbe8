"""What lies beyond the edge of a cube and which of it are spikes: as numbers taken once, and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from spikecube.means.comparisons import means_at
from spikecube.means.places import holds
from spikecube.means.spikes import along_monomial, outlier_share, spike_share
from spikecube.model.parameters import Model
from spikecube.text import number
from spikecube.theory.staircase import threshold
from spikecube.words import captions, when

NOT_SEEN, NOT_MEASURED = "not seen", "not measured"
MOST_ALPHA, MOST_SIZE = 0.48, 10_000_000
"""Up to here theory looks for a spike."""


@dataclass(frozen=True)
class Spike:
    """One spike.

    Attributes
    ----------
    degree, rank : its degree k, and its place among the singular values.
    limit : its threshold alpha_k = (k - 1)/(2k) of infinite n.
    seen : where in alpha it is seen at the largest size, `NOT_SEEN` or `NOT_MEASURED`.
    alpha : from where theory has it at that size; NaN where not below 0.48, None where theory says nothing.
    size : from which n theory has it at the largest alpha; infinite where it never has, None where it says nothing.
    """

    degree: int
    rank: int
    limit: float
    seen: str
    alpha: float | None
    size: float | None

    @property
    def is_seen(self) -> bool:
        """Whether it is seen anywhere."""
        return self.seen not in (NOT_SEEN, NOT_MEASURED)

    def expected_at(self, last: float) -> bool | None:
        """Whether theory has it at this size at some alpha up to `last`; None where theory says nothing."""
        return None if self.alpha is None else bool(self.alpha <= last)


class Stray(NamedTuple):
    """Outliers that are no spikes: where in alpha, and the most of them a seed, with the alpha of that."""

    where: str
    most: float
    alpha: float


@dataclass(frozen=True)
class Outliers:
    """The singular values beyond the edge at the largest size that has counts of them.

    Attributes
    ----------
    n, seeds : that size, and how many seeds have a count there, in words.
    where : where in alpha half of the seeds have one; empty where nowhere.
    aligned : whether alignments were measured.
    spikes : those of the activation up to degree 5; None where the model is not known, or no alignment is there yet.
    astray, beyond : those that point along no monomial, and those whose direction was not measured.
    top : mean of the largest just past the alpha where one lies beyond the edge, and `edge` and `predicted` there.
    last : the largest alpha.
    predicted : whether there is a prediction of singular values.
    """

    n: int
    where: str
    aligned: bool
    spikes: tuple[Spike, ...] | None
    astray: Stray | None
    beyond: Stray | None
    top: xr.Dataset | None
    last: float
    predicted: bool
    seeds: str


def outliers(
    cube: xr.Dataset, large: xr.Dataset, predicted: xr.Dataset, model: Model | None, degrees: Sequence[int]
) -> Outliers:
    """What lies beyond the edge at one place and size of a cube, and the spikes of the model there.

    Parameters
    ----------
    cube, large : the whole cube, and the cube there.
    predicted : the prediction at that place and the alphas of the cube.
    model, degrees : the model there and the degrees that carry a spike; None and none where it is not known.
    """
    n, last = int(large["n"]), float(large["alpha"].max())
    aligned, spikes, astray, beyond = "alignment" in cube, None, None, None
    ranks = _measured(large, degrees) if aligned else {}
    outside = outlier_share(large, 1)
    shares = {k: spike_share(large, k, rank) for k, rank in ranks.items()}
    if model is not None and (not aligned or holds(cube, "alignment")):
        spikes = tuple(_spike(model, n, last, rank, k, shares.get(k)) for rank, k in enumerate(degrees, 1))
        astray, beyond = _strays(large, ranks) if aligned else (None, None)
    return Outliers(
        n=n,
        where=_where(outside),
        aligned=aligned,
        spikes=spikes,
        astray=astray,
        beyond=beyond,
        top=_top(cube, large, predicted, outside),
        last=last,
        predicted="singular_value" in predicted,
        seeds=captions.seeds_text(_seeds(large["outlier_count"])),
    )


def _measured(large: xr.Dataset, degrees: Sequence[int]) -> dict[int, int]:
    """The rank of each degree whose alignment and rank a cube holds."""
    most = large.sizes.get("rank", len(degrees))
    return {k: j for j, k in enumerate(degrees, 1) if k in large["degree"].values and j <= most}


def _seeds(counts: xr.DataArray) -> np.ndarray:
    """How many seeds have a value, at each other label."""
    known = counts.notnull()
    return np.atleast_1d((known.sum("seed") if "seed" in known.dims else known.astype(int)).values)


def _where(share: xr.DataArray) -> str:
    """Where in alpha a share is one half or more; empty where it is nowhere."""
    often = share.values >= 0.5
    if not often.any():
        return ""
    labels, first = share["alpha"].values, int(often.argmax())
    if often[first:].all() and (len(labels) > first + 1 or first == 0):
        return f"from α = {number(float(labels[first]))} on"
    return f"at α = {', '.join(number(float(a)) for a in labels[often])}"


def _spike(model: Model, n: int, last: float, rank: int, degree: int, share: xr.DataArray | None) -> Spike:
    seen = NOT_MEASURED if share is None else _where(share) or NOT_SEEN
    limit = threshold(degree)
    try:
        alpha = when.first_alpha(model, n, rank)
        size = when.first_size(model, last, rank) if last > limit else np.inf
    except (ValueError, ArithmeticError):  # declined, or not solved
        return Spike(degree, rank, limit, seen, None, None)
    return Spike(degree, rank, limit, seen, alpha, size)


def _strays(large: xr.Dataset, ranks: Mapping[int, int]) -> tuple[Stray | None, Stray | None]:
    """The outliers that point along no monomial, and those beyond the ranks whose direction is measured."""
    counts, astray = large["outlier_count"], 0.0 * large["outlier_count"]
    for k, j in ranks.items():
        cosine = large["alignment"].sel(degree=k, drop=True)
        astray = astray + ((counts >= j) & cosine.notnull() & ~along_monomial(cosine))
    return _stray(astray), _stray((counts - len(ranks)).clip(0))


def _stray(counts: xr.DataArray) -> Stray | None:
    mean = counts.mean("seed") if "seed" in counts.dims else counts
    if not (where := _where(mean)):
        return None
    top = mean.isel(alpha=int(mean.fillna(0).argmax("alpha")))
    return Stray(where, float(top), float(top["alpha"]))


def _top(cube: xr.Dataset, large: xr.Dataset, predicted: xr.Dataset, outside: xr.DataArray) -> xr.Dataset | None:
    often = outside.values >= 0.5
    if not often.any() or not holds(cube, "singular_value"):
        return None
    later = outside["alpha"].values[int(often.argmax()) :].tolist()
    spot = {"n": int(large["n"]), "alpha": later[min(1, len(later) - 1)], "rank": 1}
    edge, theory = _value(large, "detection_edge", spot), _value(predicted, "singular_value", spot)
    return means_at(cube, "singular_value", **spot).assign(edge=edge, predicted=theory)


def _value(data: xr.Dataset, name: str, spot: Mapping[str, Any]) -> xr.DataArray:
    """A variable at the labels of those axes that it has; NaN where it is not there."""
    if name not in data:
        return xr.DataArray(np.nan)
    return data[name].sel({d: label for d, label in spot.items() if d in data[name].dims}).reset_coords(drop=True)


def spikes_seen(found: Outliers | None) -> str:
    """Where each spike is seen at the largest size, against theory and the limit, and what points nowhere.

    A spike is seen where its singular value lies beyond the edge and its vector points along its monomial.
    """
    if found is None or (found.aligned and found.spikes is None):
        return ""
    half = "the one seed" if found.seeds == "1 seed" else f"at least half of {found.seeds}"
    lead = f"At n = {found.n}, in {half},"
    if not found.aligned:
        if not found.where:
            return f"{lead} no singular value lies beyond the edge of the bulk."
        return f"{lead} a singular value lies beyond the edge of the bulk {found.where}; no alignment was measured."
    spikes = found.spikes or ()
    parts = [f"{_ORDINAL[s.rank]} {s.seen} (degree {s.degree}; {_expected(s, found)})" for s in spikes if s.is_seen]
    unseen = [f"degree {s.degree} ({_expected(s, found)})" for s in spikes if s.seen == NOT_SEEN]
    text = f"{lead} " + (
        f"spikes stand clear of the bulk and point along their monomial: {'; '.join(parts)}."
        if parts
        else "no spike stands clear of the bulk and points along its monomial at any α."
    )
    return text + (f" Not seen: {'; '.join(unseen)}." if unseen else "") + _pointing_nowhere(found)


_ORDINAL = dict(enumerate(("none", "the first", "the second", "the third", *(f"spike {k}" for k in range(4, 21)))))


def _expected(spike: Spike, found: Outliers) -> str:
    """Where theory counts a spike at this size, else from which n it does at the last alpha, and in the limit."""
    limit = f"in the limit beyond {spike.limit:.3g}"
    if not found.predicted or spike.alpha is None or spike.size is None:
        return limit
    if spike.alpha <= found.last:
        return f"theory at this n: from {spike.alpha:.2f}, {limit}"
    later = f"; there from n of about {_about(spike.size)}" if np.isfinite(spike.size) else ""
    return f"theory at this n: not up to {number(found.last)}{later}, {limit}"


def _about(size: float) -> str:
    return f"{float(f'{size:.2g}'):,.0f}"


def _pointing_nowhere(found: Outliers) -> str:
    """Outliers whose vector does not point along its monomial, and those whose monomial was not measured."""
    level = f"n^(−1/2) = {found.n**-0.5:.2g}"
    astray = f"that point along no monomial (squared cosine with its own below {level}): outliers, not spikes"
    measured = sum(spike.seen != NOT_MEASURED for spike in found.spikes or ())
    kinds = ((found.astray, astray), (found.beyond, f"more than the {measured} whose direction is measured"))
    return "".join(
        f" Beyond the edge {stray.where} lie singular values {what}; "
        f"{number(round(stray.most, 2))} a seed at α = {number(stray.alpha)}."
        for stray, what in kinds
        if stray is not None
    )


def edge_moves(edge: xr.DataArray | None) -> str:
    """Which way the edge beyond which outliers are counted moves along alpha at the largest size."""
    if edge is None or edge.sizes["alpha"] < 2:
        return ""
    first, last = edge.isel(alpha=0), edge.isel(alpha=-1)
    if abs(float(last / first) - 1) < _NOTABLE:
        return ""
    return (
        f"At n = {int(edge.n)} the edge beyond which singular values are counted as outliers moves "
        f"{'out' if last > first else 'in'}, from {number(float(first))} at α = {number(float(first.alpha))} to "
        f"{number(float(last))} at α = {number(float(last.alpha))}."
    )


_NOTABLE = 0.01


def largest_spike(found: Outliers | None) -> str:
    """The largest singular value just past the alpha where one lies beyond the edge, with edge and prediction."""
    if found is None or found.top is None:
        return ""
    top = found.top
    spot = f"At α = {number(float(top.alpha))}, n = {int(top.n)}"
    text = f"{spot} the largest singular value of F/√n is {captions.value_text(top)}"
    edge, predicted = float(top["edge"]), float(top["predicted"])
    if np.isfinite(edge):
        text += f", the edge of detection {number(edge)}"
    if found.predicted:
        text += f"; theory has it at {number(predicted)}" if np.isfinite(predicted) else "; theory has no outlier there"
    return text + "."


def alpha_text(spike: Spike) -> str:
    """From which alpha theory has a spike at the size of the measurement."""
    if spike.alpha is None:
        return "–"
    return f"from α = {spike.alpha:.2f}" if np.isfinite(spike.alpha) else f"not below α = {MOST_ALPHA}"


def size_text(spike: Spike, last: float) -> str:
    """From which n theory has a spike at the largest alpha of the measurement."""
    if spike.size is None:
        return "–"
    if last <= spike.limit:
        return "never: below its limit"
    if np.isinf(spike.size):
        return f"not up to n = {MOST_SIZE:,}"
    return "from n = 100 or less" if spike.size <= 100 else f"from n of about {_about(spike.size)}"
