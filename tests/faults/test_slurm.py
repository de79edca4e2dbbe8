"""Studies through a real SLURM of two nodes on this machine: jobs cancelled, requeued, refused, killed for memory."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest.mock
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
import xarray as xr

from scripts.overhead import empty_cell
from spikecube.cube.assemble import CellResult
from spikecube.cube.store import open_cube
from spikecube.runs import jobqueue
from spikecube.runs.errors import RunError
from spikecube.runs.folder import RunFolder
from spikecube.runs.jobqueue import Workers, slurm_workers
from spikecube.runs.provenance import NOT_COMPARED
from spikecube.runs.run import Settings, run_study
from spikecube.runs.slurm import Request, submit
from spikecube.study.study import Study
from tests.faults.conftest import ROOT, TIMEOUT, ended

MODEL = "[measure]\nrank = 2\ndegree = 1\nell = 1\n[axes]\nalpha = [0.0, 0.2]\nlam = [0.1, 1.0]\n"
SMALL = f"{MODEL}n = [20, 40]\nseed = 4\n"
LONG = f"{MODEL}n = [450]\nseed = 24\n"
Run = Callable[..., "subprocess.Popen[str]"]


def missing() -> str:
    """Why there can be no SLURM here; empty where there can."""
    tools = [tool for tool in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(tool)]
    if tools:
        return f"no {', '.join(tools)}: apt-get install slurmctld slurmd slurm-client munge"
    if importlib.util.find_spec("dask_jobqueue") is None:
        return "no dask-jobqueue: it is in the extra `test`"
    return "" if os.geteuid() == 0 else "no root, which the daemons of SLURM need"


@pytest.fixture(scope="module", autouse=True)
def daemons() -> Iterator[None]:
    """A SLURM of our own, to which all commands of this process and its children talk."""
    reason = missing()
    if reason and os.environ.get("SPIKECUBE_REQUIRE_SLURM"):
        pytest.fail(f"SPIKECUBE_REQUIRE_SLURM is set, but there is {reason}")
    if reason:
        pytest.skip(reason)
    script = str(ROOT / "scripts" / "slurm_here.sh")
    with tempfile.TemporaryDirectory(prefix="slurm-") as place, pytest.MonkeyPatch.context() as patch:
        subprocess.run(["sh", script, "start", place], check=True, timeout=60)
        pids = [int(path.read_text()) for path in Path(place).glob("*.pid")]
        patch.setenv("SLURM_CONF", f"{place}/slurm.conf")
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        patch.delenv("SBATCH_FLAGS", raising=False)
        patch.setattr("spikecube.runs.plan._TRIAL_SECONDS", 0.0)  # no test is about how long a job takes
        yield
        slurm("scancel", "--me")
        until(lambda: not slurm("squeue", "-h"))
        subprocess.run(["sh", script, "stop", place], check=True, timeout=60)
    assert len(pids) == 4
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, empty; afterwards the nodes work and the queue is empty."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    slurm("scancel", "--me")
    slurm("scontrol", "update", "nodename=n[1-2]", "state=resume")
    until(lambda: not slurm("squeue", "-h"))


@pytest.fixture
def drained(folder: Path) -> None:
    """No node takes jobs."""
    slurm("scontrol", "update", "nodename=n[1-2]", "state=drain", "reason=test")


@pytest.fixture
def spikecube(folder: Path) -> Iterator[Run]:
    """Starts the command line in the folder; whatever is left at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: Any, command: tuple[str, ...] = (sys.executable, "-m", "spikecube")) -> Any:
        words = [*command, *map(str, arguments)]
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False).stdout


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.25)  # SLURM itself looks each second, and each look of ours is a process


def study(folder: Path, text: str, name: str = "study.toml") -> str:
    (folder / name).write_text(text)
    return name


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory, threads: Any) -> Callable[[str], xr.Dataset]:
    """The cube of a study by a run without SLURM, in this process."""

    @functools.cache
    def cube(text: str) -> xr.Dataset:
        place = tmp_path_factory.mktemp("laptop") / "x"
        run_study(Study.from_toml(text), place, threads)
        return open_cube(place.with_suffix(".nc"))

    return cube


def same(found: xr.Dataset, expected: xr.Dataset) -> None:
    """Each byte of each variable, and each attribute but the date."""
    assert set(found.variables) == set(expected.variables)
    for name in expected.variables:
        assert found[name].values.tobytes() == expected[name].values.tobytes(), name
    first, second = (x.assign_attrs(dict.fromkeys(NOT_COMPARED, "")) for x in (found, expected))
    assert first.identical(second)


def ids(said: str) -> tuple[str, str]:
    """The array and the assembling job."""
    array, assembly = re.findall(r"^job (\d+):", said, re.MULTILINE)
    return array, assembly


def logs(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob("slurm-*.out")))


def queue() -> str:
    """Jobs that run or wait; not those that are just ending."""
    return slurm("squeue", "-h", "-t", "pending,running")


def test_an_array_that_meets_an_earlier_driver_gives_the_cube_of_a_laptop(
    spikecube: Run, folder: Path, laptop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blanks and apostrophes in names, a job without PATH, limits on memory that kill, and site flags that win.

    An earlier run of fewer seeds holds the folder until the jobs wait for it; what was added is computed afterwards.
    """
    monkeypatch.setenv("SBATCH_FLAGS", "--export=PYTHONPATH --time=7 --comment='a b'")
    name = study(folder, SMALL, "it's a study.toml")
    script = ("sh", str(ROOT / "scripts" / "slurm_array.sh"))
    with RunFolder(folder / "my run's.run", Study.from_toml(SMALL.replace("seed = 4", "seed = 1"))).opened():
        said, _ = ended(spikecube(name, "my run's", 2, 1, command=script), 0)
        until(lambda: logs(folder).count("wait until it has ended; waiting up to") == 2)
    array, assembly = ids(said)
    until(lambda: not slurm("squeue", "-h"))
    for job in (f"{array}_1", assembly):
        shown = slurm("scontrol", "show", "job", job)
        assert "TimeLimit=00:07:00" in shown
        assert "Comment=a b" in shown
        assert "JobState=COMPLETED" in shown, logs(folder)
    assert "spikecube: another spikecube" not in logs(folder)
    same(open_cube(folder / "my run's.nc"), laptop(SMALL))


def test_an_array_with_a_task_cancelled_and_one_requeued(folder: Path, laptop: Any) -> None:
    jobs = submit(study(folder, LONG), "x", shares=2, cores=1)
    first, second = (folder / f"slurm-{jobs.array}_{task}.out" for task in (1, 2))
    until(lambda: list(folder.glob("x.run/shards/*.nc")) and begun(first) and begun(second))
    slurm("scancel", f"{jobs.array}_1")
    slurm("scontrol", "requeue", f"{jobs.array}_2")
    until(lambda: not slurm("squeue", "-h"))
    assert "interrupted: all finished cells are kept" in first.read_text()
    before, after = second.read_text().split("DUE TO JOB REQUEUE")  # the log was not cut off
    assert "cells to compute" in before
    assert "x.run: " in after
    same(open_cube(folder / "x.nc"), laptop(LONG))


def begun(log: Path) -> bool:
    return log.exists() and "cells to compute" in log.read_text()


def test_the_assembling_job_has_room_for_the_cube(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cube of 80 MB whose cells are there already; with the memory of small cells alone, the job is killed."""
    axes = "[axes]\nalpha = { start = 0, stop = 0.45, num = 30 }\nlam = { start = 0.01, stop = 10, num = 60 }\n"
    large = Study.from_toml(f"{axes}n = [20]\nseed = 800\n")
    values = empty_cell(large.model, large.measure, alphas=large.axes.alpha, lams=large.axes.lam)
    run = RunFolder(folder / "roomy.run", large)
    with run.opened():
        cells = [CellResult(cell, large.axes.alpha, large.axes.lam, values) for cell in large.cells()]
        for first in range(0, len(cells), 100):  # shards of a size that runs have: each is in memory three times over
            run.write(cells[first : first + 100], "numpy", 1)
    shutil.copytree(run.path, folder / "narrow.run")
    name, jobs = study(folder, large.to_toml()), {}
    for flags, kept in (("--mem=260M", "narrow"), ("", "roomy")):
        monkeypatch.setenv("SBATCH_FLAGS", flags)
        jobs[kept] = submit(name, kept, shares=1, cores=1)
    until(lambda: not slurm("squeue", "-h"))
    for kept, submitted in jobs.items():
        text = (folder / f"slurm-{submitted.assembly}.out").read_text()
        assert ("exceeded memory limit" in text) is (kept == "narrow"), text
        assert (folder / f"{kept}.nc").exists() is (kept == "roomy"), text


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--partition=nosuch", "sbatch refuses the job: invalid partition specified: nosuch"),
        ("--mem='", "SBATCH_FLAGS cannot be read"),
    ],
)
def test_what_sbatch_refuses_is_said_and_nothing_is_left_in_the_queue(
    folder: Path, monkeypatch: pytest.MonkeyPatch, flags: str, sentence: str
) -> None:
    monkeypatch.setenv("SBATCH_FLAGS", flags)
    with pytest.raises(RunError, match=sentence):
        submit(study(folder, SMALL), "x", shares=2, cores=1)
    assert not queue()


def test_jobs_that_no_node_can_run_are_told_of(drained: None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are submitted: nodes may be down for an hour. Memory by core takes the place of memory by job."""
    monkeypatch.setenv("SBATCH_FLAGS", "--mem-per-cpu=600M")
    said: list[str] = []
    jobs = submit(study(folder, SMALL), "x", shares=2, cores=1, tell=said.append)
    assert said[0].startswith("SLURM says of such a job: Requested node configuration is not available; it may wait")
    assert "MinMemoryCPU=600M" in slurm("scontrol", "show", "job", jobs.assembly)


def listeners(text: str) -> set[str]:
    """Addresses on which processes listen whose command line contains a text, and their children."""
    found = set()
    for parent in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if text not in " ".join(parent.cmdline()):
                continue
            for process in [parent, *parent.children(recursive=True)]:
                found |= {c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN}
    return found


def test_workers_that_come_as_jobs_one_of_them_cancelled(spikecube: Run, folder: Path, laptop: Any) -> None:
    """Encrypted, on loopback alone, with progress; no job and no key is left."""
    run = spikecube("run", study(folder, LONG), "-o", "x", "--slurm", "--jobs", 2, "--tls")
    until(lambda: list(folder.glob("x.run/shards/*.nc")))
    assert listeners(f"{folder}/.tls-") == {"127.0.0.1"}  # workers, which have its files on their command line
    assert listeners("--slurm --jobs") == {"127.0.0.1"}
    slurm("scancel", slurm("squeue", "-h", "-t", "running", "-o", "%i").split()[0])
    said, errors = ended(run, 0)
    assert "48 of 48 points (alpha, n, seed) ok" in said
    assert "24 of 24 cells" in errors
    assert not queue()
    assert not list(folder.glob(".tls-*"))
    same(open_cube(folder / "x.nc"), laptop(LONG))


def drive(folder: Path, text: str, **wanted: Any) -> list[str]:
    """Runs a study on workers that come as jobs, looked at each half second, in this process; what was told."""
    parsed, said = Study.from_toml(text), [""]
    place = slurm_workers(Request(1, 400, 20), Workers(**wanted), folder, said.append)
    with unittest.mock.patch.object(jobqueue, "_EVERY", 0.5), place as (client, watch):
        try:
            run_study(parsed, folder / "x", client, Settings(watch=watch))
        except RunError as error:
            said.append(str(error))
    return said


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"queue": "nosuch"}, "sbatch refuses the job: invalid partition specified: nosuch"),
        ({"interface": "nosuch0"}, "given --interface nosuch0; this machine has "),
    ],
)
def test_workers_that_are_refused_are_not_waited_for(folder: Path, wanted: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RunError, match=sentence):
        drive(folder, SMALL, jobs=2, **wanted)
    assert not (folder / "x.run").exists()


def test_jobs_that_die_at_once_end_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_JOBQUEUE__SLURM__PYTHON", "/nonexistent/python")
    dask.config.refresh()
    said = drive(folder, SMALL, jobs=1)
    assert "3 jobs ended before their workers connected to tcp://127.0.0.1:" in said[-1]
    assert not queue()


def test_jobs_that_stay_in_the_queue_are_told_of_and_waited_for_so_long(drained: None, folder: Path) -> None:
    said = drive(folder, SMALL, jobs=3, patience=4.0)
    assert any(re.search("SLURM says of its jobs: .*PENDING", sentence) for sentence in said)
    assert "no worker has come for" in said[-1]
    assert not queue()


def test_an_interrupt_cancels_the_jobs(drained: None, spikecube: Run, folder: Path) -> None:
    run = spikecube("run", study(folder, SMALL), "--slurm", "--jobs", 2)
    until(queue)
    os.kill(run.pid, signal.SIGINT)
    _, errors = ended(run, 130)
    assert "run the same command again to resume" in errors.splitlines()[-1]
    assert not queue()
