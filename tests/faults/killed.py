"""Runs a study and kills itself at a chosen moment of writing: `python -m tests.faults.killed STUDY NAME WHEN WHAT`.

WHEN is `before` or `after` the file that matches WHAT takes its name. With a target as fifth argument the run goes on
in rounds, and the kill comes in the second.
"""

from __future__ import annotations

import fnmatch
import os
import signal
import sys
from typing import Any


def main() -> None:
    from distributed import Client

    from spikecube.runs import run as run_module
    from spikecube.runs import sweep
    from spikecube.study.study import Study
    from spikecube.until import go_on
    from tests.runs import standin

    study, name, when, what, *goal = sys.argv[1:]
    replace, studies = os.replace, []

    def killing(source: Any, target: Any) -> None:
        studies.extend([target] * str(target).endswith("study.toml"))
        hit = fnmatch.fnmatch(str(target), what) and len(studies) > len(goal)
        if hit and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = killing
    sweep.FLUSH_SECONDS = 0.0
    client = Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0")
    if goal:
        go_on(Study.from_file(study), *goal, name, client, kernel=standin.kernel())
    else:
        run_module.run_study(Study.from_file(study), name, client, kernel=standin.kernel())


if __name__ == "__main__":
    main()
