"""Workers that come as jobs of SLURM, through dask-jobqueue."""

from __future__ import annotations

import contextlib
import logging
import math
import shlex
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikecube.runs.cluster import SETTINGS, quiet
from spikecube.runs.errors import RunError
from spikecube.runs.progress import duration
from spikecube.runs.slurm import Request, ask, queued, refusal, site_flags, try_out

_EVERY = 2.0  # seconds between looks at the queue
_DEATHS = 3  # jobs that may end before their worker connects
_LOOPBACK = "lo"


@dataclass(frozen=True)
class Workers:
    """Jobs wanted at once, their partition, the interface on which all listen, and seconds to wait for the first."""

    jobs: int = 20
    queue: str | None = None
    interface: str = _LOOPBACK
    tls: bool = False
    patience: float = 86400.0


@contextlib.contextmanager
def slurm_workers(
    request: Request, wanted: Workers, folder: Path, tell: Callable[[str], None]
) -> Iterator[tuple[Any, Callable[[int], None]]]:
    """A client whose workers are jobs, and what must be called now and then with the number of tasks left.

    Each call looks after the jobs: it submits those that are wanted, replaces those that have ended, ends those that
    have nothing left to do, and tells what SLURM says while no worker is there. All are cancelled at the end. A
    RunError says what is missing or refused; from the call, that jobs end before their workers connect, or that none
    has come in time.
    """
    import dask
    from distributed import Client

    cluster_class = _cluster_class()
    _refuse_interface(wanted.interface)
    if wanted.interface != _LOOPBACK and not wanted.tls:
        tell(f"whoever reaches this scheduler through {wanted.interface} can run code as you: --tls closes it")
    with contextlib.ExitStack() as stack:
        security = stack.enter_context(_certificates(folder)) if wanted.tls else None
        settings = SETTINGS | {"distributed.worker.memory.terminate": 0.98}
        stack.enter_context(dask.config.set(settings))
        stack.enter_context(quiet())
        cluster = cluster_class(security=security, protocol="tls://" if security else None, **_options(request, wanted))
        try:
            try_out([], tell, cluster.job_script())
            client = Client(cluster, set_as_default=False)
            jobs = _Jobs(cluster, wanted, tell)
            try:
                yield client, jobs
            finally:
                jobs.cancel()
                with contextlib.suppress(Exception):
                    client.close(timeout=2)
        finally:
            with contextlib.suppress(Exception):
                cluster.close(timeout=10)


def _cluster_class() -> Any:
    """SLURMCluster, whose jobs remember why sbatch refused them; importing it must not change what Ctrl-C does."""
    from distributed.core import Status

    handler = signal.getsignal(signal.SIGINT)
    try:
        from dask_jobqueue.slurm import SLURMCluster, SLURMJob
    except ImportError as error:
        raise RunError("workers that come as jobs need dask-jobqueue: python -m pip install dask-jobqueue") from error
    finally:
        signal.signal(signal.SIGINT, handler)

    class Job(SLURMJob):
        refused = ""

        async def start(self) -> None:
            try:
                await super().start()  # type: ignore[no-untyped-call]
            except (OSError, RuntimeError, ValueError) as error:
                self.refused = refusal(str(error).rpartition("stderr:")[2])
                self.status = Status.running

    class Cluster(SLURMCluster):
        job_cls = Job

    return Cluster


def _refuse_interface(name: str) -> None:
    import psutil

    known = sorted(psutil.net_if_addrs())
    if name not in known:
        raise RunError(f"given --interface {name}; this machine has {', '.join(known)}")


def _options(request: Request, wanted: Workers) -> dict[str, Any]:
    """Arguments of SLURMCluster. A worker ends before its walltime does; the cell it is at is computed again."""
    import dask

    site = [shlex.join(site_flags())] if site_flags() else []
    return {
        "cores": request.cores,
        "processes": 1,
        "memory": f"{request.megabytes} MiB",
        "walltime": f"{request.minutes // 60:02d}:{request.minutes % 60:02d}:00",
        "queue": wanted.queue,
        "interface": wanted.interface,
        "scheduler_options": {"interface": wanted.interface, "dashboard_address": "127.0.0.1:0"},
        "worker_extra_args": [
            *("--lifetime", f"{request.minutes - 5}m", "--lifetime-stagger", "2m"),
            *("--no-dashboard", "--dashboard-address", "127.0.0.1:0"),
        ],
        "job_extra_directives": [*dask.config.get("jobqueue.slurm.job-extra-directives", []), *site],
        "job_script_prologue": ["export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1"],
        "silence_logs": logging.CRITICAL,
    }


@contextlib.contextmanager
def _certificates(folder: Path) -> Iterator[Any]:
    """A key of this run alone, in files that only this user can read: nobody else can listen or talk."""
    from distributed.security import Security

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tls-", dir=folder) as place:
        key, certificate = f"{place}/key.pem", f"{place}/certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "365", "-subj", "/CN=spikecube"]
        try:
            subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            raise RunError(f"--tls needs the command openssl, which fails here: {error}") from error
        roles = {
            f"tls_{role}_{part}": path
            for role in ("scheduler", "worker", "client")
            for part, path in (("key", key), ("cert", certificate))
        }
        yield Security(require_encryption=True, tls_ca_file=certificate, **roles)


class _Jobs:
    """Looks after the jobs of a cluster."""

    def __init__(self, cluster: Any, wanted: Workers, tell: Callable[[str], None]) -> None:
        self.cluster, self.wanted, self.tell = cluster, wanted, tell
        self.looked, self.seen = -math.inf, time.monotonic()
        self.known: set[str] = set()  # names of workers that have connected
        self.deaths: list[str] = []  # jobs that ended before
        self.most = wanted.jobs
        self.last = ""

    def __call__(self, left: int) -> None:
        if time.monotonic() - self.looked < _EVERY:
            return
        self.looked = time.monotonic()
        jobs = dict(self.cluster.workers)
        connected = {worker["name"] for worker in self.cluster.scheduler_info["workers"].values()}
        if connected - self.known:
            self.deaths.clear()
        self.known |= connected
        if connected:
            self.seen, self.last = time.monotonic(), ""
        self._refused(jobs)
        states = queued()
        if states is None:
            return
        self._forget_ended(jobs, connected, states)
        self._refuse_absence(connected, [states[job.job_id] for job in jobs.values() if job.job_id in states])
        self._adjust(min(self.most, left), connected)

    def _refused(self, jobs: dict[str, Any]) -> None:
        """Goes on with fewer jobs where sbatch gives no more of them, as at a limit of the user."""
        refused = {name: job.refused for name, job in jobs.items() if job.refused}
        if not refused:
            return
        why = next(iter(refused.values()))
        if len(refused) == len(jobs):
            raise RunError(f"sbatch refuses the job: {why}")
        self.most = len(jobs) - len(refused)
        self.tell(f"sbatch gives no more than {self.most} jobs: {why}")
        self._drop(refused)

    def _forget_ended(self, jobs: dict[str, Any], connected: set[str], states: dict[str, str]) -> None:
        """Jobs that are no longer in the queue are dropped, so that others come in their place."""
        ended = {n: job for n, job in jobs.items() if job.job_id and job.job_id not in states and n not in connected}
        self.deaths += [job.job_id for name, job in ended.items() if name not in self.known]
        self._drop(ended)
        if len(self.deaths) >= _DEATHS and not connected and len(ended) == len(jobs):
            raise RunError(
                f"{len(self.deaths)} jobs ended before their workers connected to {self.cluster.scheduler_address} "
                f"(the last was job {self.deaths[-1]}; see its log slurm-{self.deaths[-1]}.out): "
                "can the nodes reach that address? --interface names another"
            )

    def _refuse_absence(self, connected: set[str], states: list[str]) -> None:
        if connected or not states:
            return
        words = ", ".join(f"{count} {state}" for state, count in sorted(Counter(states).items()))
        waited = time.monotonic() - self.seen
        if waited > self.wanted.patience:
            raise RunError(f"no worker has come for {duration(waited)}; SLURM says of its jobs: {words}")
        if words != self.last:
            self.last = words
            self.tell(f"no worker is connected yet; SLURM says of its jobs: {words}")

    def _adjust(self, count: int, connected: set[str]) -> None:
        """As many jobs as are wanted; of too many, those that wait or have nothing to do end first."""
        if len(self.deaths) >= _DEATHS + self.wanted.jobs:
            return
        surplus = len(self.cluster.worker_spec) - count
        if surplus > 0:
            waiting = [name for name in self.cluster.worker_spec if name not in connected]
            workers = list(self.cluster.scheduler.workers.values())
            idle = waiting + [worker.name for worker in workers if not worker.processing]
            self._drop(idle[:surplus])
            count = len(self.cluster.worker_spec)
        self.cluster.scale(count)

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            self.cluster.worker_spec.pop(name, None)

    def cancel(self) -> None:
        """Cancels all jobs by one command."""
        ids = [job.job_id for job in self.cluster.workers.values() if job.job_id]
        if ids:
            with contextlib.suppress(RunError):
                ask(["scancel", *ids])
