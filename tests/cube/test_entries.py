"""Studies, names and targets as people give them: they work, or one sentence comes before any work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import spikecube as sc
from spikecube.cube.store import StoreError, refuse_target, write_cube
from spikecube.runs import cluster
from spikecube.study.fields import StudyError
from spikecube.words.overview import overview
from tests.cube.real import least_toml
from tests.test_end_to_end import spikecube

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.toml").write_text("\ufeff" + least_toml('title = "Спайки"'), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names_of_files_stand_for_what_is_in_them(here: Path, threads: Any) -> None:
    """A study with a byte-order mark, run by its name into a link that points elsewhere."""
    (here / "far").mkdir()
    (here / "small.nc").symlink_to(here / "far" / "cube.nc")
    cube = sc.run("small.toml", client=threads)
    assert (here / "small.nc").is_symlink()
    xr.testing.assert_identical(sc.open_cube("far/cube.nc"), cube)
    assert [p.name for p in (here / "far").iterdir()] == ["cube.nc"]
    assert sc.verify("small", 1).agrees
    xr.testing.assert_equal(sc.merge(["small.nc"]), cube)
    assert overview("small.nc").startswith("Спайки")
    xr.testing.assert_identical(
        sc.predict("small.toml").drop_attrs(deep=False),
        sc.predict(sc.Study.from_file("small.toml")).drop_attrs(deep=False),
    )
    assert not sc.Study.from_file("small.toml").to_toml().startswith("\ufeff")
    latin = os.environ | {"PYTHONIOENCODING": "latin-1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "spikecube", "info", "small"]
    done = subprocess.run(command, env=latin, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert b"1 of 1 points" in done.stdout


def test_what_cannot_be_run_is_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 0.3)
    study = sc.Study.from_file("small.toml")
    with pytest.raises(StoreError, match="given no name for this study"):
        sc.run(study)
    with pytest.raises(StudyError, match=r"given builtins.dict; allowed: a spikecube.Study or the name"):
        sc.predict({"axes": {}})  # type: ignore[arg-type]
    with pytest.raises(StudyError, match="cannot be read: No such file"):
        sc.run("none.toml")
    with pytest.raises(RuntimeError, match="no dask scheduler answers at tcp"):
        sc.run("small.toml", client="tcp://127.0.0.1:9")
    assert not (here / "small.run").exists()


@pytest.mark.parametrize("name", [".", "/", ".."])
def test_a_folder_is_no_name_of_a_run(here: Path, name: str) -> None:
    done = spikecube(here, "run", "small.toml", "-o", name, code=1)
    assert "a folder; allowed: the name of a run" in done.stderr
    assert not list(here.glob("*.run"))


@pytest.mark.parametrize("name", [".", "/", "none/x.nc", "x" * 250, "closed/x.nc", "/proc/x.nc"])
def test_a_target_that_cannot_be_written_is_refused_before_the_work(here: Path, name: str) -> None:
    (here / "closed").mkdir(mode=0o500)
    if name.startswith("closed") and os.access(here / "closed", os.W_OK):
        pytest.skip("this user may write everywhere")
    for command in (["predict", "small.toml"], ["report", "small"], ["merge", "a.nc"], ["fit", "small"]):
        done = spikecube(here, *command, "-o", name, code=1)
        assert any(t in done.stderr for t in ("is a folder", "is not there", "writ")), done
        assert "predicting" not in done.stderr
    with pytest.raises(StoreError):
        refuse_target(Path(name))


def test_a_link_that_leads_nowhere_is_written_through(here: Path) -> None:
    (here / "link.nc").symlink_to(here / "target.nc")
    write_cube(xr.Dataset({"x": ("n", [1.0])}), here / "link.nc")
    assert (here / "link.nc").is_symlink()
    assert (here / "target.nc").is_file()
