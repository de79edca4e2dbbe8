"""Workers that die, and a scheduler that does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from spikecube.runs.run import run_study
from tests.faults.conftest import ROOT, TIMEOUT, ended, resumed
from tests.faults.test_signals import check, wait_for_a_shard
from tests.runs import standin


def test_a_worker_that_dies_once_costs_nothing(processes: Any, tmp_path: Path, expected: xr.Dataset) -> None:
    """Fails when a lost worker counts as a failed cell."""
    name = tmp_path / "x"
    report = run_study(standin.make_study(), name, processes, kernel=standin.kernel(standin.DyingOnce(tmp_path)))
    assert not report.failures
    assert len(list(tmp_path.glob("died-*"))) == 2
    check(name, expected)


def test_a_cell_that_always_kills_its_worker_fails_alone(
    processes: Any,
    tmp_path: Path,
    expected: xr.Dataset,
) -> None:
    """Fails when a cell is tried for ever, or when cells that shared its workers are given up with it."""
    study = standin.make_study(axes={"activation": ["tanh"], "n": [20]})
    report = run_study(study, tmp_path / "x", processes, kernel=standin.kernel(standin.dying_at_seed_1))
    assert {(task.cell.n, task.cell.seed) for task in report.failures} == {(20, 1)}
    assert set(report.failures.values()) == {"WorkerLost: each worker that computed it died"}
    assert report.computed == 2
    assert report.cube is not None
    kept = report.cube.sel(seed=[0, 2])
    xr.testing.assert_equal(kept, expected.sel(seed=[0, 2], activation=["tanh"], n=[20]))
    events = (tmp_path / "x.run" / "events.jsonl").read_text()
    assert events.count('"event": "workers lost"') >= 1
    assert events.count('"event": "failed"') == 1


CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    where = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "protocol": "tcp"}
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **where) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A scheduler with a worker in a process of their own, and its address."""
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    command = [sys.executable, str(script)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment()
    ) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


def _environment() -> dict[str, str]:
    import os

    return os.environ | {"PYTHONPATH": str(ROOT)}


def test_a_scheduler_that_dies_is_survived_by_running_again(
    scheduler: Any, start: Any, study: Path, tmp_path: Path, threads: Any, expected: xr.Dataset
) -> None:
    """Fails when the driver waits for a scheduler that is gone."""
    process, address = scheduler
    driver = start("endless", "run", study, "-o", tmp_path / "x", "--scheduler", address)
    wait_for_a_shard(tmp_path / "x.run")
    process.kill()
    process.wait(TIMEOUT)
    _, errors = ended(driver, 1)
    assert errors.splitlines()[-1] == (
        "spikecube: the dask scheduler is gone: run the same command again to resume; all finished cells are kept"
    )
    resumed(study, tmp_path / "x", threads)
    check(tmp_path / "x", expected)


@pytest.mark.slow
def test_no_scheduler_there(start: Any, study: Path, tmp_path: Path) -> None:
    _, errors = ended(start("right", "run", study, "-o", tmp_path / "x", "--scheduler", "tcp://127.0.0.1:9"), 1)
    assert errors.startswith("spikecube: no dask scheduler answers at tcp://127.0.0.1:9")
    assert errors.count("\n") == 1
