"""Kills at chosen moments of writing, and disks that are full."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from spikecube.cube.store import StoreError, open_cube
from spikecube.runs import sweep
from spikecube.runs.folder import RunFolder
from spikecube.runs.run import run_study
from spikecube.study.study import Study
from tests.faults.conftest import ROOT, TIMEOUT
from tests.faults.test_signals import check
from tests.runs import standin

STUDY = standin.make_study()


@pytest.mark.parametrize(
    ("when", "what"),
    [
        ("before", "*/manifest.json"),
        ("before", "*/shards/*.nc"),
        ("before", "*/x.nc"),
        pytest.param("before", "*/study.toml", marks=pytest.mark.slow),
        pytest.param("after", "*/shards/*.nc", marks=pytest.mark.slow),
        pytest.param("after", "*/x.nc", marks=pytest.mark.slow),
    ],
)
def test_a_kill_while_a_file_is_written_loses_nothing_that_was_finished(
    study: Path, tmp_path: Path, threads: Any, expected: xr.Dataset, when: str, what: str
) -> None:
    """Fails when a file is written in place, or leftovers of a killed writer stay or are read."""
    name = tmp_path / "x"
    command = [sys.executable, "-m", "tests.faults.killed", str(study), str(name), when, what]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=TIMEOUT, check=False)
    assert killed.returncode == -9, killed.stderr
    present = RunFolder(tmp_path / "x.run", STUDY).contents()
    assert not present.foreign
    if name.with_suffix(".nc").exists():
        open_cube(name.with_suffix(".nc"))
    noting = standin.Noting(tmp_path / "calls")
    report = run_study(STUDY, name, threads, kernel=standin.kernel(noting))
    assert report.kept == len(present.points)
    assert len(noting.take()) == 12 - report.kept
    check(name, expected)
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, leave: int) -> None:
    free = os.statvfs(disk)
    (disk / "filler").write_bytes(b"x" * (free.f_bavail * free.f_frsize - leave))


@pytest.mark.parametrize(("leave", "kept"), [(0, False), (12_000, False), (100_000, True)])
def test_a_full_disk_gives_a_sentence_and_loses_nothing(
    disk: Path, threads: Any, expected: xr.Dataset, leave: int, kept: bool
) -> None:
    """Nothing fits, settings fit, all but the cube fits; fails when a short write is taken for a good one."""
    fill(disk, leave)
    with pytest.raises(StoreError, match="is full: free some space and run the same command again"):
        run_study(STUDY, disk / "x", threads, kernel=standin.kernel())
    assert not (disk / "x.nc").exists()
    contents = RunFolder(disk / "x.run", STUDY).contents()
    assert not contents.foreign
    assert (len(contents.points) == 12) is kept
    (disk / "filler").unlink()
    report = run_study(STUDY, disk / "x", threads, kernel=standin.kernel())
    assert report.kept == len(contents.points)
    check(disk / "x", expected)


@pytest.mark.parametrize("study", [STUDY, standin.make_study(axes={"seed": {20: 3, 40: 1}})], ids=["block", "ragged"])
def test_a_disk_that_gets_room_bit_by_bit_ends_with_the_cube(
    tmp_path: Path, threads: Any, monkeypatch: pytest.MonkeyPatch, study: Study
) -> None:
    """Each run may write one file more than the last before the disk is full: settings, every shard, then the cube.

    Fails when a run after a full disk cannot go on, forgets what it had, or leaves a torn file.
    """
    room, replace = 0, os.replace

    def full(source: Any, target: Any) -> None:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room -= 1
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(sweep, "FLUSH_CELLS", 1)
    kept, refused = [], []
    for writes in itertools.count():
        room = writes
        try:
            kept.append(run_study(study, tmp_path / "x", threads, kernel=standin.kernel()).kept)
            break
        except StoreError as error:
            refused.append(str(error))
            kept.append(len(RunFolder(tmp_path / "x.run", study).contents().points))
        assert not list(tmp_path.rglob("*.tmp"))
        assert writes < 20
    assert kept == sorted(kept)
    assert kept[0] == 0
    assert all("is full: free some space and run the same command again" in sentence for sentence in refused)
    assert "study.toml is full" in refused[0]
    check(tmp_path / "x", standin.make_cube(study))
    (tmp_path / "x.nc").unlink()
    room = 0
    with pytest.raises(StoreError, match=r"x\.nc is full"):
        run_study(study, tmp_path / "x", threads, kernel=standin.kernel())
    room = 1
    report = run_study(study, tmp_path / "x", threads, kernel=standin.kernel())
    assert report.kept == len(list(study.cells()))
    check(tmp_path / "x", standin.make_cube(study))


def test_an_old_cube_survives_a_full_disk(disk: Path, threads: Any) -> None:
    small = standin.make_study(axes={"seed": [0]})
    run_study(small, disk / "x", threads, kernel=standin.kernel())
    before = (disk / "x.nc").read_bytes()
    fill(disk, 60_000)
    with pytest.raises(StoreError, match="is full"):
        run_study(STUDY, disk / "x", threads, kernel=standin.kernel())
    assert (disk / "x.nc").read_bytes() == before


def test_a_disk_that_cannot_be_written_gives_a_sentence(disk: Path, threads: Any) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(StoreError, match=r"is not writable \(Read-only file system\): choose another place with -o"):
        run_study(STUDY, disk / "x", threads, kernel=standin.kernel())


def test_a_truncated_shard_is_computed_again_with_a_sentence(
    tmp_path: Path, threads: Any, expected: xr.Dataset
) -> None:
    from spikecube.runs.progress import Lines
    from spikecube.runs.run import Settings

    run_study(STUDY, tmp_path / "x", threads, kernel=standin.kernel())
    shard = next((tmp_path / "x.run" / "shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:100])
    with (tmp_path / "said").open("w") as out:
        run_study(STUDY, tmp_path / "x", threads, Settings(progress=Lines(out)), standin.kernel())
    assert (
        "is truncated, changed, or no shard: it is set aside, and what it held is computed again"
        in (tmp_path / "said").read_text()
    )
    check(tmp_path / "x", expected)
