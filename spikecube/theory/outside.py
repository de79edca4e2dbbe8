"""Bulk edge and outliers of F itself: the conditional equivalence continued to lambda = -x beyond the bulk.

There rho and e are negative, and in log(-rho), log(-e) the right-hand sides of the profile's equations are logarithms
of power series with coefficients >= 0, hence convex and increasing. From any point below the solution Newton's method
rises to it monotonically, and it fails only where there is none: below the edge, the smallest x with a solution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from spikecube.model.hermite import Array
from spikecube.theory.bulk import bulk_of
from spikecube.theory.conditional import Images, images, jacobian, linear_parts, log_residual, moved, overlaps
from spikecube.theory.newton import ConvergenceError
from spikecube.theory.parameters import Model
from spikecube.theory.profile import Profile, resolved_profile

_ROUNDS = 60
_FAR = 1e24  # times the guess: steps of n^alpha in Hermite coefficients of degree 4 and more reach far beyond the bulk
_TOLERANCE = 1e-8
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
        """rho and e at some smaller x by the tangent, which lies below the solution because it is convex in x."""
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
    below : a solution at some larger x, to start from.
    """
    lam = np.array([[-x]])
    rho, e = below.tangent(x) if below is not None and below.x >= x else _far(profile, lam)
    longest = math.inf
    for _ in range(_ROUNDS):
        if e.min() <= -1:
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
        if step.max() > longest:  # towards a solution steps shrink
            return None
        longest = max(step.max(), 0.1)
        rho, e = moved(rho, e, step)
    return None


def _far(profile: Profile, lam: Array) -> tuple[Array, Array]:
    """A point below every solution: rho = 1/lambda and the e that it gives, with no feedback."""
    rho = np.repeat(1 / lam, len(profile.kappa), axis=1)
    weight = profile.samples * rho
    return rho, weight @ (profile.linear**2 + profile.noise)


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
    edge = math.inf
    for _ in range(_ROUNDS):
        m, slope = _trace(profile, point)
        trace, slopes = [*trace[-3:], m], [*slopes[-3:], slope]
        last, (edge, rise) = edge, _extrapolated(point.x, np.array(trace), np.array(slopes))
        if abs(edge - last) < _CLOSE * edge:
            return Edge(edge, math.sqrt(2 / rise), point)
        share = 0.3 if len(trace) < 3 else 0.03
        point = _closer(profile, point, edge + share * (point.x - edge))
    raise ConvergenceError(f"the edge near x = {point.x:.6g} is not approached within {_ROUNDS} steps: {profile.name}")


def _extrapolated(x: float, trace: Array, slopes: Array) -> tuple[float, float]:
    """x_+ and d^2x/dm^2 there, from dx/dm at the last few m (the last one belongs to x); at first a crude aim."""
    if len(trace) == 1:
        return 0.9 * x, 1.0
    slope = np.polynomial.Polynomial.fit(trace - trace[-1], slopes, len(trace) - 1, domain=[])
    roots = slope.roots()
    ahead = roots.real[(np.abs(roots.imag) < 1e-12) & (roots.real < 0)]
    if not len(ahead):
        return 0.9 * x, 1.0
    root = float(ahead.max())
    return x + float(slope.integ()(root)), abs(float(slope.deriv()(root)))


def _somewhere_outside(profile: Profile, guess: float) -> Point:
    x = guess
    while x < _FAR * guess:
        point = solve_outside(profile, x)
        if point is not None:
            return point
        x *= 1.2
    raise ConvergenceError(f"no x beyond the bulk is found up to {x:.6g}: {profile.name}")


def _closer(profile: Profile, point: Point, aim: float) -> Point:
    """The solution at `aim`, or as far towards it as there is one."""
    for _ in range(_ROUNDS):
        found = solve_outside(profile, aim, point)
        if found is not None:
            return found
        aim = (aim + point.x) / 2
    return point


def _trace(profile: Profile, point: Point) -> tuple[float, float]:
    """m = sum_kappa nu rho and dx/dm."""
    weight = profile.samples * point.rho[0]
    return float(weight.sum()), 1 / float(weight @ point.slope[0, : len(weight)])


def conditional_edge(model: Model, n: int, alpha: float, *, share: float = SHARE) -> Edge:
    """The edge of the bulk of F F^T/n at finite n, from the conditional equivalence.

    Raises
    ------
    ValueError
        If the initial output is not vanishing.
    ConvergenceError
        If the edge is not found.
    """
    return find_edge(resolved_profile(model, n, alpha, share), 1.02 * bulk_of(model, n).edge)


def conditional_outliers(model: Model, n: int, alpha: float, *, share: float = SHARE) -> tuple[Array, Edge]:
    """Singular values of F/sqrt n beyond its bulk, largest first, and the edge of that bulk.

    x is the square of an outlier where <m,m> + diag(1/w) is singular, <f,g> being the form of the resolvent without
    the mean part: where an eigenvalue of -n sqrt(w) <m,m> sqrt(w) is 1. Every eigenvalue falls as x grows.

    Raises
    ------
    ValueError
        If the initial output is not vanishing.
    ConvergenceError
        If the edge is not found.
    """
    profile = resolved_profile(model, n, alpha, share)
    edge = find_edge(profile, 1.02 * bulk_of(model, n).edge)
    count = int(np.sum(_strengths(profile, edge.point) > 1))
    return np.sqrt([_position(profile, edge.point, k) for k in range(count)]), edge


def _strengths(profile: Profile, point: Point) -> Array:
    """The eigenvalues of -n sqrt(w) <m,m> sqrt(w), largest first."""
    root = np.sqrt(point.at.w)[:, None, :]
    mean = profile.mean * root
    gram, _, _ = overlaps(profile, point.rho, linear_parts(profile, point.at.w), mean)
    return np.linalg.eigvalsh(-profile.n * gram[0])[::-1]


def _position(profile: Profile, inside: Point, k: int) -> float:
    """x where the k-th eigenvalue is 1; it is above 1 at `inside`."""
    low, high = inside.x, inside.x * max(1.1, float(_strengths(profile, inside)[k]))
    far = solve_outside(profile, high)
    while far is None or _strengths(profile, far)[k] > 1:
        low, high = (low, 2 * high) if far is None else (high, 2 * high)
        far = solve_outside(profile, high)
    known = [inside, far]

    def excess(t: float) -> float:
        x = math.exp(t)
        nearest = min((point for point in known if point.x >= x), key=lambda point: point.x, default=None)
        point = solve_outside(profile, x, nearest) or inside  # none: x is that of `inside`, up to rounding
        known.append(point)
        return math.log(_strengths(profile, point)[k])

    return math.exp(optimize.brentq(excess, math.log(low), math.log(high), xtol=1e-6))
