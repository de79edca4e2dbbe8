"""Outliers of F itself at finite n, and where their left singular vectors point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array, hermite_values
from spikecube.model.parameters import Model
from spikecube.theory.conditional.build import Known
from spikecube.theory.conditional.edge import SHARE, Edge, edge_search, profiles_of_edges
from spikecube.theory.conditional.profile import Profile
from spikecube.theory.conditional.solutions import Point, Query, Search, side_by_side
from spikecube.theory.conditional.strengths import StrengthForm, Strengths, count_outliers, strength_form, strengths
from spikecube.theory.labels_and_spikes import degrees_up_to
from spikecube.theory.newton import ConvergenceError

_ROUNDS = 100
_LAST_STEP = 1e-4  # of log x: Newton's method squares it
_REACH = 0.3  # of log x: a tangent serves so far up


@dataclass(frozen=True)
class ConditionalSpectrum:
    """The edge of the bulk of F F^T/n, and the outliers beyond it.

    Attributes
    ----------
    profile : what they are computed from.
    edge : where the bulk ends.
    outliers : singular values of F/sqrt n, largest first.
    form : of the strengths.
    points : solutions near the outliers' squares.
    """

    profile: Profile
    edge: Edge
    outliers: Array
    form: StrengthForm
    points: tuple[Point, ...]


def conditional_spectra(
    model: Model,
    n: int,
    alphas: Sequence[float],
    degrees: int,
    *,
    share: float = SHARE,
    draws: Sequence[Known | None] | None = None,
) -> list[ConditionalSpectrum]:
    """Edge and outliers of F/sqrt n for each alpha and what is known of its batch, with blocks up to `degrees`.

    x is the square of an outlier where the ridge problem of what is known as functions is singular: where one of the
    strengths is 1. Every strength falls as x grows. An edge or outlier that is not found is a ConvergenceError.
    """
    profiles, guess = profiles_of_edges(model, n, alphas, degrees, share, draws)
    return side_by_side(profiles, [_search(profile, guess) for profile in profiles])


def conditional_spectrum(model: Model, n: int, alpha: float, degrees: int) -> ConditionalSpectrum:
    """That of one step size, see `conditional_spectra`."""
    return conditional_spectra(model, n, [alpha], degrees)[0]


def _search(profile: Profile, guess: float) -> Search[ConditionalSpectrum]:
    edge = yield from edge_search(profile, guess)
    form = strength_form(profile)
    known = [strengths(form, edge.point, count)] if (count := count_outliers(form, edge.point)) else []
    found = []
    for k in range(count):
        found.append((yield from _position(form, known, k)))
    x, points = [x for x, _ in found], tuple(point for _, point in found)
    return ConditionalSpectrum(profile, edge, np.sqrt(x), form, points)


def spike_alignments(model: Model, spectrum: ConditionalSpectrum, degree: int) -> Array:
    """Squared cosines of left singular vectors with orthonormal monomials of kappa, for degrees 1 ... `degree`.

    That of the j-th outlier with the j-th of the monomials whose degrees have c_k != 0, each without what it shares
    with those before it; 0 for other degrees, NaN without a j-th outlier. With theta(x) the strength that is 1 at the
    outlier and q its eigenvector, the residue of h^T R h there is (q^T L^T h)^2/|theta'(x)|.
    """
    profile, orders = spectrum.profile, degrees_up_to(model, degree)
    aligned = np.zeros(degree)
    if not len(orders):
        return aligned
    functions = _orthonormal(profile, orders)
    for j, k in enumerate(orders):
        aligned[k - 1] = _alignment(spectrum, j, functions[j]) if j < len(spectrum.outliers) else np.nan
    return aligned


def _orthonormal(profile: Profile, orders: npt.NDArray[np.int64]) -> Array:
    """The monomials of kappa in turn, each orthogonal to those before it; shape (spikes, kappa)."""
    root = np.sqrt(profile.samples)
    powers = hermite_values(profile.kappa, 1)[1] ** orders[:, None]
    return np.asarray(np.linalg.qr((root * powers).T)[0].T / root)


def _alignment(spectrum: ConditionalSpectrum, j: int, function: Array) -> float:
    form, x = spectrum.form, float(spectrum.outliers[j]) ** 2
    point = side_by_side([form.profile], [_solved(form.profile, x, spectrum.points[j])])[0]
    found = strengths(form, point, j + 1)
    seen = (function * form.profile.samples * found.point.rho) @ form.alone @ found.coefficients[:, j]
    return float(min(seen**2 / abs(found.slopes[j]), 1.0))


def _position(form: StrengthForm, known: list[Strengths], k: int) -> Search[tuple[float, Point]]:
    """x where the k-th strength is 1, and a solution close by; every new point is added to `known`, for all outliers.

    log strength is a falling function of log x, and nearly straight far outside: Newton's method from the closest point
    known, kept between the closest ones on either side.
    """
    for _ in range(_ROUNDS):
        place = np.log([there.point.x for there in known])
        excess = np.log([there.values[k] for there in known])
        nearest = int(np.abs(excess).argmin())
        there = known[nearest]
        step = -excess[nearest] * there.values[k] / (there.point.x * there.slopes[k])
        low, high = place[excess > 0].max(initial=place[0]), place[excess <= 0].min(initial=math.inf)
        if abs(step) < _LAST_STEP or high - low < _LAST_STEP**2:
            return math.exp(place[nearest] + step), there.point
        aim = place[nearest] + step
        if not low < aim < high:
            aim = (low + high) / 2 if high < math.inf else low + max(float(excess.max()), _REACH)
        elif high == math.inf:  # from the edge, where strengths fall steeply, the step is short
            aim = low + excess[nearest]
        x = math.exp(aim)
        closest = known[int(np.abs(place - aim).argmin())].point
        point = yield from _solved(form.profile, x, closest)
        known.append(strengths(form, point, len(known[0].values)))
    raise ConvergenceError(f"outlier {k + 1} is not found within {_ROUNDS} steps: {form.profile.name}")


def _solved(profile: Profile, x: float, near: Point) -> Search[Point]:
    """The solution at x, from a point near it or else from afar."""
    for below in [near] * (math.log(x / near.x) < _REACH) + [None]:
        point = yield Query(x, below)
        if point is not None:
            return point
    raise ConvergenceError(f"no solution at x = {x:.6g}, outside the bulk: {profile.name}")
