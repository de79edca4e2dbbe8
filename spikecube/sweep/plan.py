"""What a study will take, before anything runs: cells, core-hours, memory, size of the cube."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

from spikecube.cube.assemble import measured_variables, variable_dims
from spikecube.cube.overview import text_table
from spikecube.cube.study import Study
from spikecube.sweep.memory import DRIVER_BYTES, WORKER_BYTES, free_memory, size
from spikecube.sweep.progress import duration
from spikecube.sweep.run import Kernel, default_kernel
from spikecube.sweep.tasks import Task, missing_tasks, task_cost
from spikecube.sweep.worker import Job, call, make_job, one_blas_thread

_TRIAL_N = 500  # size of the cell that calibrates
_TRIALS = 2


@dataclass(frozen=True)
class Plan:
    """Predictions for a study on this machine; bytes, seconds, core-hours."""

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

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def plan(study: Study, max_memory: float | None = None, kernel: Kernel | None = None) -> Plan:
    """The plan of a study: floating-point operations by the cost model, seconds by a measurement of a second or so.

    `memory_bytes` is the peak of the largest task with its process: what a worker should be given.
    """
    kernel = kernel or default_kernel(study)
    tasks = list(missing_tasks(study, {}))
    flops, bytes_of = task_cost(study, kernel.flops), task_cost(study, kernel.bytes)
    seconds_per_flop = calibrate(study, kernel)
    largest = max(tasks, key=bytes_of)
    memory = bytes_of(largest) + WORKER_BYTES
    available = max_memory or free_memory()
    shape = study.shape
    cube_bytes = sum(
        math.prod(shape[d] for d in variable_dims(v, study)) * (1 if v.dtype == "int8" else 8)
        for v in measured_variables(study)
    )
    return Plan(
        cells=sum(1 for _ in study.cells()),
        tasks=len(tasks),
        points=math.prod(shape[d] for d in ("alpha", "n", "seed", *study.further)),
        core_hours=sum(map(flops, tasks)) * seconds_per_flop / 3600,
        longest_task_seconds=max(map(flops, tasks)) * seconds_per_flop,
        largest_task=largest.cell.describe(),
        memory_bytes=memory,
        available_bytes=available,
        tasks_at_once=int(available // memory),
        cube_bytes=cube_bytes,
        driver_bytes=DRIVER_BYTES,
        largest_cell_bytes=bytes_of(largest),
        assemble_bytes=DRIVER_BYTES + 3.0 * cube_bytes,
    )


def calibrate(study: Study, kernel: Kernel) -> float:
    """Seconds that one predicted operation takes here, on one BLAS thread: the better of two small cells."""
    cell = next(study.cells())
    n = min(_TRIAL_N, max(study.axes.n))
    task = Task(cell._replace(n=max(n, min(study.axes.n))), study.axes.alpha, study.axes.lam)
    job = make_job(kernel.compute, study, task)
    with one_blas_thread:
        best = min(_seconds(job) for _ in range(_TRIALS))
    return best / task_cost(study, kernel.flops)(task)


def _seconds(job: Job) -> float:
    begun = time.process_time()
    call(job)
    return time.process_time() - begun


def plan_text(plan: Plan, workers: int) -> str:
    """A plan for people."""
    at_once = min(plan.tasks_at_once, workers)
    hours = plan.core_hours
    rows = [
        ["cells", f"{plan.cells}" + (f" in {plan.tasks} tasks" if plan.tasks != plan.cells else "")],
        ["points (alpha, n, seed)", f"{plan.points}"],
        ["core-hours", f"{hours:.3g}"],
        ["longest task", duration(plan.longest_task_seconds)],
        ["peak memory of the largest task", f"{size(plan.memory_bytes)} ({plan.largest_task})"],
        ["memory to use", size(plan.available_bytes)],
        ["tasks that fit at once", f"{plan.tasks_at_once}"],
        ["cube before compression", size(plan.cube_bytes)],
        ["time here", _time_here(plan, at_once)],
    ]
    return text_table(["quantity", "prediction"], rows)


def _time_here(plan: Plan, at_once: int) -> str:
    if not at_once:
        return "never: the largest task does not fit in memory"
    seconds = max(plan.core_hours * 3600 / at_once, plan.longest_task_seconds)
    return f"{duration(seconds)} with {at_once} at once"
