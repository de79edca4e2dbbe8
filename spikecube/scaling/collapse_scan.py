"""A collapse over all its windows and smallest sizes, and intervals that allow for a choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from spikecube.scaling.collapse_ansatz import derived_table, parameter_table
from spikecube.scaling.collapse_linear import UsedPoints, covariance_of, enough, linearised, noise_of
from spikecube.scaling.collapse_quality import judge, shift_test
from spikecube.scaling.collapse_root import settle
from spikecube.scaling.collapse_search import SearchEnd
from spikecube.scaling.collapse_task import Stage
from spikecube.scaling.master_curve import descend, frugal_sizes
from spikecube.scaling.types import Array, Arrays, over
from spikecube.scaling.verdict import REJECTED

_SHARES = (1.0, 0.7, 0.5)  # of the points, inside the windows that are tried
_LEVEL = 0.05  # of the tests that a choice has to pass
_PER_PARAM = ("estimate", "stderr", "ci_low", "ci_high")
_SCALARS = ("chi2", "dof", "gof_pvalue", "pattern_pvalue")


@dataclass(frozen=True)
class Choice:
    """One window and smallest size.

    Attributes
    ----------
    used : (P,), which points.
    theta : (p,), the minimum in the units of the search; `rest` says whether the search ended there.
    covariance : (p, p), of the parameters in the units of the data.
    table : arrays (p,) by name, estimates with their errors and intervals; `derived` are those of each observable.
    tests : arrays (M,) by name, of each observable.
    """

    used: Array
    theta: Array
    rest: bool
    covariance: Array
    table: dict[str, Array]
    derived: list[dict[str, Array]]
    tests: dict[str, Array]

    def passes(self, level: float = _LEVEL) -> bool:
        """Whether no test of the points rejects it."""
        looks = np.concatenate([self.tests["gof_pvalue"], self.tests["pattern_pvalue"]])
        return bool(self.rest and not (looks < level).any())


@dataclass(frozen=True)
class Scan:
    """Choices by (window, smallest size), where enough points are left.

    Attributes
    ----------
    widths, smallest : (W,) and (S,), largest |u| of each window and the smallest sizes.
    strict : the least choice that is allowed; `admitted` are those that agree with it.
    """

    widths: Array
    smallest: Array
    choices: dict[tuple[int, int], Choice]
    strict: tuple[int, int]
    admitted: list[tuple[int, int]]

    @property
    def best(self) -> Choice:
        """The admitted choice with the most points."""
        return max((self.choices[place] for place in self.admitted), key=lambda c: c.used.sum())


def scan(task: Stage, found: SearchEnd, free: Array, expected: Array) -> Scan:
    """All windows and smallest sizes, and which are admitted.

    Windows hold all, 70 and 50 per cent of the points, by |u| at the parameters of the collapse of all points. The
    narrowest choice allowed keeps half of the points and more than half of the sizes, and is not rejected at 1 per cent
    itself (all may be). It is admitted always, others where neither the test of fit nor the pattern of residuals
    rejects them at 5 per cent, nor the shift of the parameters to those of the narrowest.
    """
    u, sizes = np.abs(task.scaled(found.theta)), np.unique(task.points.size)
    widths = np.quantile(u, _SHARES)
    choices = {}
    for i, j in product(range(len(widths)), range(max(len(sizes) - 2, 1))):
        mask = (u <= widths[i]) & (task.points.size >= sizes[j])
        if enough(task.points, mask):
            choices[i, j] = _choice(task, mask, found, free, expected)
    deepest = len(sizes) - max(3, len(sizes) // 2 + 1)
    allowed = [place for place in choices if place[1] <= max(deepest, 0)]
    strict = max(allowed, key=lambda place: (choices[place].passes(REJECTED), place[1], place[0]))
    admitted = [p for p in allowed if p == strict or _agrees(choices[p], choices[strict], free)]
    return Scan(widths, task.raw.sizes[-len(sizes) :][: max(len(sizes) - 2, 1)], choices, strict, admitted)


def _choice(task: Stage, mask: Array, found: SearchEnd, free: Array, expected: Array) -> Choice:
    """The minimum over some of the points, near that over all of them."""
    problem: UsedPoints = task.problem(mask, free)
    form, points = task.form, problem.points
    theta = (
        descend(form, points, found.theta, frugal_sizes(form, points, found.theta), free)[0]
        if len(free)
        else found.theta
    )
    theta, rest = settle(form, points, theta, free)
    linear = linearised(problem, theta)
    covariance, t_dof = covariance_of(problem, linear, noise_of(problem, linear))
    quality, unit = judge(problem, linear), task.frame.unit(form)
    own, wide = task.frame.shift(form) + unit * theta, covariance * np.outer(unit, unit)
    derived = [derived_table(form, own, wide, t_dof, k) for k in range(task.plane[0])] if form.name == "power" else []
    tests = {name: getattr(quality, name) for name in _SCALARS}
    return Choice(mask, theta, rest, wide, parameter_table(form, own, wide, t_dof, expected), derived, tests)


def _agrees(choice: Choice, strict: Choice, free: Array) -> bool:
    """Whether a choice passes its tests, and its parameters are those of the narrowest, which knows less.

    The variance of the difference of an efficient estimate and another is the difference of their variances.

    References
    ----------
    Hausman, Econometrica 46 (1978) 1251.
    """
    if not choice.passes():
        return False
    if not len(free):
        return True
    shift = (strict.table["estimate"] - choice.table["estimate"])[free]
    spread = (strict.covariance - choice.covariance)[np.ix_(free, free)]
    if not np.isfinite(spread).all():
        return False
    values, vectors = np.linalg.eigh(spread)
    moved = shift_test(shift, (vectors * np.maximum(values, 0.0)) @ vectors.T, np.inf)
    return not moved < _LEVEL


def hull(scan_: Scan) -> dict[str, Array]:
    """Intervals (p,) that hold those of all admitted choices, and their p-values.

    The narrowest choice is not chosen by the data and is always among them, so that the hull holds the truth at least
    as often as its interval does. A value has the largest p-value of the choices, and 1 between their estimates.
    """
    tables = [scan_.choices[place].table for place in scan_.admitted]
    low, high = (np.stack([t[name] for t in tables]) for name in ("ci_low", "ci_high"))
    estimate, pvalue = np.stack([t["estimate"] for t in tables]), np.stack([t["pvalue"] for t in tables]).max(0)
    expected = tables[0]["expected"]
    between = (estimate.min(0) <= expected) & (expected <= estimate.max(0)) & np.isfinite(pvalue)
    return {"ci_low": low.min(0), "ci_high": high.max(0), "pvalue": np.where(between, 1.0, pvalue)}


def derived_hull(scan_: Scan, part: int) -> dict[str, Array]:
    """The same for 1/nu and zeta/nu of one part."""
    tables = [scan_.choices[place].derived[part] for place in scan_.admitted]
    low, high = (np.stack([t[name] for t in tables]) for name in ("derived_low", "derived_high"))
    return {"derived_low": low.min(0), "derived_high": high.max(0)}


def scan_variables(scan_: Scan, rows: Array, part: int, chi2_unit: float) -> Arrays:
    """The whole scan of one part, over (scan_window, scan_n_min)."""
    plane = (len(scan_.widths), len(scan_.smallest))
    dims = ("scan_window", "scan_n_min")

    def spread(values: Mapping[tuple[int, int], Any], *tail: int) -> Array:
        table = np.full((*plane, *tail), np.nan)
        for place, value in values.items():
            table[place] = value
        return table

    found = {
        f"scan_{name}": (
            (*dims, "param"),
            spread({p: c.table[name][rows] for p, c in scan_.choices.items()}, len(rows)),
        )
        for name in _PER_PARAM
    }
    tests = {name: spread({p: c.tests[name][part] for p, c in scan_.choices.items()}) for name in _SCALARS}
    tests |= {"chi2": tests["chi2"] * chi2_unit, "nobs": spread({p: c.used.sum() for p, c in scan_.choices.items()})}
    admitted = spread(dict.fromkeys(scan_.admitted, 1.0)) == 1.0
    return found | over(dims, **{f"scan_{name}": values for name, values in tests.items()}, scan_admitted=admitted)


def scan_note(scan_: Scan) -> str:
    """What was chosen, in a sentence."""
    n_choices, best = len(scan_.choices), scan_.best
    place = next(p for p in scan_.admitted if scan_.choices[p] is best)
    if not best.passes():
        return "No choice of window and sizes passes its tests: the narrowest is reported."
    return (
        f"The data chose |u| <= {scan_.widths[place[0]]:.4g} and sizes from {scan_.smallest[place[1]]:g} on; the "
        f"intervals hold those of all {len(scan_.admitted)} of {n_choices} choices that no test rejects, the narrowest "
        f"always among them."
    )
