"""Times the answers that people wait for, each beside what it may take at most, and writes a page of the documentation.

    python scripts/waiting.py [--output docs/reference/timings/waiting.md]

One run, one process, one BLAS thread, processor time, the median of five. A ratio is taken / allowed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import xarray as xr

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


class Answer(NamedTuple):
    """What is waited for, how it is got, how many repetitions one call holds, and the seconds allowed."""

    question: str
    give: Callable[[], object]
    count: int
    allowed: float


def seconds(answer: Answer) -> float:
    answer.give()
    taken = []
    for _ in range(5):
        begun = time.process_time()
        answer.give()
        taken.append((time.process_time() - begun) / answer.count)
    return statistics.median(taken)


def theory_answers() -> list[Answer]:
    from spikecube.cube.predict import predict
    from spikecube.study.study import Model, Study
    from spikecube.theory import finite_losses
    from spikecube.theory.bulk import bulk_of
    from spikecube.theory.bulk_density import eigenvalue_density

    bulk, lam = bulk_of(Model()), np.logspace(-6, 3, 20)

    def bulk_values() -> None:
        bulk.moments(np.logspace(-10, 6, 10_000))
        bulk.outside(bulk.edge_e * np.logspace(-4, 0, 10_001)[:-1])
        eigenvalue_density(bulk, np.linspace(0.001, 1.1, 10_000) * bulk.edge)

    def points() -> None:
        for alpha in (0.1, 0.2, 0.3, 0.4, 0.48):
            finite_losses(Model(), lam, 1000, alpha)

    cubed = Study(
        axes={
            "alpha": {"start": 0.0, "stop": 0.5, "num": 20},
            "n": [100 * k for k in range(1, 21)],
            "seed": 1,
            "lam": {"start": 1e-3, "stop": 100.0, "num": 20, "spacing": "log"},
        }
    )
    limits = ["train_loss_limit", "test_loss_limit", "train_loss_spiked", "test_loss_spiked"]
    return [
        Answer("m_1, m_2, continuation and density of the bulk, 10,000 values each", bulk_values, 1, 1.0),
        Answer("losses of F at one (alpha, n), 20 penalties", points, 5, 0.025),
        Answer("limits and F_ell on a 20 x 20 x 20 grid", lambda: predict(cubed, only=limits), 1, 2.0),
        Answer("everything predicted on a 20 x 20 x 20 grid", lambda: predict(cubed), 1, 15.0),
    ]


def collapse_answers() -> list[Answer]:
    from spikecube.scaling import collapse

    n = xr.DataArray(2 ** np.arange(5, 13), dims="n", coords={"n": 2 ** np.arange(5, 13)})
    x = xr.DataArray(np.linspace(0.2, 0.8, 100), dims="x", coords={"x": np.linspace(0.2, 0.8, 100)})
    clean = (n**-0.125 * (1 - np.tanh((x - 0.45) * n**0.5 / 3))).transpose("n", "x")
    data = clean + 0.005 * np.random.default_rng(1).standard_normal(clean.shape)
    return [
        Answer(
            "collapse of 8 sizes x 100 points",
            lambda: collapse(data, control="x", stderr=xr.DataArray(0.005)),
            1,
            1.0,
        )
    ]


def explorer_answers() -> list[Answer]:
    """Every step of a slider on a cube of more than 10^6 values, with control variates, two views at a time."""
    from scripts.madeup import fill, made_prediction, study_of
    from spikecube.pictures.app import Explorer
    from spikecube.pictures.app_page import page
    from spikecube.pictures.sources import Fixed

    lams = {"start": 1e-3, "stop": 10.0, "num": 40, "spacing": "log"}
    alphas = np.linspace(0, 0.48, 29).round(4).tolist()
    cube = fill(study_of(alpha=alphas, n=[100, 200, 400, 800, 1600], seed=20, lam=lams), controls=True)
    size = sum(v.size for v in cube.data_vars.values())
    explorer = Explorer(Fixed(cube), made_prediction(cube))
    page(explorer).get_root()

    def answer(left: str, right: str, axis: str) -> Answer:
        labels = list(explorer.sliders[axis].options.values())

        def move() -> None:
            explorer.choices[0].value, explorer.choices[1].value = left, right
            for label in (*labels[1:], labels[0]):
                explorer.sliders[axis].value = label

        question = f"explorer, one step along {axis} in the views {left} and {right}, {size / 1e6:.1f} million values"
        return Answer(question, move, len(labels), 0.1)

    return [
        answer("spectrum", "singular", "n"),
        answer("agree_test", "test", "lam"),
        answer("test", "train", "lam"),
        answer("spectrum", "gap_spiked", "alpha"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "reference" / "timings" / "waiting.md")
    arguments = parser.parse_args()
    lines = [
        "# Waiting",
        "",
        "Measured by `python scripts/waiting.py` in one run: one process, one BLAS thread, processor",
        "time, the median of five.",
        "",
        "| answer | seconds | allowed | ratio |",
        "|---|---|---|---|",
    ]
    for answer in (*theory_answers(), *collapse_answers(), *explorer_answers()):
        taken = seconds(answer)
        lines.append(f"| {answer.question} | {taken:.3g} | {answer.allowed:g} | {taken / answer.allowed:.2f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    arguments.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
