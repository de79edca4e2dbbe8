"""What the views draw: a cube, and the prediction and fits that are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from spikecube.means import spikes
from spikecube.means.compared import Compared, compared
from spikecube.pictures import predicted


@dataclass(frozen=True)
class Scene:
    """A cube, and the prediction and fits that are there; the prediction is put on the labels of the cube.

    A prediction for each draw is drawn as its mean; where it is `compared`, each draw is held against its own.
    `fine` is the prediction of the losses at more sizes and penalties, for smooth lines; `bulk` gives the density of
    the bulk at a place, None where it is not known yet.
    """

    cube: xr.Dataset
    prediction: xr.Dataset | None = None
    fits: Mapping[str, xr.Dataset] = field(default_factory=dict)
    fine: xr.Dataset | None = None
    bulk: Callable[..., xr.DataArray | None] = predicted.bulk
    compared: Compared = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "compared", compared(self.cube, self.prediction))
        object.__setattr__(self, "prediction", self.compared.prediction)

    def scores(self, variable: str) -> xr.Dataset | None:
        """The z-scores of a variable; None without a prediction."""
        return None if self.prediction is None else self.compared.scores(variable)

    def density(self, **at: Any) -> xr.DataArray | None:
        """The predicted density of the bulk at one place; None without a prediction."""
        return None if self.prediction is None else self.bulk(self.cube, **at)

    def detachment(self, **at: Any) -> xr.DataArray | None:
        """From which alpha theory has each spike counted; None where it has no singular values."""
        if self.prediction is None or "singular_value" not in self.prediction:
            return None
        return spikes.detachment(self.cube, self.prediction, **at)

    def fit(self, law: str) -> xr.Dataset | None:
        """The fit of a law, None where it was not made."""
        return self.fits.get(law)
