"""A cube beside the prediction for it: put on its labels once, and each variable compared once."""

from __future__ import annotations

from dataclasses import dataclass, field

import xarray as xr

from spikecube.means.comparisons import typical, z_scores
from spikecube.means.places import Missing, aligned
from spikecube.means.spikes import clear_only


@dataclass(frozen=True)
class Compared:
    """A cube, and what theory says at its labels.

    Attributes
    ----------
    cube : in the form of the schema.
    given : the prediction on the labels of the cube, perhaps with a value for each draw; None without one.
    prediction : the same with means over draws.
    """

    cube: xr.Dataset
    given: xr.Dataset | None
    prediction: xr.Dataset | None
    _scores: dict[str, xr.Dataset] = field(default_factory=dict, init=False, repr=False, compare=False)

    def scores(self, name: str) -> xr.Dataset:
        """The `z_scores` of a variable, computed once; of singular values only where they stand clear of the bulk.

        Raises
        ------
        Missing
            If there is no prediction of it, or no error to hold it against.
        """
        if self.given is None:
            raise Missing("no prediction")
        if name not in self._scores:
            measured = clear_only(self.cube) if name == "singular_value" else self.cube
            self._scores[name] = z_scores(measured, self.given, name)
        return self._scores[name]


def compared(cube: xr.Dataset, prediction: xr.Dataset | None = None) -> Compared:
    """A cube beside a prediction of any grid that holds its labels."""
    if prediction is None:
        return Compared(cube, None, None)
    given = aligned(prediction, cube)
    return Compared(cube, given, typical(given))
