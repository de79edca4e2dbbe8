"""A run that goes on in rounds until its estimates are as sharp as asked: joins `scaling` and `runs`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube.errors import SpikecubeError
from spikecube.lay_out import seed_flops, with_seeds
from spikecube.runs.folder import RunFolder, run_paths
from spikecube.runs.plan import calibrate
from spikecube.runs.progress import duration
from spikecube.runs.run import Kernel, Report, Settings, default_kernel, opened, run_study
from spikecube.runs.state import is_complete
from spikecube.scaling.targets import parse_targets
from spikecube.scaling.types import Array
from spikecube.scaling.until import FIRST_SEEDS, Round, rounds
from spikecube.study.study import Study

_FIRST_FLOPS = 4e12  # of the first round: two minutes of one core


class _CellsFailedError(SpikecubeError, RuntimeError):
    """Some cells of a round failed: it says nothing before they are there."""


@dataclass(frozen=True)
class Ended:
    """How a run in rounds ended.

    Attributes
    ----------
    report : of the last round's run.
    last : the last round that was judged; None if its cells failed before.
    """

    report: Report
    last: Round | None

    @property
    def reached(self) -> bool:
        """Whether every target was reached."""
        return self.last is not None and self.last.end == "reached"


def run_until(
    study: Study | str | Path,
    target: str,
    name: str | Path | None = None,
    client: Any = None,
    *,
    hours: float | None = None,
    workers: int | None = None,
    tell: Callable[[str], None] | None = None,
) -> xr.Dataset:
    """The cube of a study whose seeds grow in rounds until a target is reached, kept as `run` keeps it.

    The seeds of the study are not used: a first round has eight at its smallest sizes. After each round the laws are
    fitted and the cheapest further seeds laid out anew. Called again it goes on, also in the middle of a round.
    The attribute `until` of the cube holds the target.

    Parameters
    ----------
    target : see `design`, such as "outlier 2 exponent alpha=0.39 = 0.01"; several are separated by semicolons.
    hours : core-hours that may be spent in all.
    tell : is given one line after each round.
    study, name, client, workers : see `run`.

    Raises
    ------
    ValueError
        If a target is not understood, or cannot be met with the sizes of the study; the sentence says why.
    """
    parsed = Study.of(study)
    if name is None and isinstance(study, Study):
        raise SpikecubeError("run_until: given no name for this study; allowed: a name, as for run")
    kept = Path(str(study)).stem if name is None else name
    ended = go_on(parsed, target, kept, client, Settings(workers), hours=hours, tell=tell)
    assert ended.report.cube is not None
    return ended.report.cube


def go_on(
    study: Study,
    target: str,
    name: str | Path,
    client: Any = None,
    settings: Settings | None = None,
    kernel: Kernel | None = None,
    *,
    hours: float | None = None,
    tell: Callable[[str], None] | None = None,
) -> Ended:
    """As `run_until`, with all settings."""
    targets, kernel, settings = parse_targets(target), kernel or default_kernel(study), settings or Settings()
    flops = seed_flops(study, kernel)
    sizes = sorted(flops)
    cost = np.array([flops[n] for n in sizes])
    first = _begun(run_paths(name)[0], sizes, cost)
    folder = RunFolder(run_paths(name)[0], _laid_out(study, sizes, first))
    price = _prices(folder.goal(), study, kernel, sizes, cost)
    with opened(folder, settings):
        folder.keep_goal({"target": target, "hours": dict(zip(map(str, sizes), price.tolist(), strict=True))})
    reports, last = [], None

    def grow(wanted: Array) -> xr.Dataset:
        laid = _laid_out(study, sizes, wanted)
        reports.append(run_study(laid, name, client, settings, kernel))
        if reports[-1].failures:
            raise _CellsFailedError
        assert reports[-1].cube is not None
        return reports[-1].cube

    budget = np.inf if hours is None else hours
    try:
        for last in rounds(targets, grow, np.array(sizes, dtype=float), cost, first, price=price, budget=budget):
            if tell is not None:
                tell(_round_text(last, hours))
    except _CellsFailedError:
        last = None
    return Ended(reports[-1], last)


def _laid_out(study: Study, sizes: list[int], seeds: Array) -> Study:
    return with_seeds(study, {n: int(m) for n, m in zip(sizes, seeds, strict=True) if m > 0})


def _begun(path: Path, sizes: list[int], cost: Array) -> Array:
    """The seeds of the round that a folder is in: those of its study's table; else the first round's and whole ones."""
    first = _first_seeds(cost)
    if not (path / "study.toml").is_file():
        return first
    folder = RunFolder.existing(path)
    counts = folder.study.axes.counts or _whole(folder)
    there = np.array([counts.get(n, 0) for n in sizes], dtype=float)
    return there if folder.study.axes.counts and there.any() else np.maximum(there, first)


def _whole(folder: RunFolder) -> dict[int, int]:
    """How many seeds from 0 on are complete at each size of a folder's study."""
    contents, whole = folder.contents(), dict.fromkeys(folder.study.axes.n, 0)
    complete: dict[tuple[int, int], bool] = {}
    for cell in folder.study.cells():
        key = cell.n, cell.seed
        complete[key] = complete.get(key, True) and is_complete(folder.study, contents, cell)
    for n, seed in sorted(complete):
        if seed == whole[n] and complete[n, seed]:
            whole[n] += 1
    return whole


def _first_seeds(cost: Array) -> Array:
    """A few seeds at as many sizes, from the smallest on, as fit into two minutes.

    >>> _first_seeds(np.array([1e9, 1e10, 1e12])).tolist()
    [8.0, 8.0, 0.0]
    """
    fits = np.cumsum(cost) * FIRST_SEEDS <= _FIRST_FLOPS
    fits[0] = True
    return np.where(fits, float(FIRST_SEEDS), 0.0)


def _prices(goal: dict[str, Any], study: Study, kernel: Kernel, sizes: list[int], cost: Array) -> Array:
    """Core-hours of one seed at each size: as a folder keeps them, or measured now."""
    known = goal.get("hours")
    if isinstance(known, dict) and {str(n) for n in sizes} <= set(known):
        return np.array([float(known[str(n)]) for n in sizes])
    speed = calibrate(study, kernel)
    return np.array([c * speed(n) / 3600 for n, c in zip(sizes, cost, strict=True)])


def _round_text(done: Round, hours: float | None = None) -> str:
    """`0.017 of 0.01 reached, 1.2 h spent, 50 min to go`, in time of one core; what ends the rounds, and why.

    >>> _round_text(Round(np.ones(2), [], 0.5, 2.0))
    'nothing can be said yet, 30 min spent, 2.0 h to go'
    """
    spent, to_go = duration(3600 * done.spent), duration(3600 * done.to_go)
    parts = [f"{r.half_width:.2g} of {r.target.half_width:g}" for r in done.found]
    state = f"{' and '.join(parts)} reached" if parts else "nothing can be said yet"
    text = f"{state}, {spent} spent"
    if done.end == "reached":
        return f"{text}: done"
    if done.end == "budget":
        return f"{text}: the {hours:g} h are spent, and {to_go} more would be needed"
    return f"{text}: it cannot be met, since {done.end}" if done.end else f"{text}, {to_go} to go"
