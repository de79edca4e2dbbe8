"""Half-widths of equal seeds and of a design for the same measured core-seconds, on real targets.

    python scripts/equal_hours.py [FOLDER] [--seconds 60] [--foretell 8000]

For each target seeds are laid out by a pilot of eight seeds a size up to n = 1000, and computed with the processor time
of each cell measured; then as many equal seeds at every size as take the same time. Fits of the same law give both
half-widths. Cells are kept in FOLDER: what was interrupted goes on. With `--foretell N` nothing but the pilot is
computed, and the ratio is foretold for sizes that go on doubling up to N, at 100 times the time.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from distributed import Client

from spikecube.lay_out import seed_flops, with_seeds
from spikecube.runs.run import Kernel, default_kernel, run_study
from spikecube.scaling.design import design
from spikecube.scaling.pilot import pilot_curve
from spikecube.scaling.targets import parse_targets
from spikecube.study.study import Study

PILOT, PILOT_SIZE, SPEED = 8, 1000, 3e10
MEASURE = {"rank": 2, "degree": 2, "ell": 2}


@dataclass
class Timed:
    """The cell of the package, which notes the processor time of each."""

    notes: Path

    def __call__(self, model: Any, measure: Any, **cell: Any) -> dict[str, np.ndarray]:
        from spikecube.cube.cell import compute_cell

        begun = time.thread_time()
        values = compute_cell(model, measure, **cell)
        with self.notes.open("a") as file:
            file.write(json.dumps([cell["n"], cell["seed"], time.thread_time() - begun]) + "\n")
        return values

    def seconds(self, counts: dict[int, int]) -> float:
        """What the first seeds of each size took."""
        known = {(n, seed): taken for n, seed, taken in map(json.loads, self.notes.read_text().splitlines())}
        return sum(known[n, seed] for n, count in counts.items() for seed in range(count))


@dataclass
class Comparison:
    """One study of one alpha, whose cells are shared by its targets."""

    name: str
    alpha: float
    sizes: list[int]
    targets: list[str]
    folder: Path
    client: Client

    def __post_init__(self) -> None:
        axes = {"alpha": [self.alpha], "n": self.sizes, "seed": 1, "lam": [0.1]}
        self.study, self.timed = Study(axes=axes, measure=MEASURE), Timed(self.folder / f"{self.name}.seconds")
        kernel = default_kernel(self.study)
        self.kernel = Kernel(self.timed, kernel.flops, kernel.bytes)
        flops = seed_flops(self.study, kernel)
        self.hours = {n: flops[n] / SPEED / 3600 for n in flops}

    def cube(self, counts: dict[int, int]) -> xr.Dataset:
        """The cube with these seeds."""
        report = run_study(with_seeds(self.study, counts), self.folder / self.name, self.client, kernel=self.kernel)
        assert report.cube is not None
        return report.cube

    def row(self, target: str, seconds: float) -> str:
        """One row of the table."""
        pilot = self.cube({n: PILOT for n in self.sizes if n <= PILOT_SIZE})
        made = self.design(target, pilot, seconds / 3600)
        counts = {int(n): int(m) for n, m in zip(made.n.values, made.seeds.values, strict=True) if m > 0}
        ours, taken = self.half_width(target, counts), self.timed.seconds(counts)
        cell = {n: self.timed.seconds({n: PILOT}) / PILOT for n in self.sizes if n <= PILOT_SIZE}
        grown = {n: self.hours[n] / self.hours[max(cell)] * cell[max(cell)] for n in self.sizes if n > PILOT_SIZE}
        equal = dict.fromkeys(self.sizes, max(3, round(taken / sum((cell | grown).values()))))
        theirs, equal_taken = self.half_width(target, equal), self.timed.seconds(equal)
        foretold = float(made.half_width_equal_seeds[0] / made.half_width[0])
        there = ", ".join(f"{n}: {m}" for n, m in counts.items())
        return (
            f"| {target} | {there} | {taken:.0f} | {ours:.3g} | {equal[self.sizes[0]]} at each of {len(equal)} | "
            f"{equal_taken:.0f} | {theirs:.3g} | {theirs / ours * np.sqrt(equal_taken / taken):.2f} | {foretold:.2f} |"
        )

    def foretold(self, target: str, seconds: float) -> str:
        """The ratio that the design foretells."""
        pilot = self.cube({n: PILOT for n in self.sizes if n <= PILOT_SIZE})
        made = self.design(target, pilot, seconds / 3600)
        return f"| {target} | {float(made.half_width_equal_seeds[0] / made.half_width[0]):.2f} |"

    def design(self, target: str, pilot: xr.Dataset, hours: float) -> xr.Dataset:
        """The design with the shortest half-width at this cost, by bisection."""
        low, high = np.log(1e-3), np.log(10.0)
        for _ in range(9):
            half = float(np.exp((low + high) / 2))
            made = design(f"{target} = {half!r}", pilot=pilot, sizes=self.sizes, cost=lambda n: self.hours[int(n)])
            low, high = (np.log(half), high) if made.cost > hours else (low, np.log(half))
        return made

    def half_width(self, target: str, counts: dict[int, int]) -> float:
        """Of the fit of the target's law to the cube with these seeds."""
        found = pilot_curve(parse_targets(f"{target} = 1")[0], self.cube(counts), 1.0).found()
        return (found.high - found.low) / 2


HEADER = "| target | seeds laid out | core-s | half-width | equal seeds | core-s | half-width | ratio | foretold |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("equal-hours"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--foretell", type=int, metavar="N")
    asked = parser.parse_args()
    asked.folder.mkdir(exist_ok=True)
    cases: list[tuple[str, float, list[int], list[str]]] = [
        (
            "losses",
            0.16,
            [60, 125, 250, 500, 1000, 2000],
            ["test_loss limit alpha=0.16 lam=0.1", "test_loss gap exponent alpha=0.16 lam=0.1"],
        ),
        ("first", 0.3, [125, 250, 500, 1000, 2000], ["outlier 1 exponent alpha=0.3"]),
        ("second", 0.45, [250, 500, 1000, 2000], ["outlier 2 exponent alpha=0.45"]),
    ]
    print("| target | ratio |\n|---|---|" if asked.foretell else f"{HEADER}\n{'|---' * 9}|")
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client:
        for name, alpha, sizes, targets in cases:
            while asked.foretell and sizes[-1] < asked.foretell:
                sizes.append(2 * sizes[-1])
            made = Comparison(name, alpha, sizes, targets, asked.folder, client)
            for target in targets:
                foretell = asked.foretell is not None
                print(made.foretold(target, 6000.0) if foretell else made.row(target, asked.seconds), flush=True)


if __name__ == "__main__":
    main()
