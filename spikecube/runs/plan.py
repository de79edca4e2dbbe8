"""What a study will take, before anything runs: cells, processor time, memory, disk, and the wait for its cube."""

from __future__ import annotations

import contextlib
import heapq
import math
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikecube.cube.assemble import FALSE_POSITIVE_RATE, measured_variables, variable_dims
from spikecube.notebook import Shown
from spikecube.runs.memory import DRIVER_BYTES, WORKER_BYTES, amount, assemble_bytes, free_memory
from spikecube.runs.progress import duration
from spikecube.runs.run import default_kernel
from spikecube.runs.sweep import FLUSH_SECONDS, Kernel
from spikecube.runs.tasks import Task, missing_tasks, task_cost
from spikecube.runs.worker import Job, make_job, one_blas_thread
from spikecube.study.study import Study
from spikecube.text import text_table
from spikecube.theory import detection_edge

_TRIAL_SIZES = (500, 1000)  # of the cells that calibrate, beside the smallest of the study
_TRIAL_ALPHAS = 3
_TRIAL_SECONDS = 0.1  # at least so long is each measured

_START_SECONDS = 4.0  # imports of driver and workers, and their end
_CELL_SECONDS = 0.005  # of driver and scheduler for each cell, while the workers compute
_PLACE_SECONDS = 2e-4  # of assembling for each cell
_WRITE_RATE = 40e6  # bytes a second of the compression of a cube
_HEADER_BYTES = 4096  # of a shard


@dataclass(frozen=True)
class Plan(Shown):
    """Predictions for a study on this machine; bytes, seconds, core-hours.

    `largest_cell_bytes` are the arrays of the largest task, `memory_bytes` the same with its worker process: what a
    worker should be given. The driver takes `driver_bytes` beside the workers, and `assemble_bytes` once they have
    ended. `shard_bytes` lie on the disk beside `cube_bytes`. `seconds` pass until the cube is there, with `at_once`
    tasks at a time; none where the largest does not fit, which `fits` tells. Where sizes have seeds of their own number
    the cube in memory is as long as the most of them, while shards and the compressed file hold what is there.
    """

    cells: int
    tasks: int
    points: int
    core_hours: float
    longest_task_seconds: float
    largest_task: str
    memory_bytes: float
    available_bytes: float
    tasks_at_once: int
    cube_bytes: int
    driver_bytes: float
    largest_cell_bytes: float
    assemble_bytes: float
    shard_bytes: float
    at_once: int
    fits: bool
    seconds: float | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        rows = [
            ["cells", f"{self.cells}" + (f" in {self.tasks} tasks" if self.tasks != self.cells else "")],
            ["points (alpha, n, seed)", f"{self.points}"],
            ["processor time", processor_time(3600 * self.core_hours)],
            ["longest task", duration(self.longest_task_seconds)],
            ["peak memory of the largest task", f"{amount(self.memory_bytes)} ({self.largest_task})"],
            ["memory of the driver beside", amount(self.driver_bytes)],
            ["memory to assemble the cube", amount(self.assemble_bytes)],
            ["memory to use", amount(self.available_bytes)],
            ["tasks that fit at once", f"{self.tasks_at_once}"],
            ["cube before compression", amount(self.cube_bytes)],
            ["shards beside it, uncompressed", amount(self.shard_bytes)],
            ["time here", self._time_here()],
        ]
        return text_table(["quantity", "prediction"], rows)

    def _time_here(self) -> str:
        if self.seconds is None:
            return "never: the largest task does not fit in memory"
        return f"{duration(self.seconds)} with {self.at_once} at once"


def plan(
    study: Study | str | Path,
    max_memory: float | None = None,
    kernel: Kernel | None = None,
    workers: int | None = None,
) -> Plan:
    """The plan of a study or its file: operations by the cost model, seconds by a measurement of a few seconds.

    Cells of some sizes are computed on as many threads as tasks will run at once, since processors that share caches
    and memory are slower together.
    """
    study = Study.of(study)
    kernel, cores = kernel or default_kernel(study), os.cpu_count() or 1
    tasks = list(missing_tasks(study, {}))
    flops, bytes_of = task_cost(study, kernel.flops), task_cost(study, kernel.bytes)
    largest = max(tasks, key=bytes_of)
    memory, available = bytes_of(largest) + WORKER_BYTES, max_memory or free_memory()
    at_once = min(int(available // memory), workers or cores)
    busy = max(1, min(at_once, cores))
    speed = calibrate(study, kernel, busy)
    costs = [flops(task) * speed(task.cell.n) for task in tasks]
    cells, cube_bytes = sum(1 for _ in study.cells()), _cube_bytes(study)
    filled = cube_bytes * cells / math.prod(study.shape[d] for d in ("n", "seed", *study.further))
    computing = makespan(costs, busy) + _CELL_SECONDS * len(tasks) / cores
    return Plan(
        cells=cells,
        tasks=len(tasks),
        points=cells * len(study.axes.alpha),
        core_hours=sum(costs) / 3600,
        longest_task_seconds=max(costs),
        largest_task=largest.cell.describe(),
        memory_bytes=memory,
        available_bytes=available,
        tasks_at_once=int(available // memory),
        cube_bytes=cube_bytes,
        driver_bytes=DRIVER_BYTES,
        largest_cell_bytes=bytes_of(largest),
        assemble_bytes=assemble_bytes(cube_bytes),
        shard_bytes=filled + _HEADER_BYTES * min(len(tasks), 1 + computing // FLUSH_SECONDS),
        at_once=at_once,
        fits=at_once > 0,
        seconds=_START_SECONDS + computing + _assembling(study, len(tasks), cube_bytes) if at_once else None,
    )


def _cube_bytes(study: Study) -> int:
    """Bytes of the cube in memory: a block over all sizes and all seeds."""
    return sum(
        math.prod(study.shape[d] for d in variable_dims(v, study)) * (1 if v.dtype == "int8" else 8)
        for v in measured_variables(study)
    )


def _assembling(study: Study, tasks: int, cube_bytes: float) -> float:
    """Seconds from the last cell to the cube: the theory that it holds, its places, and its compression."""
    begun = time.thread_time()
    with contextlib.suppress(Exception):  # a theory that declines has taken its time too
        detection_edge(study.model, max(study.axes.n), study.axes.alpha, FALSE_POSITIVE_RATE)
    edges = (time.thread_time() - begun) * math.prod(study.shape[d] for d in ("n", *study.further))
    return edges + _PLACE_SECONDS * tasks + cube_bytes / _WRITE_RATE


def makespan(costs: Iterable[float], workers: int) -> float:
    """When the last of some tasks ends that are begun by falling cost, each by the worker that is free first.

    >>> makespan([3, 3, 2, 2, 2], 2)
    7
    """
    loads: list[float] = [0] * workers
    for cost in sorted(costs, reverse=True):
        heapq.heapreplace(loads, loads[0] + cost)
    return max(loads)


@dataclass(frozen=True)
class Speed:
    """Seconds that one predicted operation takes at a size: measured at some, by powers of n between them."""

    sizes: tuple[int, ...]
    seconds: tuple[float, ...]

    def __call__(self, n: int) -> float:
        return float(np.exp(np.interp(np.log(n), np.log(self.sizes), np.log(self.seconds))))


def calibrate(study: Study, kernel: Kernel, at_once: int = 1) -> Speed:
    """The speed of `at_once` processors that compute side by side, on one BLAS thread each."""
    alphas = study.axes.alpha[:: max(1, len(study.axes.alpha) // _TRIAL_ALPHAS)]
    least, most = min(study.axes.n), max(study.axes.n)
    sizes = sorted({min(least, _TRIAL_SIZES[-1]), *(min(max(n, least), most) for n in _TRIAL_SIZES if n > least)})
    cell, cost = next(study.cells()), task_cost(study, kernel.flops)
    tasks = [Task(cell._replace(n=n), alphas, study.axes.lam) for n in sizes]
    jobs = [make_job(kernel.compute, study, task) for task in tasks]
    with one_blas_thread, ThreadPoolExecutor(at_once) as pool:
        jobs[0]()  # makes the tables that later ones find
        taken = [float(np.mean(list(pool.map(_seconds, [job] * at_once)))) for job in jobs]
    return Speed(tuple(sizes), tuple(t / cost(task) for t, task in zip(taken, tasks, strict=True)))


def _seconds(job: Job) -> float:
    """Processor time of a job in this thread: the mean of as many as last long enough to be measured."""
    begun, count, taken = time.thread_time(), 0, 0.0
    while count == 0 or taken < _TRIAL_SECONDS:
        job()
        count, taken = count + 1, time.thread_time() - begun
    return taken / count


def processor_time(seconds: float) -> str:
    """`24 core-seconds`, `12 core-minutes`, `3.4 core-hours`.

    >>> processor_time(24.3)
    '24 core-seconds'
    """
    for unit, length in (("second", 1), ("minute", 60)):
        if seconds < 90 * length:
            return f"{seconds / length:.2g} core-{unit}s"
    return f"{seconds / 3600:.3g} core-hours"
