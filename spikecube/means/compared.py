"""A cube beside the prediction for it: put on its labels once, and each variable compared once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from spikecube.means.comparisons import typical, z_scores
from spikecube.means.controls import label_spreads
from spikecube.means.places import Missing, aligned
from spikecube.means.spikes import clear_only
from spikecube.study.study import Study, study_from


@dataclass(frozen=True)
class Compared:
    """A cube, its study, and what theory says at its labels.

    Attributes
    ----------
    cube : in the form of the schema.
    study : the one that it carries; None without one.
    given : the prediction on the labels of the cube, perhaps with a value for each draw; None without one.
    prediction : the same with means over draws.
    """

    cube: xr.Dataset
    study: Study | None
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

    def explained(self, names: Iterable[str]) -> dict[str, xr.Dataset]:
        """The `scores` of those variables that can be compared, each with what may explain them at its points.

        `remainder` is how far the prediction itself may be off, NaN where that is not known; `spread` how much stronger
        labels are than for a typical draw, where the prediction is one for that.
        """
        found = {}
        for name in names:
            with contextlib.suppress(Missing):
                scores = self.scores(name)
                spread: xr.DataArray | float = 1.0
                if self.study is not None and name != "singular_value" and not scores.attrs["given"]:
                    spread = label_spreads(self.study, scores["n"].values.tolist())
                found[name] = scores.assign(remainder=_remainder(name, scores, self.given), spread=spread)
        return found


def _remainder(name: str, scores: xr.Dataset, given: xr.Dataset | None) -> xr.DataArray:
    """How far the prediction itself may be off there; NaN where that is not known."""
    if given is None or f"{name}_remainder" not in given:
        return xr.DataArray(np.nan)
    data = given[f"{name}_remainder"].reset_coords(drop=True)
    labels = {d: scores[d].values for d in map(str, data.dims)}
    names = {d: label for d, label in labels.items() if label.dtype.kind not in "iuf"}
    numbers = {d: label for d, label in labels.items() if d not in names}
    return data.sel(names).sel(numbers, method="nearest").assign_coords(labels)


def compared(cube: xr.Dataset, prediction: xr.Dataset | None = None) -> Compared:
    """A cube beside a prediction of any grid that holds its labels."""
    study = study_from(str(cube.attrs["study"])) if "study" in cube.attrs else None
    given = None if prediction is None else aligned(prediction, cube)
    return Compared(cube, study, given, None if given is None else typical(given))
