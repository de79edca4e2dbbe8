"""The loop of the driver: a window of tasks in flight, within the memory there is."""

from __future__ import annotations

import itertools
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from spikecube.sweep.cluster import Capacity, Place
from spikecube.sweep.errors import SweepError
from spikecube.sweep.tasks import Task
from spikecube.sweep.worker import Outcome

POLL = 0.25  # seconds between looks at clock, signals and scheduler
_GONE = ("connecting", "closing", "closed")


def outcomes(
    place: Place,
    submit: Callable[[Task, str], Any],
    tasks: Sequence[Task],
    bytes_of: Callable[[Task], float],
    *,
    lost: Callable[[Task], None] = lambda task: None,
) -> Iterator[list[tuple[Task, Outcome]]]:
    """Outcomes of tasks as they come; an empty list now and then, so that the caller can look at the clock.

    Tasks are submitted in order, no more at once than the place has capacity for. A task whose workers died is tried
    once more at the end, alone, so that it cannot take others with it; `lost` is told.

    Raises
    ------
    SweepError
        When the scheduler is gone, or workers cannot run a task at all.
    """
    flight = _Flight(place, submit, bytes_of)
    suspects: list[Task] = []
    for batch, dead in flight.run(deque(tasks)):
        for task in dead:
            lost(task)
        suspects += dead
        yield batch
    for suspect in suspects:
        for batch, dead in flight.run(deque([suspect])):
            yield [*batch, *((task, Outcome(error="WorkerLost: each worker that computed it died")) for task in dead)]


class _Flight:
    def __init__(self, place: Place, submit: Callable[[Task, str], Any], bytes_of: Callable[[Task], float]) -> None:
        self.place, self.submit, self.bytes_of = place, submit, bytes_of
        self.keys = (f"cell-{secrets.token_hex(4)}-{i}" for i in itertools.count())
        self.tasks: dict[Any, Task] = {}
        self.bytes = 0.0

    def run(self, waiting: deque[Task]) -> Iterator[tuple[list[tuple[Task, Outcome]], list[Task]]]:
        """Pairs of outcomes and of tasks whose workers died."""
        while waiting or self.tasks:
            capacity = self.place.capacity()
            while waiting and self._fits(waiting[0], capacity):
                self._start(waiting.popleft())
            yield self._finished()

    def _fits(self, task: Task, capacity: Capacity) -> bool:
        room = len(self.tasks) < capacity.window and self.bytes + self.bytes_of(task) <= capacity.budget
        return room or not self.tasks

    def _start(self, task: Task) -> None:
        self.tasks[self.submit(task, next(self.keys))] = task
        self.bytes += self.bytes_of(task)

    def _finished(self) -> tuple[list[tuple[Task, Outcome]], list[Task]]:
        from concurrent.futures import CancelledError

        from distributed import TimeoutError as DaskTimeout

        if self.place.client.status in _GONE:
            raise SweepError(_LOST)
        try:
            with self.place.client.as_current():
                done = list(_wait(list(self.tasks)))
        except DaskTimeout:
            return [], []
        except CancelledError as error:
            raise SweepError(_LOST) from error
        good, dead = [], []
        for future in done:
            if future.status == "finished":
                good.append(future)
            elif future.status == "error":
                dead.append(self._dead(future))
            else:
                raise SweepError(_LOST)
        results = self._gather(good)
        batch = [(self._forget(future), result) for future, result in zip(good, results, strict=True)]
        return batch, dead

    def _gather(self, futures: list[Any]) -> list[Outcome]:
        from concurrent.futures import CancelledError

        if not futures:
            return []
        try:
            return list(self.place.client.gather(futures))
        except (OSError, CancelledError) as error:
            raise SweepError(_LOST) from error

    def _dead(self, future: Any) -> Task:
        from distributed.scheduler import KilledWorker

        error = future.exception()
        if not isinstance(error, KilledWorker):
            raise SweepError(f"the workers cannot run a cell: {type(error).__name__}: {error}")
        return self._forget(future)

    def _forget(self, future: Any) -> Task:
        task = self.tasks.pop(future)
        self.bytes -= self.bytes_of(task)
        future.release()
        return task


_LOST = "the dask scheduler is gone: run the same command again to resume; all finished cells are kept"


def _wait(futures: list[Any]) -> set[Any]:
    """Those that are done, as soon as there are any."""
    import distributed

    wait: Any = distributed.wait
    found: set[Any] = wait(futures, timeout=POLL, return_when="FIRST_COMPLETED").done
    return found
