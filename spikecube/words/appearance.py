"""When each spike appears, measured beside expected: not seen, seen from, expected from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from spikecube.means import spikes
from spikecube.means.places import Missing, fixed
from spikecube.model.parameters import Model
from spikecube.study.study import spike_degrees
from spikecube.theory.staircase import threshold
from spikecube.words.spikes_found import alphas_text, largest_size, measured_spikes
from spikecube.words.when import MOST_DEGREE, first_alpha, first_size

NOT_SEEN, NOT_MEASURED = "not seen", "not measured"
MOST_ALPHA, MOST_SIZE = 0.48, 10_000_000
"""Up to here theory looks for a spike."""


@dataclass(frozen=True)
class Appearance:
    """One spike.

    Attributes
    ----------
    degree, limit : its degree k and its threshold alpha_k = (k - 1)/(2k) of infinite n.
    seen : where in alpha it is seen at the largest size, `NOT_SEEN` or `NOT_MEASURED`.
    alpha : from where theory has it at that size; NaN where not below `MOST_ALPHA`, None where theory says nothing.
    size : from which n theory has it at the largest alpha; infinite where it never has, None where it says nothing.
    """

    degree: int
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


class Appearances(NamedTuple):
    """The largest size, and each spike there."""

    n: int
    found: list[Appearance]


def appearances(cube: xr.Dataset, **further: Any) -> Appearances:
    """The largest size, and each spike up to degree 5 there, as it is seen and as theory alone has it.

    Theory is that of `spikecube when`: it needs the study, not the prediction of a cube.

    Raises
    ------
    Missing
        If no outlier was counted, or the model is not known.
    """
    n = int(largest_size(cube, "outlier_count", further))
    place = {"n": n} | fixed(cube, further)
    model = spikes.model_of(cube, further)
    measured = {k: j for j, k in measured_spikes(cube, further)} if "alignment" in cube else {}
    last = float(cube["alpha"].max())
    found = []
    for rank, k in enumerate(spike_degrees(model, MOST_DEGREE), 1):
        seen = _seen(cube, k, measured[k], place) if k in measured else NOT_MEASURED
        found.append(Appearance(k, threshold(k), seen, *_expected(model, n, last, k, rank)))
    if not found:
        raise Missing("This activation has no spike.")
    return Appearances(n, found)


def appearances_or_none(cube: xr.Dataset, **further: Any) -> Appearances | None:
    """`appearances`, None where there is nothing to say of them."""
    try:
        return appearances(cube, **further)
    except Missing:
        return None


def _seen(cube: xr.Dataset, degree: int, rank: int, place: Mapping[str, Any]) -> str:
    return alphas_text(spikes.spike_share(cube, degree, rank, **place)) or NOT_SEEN


def _expected(model: Model, n: int, last: float, degree: int, rank: int) -> tuple[float | None, float | None]:
    """From which alpha at n, and from which n at the last alpha; None where theory declines the model."""
    try:
        return first_alpha(model, n, rank), first_size(model, last, rank) if last > threshold(degree) else np.inf
    except (ValueError, ArithmeticError):  # declined, or not solved
        return None, None


def alpha_text(spike: Appearance) -> str:
    """From which alpha theory has a spike at the size of the measurement."""
    if spike.alpha is None:
        return "–"
    return f"from α = {spike.alpha:.2f}" if np.isfinite(spike.alpha) else f"not below α = {MOST_ALPHA}"


def size_text(spike: Appearance, last: float) -> str:
    """From which n theory has a spike at the largest alpha of the measurement."""
    if spike.size is None:
        return "–"
    if last <= spike.limit:
        return "never: below its limit"
    if np.isinf(spike.size):
        return f"not up to n = {MOST_SIZE:,}"
    return "from n = 100 or less" if spike.size <= 100 else f"from n of about {float(f'{spike.size:.2g}'):,.0f}"
