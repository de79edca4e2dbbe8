"""Why an extrapolated threshold misses its limit: the same law through the crossings that theory has at these sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from spikecube.model.parameters import Model
from spikecube.scaling.results import SOLVED, STATUS
from spikecube.study.study import spike_degrees
from spikecube.text import number
from spikecube.words.when import first_alpha

_STEP = 5e-4  # of the crossings: the law multiplies their errors by about five
_LEAST_SIZES = 3


def missed_limits(fit: xr.Dataset, model: Model) -> str:
    """A sentence for each degree whose interval of `critical` leaves out the limit: what theory does under that law.

    Theory at finite n counts the spike of degree k from alpha_k(n) on. The law alpha_k(n) = critical + offset/log n
    through these values ends somewhere; an interval that holds this end and not (k - 1)/(2k) says that the law has no
    room for the slow approach of the edge, not that the spike is another. Empty where theory declines the model.

    Parameters
    ----------
    fit : of `fit_thresholds`, without further axes.
    """
    sentences = []
    known, solved = spike_degrees(model, int(fit["degree"].max())), [STATUS[name] for name in SOLVED]
    for k in fit["degree"].values.tolist():
        one = fit.sel(degree=k, param="critical")
        low, high, limit = (float(one[name]) for name in ("ci_low", "ci_high", "expected"))
        if int(one["status"]) not in solved or not np.isfinite([low, high, limit]).all() or low <= limit <= high:
            continue
        crossings = _crossings(model, fit["n"].values, known.index(k) + 1)
        if len(crossings) >= _LEAST_SIZES:
            sentences.append(_sentence(k, limit, (low, high), crossings))
    return " ".join(sentences)


def _crossings(model: Model, sizes: np.ndarray, rank: int) -> dict[float, float]:
    """From which alpha theory has the spike counted, by size; none where it declines the model."""
    try:
        found = {float(n): first_alpha(model, round(float(n)), rank, _STEP) for n in sizes}
    except (ValueError, ArithmeticError):  # declined, or not solved
        return {}
    return {n: alpha for n, alpha in found.items() if np.isfinite(alpha)}


def law_end(crossings: dict[float, float]) -> float:
    """`critical` of the least-squares line alpha = critical + offset/log n.

    >>> round(law_end({n: 0.25 + 0.6 / np.log(n) for n in (250.0, 500.0, 1000.0)}), 9)
    0.25
    """
    inverse = 1 / np.log(list(crossings))
    return float(np.polyfit(inverse, list(crossings.values()), 1)[1])


def _sentence(degree: int, limit: float, interval: Sequence[float], crossings: dict[float, float]) -> str:
    end = law_end(crossings)
    at = ", ".join(f"{alpha:.3f}" for alpha in crossings.values())
    begun = f"Degree {degree}: the interval leaves out {number(limit)}"
    if interval[0] <= end <= interval[1]:
        return (
            f"{begun} because the law has no room for the slow approach of the edge: through theory's own crossings "
            f"at these sizes (alpha = {at}) it ends at {end:.3f}, which the interval holds."
        )
    return (
        f"{begun}, and also {end:.3f}, where the law ends through theory's own crossings at these sizes "
        f"(alpha = {at}): they do not explain it."
    )
