"""Predicted densities of the bulk for a page, computed elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xarray as xr

from spikecube.pictures import predicted
from spikecube.pictures.background import in_background


class Bulks:
    """Predicted densities of the bulk, computed elsewhere: one that is not known yet is empty, and drawn when it comes.

    One is asked for at a time; of those that a moving slider wants meanwhile, the last.

    Parameters
    ----------
    answer
        Calls a function with arguments, elsewhere.
    came
        Called on the page when one has come.
    tell
        Called on the page with what went wrong.
    """

    def __init__(self, answer: Callable[..., Any], came: Callable[[], None], tell: Callable[[str], None]) -> None:
        self._answer, self._came, self._tell = answer, came, tell
        self._known: dict[predicted.Place, xr.DataArray] = {}
        self._asked = False

    def __call__(self, cube: xr.Dataset, **labels: Any) -> xr.DataArray:
        """The density at a place of a cube."""
        place = predicted.bulk_place(cube, **labels)
        if place not in self._known and not self._asked:
            self._asked = True
            in_background(
                lambda: self._answer(predicted.bulk_at, *place),
                lambda found: self._take(place, found),
                lambda error: self._take(place, predicted.no_bulk(), f"The density of the bulk failed: {error}"),
            )
        return self._known.get(place, predicted.no_bulk())

    def _take(self, place: predicted.Place, found: xr.DataArray, trouble: str = "") -> None:
        self._known[place], self._asked = found, False
        self._came()
        if trouble:
            self._tell(trouble)
