"""How much memory a run may use, and whether its cells fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spikecube.runs.errors import RunError
from spikecube.runs.tasks import Task

_PART = 0.8  # of what is free now, where the user names no limit
WORKER_BYTES = 200e6  # a worker process before it computes anything
DRIVER_BYTES = 200e6  # the process that drives, with scheduler and netCDF; 165 to 185 MB were measured
_CUBES = 2.0  # what assembling and writing take over the bytes of a cube; 1.5 at 60 MB by scripts/ragged.py


def free_memory() -> float:
    """Bytes that a run may use here: most of what is free, within the limits of the container or job."""
    import psutil
    from distributed.system import MEMORY_LIMIT

    return float(min(_PART * psutil.virtual_memory().available, _PART * MEMORY_LIMIT))


def refuse_too_large(tasks: Sequence[Task], bytes_of: Callable[[Task], float], limit: float, where: str) -> None:
    """Refuses tasks of which the largest does not fit, by a RunError."""
    largest = max(tasks, key=bytes_of)
    need = bytes_of(largest) + WORKER_BYTES
    if need > limit:
        raise RunError(
            f"the cell with {largest.cell.describe()} needs {amount(need)} of memory, but {where} {amount(limit)}: "
            "lower n, split alphas with chunks = { alpha = k }, or allow more with --max-memory"
        )


def workers_that_fit(workers: int, largest: float, memory: float) -> int:
    """At most `workers` processes, fewer where they would leave no room for the largest task; at least one."""
    return max(1, min(workers, int((memory - largest) // WORKER_BYTES)))


def assemble_bytes(cube_bytes: float) -> float:
    """Peak bytes of a process that assembles a cube and writes it (`python scripts/plan_check.py --memory`)."""
    return DRIVER_BYTES + _CUBES * cube_bytes


def amount(number: float) -> str:
    """Bytes for people: `1.5 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.4g} TiB"


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_size(text: str) -> float:
    """The bytes that `16GiB`, `500 MB` or `1e9` mean.

    >>> parse_size("16GiB") == 16 * 2**30
    True
    """
    stripped = text.strip().lower()
    number = stripped.rstrip("kmgtib ")
    unit = stripped[len(number) :].strip().removesuffix("b")
    try:
        value = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        value = -1.0
    if not 0 < value < float("inf"):
        raise ValueError(f"given {text!r}; allowed: a size such as 16GiB, 500MB or 2e9")
    return value
