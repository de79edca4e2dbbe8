"""The few numbers of a cube that one would quote, each with its error and what theory says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from spikecube.text import number, with_error
from spikecube.words import captions, symbols
from spikecube.words.findings import ESTIMATORS, most_resolved
from spikecube.words.seen import Seen
from spikecube.words.spikes_found import NOT_MEASURED, Outliers, Spike

Fits = Mapping[str, xr.Dataset]
Place = Mapping[str, float | str]


@dataclass(frozen=True)
class Headline:
    """A number to quote.

    Attributes
    ----------
    name, value, beside : what it is, the number with its error, and what stands beside it.
    holds : whether it agrees with theory; None where there is no verdict.
    """

    name: str
    value: str
    beside: str
    holds: bool | None = None


def headlines(seen: Seen, fits: Fits | None = None) -> list[Headline]:
    """Size, spikes, an exponent, a loss, the thresholds: what there is of them."""
    found = (
        extent(seen),
        spikes_of_all(seen.outliers, float(seen.cube["alpha"].max())),
        exponent((fits or {}).get("outliers"), seen.place),
        least_loss(seen),
        thresholds((fits or {}).get("thresholds"), seen.place),
    )
    return [headline for headline in found if headline is not None]


def extent(seen: Seen) -> Headline:
    """How large n and how many seeds, and whether all points are there."""
    cube, n = seen.cube, seen.cube["n"].values
    sizes = "one size" if n.size == 1 else f"{n.size} sizes from n = {number(float(n.min()))}"
    beside = f"{sizes}, {_count(cube, 'alpha', 'step size')}, {_count(cube, 'lam', 'penalty', 'penalties')}"
    done, wanted = seen.points.get("ok", 0), sum(seen.points.values()) - seen.points.get("absent", 0)
    lacking = "" if done == wanted else f"; only {done} of {wanted} points are there"
    value = f"n = {number(float(n.max()))}"
    return Headline("Measured up to", value, f"{captions.seeds_text(seen.seeds)}; {beside}{lacking}")


def _count(cube: xr.Dataset, axis: str, one: str, many: str = "") -> str:
    length = cube.sizes.get(axis, 1)
    return f"{length} {one if length == 1 else many or f'{one}s'}"


def spikes_of_all(outliers: Outliers | None, last: float) -> Headline | None:
    """How many spikes are seen at the largest size, of those that theory has there up to the `last` alpha."""
    if outliers is None or not (measured := [s for s in outliers.spikes or () if s.seen != NOT_MEASURED]):
        return None
    seen = [s for s in measured if s.is_seen]
    expected = [s for s in measured if s.expected_at(last)]
    name = f"Spikes seen at n = {outliers.n}"
    if any(s.alpha is None for s in measured):
        return Headline(name, str(len(seen)), _degrees(seen))
    agrees = seen == expected
    beside = "as theory at this n has it" if agrees else f"theory at this n: {_degrees(expected)}"
    return Headline(name, f"{len(seen)}, expected {len(expected)}", f"{_degrees(seen)}; {beside}", agrees)


def _degrees(those: Sequence[Spike]) -> str:
    listed = ", ".join(str(s.degree) for s in those)
    return f"degree{'s' if len(those) > 1 else ''} {listed}" if those else "none"


def exponent(fit: xr.Dataset | None, place: Place) -> Headline | None:
    """The fitted exponent of the first outlier at the largest alpha that resolves one, with interval and claim."""
    needed = {"estimate", "stderr", "expected", "ci_low", "ci_high"}
    if fit is None or not needed <= set(fit) or "degree" not in fit.dims:
        return None
    one = most_resolved(fit) if "estimator" in fit.dims else fit
    one = _at(one, place).sel(param="exponent").isel(degree=0)
    closed = np.isfinite(one["ci_high"].values - one["ci_low"].values + one["expected"].values)
    if not closed.any():
        return None
    one = one.isel(alpha=int(np.flatnonzero(closed)[-1]))
    low, high, claim = (float(one[v]) for v in ("ci_low", "ci_high", "expected"))
    held = low <= claim <= high
    name = f"Exponent of outlier {int(one['degree'])} at α = {number(float(one['alpha']))}"
    how = ESTIMATORS.get(str(one.coords.get("estimator", xr.DataArray("")).item()), "").removeprefix(", ")
    beside = f"95 %: {_between(low, high)}; theory {number(claim)}, {'inside' if held else 'outside'}"
    beside += f"; fitted {how}" if how else ""
    return Headline(name, with_error(float(one["estimate"]), float(one["stderr"])).replace("-", "−"), beside, held)


def _at(fit: xr.Dataset, place: Place) -> xr.Dataset:
    return fit.sel({name: label for name, label in place.items() if name in fit.dims})


def _between(low: float, high: float) -> str:
    """The ends of an interval, to a tenth of its width or finer."""
    digits = max(0, 1 - int(np.floor(np.log10(max(high - low, 1e-12)))))
    return f"{low:.{digits}f} to {high:.{digits}f}".replace("-", "−")


def least_loss(seen: Seen) -> Headline | None:
    """The least mean test loss at the largest alpha and size, with theory there and its limit of infinite n."""
    if seen.loss is None or not (data := seen.loss.isel(alpha=-1))["mean"].notnull().any():
        return None
    one = data.isel(lam=int(data["mean"].argmin("lam"))) if "lam" in data.dims else data
    predicted, limit = float(one["predicted"]), float(one["limit"])
    parts = [f"theory at this n {number(predicted)}"] if np.isfinite(predicted) else []
    parts += [f"limit of infinite n {number(limit)}"] if np.isfinite(limit) else []
    parts += ["one seed: no error is known"] if seen.cube.sizes.get("seed", 1) == 1 else []
    least = f", the least of {data.sizes['lam']} λ" if data.sizes.get("lam", 1) > 1 else ""
    name = f"Test loss at {symbols.labels_text(one, ('alpha', 'n', 'lam'))}{least}"
    return Headline(name, captions.value_text(one), "; ".join(parts) or "no theory beside it")


def thresholds(fit: xr.Dataset | None, place: Place) -> Headline | None:
    """How many fitted thresholds of infinite n agree with (k - 1)/(2k), each with its interval.

    An interval as long as all that alpha can be, from 0 to 1/2, says nothing: it is not counted.
    """
    needed = {"estimate", "expected", "ci_low", "ci_high"}
    if fit is None or not needed <= set(fit) or "critical" not in fit["param"]:
        return None
    one = _at(fit, place).sel(param="critical")
    low, high, claim = (one[v].values.astype(float) for v in ("ci_low", "ci_high", "expected"))
    closed = np.isfinite(claim) & (high - low < _ALL_ALPHA)
    if not closed.any():
        return None
    held = closed & (low <= claim) & (claim <= high)
    parts = [
        f"α{_SUB[int(k)]}: {_between(low[i], high[i])}, theory {number(float(claim[i]))}"
        for i, k in enumerate(one["degree"].values)
        if closed[i]
    ]
    value = f"{int(held.sum())} of {int(closed.sum())} agree"
    reason = ""
    if held.sum() < closed.sum() and fit.attrs.get("reason"):
        reason = "; why not: see the fits"
    return Headline("Fitted thresholds", value, f"95 %: {'; '.join(parts)}{reason}", bool(held.sum() == closed.sum()))


_ALL_ALPHA = 0.5
_SUB = dict(enumerate("₀₁₂₃₄₅₆₇₈₉"))
