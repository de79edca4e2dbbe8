"""Bulk edge of F itself: the conditional equivalence continued to lambda = -x beyond the bulk.

There rho and e are negative, and in log(-rho), log(-e) the right-hand sides of the profile's equations are logarithms
of power series with coefficients >= 0, hence convex and increasing. From any point below the solution Newton's method
rises to it monotonically, and it fails only where there is none: below the edge, the smallest x with a solution.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array
from spikecube.theory.bulk import bulk_of
from spikecube.theory.conditional.build import Draw, parts_of, resolved_profile
from spikecube.theory.conditional.equations import images, jacobian, log_residual, moved
from spikecube.theory.conditional.profile import Profile, System, stacked, taken
from spikecube.theory.newton import ConvergenceError
from spikecube.theory.parameters import Model

_ROUNDS = 60
_FAR = 1e24  # times the guess: steps of n^alpha in Hermite coefficients of degree 4 and more reach far beyond the bulk
_TOLERANCE = 1e-8
_MOVES = 1e-3  # of x, relative
_NEAR = 1.01  # times an edge known to be close by is the first guess
_CRUDE = 0.98  # times x is the first aim
_SHARES = (0.3, 0.2, 0.1)  # of the way to the extrapolated edge that is left, after so many points
_SHORT, _SHRINK = 0.1, 0.75  # steps this short at least halve, as near a double root; with some room
_CLOSE = 1e-5  # of the edge, relative
SHARE = 0.1
"""Nodes reach as far as one sample, and one neuron, in ten networks of this size."""


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


@dataclass(frozen=True)
class Edge:
    """Where the bulk ends: x_+, C of density(x) = (C/pi) sqrt(x_+ - x), and the solution just outside."""

    x: float
    curvature: float
    point: Point


class Asked(NamedTuple):
    """A solution that is wanted: at x, from another one at some larger x or a little below x, or from afar."""

    x: float
    below: Point | None = None


Answer = TypeVar("Answer")
Search = Generator[Asked, Point | None, Answer]
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


def solve_outside(profile: Profile, x: float, below: Point | None = None) -> Point | None:
    """The solution at x, or None where there is none because x is not beyond the edge.

    Parameters
    ----------
    below : a solution to start from, at some larger x or a little below x.
    """
    return _solve_all(stacked([profile]), [profile], [Asked(x, below)])[0]


def _solve_all(system: System, profiles: Sequence[Profile], asked: Sequence[Asked]) -> list[Point | None]:
    """What is asked of each profile of a stacked system. The way to a solution rises, by steps that shrink."""
    x = np.array([a.x for a in asked])
    lam, longest = -x[:, None, None], np.full(len(x), math.inf)
    found: list[Point | None] = [None] * len(asked)
    open_ = np.ones(len(x), dtype=bool)
    with np.errstate(all="ignore"):  # where there is no solution the way may lead to infinity: that is the answer
        rho, e = _starts(system, lam, asked)
        for _ in range(_ROUNDS):
            at = images(system, lam, rho, e)
            open_ &= _all(e > -1) & _all(at.rho < 0) & _all(at.e < 0)
            residual = log_residual(rho, e, at)[:, 0]
            done = open_ & (np.abs(residual).max(axis=1) < _TOLERANCE)
            source = np.concatenate([at.rho, np.zeros_like(e)], axis=-1)[:, 0]
            step = _solved(jacobian(system, rho, e, at)[:, 0], np.where(done[:, None], source, -residual))
            for i in np.flatnonzero(done):
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


def _starts(system: System, lam: Array, asked: Sequence[Asked]) -> tuple[Array, Array]:
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


def edge_search(profile: Profile, guess: float) -> Search[Edge]:
    """The edge, approached from outside.

    There x is an analytic function of the trace m = sum_kappa nu rho, x = x_+ + ((m - m_+)/C)^2 + ..., so that both
    are series in s = dx/dm, which vanishes at the edge,

        x = x_+ + a_2 s^2 + a_3 s^3 + ...,    m = m_+ + 2 a_2 s + (3/2) a_3 s^2 + ...,    a_2 = C^2/4.

    Each step finds x_+ from as many terms as the last three points give.

    Raises
    ------
    ConvergenceError
        If no x with a solution is found, or the approach stalls.
    """
    point = yield from _somewhere_outside(profile, guess)
    known: list[tuple[float, float, float]] = []
    edge, below = None, 0.0
    for _ in range(_ROUNDS):
        known = [*known[-2:], (point.x, *_trace(profile, point))]
        last, edge = edge, _extrapolated(*np.array(known).T)
        if last and edge and abs(edge[0] - last[0]) < _CLOSE * edge[0]:
            return Edge(*edge, point)
        nearest = max(edge[0] if edge else _CRUDE * point.x, below)
        point, below = yield from _closer(point, nearest + _SHARES[len(known) - 1] * (point.x - nearest), below)
    raise ConvergenceError(f"the edge near x = {point.x:.6g} is not approached within {_ROUNDS} steps", profile.name)


def find_edge(profile: Profile, guess: float) -> Edge:
    """What `edge_search` finds in one profile."""
    return side_by_side([profile], [edge_search(profile, guess)])[0]


def _extrapolated(x: Array, trace: Array, slope: Array) -> tuple[float, float] | None:
    """x_+ and C from x, m and dx/dm at the last few points; None while they do not bend towards an edge."""
    if len(x) == 1:
        return None
    size, j = slope.max(), np.arange(2, 2 * len(x))
    s, zero, one = slope[:, None] / size, np.zeros((len(x), 1)), np.ones((len(x), 1))
    rows = np.vstack([np.hstack([one, zero, s**j]), np.hstack([zero, one, j / (j - 1) * s ** (j - 1)])])
    edge, _, bend = np.linalg.solve(rows, np.append(x, (trace - trace[-1]) * size))[:3]
    return (float(edge), 2 * math.sqrt(bend) / size) if bend > 0 and edge < x[-1] else None


def _somewhere_outside(profile: Profile, guess: float) -> Search[Point]:
    x = guess
    while x < _FAR * guess:
        point = yield Asked(x)
        if point is not None:
            return point
        x *= 1.2
    raise ConvergenceError(f"no x beyond the bulk is found up to {x:.6g}", profile.name)


def _closer(point: Point, aim: float, below: float) -> Search[tuple[Point, float]]:
    """The solution at `aim`, or as far towards it as there is one; and the largest x known to have none."""
    for _ in range(_ROUNDS):
        found = yield Asked(aim, point)
        if found is not None:
            return found, below
        aim, below = (aim + point.x) / 2, aim
    return point, below


def _trace(profile: Profile, point: Point) -> tuple[float, float]:
    """m = sum_kappa nu rho and dx/dm."""
    weight = profile.samples * point.rho
    return float(weight.sum()), 1 / float(weight @ point.slope[: len(weight)])


def conditional_edges(
    model: Model,
    n: int,
    alphas: Sequence[float],
    degrees: int,
    *,
    share: float = SHARE,
    near: Sequence[float | None] | None = None,
) -> list[Edge]:
    """The edges of the bulk of F F^T/n at finite n, from the conditional equivalence with blocks up to `degrees`.

    Parameters
    ----------
    alphas : a step size for each edge.
    share : of a sample, and of a neuron, that lies beyond the nodes of kappa and a.
    near : for each edge an x known to be close, where there is one.

    Raises
    ------
    ValueError
        If the initial output is not vanishing.
    ConvergenceError
        If an edge is not found.
    """
    profiles, searches = [], []
    for alpha, known in zip(alphas, near or [None] * len(alphas), strict=True):
        profile, guess = profile_of_edge(model, n, alpha, degrees, share)
        profiles.append(profile)
        searches.append(edge_search(profile, guess if known is None else _NEAR * known))
    return side_by_side(profiles, searches)


def conditional_edge(model: Model, n: int, alpha: float, degrees: int) -> Edge:
    """That of one step size, see `conditional_edges`."""
    return conditional_edges(model, n, [alpha], degrees)[0]


def profile_of_edge(
    model: Model, n: int, alpha: float, degrees: int, share: float, draw: Draw | None = None
) -> tuple[Profile, float]:
    """The profile that edge and outliers come from, and a first guess of the edge.

    Blocks beyond the first are noise to the resolvent there, and only have coordinates in kappa and xi, unless they
    move the edge of F_0.
    """
    bulk = bulk_of(model, n)
    moves = degrees > 1 and abs(bulk.edge_shift(bulk_of(model, n, degrees))) > _MOVES
    parts = dataclasses.replace(parts_of(degrees), in_bulk=degrees if moves else 1)
    return resolved_profile(model, n, alpha, share, parts, draw=draw), 1.02 * bulk.edge
