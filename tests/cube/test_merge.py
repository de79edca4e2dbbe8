from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from spikecube.cube.merge import merge
from spikecube.cube.store import StoreError, open_cube, write_cube
from tests.runs import standin

COMPARED = ("beta_power", "train_loss", "test_loss_spiked", "singular_value", "status")


def cube(**axes: Any) -> xr.Dataset:
    return standin.make_cube(standin.make_study(axes=axes))


@pytest.fixture(scope="module")
def whole() -> xr.Dataset:
    return cube()


@pytest.mark.parametrize(
    ("axis", "parts"),
    [
        ("seed", ([0, 2], [1])),
        ("seed", ([0, 1], [1, 2])),
        ("n", ([40], [20])),
        ("alpha", ([0.0, 0.29], [0.2])),
        ("activation", (["tanh"], ["relu"])),
    ],
)
def test_parts_make_the_whole(whole: xr.Dataset, axis: str, parts: tuple[Any, Any]) -> None:
    merged = merge([cube(**{axis: part}) for part in parts])
    xr.testing.assert_identical(merged.drop_attrs(deep=False), whole.drop_attrs(deep=False))
    for name in whole.variables:
        assert merged[name].dtype == whole[name].dtype


def test_penalties_join_and_points_wait_for_the_others(whole: xr.Dataset) -> None:
    merged = merge([cube(lam=[0.1]), cube(lam=[1.0], seed=[0])])
    assert merged["train_loss"].sel(seed=0).equals(whole["train_loss"].sel(seed=0))
    assert (merged["status"].sel(seed=[1, 2]) == 0).all()
    assert merged["train_loss"].sel(seed=1, lam=1.0).isnull().all()


def test_a_field_of_the_model_becomes_an_axis(whole: xr.Dataset) -> None:
    tanh = standin.make_cube(standin.make_study(axes={"activation": None}, model={"activation": "tanh"}))
    merged = merge([tanh, cube(activation=["relu"])])
    xr.testing.assert_identical(merged.drop_attrs(deep=False), whole.drop_attrs(deep=False))


def test_integers_survive_the_file(tmp_path: Path) -> None:
    """Fails when cubes are joined by filling with NaN: seeds and status would turn into floats."""
    write_cube(merge([cube(seed=[0]), cube(seed=[2**40])]), tmp_path / "merged.nc")
    back = open_cube(tmp_path / "merged.nc")
    assert back["seed"].dtype == np.int64
    assert back["seed"].values.tolist() == [0, 2**40]
    assert back["status"].dtype == np.int8


def test_a_ragged_union_is_pending_where_nothing_is_known() -> None:
    merged = merge([cube(seed=[0], n=[20]), cube(seed=[1], n=[40])])
    assert (merged["status"].sel(seed=0, n=40) == 0).all()
    assert (merged["status"].sel(seed=0, n=20) == 1).all()


def test_failed_points_give_way_to_computed_ones() -> None:
    broken = cube(seed=[0, 1])
    lost = broken["seed"] == 1
    for name in broken.data_vars:
        if "seed" in broken[name].dims:
            broken[name] = broken[name].where(~lost, 2 if name == "status" else np.nan).astype(broken[name].dtype)
    assert (merge([broken])["status"].sel(seed=1) == 0).all()
    merged = merge([broken, cube(seed=[1])])
    xr.testing.assert_identical(merged.drop_attrs(deep=False), cube(seed=[0, 1]).drop_attrs(deep=False))


def test_different_values_at_a_point_are_refused() -> None:
    """Fails when the last cube silently wins."""
    other = cube(seed=[1, 2])
    other["train_loss"] = other["train_loss"] * (1 + 1e-15)
    with pytest.raises(StoreError, match="different values of train_loss"):
        merge([cube(seed=[0, 1]), other])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"model": {"noise": 0.1}}, r"model.noise was 0.5, now 0.1"), ({"model": {"readout": "constant"}}, "readout")],
)
def test_other_models_are_refused_even_by_force(changes: dict[str, Any], sentence: str) -> None:
    other = standin.make_cube(standin.make_study(**changes))
    for force in (False, True):
        with pytest.raises(StoreError, match=f"different studies.*{sentence}"):
            merge([cube(), other], force=force)


def test_other_code_or_entropy_is_refused_and_recorded_when_forced() -> None:
    other = standin.make_cube(standin.make_study(axes={"seed": [5]}, random={"entropy": 3}))
    other.attrs["code_sha256"] = "another"
    with pytest.raises(StoreError, match=r"its code was .*random.entropy was 20231011, now 3.*--force"):
        merge([cube(), other])
    merged = merge([cube(), other], force=True)
    assert "random.entropy was 20231011, now 3" in merged.attrs["merge_forced"]
    assert merged["seed"].values.tolist() == [0, 1, 2, 5]


def test_a_cube_without_a_readable_study_is_refused() -> None:
    with pytest.raises(StoreError, match="no study that can be read"):
        merge([cube().assign_attrs(study="n = [")])
