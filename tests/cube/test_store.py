from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikecube.cube.schema import STATUS
from spikecube.cube.store import StoreError, open_cube, sweep_temporaries, write_atomically, write_cube
from tests.runs import standin


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return standin.make_cube()


@pytest.fixture(scope="module")
def written(cube: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("written") / "cube.nc"
    write_cube(cube, path)
    return path


def test_values_dtypes_and_attributes_survive(cube: xr.Dataset, written: Path) -> None:
    back = open_cube(written)
    xr.testing.assert_identical(back, cube)
    for name in ("n", "seed", "dim", "width", "ell_alpha", "rank"):
        assert back[name].dtype == np.int64
    assert back["status"].dtype == np.int8
    assert back["status"].attrs["flag_values"].dtype == np.int8
    assert back["status"].attrs["flag_meanings"] == " ".join(STATUS)


def test_numbers_are_compressed(written: Path) -> None:
    with netCDF4.Dataset(written) as file:
        for name in ("train_loss", "status", "outlier_count"):
            filters = file[name].filters()
            assert (filters["zlib"], filters["shuffle"], filters["complevel"]) == (True, True, 4)
        assert file.data_model == "NETCDF4"
        assert file.Conventions == "CF-1.11, ACDD-1.3"


def test_a_plain_open_dataset_shows_the_same(cube: xr.Dataset, written: Path) -> None:
    with xr.open_dataset(written) as back:
        xr.testing.assert_identical(back.load(), cube)


def opened(path: Path) -> bool:
    """Whether this process holds a file open."""
    links = Path("/proc/self/fd").iterdir()
    return os.path.realpath(path) in {os.path.realpath(link) for link in links}


def test_the_file_is_closed_after_reading(written: Path) -> None:
    """Negative control: a file that is held open is seen."""
    open_cube(written)
    assert not opened(written)
    with netCDF4.Dataset(written):
        assert opened(written)


def test_a_program_that_has_a_cube_open_keeps_the_old_one(cube: xr.Dataset, tmp_path: Path) -> None:
    """Fails when the file is written in place: the other program would then see new values or an error."""
    path = tmp_path / "cube.nc"
    write_cube(cube, path)
    with netCDF4.Dataset(path) as other:
        write_cube(cube.assign(beta_power=cube["beta_power"] + 1), path)
        np.testing.assert_array_equal(other["beta_power"][:], cube["beta_power"])
    np.testing.assert_array_equal(open_cube(path)["beta_power"], cube["beta_power"] + 1)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    """Fails when files are written in place."""
    path = tmp_path / "file"
    path.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("half of the n")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_file_and_folder_are_synced_around_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a sync is left out: after a power cut the name could then stand for an empty file."""
    calls: list[str] = []
    sync, replace = os.fsync, os.replace

    def noting_sync(handle: int) -> None:
        calls.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
        sync(handle)

    def noting_replace(source: Any, target: Any) -> None:
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noting_sync)
    monkeypatch.setattr(os, "replace", noting_replace)
    write_atomically(tmp_path / "file", lambda temporary: temporary.write_text("new"))
    assert calls == ["file", "rename", "folder"]


def test_leftovers_of_killed_writers_are_swept(tmp_path: Path) -> None:
    for name in (".cube.nc.12-ab.tmp", ".other.nc.12-ab.tmp", "cube.nc"):
        (tmp_path / name).touch()
    sweep_temporaries(tmp_path / "cube.nc")
    assert sorted(os.listdir(tmp_path)) == [".other.nc.12-ab.tmp", "cube.nc"]


def test_no_cube_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no cube"):
        open_cube(tmp_path / "cube.nc")


def _stranger(path: Path, **changes: Any) -> Path:
    """A netCDF file that looks like a cube but for some changes."""
    cube = xr.Dataset(
        {"train_loss": (("alpha", "lam"), np.zeros((2, 2)))}, {"alpha": [0.0, 0.1], "lam": [0.1, 1.0]}, {"study": ""}
    )
    cube = cube.drop_vars(changes.pop("drop", [])).assign(changes.pop("variables", {}))
    cube.attrs = changes.pop("attrs", cube.attrs)
    cube.to_netcdf(path)
    return path


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"attrs": {}}, "no attribute 'study'"),
        ({"attrs": {"study": 3}}, "no attribute 'study'"),
        ({"drop": ["lam"]}, "no axis lam"),
        (
            {"variables": {"train_loss": ("alpha", np.array(["__import__('os')", "x"], dtype=object))}},
            "not hold numbers",
        ),
    ],
)
def test_a_netcdf_file_that_is_no_cube_gives_a_sentence(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence):
        open_cube(_stranger(tmp_path / "stranger.nc", **changes))


def test_an_unharmed_stranger_is_opened(tmp_path: Path) -> None:
    assert open_cube(_stranger(tmp_path / "stranger.nc")).sizes == {"alpha": 2, "lam": 2}


@given(st.binary(max_size=300))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_any_bytes_give_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bytes.nc").write_bytes(content)
    with pytest.raises(StoreError) as error:
        open_cube(tmp_path / "bytes.nc")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.99])
def test_a_truncated_cube_gives_one_sentence(written: Path, tmp_path: Path, part: float) -> None:
    content = written.read_bytes()
    (tmp_path / "cut.nc").write_bytes(content[: int(part * len(content))])
    with pytest.raises(StoreError, match="cannot be read as netCDF"):
        open_cube(tmp_path / "cut.nc")


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text that is a pickle stays text."""
    import pickle

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("unpickled")

    text = pickle.dumps(print, protocol=0).decode("latin1")
    monkeypatch.setattr(pickle, "loads", forbidden)
    monkeypatch.setattr(pickle, "load", forbidden)
    cube = open_cube(_stranger(tmp_path / "stranger.nc", attrs={"study": text}))
    assert cube.attrs["study"] == text


def test_a_cube_written_in_parts_is_the_same(cube: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cube(cube, tmp_path / "whole.nc")
    monkeypatch.setattr("spikecube.cube.store._PART_BYTES", 1)
    write_cube(cube, tmp_path / "parts.nc")
    xr.testing.assert_identical(open_cube(tmp_path / "whole.nc"), open_cube(tmp_path / "parts.nc"))


def test_writing_copies_one_part_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when every variable is copied before the first is written."""
    monkeypatch.setattr("spikecube.cube.store._PART_BYTES", 2**20)
    cube = xr.Dataset({f"v{i}": ("x", np.zeros(2**17)) for i in range(10)})
    write_cube(cube, tmp_path / "x.nc")  # what is imported for it is no copy
    tracemalloc.start()
    write_cube(cube, tmp_path / "x.nc")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 2**20
