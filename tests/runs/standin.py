"""Cell functions that take no time: right, raising, dying, or telling what they saw.

Worker processes import this module, again after each death: what they do not need is imported where it is used.
"""

from __future__ import annotations

import hashlib
import math
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikecube.cube import schema
from spikecube.runs.tasks import Task
from spikecube.runs.worker import make_job
from spikecube.study.study import Study

if TYPE_CHECKING:
    import xarray as xr

    from spikecube.runs.run import Kernel

Values = dict[str, np.ndarray]


def make_study(**changes: Any) -> Study:
    """Twelve cells of six points, over an axis of text too."""
    axes = {"alpha": [0.0, 0.2, 0.29], "n": [20, 40], "seed": 3, "lam": [0.1, 1.0], "activation": ["tanh", "relu"]}
    axes |= changes.pop("axes", {})
    measure = {"rank": 3, "degree": 2, "ell": 2}
    return Study(title="stand-in", axes={k: v for k, v in axes.items() if v is not None}, measure=measure, **changes)


def number(*key: object) -> float:
    """A number in [0, 1) that only depends on the key."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:6]) / 2**48


def cell(model: Any, measure: Any, *, n: int, seed: int, alphas: Any, lams: Any, entropy: int) -> Values:
    """Every variable, each value a hash of its own labels and of nothing else."""
    labels = {
        "alpha": alphas,
        "lam": lams,
        "rank": range(measure.rank),
        "degree": range(measure.degree),
        "ell": range(measure.ell),
    }
    values: Values = {}
    for variable in schema.VARIABLES.values():
        if variable.name in ("status", "outlier_count"):
            continue
        shape = [len(labels[d]) for d in variable.cell_dims]
        array = np.empty(shape)
        for place in np.ndindex(*shape):
            key = [labels[d][i] for d, i in zip(variable.cell_dims, place, strict=True)]
            array[place] = number(variable.name, repr(model), n, seed, entropy, *key)
        values[variable.name] = array
    return values | {"status": np.ones(len(alphas), dtype=np.int8)}


def flops(model: Any, measure: Any, *, n: int, num_alpha: int, num_lam: int) -> float:
    return float(n**3 * num_alpha)


def nbytes(model: Any, measure: Any, *, n: int, num_alpha: int, num_lam: int) -> float:
    return 8.0 * n**2


def kernel(compute: Any = cell, bytes_: Any = nbytes) -> Kernel:
    from spikecube.runs.run import Kernel

    return Kernel(compute, flops, bytes_)


def raising_at_seed_1(model: Any, measure: Any, **arguments: Any) -> Values:
    if arguments["seed"] == 1:
        raise FloatingPointError("no convergence\nafter 30 steps")
    return cell(model, measure, **arguments)


def dying_at_seed_1(model: Any, measure: Any, **arguments: Any) -> Values:
    """Takes its worker process with it."""
    if arguments["seed"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return cell(model, measure, **arguments)


class DyingOnce:
    """Kills its worker the first time that a cell is computed, as a preemption does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, model: Any, measure: Any, **arguments: Any) -> Values:
        mark = self.folder / f"died-{arguments['n']}-{arguments['seed']}"
        if arguments["seed"] == 1 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return cell(model, measure, **arguments)


class Noting:
    """Leaves a file for each call, so that calls can be counted across processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def __call__(self, model: Any, measure: Any, **arguments: Any) -> Values:
        labels = "_".join(f"{k}={v}" for k, v in arguments.items())
        name = f"{labels}_{model.activation}_{os.getpid()}_{os.urandom(4).hex()}"
        (self.folder / name).touch()
        return cell(model, measure, **arguments)

    def take(self) -> list[str]:
        """Names of the calls since the last time."""
        names = sorted(path.name for path in self.folder.iterdir())
        for path in self.folder.iterdir():
            path.unlink()
        return names


def telling_blas_threads(model: Any, measure: Any, **arguments: Any) -> Values:
    """Puts the threads that each BLAS of the process may use now into `beta_power`."""
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info

    threads = [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]
    return cell(model, measure, **arguments) | {"beta_power": np.array(max(threads, default=math.nan))}


def make_cube(study: Study | None = None) -> xr.Dataset:
    """The cube of a study by the stand-in, with its provenance, without a run."""
    from spikecube.cube.assemble import CellResult, assemble
    from spikecube.runs.provenance import provenance_attributes

    study = study or make_study()
    found = []
    for c in study.cells():
        task = Task(c, study.axes.alpha, study.axes.lam)
        found.append(CellResult(*task, make_job(cell, study, task)()))
    return assemble(study, found).assign_attrs(provenance_attributes(["these libraries"], [1], study.random.entropy))
