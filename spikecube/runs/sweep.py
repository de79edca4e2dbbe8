"""One pass over tasks: what comes back goes to shards and events, what fails to the report."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr

from spikecube.cube.assemble import CellResult
from spikecube.runs import cluster, provenance
from spikecube.runs.capacity import Newcomers, Watched
from spikecube.runs.cluster import Executor
from spikecube.runs.drive import Submit, outcomes
from spikecube.runs.errors import RunError
from spikecube.runs.folder import RunFolder
from spikecube.runs.memory import free_memory, refuse_too_large, workers_that_fit
from spikecube.runs.progress import Progress
from spikecube.runs.tasks import CellCost, Task, task_cost
from spikecube.runs.worker import ComputeCell, Outcome, make_job, run_job
from spikecube.study.study import Study

FLUSH_SECONDS = 0.5  # a finished cell waits no longer than this for its shard
FLUSH_CELLS = 500
_REVIVAL = 120.0  # seconds within which a process that died must have come back


@dataclass(frozen=True)
class Kernel:
    """The cell function and its predicted costs."""

    compute: ComputeCell
    flops: CellCost
    bytes: CellCost


@dataclass(frozen=True)
class Settings:
    """How to run: processes on this machine, bytes of memory, a share (index from 1, count), and who is told.

    Where another driver works in the folder, it is waited for `wait_lock` seconds. `watch` is called now and then
    with the number of cells left; it may end the run by an error.
    """

    workers: int | None = None
    max_memory: float | None = None
    share: tuple[int, int] | None = None
    progress: Progress = field(default_factory=Progress)
    wait_lock: float = 0.0
    watch: Callable[[int], None] = lambda left: None


@dataclass
class Report:
    """What a run did."""

    path: Path
    kept: int = 0
    computed: int = 0
    failures: dict[Task, str] = field(default_factory=dict)
    cube: xr.Dataset | None = None
    written: bool = False


class Sweep:
    """One pass over tasks: outcomes go to shards and events, failures to the report."""

    def __init__(self, study: Study, folder: RunFolder, settings: Settings, kernel: Kernel, report: Report) -> None:
        self.study, self.folder, self.settings, self.kernel, self.report = study, folder, settings, kernel, report
        self.flops, self.bytes = task_cost(study, kernel.flops), task_cost(study, kernel.bytes)
        self.waiting: list[tuple[CellResult, Outcome]] = []
        self.origins: set[tuple[str, int]] = set()
        self.flushed = time.monotonic()
        self.deserted = False

    def compute(self, tasks: list[Task], client: Any) -> None:
        """Computes tasks; whatever ends it, what has finished is written."""
        left = len(tasks)
        try:
            with self._place(tasks, client) as where:
                refuse_too_large(tasks, self.bytes, where.capacity().largest, "a worker has")
                self.settings.progress.start(len(tasks), sum(map(self.flops, tasks)), self._note(tasks))
                for batch in outcomes(where, self._submitter(where.client), tasks, self.bytes, lost=self._lost):
                    for task, outcome in batch:
                        self._take(task, outcome)
                        left -= 1
                    if len(self.waiting) >= FLUSH_CELLS or time.monotonic() - self.flushed >= FLUSH_SECONDS:
                        self._flush()
                    self.settings.watch(left)
                    self._tell_absence(where.capacity().workers)
        finally:
            self._flush()

    @contextlib.contextmanager
    def _place(self, tasks: list[Task], client: Any) -> Iterator[Executor]:
        """The workers of a client, each asked what it runs on before it gets a cell; else processes of this machine."""
        from dask.system import CPU_COUNT

        if client is not None:
            newcomers = Newcomers(client, self.settings.progress.say)
            yield Executor(client, Watched(client, self.settings.max_memory or math.inf, newcomers=newcomers))
            return
        memory = self.settings.max_memory or free_memory()
        wanted = min(self.settings.workers or CPU_COUNT, len(tasks))
        with cluster.embedded(workers_that_fit(wanted, max(map(self.bytes, tasks)), memory)) as own:
            yield Executor(own, Watched(own, memory), patience=_REVIVAL)

    def _note(self, tasks: list[Task]) -> str:
        kept = f", {self.report.kept} are there already" if self.report.kept else ""
        return f"{self.folder.path}: {len(tasks)} cells to compute{kept}"

    def _submitter(self, client: Any) -> Submit:
        def submit(tasks: Sequence[Task], keys: list[str]) -> list[Any]:
            jobs = [make_job(self.kernel.compute, self.study, task) for task in tasks]
            return list(client.map(run_job, jobs, key=keys, pure=False))

        return submit

    def _take(self, task: Task, outcome: Outcome) -> None:
        if outcome.code not in ("", provenance.code_sha256()):
            raise RunError("a worker runs other code than this driver: install the same spikecube on both")
        self.settings.progress.advance(self.flops(task), failed=bool(outcome.error))
        if outcome.error:
            self.report.failures[task] = outcome.error
            self.folder.log("failed", **_coordinates(task), error=outcome.error)
            return
        self.report.computed += 1
        self.waiting.append((CellResult(task.cell, task.alphas, task.lams, outcome.values), outcome))

    def _lost(self, task: Task) -> None:
        self.folder.log("workers lost", **_coordinates(task))

    def _tell_absence(self, workers: int) -> None:
        """Says when no worker is there, as at the start on a cluster that queues them, and when one has come."""
        if self.deserted == (workers == 0):
            return
        self.deserted = workers == 0
        self.settings.progress.say(
            "no worker is connected: waiting for one" if self.deserted else "a worker is connected"
        )

    def _flush(self) -> None:
        """Writes what has finished as shards, apart for workers with other libraries."""
        origins: dict[tuple[str, int], list[CellResult]] = {}
        for result, outcome in self.waiting:
            origins.setdefault((outcome.computed_with, outcome.blas_threads), []).append(result)
        for (computed_with, threads), results in origins.items():
            self.folder.write(results, computed_with, threads)
            self.origins.add((computed_with, threads))
        self.waiting.clear()
        self.flushed = time.monotonic()


def _coordinates(task: Task) -> dict[str, Any]:
    cell = task.cell
    further = dict(cell.further)
    return {"n": cell.n, "seed": cell.seed, "further": further, "alphas": task.alphas, "lams": task.lams}
