from __future__ import annotations

import math
from typing import Any

import pytest

from spikecube.runs.capacity import Capacity, Watched
from spikecube.runs.cluster import Executor
from spikecube.runs.drive import outcomes
from spikecube.runs.errors import RunError
from spikecube.runs.tasks import Task, missing_tasks
from spikecube.runs.worker import make_job, run_job
from tests.runs import standin

STUDY = standin.make_study(axes={"seed": 40, "activation": None})
TASKS = list(missing_tasks(STUDY, {}))


class Counter:
    """Submits to a client and counts what is in flight."""

    def __init__(self, client: Any, compute: Any = standin.cell) -> None:
        self.client, self.compute = client, compute
        self.flying: list[Task] = []
        self.most, self.most_bytes = 0, 0.0

    def __call__(self, tasks: Any, keys: list[str]) -> list[Any]:
        self.flying += tasks
        self.most = max(self.most, len(self.flying))
        self.most_bytes = max(self.most_bytes, sum(map(size, self.flying)))
        jobs = [make_job(self.compute, STUDY, task) for task in tasks]
        return list(self.client.map(run_job, jobs, key=keys, pure=False))


def size(task: Task) -> float:
    return float(task.cell.n)


def drive(client: Any, capacity: Capacity) -> Counter:
    counter = Counter(client)
    done = []
    for batch in outcomes(Executor(client, lambda: capacity), counter, TASKS, size):
        for task, outcome in batch:
            assert not outcome.error
            counter.flying.remove(task)
            done.append(task)
    assert sorted(done) == sorted(TASKS)
    return counter


def test_no_more_tasks_are_in_flight_than_the_window(threads: Any) -> None:
    """Fails when all tasks are submitted at once."""
    assert drive(threads, Capacity(7, math.inf, math.inf)).most == 7


@pytest.mark.parametrize("budget", [40.0, 100.0])
def test_no_more_memory_is_in_flight_than_allowed(threads: Any, budget: float) -> None:
    """Fails when the window alone decides."""
    counter = drive(threads, Capacity(1000, budget, math.inf))
    assert counter.most_bytes == budget
    assert counter.most >= 1


def test_a_task_larger_than_the_budget_goes_alone(threads: Any) -> None:
    assert drive(threads, Capacity(1000, 1.0, math.inf)).most == 1


def test_workers_that_cannot_run_a_task_end_the_sweep(threads: Any) -> None:
    def broken(tasks: Any, keys: list[str]) -> list[Any]:
        return list(threads.map(lambda _: 1 / 0, tasks, key=keys, pure=False))

    with pytest.raises(RunError, match="workers cannot run a cell: ZeroDivisionError"):
        list(outcomes(Executor(threads, lambda: Capacity(5, math.inf, math.inf)), broken, TASKS, size))


def test_workers_that_never_come_back_end_the_sweep(threads: Any) -> None:
    """Fails when the driver waits for ever."""

    def never(tasks: Any, keys: list[str]) -> list[Any]:
        return list(threads.map(abs, [1] * len(tasks), key=keys, workers=["tcp://127.0.0.1:9"], pure=False))

    place = Executor(threads, lambda: Capacity(5, math.inf, math.inf, workers=0), patience=0.5)
    with pytest.raises(RunError, match="all workers died and do not come back"):
        list(outcomes(place, never, TASKS, size))


def test_an_answer_without_workers_is_asked_twice() -> None:
    """The client's own look may put an answer without workers in the place of ours: one in 12,249 on a busy machine."""

    class Interrupted:
        def __init__(self, *answers: int) -> None:
            self.answers = iter(answers)

        def scheduler_info(self, n_workers: int) -> dict[str, Any]:
            worker = {"memory_limit": 1e9, "nthreads": 2}
            return {"workers": {f"tcp{i}": worker for i in range(next(self.answers))}}

    assert Watched(Interrupted(0, 3), math.inf)().workers == 3
    assert Watched(Interrupted(0, 0), math.inf)().workers == 0
