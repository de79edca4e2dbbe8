"""Where tasks run: processes of this machine, or a scheduler elsewhere."""

from __future__ import annotations

import contextlib
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from spikecube.sweep.errors import SweepError
from spikecube.sweep.memory import WORKER_BYTES

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_SETTINGS = {
    "distributed.scheduler.worker-ttl": None,  # a long factorisation may hold back the heartbeat
    "distributed.scheduler.allowed-failures": 1,
    "distributed.deploy.lost-worker-timeout": "1 day",  # else a worker that dies often is given up for good
    "distributed.worker.memory.pause": False,  # concurrency is bounded by the predicted memory
    "distributed.admin.low-level-log-length": 0,
    "distributed.nanny.pre-spawn-environ": dict.fromkeys(_THREADS, "1"),
}


_REVIVAL = 120.0  # seconds within which a process that died must have come back


@dataclass(frozen=True)
class Capacity:
    """Tasks and bytes that may be in flight, bytes that the largest worker may use, and workers that live."""

    window: int
    budget: float
    largest: float
    workers: int = 1


@dataclass(frozen=True)
class Place:
    """A client, what its workers can take now, and seconds to wait for workers when there are none."""

    client: Any
    capacity: Callable[[], Capacity]
    patience: float = math.inf


@contextlib.contextmanager
def here(workers: int, memory: float) -> Iterator[Place]:
    """`workers` processes of this machine that share `memory` bytes."""
    with embedded(workers) as own:
        yield Place(own, _Watched(own, memory), patience=_REVIVAL)


@contextlib.contextmanager
def elsewhere(client: Any, memory: float | None) -> Iterator[Place]:
    """The workers of a client, with their own memory or with `memory` bytes in all where that is less."""
    yield Place(client, _Watched(client, memory or math.inf))


def _window(threads: int) -> int:
    """Enough tasks in flight to keep workers busy while the driver looks elsewhere, few enough to forget quickly."""
    return 2 * threads + 30


class _Watched:
    """The capacity of a client's workers, which may come and go: looked up every few seconds."""

    def __init__(self, client: Any, memory: float, every: float = 5.0) -> None:
        self._client, self._memory, self._every = client, memory, every
        self._looked = -math.inf
        self._found = Capacity(1, math.inf, math.inf, 0)

    def __call__(self) -> Capacity:
        if time.monotonic() - self._looked >= self._every:
            self._looked = time.monotonic()
            self._found = self._look()
        return self._found

    def _look(self) -> Capacity:
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        memory = [w["memory_limit"] or math.inf for w in workers]
        budget = min(self._memory, sum(memory) if memory else math.inf) - WORKER_BYTES * len(memory)
        largest = min(self._memory, max(memory, default=math.inf))
        return Capacity(_window(sum(w["nthreads"] for w in workers)), budget, largest, len(workers))


@contextlib.contextmanager
def embedded(workers: int) -> Iterator[Any]:
    """A client of `workers` processes on this machine, on loopback alone and without a dashboard."""
    import dask
    from distributed import Client, LocalCluster

    # Workers are killed at the end; a connection to one may say so, with a traceback, after all the rest is over.
    logging.getLogger("distributed.batched").setLevel(logging.CRITICAL)
    with dask.config.set(_SETTINGS), _main_left_out(), _quiet():
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # else its web server, too, asks for port 8787
            worker_dashboard_address=None,
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        )
        client = Client(cluster, set_as_default=False)
        try:
            yield client
        finally:
            _close(client, cluster)


def _close(client: Any, cluster: Any) -> None:
    """Ends client and workers within seconds, whatever they do: nothing of theirs is needed any more."""
    for nanny in cluster.workers.values():
        process = getattr(getattr(nanny, "process", None), "process", None)
        with contextlib.suppress(Exception):
            nanny.auto_restart = False
            process.kill()  # type: ignore[union-attr]
    with contextlib.suppress(Exception):
        client.close(timeout=2)
    with contextlib.suppress(Exception):
        cluster.close(timeout=5)


@contextlib.contextmanager
def _main_left_out() -> Iterator[None]:
    """Keeps worker processes from importing the user's script, which would start the run again in each of them.

    `multiprocessing` imports the file of `__main__` in every process that it spawns. Workers need nothing of it:
    functions defined there travel by value.
    """
    main = sys.modules["__main__"]
    hidden = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    for name in hidden:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """A client of the scheduler at an address.

    Raises
    ------
    SweepError
        When no scheduler answers there.
    """
    from distributed import Client

    with _quiet():
        try:
            client = Client(address, timeout=5, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise SweepError(f"no dask scheduler answers at {address}: {error}") from error
        try:
            yield client
        finally:
            with contextlib.suppress(Exception):
                client.close(timeout=2)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps dask from logging what happens to workers and schedulers: it is told in sentences and events."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "distributed"]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
