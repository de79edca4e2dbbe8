"""Outliers of F itself at finite n, and where their left singular vectors point."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize

from spikecube.model.hermite import Array, hermite_values
from spikecube.theory.conditional.build import Draw
from spikecube.theory.conditional.edge import SHARE, Edge, Point, find_edge, profile_of_edge, solve_outside
from spikecube.theory.conditional.profile import Profile
from spikecube.theory.conditional.ridge_form import spike_matrix
from spikecube.theory.newton import ConvergenceError
from spikecube.theory.parameters import Model
from spikecube.theory.quantities import spike_degrees

_NEARBY = 1e-3  # of x, relative: for the slope of a strength


@dataclass(frozen=True)
class ConditionalSpectrum:
    """The edge of the bulk of F F^T/n, and the outliers beyond it.

    Attributes
    ----------
    profile : what they are computed from.
    edge : where the bulk ends.
    outliers : singular values of F/sqrt n, largest first.
    """

    profile: Profile
    edge: Edge
    outliers: Array


def conditional_spectrum(
    model: Model, n: int, alpha: float, degrees: int, *, share: float = SHARE, draw: Draw | None = None
) -> ConditionalSpectrum:
    """Edge and outliers of F/sqrt n, with blocks up to `degrees`.

    x is the square of an outlier where the ridge problem of what is known as functions is singular: where one of the
    strengths, the eigenvalues of `spike_matrix`, is 1. Every strength falls as x grows.

    Raises
    ------
    ValueError
        If the initial output is not vanishing.
    ConvergenceError
        If the edge is not found.
    """
    profile, guess = profile_of_edge(model, n, alpha, degrees, share, draw)
    edge = find_edge(profile, guess)
    count = int(np.sum(_strengths(profile, edge.point) > 1))
    outliers = np.sqrt([_position(profile, edge.point, k) for k in range(count)])
    return ConditionalSpectrum(profile, edge, outliers)


def spike_alignments(model: Model, spectrum: ConditionalSpectrum, degree: int) -> Array:
    """Squared cosines of left singular vectors with orthonormal monomials of kappa, for degrees 1 ... `degree`.

    That of the j-th outlier with the j-th of the monomials whose degrees have c_k != 0, each without what it shares
    with those before it; 0 for other degrees, NaN without a j-th outlier. With theta(x) the strength that is 1 at the
    outlier and q its eigenvector, the residue of h^T R h there is (q^T L^T h)^2/|theta'(x)|.

    Raises
    ------
    ConvergenceError
        If the equations are not solved next to an outlier.
    """
    profile, orders = spectrum.profile, spike_degrees(model, degree)
    aligned = np.zeros(degree)
    if not len(orders):
        return aligned
    functions = _orthonormal(profile, orders)
    for j, k in enumerate(orders):
        known = j < len(spectrum.outliers)
        aligned[k - 1] = _alignment(profile, float(spectrum.outliers[j]) ** 2, j, functions[j]) if known else np.nan
    return aligned


def _orthonormal(profile: Profile, orders: npt.NDArray[np.int64]) -> Array:
    """The monomials of kappa in turn, each orthogonal to those before it; shape (spikes, kappa)."""
    root = np.sqrt(profile.samples)
    powers = hermite_values(profile.kappa, 1)[1] ** orders[:, None]
    return np.asarray(np.linalg.qr((root * powers).T)[0].T / root)


def _alignment(profile: Profile, x: float, j: int, function: Array) -> float:
    def near(scale: float) -> Point:
        point = solve_outside(profile, x * scale)
        if point is None:
            raise ConvergenceError(f"no solution next to the outlier at x = {x:.6g}", profile.name)
        return point

    here, above = near(1.0), near(1 + _NEARBY)
    matrix, seen = spike_matrix(profile, here.rho, here.at.w, function[None])
    values, vectors = np.linalg.eigh(matrix)
    slope = (_strengths(profile, above)[j] - values[-1 - j]) / (_NEARBY * x)
    return float(min((seen[0] @ vectors[:, -1 - j]) ** 2 / abs(slope), 1.0))


def _strengths(profile: Profile, point: Point) -> Array:
    matrix, _ = spike_matrix(profile, point.rho, point.at.w, np.zeros((0, len(profile.kappa))))
    return np.linalg.eigvalsh(matrix)[::-1]


def _position(profile: Profile, inside: Point, k: int) -> float:
    """x where the k-th strength is 1; it is above 1 at `inside`."""
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

    return math.exp(optimize.brentq(excess, math.log(low), math.log(high), xtol=1e-5))
