"""Recomputes cells of a cube, chosen at random, and compares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from spikecube.cube.assemble import CellResult
from spikecube.cube.cuts import as_cube
from spikecube.cube.merge import results, study_inside
from spikecube.notebook import Shown
from spikecube.runs import provenance
from spikecube.runs.errors import RunError
from spikecube.runs.memory import free_memory, refuse_too_large
from spikecube.runs.run import Kernel, cube_of, default_kernel
from spikecube.runs.tasks import Task, task_cost
from spikecube.runs.worker import computed_with, make_job, run_job
from spikecube.study.study import Study
from spikecube.text import text_table

TOLERANCE = {"float64": 1e-8, "float32": 1e-2}
"""Largest relative deviation that another BLAS may cause, over the largest value of the variable in the cell."""


@dataclass(frozen=True)
class Verified(Shown):
    """How a sample of cells compares.

    `tolerance` is 0 where the libraries are those that made the cube, and bits must agree; `reason` says which.
    `deviations` holds the largest relative deviation by cell.
    """

    tolerance: float
    reason: str
    deviations: dict[str, float]

    @property
    def agrees(self) -> bool:
        """Whether every cell is within the tolerance."""
        return all(deviation <= self.tolerance for deviation in self.deviations.values())

    def __str__(self) -> str:
        rows = [
            [cell, "equal" if d == 0 else f"differs by {d:.3g}", "ok" if d <= self.tolerance else "BAD"]
            for cell, d in self.deviations.items()
        ]
        table = text_table(["cell", "recomputed", "verdict"], rows)
        return f"{table}\ncompared {self.reason}: {'all agree' if self.agrees else 'they do NOT agree'}"


def verify(
    cube: xr.Dataset | str | Path,
    sample: int = 5,
    rng: np.random.Generator | int | None = None,
    kernel: Kernel | None = None,
) -> Verified:
    """Recompute `sample` cells of a cube, its file, or a run by its name, chosen by `rng`, and compare every value.

    Raises
    ------
    StoreError
        When there is no such cube, or it carries no readable study.
    RunError
        When it has no computed cell, or one that does not fit in memory.
    """
    cube = as_cube(cube_of(cube), "study", "alpha", "n", "seed", "lam")
    study = study_inside(cube)
    kernel = kernel or default_kernel(study)
    found = list(results(cube, study))
    if not found:
        raise RunError("verify: the cube has no computed cell")
    chosen = np.random.default_rng(rng).choice(len(found), size=min(sample, len(found)), replace=False)
    picked = [found[i] for i in sorted(chosen)]
    tasks = [Task(result.cell, result.alphas, result.lams) for result in picked]
    refuse_too_large(tasks, task_cost(study, kernel.bytes), free_memory(), "this machine has free")
    tolerance, reason = _criterion(cube, study)
    return Verified(tolerance, reason, {r.cell.describe(): _deviation(r, study, kernel) for r in picked})


def _criterion(cube: xr.Dataset, study: Study) -> tuple[float, str]:
    loose = TOLERANCE[study.measure.precision]
    if cube.attrs.get("code_sha256") != provenance.code_sha256():
        return loose, f"to a relative {loose:g}, since other code of spikecube made the cube"
    if cube.attrs.get("computed_with") != computed_with():
        return loose, f"to a relative {loose:g}, since other libraries made the cube"
    return 0.0, "bit for bit, since the same libraries made the cube"


def _deviation(result: CellResult, study: Study, kernel: Kernel) -> float:
    outcome = run_job(make_job(kernel.compute, study, Task(result.cell, result.alphas, result.lams)))
    if outcome.error:
        raise RunError(f"verify: the cell with {result.cell.describe()} raises {outcome.error}")
    return max(_relative(values, result.values[name]) for name, values in outcome.values.items())


def _relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference over the largest value; infinite where one is missing, 0 only for equal bits."""
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if not np.array_equal(np.isfinite(ours), np.isfinite(theirs)):
        return math.inf
    finite = np.isfinite(ours)
    if not finite.any():
        return 0.0
    difference = np.abs(ours - theirs)[finite].max()
    return float(difference / (np.abs(theirs[finite]).max() or 1.0))
