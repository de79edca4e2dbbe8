"""Where tasks run: processes of this machine, or a scheduler elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from spikecube.runs.capacity import ANSWER, Capacity
from spikecube.runs.errors import RunError

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
SETTINGS = {
    "distributed.scheduler.worker-ttl": None,  # a long factorisation may hold back the heartbeat
    "distributed.scheduler.allowed-failures": 1,
    "distributed.deploy.lost-worker-timeout": "1 day",  # else a worker that dies often is given up for good
    "distributed.worker.memory.pause": False,  # concurrency is bounded by the predicted memory
    "distributed.admin.low-level-log-length": 0,
    "distributed.worker.profile.enabled": False,  # nobody sees it, and with the next two it costs 7 % of a processor
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.nanny.pre-spawn-environ": dict.fromkeys(_THREADS, "1"),
}


@dataclass(frozen=True)
class Executor:
    """A client, what its workers can take now, and seconds to wait for workers when there are none."""

    client: Any
    capacity: Callable[[], Capacity]
    patience: float = math.inf


def refuse_client(client: Any) -> None:
    """Refuses what is not an open, synchronous client, by a RunError."""
    allowed = "allowed: an open distributed.Client, not asynchronous"
    if not all(hasattr(client, name) for name in ("scheduler_info", "map", "run", "status")):
        raise RunError(f"given client={client!r}; {allowed}")
    if client.asynchronous:
        raise RunError(f"given an asynchronous client; {allowed}")
    if client.status != "running":
        raise RunError(f"given a client that is {client.status}; {allowed}")


@contextlib.contextmanager
def embedded(workers: int) -> Iterator[Any]:
    """A client of `workers` processes on this machine, on loopback alone and without a dashboard."""
    import dask
    from distributed import Client, LocalCluster

    # Workers are killed at the end; a connection to one may say so, with a traceback, after all the rest is over.
    logging.getLogger("distributed.batched").setLevel(logging.CRITICAL)
    _track_beyond_a_hang_up()
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


def _track_beyond_a_hang_up() -> None:
    """Starts the process in which `multiprocessing` tracks resources, with hang-ups blocked for it.

    Else the hang-up of a terminal, which all its processes get, ends it, and the one that Python starts in its place
    prints a traceback for each resource that it never heard of.
    """
    from multiprocessing import resource_tracker

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
    """A client of the scheduler at an address; a RunError if it is none, or no scheduler answers there soon."""
    from distributed import Client

    _refuse_address(address)
    with quiet():
        _refuse_silence(address)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions: workers are asked
            try:
                client = Client(address, timeout=ANSWER, set_as_default=False)
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
        comm = await connect(address, timeout=ANSWER, **arguments)
        try:
            await comm.write({"op": "identity", "reply": True})
            return await comm.read()
        finally:
            comm.abort()

    try:
        answer = asyncio.run(asyncio.wait_for(asked(), ANSWER + 1))
    except Exception as error:  # whatever is there may answer anything
        raise _no_scheduler(address, error) from error
    if not (isinstance(answer, dict) and answer.get("type") == "Scheduler"):
        raise RunError(f"what answers at {address} is no dask scheduler")


def _no_scheduler(address: str, error: Exception) -> RunError:
    reason = " ".join(str(error.__cause__ or error).split()) or f"no answer within {ANSWER:.0f} s"
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
