"""Values of the theory that were not found: missing in a dataset, with the reason beside them, never in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
import xarray as xr

from spikecube.cube.schema import DERIVED, STATUS
from spikecube.theory import ConvergenceError

T = TypeVar("T")
_V = TypeVar("_V")

_LONGEST = 240  # letters of a reason within a sentence
_REASON = "missing_reason"
"""The attribute of a variable that says where theory gave no value, and why."""


@dataclass
class Unpredicted:
    """Why values are missing: for each variable the places by reason, in the order in which they were met."""

    reasons: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def attempt(self, names: Sequence[str], place: str, compute: Callable[[], T]) -> T | None:
        """What `compute` returns; None, and the reason at this place for these variables, where it raises anything."""
        try:
            with np.errstate(all="ignore"):
                return compute()
        except Exception as error:  # whatever theory meets at one place must not cost the others
            for name in names:
                self.reasons.setdefault(name, {}).setdefault(_reason(error), []).append(place)
            return None

    def attempt_all(
        self,
        names: Sequence[str],
        places: Sequence[str],
        values: Sequence[_V],
        compute: Callable[[list[_V]], Iterable[T]],
    ) -> list[T | None]:
        """What `compute` returns for all values at once, or for one after the other where that raises anything."""

        def one(value: _V) -> T:
            (found,) = compute([value])
            return found

        try:
            with np.errstate(all="ignore"):
                return list(compute(list(values)))
        except Exception:  # the reason is that of each place
            spots = zip(places, values, strict=True)
            return [self.attempt(names, place, partial(one, value)) for place, value in spots]

    def describe(self, data: xr.Dataset) -> None:
        """Sets the attribute of every variable that lacks values."""
        for name, places in self.reasons.items():
            if name in data:
                data[name].attrs[_REASON] = "; ".join(
                    f"{', and at '.join(spots)}: {why}" for why, spots in places.items()
                )

    def sentence(self) -> str:
        """Which variables lack values, with one place and its reason; empty where none does."""
        if not self.reasons:
            return ""
        reason, places = next(iter(next(iter(self.reasons.values())).items()))
        return f"theory gave no {', '.join(self.reasons)} at some places (at {places[0]}: {reason})"


def _reason(error: Exception) -> str:
    """An error in one line, without the model, which stands in the dataset."""
    text = " ".join(str(error.reason if isinstance(error, ConvergenceError) else error).split())
    return text or type(error).__name__


def missing_edges(cube: xr.Dataset) -> str:
    """At how many points a cube has no detection edge, hence no count of outliers, and why; empty where none lacks it.

    >>> missing_edges(xr.Dataset({"detection_edge": (("alpha", "n"), [[1.5, np.nan]])}))
    'detection_edge and outlier_count are missing at 1 of 2 points (alpha, n): theory has no edge there'
    """
    (name,) = DERIVED
    if name not in cube or not cube[name].isnull().any():
        return ""
    edge = cube[name]
    dims = ", ".join(map(str, edge.dims))
    points = f"{int(edge.isnull().sum())} of {edge.size} points" + (f" ({dims})" if dims else "")
    reason = str(edge.attrs.get(_REASON, ""))
    if len(reason) > _LONGEST:
        reason = f"{reason[:_LONGEST].rpartition(' ')[0]} ..."
    why = f" ({reason})" if reason else ""
    return f"{name} and outlier_count are missing at {points}: theory has no edge there{why}"


def lost_draws(cube: xr.Dataset) -> str:
    """At how many points some seeds failed and others did not, and what that does to means; empty where none is so.

    What makes a cell fail is often what was drawn, as labels far out: then the seeds that are left are no fair sample.

    >>> lost_draws(xr.Dataset({"status": (("n", "seed"), [[1, 2, 1], [1, 1, 1]])}))
    'seeds failed at 1 of 2 points where others are ok: if they failed by what was drawn, the means are biased there'
    """
    if "status" not in cube or "seed" not in cube["status"].dims:
        return ""
    lost = cube["status"].isin([STATUS["failed"], STATUS["nonfinite"]]).any("seed")
    mixed = lost & (cube["status"] == STATUS["ok"]).any("seed")
    if not mixed.any():
        return ""
    points = f"{int(mixed.sum())} of {mixed.size} points"
    return f"seeds failed at {points} where others are ok: if they failed by what was drawn, the means are biased there"
