"""Keeps the result of the slow tests as a table, one row a file, for the page `docs/reference/tested.md`.

sh scripts/slow.sh -v | tee slow.log
python scripts/slow_table.py slow.log > docs/reference/slow.csv
"""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from pathlib import Path

OUTCOME = re.compile(r"(PASSED|FAILED|ERROR|SKIPPED) (tests/\S+?)::")
SECONDS = re.compile(r"^([\d.]+)s (?:call|setup|teardown)\s+(tests/\S+?)::", re.M)


def rows(log: str) -> list[tuple[str, int, int, int, str]]:
    """For each file: how many passed, failed and were left out, and the seconds of all its tests.

    >>> rows("[gw0] [ 50%] PASSED tests/a.py::b \\n[gw1] [100%] FAILED tests/a.py::c \\n1.50s call  tests/a.py::b\\n")
    [('tests/a.py', 1, 1, 0, '2')]
    """
    ended = Counter((file, outcome) for outcome, file in OUTCOME.findall(log))
    taken: Counter[str] = Counter()
    for seconds, file in SECONDS.findall(log):
        taken[file] += float(seconds)  # type: ignore[assignment]
    return [
        (
            file,
            ended[file, "PASSED"],
            ended[file, "FAILED"] + ended[file, "ERROR"],
            ended[file, "SKIPPED"],
            f"{taken[file]:.0f}",
        )
        for file in sorted({file for file, _ in ended})
    ]


if __name__ == "__main__":
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("file", "passed", "failed", "left out", "seconds"))
    writer.writerows(rows(Path(sys.argv[1]).read_text(encoding="utf-8")))
