"""Bulk edge of F itself: the conditional equivalence continued to lambda = -x beyond the bulk.

There rho and e are negative, and in log(-rho), log(-e) the right-hand sides of the profile's equations are logarithms
of power series with coefficients >= 0, hence convex and increasing. From any point below the solution Newton's method
rises to it monotonically, and it fails only where there is none: below the edge, the smallest x with a solution.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from spikecube.model.hermite import Array
from spikecube.theory.bulk import bulk_of
from spikecube.theory.conditional.build import Draw, parts_of, resolved_profile
from spikecube.theory.conditional.equations import Images, images, jacobian, log_residual, moved
from spikecube.theory.conditional.profile import Profile
from spikecube.theory.newton import ConvergenceError
from spikecube.theory.parameters import Model

_ROUNDS = 60
_FAR = 1e24  # times the guess: steps of n^alpha in Hermite coefficients of degree 4 and more reach far beyond the bulk
_TOLERANCE = 1e-8
_MOVES = 1e-3  # of x, relative
_NEAR = 1.01  # times an edge known to be close by is the first guess
_CRUDE = 0.98  # times x is the first aim
_SHARES = (0.3, 0.5, 0.3, 0.2)  # of the way to the extrapolated edge that is left, after so many points
_CLOSE = 1e-5  # of the edge, relative
SHARE = 0.1
"""Nodes reach as far as one sample, and one neuron, in ten networks of this size."""


@dataclass(frozen=True)
class Point:
    """The solution at x, rho and e being negative, with the equations' right-hand sides; leading axes of length 1.

    slope is d log(rho, e)/dx.
    """

    x: float
    rho: Array
    e: Array
    at: Images
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


def solve_outside(profile: Profile, x: float, below: Point | None = None) -> Point | None:
    """The solution at x, or None where there is none because x is not beyond the edge.

    Parameters
    ----------
    below : a solution to start from, at some larger x or a little below x.
    """
    lam = np.array([[-x]])
    rho, e = below.tangent(x) if below is not None else _far(profile, lam)
    longest = math.inf
    with np.errstate(all="ignore"):  # where there is no solution the way may lead to infinity: that is the answer
        for _ in range(_ROUNDS):
            if not e.min() > -1:
                return None
            at = images(profile, lam, rho, e)
            if not (np.all(at.rho < 0) and np.all(at.e < 0)):
                return None
            residual = log_residual(rho, e, at)
            if np.abs(residual).max() < _TOLERANCE:
                source = np.concatenate([at.rho, np.zeros_like(e)], axis=1)
                slope = np.linalg.solve(jacobian(profile, rho, e, at), source[..., None])[..., 0]
                return Point(x, rho, e, at, slope)
            try:
                step = -np.linalg.solve(jacobian(profile, rho, e, at), residual[..., None])[..., 0]
            except np.linalg.LinAlgError:
                return None
            if not step.max() <= longest:  # towards a solution steps shrink
                return None
            longest = max(step.max(), 0.1)
            rho, e = moved(rho, e, step)
    return None


def _far(profile: Profile, lam: Array) -> tuple[Array, Array]:
    """A point below every solution: rho = 1/lambda and the e that it gives, with no feedback."""
    rho = np.repeat(1 / lam, len(profile.kappa), axis=1)
    return rho, (profile.samples * rho) @ profile.power


def find_edge(profile: Profile, guess: float) -> Edge:
    """The edge, approached from outside.

    There x is an analytic function of the trace m = sum_kappa nu rho, x = x_+ + ((m - m_+)/C)^2 + ..., so that
    dx/dm vanishes linearly: each step extrapolates it from the two last points.

    Raises
    ------
    ConvergenceError
        If no x with a solution is found, or the approach stalls.
    """
    point = _somewhere_outside(profile, guess)
    trace: list[float] = []
    slopes: list[float] = []
    edge, below = math.inf, 0.0
    for _ in range(_ROUNDS):
        m, slope = _trace(profile, point)
        trace, slopes = [*trace[-3:], m], [*slopes[-3:], slope]
        last, (edge, rise) = edge, _extrapolated(point.x, np.array(trace), np.array(slopes))
        if abs(edge - last) < _CLOSE * edge:
            return Edge(edge, math.sqrt(2 / rise), point)
        aim = max(edge, below) + _SHARES[len(trace) - 1] * (point.x - max(edge, below))
        point, below = _closer(profile, point, aim, below)
    raise ConvergenceError(f"the edge near x = {point.x:.6g} is not approached within {_ROUNDS} steps", profile.name)


def _extrapolated(x: float, trace: Array, slopes: Array) -> tuple[float, float]:
    """x_+ and d^2x/dm^2 there, from dx/dm at the last few m (the last one belongs to x); at first a crude aim."""
    if len(trace) == 1:
        return _CRUDE * x, 1.0
    slope = np.polynomial.Polynomial.fit(trace - trace[-1], slopes, len(trace) - 1, domain=[])
    roots = slope.roots()
    ahead = roots.real[(np.abs(roots.imag) < 1e-12) & (roots.real < 0)]
    if not len(ahead):
        return _CRUDE * x, 1.0
    root = float(ahead.max())
    return x + float(slope.integ()(root)), abs(float(slope.deriv()(root)))


def _somewhere_outside(profile: Profile, guess: float) -> Point:
    x = guess
    while x < _FAR * guess:
        point = solve_outside(profile, x)
        if point is not None:
            return point
        x *= 1.2
    raise ConvergenceError(f"no x beyond the bulk is found up to {x:.6g}", profile.name)


def _closer(profile: Profile, point: Point, aim: float, below: float) -> tuple[Point, float]:
    """The solution at `aim`, or as far towards it as there is one; and the largest x known to have none."""
    for _ in range(_ROUNDS):
        found = solve_outside(profile, aim, point)
        if found is not None:
            return found, below
        aim, below = (aim + point.x) / 2, aim
    return point, below


def _trace(profile: Profile, point: Point) -> tuple[float, float]:
    """m = sum_kappa nu rho and dx/dm."""
    weight = profile.samples * point.rho[0]
    return float(weight.sum()), 1 / float(weight @ point.slope[0, : len(weight)])


def conditional_edge(
    model: Model, n: int, alpha: float, degrees: int, *, share: float = SHARE, near: float | None = None
) -> Edge:
    """The edge of the bulk of F F^T/n at finite n, from the conditional equivalence with blocks up to `degrees`.

    Parameters
    ----------
    share : of a sample, and of a neuron, that lies beyond the nodes of kappa and a.
    near : an x known to be close to the edge.

    Raises
    ------
    ValueError
        If the initial output is not vanishing.
    ConvergenceError
        If the edge is not found.
    """
    profile, guess = profile_of_edge(model, n, alpha, degrees, share)
    return find_edge(profile, guess if near is None else _NEAR * near)


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
