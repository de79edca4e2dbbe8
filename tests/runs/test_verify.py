from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from spikecube.cube.store import StoreError
from spikecube.runs.errors import RunError
from spikecube.runs.verify import TOLERANCE, Verified, verify
from spikecube.runs.worker import computed_with
from tests.runs import standin


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return standin.make_cube().assign_attrs(computed_with=computed_with())


def check(cube: xr.Dataset, sample: int = 12, rng: Any = 0) -> Verified:
    return verify(cube, sample, rng, standin.kernel())


def test_a_right_cube_agrees_bit_for_bit(cube: xr.Dataset) -> None:
    verified = check(cube)
    assert verified.agrees
    assert verified.tolerance == 0
    assert "bit for bit" in verified.reason
    assert len(verified.deviations) == 12


def test_one_changed_bit_is_found(cube: xr.Dataset) -> None:
    changed = cube.copy(deep=True)
    values = changed["train_loss"].values
    values[0, 0, 0, 0, 0] = np.nextafter(values[0, 0, 0, 0, 0], 2)
    verified = check(changed)
    assert not verified.agrees
    assert str(verified).split().count("BAD") == 1


def test_a_missing_value_is_found(cube: xr.Dataset) -> None:
    changed = cube.copy(deep=True)
    changed["beta_power"][0, 0, 0] = np.nan
    assert max(check(changed).deviations.values()) == np.inf


@pytest.mark.parametrize("attrs", [{"computed_with": "numpy 1, other blas"}, {"code_sha256": "other"}])
def test_other_libraries_or_code_are_held_to_a_stated_tolerance(cube: xr.Dataset, attrs: dict[str, str]) -> None:
    other = cube.copy(deep=True).assign_attrs(attrs)
    other["train_loss"] = other["train_loss"] * (1 + 1e-10)
    verified = check(other)
    assert verified.agrees
    assert verified.tolerance == TOLERANCE["float64"]
    assert "to a relative 1e-08, since other" in verified.reason
    other["train_loss"] = other["train_loss"] * (1 + 1e-6)
    assert not check(other).agrees


def test_the_sample_is_chosen_by_rng(cube: xr.Dataset) -> None:
    first, again, others = (check(cube, 3, rng).deviations for rng in (1, np.random.default_rng(1), 2))
    assert list(first) == list(again)
    assert list(first) != list(others)
    assert len(first) == 3


def test_only_what_was_computed_is_verified(cube: xr.Dataset) -> None:
    part = cube.copy(deep=True)
    part["status"][:, :, 1:] = 0
    part["status"][0, :, 0] = 2
    assert len(check(part).deviations) == 4
    assert check(part).agrees
    part["status"][:] = 0
    with pytest.raises(RunError, match="no computed cell"):
        check(part)


def test_a_stranger_that_asks_for_too_much_is_refused(cube: xr.Dataset) -> None:
    def huge(*_: Any, **__: Any) -> float:
        return 1e18

    with pytest.raises(RunError, match=r"needs .* of memory"):
        verify(cube, 1, 0, standin.kernel(bytes_=huge))


def test_a_cube_whose_study_says_something_else_is_refused(cube: xr.Dataset) -> None:
    with pytest.raises(StoreError):
        check(cube.assign_attrs(study="[axes]"))


def test_a_part_of_a_cube_is_verified(cube: xr.Dataset) -> None:
    part = cube.isel(seed=[1], alpha=[0, 2])
    assert len(check(part).deviations) == 4
    assert check(part).agrees


@pytest.mark.parametrize("drop", ["train_loss", "status", "seed"])
def test_a_cube_that_is_not_what_its_study_says_is_refused(cube: xr.Dataset, drop: str) -> None:
    with pytest.raises(StoreError, match=r"as its study says|has no axis seed"):
        check(cube.drop_vars(drop))
