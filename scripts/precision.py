"""Measures what single precision costs in accuracy, and how many seeds the exact test risk saves.

python scripts/precision.py [--sizes 800 4000] [--activation relu] [--seeds 24]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from spikecube.cube.cell import compute_cell
from spikecube.study.study import Measure, Model

ALPHAS, LAMS, ENTROPY = (0.0, 0.2, 0.3, 0.45), (0.01, 0.1, 1.0, 10.0), 20231011


def cells(model: Model, n: int, seeds: range, **measure: Any) -> Iterator[dict[str, Any]]:
    for seed in seeds:
        yield compute_cell(model, Measure(**measure), n=n, seed=seed, alphas=ALPHAS, lams=LAMS, entropy=ENTROPY)


def single_precision(model: Model, n: int) -> dict[str, float]:
    """The largest error of each variable in float32, relative to its largest value, over three seeds."""
    pairs = list(zip(cells(model, n, range(3)), cells(model, n, range(3), precision="float32"), strict=True))
    return {
        name: max(float(np.max(np.abs(s[name] - d[name])) / np.max(np.abs(d[name]))) for d, s in pairs)
        for name in pairs[0][0]
        if name != "status"
    }


def precision_table(model: Model, sizes: list[int]) -> Iterator[str]:
    columns = [single_precision(model, n) for n in sizes]
    yield f"| largest error of float32, {model.activation} | {' | '.join(f'n = {n}' for n in sizes)} |"
    yield "|---" * (1 + len(sizes)) + "|"
    for name in columns[0]:
        yield f"| `{name}` | {' | '.join(f'{column[name]:.0e}' for column in columns)} |"


def seeds_saved(model: Model, n: int, count: int) -> Iterator[str]:
    """Variance over seeds with a test batch of n over that with the exact risk."""
    sampled, exact = (
        np.array([c["test_loss"] for c in cells(model, n, range(count), test_risk=risk)])
        for risk in ("sample", "exact")
    )
    ratio = sampled.var(axis=0, ddof=1) / exact.var(axis=0, ddof=1)
    yield f"| alpha | {' | '.join(f'lambda = {lam:g}' for lam in LAMS)} |"
    yield "|---" * (1 + len(LAMS)) + "|"
    for alpha, row in zip(ALPHAS, ratio, strict=True):
        yield f"| {alpha:g} | {' | '.join(f'{x:.1f}' for x in row)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[800, 4000])
    parser.add_argument("--activation", default="relu")
    parser.add_argument("--seeds", type=int, default=24)
    arguments = parser.parse_args()
    model = Model(activation=arguments.activation)
    print(*precision_table(model, arguments.sizes), "", sep="\n", flush=True)
    print(*seeds_saved(model, min(arguments.sizes) // 2, arguments.seeds), sep="\n")


if __name__ == "__main__":
    main()
