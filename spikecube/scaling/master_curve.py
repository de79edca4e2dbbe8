"""The master curve of a collapse: scaled variables, splines through them, and what is left over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from spikecube.scaling.types import Array

_DEGREE = 3
_STEP = 1e-5  # of numerical slopes, in natural units of each parameter
_LARGEST = 300.0  # of the logarithm of a prefactor, on the way to a minimum


@dataclass(frozen=True)
class Points:
    """P measured points: size, control, value and weight (one over the variance), each of shape (P,).

    With `log` the values are logarithms, and so is the curve through them.
    """

    size: Array
    control: Array
    y: Array
    weight: Array
    log: bool = False

    def keep(self, mask: Array) -> Points:
        """Some of the points."""
        return replace(self, size=self.size[mask], control=self.control[mask], y=self.y[mask], weight=self.weight[mask])


@dataclass(frozen=True)
class Ansatz:
    """y = n^{zeta/nu} f(u) with u = (x - critical) L(n), L = n^{1/nu} (`power`) or ln n and zeta = 0 (`log`).

    A parameter `field` c bends the field, u = (x - critical)(1 + c (x - critical)) L(n). With `omega` or a parameter
    `correction_exponent`, f(u) + n^{-omega} g(u) stands for f(u).
    """

    name: str
    params: tuple[str, ...]
    formula: str
    omega: float | None = None

    def scaled(self, theta: Array, size: Array, control: Array) -> tuple[Array, Array]:
        """u and the prefactor of f at parameters theta."""
        values = self.named(theta)
        away = control - values["critical"]
        if "field" in values:
            away = away * (1 + values["field"] * away)
        if self.name == "log":
            return away * np.log(size), np.ones_like(size)
        power = np.clip(values["zeta"] / values["nu"] * np.log(size), -_LARGEST, _LARGEST)
        return away * size ** (1 / values["nu"]), np.exp(power)

    def decay(self, theta: Array, size: Array) -> Array | None:
        """n^{-omega}, the weight of the correction; None without one."""
        omega = self.named(theta).get("correction_exponent", self.omega)
        return None if omega is None else np.asarray(size**-omega)

    def named(self, theta: Array) -> Mapping[str, float]:
        """The parameters by name."""
        return dict(zip(self.params, theta.tolist(), strict=True))

    def allows(self, theta: Array) -> bool:
        """Whether theta is inside the domain of the search."""
        values = self.named(theta)
        return bool(0.02 < values.get("nu", 1.0) < 50 and 0.05 < values.get("correction_exponent", 1.0) < 10)

    def steps(self, theta: Array, control: Array) -> Array:
        """Steps of numerical slopes: parts of the range of the control and of the scale of an exponent."""
        values, span = self.named(theta), max(np.ptp(control) / 2, 1e-300)
        natural = {"critical": span, "field": 1 / span, "nu": values.get("nu", 1.0), "zeta": values.get("nu", 1.0)}
        return _STEP * np.array([natural.get(name, 1.0) for name in self.params])


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

    @property
    def size(self) -> int:
        """The number of coefficients."""
        return len(self.knots) - _DEGREE - 1

    def basis(self, u: Array) -> Array:
        """B-splines at u, constant beyond the ends, by the recursion of Cox and de Boor; (P, n_basis)."""
        n_basis = self.size
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
class Curve:
    """A master curve without its coefficients: the spline of f and, with a correction, that of g."""

    splines: tuple[Spline, ...]

    @classmethod
    def through(cls, ansatz: Ansatz, theta: Array, u: Array, n_basis: int) -> Curve:
        """Knots at equal numbers of points; g has a quarter of the coefficients of f, 5 to 10."""
        f = Spline.through(u, n_basis)
        corrected = ansatz.omega is not None or "correction_exponent" in ansatz.params
        return cls((f, Spline.through(u, int(np.clip(n_basis // 4, 5, 10)))) if corrected else (f,))

    def basis(self, u: Array, decay: Array | None) -> Array:
        """The columns of f(u) + decay g(u); (P, n_coefficients)."""
        f = self.splines[0].basis(u)
        return f if decay is None else np.concatenate([f, decay[:, None] * self.splines[1].basis(u)], axis=1)

    def stretched(self, old: Array, new: Array) -> Curve:
        """The knots moved with the ends of u, so that no point leaves them."""
        scale = np.ptp(new) / max(np.ptp(old), 1e-300)
        moved = (replace(s, knots=new.min() + (s.knots - old.min()) * scale) for s in self.splines)
        return Curve(tuple(moved))


@dataclass(frozen=True)
class Placed:
    """Points at given parameters: y = offset + factor (f(u) + decay g(u)), each of shape (P,)."""

    u: Array
    offset: Array
    factor: Array
    decay: Array | None


def place(ansatz: Ansatz, points: Points, theta: Array) -> Placed:
    """The scaled variables of the points; a prefactor is an offset where y is a logarithm."""
    u, prefactor = ansatz.scaled(theta, points.size, points.control)
    one, decay = np.ones_like(u), ansatz.decay(theta, points.size)
    return Placed(u, np.log(prefactor), one, decay) if points.log else Placed(u, 0 * one, prefactor, decay)


@dataclass(frozen=True)
class Reduction:
    """The best spline at given parameters: coefficients (n_basis,), weighted residuals (P,), their sum of squares."""

    coefficients: Array
    residual: Array
    cost: float


def reduce(ansatz: Ansatz, points: Points, theta: Array, n_basis: int, curve: Curve | None = None) -> Reduction:
    """Weighted least squares of the master curve; a ridge of 1e-10 holds intervals between knots without points."""
    here = place(ansatz, points, theta)
    curve = Curve.through(ansatz, theta, here.u, n_basis) if curve is None else curve
    root = np.sqrt(points.weight)
    design = (root * here.factor)[:, None] * curve.basis(here.u, here.decay)
    length = np.sqrt(np.einsum("pk,pk->k", design, design))
    design = design / np.where(length > 0, length, 1.0)
    normal = design.T @ design
    normal[np.diag_indices(len(normal))] = 1 + 1e-10
    y = root * (points.y - here.offset)
    coefficients = np.linalg.solve(normal, design.T @ y)
    residual = y - design @ coefficients
    return Reduction(coefficients / np.where(length > 0, length, 1.0), residual, float(residual @ residual))


def reduced_slopes(ansatz: Ansatz, points: Points, theta: Array, n_basis: int, free: Array) -> Array:
    """Slopes of the weighted residuals in the free parameters, the spline refitted on its knots; (P, len(free))."""
    u, _ = ansatz.scaled(theta, points.size, points.control)
    curve = Curve.through(ansatz, theta, u, n_basis)

    def residual(moved: Array) -> Array:
        moved_u, _ = ansatz.scaled(moved, points.size, points.control)
        return reduce(ansatz, points, moved, n_basis, curve.stretched(u, moved_u)).residual

    return _differences(residual, theta, free, ansatz.steps(theta, points.control))


def _differences(function: Callable[[Array], Array], theta: Array, free: Array, steps: Array) -> Array:
    """Central differences of a vector in the free parameters; (P, len(free))."""
    columns = []
    for j in free:
        up, down = theta.copy(), theta.copy()
        up[j] += steps[j]
        down[j] -= steps[j]
        columns.append((function(up) - function(down)) / (up[j] - down[j]))
    return np.stack(columns, axis=1)


def slopes(ansatz: Ansatz, points: Points, theta: Array, n_basis: int, free: Array) -> tuple[Array, Array]:
    """Weighted slopes of the model at the curve as it is: in the free parameters (P, k), and in u (P,)."""
    here = place(ansatz, points, theta)
    curve = Curve.through(ansatz, theta, here.u, n_basis)
    coefficients = reduce(ansatz, points, theta, n_basis, curve).coefficients
    root, step = np.sqrt(points.weight), _STEP * max(np.ptp(here.u), 1e-300)
    ends = [curve.basis(here.u + sign * step, here.decay) @ coefficients for sign in (1, -1)]
    by_u = root * here.factor * (ends[0] - ends[1]) / (2 * step)

    def model(moved: Array) -> Array:
        new = place(ansatz, points, moved)
        return np.asarray(root * (new.offset + new.factor * (curve.basis(new.u, new.decay) @ coefficients)))

    steps = ansatz.steps(theta, points.control)
    return (_differences(model, theta, free, steps) if len(free) else np.empty((len(here.u), 0))), by_u


def descend(
    ansatz: Ansatz, points: Points, start: Array, n_basis: int, free: Array, iterations: int = 200
) -> tuple[Array, float, bool]:
    """Levenberg-Marquardt on the projected residuals; parameters, cost, and whether the last step was at rest."""
    theta, damping = start.copy(), 1e-3
    cost = reduce(ansatz, points, theta, n_basis).cost
    for _ in range(iterations):
        slope = reduced_slopes(ansatz, points, theta, n_basis, free)
        length = np.linalg.norm(slope, axis=0)
        length = np.where(length > 0, length, 1.0)
        normal = (slope / length).T @ (slope / length)
        gradient = (slope / length).T @ reduce(ansatz, points, theta, n_basis).residual
        for _ in range(12):
            trial = theta.copy()
            damped = normal + damping * np.diag(np.diag(normal))
            trial[free] -= np.linalg.lstsq(damped, gradient, rcond=None)[0] / length
            new = reduce(ansatz, points, trial, n_basis).cost if ansatz.allows(trial) else np.inf
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
