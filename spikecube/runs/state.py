"""How far a run has come, read from its folder."""

from __future__ import annotations

import fcntl
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spikecube.notebook import Shown
from spikecube.runs.folder import Contents, RunFolder, run_paths
from spikecube.study.study import Cell, Study
from spikecube.text import text_table

_STATES = ("complete", "failed", "pending")


@dataclass(frozen=True)
class State(Shown):
    """Cells by state, in all and by n; failures with their errors; files that do not belong among the shards."""

    run: str
    title: str
    running: bool
    cells: int
    complete: int
    failed: int
    pending: int
    by_n: dict[int, dict[str, int]]
    failures: list[dict[str, Any]]
    foreign: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        working = ", a driver works on it now" if self.running else ""
        lines = [f"{self.run}{f': {self.title}' if self.title else ''}{working}"]
        rows = [[str(n), *(str(row[k]) for k in _STATES)] for n, row in self.by_n.items()]
        rows.append(["all", str(self.complete), str(self.failed), str(self.pending)])
        lines.append(text_table(["n", *_STATES], rows))
        lines += [f"failed: {_cell(f).describe()}: {f.get('error')}" for f in self.failures[:20]]
        if len(self.failures) > 20:
            lines.append(f"and {len(self.failures) - 20} more failures: see --json")
        for reason in sorted(set(self.foreign.values())):
            names = [name for name, why in self.foreign.items() if why == reason]
            lines.append(f"{names[0]}{f' and {len(names) - 1} more' if names[1:] else ''} among the shards: {reason}")
        return "\n".join(lines)


def status(name: str | Path) -> State:
    """How far a run has come: cells by state, in all and by n, and failures with their errors.

    Raises
    ------
    StoreError
        If there is no such run.
    """
    return run_state(RunFolder.existing(run_paths(name)[0]))


def run_state(folder: RunFolder) -> State:
    """The state of a run; a cell is complete when every alpha and lam of the study is there."""
    study, contents = folder.study, folder.contents()
    failures = {_cell(e): e for e in folder.events() if e.get("event") == "failed"}
    by_n = {n: dict.fromkeys(_STATES, 0) for n in study.axes.n}
    open_failures = []
    for cell in study.cells():
        failure = failures.get(cell)
        if is_complete(study, contents, cell):
            state = "complete"
        elif failure is not None:
            state = "failed"
            open_failures.append(failure)
        else:
            state = "pending"
        by_n[cell.n][state] += 1
    totals = {state: sum(row[state] for row in by_n.values()) for state in _STATES}
    cells = sum(totals.values())
    return State(
        str(folder.path),
        study.title,
        _is_locked(folder.path),
        cells,
        **totals,
        by_n=by_n,
        failures=open_failures,
        foreign=contents.foreign,
    )


def is_complete(study: Study, contents: Contents, cell: Cell) -> bool:
    """Whether every point of a cell is present."""
    points = contents.points.get(cell, [])
    if points == [(study.axes.alpha, study.axes.lam)]:
        return True
    there = {(a, lam) for alphas, lams in points for a in alphas for lam in lams}
    return bool(points) and all((a, lam) in there for a in study.axes.alpha for lam in study.axes.lam)


def _is_locked(path: Path) -> bool:
    """Whether a driver works in the folder now."""
    try:
        with (path / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _cell(event: dict[str, Any]) -> Cell:
    further = event.get("further")
    return Cell(event.get("n", 0), event.get("seed", 0), tuple(further.items()) if isinstance(further, dict) else ())
