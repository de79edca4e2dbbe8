"""Cubic regression splines on quantiles, and the master curves that are made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from spikecube.scaling.collapse_ansatz import Ansatz
from spikecube.scaling.types import Array

_DEGREE = 3


@dataclass(frozen=True)
class Spline:
    """A cubic spline on knots that are quantiles of u, of `n_basis` coefficients."""

    knots: Array

    @classmethod
    def through(cls, u: Array, n_basis: int) -> Spline:
        """Knots at equal numbers of points."""
        first, part, count = _quantiles(len(u), n_basis)
        ordered = np.sort(u)
        inner = ordered[first] + part * (ordered[np.minimum(first + 1, len(u) - 1)] - ordered[first])
        inner = np.maximum.accumulate(inner + count * max(ordered[-1] - ordered[0], 1e-300))
        return cls(np.concatenate([[inner[0]] * _DEGREE, inner, [inner[-1]] * _DEGREE]))

    @property
    def size(self) -> int:
        """The number of coefficients."""
        return len(self.knots) - _DEGREE - 1

    def basis(self, u: Array) -> Array:
        """B-splines at u, constant beyond the ends; (P, n_basis)."""
        span, values = self._local(u, _DEGREE)
        matrix = np.zeros((len(u), self.size))
        flat, first = matrix.reshape(-1), span + (self.size * np.arange(len(u)) - _DEGREE)
        for r, value in enumerate(values):
            flat[first + r] = value
        return matrix

    def slope(self, u: Array, coefficients: Array) -> Array:
        """The derivative at points between the ends, from the B-splines of one degree less; (P,)."""
        span, values = self._local(u, _DEGREE - 1)
        width = self.knots[_DEGREE:] - self.knots[:-_DEGREE]
        change = np.zeros(self.size)
        change[1:] = _DEGREE * np.diff(coefficients) / width[1 : self.size]
        return np.asarray(sum(value * change[span + r - (_DEGREE - 1)] for r, value in enumerate(values)))

    def _local(self, u: Array, degree: int) -> tuple[Array, list[Array]]:
        """The interval of each u, and the B-splines that are not 0 in it, by the recursion of Cox and de Boor."""
        knots = self.knots
        inside = np.minimum(np.maximum(u, knots[0]), knots[-1])
        span = np.minimum(np.maximum(np.searchsorted(knots, inside, side="right") - 1, _DEGREE), self.size - 1)
        values = [np.ones(len(u))]
        for d in range(1, degree + 1):
            saved, previous = np.zeros(len(u)), values
            values = []
            for r in range(d):
                right, left = knots[span + (r + 1)] - inside, inside - knots[span + (1 - d + r)]
                part = previous[r] / (right + left)
                values.append(saved + right * part)
                saved = left * part
            values.append(saved)
        return span, values


@lru_cache(maxsize=64)
def _quantiles(n_points: int, n_basis: int) -> tuple[Array, Array, Array]:
    """Where the knots stand among sorted points: the one before, the part of the way to the next, and a tiny rise."""
    place = np.linspace(0, n_points - 1, n_basis - _DEGREE + 1)
    first = place.astype(int)
    return first, place - first, 1e-12 * np.arange(len(place))


@dataclass(frozen=True)
class Curve:
    """Master curves without their coefficients: for each part the spline of f and, with a correction, that of g."""

    splines: tuple[tuple[Spline, ...], ...]

    @classmethod
    def through(cls, ansatz: Ansatz, u: Array, part: Array, n_basis: tuple[int, ...]) -> Curve:
        """Knots at equal numbers of points; g has half of the coefficients of f, 5 to 20."""
        found = []
        for k, size in enumerate(n_basis):
            own = u[part == k] if len(n_basis) > 1 else u
            sizes = (size, int(np.clip(size // 2, 5, 20))) if ansatz.corrected else (size,)
            found.append(tuple(Spline.through(own, s) for s in sizes))
        return cls(tuple(found))

    def part(self, k: int) -> slice:
        """The coefficients of one part, which stand together."""
        sizes = [sum(s.size for s in own) for own in self.splines]
        return slice(sum(sizes[:k]), sum(sizes[: k + 1]))

    def basis(self, u: Array, decay: Array | None, part: Array) -> Array:
        """The columns of f(u) + decay g(u), each part on its own; (P, n_coefficients)."""
        if len(self.splines) == 1:
            return self._own(0, u, decay)
        matrix = np.zeros((len(u), self.part(len(self.splines) - 1).stop))
        for k in range(len(self.splines)):
            rows = np.flatnonzero(part == k)
            matrix[rows, self.part(k)] = self._own(k, u[rows], None if decay is None else decay[rows])
        return matrix

    def _own(self, k: int, u: Array, decay: Array | None) -> Array:
        f = self.splines[k][0].basis(u)
        return f if decay is None else np.concatenate([f, decay[:, None] * self.splines[k][1].basis(u)], axis=1)

    def slope(self, u: Array, decay: Array | None, part: Array, coefficients: Array) -> tuple[Array, Array]:
        """f'(u) + decay g'(u), and g(u) (0 without a correction); (P,) each."""
        slope, correction = np.zeros(len(u)), np.zeros(len(u))
        for k, own in enumerate(self.splines):
            rows, c = part == k, coefficients[self.part(k)]
            slope[rows] = own[0].slope(u[rows], c[: own[0].size])
            if decay is not None:
                g = c[own[0].size :]
                slope[rows] += decay[rows] * own[1].slope(u[rows], g)
                correction[rows] = own[1].basis(u[rows]) @ g
        return slope, correction

    def stretch(self, u: Array, part: Array, moved: Array) -> Array:
        """How u moves (P, p) with all knots moving along with the ends of u: only what is left needs another curve."""
        rest = moved.copy()
        for k in range(len(self.splines)):
            rows = np.flatnonzero(part == k)
            own = u[rows]
            first, last = moved[rows[own.argmin()]], moved[rows[own.argmax()]]
            share = (own - own.min()) / max(np.ptp(own), 1e-300)
            rest[rows] -= first + share[:, None] * (last - first)
        return rest
