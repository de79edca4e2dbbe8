"""File and memory of cubes of five sizes whose seeds differ in number: python scripts/ragged.py

Values are drawn at random, which compress least. Each cube is assembled and written by a process of its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SIZES = [250, 500, 1000, 2000, 4000]
CASES = {
    "2000 seeds at 250, 12 at the others": dict.fromkeys(SIZES, 12) | {250: 2000},
    "2000, 800, 200, 40, 12 seeds": dict(zip(SIZES, (2000, 800, 200, 40, 12), strict=True)),
    "2000 seeds at all": dict.fromkeys(SIZES, 2000),
    "1 seed at all": dict.fromkeys(SIZES, 1),
}


def measure(counts: dict[int, int]) -> str:
    """Cells, megabytes of the block in memory and of the file, and of the process at its peak beyond its imports."""
    from spikecube.cube import schema
    from spikecube.cube.assemble import CellResult, assemble
    from spikecube.cube.store import write_cube
    from spikecube.study.study import Study

    lam = {"start": 0.01, "stop": 10, "num": 7, "spacing": "log"}
    study = Study(axes={"alpha": {"start": 0, "stop": 0.45, "num": 10}, "n": SIZES, "seed": counts, "lam": lam})
    shape, rng = study.shape, np.random.default_rng(1)
    measured = [v for v in schema.VARIABLES.values() if v.name not in ("status", "outlier_count")]

    def cells() -> Iterator[CellResult]:
        for cell in study.cells():
            values = {v.name: rng.random([shape[d] for d in v.cell_dims]) for v in measured}
            status = {"status": np.full(shape["alpha"], schema.STATUS["ok"], dtype=np.int8)}
            yield CellResult(cell, study.axes.alpha, study.axes.lam, values | status)

    before = _peak()
    cube = assemble(study, cells())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cube.nc"
        write_cube(cube, path)
        size = path.stat().st_size
    return f"{sum(counts.values()):6d} {cube.nbytes / 1e6:10.0f} {size / 1e6:8.1f} {_peak() - before:8.0f}"


def _peak() -> float:
    """Megabytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    if len(sys.argv) > 1:
        print(measure(CASES[sys.argv[1]]))
        return
    print(f"{'':36} cells  memory/MB  file/MB  peak/MB")
    for name in CASES:
        done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True, timeout=600)
        print(f"{name:36}{done.stdout.rstrip()}")


if __name__ == "__main__":
    main()
