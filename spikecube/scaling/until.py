"""Rounds of seeds until estimates are as sharp as asked: what is reached, and where the next seeds go.

An estimate whose error is estimated too small stops early, so that intervals of runs that stop at their own width hold
the truth too rarely. The variance V of the estimate, known with f degrees of freedom, is on average too small by about
V c/f at the stop, and intervals are widened by (1 + c/f)^{1/2}; see `_WIDER`. Runs that end with the seeds they began
with could stop only once, and c is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from spikecube.scaling.allocation import LEAST_SEEDS, Aim, allocate, determined, half_width_of, support
from spikecube.scaling.design import absurd, aim_of
from spikecube.scaling.errors import FitError
from spikecube.scaling.pilot import pilot_curve
from spikecube.scaling.pilot_points import PilotCurve
from spikecube.scaling.power import MOST_SEEDS
from spikecube.scaling.results import SENTENCES
from spikecube.scaling.targets import Wanted
from spikecube.scaling.types import Array

_WIDER = 3.0  # c: calibrated by scripts/until_coverage.py
_WIDER_AT_FIRST = 1.0  # c of runs that end in their first round
FIRST_SEEDS = 8  # at the sizes of the first round
GROWTH = 4  # the most by which the seeds of a size grow in one round
_MARGIN = 0.97  # of a half-width, at which the next round aims
_TRUST = 2.0  # the most by which a fit may correct what the design expects of it
_RELAXED = 16  # halvings of the factor by which targets are relaxed to what is left of a budget
_MOST_RELAXED = 1e3


@dataclass(frozen=True)
class Reached:
    """What the seeds so far say of a target.

    Attributes
    ----------
    target : what was asked for.
    estimate, low, high : with the 95 per cent interval, widened for the stop by the factor `wider`.
    dof : degrees of freedom of its error.
    status : of the fit, a key of `SENTENCES`.
    law : that was fitted, as a formula.
    """

    target: Wanted
    estimate: float
    low: float
    high: float
    wider: float
    dof: float
    status: str
    law: str

    @property
    def half_width(self) -> float:
        """Half the length of the interval; infinite where it is open or unknown."""
        return (self.high - self.low) / 2

    @property
    def met(self) -> bool:
        """Whether the interval is as short as asked."""
        return self.half_width <= self.target.half_width

    @property
    def problem(self) -> str:
        """Why the interval may not be trusted, or an empty text."""
        return "" if self.status == "ok" else SENTENCES[self.status]


def reached(targets: Sequence[Wanted], curves: Sequence[PilotCurve], most: float) -> list[Reached]:
    """What the seeds so far say of each target, by fits of the laws with their corrections; `most` at one size."""
    answers = []
    for target, found in zip(targets, (curve.found() for curve in curves), strict=True):
        wider = widening(found.dof, most > FIRST_SEEDS)
        low, high = (found.estimate + wider * (end - found.estimate) for end in (found.low, found.high))
        if not np.isfinite(found.estimate):
            low, high = -np.inf, np.inf
        answers.append(Reached(target, found.estimate, low, high, wider, found.dof, found.status, found.law))
    return answers


def widening(dof: float, grown: bool = True) -> float:
    """The factor (1 + c/f)^{1/2} of an interval at which a run stopped, its error known with f degrees of freedom.

    Parameters
    ----------
    grown : whether any size has more seeds than a first round gives it, else c is `_WIDER_AT_FIRST`.

    Examples
    --------
    >>> round(widening(20.0), 3), round(widening(20.0, grown=False), 3), widening(float("inf"))
    (1.072, 1.025, 1.0)
    """
    return float(np.sqrt(1 + (_WIDER if grown else _WIDER_AT_FIRST) / dof)) if dof > 0 else 1.0


def _next_seeds(
    found: Sequence[Reached],
    curves: Sequence[PilotCurve],
    sizes: Array,
    seeds: Array,
    cost: Array,
    price: Array,
    budget: float,
) -> tuple[Array, Array]:
    """Seeds at each size after the next round, and those that are expected to reach every target; both (K,).

    The cheapest design that has the present seeds in it. Where fits had other half-widths than the design foretold,
    it asks for as much more or less. Seeds of a size grow by a factor of 4 at most in one round, since variances are
    better known after it.

    Parameters
    ----------
    found, curves : of `reached` and `pilot_curve`.
    sizes, seeds, cost : (K,); at present, and of one seed.
    price, budget : of one seed, (K,), and the most that may be spent from now on. Where the targets take more, all
        half-widths grow by one factor; where it buys nothing, the seeds stay what they are.

    Raises
    ------
    ValueError
        If the sizes do not determine an estimate.
    """
    aims = [_corrected(aim_of(c, r.target, sizes), r, seeds) for c, r in zip(curves, found, strict=True)]
    least = np.maximum(seeds, np.where(seeds > 0, 1.0, support(aims, cost)) * LEAST_SEEDS)
    paid = wanted = _wanted(aims, seeds, cost, least, 1.0)
    if price @ (wanted - seeds) > budget:
        paid = _within(aims, seeds, cost, least, price, budget)
    return np.minimum(paid, np.maximum(GROWTH * seeds, FIRST_SEEDS)), wanted


@dataclass(frozen=True)
class Round:
    """The state after one round.

    Attributes
    ----------
    seeds : (K,), that were there.
    found : one for each target; none where the seeds do not say anything of them yet.
    spent, to_go : prices, of the seeds that are there and of those that are still expected to be needed.
    end : why no round follows: "reached", "budget", or what keeps the targets from being reached; else empty.
    """

    seeds: Array
    found: list[Reached]
    spent: float
    to_go: float
    end: str = ""


def rounds(
    targets: Sequence[Wanted],
    grow: Callable[[Array], xr.Dataset | xr.DataArray],
    sizes: Array,
    cost: Array,
    seeds: Array,
    *,
    price: Array | None = None,
    budget: float = np.inf,
    omega: float = 1.0,
) -> Iterator[Round]:
    """Rounds of growing, fitting and planning anew, until every target is reached or no round can follow.

    Parameters
    ----------
    grow : data with as many seeds at each size as it is given, all earlier ones among them.
    sizes, cost, seeds : (K,); cost of one seed, which the seeds are chosen by, and seeds of the first round, where some
        sizes may have none.
    price, budget : of one seed (K,), the cost by default, and the most for all seeds together. Without a budget a
        target that `design` refuses ends the rounds at once; a budget is spent for what it buys.
    omega : see `pilot_curve`.

    Raises
    ------
    ValueError
        If the data at all sizes do not hold what a target speaks of.
    """
    price = cost if price is None else price
    while True:
        data, spent = grow(seeds), float(price @ seeds)
        try:
            curves = [pilot_curve(t, data, omega) for t in targets]
            found = reached(targets, curves, float(seeds.max()))
            following, wanted, reason = seeds, seeds, ""
            if not all(r.met for r in found):
                following, wanted = _next_seeds(found, curves, sizes, seeds, cost, price, budget - spent)
                reason = _absurd(found, curves, sizes, cost) if np.isinf(budget) else ""
        except FitError:
            first = (seeds == 0) & (np.cumsum(seeds == 0) == 1)  # the smallest size that has no seeds
            found, following, reason = [], np.where(first, FIRST_SEEDS, seeds), ""
            if (following == seeds).all():
                raise
            wanted = following
        to_go = float(price @ (wanted - seeds))
        end = _end(found, seeds, following, spent, to_go, budget) or reason
        yield Round(seeds, found, spent, to_go, end)
        if end:
            return
        seeds = following


def _absurd(found: Sequence[Reached], curves: Sequence[PilotCurve], sizes: Array, cost: Array) -> str:
    """What `design` refuses targets for that are not met, from what is known of the variances now."""
    aims = [aim_of(c, r.target, sizes) for c, r in zip(curves, found, strict=True) if not r.met]
    return next(filter(None, (absurd(a, cost, allocate([a], cost).seeds) for a in aims)), "")


def _end(found: list[Reached], seeds: Array, following: Array, spent: float, to_go: float, budget: float) -> str:
    if found and all(r.met for r in found):
        return "reached"
    if spent + to_go > budget and (following == seeds).all():
        return "budget"
    if following.max() > MOST_SEEDS:
        return f"it would take more than {MOST_SEEDS} seeds at one size"
    if (following == seeds).all():
        return " ".join(r.problem for r in found if not r.met) or "no further seeds make the interval shorter"
    return ""


def _corrected(aim: Aim, found: Reached, seeds: Array) -> Aim:
    """The aim whose formula gives what fits need: the half-width asked for times foretold over found."""
    asked = aim.half_width * _MARGIN
    there = aim.restrict(seeds > 0)
    if np.isfinite(found.half_width) and (seeds > 0).sum() >= len(aim.direction) and determined(there):
        foretold = half_width_of(there, seeds[seeds > 0].astype(float))
        later = found.half_width / found.wider * widening(found.dof)
        asked *= float(np.clip(foretold / later, 1 / _TRUST, _TRUST))
    return replace(aim, half_width=asked)


def _wanted(aims: Sequence[Aim], seeds: Array, cost: Array, least: Array, factor: float) -> Array:
    relaxed = [replace(a, half_width=a.half_width * factor) for a in aims]
    return np.maximum(allocate(relaxed, cost, least=least).seeds, seeds)


def _within(aims: Sequence[Aim], seeds: Array, cost: Array, least: Array, price: Array, budget: float) -> Array:
    """The seeds whose half-widths are all larger by the least factor that can be paid for."""
    low, high, paid = 0.0, float(np.log(_MOST_RELAXED)), seeds
    for _ in range(_RELAXED):
        middle = (low + high) / 2
        trial = _wanted(aims, seeds, cost, least, float(np.exp(middle)))
        if price @ (trial - seeds) <= budget:
            high, paid = middle, trial
        else:
            low = middle
        if high - low < 0.03:
            break
    return paid
