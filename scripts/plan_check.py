"""Compares what `spikecube plan` says with what `spikecube run` takes: seconds on the clock, and memory.

    python scripts/plan_check.py [STUDY ...] [--workers 2] [--most 300]
    python scripts/plan_check.py --memory

By default the studies of data/studies. Of one that is planned to take longer than `--most` seconds fewer seeds are
taken, then fewer sizes. A ratio is taken / planned; the exit code is 1 when one lies outside 1/1.5 to 1.5. With
`--memory`, the peak of a process that assembles and writes cubes of several sizes stands beside `assemble_bytes`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from spikecube.cube import schema
from spikecube.cube.assemble import CellResult
from spikecube.cube.store import write_cube
from spikecube.runs.folder import RunFolder
from spikecube.runs.memory import amount, assemble_bytes
from spikecube.runs.plan import Plan, plan
from spikecube.runs.run import assembled
from spikecube.study.study import Study

ROOT = Path(__file__).resolve().parents[1]
BOUND = 1.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", type=Path, default=sorted((ROOT / "data" / "studies").glob("*.toml")))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--most", type=float, default=300.0, metavar="SECONDS")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--assemble", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.assemble:
        print(json.dumps(assembling_peak(options.assemble)))
        return 0
    if options.memory:
        check_memory()
        return 0
    ratios = [check_time(path, options.workers, options.most) for path in options.studies]
    return int(not all(1 / BOUND <= ratio <= BOUND for ratio in ratios))


def check_time(path: Path, workers: int, most: float) -> float:
    """Prints plan and truth of a study, or of a part of it, and gives their ratio."""
    begun = time.perf_counter()
    study, planned = shortened(Study.from_file(path), workers, most)
    planning = time.perf_counter() - begun
    assert planned.seconds is not None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "study.toml").write_text(study.to_toml())
        command = [sys.executable, "-m", "spikecube", "run", "study.toml", "-o", "x", "--workers", str(workers)]
        begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        taken, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    ratio = taken / planned.seconds
    part = f"n to {study.axes.n[-1]}, {len(study.axes.seed)} seeds"
    print(
        f"{path.name} ({part}): planned {planned.seconds:.1f} s in {planning:.1f} s, taken {taken:.1f} s, "
        f"ratio {ratio:.2f}; of a processor {3600 * planned.core_hours:.1f} s for cells, taken {busy:.1f} s in all",
        flush=True,
    )
    return ratio


def shortened(study: Study, workers: int, most: float) -> tuple[Study, Plan]:
    """The study, with half the seeds and then fewer sizes as long as its plan takes too long; and its plan."""
    while True:
        planned = plan(study, workers=workers)
        axes = study.axes
        if planned.seconds is None or planned.seconds <= most or len(axes.seed) + len(axes.n) == 2:
            return study, planned
        short = {"seed": axes.seed[: len(axes.seed) // 2]} if len(axes.seed) > workers else {"n": axes.n[:-1]}
        study = Study(**{**study.model_dump(), "axes": {**axes.model_dump(), **short}})


def check_memory() -> None:
    """Prints the peak of assembling beside what is planned, each in a process of its own."""
    for seeds in (10, 100, 400, 1500):
        command = [sys.executable, __file__, "--assemble", str(seeds)]
        cube, peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"cube of {amount(cube)}: peak {amount(peak)}, planned {amount(assemble_bytes(cube))}", flush=True)


def assembling_peak(seeds: int) -> tuple[int, int]:
    """Bytes of a cube of random values, and the peak of this process once it has written it."""
    import distributed  # noqa: F401  as a driver has it

    grid = {"start": 0.01, "stop": 0.45}
    study = Study(
        axes={"alpha": {**grid, "num": 30}, "n": [60], "seed": seeds, "lam": {**grid, "num": 60}},
        measure={"spectrum_bins": 500},
    )
    sizes, rng = study.shape, np.random.default_rng(1)
    variables = [v for v in (*schema.VARIABLES.values(), schema.SPECTRUM) if v.name not in ("outlier_count", "status")]
    with tempfile.TemporaryDirectory() as name:
        folder = RunFolder(Path(name) / "x.run", study)
        with folder.opened():
            for cell in study.cells():
                values = {v.name: rng.random([sizes[d] for d in v.cell_dims]) for v in variables}
                values["status"] = np.ones(sizes["alpha"], dtype=np.int8)
                folder.write([CellResult(cell, study.axes.alpha, study.axes.lam, values)], "numpy", 1)
        cube = assembled(folder, folder.contents())
        write_cube(cube, Path(name) / "x.nc")
    return cube.nbytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
