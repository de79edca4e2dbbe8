"""One BLAS thread in every test and in what tests start: two cores are soon crowded. The longest files start first."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

LONGEST = (
    "tests/faults/test_slurm",
    "tests/pictures/test_app",
    "tests/pictures/test_views",
    "tests/cube/test_missing",
    "tests/cube/test_cuts",
    "tests/pictures/test_report",
    "tests/faults/test_signals",
    "tests/faults/test_workers",
    "tests/test_",
    "tests/words",
)


def pytest_configure(config: pytest.Config) -> None:
    """`--dist loadfile` keeps the order of the files, where it would begin with those of the most tests."""
    config.option.loadscopereorder = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, a third process takes the files that wait."""
    if config.option.dist != "loadfile":
        return None
    from tests.distribution import WaitingBeside

    return WaitingBeside(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that none of them is left alone at the end."""

    def place(item: pytest.Item) -> int:
        found = [i for i, start in enumerate(LONGEST) if item.nodeid.startswith(start)]
        return found[0] if found else len(LONGEST)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What is imported by now stays: searches for garbage leave it out, and are rarer than in a program that lasts."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
