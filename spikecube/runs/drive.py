"""The loop of the driver: a window of tasks in flight, within the memory there is."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from spikecube.runs.capacity import Capacity
from spikecube.runs.cluster import Executor
from spikecube.runs.errors import RunError
from spikecube.runs.tasks import Task
from spikecube.runs.worker import Outcome

_POLL = 0.25  # seconds between looks at clock, signals and scheduler
Submit = Callable[[Sequence[Task], list[str]], list[Any]]
"""Submits tasks under keys and gives their futures."""

PATIENCE = 20.0  # seconds for the results of finished tasks to arrive
_GONE = ("connecting", "closing", "closed")


def outcomes(
    place: Executor,
    submit: Submit,
    tasks: Sequence[Task],
    bytes_of: Callable[[Task], float],
    *,
    lost: Callable[[Task], None] = lambda task: None,
) -> Iterator[list[tuple[Task, Outcome]]]:
    """Outcomes of tasks as they come; an empty list now and then, so that the caller can look at the clock.

    Tasks are submitted in order, no more at once than the place has capacity for. A task whose workers died is tried
    once more at the end, alone, so that it cannot take others with it; `lost` is told. A RunError ends it when the
    scheduler is gone, or workers cannot run a task at all.
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
    def __init__(self, place: Executor, submit: Submit, bytes_of: Callable[[Task], float]) -> None:
        self.place, self.submit, self.bytes_of = place, submit, bytes_of
        self.keys = (f"cell-{secrets.token_hex(4)}-{i}" for i in itertools.count())
        self.tasks: dict[Any, Task] = {}
        self.bytes = 0.0
        self.seen = time.monotonic()  # when there was a worker last

    def run(self, waiting: deque[Task]) -> Iterator[tuple[list[tuple[Task, Outcome]], list[Task]]]:
        """Pairs of outcomes and of tasks whose workers died."""
        while waiting or self.tasks:
            capacity = self.place.capacity()
            self._refuse_absence(capacity)
            self._start(waiting, capacity)
            yield self._finished()

    def _refuse_absence(self, capacity: Capacity) -> None:
        """Ends a run whose workers have all died and do not come back."""
        now = time.monotonic()
        self.seen = now if capacity.workers else self.seen
        if now - self.seen > self.place.patience:
            raise RunError("all workers died and do not come back: run the same command again to resume")

    def _start(self, waiting: deque[Task], capacity: Capacity) -> None:
        """Submits as many tasks as there is capacity for, in one piece; always one to workers that are idle."""
        starting: list[Task] = []
        while waiting and capacity.workers:
            room = len(self.tasks) + len(starting) < capacity.window
            need = self.bytes + self.bytes_of(waiting[0])
            if not (room and need <= capacity.budget) and (self.tasks or starting):
                break
            self.bytes = need
            starting.append(waiting.popleft())
        if starting:
            futures = self.submit(starting, list(itertools.islice(self.keys, len(starting))))
            self.tasks |= dict(zip(futures, starting, strict=True))

    def _finished(self) -> tuple[list[tuple[Task, Outcome]], list[Task]]:
        if self.place.client.status in _GONE:
            raise RunError(_LOST)
        good, dead = [], []
        for future in _wait(self.place.client, list(self.tasks)):
            if future.status == "finished":
                good.append(future)
            elif future.status == "error":
                dead.append(self._dead(future))
            elif future.status == "cancelled":
                raise RunError(_LOST)
        results = _gather(self.place.client, good)
        return [(self._forget(future), result) for future, result in zip(good, results, strict=False)], dead

    def _dead(self, future: Any) -> Task:
        from distributed.scheduler import KilledWorker

        error = future.exception()
        if not isinstance(error, KilledWorker):
            raise RunError(f"the workers cannot run a cell: {type(error).__name__}: {error}")
        return self._forget(future)

    def _forget(self, future: Any) -> Task:
        task = self.tasks.pop(future)
        self.bytes -= self.bytes_of(task)
        future.release()
        return task


_LOST = "the dask scheduler is gone: run the same command again to resume; all finished cells are kept"


def _wait(client: Any, futures: list[Any]) -> list[Any]:
    """Those that have ended, as soon as there are any, or none after a while."""
    from concurrent.futures import CancelledError

    import distributed

    if not futures:
        time.sleep(_POLL)
        return []
    wait: Any = distributed.wait
    try:
        with client.as_current():
            return list(wait(futures, timeout=_POLL, return_when="FIRST_COMPLETED").done)
    except distributed.TimeoutError:
        return []
    except CancelledError as error:
        raise RunError(_LOST) from error


def _gather(client: Any, futures: list[Any]) -> list[Outcome]:
    """The results of finished futures; none if a worker died with one of them, which is then computed again."""

    async def fetch() -> list[Outcome]:
        return list(await asyncio.wait_for(client.gather(futures, asynchronous=True), PATIENCE))

    if not futures:
        return []
    try:
        found: list[Outcome] = client.sync(fetch)
    except Exception:  # whatever it was, the state of each future tells at the next look
        return []
    return found
