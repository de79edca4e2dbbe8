"""Where tasks run: processes of this machine, or a scheduler elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from spikecube.runs.code import code_sha256
from spikecube.runs.errors import RunError
from spikecube.runs.memory import WORKER_BYTES
from spikecube.runs.worker import About, about

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
SETTINGS = {
    "distributed.scheduler.worker-ttl": None,  # a long factorisation may hold back the heartbeat
    "distributed.scheduler.allowed-failures": 1,
    "distributed.deploy.lost-worker-timeout": "1 day",  # else a worker that dies often is given up for good
    "distributed.worker.memory.pause": False,  # concurrency is bounded by the predicted memory
    "distributed.admin.low-level-log-length": 0,
    "distributed.nanny.pre-spawn-environ": dict.fromkeys(_THREADS, "1"),
}


_ANSWER = 5.0  # seconds for a scheduler or a worker to answer
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
def elsewhere(client: Any, memory: float | None, tell: Callable[[str], None]) -> Iterator[Place]:
    """The workers of a client, with their own memory or with `memory` bytes in all where that is less.

    Each worker that comes is asked what it runs on, before it is given a cell; `tell` hears of those that differ.
    """
    yield Place(client, _Watched(client, memory or math.inf, newcomers=_Newcomers(client, tell)))


def refuse_client(client: Any) -> None:
    """Refuses what is not an open, synchronous client.

    Raises
    ------
    RunError
        With what was given and what is allowed.
    """
    allowed = "allowed: an open distributed.Client, not asynchronous"
    if not all(hasattr(client, name) for name in ("scheduler_info", "map", "run", "status")):
        raise RunError(f"given client={client!r}; {allowed}")
    if client.asynchronous:
        raise RunError(f"given an asynchronous client; {allowed}")
    if client.status != "running":
        raise RunError(f"given a client that is {client.status}; {allowed}")


class _Newcomers:
    """Asks workers that have come what they run on: those that can compute cells, and what is wrong with the others."""

    def __init__(self, client: Any, tell: Callable[[str], None]) -> None:
        self._client, self._tell = client, tell
        self._known: dict[str, About | Exception] = {}
        self._libraries: set[str] = set()

    def __call__(self, addresses: Iterable[str]) -> set[str]:
        """The workers among `addresses` that can compute cells.

        Raises
        ------
        RunError
            When none of them can, or one of them has other code.
        """
        here = set(addresses)
        new = sorted(here - set(self._known))
        found = self._ask(new) if new else {}
        self._known |= found
        for address, answer in found.items():
            self._hear(address, answer)
        bad = {a: self._known[a] for a in here if isinstance(self._known.get(a), Exception)}
        good = {a for a in here if isinstance(self._known.get(a), About)}
        if bad and not good:
            address, error = next(iter(bad.items()))
            raise RunError(f"no worker can compute cells: {_cannot(address, error)}")
        return good

    def _ask(self, addresses: list[str]) -> dict[str, About | Exception]:
        """Answers by address; workers that do not answer now are asked again."""
        try:
            found: dict[str, Any] = self._client.run(
                about, workers=addresses, on_error="return", callback_timeout=_ANSWER
            )
        except Exception:  # one of them has gone, or is too busy: the next look tells
            return {}
        return {a: answer for a, answer in found.items() if not isinstance(answer, OSError)}

    def _hear(self, address: str, answer: About | Exception) -> None:
        if isinstance(answer, Exception):
            self._tell(_cannot(address, answer))
        elif answer.code != code_sha256():
            raise RunError(f"the worker {address} runs other code than this driver: install the same spikecube on both")
        elif answer.computed_with not in self._libraries:
            if self._libraries:
                others = " and ".join(sorted(self._libraries))
                self._tell(
                    f"the worker {address} has {answer.computed_with}, others have {others}: last bits may differ"
                )
            self._libraries.add(answer.computed_with)


def _cannot(address: str, error: object) -> str:
    return f"the worker {address} cannot run spikecube ({type(error).__name__}: {error})"


def _window(threads: int) -> int:
    """Enough tasks in flight to keep workers busy while the driver looks elsewhere, few enough to forget quickly."""
    return 2 * threads + 30


class _Watched:
    """The capacity of a client's workers, which may come and go: looked up every few seconds."""

    def __init__(
        self, client: Any, memory: float, every: float = 5.0, newcomers: Callable[[Iterable[str]], set[str]] = set
    ) -> None:
        self._client, self._memory, self._every, self._newcomers = client, memory, every, newcomers
        self._looked = -math.inf
        self._found = Capacity(1, math.inf, math.inf, 0)

    def __call__(self) -> Capacity:
        if time.monotonic() - self._looked >= (self._every if self._found.workers else 1.0):
            self._looked = time.monotonic()
            self._found = self._look()
        return self._found

    def _look(self) -> Capacity:
        known = self._client.scheduler_info(n_workers=-1)["workers"]
        able = self._newcomers(known)
        workers = [worker for address, worker in known.items() if address in able]
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
    with dask.config.set(SETTINGS), _main_left_out(), quiet():
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
    RunError
        When the address is none, or no scheduler answers there, within ten seconds.
    """
    from distributed import Client

    _refuse_address(address)
    with quiet():
        _refuse_silence(address)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions: workers are asked
            try:
                client = Client(address, timeout=_ANSWER, set_as_default=False)
            except (OSError, ValueError, TypeError) as error:
                raise _no_scheduler(address, error) from error
        try:
            yield client
        finally:
            with contextlib.suppress(Exception):
                client.close(timeout=2)


_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://(\[[0-9a-fA-F:.%\w]+\]|[^\s/:\[\]]+):(\d{1,5})")


def _refuse_address(address: str) -> None:
    match = _ADDRESS.fullmatch(address)
    if not match or not 0 < int(match[3]) < 65536:
        raise RunError(
            f"given --scheduler {address!r}; allowed: an address such as tcp://node17:8786 or tls://node17:8786"
        )


def _refuse_silence(address: str) -> None:
    """Asks who is there, without a Client: one that does not come to life leaves tracebacks behind."""
    from distributed.comm.core import connect
    from distributed.security import Security

    async def asked() -> object:
        arguments = Security().get_connection_args("client")
        comm = await connect(address, timeout=_ANSWER, **arguments)
        try:
            await comm.write({"op": "identity", "reply": True})
            return await comm.read()
        finally:
            comm.abort()

    try:
        answer = asyncio.run(asyncio.wait_for(asked(), _ANSWER + 1))
    except Exception as error:  # whatever a stranger may answer
        raise _no_scheduler(address, error) from error
    if not (isinstance(answer, dict) and answer.get("type") == "Scheduler"):
        raise RunError(f"what answers at {address} is no dask scheduler")


def _no_scheduler(address: str, error: Exception) -> RunError:
    reason = " ".join(str(error.__cause__ or error).split()) or f"no answer within {_ANSWER:.0f} s"
    tls = "; a tls:// address needs the certificates of dask's configuration" if address.startswith("tls:") else ""
    return RunError(f"no dask scheduler answers at {address}: {reason}{tls}")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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
