"""What runs on a worker: one task, its BLAS on one thread, its errors turned into a result."""

from __future__ import annotations

import functools
import pickle
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from spikecube.runs.code import code_sha256
from spikecube.runs.tasks import Task
from spikecube.study.fields import Measure, Model
from spikecube.study.study import Study


class ComputeCell(Protocol):
    """A cell function: values by variable name, in schema order without n and seed."""

    def __call__(
        self,
        model: Model,
        measure: Measure,
        *,
        n: int,
        seed: int,
        alphas: tuple[float, ...],
        lams: tuple[float, ...],
        entropy: int,
    ) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True)
class Outcome:
    """What a task found, or the error that it raised, and what it ran on.

    Values travel as one piece: dask would send each of two dozen small arrays in a frame of its own.
    """

    packed: bytes = b""
    error: str = ""
    computed_with: str = ""
    blas_threads: int = 1
    code: str = ""

    @property
    def values(self) -> dict[str, np.ndarray]:
        """Values by variable name; none where the cell raised."""
        return pickle.loads(self.packed) if self.packed else {}


Job = Callable[[], dict[str, np.ndarray]]
"""All that a worker must know to compute one task: the cell function with its arguments."""


def make_job(compute: ComputeCell, study: Study, task: Task) -> Job:
    """The job of a task of a study."""
    cell, model = task.cell, study.models[task.cell.further]
    points = {"alphas": task.alphas, "lams": task.lams}
    return functools.partial(
        compute, model, study.measure, n=cell.n, seed=cell.seed, entropy=study.random.entropy, **points
    )


def run_job(job: Job) -> Outcome:
    """Computes one task; an exception of the cell is a result, that of the machinery is not."""
    with one_blas_thread:
        found = Outcome(computed_with=computed_with(), blas_threads=blas_threads(), code=code_sha256())
        try:
            return replace(found, packed=pickle.dumps(job()))
        except Exception as error:  # any error of a cell is recorded and costs no other cell
            reason = " ".join(str(error).split()) or "no message"
            return replace(found, error=f"{type(error).__name__}: {reason}")


@dataclass(frozen=True)
class About:
    """What a worker runs: the hash of its code, and the libraries that decide its last bits."""

    code: str
    computed_with: str


def about() -> About:
    """What this process runs."""
    return About(code_sha256(), computed_with())


@functools.cache
def _controller() -> Any:
    import scipy.linalg  # noqa: F401  its BLAS must be loaded before the controller looks for libraries
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def blas_threads() -> int:
    """The largest number of threads that a BLAS of this process may use now."""
    return max((library.num_threads for library in _controller().lib_controllers), default=1)


@functools.cache
def computed_with() -> str:
    """The libraries that decide the last bits here: NumPy, SciPy and each BLAS with its kernels."""
    import scipy

    libraries = sorted({_describe(library.info()) for library in _controller().lib_controllers})
    return ", ".join([f"numpy {np.__version__}", f"scipy {scipy.__version__}", *libraries])


def _describe(info: dict[str, Any]) -> str:
    return " ".join(str(info[key]) for key in ("internal_api", "version", "architecture") if info.get(key))


def _free_control() -> None:
    """Lets any thread set the limit: threadpoolctl heeds only the first that did, until that thread ends."""
    for library in _controller().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


class _OneBlasThread:
    """One BLAS thread while any task runs in this process.

    The limit may be global or a thread's own, so each task sets it; the last one out restores what the first one met.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._first: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._running == 0:
                _free_control()
            limiter = _controller().limit(limits=1)
            if self._running == 0:
                self._first = limiter
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1
            if self._running == 0:
                _free_control()
                self._first.restore_original_limits()
                _free_control()


one_blas_thread = _OneBlasThread()
