"""What a master curve leaves of the points of a collapse, at given parameters and at the best ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import linalg

from spikecube.scaling.collapse_ansatz import Ansatz, Places
from spikecube.scaling.regression import aicc
from spikecube.scaling.splines import Curve
from spikecube.scaling.types import Array

Blocks = tuple[tuple[Array, Array], ...]
"""Rows of points and their covariance, for groups that are independent of each other."""


@dataclass(frozen=True)
class Points:
    """P measured points.

    Attributes
    ----------
    size, control, y, weight : (P,); the weight is one over the variance of y.
    log : whether the values are logarithms, of all or of each (P,); then so is the curve through them.
    part : (P,), the number of the observable; None for a single one.
    blocks : rows and covariances of points that share errors, which then stand for the weights.
    """

    size: Array
    control: Array
    y: Array
    weight: Array
    log: Array | bool = False
    part: Array | None = None
    blocks: Blocks | None = None

    @cached_property
    def parts(self) -> Array:
        """The number of each point's observable."""
        return np.zeros(len(self.y), dtype=int) if self.part is None else self.part

    def keep(self, chosen: Array) -> Points:
        """Some of the points, by a mask or by places."""
        index = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        own = {name: getattr(self, name)[index] for name in ("size", "control", "y", "weight")}
        if self.part is not None:
            own |= {"part": self.part[index], "log": np.broadcast_to(self.log, self.y.shape)[index]}
        if self.blocks is not None:
            new = np.full(len(self.y), -1)
            new[index] = np.arange(len(index))
            rows = [(new[r], c) for r, c in self.blocks]
            own["blocks"] = tuple((r[r >= 0], c[np.ix_(r >= 0, r >= 0)]) for r, c in rows if (r >= 0).any())
        return replace(self, **own)

    @cached_property
    def _inverse_roots(self) -> list[tuple[Array, Array]]:
        assert self.blocks is not None
        return [(rows, linalg.inv(np.linalg.cholesky(c))) for rows, c in self.blocks]

    @cached_property
    def _root(self) -> Array:
        return np.sqrt(self.weight)

    def white(self, values: Array) -> Array:
        """Values (P,) or (P, k) in units in which the errors of all points are 1 and independent."""
        if self.blocks is None:
            return self._root * values if values.ndim == 1 else self._root[:, None] * values
        found = np.empty(values.shape)
        for rows, root in self._inverse_roots:
            found[rows] = root @ values[rows]
        return found


@dataclass(frozen=True)
class Placed:
    """Points at given parameters: y = offset + factor (f(u) + decay g(u)), each of shape (P,)."""

    u: Array
    offset: Array
    factor: Array
    decay: Array | None


def scaled_points(ansatz: Ansatz, points: Points, theta: Array) -> Placed:
    """The scaled variables of the points; a prefactor is an offset where y is a logarithm."""
    reduced = ansatz.places(theta, points.size, points.control, points.parts)
    offset = np.where(points.log, reduced.prefactor, 0.0)
    return Placed(reduced.u, offset, np.exp(reduced.prefactor - offset), reduced.decay)


@dataclass(frozen=True)
class Reduction:
    """The best curve at given parameters.

    Attributes
    ----------
    curve, coefficients : the curve and its coefficients (n,).
    residual, cost : weighted residuals (P,), and their sum of squares.
    here, value : the points at these parameters, and the curve at them.
    design, length, root : weighted columns of unit length (P, n), the lengths (n,) that they had, and the Cholesky
        factor of their normal matrix.
    """

    curve: Curve
    coefficients: Array
    residual: Array
    cost: float
    here: Placed
    value: Array
    design: Array
    length: Array
    root: Array

    def rest(self, columns: Array) -> Array:
        """What no coefficient of the curve does of weighted columns (P, k)."""
        inner = linalg.lapack.dpotrs(self.root, self.design.T @ columns)[0]
        return np.asarray(columns - self.design @ inner)


def reduce(ansatz: Ansatz, points: Points, theta: Array, n_basis: int | tuple[int, ...]) -> Reduction:
    """Weighted least squares of the master curve; a ridge of 1e-10 holds intervals between knots without points."""
    here = scaled_points(ansatz, points, theta)
    sizes = (n_basis,) if isinstance(n_basis, int) else n_basis
    curve = Curve.through(ansatz, here.u, points.parts, sizes)
    basis = curve.basis(here.u, here.decay, points.parts)
    design = points.white(here.factor[:, None] * basis)
    length = np.sqrt(np.einsum("pk,pk->k", design, design))
    length[length == 0] = 1.0
    design /= length
    normal = design.T @ design
    normal[np.diag_indices(len(normal))] = 1 + 1e-10
    y = points.white(points.y - here.offset)
    root, coefficients, failed = linalg.lapack.dposv(normal, design.T @ y)
    if failed:
        coefficients = np.full(len(normal), np.nan)
    residual = y - design @ coefficients
    cost, coefficients = float(residual @ residual), coefficients / length
    cost = cost if np.isfinite(cost) else np.inf
    return Reduction(curve, coefficients, residual, cost, here, basis @ coefficients, design, length, root)


def slopes(ansatz: Ansatz, points: Points, theta: Array, free: Array, reduced: Reduction) -> tuple[Array, Array]:
    """Slopes of the model at the curve as it is, not weighted: in the free parameters (P, k), and in u (P,)."""
    moved = ansatz.slopes(theta, points.size, points.control, points.parts)
    return _slopes(points, reduced, moved, moved.u, free)


def _slopes(points: Points, reduced: Reduction, moved: Places, u: Array, free: Array) -> tuple[Array, Array]:
    here = reduced.here
    by_u, correction = reduced.curve.slope(here.u, here.decay, points.parts, reduced.coefficients)
    scale = np.where(points.log, 1.0, here.factor * reduced.value)
    by_theta = here.factor[:, None] * by_u[:, None] * u[:, free] + scale[:, None] * moved.prefactor[:, free]
    if moved.decay is not None:
        by_theta += (here.factor * correction)[:, None] * moved.decay[:, free]
    return by_theta, here.factor * by_u


def _reduced_slopes(ansatz: Ansatz, points: Points, theta: Array, free: Array, reduced: Reduction) -> Array:
    """Slopes of the weighted residuals in the free parameters, the curve refitted; (P, len(free)).

    Of the two parts of this derivative the one kept (Kaufman) gives the gradient of the cost exactly. Knots move with
    the ends of u.

    References
    ----------
    Kaufman, BIT 15 (1975) 49.
    """
    moved = ansatz.slopes(theta, points.size, points.control, points.parts)
    u = reduced.curve.stretch(reduced.here.u, points.parts, moved.u)
    return -reduced.rest(points.white(_slopes(points, reduced, moved, u, free)[0]))


class Descent(NamedTuple):
    """Parameters (p,), the sum of squares there, and whether the last step was at rest."""

    theta: Array
    cost: float
    at_rest: bool


def descend(
    ansatz: Ansatz,
    points: Points,
    start: Array,
    n_basis: int | tuple[int, ...],
    free: Array,
    *,
    iterations: int = 200,
    close: float = 1e-9,
) -> Descent:
    """Levenberg-Marquardt on the projected residuals.

    At rest is a step that gains a part `close` of the cost, or less.
    """
    theta, damping = start.copy(), 1e-3
    reduced = reduce(ansatz, points, theta, n_basis)
    for _ in range(iterations):
        slope = _reduced_slopes(ansatz, points, theta, free, reduced)
        length = np.linalg.norm(slope, axis=0)
        length[length == 0] = 1.0
        slope /= length
        normal, gradient = slope.T @ slope, slope.T @ reduced.residual
        for _ in range(12):
            damped = normal + damping * np.diag(np.diag(normal))
            step = -np.linalg.lstsq(damped, gradient, rcond=None)[0]
            trial = theta.copy()
            trial[free] += step / length
            if -float(gradient @ step) <= 0.1 * close * reduced.cost:
                return Descent(theta, reduced.cost, True)
            new = reduce(ansatz, points, trial, n_basis) if ansatz.allows(trial) else None
            if new is not None and new.cost <= reduced.cost:
                break
            damping *= 10
        else:
            return Descent(theta, reduced.cost, True)
        moved, gained = np.abs(trial - theta).max(), reduced.cost - new.cost
        theta, reduced, damping = trial, new, max(damping / 10, 1e-12)
        if gained <= close * (reduced.cost + 1e-300) or moved < 1e-12:
            return Descent(theta, reduced.cost, True)
    return Descent(theta, reduced.cost, False)


LEAST_POINTS = 24
_BASES = (6, 8, 10, 12, 16, 20, 24, 32, 40)
_POINTS_EACH = 5  # points for each coefficient of the spline


def spline_size(n_points: int) -> int:
    """Coefficients of the spline: a rule that does not look at the data, so that it costs no test its level."""
    return int(np.clip(n_points // _POINTS_EACH, _BASES[0], _BASES[-1]))


def spline_sizes(points: Points) -> tuple[int, ...]:
    """Coefficients of the spline of each part."""
    return tuple(spline_size(int(count)) for count in np.bincount(points.parts))


def richer_sizes(points: Points) -> list[tuple[int, ...]]:
    """Splines with more coefficients than the rule's, up to one for two points, the smallest first.

    >>> points = Points(*np.zeros((4, 60)))
    >>> spline_sizes(points), richer_sizes(points)
    ((12,), [(16,), (20,), (24,), (30,)])
    """
    own, most = spline_sizes(points), [int(count) // 2 for count in np.bincount(points.parts)]
    ladder = [tuple(max(min(b, m), o) for o, m in zip(own, most, strict=True)) for b in _BASES]
    return [sizes for sizes in dict.fromkeys(ladder) if sizes != own]


def frugal_sizes(form: Ansatz, points: Points, theta: Array) -> tuple[int, ...]:
    """For each part the number of coefficients with the least corrected Akaike criterion, at most the full one."""
    return tuple(_frugal_size(form, points.keep(points.parts == k), theta) for k in range(points.parts.max() + 1))


def _frugal_size(form: Ansatz, points: Points, theta: Array) -> int:
    n_points = len(points.y)

    def criterion(n_basis: int) -> float:
        cost = reduce(form, points, theta, n_basis).cost
        return aicc(cost, n_points, n_basis + len(form.names), known=False)

    return min((b for b in _BASES if b <= spline_size(n_points)), key=criterion)


def shortfall(points: Points) -> str:
    """A sentence on points that are too few for a collapse."""
    n_points, n_sizes = min(
        (len(own), len(set(own)))
        for own in (points.size[points.parts == k] for k in range(points.parts.max(initial=0) + 1))
    )
    return (
        f"The data have fewer sizes or points than a collapse needs, {n_points} of {n_sizes} sizes where at least "
        f"{LEAST_POINTS} of 3 are needed: no estimate is given."
    )
