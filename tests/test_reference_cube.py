"""The numbers of today's code are those of the reference cube."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from spikecube.cube.store import open_cube
from spikecube.runs.verify import verify
from spikecube.study.study import Study

DATA = Path(__file__).parents[1] / "data"


def reference() -> xr.Dataset:
    return open_cube(DATA / "cubes" / "tiny.nc")


def test_no_number_has_moved() -> None:
    found = verify(reference(), sample=4, rng=0)
    assert len(found.deviations) == 4
    assert max(found.deviations.values()) <= 1e-8, found


def test_a_number_that_moved_would_be_seen() -> None:
    cube = reference()
    moved = cube.assign(train_loss=cube["train_loss"] * (1 + 1e-7))
    assert min(verify(moved, sample=4, rng=0).deviations.values()) > 1e-8


def test_the_reference_is_that_of_the_study_beside_it_and_complete() -> None:
    cube = reference()
    assert Study.from_toml(cube.attrs["study"]) == Study.from_file(DATA / "studies" / "tiny.toml")
    assert np.all(cube["status"] == 1)


def test_the_cube_of_the_scaling_study_is_that_of_its_study_and_can_be_made_again() -> None:
    """One cell of the smallest size; the cube is small enough to be shipped."""
    path = DATA / "cubes" / "scaling.nc"
    cube = open_cube(path)
    assert Study.from_toml(cube.attrs["study"]) == Study.from_file(DATA / "studies" / "scaling.toml")
    assert np.isin(cube["status"], (1, 4)).all()
    assert path.stat().st_size < 4e6
    assert max(verify(cube.isel(n=[0], seed=[3], alpha=[0, -1]), sample=1, rng=0).deviations.values()) <= 1e-8
