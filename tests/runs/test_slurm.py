"""What jobs ask SLURM for and what sbatch is told, by an `sbatch` that notes its arguments."""

from __future__ import annotations

import math
import os
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spikecube.cli import app
from spikecube.runs import jobqueue, slurm
from spikecube.runs.errors import RunError
from spikecube.runs.slurm import Request, assembly_request, share_request, submit, worker_request
from tests.runs import standin

PLAN: Any = SimpleNamespace(
    core_hours=64.0,
    longest_task_seconds=3600.0,
    memory_bytes=2.0**30,
    driver_bytes=2.0**28,
    assemble_bytes=2.0**29,
)


def test_a_share_asks_for_its_cells_and_its_driver() -> None:
    """Four cells of 1 GiB and a quarter more, the driver; twice 64 hours over 32 cores, and ten minutes."""
    assert share_request(PLAN, 8, 4) == Request(4, 5 * 1024 + 256, 250)
    assert share_request(PLAN, 1000, 4).minutes == 130  # no share is done before the longest cell is


def test_the_assembling_job_asks_for_the_cube_where_that_is_more() -> None:
    assert assembly_request(PLAN, 8, 4) == share_request(PLAN, 8, 4)
    large: Any = SimpleNamespace(**vars(PLAN) | {"assemble_bytes": 2.0**34})
    assert assembly_request(large, 8, 4).megabytes == 1.25 * 2**14
    assert share_request(large, 8, 4).megabytes == 5 * 1024 + 256


def test_a_worker_asks_for_a_cell_and_the_process_that_watches_it() -> None:
    assert worker_request(PLAN, hours=0.1) == Request(1, math.ceil(1.25 * 1024) + 256, 130)
    assert worker_request(PLAN, hours=4.0).minutes == 240


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What an `sbatch` was asked that notes a line a call and gives an id; SBATCH_FLAGS is empty."""
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "sbatch"
    note = tmp_path / "asked"
    tool.write_text(
        f"#!/bin/sh\nfor word; do printf '%s\\t' \"$word\" >> '{note}'; done\necho >> '{note}'\necho 4711\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("SBATCH_FLAGS", raising=False)
    monkeypatch.setattr(slurm, "plan", lambda study: PLAN)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it's.toml").write_text(standin.make_study().to_toml())
    return note


def calls(asked: Path) -> list[list[str]]:
    return [line.rstrip("\t").split("\t") for line in asked.read_text().splitlines()]


def test_an_array_and_a_job_that_assembles_are_submitted(asked: Path, tmp_path: Path) -> None:
    """Each is tried out before either is submitted; paths and the interpreter are absolute and quoted."""
    made = submit("it's.toml", "my x", shares=8, cores=4)
    assert (made.array, made.assembly) == ("4711", "4711")
    found = calls(asked)
    assert ["--test-only" in call for call in found] == [True, True, False, False]
    array, assembly = found[2:]
    assert {"--array=1-8", "--mem=5376M", "--time=250", "--cpus-per-task=4", "--open-mode=append"} <= set(array)
    assert {"--dependency=afterany:4711", "--mem=5376M", "--time=250", "--job-name=my x-cube"} <= set(assembly)
    words = shlex.split(array[-1].removeprefix("--wrap="))
    assert words[0] == "exec"
    assert Path(words[1]).is_absolute()
    assert words[-9:-2] == [f"{tmp_path}/it's.toml", "-o", f"{tmp_path}/my x", "--workers", "4", "--wait-lock", "15000"]
    assert words[-2:] == ["--shard", "$SLURM_ARRAY_TASK_ID/8"]
    assert "--shard" not in assembly[-1]


@pytest.mark.parametrize("flags", ["--time=1 --mem=500M", "--mem-per-cpu=2G", "--comment='a b'"])
def test_flags_of_the_site_come_last(asked: Path, monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    monkeypatch.setenv("SBATCH_FLAGS", flags)
    submit("it's.toml", "x", shares=8, cores=4)
    for call in calls(asked):
        words = shlex.split(flags)
        assert call[-1 - len(words) : -1] == words
        assert ("--mem=5376M" in call) is not flags.startswith("--mem-per-cpu")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            "echo 'sbatch: error: Batch job submission failed: Access denied' >&2; exit 1",
            "refuses the job: Batch job .*denied$",
        ),
        ("exit 1", "refuses the job: it does not say why"),
        ("exec sleep 60", "sbatch has not answered for 0 s: is SLURM running"),
    ],
)
def test_a_refusal_is_one_sentence(asked: Path, monkeypatch: pytest.MonkeyPatch, answer: str, sentence: str) -> None:
    (asked.parent / "bin" / "sbatch").write_text(f"#!/bin/sh\n{answer}\n")
    monkeypatch.setattr(slurm, "_ANSWER", 0.3)
    with pytest.raises(RunError, match=sentence):
        submit("it's.toml", "x", shares=8, cores=4)


def test_an_array_whose_assembling_job_is_refused_is_cancelled(asked: Path) -> None:
    """As by a limit of jobs that lets the array in and nothing after it."""
    tools = asked.parent / "bin"
    refusing = (
        '#!/bin/sh\ncase "$*" in *--dependency=*) echo "sbatch: error: too many" >&2; exit 1 ;; esac\necho 4711\n'
    )
    (tools / "sbatch").write_text(refusing)
    (tools / "scancel").write_text(f"#!/bin/sh\necho \"$@\" > '{asked}'\n")
    (tools / "scancel").chmod(0o755)
    with pytest.raises(RunError, match="sbatch refuses the job: too many"):
        submit("it's.toml", "x", shares=8, cores=4)
    assert asked.read_text() == "4711\n"


class Job:
    def __init__(self, job_id: str = "", refused: str = "") -> None:
        self.job_id, self.refused = job_id, refused


class Cluster:
    """What `_Jobs` sees of a cluster."""

    def __init__(self, **workers: Job) -> None:
        self.workers, self.worker_spec = workers, dict.fromkeys(workers)
        self.scheduler_info: dict[str, Any] = {"workers": {}}
        self.scheduler_address, self.scheduler = "tcp://127.0.0.1:1", SimpleNamespace(workers={})
        self.scaled = 0

    def scale(self, count: int) -> None:
        self.scaled = count


def look(monkeypatch: pytest.MonkeyPatch, cluster: Any, states: Any, left: int = 100) -> list[str]:
    """What is told at one look at a queue."""
    said: list[str] = []
    monkeypatch.setattr(jobqueue, "queued", lambda: states)
    jobqueue._Jobs(cluster, jobqueue.Workers(jobs=3), said.append)(left)
    return said


def test_a_limit_on_jobs_leaves_those_that_were_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(a=Job("1"), b=Job(refused="QOSMaxSubmitJobPerUserLimit"))
    said = look(monkeypatch, cluster, {"1": "RUNNING"})
    assert said[0] == "sbatch gives no more than 1 jobs: QOSMaxSubmitJobPerUserLimit"
    assert cluster.scaled == 1
    with pytest.raises(RunError, match="sbatch refuses the job: QOS"):
        look(monkeypatch, Cluster(a=Job(refused="QOSMaxSubmitJobPerUserLimit")), {})


def test_a_job_that_ended_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waited and was cancelled; the other works."""
    cluster = Cluster(a=Job("1"), b=Job("2"), c=Job("3"))
    cluster.scheduler_info = {"workers": {"tcp": {"name": "a"}}}
    assert look(monkeypatch, cluster, {"1": "RUNNING", "3": "PENDING (Resources)"}) == []
    assert set(cluster.worker_spec) == {"a", "c"}
    assert cluster.scaled == 3


def test_a_queue_that_does_not_answer_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(a=Job("1"))
    assert look(monkeypatch, cluster, None) == []
    assert set(cluster.worker_spec) == {"a"}


def test_jobs_end_when_fewer_cells_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """First those that wait, then those that have nothing to do; never one that computes."""
    cluster = Cluster(a=Job("1"), b=Job("2"), c=Job("3"))
    workers = {1: SimpleNamespace(name="a", processing={"cell"}), 2: SimpleNamespace(name="b", processing={})}
    cluster.scheduler = SimpleNamespace(workers=workers)
    cluster.scheduler_info = {"workers": {"tcp1": {"name": "a"}, "tcp2": {"name": "b"}}}
    look(monkeypatch, cluster, {"1": "RUNNING", "2": "RUNNING", "3": "PENDING"}, left=1)
    assert set(cluster.worker_spec) == {"a"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--jobs", "3"), "go with --slurm"),
        (("--slurm", "--workers", "2"), "exclude each other"),
        (("--slurm", "--scheduler", "tcp://here:8786"), "exclude each other"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    asked: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], sentence: str
) -> None:
    """A run on this machine is not what `--jobs 3` means."""
    with pytest.raises(SystemExit) as left:
        app(["run", "it's.toml", *options])
    assert left.value.code == 2
    assert sentence in capsys.readouterr().err
