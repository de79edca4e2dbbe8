"""The command line with a stand-in for the cell: `python -m tests.faults.driver CELL run STUDY ...`.

CELL is the name of a cell function of this module.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from tests.runs import standin

right = standin.cell
raising = standin.raising_at_seed_1
dying = standin.dying_at_seed_1


def slow(model: Any, measure: Any, **arguments: Any) -> standin.Values:
    """A cell that takes a while, in steps of Python that a signal can reach."""
    time.sleep(0.15)
    return standin.cell(model, measure, **arguments)


def endless(model: Any, measure: Any, **arguments: Any) -> standin.Values:
    """A cell that outlasts any test."""
    if arguments["seed"] == 1:
        time.sleep(600)
    return standin.cell(model, measure, **arguments)


def main() -> None:
    from spikecube import cli
    from spikecube.runs import run as run_module

    kernel = standin.kernel(globals()[sys.argv.pop(1)])
    run_module.default_kernel = lambda study: kernel
    cli.main()


if __name__ == "__main__":
    from tests.faults import driver  # cells must belong to a module that workers can import

    driver.main()
