"""Where the curves of two sizes cross, with the covariance of all crossings; arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, stats

from spikecube.scaling.regression import LEVEL, aicc
from spikecube.scaling.splines import Spline
from spikecube.scaling.types import Array

_COEFFICIENTS = (4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 30)
_SPARE = 3  # points more than coefficients, at least
LEAST_POINTS = 6  # of a curve
_GRID = 400
_RESOLVED = 3.0  # standard errors of the slope of the difference, below which there is no crossing


@dataclass(frozen=True)
class SizeCurve:
    """One size: controls (P,), a spline through its points, its coefficients (n,) and their response to them (n, P).

    `covariance` (P, P) is that of the points.
    """

    control: Array
    spline: Spline
    coefficients: Array
    response: Array
    chi2: float
    covariance: Array

    @property
    def dof(self) -> int:
        """Points less coefficients."""
        return len(self.control) - self.spline.size

    def value_at(self, x: Array) -> Array:
        """Values."""
        return np.asarray(self.spline.basis(x) @ self.coefficients)

    def variance(self, x: Array) -> Array:
        """That of the values."""
        response = self.spline.basis(x) @ self.response
        return np.asarray(np.einsum("xp,pq,xq->x", response, self.covariance, response, optimize=True))

    def slope_variance(self, x: Array) -> float:
        """That of the slope at one place (1,)."""
        unit = np.eye(self.spline.size)
        response = np.concatenate([self.spline.slope(x, c) for c in unit]) @ self.response
        return float(response @ self.covariance @ response)


@dataclass(frozen=True)
class Crossing:
    """The crossing of two curves: place, value there, and how the place responds to the points of either, (P,) each."""

    place: float
    value: float
    first: Array
    second: Array


def size_curve(control: Array, y: Array, weight: Array, covariance: Array | None, *, known: bool) -> SizeCurve:
    """The weighted cubic regression spline, one step richer than that with the least corrected Akaike criterion.

    That one trades bias against noise, and intervals know of noise alone.

    Parameters
    ----------
    control, y, weight : (P,).
    covariance : (P, P), of the points; without it they are independent, with variances one over the weights.
    known : whether the weights are one over the variances, and not only in proportion.
    """
    allowed = [b for b in _COEFFICIENTS if b <= max(len(y) - _SPARE, _COEFFICIENTS[0])]
    curves = [_fitted(control, y, weight, b) for b in allowed]
    best = min(range(len(curves)), key=lambda k: aicc(curves[k].chi2, len(y), curves[k].spline.size, known=known))
    curve = curves[min(best + 1, len(curves) - 1)]
    if covariance is None:
        covariance = np.diag((1.0 if known else curve.chi2 / max(curve.dof, 1)) / weight)
    return replace(curve, covariance=covariance)


def _fitted(control: Array, y: Array, weight: Array, n_basis: int) -> SizeCurve:
    spline, root = Spline.through(control, n_basis), np.sqrt(weight)
    basis = spline.basis(control)
    response = np.linalg.pinv(root[:, None] * basis) * root
    coefficients = response @ y
    chi2 = float((weight * (y - basis @ coefficients) ** 2).sum())
    return SizeCurve(control, spline, coefficients, response, chi2, np.empty((0, 0)))


def cross(one: SizeCurve, other: SizeCurve) -> Crossing | None:
    """The crossing of two curves that parts their difference best; None if there is none that is resolved.

    Of all changes of sign it is the one with the largest |sum of d/s beyond it - sum of d/s before it|, d the
    difference and s its error: where both curves are flat, noise crosses itself, and adds nothing.
    """
    low, high = max(one.control.min(), other.control.min()), min(one.control.max(), other.control.max())
    if not low < high:
        return None
    grid = np.linspace(low, high, _GRID)
    difference = other.value_at(grid) - one.value_at(grid)
    error = np.sqrt(one.variance(grid) + other.variance(grid))
    ratio = difference / np.where(error > 0, error, 1.0)
    changes = np.flatnonzero(np.sign(difference[1:]) * np.sign(difference[:-1]) < 0)
    if not len(changes):
        return None
    total = np.cumsum(ratio)
    k = changes[np.abs(total[-1] - 2 * total[changes]).argmax()]

    def apart(x: float) -> float:
        there = np.array([x])
        return float((other.value_at(there) - one.value_at(there))[0])

    place = float(optimize.brentq(apart, *grid[k : k + 2]))
    point = np.array([place])
    slopes = [curve.spline.slope(point, curve.coefficients)[0] for curve in (one, other)]
    slope = slopes[1] - slopes[0]
    if not abs(slope) > _RESOLVED * np.sqrt(one.slope_variance(point) + other.slope_variance(point)):
        return None
    first, second = (curve.spline.basis(point)[0] @ curve.response for curve in (one, other))
    return Crossing(place, float(one.value_at(point)[0]), first / slope, -second / slope)


@dataclass(frozen=True)
class Drift:
    """x(n) = critical + amplitude n^-exponent through K crossings.

    Attributes
    ----------
    theta, low, high, pvalue : (3,), the parameters in this order, ends of intervals, and tests of what is expected.
    covariance : (3, 3), of the parameters.
    fitted : (K,), the law at the sizes; `chi2` is the cost there.
    open_exponent : whether the interval of the exponent is open on a side.
    """

    theta: Array
    covariance: Array
    low: Array
    high: Array
    pvalue: Array
    chi2: float
    fitted: Array
    open_exponent: bool


@dataclass(frozen=True)
class _Profile:
    """The fit at `exponents` (G,): critical and amplitude (G, 2), their covariances (G, 2, 2), and costs (G,)."""

    exponents: Array
    theta: Array
    covariance: Array
    cost: Array


def _profile(sizes: Array, places: Array, root: Array, exponents: Array) -> _Profile:
    unit = sizes.min()
    powers = (sizes / unit) ** -exponents[:, None]
    design = root @ np.stack([np.ones_like(powers), powers], axis=2)
    inverse = np.linalg.pinv(design)
    theta = inverse @ (root @ places)
    cost = ((root @ places - (design @ theta[..., None])[..., 0]) ** 2).sum(1)
    scale = np.stack([np.ones_like(exponents), unit**exponents], axis=1)
    covariance = inverse @ np.swapaxes(inverse, 1, 2)
    return _Profile(exponents, theta * scale, covariance * scale[:, :, None] * scale[:, None, :], cost)


def extrapolate(
    sizes: Array, places: Array, covariance: Array, exponents: tuple[float, float], dof: float, expected: Array
) -> Drift:
    """Generalised least squares of x(n) = critical + amplitude n^-exponent, with profile intervals.

    At given exponent the law is linear; intervals are all values at which the sum of squares, least over the exponents
    between the two ends, has risen by t^2. One end twice holds the exponent.

    Parameters
    ----------
    covariance : (m, m), of the crossings.
    exponents : least and largest.
    dof : of the errors.
    expected : (3,), values that `pvalue` tests.
    """
    root = np.linalg.inv(np.linalg.cholesky(covariance))
    held = exponents[0] == exponents[1]
    grid = np.array(exponents[:1]) if held else np.geomspace(*exponents, _GRID)
    profile = _profile(sizes, places, root, grid)
    best = float(grid[profile.cost.argmin()])
    if not held:
        k = int(np.clip(profile.cost.argmin(), 1, len(grid) - 2))

        def cost(e: float) -> float:
            return float(_profile(sizes, places, root, np.array([e])).cost[0])

        found = optimize.minimize_scalar(cost, bounds=(grid[k - 1], grid[k + 1]), method="bounded")
        best = float(found.x) if found.fun < profile.cost.min() else best
        profile = _profile(sizes, places, root, np.sort(np.append(grid, best)))
    own = _profile(sizes, places, root, np.array([best]))
    theta = np.append(own.theta[0], best)
    spread = _linearised(sizes, theta, root, held)
    rise = stats.t.ppf((1 + LEVEL) / 2, dof) ** 2
    low, high = _intervals(profile, float(own.cost[0]), rise)
    risen = _rises(profile, float(own.cost[0]), expected)
    pvalue = 2 * stats.t.sf(np.sqrt(risen), dof)
    open_exponent = not held and not np.isfinite([low[2], high[2]]).all()
    if held:
        low[2] = high[2] = pvalue[2] = np.nan
    fitted = theta[0] + theta[1] * sizes ** -theta[2]
    return Drift(theta, spread, low, high, pvalue, float(own.cost[0]), fitted, open_exponent)


def _linearised(sizes: Array, theta: Array, root: Array, held: bool) -> Array:
    """The covariance of the parameters to first order, (3, 3)."""
    power = sizes ** -theta[2]
    columns = [np.ones_like(power), power] + ([] if held else [-theta[1] * power * np.log(sizes)])
    inverse = np.linalg.pinv(root @ np.stack(columns, axis=1))
    spread = np.zeros((3, 3))
    spread[: len(columns), : len(columns)] = inverse @ inverse.T
    return spread


def _intervals(profile: _Profile, least: float, rise: float) -> tuple[Array, Array]:
    """Ends (3,) of all values below the rise; an exponent that reaches an end of its grid is open there."""
    slack = rise + least - profile.cost
    inside = slack >= 0
    reach = np.sqrt(np.maximum(slack, 0.0)[:, None] * np.einsum("gkk->gk", profile.covariance))
    low = np.where(inside[:, None], profile.theta - reach, np.inf).min(0)
    high = np.where(inside[:, None], profile.theta + reach, -np.inf).max(0)
    first, last = np.flatnonzero(inside)[[0, -1]]
    end_low = -np.inf if first == 0 else _zero(profile.exponents, slack, first - 1)
    end_high = np.inf if last == len(slack) - 1 else _zero(profile.exponents, slack, last)
    return np.append(low, end_low), np.append(high, end_high)


def _zero(grid: Array, slack: Array, k: int) -> float:
    a, b = slack[k], slack[k + 1]
    return float(grid[k] + (grid[k + 1] - grid[k]) * a / (a - b)) if a != b else float(grid[k])


def _rises(profile: _Profile, least: float, expected: Array) -> Array:
    """By how much the least sum of squares at the expected values exceeds the least of all, (3,)."""
    away = (profile.theta - expected[:2]) ** 2 / np.einsum("gkk->gk", profile.covariance)
    linear = (profile.cost[:, None] + away).min(0)
    of_exponent = np.interp(expected[2], profile.exponents, profile.cost, left=np.nan, right=np.nan)
    return np.asarray(np.maximum(np.append(linear, of_exponent) - least, 0.0))
