"""How often the intervals hold the truth at which runs stop that go on until they are as narrow as asked.

    python scripts/until_coverage.py [--runs 2000] [--only mean] [--keep FOLDER]

A made-up run draws normal (or skewed) values with a known law, and stops by the rules of `spikecube run --until`.
`widened` is the share of its final intervals that hold the truth, `plain` that of the same intervals without the
allowance for the stop; with 2,000 runs the standard error of a share of 95 per cent is 0.5 per cent. `half-width` is
the mean of the final ones over that asked for, `rounds` and `seeds` are means. Runs are kept in FOLDER as they end:
what was interrupted goes on, and more runs are added to those that are there.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube.scaling.targets import parse_targets
from spikecube.scaling.until import FIRST_SEEDS, Reached, Round, rounds

HEADER = "| law | target | sizes | noise | runs | widened | plain | half-width | rounds | seeds |"


@dataclass(frozen=True)
class Case:
    """One row: a law, the truth of each target, and the noise of one seed."""

    name: str
    target: str
    truth: tuple[float, ...]
    law: Callable[[np.ndarray], np.ndarray]
    noise: float
    sizes: int = 5
    skew: bool = False
    budget: float = np.inf  # in units of a first round

    def draw(self, rng: np.random.Generator, count: int, level: float) -> np.ndarray:
        """Values of one size."""
        if self.skew:
            return level * (1 + self.noise * (rng.chisquare(4, count) - 4) / np.sqrt(8))
        return level * (1 + self.noise * rng.standard_normal(count))


def _limit(n: np.ndarray) -> np.ndarray:
    return 1 + 20 / n + 500 / n**2


def _power(n: np.ndarray) -> np.ndarray:
    return np.asarray(n**0.5 * (1 + 20 / n))


CASES = [
    Case("L + A n^-1 + B n^-2", "limit = 0.06", (1.0,), _limit, 0.1),
    Case("mean", "mean n=250 = 0.05", (1.0,), np.ones_like, 0.1, sizes=1),
    Case("C n^b (1 + D/n)", "exponent = 0.06", (0.5,), _power, 0.1),
    Case("both", "limit = 0.06; mean n=500 = 0.03", (1.0, 1.042), _limit, 0.1),
    Case("skewed, L + A n^-1 + B n^-2", "limit = 0.06", (1.0,), _limit, 0.1, skew=True),
    Case("mean", "mean n=250 = 0.1", (1.0,), np.ones_like, 0.1, sizes=1),
    Case("mean", "mean n=250 = 0.08", (1.0,), np.ones_like, 0.1, sizes=1),
    Case("mean", "mean n=250 = 0.03", (1.0,), np.ones_like, 0.1, sizes=1),
    Case("mean", "mean n=250 = 0.02", (1.0,), np.ones_like, 0.1, sizes=1),
    Case("stopped by a budget, mean", "mean n=250 = 0.02", (1.0,), np.ones_like, 0.1, sizes=1, budget=5.0),
    Case("stopped by a budget, L + A n^-1 + B n^-2", "limit = 0.02", (1.0,), _limit, 0.1, budget=1.5),
]


@dataclass
class Tally:
    """What the runs of one case ended with."""

    widened: list[list[bool]] = field(default_factory=list)
    plain: list[list[bool]] = field(default_factory=list)
    widths: list[list[float]] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)


def one_run(case: Case, rng: np.random.Generator) -> list[Round]:
    """The rounds of one made-up run."""
    sizes = np.array([250.0, 500.0, 1000.0, 2000.0, 4000.0])[: case.sizes]
    cost, level = sizes**3, case.law(sizes)
    drawn = [np.empty(0) for _ in sizes]

    def grow(seeds: np.ndarray) -> xr.DataArray:
        values = np.full((len(sizes), int(seeds.max())), np.nan)
        for j, count in enumerate(seeds.astype(int)):
            drawn[j] = np.concatenate([drawn[j], case.draw(rng, count - len(drawn[j]), level[j])])
            values[j, :count] = drawn[j]
        return xr.DataArray(values, dims=("n", "seed"), coords={"n": sizes})

    first = np.full(len(sizes), FIRST_SEEDS)
    targets = parse_targets(case.target)
    return list(rounds(targets, grow, sizes, cost, first, budget=case.budget * float(cost @ first)))


def holds(found: Reached, truth: float, wider: float) -> bool:
    """Whether the interval over a factor holds the truth."""
    low, high = (found.estimate + (end - found.estimate) / wider for end in (found.low, found.high))
    return low <= truth <= high


def ended(case: Case, i: int, seed: int) -> dict[str, Any]:
    """What run i of a case ended with, by the fields of `Tally`."""
    rng = np.random.default_rng([zlib.crc32(f"{case.name}{case.target}".encode()), seed, i])
    done = one_run(case, rng)
    pairs = list(zip(done[-1].found, case.truth, strict=True))
    return {
        "widened": [bool(holds(r, t, 1.0)) for r, t in pairs],
        "plain": [bool(holds(r, t, r.wider)) for r, t in pairs],
        "widths": [float(r.half_width / r.target.half_width) for r, _ in pairs],
        "rounds": len(done),
        "seeds": int(done[-1].seeds.sum()),
    }


def tally(case: Case, runs: int, seed: int = 0, kept: Path | None = None) -> Tally:
    """Many runs of one case; those in the lines of the file `kept` are not made again."""
    made = Tally()
    there = kept.read_text().splitlines() if kept is not None and kept.is_file() else []
    for i in range(runs):
        one = json.loads(there[i]) if i < len(there) else ended(case, i, seed)
        if kept is not None and i >= len(there):
            with kept.open("a") as file:
                file.write(json.dumps(one) + "\n")
        for name, value in one.items():
            getattr(made, name).append(value)
    return made


def row(case: Case, runs: int, folder: Path | None) -> str:
    """One row of the table."""
    name = "".join(c if c.isalnum() else "-" for c in f"{case.name} {case.target}")
    made = tally(case, runs, kept=None if folder is None else folder / f"{name}.jsonl")

    def shares(values: list[list[bool]]) -> str:
        return ", ".join(f"{share:.3f}" for share in np.mean(values, axis=0))

    width = ", ".join(f"{w:.3f}" for w in np.mean(made.widths, axis=0))
    return (
        f"| {case.name} | {case.target} | {case.sizes} | {case.noise} | {runs} | {shares(made.widened)} | "
        f"{shares(made.plain)} | {width} | {np.mean(made.rounds):.1f} | {np.mean(made.seeds):.0f} |"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--only", help="rows whose law begins so")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where runs are kept as they end")
    asked = parser.parse_args()
    if asked.keep:
        asked.keep.mkdir(exist_ok=True)
    print(HEADER)
    print("|---" * HEADER.count(" | ") + "|---|")
    for case in CASES:
        if not asked.only or case.name.startswith(asked.only):
            print(row(case, asked.runs, asked.keep), flush=True)


if __name__ == "__main__":
    main()
