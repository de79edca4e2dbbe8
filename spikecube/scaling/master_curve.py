"""Curves of several sizes reduced to one: scaled variables, a spline through them, and what is left over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from spikecube.scaling.arrays import Array

_DEGREE = 3


@dataclass(frozen=True)
class Points:
    """P measured points: size, control, value and weight (one over the variance), each of shape (P,)."""

    size: Array
    control: Array
    y: Array
    weight: Array

    def keep(self, mask: Array) -> Points:
        """Some of the points."""
        return Points(self.size[mask], self.control[mask], self.y[mask], self.weight[mask])


@dataclass(frozen=True)
class Ansatz:
    """u = (x - critical) L(n) and y = n^{zeta/nu} f(u), with L = n^{1/nu} (`power`) or ln n and zeta = 0 (`log`)."""

    name: str
    params: tuple[str, ...]
    formula: str

    def scaled(self, theta: Array, size: Array, control: Array) -> tuple[Array, Array]:
        """u and the prefactor of f at parameters theta."""
        if self.name == "log":
            return (control - theta[0]) * np.log(size), np.ones_like(size)
        return (control - theta[0]) * size ** (1 / theta[1]), size ** (theta[2] / theta[1])


ANSATZE = {
    "power": Ansatz("power", ("critical", "nu", "zeta"), "y = n^(zeta/nu) f((x - critical) n^(1/nu))"),
    "log": Ansatz("log", ("critical",), "y = f((x - critical) ln n)"),
}


@dataclass(frozen=True)
class Spline:
    """A cubic spline on knots that are quantiles of u, of `n_basis` coefficients."""

    knots: Array

    @classmethod
    def through(cls, u: Array, n_basis: int) -> Spline:
        """Knots at equal numbers of points."""
        inner = np.interp(np.linspace(0, len(u) - 1, n_basis - _DEGREE + 1), np.arange(len(u)), np.sort(u))
        inner = np.maximum.accumulate(inner + 1e-12 * np.arange(len(inner)) * max(np.ptp(u), 1e-300))
        return cls(np.concatenate([[inner[0]] * _DEGREE, inner, [inner[-1]] * _DEGREE]))

    def basis(self, u: Array) -> Array:
        """B-splines at u, constant beyond the ends, by the recursion of Cox and de Boor; (P, n_basis)."""
        n_basis = len(self.knots) - _DEGREE - 1
        inside = np.clip(u, self.knots[0], self.knots[-1])
        span = np.clip(np.searchsorted(self.knots, inside, side="right") - 1, _DEGREE, n_basis - 1)
        values = np.zeros((len(u), _DEGREE + 1))
        values[:, 0] = 1.0
        for d in range(1, _DEGREE + 1):
            saved = np.zeros(len(u))
            for r in range(d):
                right, left = self.knots[span + r + 1] - inside, inside - self.knots[span + 1 - d + r]
                part = values[:, r] / (right + left)
                values[:, r] = saved + right * part
                saved = left * part
            values[:, d] = saved
        matrix = np.zeros((len(u), n_basis))
        np.put_along_axis(matrix, span[:, None] - _DEGREE + np.arange(_DEGREE + 1), values, axis=1)
        return matrix


@dataclass(frozen=True)
class Reduction:
    """The best spline at given parameters: coefficients (n_basis,), weighted residuals (P,), their sum of squares."""

    coefficients: Array
    residual: Array
    cost: float


def reduce(ansatz: Ansatz, points: Points, theta: Array, n_basis: int, spline: Spline | None = None) -> Reduction:
    """Weighted least squares of the master curve; a ridge of 1e-10 holds intervals between knots without points."""
    u, prefactor = ansatz.scaled(theta, points.size, points.control)
    curve = Spline.through(u, n_basis) if spline is None else spline
    root = np.sqrt(points.weight)
    design = (root * prefactor)[:, None] * curve.basis(u)
    normal = design.T @ design
    normal[np.diag_indices(len(normal))] *= 1 + 1e-10
    normal[np.diag_indices(len(normal))] += 1e-300
    coefficients = np.linalg.solve(normal, design.T @ (root * points.y))
    residual = root * points.y - design @ coefficients
    return Reduction(coefficients, residual, float(residual @ residual))


def jacobian(ansatz: Ansatz, points: Points, theta: Array, n_basis: int, free: Array) -> Array:
    """Slopes of the weighted residuals in the free parameters, the spline refitted on its knots; (P, len(free))."""
    u, _ = ansatz.scaled(theta, points.size, points.control)
    spline = Spline.through(u, n_basis)

    def residual(moved: Array) -> Array:
        moved_u, _ = ansatz.scaled(moved, points.size, points.control)
        return reduce(ansatz, points, moved, n_basis, _stretched(spline, u, moved_u)).residual

    return _differences(residual, theta, free)


def _differences(function: Callable[[Array], Array], theta: Array, free: Array) -> Array:
    """Central differences of a vector in the free parameters; (P, len(free))."""
    columns = []
    for j in free:
        step = np.zeros_like(theta)
        step[j] = 1e-5 * max(abs(theta[j]), 0.1)
        columns.append((function(theta + step) - function(theta - step)) / (2 * step[j]))
    return np.stack(columns, axis=1)


def slopes(ansatz: Ansatz, points: Points, theta: Array, n_basis: int, free: Array) -> tuple[Array, Array]:
    """Weighted slopes of n^{zeta/nu} f(u) at the spline f as it is: in the free parameters (P, k), and in u (P,)."""
    u, prefactor = ansatz.scaled(theta, points.size, points.control)
    spline, coefficients = Spline.through(u, n_basis), reduce(ansatz, points, theta, n_basis).coefficients
    root, step = np.sqrt(points.weight), 1e-5 * max(np.ptp(u), 1e-300)
    ends = [spline.basis(u + sign * step) @ coefficients for sign in (1, -1)]
    by_u = root * prefactor * (ends[0] - ends[1]) / (2 * step)

    def curve(moved: Array) -> Array:
        moved_u, moved_prefactor = ansatz.scaled(moved, points.size, points.control)
        return np.asarray(root * moved_prefactor * (spline.basis(moved_u) @ coefficients))

    return (_differences(curve, theta, free) if len(free) else np.empty((len(u), 0))), by_u


def _stretched(spline: Spline, old: Array, new: Array) -> Spline:
    """The knots moved with the ends of u, so that no point leaves them."""
    scale = np.ptp(new) / max(np.ptp(old), 1e-300)
    return replace(spline, knots=new.min() + (spline.knots - old.min()) * scale)


def descend(
    ansatz: Ansatz, points: Points, start: Array, n_basis: int, free: Array, iterations: int = 40
) -> tuple[Array, float, bool]:
    """Levenberg-Marquardt on the projected residuals; parameters, cost, and whether the last step was at rest."""
    theta, damping = start.copy(), 1e-3
    cost = reduce(ansatz, points, theta, n_basis).cost
    for _ in range(iterations):
        slopes = jacobian(ansatz, points, theta, n_basis, free)
        residual = reduce(ansatz, points, theta, n_basis).residual
        normal, gradient = slopes.T @ slopes, slopes.T @ residual
        for _ in range(12):
            trial = theta.copy()
            trial[free] -= np.linalg.lstsq(normal + damping * np.diag(np.diag(normal)), gradient, rcond=None)[0]
            ok = ansatz.name == "log" or 0.02 < trial[1] < 50
            new = reduce(ansatz, points, trial, n_basis).cost if ok else np.inf
            if new <= cost:
                break
            damping *= 10
        else:
            return theta, cost, True
        moved, gained = np.abs(trial - theta).max(), cost - new
        theta, cost, damping = trial, new, max(damping / 10, 1e-12)
        if gained <= 1e-9 * (cost + 1e-300) or moved < 1e-12:
            return theta, cost, True
    return theta, cost, False
