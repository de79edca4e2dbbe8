"""The made-up cubes as fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import xarray as xr

from scripts.madeup import fill, made_prediction, study_of
from spikecube.pictures import predicted


@pytest.fixture(scope="module", autouse=True)
def bulk_points() -> Iterator[None]:
    """Predicted densities are drawn at few points where a test is not about them: they take longer than the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predicted, "_POINTS", 40)
        predicted._bulk.cache_clear()
        yield
    predicted._bulk.cache_clear()


@pytest.fixture(scope="session")
def cube() -> xr.Dataset:
    return fill(study_of())


@pytest.fixture(scope="session")
def prediction(cube: xr.Dataset) -> xr.Dataset:
    return made_prediction(cube)


@pytest.fixture(scope="session")
def make() -> Callable[..., xr.Dataset]:
    """A made-up cube by axes: make(seed=1), make(n=[500])."""
    return lambda **changes: fill(study_of(**changes))
