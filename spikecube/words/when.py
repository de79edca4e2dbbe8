"""From which alpha, and from which n, each spike stands clear of the bulk: theory alone, no matrix is made."""

from __future__ import annotations

import functools
import math
import textwrap
from collections.abc import Callable, Sequence

import numpy as np

from spikecube.errors import SpikecubeError
from spikecube.model.parameters import Model
from spikecube.study.study import Study, spike_degrees
from spikecube.text import number, text_table
from spikecube.theory import detection_edge, predicted_outliers, threshold

SIZES = (100, 10_000_000)
"""Between these sizes the first one is looked for."""
MOST_DEGREE = 5
MOST_ALPHAS = 6
_GRID = np.linspace(0.0, 0.48, 13)
_ALPHA_STEP, _SIZE_RATIO = 0.005, 1.05


class WhenError(SpikecubeError, ValueError):
    """A spike that is asked for and cannot be, in one sentence."""


@functools.lru_cache(maxsize=4096)
def clear_spikes(model: Model, n: int, alpha: float) -> int:
    """How many outliers of F/sqrt(n), by the conditional equivalence, lie beyond the edge of detection.

    Raises
    ------
    ValueError, ArithmeticError
        If theory declines the model, or an equation is not solved.
    """
    outliers = predicted_outliers(model, n, alpha, conditional=True)
    return int((outliers > detection_edge(model, n, [alpha])[0]).sum())


def first_alpha(model: Model, n: int, rank: int, step: float = _ALPHA_STEP) -> float:
    """The alpha below 0.48 from which the `rank`-th spike stands clear at size n, to `step`; NaN where none does.

    >>> model = Model(activation="tanh", target=[0.0, 1.0, 0.0, 0.5])
    >>> 0.40 < first_alpha(model, 20_000, 2) < 0.45
    True
    """

    def clear(alpha: float) -> bool:
        return clear_spikes(model, n, alpha) >= rank

    return _first(_GRID, clear, lambda a, b: b - a < step, lambda a, b: (a + b) / 2, math.nan)


def first_size(model: Model, alpha: float, rank: int) -> float:
    """The n between the ends of `SIZES` from which the `rank`-th spike stands clear at alpha, to 5 per cent.

    The lower end where it does from the start; infinite where it does not up to the upper end.
    """

    def clear(n: float) -> bool:
        return clear_spikes(model, round(n), alpha) >= rank

    sizes = np.geomspace(*SIZES, 6)
    return _first(sizes, clear, lambda a, b: b / a < _SIZE_RATIO, lambda a, b: math.sqrt(a * b), math.inf)


def _first(
    grid: np.ndarray,
    holds: Callable[[float], bool],
    near: Callable[[float, float], bool],
    middle: Callable[[float, float], float],
    never: float,
) -> float:
    """The smallest value from which something holds, halving between the points of a grid."""
    first = next((i for i, value in enumerate(grid) if holds(float(value))), None)
    if first is None:
        return never
    low, high = float(grid[max(first - 1, 0)]), float(grid[first])
    if first == 0:
        return high
    while not near(low, high):
        between = middle(low, high)
        low, high = (low, between) if holds(between) else (between, high)
    return high


def when_text(study: Study, degree: int | None = None) -> str:
    """When each spike of a study stands clear: a table along n and one along alpha, for each model of the study.

    Raises
    ------
    WhenError
        If a degree is asked for that has no spike.
    """
    parts = [study.title] if study.title else []
    for _, labels, model in study.places():
        parts += [", ".join(f"{k} = {v}" for k, v in labels.items())] if labels else []
        parts.append(_of_model(study, model, degree))
    return "\n\n".join([*parts, textwrap.fill(_MEANING, 78)])


_MEANING = (
    "Clear: theory has the singular value of the spike, at this n, beyond the edge that 1 in 100 networks without a "
    "spike would pass by chance. Limit: as n grows without end. Theory alone; nothing was measured. Values of alpha "
    "to 0.005, of n to 5 per cent."
)


def _of_model(study: Study, model: Model, degree: int | None) -> str:
    known = spike_degrees(model, max(degree or 0, MOST_DEGREE))
    if degree is not None and degree not in known:
        there = ", ".join(map(str, known)) or "none"
        raise WhenError(f"degree = {degree}: c_{degree} = 0, there is no such spike; degrees with a spike: {there}")
    wanted = [k for k in known if (k == degree if degree else k <= study.measure.degree)]
    ranks = {k: known.index(k) + 1 for k in wanted}
    heads = [f"degree {k}" for k in wanted]
    try:
        rows = [[number(n), *(_alpha_cell(model, n, ranks[k]) for k in wanted)] for n in study.axes.n]
        along = _thinned(study.axes.alpha, MOST_ALPHAS)
        sizes = [[number(a), *(_size_cell(model, a, k, ranks[k]) for k in wanted)] for a in along]
    except (ValueError, ArithmeticError) as error:  # declined, or not solved
        return f"no answer: {error}"
    limits = ["limit", *(number(threshold(k)) for k in wanted)]
    left_out = len(study.axes.alpha) - len(along)
    which = f" ({len(along)} of the {len(study.axes.alpha)} of the study)" if left_out else ""
    return (
        f"alpha from which each spike stands clear\n{text_table(['n', *heads], [*rows, limits], 1)}\n\n"
        f"n from which each spike stands clear, at alpha{which}\n{text_table(['alpha', *heads], sizes, 1)}"
    )


def _alpha_cell(model: Model, n: int, rank: int) -> str:
    alpha = first_alpha(model, n, rank)
    return f"{alpha:.2f}" if math.isfinite(alpha) else f"not below {_GRID[-1]:.2f}"


def _size_cell(model: Model, alpha: float, degree: int, rank: int) -> str:
    if alpha < threshold(degree):
        return "not in the limit"
    n = first_size(model, alpha, rank)
    if math.isinf(n):
        return f"not up to {SIZES[1]:,}"
    return f"{SIZES[0]} or less" if n <= SIZES[0] else f"about {float(f'{n:.2g}'):,.0f}"


def _thinned(values: Sequence[float], most: int) -> list[float]:
    places = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int))
    return [values[int(i)] for i in places]
