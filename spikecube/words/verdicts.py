"""What many fits say together, put in words once, and what a run says that went on until a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from spikecube.scaling.errors import FitError
from spikecube.scaling.pilot import pilot_curve
from spikecube.scaling.targets import parse_targets
from spikecube.scaling.until import Reached, reached
from spikecube.scaling.verdict import REJECTED
from spikecube.text import number


@dataclass(frozen=True)
class Tally:
    """Curves counted.

    Attributes
    ----------
    compared : closed intervals beside a value of the theory.
    held : those that hold it.
    silent : curves of which theory has a value and the fit no closed interval.
    half_width : median over the compared intervals.
    tested, rejected : compared ones with a test of fit, and those whose law it rejects, as their status does.
    """

    compared: int
    held: int
    silent: int
    half_width: float
    tested: int
    rejected: int


def tally(low: npt.ArrayLike, high: npt.ArrayLike, theory: npt.ArrayLike, gof_pvalue: npt.ArrayLike) -> Tally:
    """Intervals counted; all of one shape, NaN where something is missing.

    >>> tally([0.0, 1.0], [1.0, np.inf], [0.5, 1.5], [0.001, 0.5])
    Tally(compared=1, held=1, silent=1, half_width=0.5, tested=1, rejected=1)
    """
    a, b, t, p = (np.asarray(v, dtype=float).ravel() for v in (low, high, theory, gof_pvalue))
    compared = np.isfinite(a) & np.isfinite(b) & np.isfinite(t)
    held = compared & (a <= t) & (t <= b)
    half = float(np.median(b[compared] - a[compared]) / 2) if compared.any() else float("nan")
    tested = compared & np.isfinite(p)
    silent = int((np.isfinite(t) & ~compared).sum())
    rejected = int((tested & (p < REJECTED)).sum())
    return Tally(int(compared.sum()), int(held.sum()), silent, half, int(tested.sum()), rejected)


def tally_fit(fit: xr.Dataset) -> Tally:
    """The intervals of a fit, counted, one for every estimate."""
    names = ("ci_low", "ci_high", "expected", "gof_pvalue")
    known = fit if "gof_pvalue" in fit else fit.assign(gof_pvalue=np.nan)
    return tally(*(known[v].broadcast_like(fit["estimate"]).transpose(*fit["estimate"].dims) for v in names))


def held_text(counted: Tally) -> str:
    """How many intervals hold the theory's value, and how wide they are: a wide one holds it easily.

    >>> held_text(Tally(4, 3, 1, 0.123, 4, 0))
    "3 of 4 intervals of 95 per cent (median half-width 0.12) hold the theory's value, 1 more is not resolved"
    """
    if not counted.compared:
        return "none is resolved at these sizes"
    width = number(float(f"{counted.half_width:.2g}"))
    silent = f", {counted.silent} more {'is' if counted.silent == 1 else 'are'} not resolved" if counted.silent else ""
    if counted.compared == 1:
        verb = "holds" if counted.held else "does not hold"
        return f"the one interval of 95 per cent (half-width {width}) {verb} the theory's value{silent}"
    return (
        f"{counted.held} of {counted.compared} intervals of 95 per cent (median half-width {width}) hold the theory's "
        f"value{silent}"
    )


def rejection(counted: Tally) -> str:
    """What the lack-of-fit test says of the compared laws.

    >>> rejection(Tally(9, 9, 0, 0.1, 9, 0)), rejection(Tally(9, 9, 0, 0.1, 9, 2))  # doctest: +NORMALIZE_WHITESPACE
    ('The lack-of-fit test rejects none',
     'The lack-of-fit test rejects 2 of 9 at 1 per cent: do not trust their intervals')
    """
    if not counted.tested:
        return "There is no test of fit"
    if not counted.rejected:
        return "The lack-of-fit test rejects none"
    level = number(100 * REJECTED)
    return (
        f"The lack-of-fit test rejects {counted.rejected} of {counted.tested} at {level} per cent: "
        "do not trust their intervals"
    )


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
