"""What driver and scheduler cost: empty cells through dask, then as many shards read back.

python scripts/overhead.py [--cells 10000] [--workers 2]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from spikecube.cube import schema
from spikecube.cube.assemble import CellResult
from spikecube.runs.folder import RunFolder
from spikecube.runs.run import Kernel, Settings, assembled, run_study
from spikecube.runs.state import run_state
from spikecube.study.study import Study


def empty_cell(model: Any, measure: Any, *, alphas: Any, lams: Any, **_: Any) -> dict[str, np.ndarray]:
    """Every variable of a cell, all zero."""
    sizes = {"alpha": len(alphas), "lam": len(lams), "rank": measure.rank, "degree": measure.degree, "ell": measure.ell}
    names = [v for v in schema.VARIABLES.values() if v.name != "outlier_count"]
    zeros = {v.name: np.zeros([sizes[d] for d in v.cell_dims]) for v in names}
    return zeros | {"status": np.ones(len(alphas), dtype=np.int8)}


def no_cost(*_: Any, **__: Any) -> float:
    return 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    axes = {"alpha": {"start": 0, "stop": 0.45, "num": 10}, "n": [100], "seed": options.cells, "lam": [0.1, 1.0, 10.0]}
    study = Study(axes=axes)
    with tempfile.TemporaryDirectory() as folder:
        _many_shards(study, Path(folder) / "shards.run")
        _empty_cells(study, Path(folder) / "cells", options.workers)


def _empty_cells(study: Study, name: Path, workers: int) -> None:
    kernel = Kernel(empty_cell, no_cost, no_cost)
    one = Study(axes={"alpha": [0.0], "n": [100], "seed": 1, "lam": [1.0]})
    start = _seconds(lambda: run_study(one, f"{name}-one", settings=Settings(workers=1), kernel=kernel))
    cpu = time.process_time()
    whole = _seconds(lambda: run_study(study, name, settings=Settings(workers=workers), kernel=kernel))
    cells = len(study.axes.seed)
    print(
        f"{cells} empty cells with {workers} workers: {whole:.1f} s, {1000 * (whole - start) / cells:.2f} ms a cell, "
        f"of which {1000 * (time.process_time() - cpu) / cells:.2f} ms are driver and scheduler on the processor"
    )


def _many_shards(study: Study, path: Path) -> None:
    folder = RunFolder(path, study)
    values = empty_cell(study.model, study.measure, alphas=study.axes.alpha, lams=study.axes.lam)
    with folder.opened():
        for cell in study.cells():
            folder.write([CellResult(cell, study.axes.alpha, study.axes.lam, values)], "numpy", 1)
    count = len(list(folder.shards.iterdir()))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{count} shards: status {_seconds(lambda: run_state(folder)):.1f} s, ", end="")
    seconds = _seconds(lambda: assembled(folder, folder.contents()))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"assembled in {seconds:.1f} s with {grown:.0f} MiB more memory")


def _seconds(work: Any) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
