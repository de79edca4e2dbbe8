"""What a run that went on until a target says of it, in its last lines and in those of a later fit."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from spikecube.scaling.errors import FitError
from spikecube.scaling.pilot import pilot_curve
from spikecube.scaling.targets import parse_targets
from spikecube.scaling.until import Reached, reached
from spikecube.text import number


def stopped_text(found: Sequence[Reached]) -> str:
    """One line for each target: estimate, interval, the law behind them, and why they differ from those of a fit."""
    return "\n".join(map(_one, found))


def _one(found: Reached) -> str:
    head = f"{found.target.text}: "
    if found.half_width == float("inf"):
        return f"{head}no closed interval. {found.problem}".strip()
    wider = 100 * (found.wider - 1)
    problem = f" {found.problem}" if found.problem else ""
    return (
        f"{head}{number(found.estimate)} [{number(found.low)}, {number(found.high)}], half-width "
        f"{found.half_width:.2g}, by {found.law}; {wider:.1f} per cent wider than the interval of a fit of this law, "
        f"since the run goes on until it is narrow.{problem}"
    )


def stopped_at(cube: xr.Dataset) -> str:
    """The same for a cube of such a run; an empty text for any other, and for one that was cut."""
    try:
        targets = parse_targets(str(cube.attrs["until"]))
        found = reached(targets, [pilot_curve(t, cube, 1.0) for t in targets], cube.sizes["seed"])
    except (KeyError, FitError):
        return ""
    return f"This run went on until a target.\n{stopped_text(found)}"
