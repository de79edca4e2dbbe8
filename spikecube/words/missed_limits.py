"""Why intervals leave out the limits: what other estimators take of the distance, and what theory itself does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from spikecube.model.parameters import Model
from spikecube.scaling.results import SOLVED, STATUS
from spikecube.study.study import spike_degrees
from spikecube.text import number
from spikecube.words.when import first_alpha

_EXPLAINS = 0.5  # of the distance, below which a share is called small
_SHARES = (
    ("relative", "theory at these n, relative to which they were fitted too,"),
    ("corrected", "the correction n^-omega"),
)
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
    alphas = ", ".join(f"{alpha:.3f}" for alpha in crossings.values())
    begun = f"Degree {degree}: the interval leaves out {number(limit)}"
    if interval[0] <= end <= interval[1]:
        return (
            f"{begun} because the law has no room for the slow approach of the edge: through theory's own crossings "
            f"at these sizes (alpha = {alphas}) it ends at {end:.3f}, which the interval holds."
        )
    return (
        f"{begun}, and also {end:.3f}, where the law ends through theory's own crossings at these sizes "
        f"(alpha = {alphas}): they do not explain it."
    )


def plain_gap(fit: xr.Dataset) -> str:
    """What takes the distance of plain exponents from their limits where intervals leave these out; "" if none does.

    With b the limit, p the plain exponent and q that of another estimator of the same curve the share is
    (p - q)/(p - b); the median over such curves is told.

    Parameters
    ----------
    fit : of `fit_outliers`.

    Examples
    --------
    >>> dims, names = ("estimator", "alpha", "param"), {"estimator": ["plain", "corrected"], "param": ["exponent"]}
    >>> made = xr.Dataset({v: (dims, [[[y]], [[z]]]) for v, y, z in (
    ...     ("estimate", 0.5, 0.42), ("ci_low", 0.48, 0.3), ("ci_high", 0.52, 0.5), ("expected", 0.4, 0.4))}, names)
    >>> plain_gap(made)
    ' Of the distance of the 1 that does not hold, the correction n^-omega takes 80% (median).'
    """
    one = fit.sel(param="exponent")
    plain = one.sel(estimator="plain")
    low, high, limit = (plain[name] for name in ("ci_low", "ci_high", "expected"))
    missed = np.isfinite(low) & np.isfinite(high) & ((limit < low) | (limit > high))
    count, parts = int(missed.sum()), []
    for name, what in _SHARES if count else ():
        if name in fit["estimator"].values:
            share = ((plain["estimate"] - one["estimate"].sel(estimator=name)) / (plain["estimate"] - limit)).where(
                missed
            )
            values = share.values[np.isfinite(share.values)]
            if len(values):
                median, few = float(np.median(values)), f" in {len(values)} of them" if len(values) < count else ""
                small = "" if median >= _EXPLAINS else ", which is no explanation"
                parts.append(f"{what} takes {median:.0%} (median){few}{small}")
    if not parts:
        return ""
    return f" Of the distance of the {count} that do{'es' if count == 1 else ''} not hold, {'; '.join(parts)}."
