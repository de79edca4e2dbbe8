"""How the optimum of a law and its intervals are found, by the kind of its dependence on the parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikecube.scaling import free_correction
from spikecube.scaling.least_squares import Minimum, Problem, best_of, minimise
from spikecube.scaling.profiles import (
    conditional_ends,
    conditional_fits,
    conditional_rises,
    profile_ends,
    profile_rises,
)
from spikecube.scaling.types import Array

_DETAIL = 200  # points of a grid over the interval that a descent found


class ProfileTask(NamedTuple):
    """What is asked of the profiles of B curves.

    Attributes
    ----------
    curvature : (B, p, p), (J^T W J)^{-1} at the minimum.
    half_width : (B, p), of the linearised intervals.
    rise : (B, p), by which the cost rises at the ends of the intervals.
    null : (B, p), values at which the rise is wanted.
    """

    curvature: Array
    half_width: Array
    rise: Array
    null: Array


class Ends(NamedTuple):
    """Both ends of the intervals, and the rise of the cost at the null values, (B, p) each."""

    low: Array
    high: Array
    risen: Array


class Nonlinear:
    """Any law: descents from its starting points, profiles by descents along them."""

    exact = False  # whether linearised intervals are the profile's
    whole = False  # whether profiles see all of the law's domain, so that its border is an open end

    def minimum(self, sizes: Array, problem: Problem, starts: Array) -> Minimum:
        """The best fit over starting points (S, B, p)."""
        return best_of(starts, lambda start: minimise(problem, start))

    def profile(self, sizes: Array, problem: Problem, best: Minimum, asked: ProfileTask) -> Ends:
        """The profiles of all parameters."""
        low, high = profile_ends(problem, best, asked.curvature, asked.rise)
        return Ends(low, high, profile_rises(problem, best, asked.curvature, asked.null))


NONLINEAR = Nonlinear()


class Linear(Nonlinear):
    """A law that is linear in its parameters: its start is its minimum."""

    exact = True

    def minimum(self, sizes: Array, problem: Problem, starts: Array) -> Minimum:
        """The first start."""
        count = len(problem.y)
        return Minimum(starts[0], np.zeros(count), np.ones(count, dtype=bool))


@dataclass(frozen=True)
class LinearButLast(Nonlinear):
    """A law that is linear but for its last parameter, whose profiles come from a grid of that one.

    Attributes
    ----------
    grid : (G,), ascending.
    bases : (sizes, grids (B, G)) -> the regressors (B, G, K, p - 1) that belong to them.
    """

    grid: Array
    bases: Callable[[Array, Array], Array]

    def profile(self, sizes: Array, problem: Problem, best: Minimum, asked: ProfileTask) -> Ends:
        """No branch is missed, as a descent misses those that open where the last parameter vanishes."""
        low, high = profile_ends(problem, best, asked.curvature, asked.rise)
        grid = _with_detail(self.grid, low[:, -1], high[:, -1])
        slices = conditional_fits(grid, self.bases(sizes, grid), problem.y, problem.weights)
        low, high = conditional_ends(slices, best.cost, asked.rise)
        return Ends(low, high, conditional_rises(slices, best, low, high, asked.null))


class BothSigns(LinearButLast):
    """y = L + A n^b with b of either sign, which turns into a logarithm at b = 0, where L and A run to infinity."""

    def profile(self, sizes: Array, problem: Problem, best: Minimum, asked: ProfileTask) -> Ends:
        """An interval of b that holds 0 leaves L and A open on both sides."""
        low, high, risen = super().profile(sizes, problem, best, asked)
        through = ((low[:, -1] < 0) & (high[:, -1] > 0))[:, None] & (np.arange(low.shape[1]) < low.shape[1] - 1)
        return Ends(np.where(through, -np.inf, low), np.where(through, np.inf, high), np.where(through, 0.0, risen))


class FreeCorrection(Nonlinear):
    """A power law with a correction of free exponent, over the plane of the correction (see `free_correction`)."""

    whole = True

    def minimum(self, sizes: Array, problem: Problem, starts: Array) -> Minimum:
        """The bottom of the valley over the plane; starts are not needed."""
        return free_correction.minimum(sizes, problem.y, problem.weights)

    def profile(self, sizes: Array, problem: Problem, best: Minimum, asked: ProfileTask) -> Ends:
        """Intervals over the plane, rises from the best place of the plane for each value."""
        low, high = free_correction.ends(sizes, problem.y, problem.weights, best, asked.half_width, asked.rise)
        places, null = free_correction.places(sizes, problem.y, problem.weights, asked.null)
        return Ends(low, high, profile_rises(problem, best, asked.curvature, null, places))


def _with_detail(grid: Array, low: Array, high: Array) -> Array:
    """The grid (G,) for every curve, with points of its own over the interval that a descent found; (B, G + 200)."""
    margin = 0.1 * (high - low)
    first, last = (np.clip(np.nan_to_num(e, nan=grid[0]), grid[0], grid[-1]) for e in (low - margin, high + margin))
    detail = first[:, None] + (last - first)[:, None] * np.linspace(0, 1, _DETAIL)
    return np.sort(np.concatenate([np.tile(grid, (len(low), 1)), detail], axis=1), axis=1)
