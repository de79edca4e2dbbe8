"""Solutions of the profile's equations beyond the bulk, and searches there that go side by side.

There, at lambda = -x, rho and e are negative, and in log(-rho), log(-e) the right-hand sides of the equations are
logarithms of power series with coefficients >= 0, hence convex and increasing. From any point below the solution
Newton's method rises to it monotonically, and it fails only where there is none: below the edge, the smallest x with
a solution.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array
from spikecube.theory.conditional.equations import jacobian, log_residual, moved, right_sides
from spikecube.theory.conditional.profile import Profile, System, stacked, taken

_ROUNDS = 60
_TOLERANCE = 1e-8
_SHORT, _SHRINK = 0.1, 0.75  # steps this short at least halve, as near a double root; with some room


@dataclass(frozen=True)
class Point:
    """The solution at x, rho and e being negative, and w = (N_a/n)/(1 + e).

    slope is d log(rho, e)/dx.
    """

    x: float
    rho: Array
    e: Array
    w: Array
    slope: Array

    def tangent(self, x: float) -> tuple[Array, Array]:
        """rho and e at another x by the tangent, which lies below the solution because it is convex in x."""
        return moved(self.rho, self.e, (x - self.x) * self.slope)


class Query(NamedTuple):
    """A solution that is wanted: at x, from another one at some larger x or a little below x, or from afar."""

    x: float
    below: Point | None = None


Answer = TypeVar("Answer")
Search = Generator[Query, Point | None, Answer]
"""A search that asks for solutions one after the other: None is the answer where x is not beyond the edge."""


def side_by_side(profiles: Sequence[Profile], searches: Sequence[Search[Answer]]) -> list[Answer]:
    """What the searches return, each in its own profile; what all of them ask for next is solved for at once."""
    if not profiles:
        return []
    system, found = stacked(profiles), {}
    asked = {i: next(search) for i, search in enumerate(searches)}
    while asked:
        places = list(asked)
        here = system if len(places) == len(profiles) else taken(system, places)
        points = _solve_all(here, [profiles[i] for i in places], [asked[i] for i in places])
        for i, point in zip(places, points, strict=True):
            try:
                asked[i] = searches[i].send(point)
            except StopIteration as end:
                found[i] = end.value
                del asked[i]
    return [found[i] for i in range(len(profiles))]


def _solve_all(system: System, profiles: Sequence[Profile], asked: Sequence[Query]) -> list[Point | None]:
    """What is asked of each profile of a stacked system. The way to a solution rises, by steps that shrink."""
    x = np.array([a.x for a in asked])
    lam, longest = -x[:, None, None], np.full(len(x), math.inf)
    found: list[Point | None] = [None] * len(asked)
    open_ = np.ones(len(x), dtype=bool)
    with np.errstate(all="ignore"):  # where there is no solution the way may lead to infinity: that is the answer
        rho, e = _starts(system, lam, asked)
        for _ in range(_ROUNDS):
            sides = right_sides(system, lam, rho, e)
            open_ &= _all(e > -1) & _all(sides.rho < 0) & _all(sides.e < 0)
            residual = log_residual(rho, e, sides)[:, 0]
            done = open_ & (np.abs(residual).max(axis=1) < _TOLERANCE)
            source = np.concatenate([sides.rho, np.zeros_like(e)], axis=-1)[:, 0]
            step = _solved(jacobian(system, rho, e, sides)[:, 0], np.where(done[:, None], source, -residual))
            for i in map(int, np.flatnonzero(done)):
                found[i] = _point(profiles[i], asked[i].x, rho[i, 0], e[i, 0], step[i])
            open_ &= ~done & (step.max(axis=1) <= np.where(longest < _SHORT, _SHRINK, 1.0) * longest)
            if not open_.any():
                break
            longest = step.max(axis=1)
            rho, e = moved(rho, e, np.where(open_[:, None], step, 0.0)[:, None])
    return found


def _all(values: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    return np.asarray(values.all(axis=(1, 2)))


def _solved(matrices: Array, right: Array) -> Array:
    """The solutions of several systems, NaN for those that are singular."""
    try:
        return np.asarray(np.linalg.solve(matrices, right[..., None])[..., 0])
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.full_like(right, np.nan)
        return np.concatenate([_solved(*each) for each in zip(matrices[:, None], right[:, None], strict=True)])


def _starts(system: System, lam: Array, asked: Sequence[Query]) -> tuple[Array, Array]:
    """Points below the solutions: by the tangent, or rho = 1/lambda and the e that it gives, with no feedback."""
    rho = np.repeat(1 / lam, system.samples.shape[-1], axis=-1)
    e = (system.samples[:, None, :] * rho) @ system.power
    for i, (x, below) in enumerate(asked):
        if below is not None:
            there, leaves = below.tangent(x)
            rho[i, 0], e[i, 0] = _filled(there, rho.shape[-1]), _filled(leaves, e.shape[-1])
    return rho, e


def _filled(values: Array, length: int) -> Array:
    return np.append(values, np.full(length - len(values), values[-1]))


def _point(profile: Profile, x: float, rho: Array, e: Array, slope: Array) -> Point:
    """A solution, without what the profile was filled up with."""
    kappa, readout, split = len(profile.kappa), len(profile.readout), len(rho)
    e = e[:readout].copy()
    slope = np.concatenate([slope[:kappa], slope[split : split + readout]])
    return Point(x, rho[:kappa].copy(), e, profile.neurons / (1 + e), slope)
