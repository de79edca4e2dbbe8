"""Signals to a real driver with real workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from spikecube.cube.store import open_cube
from spikecube.runs.folder import RunFolder
from tests.faults.conftest import TIMEOUT, ended, resumed
from tests.runs import standin


def wait_for_a_shard(folder: Path) -> None:
    end = time.monotonic() + TIMEOUT
    while not list(folder.glob("shards/*.nc")):
        assert time.monotonic() < end, "no shard in time"
        time.sleep(0.02)


def check(name: Path, expected: xr.Dataset) -> None:
    """Equal bit for bit."""
    xr.testing.assert_identical(
        open_cube(name.with_suffix(".nc")).drop_attrs(deep=False), expected.drop_attrs(deep=False)
    )


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGINT, signal.SIGHUP))],
)
def test_a_signal_ends_the_run_at_once_and_it_resumes(
    start: Any, study: Path, tmp_path: Path, threads: Any, expected: xr.Dataset, number: signal.Signals
) -> None:
    """Fails when signals are left to Python and dask: the endless cell would hold up the end."""
    name = tmp_path / "x"
    process = start("endless", "run", study, "-o", name, "--workers", 1)
    wait_for_a_shard(tmp_path / "x.run")
    begun = time.monotonic()
    os.killpg(process.pid, number)  # a terminal sends Ctrl-C to the workers too
    _, errors = ended(process, 130)
    assert time.monotonic() - begun < 10
    assert "run the same command again to resume" in errors.splitlines()[-1]
    present = len(RunFolder(tmp_path / "x.run", standin.make_study()).contents().points)
    assert present >= 1
    assert f"{12 - present} cells to compute, {present} are there already" in resumed(study, name, threads)
    check(name, expected)


def test_a_killed_driver_resumes_and_its_workers_end(
    start: Any, study: Path, tmp_path: Path, threads: Any, expected: xr.Dataset
) -> None:
    import psutil

    name = tmp_path / "x"
    process = start("slow", "run", study, "-o", name, "--workers", 2)
    wait_for_a_shard(tmp_path / "x.run")
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait(TIMEOUT)
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
    present = len(RunFolder(tmp_path / "x.run", standin.make_study()).contents().points)
    assert f"{12 - present} cells to compute" in resumed(study, name, threads)
    check(name, expected)


@pytest.mark.slow
def test_two_drivers_at_once(start: Any, study: Path, tmp_path: Path) -> None:
    first = start("endless", "run", study, "-o", tmp_path / "x", "--workers", 1)
    wait_for_a_shard(tmp_path / "x.run")
    _, errors = ended(start("right", "run", study, "-o", tmp_path / "x"), 1)
    assert errors == (
        f"spikecube: another spikecube (process {first.pid} on {os.uname().nodename}) works in {tmp_path / 'x.run'}: "
        "wait until it has ended\n"
    )


def test_failed_cells_give_code_3_and_a_table(
    start: Any, study: Path, tmp_path: Path, threads: Any, expected: xr.Dataset
) -> None:
    out, _ = ended(start("raising", "run", study, "-o", tmp_path / "x", "--workers", 1), 3)
    assert " ".join(out.split()).count("FloatingPointError: no convergence after 30 steps") == 4
    assert "n = 40, seed = 1, activation = relu" in out
    assert "24 of 36 points (alpha, n, seed) ok, 12 failed" in out
    assert "4 cells to compute, 8 are there already" in resumed(study, tmp_path / "x", threads)
    check(tmp_path / "x", expected)
