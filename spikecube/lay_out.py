"""A study whose seeds lie where they pay: the design of `scaling` with the costs of `runs`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tomlkit
import xarray as xr

from spikecube.runs.plan import calibrate, processor_time
from spikecube.runs.run import Kernel, default_kernel, run
from spikecube.runs.tasks import missing_tasks, task_cost
from spikecube.scaling.design import design_from
from spikecube.scaling.errors import FitError, TooManySeedsError
from spikecube.scaling.pilot import pilot_curve
from spikecube.scaling.pilot_points import PilotCurve
from spikecube.scaling.targets import Wanted, parse_targets, relaxed
from spikecube.study.study import Study
from spikecube.text import text_table

_PILOT_SEEDS = 8
_PILOT_SECONDS = 120.0  # of processor time that a pilot may take
_RELAXED = 24  # halvings of the factor by which targets are relaxed to a budget


@dataclass(frozen=True)
class LaidOut:
    """A design for a study.

    Attributes
    ----------
    study : the study with seeds by size.
    design : as `design` gives it, its cost in core-hours.
    relaxed : by how much every half-width had to grow for the budget; 1 if the targets are met.
    """

    study: Study
    design: xr.Dataset
    relaxed: float


def lay_out(
    study: Study,
    target: str,
    *,
    pilot: xr.Dataset,
    max_n: int | None = None,
    max_hours: float | None = None,
    hours: Callable[[float], float] | None = None,
) -> LaidOut:
    """The study with the seeds at each of its sizes that meet a target for the least processor time.

    Parameters
    ----------
    target : see `design`.
    pilot : a cube with the spread over seeds at some sizes; see `make_pilot`.
    max_n : largest size that may be used.
    max_hours : core-hours that may be spent; half-widths grow by a common factor where the targets cost more.
    hours : core-hours of one seed at n; measured by default.

    Raises
    ------
    ValueError
        If the target cannot be met with these sizes; the sentence says why.
    """
    sizes = [n for n in study.axes.n if max_n is None or n <= max_n]
    if not sizes:
        raise FitError(f"--max-n {max_n} leaves no size of the study, which has n = {min(study.axes.n)} and more")
    cost = hours or cell_hours(study)
    targets = parse_targets(target)
    curves = [pilot_curve(t, pilot, 1.0) for t in targets]
    if max_hours is None:
        made, factor = design_from(targets, curves, sizes, cost), 1.0
    else:
        made, factor = _within(targets, curves, sizes, cost, max_hours)
    made["cost"].attrs["units"] = "core-hours"
    seeds = {int(n): int(m) for n, m in zip(made.n.values, made.seeds.values, strict=True) if m > 0}
    return LaidOut(with_seeds(study, seeds), made, factor)


def cell_hours(study: Study) -> Callable[[float], float]:
    """Core-hours of one seed at a size of the study, all further axes together: the cost model at a measured speed."""
    kernel = default_kernel(study)
    speed, flops = calibrate(study, kernel), seed_flops(study, kernel)
    return lambda n: flops[int(n)] * speed(int(n)) / 3600


def seed_flops(study: Study, kernel: Kernel) -> dict[int, float]:
    """Operations of one seed at each size of the study, all further axes together, by the cost model."""
    flops = task_cost(study, kernel.flops)
    found = dict.fromkeys(study.axes.n, 0.0)
    for task in missing_tasks(study, {}):
        if task.cell.seed == study.axes.seed[0]:
            found[task.cell.n] += flops(task)
    return found


def make_pilot(study: Study, hours: Callable[[float], float], tell: Callable[[str], None]) -> xr.Dataset:
    """A short run of the study: a few seeds at as many of its sizes, from the smallest on, as fit into two minutes."""
    sizes: list[int] = []
    spent = 0.0
    for n in study.axes.n:
        spent += _PILOT_SEEDS * 3600 * hours(n)
        if sizes and spent > _PILOT_SECONDS:
            break
        sizes.append(n)
    tell(f"no pilot was given: {_PILOT_SEEDS} seeds at n = {', '.join(map(str, sizes))} are run for the spread")
    with tempfile.TemporaryDirectory() as folder:
        return run(with_seeds(study, dict.fromkeys(sizes, _PILOT_SEEDS)), str(Path(folder) / "pilot"))


def lay_out_text(found: LaidOut) -> str:
    """The design as a table, what it promises, and what equal seeds would give for the same time."""
    made = found.design
    total = float(made.cost)
    rows = [
        [f"{n:g}", f"{m:d}", f"{100 * share:.1f}", f"{s:.3f}"]
        for n, m, share, s in zip(
            made.n.values, made.seeds.values, made.cost_share.values, made.sensitivity.values, strict=True
        )
    ]
    lines = [text_table(["n", "seeds", "per cent of time", "sensitivity"], rows), ""]
    lines.append(f"processor time: {processor_time(3600 * total)}")
    for i, text in enumerate(made.target.values.tolist()):
        half, wanted = float(made.half_width[i]), float(made.wanted[i])
        equal, money = float(made.half_width_equal_seeds[i]), float(made.half_width_equal_money[i])
        lines.append(
            f"{text}: half-width {half:.3g} expected; equal seeds for the same time give {equal:.3g} "
            f"({(equal / half) ** 2:.1f} times the cost), equal time at each size {money:.3g}"
        )
        if found.relaxed > 1:
            lines.append(
                f"  {wanted:.3g} cannot be met in this time: it would take {found.relaxed**2:.3g} times as much"
            )
    lines.append(
        f"certificate: no sensitivity above 1; the time is within {100 * float(made.duality_gap):.2g} per cent of least"
    )
    lines += made.attrs["notes"].splitlines()
    return "\n".join(lines)


def with_seeds(study: Study, seeds: dict[int, int]) -> Study:
    """The same study with other sizes and seeds by size; the file keeps its comments."""
    document = tomlkit.parse(study.to_toml())
    axes = document["axes"]
    table = tomlkit.inline_table()
    for n, count in seeds.items():
        table[str(n)] = count
    axes["n"], axes["seed"] = list(seeds), table
    return Study.from_toml(tomlkit.dumps(document))


def _within(
    targets: Sequence[Wanted],
    curves: Sequence[PilotCurve],
    sizes: list[int],
    cost: Callable[[float], float],
    most: float,
) -> tuple[xr.Dataset, float]:
    """The design whose half-widths are all larger by the least factor, 1 or more, that costs no more than `most`."""
    low, high = 1.0, 2.0

    def at(factor: float) -> xr.Dataset | None:
        """The design, or None where it costs too much."""
        asked = [relaxed(t, factor) for t in targets] if factor > 1 else targets
        try:
            made = design_from(asked, curves, sizes, cost)
        except TooManySeedsError:
            return None
        return made if float(made.cost) <= most else None

    if (made := at(low)) is not None:
        return made, low
    made = at(high)
    while made is None:
        low, high = high, 2 * high
        if high > 1e4:
            raise FitError(f"{most:g} core-hours do not pay for the least number of seeds at each size")
        made = at(high)
    for _ in range(_RELAXED):
        if high / low < 1.02:
            break
        middle = float(np.sqrt(low * high))
        trial = at(middle)
        low, high, made = (low, middle, trial) if trial is not None else (middle, high, made)
    notes = made.attrs["notes"]
    for given, text in zip(targets, made.target.values.tolist(), strict=True):
        notes = notes.replace(text, given.text)
    texts, wanted = [t.text for t in targets], [t.half_width for t in targets]
    return made.assign_coords(target=texts).assign(wanted=("target", wanted)).assign_attrs(notes=notes), high
