"""Half-widths of equal seeds and of a design for the same measured core-seconds, on real targets.

    python scripts/equal_hours.py [FOLDER] [--seconds 60] [--largest 4000] [--foretell | --bound] [--only test_loss]

For each target seeds are laid out by a pilot of eight seeds a size up to n = 1000, and computed with the processor time
of each cell measured; then as many equal seeds at every size as take the same time. Fits of the same law give both
half-widths, whose errors are known with f degrees of freedom each: the logarithm of their ratio has the standard error
(1/(2 f) + 1/(2 f'))^{1/2}. Cells are kept in FOLDER: what was interrupted goes on. With `--foretell` nothing but the
pilot is computed, and the ratio is foretold: at the time asked for, at ten and a hundred times as much with costs as
measured, and at the last with costs n^3. With `--bound` the most that any seeds could gain over equal ones is printed
for several alphas and ranges of n: (sum_j cost_j c.M^{-1}c)^{1/2} of one seed at each size over sum_j |z_j|, the least
over sum_j z_j G_j/(v_j cost_j)^{1/2} = c (Elfving).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from distributed import Client

from spikecube.lay_out import seed_flops, with_seeds
from spikecube.runs.run import Kernel, default_kernel, run_study
from spikecube.scaling.allocation import Aim, elfving, variance_of
from spikecube.scaling.design import aim_of, design
from spikecube.scaling.errors import TooManySeedsError
from spikecube.scaling.pilot import pilot_curve
from spikecube.scaling.targets import parse_targets
from spikecube.study.study import Study

PILOT, PILOT_SIZE, SPEED = 8, 1000, 3e10
SIZES = [60, 125, 250, 500, 1000, 2000, 4000, 8000]


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

    @property
    def known(self) -> dict[tuple[int, int], float]:
        """Seconds by size and seed."""
        return {(n, seed): taken for n, seed, taken in map(json.loads, self.notes.read_text().splitlines())}

    def seconds(self, counts: dict[int, int]) -> float:
        """What the first seeds of each size took."""
        known = self.known
        return float(sum(known[n, seed] for n, count in counts.items() for seed in range(count)))


@dataclass
class Comparison:
    """One study of one alpha, whose cells are shared by its targets."""

    name: str
    study: Study
    folder: Path
    client: Client

    def __post_init__(self) -> None:
        self.timed, self.sizes = Timed(self.folder / f"{self.name}.seconds"), list(self.study.axes.n)
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
        self.hours = {n: s / 3600 for n, s in self.measured().items()}
        made = self.design(target, pilot, seconds / 3600)
        counts = {int(n): int(m) for n, m in zip(made.n.values, made.seeds.values, strict=True) if m > 0}
        (ours, f), taken = self.half_width(target, counts), self.timed.seconds(counts)
        equal = dict.fromkeys(self.sizes, max(3, round(taken / sum(self.measured().values()))))
        (theirs, g), equal_taken = self.half_width(target, equal), self.timed.seconds(equal)
        ratio, error = theirs / ours * np.sqrt(equal_taken / taken), np.sqrt(1 / (2 * f) + 1 / (2 * g))
        foretold = float(made.half_width_equal_seeds[0] / made.half_width[0])
        there = ", ".join(f"{n}: {m}" for n, m in counts.items())
        return (
            f"| `{target}` | {there} | {taken:.0f} | {ours:.3g} | {equal[self.sizes[0]]} at each of {len(equal)} | "
            f"{equal_taken:.0f} | {theirs:.3g} | {ratio:.1f} ± {ratio * error:.1f} | {foretold:.1f} |"
        )

    def measured(self, largest: int = PILOT_SIZE) -> dict[int, float]:
        """Seconds of one seed at each size: means of timed cells up to `largest`, beyond it grown as operations do."""
        known = {k: s for k, s in self.timed.known.items() if k[0] <= largest and k[1] < PILOT}
        cell = {m: float(np.mean([s for (n, _), s in known.items() if n == m])) for m in sorted({n for n, _ in known})}
        grown = {n: self.hours[n] / self.hours[max(cell)] * cell[max(cell)] for n in self.sizes if n > max(cell)}
        return cell | grown

    def foretold(self, target: str, budgets: list[float]) -> str:
        """The ratios that the design foretells, at costs as measured and, at the last budget, at costs n^3."""
        pilot = self.cube({n: PILOT for n in self.sizes if n <= PILOT_SIZE})
        seconds, largest = self.measured(), self.sizes[-1]
        self.hours, ratios = {n: s / 3600 for n, s in seconds.items()}, []
        cubic = {n: self.hours[largest] * (n / largest) ** 3 for n in self.sizes}
        for budget, hours in [*((b, self.hours) for b in budgets), (budgets[-1], cubic)]:
            self.hours = hours
            made = self.design(target, pilot, budget / 3600)
            ratios.append(f"{float(made.half_width_equal_seeds[0] / made.half_width[0]):.1f}")
        return f"| `{target}` | {self.sizes[0]} to {largest} | {' | '.join(ratios)} |"

    def design(self, target: str, pilot: xr.Dataset, hours: float) -> xr.Dataset:
        """The design with the shortest half-width at this cost, by bisection."""
        low, high = np.log(1e-3), np.log(10.0)
        for _ in range(9):
            half = float(np.exp((low + high) / 2))
            try:
                made = design(f"{target} = {half!r}", pilot=pilot, sizes=self.sizes, cost=lambda n: self.hours[int(n)])
            except TooManySeedsError:
                low = np.log(half)
                continue
            low, high = (np.log(half), high) if made.cost > hours else (low, np.log(half))
        return made

    def half_width(self, target: str, counts: dict[int, int]) -> tuple[float, float]:
        """Of the fit of the target's law to the cube with these seeds, and the degrees of freedom of its error."""
        found = pilot_curve(parse_targets(f"{target} = 1")[0], self.cube(counts), 1.0).found()
        return (found.high - found.low) / 2, found.dof


def most(aim: Aim, cost: np.ndarray) -> float:
    """The half-width of equal seeds over that of the best design at one cost, t quantiles and whole numbers apart.

    >>> one = Aim(np.array([1.0]), np.ones((2, 1)), np.ones(2), 0.1)
    >>> most(one, np.array([1.0, 3.0])) ** 2  # two means of variance 1 for 4, where one alone costs 1
    2.0
    """
    known = np.isfinite(aim.variance)
    there = replace(aim, slopes=aim.slopes[known], variance=aim.variance[known])
    shares, _ = elfving(there, cost[known])
    best, equal = (
        variance_of(there, seeds)[0] for seeds in (shares / cost[known], np.full(known.sum(), 1 / cost.sum()))
    )
    return float(np.sqrt(equal / best))


def bounds(target: str, pilot: xr.Dataset, seconds: dict[int, float]) -> str:
    """One row of what is possible, for two ranges of n, at costs as measured and at costs n^3."""
    parsed, found = parse_targets(f"{target} = 1")[0], []
    curve = pilot_curve(parsed, pilot, 1.0)
    for smallest in BOUNDED:
        sizes = np.array([n for n in seconds if n >= smallest], dtype=float)
        aim = aim_of(curve, parsed, sizes)
        found += [f"{most(aim, cost):.1f}" for cost in (np.array([seconds[int(n)] for n in sizes]), sizes**3)]
    return f"| `{target}` | {' | '.join(found)} |"


HEADER = "| target | seeds laid out | core-s | half-width | equal seeds | core-s | half-width | ratio | foretold |"

BOUND = "| target | from n = 60 | that, costs n^3 | from n = 250 | that, costs n^3 |"
BOUNDED = (60, 250)
FORETOLD = "| target | n | at the time | ten times | a hundred times | that, costs n^3 |"


def study(alpha: float | list[float], sizes: list[int], lam: float, **tables: Mapping[str, float]) -> Study:
    """The alphas, one penalty, and the sizes."""
    return Study(axes={"alpha": np.atleast_1d(alpha).tolist(), "n": sizes, "seed": 1, "lam": [lam]}, **tables)


def cases(last: int) -> list[tuple[str, Study, list[str]]]:
    """The studies, with sizes up to `last`, and the targets of each.

    Both outliers are wanted, and no losses: with one test sample their cells do not pay for a test batch. At
    eta_0 = 4 all of 12 seeds have the first outlier clear of the bulk from n = 60 on, and the second from 125 on.
    """
    sizes = [n for n in SIZES if n <= last]
    losses, later = (study(a, sizes, 0.1, measure=LOSSES) for a in (0.16, 0.29))
    outliers, earlier = (study(a, sizes, 1.0, **BARE) for a in (0.42, 0.3))
    return [
        ("outliers", outliers, ["outlier 1 exponent alpha=0.42", "outlier 2 exponent alpha=0.42"]),
        ("earlier", earlier, ["outlier 1 exponent alpha=0.3"]),
        ("losses", losses, ["test_loss limit alpha=0.16 lam=0.1", "test_loss gap exponent alpha=0.16 lam=0.1"]),
        ("later", later, ["test_loss limit alpha=0.29 lam=0.1"]),
    ]


LOSSES = {"rank": 2, "degree": 2, "ell": 2}
BARE = {"measure": {"rank": 2, "degree": 2, "ell": 1, "test_samples": 1}, "model": {"eta_scale": 4.0}}


def show_bounds(folder: Path, client: Client, last: int, only: str) -> None:
    """Prints what is possible at several alphas; cells of one alpha are timed, and a larger pilot has the variances."""
    print(f"{BOUND}\n{'|---' * 5}|")
    for name, made, _ in cases(last):
        if name not in WIDE:
            continue
        alphas, tables, targets = WIDE[name]
        timed = Comparison(name, made, folder, client)
        counts = {n: PILOT for n in made.axes.n if n <= PILOT_SIZE}
        timed.cube(counts)
        seconds = timed.measured(last)
        wide = Comparison(f"{name}-bound", study(alphas, list(made.axes.n), 0.1, **tables), folder, client)
        pilot = wide.cube({n: int(np.clip(12000 / n, 24, 200)) for n in counts})
        for target in (t.format(a) for t in targets for a in alphas):
            if target.startswith(only):
                print(bounds(target, pilot, seconds), flush=True)


WIDE: dict[str, tuple[list[float], Any, list[str]]] = {
    "earlier": ([0.2, 0.3, 0.36, 0.42], BARE, ["outlier 1 exponent alpha={}", "outlier 2 exponent alpha={}"]),
    "later": (
        [0.1, 0.16, 0.2, 0.29],
        {"measure": LOSSES},
        ["test_loss limit alpha={} lam=0.1", "test_loss gap exponent alpha={} lam=0.1"],
    ),
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("equal-hours"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--largest", type=int, choices=SIZES[-3:], default=4000)
    parser.add_argument("--foretell", action="store_true")
    parser.add_argument("--bound", action="store_true")
    parser.add_argument("--only", default="", help="targets that begin so")
    asked = parser.parse_args()
    asked.folder.mkdir(exist_ok=True)
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client:
        if asked.bound:
            show_bounds(asked.folder, client, asked.largest, asked.only)
            return
        print(f"{FORETOLD}\n{'|---' * 6}|" if asked.foretell else f"{HEADER}\n{'|---' * 9}|")
        for name, made, targets in cases(asked.largest):
            for target in (t for t in targets if t.startswith(asked.only)):
                compared = Comparison(name, made, asked.folder, client)
                budgets = [asked.seconds * k for k in (1, 10, 100)]
                found = compared.foretold(target, budgets) if asked.foretell else compared.row(target, asked.seconds)
                print(found, flush=True)


if __name__ == "__main__":
    main()
