"""Bulk edge of F itself: where the solutions beyond the bulk end."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikecube.model.hermite import Array
from spikecube.model.parameters import Model
from spikecube.theory.bulk import bulk_of
from spikecube.theory.conditional.build import Known, parts_for, resolved_profile
from spikecube.theory.conditional.profile import Profile
from spikecube.theory.conditional.solutions import Point, Query, Search, side_by_side
from spikecube.theory.newton import ConvergenceError

_ROUNDS = 60
_FAR = 1e24  # times the guess: steps of n^alpha in Hermite coefficients of degree 4 and more reach far beyond the bulk
_MOVES = 1e-3  # of x, relative
_NEAR = 1.01  # times an edge known to be close by is the first guess
_CRUDE = 0.98  # times x is the first aim
_SHARES = (0.3, 0.2, 0.1)  # of the way to the extrapolated edge that is left, after so many points
_CLOSE = 1e-5  # of the edge, relative
SHARE = 0.1
"""Nodes reach as far as one sample, and one neuron, in ten networks of this size."""


@dataclass(frozen=True)
class Edge:
    """Where the bulk ends: x_+, C of density(x) = (C/pi) sqrt(x_+ - x), and the solution just outside."""

    x: float
    curvature: float
    point: Point


def edge_search(profile: Profile, guess: float) -> Search[Edge]:
    """The edge, approached from outside.

    There x is an analytic function of the trace m = sum_kappa nu rho, x = x_+ + ((m - m_+)/C)^2 + ..., so that both
    are series in s = dx/dm, which vanishes at the edge,

        x = x_+ + a_2 s^2 + a_3 s^3 + ...,    m = m_+ + 2 a_2 s + (3/2) a_3 s^2 + ...,    a_2 = C^2/4.

    Each step finds x_+ from as many terms as the last three points give. A ConvergenceError says that there is no
    solution far out, or that the approach stalls.
    """
    point = yield from _somewhere_outside(profile, guess)
    known: list[tuple[float, float, float]] = []
    below = 0.0
    edge: tuple[float, float] | None = None
    for _ in range(_ROUNDS):
        known = [*known[-2:], (point.x, *_trace(profile, point))]
        last, edge = edge, _extrapolated(*np.array(known).T)
        if last and edge and abs(edge[0] - last[0]) < _CLOSE * edge[0]:
            return Edge(*edge, point)
        if not edge and point.x - below < _CLOSE * point.x:  # a lump of its own, whose edge is sharper than that
            return Edge(point.x, 2 * math.sqrt(point.x - below) / abs(known[-1][2]), point)
        nearest = max(edge[0] if edge else _CRUDE * point.x, below)
        point, below = yield from _closer(point, nearest + _SHARES[len(known) - 1] * (point.x - nearest), below)
    raise ConvergenceError(f"the edge near x = {point.x:.6g} is not approached within {_ROUNDS} steps", profile.name)


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
        point = yield Query(x)
        if point is not None:
            return point
        x *= 1.2
    raise ConvergenceError(f"no x beyond the bulk is found up to {x:.6g}", profile.name)


def _closer(point: Point, aim: float, below: float) -> Search[tuple[Point, float]]:
    """The solution at `aim`, or as far towards it as there is one; and the largest x known to have none."""
    for _ in range(_ROUNDS):
        found = yield Query(aim, point)
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
    """
    profiles, guess = profiles_of_edges(model, n, alphas, degrees, share)
    known = near or [None] * len(alphas)
    starts = [guess if x is None else _NEAR * x for x in known]
    return side_by_side(profiles, [edge_search(*pair) for pair in zip(profiles, starts, strict=True)])


def conditional_edge(model: Model, n: int, alpha: float, degrees: int) -> Edge:
    """That of one step size, see `conditional_edges`."""
    return conditional_edges(model, n, [alpha], degrees)[0]


def profiles_of_edges(
    model: Model,
    n: int,
    alphas: Sequence[float],
    degrees: int,
    share: float,
    draws: Sequence[Known | None] | None = None,
) -> tuple[list[Profile], float]:
    """The profiles that edges and outliers come from, and a first guess of the edges.

    Blocks beyond the first are noise to the resolvent there, and only have coordinates in kappa and xi, unless they
    move the edge of F_0.
    """
    bulk = bulk_of(model, n)
    moves = degrees > 1 and abs(bulk.edge_shift(bulk_of(model, n, degrees))) > _MOVES
    parts = dataclasses.replace(parts_for(degrees), in_bulk=degrees if moves else 1)
    places = zip(alphas, draws or [None] * len(alphas), strict=True)
    return [resolved_profile(model, n, alpha, share, parts, draw=draw) for alpha, draw in places], 1.02 * bulk.edge
