"""The estimate of a collapse: residuals about a rich curve in which the slopes of a frugal one find nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import linalg

from spikecube.scaling.collapse_ansatz import Ansatz
from spikecube.scaling.master_curve import Points, Reduction, frugal_sizes, reduce, slopes, spline_sizes
from spikecube.scaling.types import Array

UNKNOWN = 1e-6  # part of a slope that is left by all others, below which its parameter is not determined
_CHOICES = 3  # of the sizes of frugal curves, on the way to a root
_STEPS = 200
_LEAST_SHARE = 0.05  # of a step
_LONGEST = 4.0  # step, in those without memory
_SECANT = 1e-3  # part of a step below which its secant teaches nothing
_AT_REST = 1e-14  # gain in parts of the sum of squares, at a root
_NEAR = 1e-3  # of a standard error, squared: where there is no root, or none that rounding shows
_PATIENCE = 20  # steps that bring a root no nearer


def settle(
    form: Ansatz,
    points: Points,
    theta: Array,
    free: Array,
    sizes: tuple[int, ...] | None = None,
    frugal: tuple[int, ...] | None = None,
) -> tuple[Array, bool]:
    """The estimate near theta, and whether it was reached.

    It is the root of S^T r = 0: r the residuals about the curves of `sizes`, S the slopes in the parameters, at frugal
    curves, less what the rich ones take up. At the least squares of the rich curves S would be theirs, at coefficients
    c = c_0 + B^+ e with the noise e of the points. With P = B B^+ and B_i the slope of the design B in a parameter, the
    score c^T B_i^T (1 - P) e has mean 0, its Jacobian the mean I of exact slopes, but its covariance is I + N,

        N_ij = tr (1 - P) B_i (B^T B)^-1 B_j^T ,

    so that the covariance of such estimates is I^-1 (I + N) I^-1 and not I^-1. N grows with the number of coefficients
    and, in parts of I, with the square of the noise; at frugal curves it is small, and `slope_noise` has it.

    Parameters
    ----------
    sizes : of the splines of each part about which residuals are taken, by default those that belong to the points.
    frugal : of those that give the slopes, by default with the least corrected Akaike criterion at the estimate.

    References
    ----------
    Bekker, Econometrica 62 (1994) 657 (N where slopes are linear in the noise, of many instruments).
    """
    if not len(free):
        return theta, True
    sizes, given = sizes or spline_sizes(points), frugal
    own = given or frugal_sizes(form, points, theta)
    for _ in range(_CHOICES):
        theta, rest = _root(form, points, theta, free, sizes, own)
        new = given or frugal_sizes(form, points, theta)
        if not rest or new == own:
            break
        own = new
    return theta, rest


def white_slopes(form: Ansatz, points: Points, theta: Array, free: Array, fit: Reduction) -> tuple[Array, Array]:
    """Weighted slopes in the parameters (P, k), and f'(u) and u f'(u) of each part, at some curves.

    A shift or stretch of u is another f, so that what slopes share with the latter tells nothing of a parameter.
    """
    by_theta, by_u = slopes(form, points, theta, free, fit)
    shifts = np.stack([np.where(points.parts == k, by_u, 0.0) for k in part_numbers(points)], axis=1)
    return points.white(by_theta), points.white(np.concatenate([shifts, shifts * fit.here.u[:, None]], axis=1))


def slope_noise(form: Ansatz, points: Points, theta: Array, free: Array, fit: Reduction, known: Array) -> Array:
    """N of `settle`, (k, k), for independent errors of variance 1 in weighted units.

    Parameters
    ----------
    fit : the frugal curves.
    known : (P, r), an orthonormal basis of what is not counted.
    """
    n_coefficients, moved = len(fit.coefficients), []
    none = replace(fit, coefficients=np.zeros(n_coefficients), value=np.zeros(len(points.y)))
    constant = slopes(form, points, theta, free, none)[0]  # of logarithms: their slopes are affine in the curve
    basis = fit.curve.basis(fit.here.u, fit.here.decay, points.parts)
    for j, one in enumerate(np.eye(n_coefficients)):
        alone = replace(fit, coefficients=one, value=basis[:, j])
        slope = points.white(slopes(form, points, theta, free, alone)[0] - constant) / fit.length[j]
        moved.append(slope - known @ (known.T @ slope))
    spread = linalg.solve_triangular(fit.root, np.stack(moved).reshape(n_coefficients, -1), trans="T")
    spread = spread.reshape(n_coefficients, len(points.y), -1)
    return np.asarray(np.einsum("jpk,jpl->kl", spread, spread))


def part_numbers(points: Points) -> range:
    """The numbers of the observables."""
    return range(int(points.parts.max()) + 1)


def _root(
    form: Ansatz, points: Points, theta: Array, free: Array, sizes: tuple[int, ...], frugal: tuple[int, ...]
) -> tuple[Array, bool]:
    """Newton steps to the root, with what they taught of the Jacobian; shorter where one did not bring it nearer.

    The step is M s, s that of `_step`, whose Jacobian is -1 but for noise and bends. M is 1 first, or less after a step
    that went astray, and then satisfies each secant d = M w (d a step, w by how much it lessened s). Where no root is
    found the start is left as it is.

    References
    ----------
    Broyden, Math. Comp. 19 (1965) 577.
    """
    rounding, near = np.finfo(float).eps ** 2 * float((points.white(points.y) ** 2).sum()), _NEAR / len(points.y)
    memory, share, before, moved = np.eye(len(free)), 1.0, np.zeros(len(free)), np.zeros(len(free))
    start = nearest = theta
    least, last, since = np.inf, np.inf, 0
    for _ in range(_STEPS):
        fit = reduce(form, points, theta, sizes)
        step, gain, metric = _step(fit, *white_slopes(form, points, theta, free, reduce(form, points, theta, frugal)))
        if not np.isfinite(gain):
            break
        nearest, least, since = (theta, gain / fit.cost, 0) if gain < least * fit.cost else (nearest, least, since + 1)
        if since > _PATIENCE and least < near:
            break
        if gain < last:
            memory = _secant(memory, moved, before - step, metric)
        else:
            share = max(share / 2, _LEAST_SHARE)
            memory = share * np.eye(len(free))
        trial = _moved(form, theta, free, memory @ step, _LONGEST * float(np.linalg.norm(metric @ step)), metric)
        if gain <= _AT_REST * fit.cost + rounding:
            return trial, True
        moved, theta, last, before = (trial - theta)[free], trial, gain, step
    return (nearest, True) if least < near else (start, False)


def _moved(form: Ansatz, theta: Array, free: Array, step: Array, longest: float, metric: Array) -> Array:
    """Theta after a step, which is cut to the longest and to the domain."""
    trial, step = theta.copy(), step * min(1.0, longest / max(float(np.linalg.norm(metric @ step)), 1e-300))
    trial[free] += step
    while not form.allows(trial):
        step = step / 2
        trial[free] = theta[free] + step
    return trial


def _secant(memory: Array, moved: Array, lessened: Array, metric: Array) -> Array:
    """Broyden's update of an inverse Jacobian (k, k), in the units of errors that `metric` gives."""
    along = (metric @ moved) @ metric @ memory
    size = float(along @ lessened)
    if not abs(size) > _SECANT * float(np.linalg.norm(metric @ moved)) ** 2:
        return memory
    return np.asarray(memory + np.outer(moved - memory @ lessened, along) / size)


def _step(fit: Reduction, by_theta: Array, others: Array) -> tuple[Array, float, Array]:
    """The step (k,) to the root of what is linear in it, its gain of the sum of squares, and steps to errors (k, k)."""
    left, k = fit.rest(np.concatenate([others, by_theta], axis=1)), by_theta.shape[1]
    length = np.maximum(np.linalg.norm(np.concatenate([others, by_theta], axis=1), axis=0), 1e-300)
    if not np.isfinite(left).all():
        return np.zeros(k), np.nan, np.eye(k)
    directions, triangle = np.linalg.qr(left / length)
    along, own = directions[:, -k:].T @ fit.residual, triangle[-k:, -k:]
    step = np.linalg.pinv(own, rcond=UNKNOWN) @ along / length[-k:]
    return step, float(along @ along), own * length[-k:]
