"""The few numbers of a cube that one would quote, each with its error and what theory says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.schema import STATUS
from spikecube.means.compared import Compared
from spikecube.means.comparisons import means_at
from spikecube.means.places import Missing, at, fixed, foretold
from spikecube.text import number, with_error
from spikecube.words import captions, symbols
from spikecube.words.appearance import NOT_MEASURED, Appearance, Appearances
from spikecube.words.findings import ESTIMATORS, most_resolved
from spikecube.words.spikes_found import largest_size

Fits = Mapping[str, xr.Dataset]


@dataclass(frozen=True)
class Headline:
    """A number to quote.

    Attributes
    ----------
    name, value, told : what it is, the number with its error, and what stands beside it.
    holds : whether it agrees with theory; None where there is no verdict.
    """

    name: str
    value: str
    told: str
    holds: bool | None = None


def headlines(
    seen: Compared, spikes: Appearances | None = None, fits: Fits | None = None, **further: Any
) -> list[Headline]:
    """Size, spikes, an exponent, a loss, the thresholds: what there is of them, at one place along the further axes."""
    cube = seen.cube
    writers: tuple[Callable[[], Headline], ...] = (
        lambda: size(cube),
        lambda: spikes_of_all(spikes, float(cube["alpha"].max())),
        lambda: exponent(cube, fits or {}, **further),
        lambda: loss(cube, seen.prediction, **further),
        lambda: thresholds(cube, fits or {}, **further),
    )
    return [headline for headline in map(_or_none, writers) if headline is not None]


def _or_none(writer: Callable[[], Headline]) -> Headline | None:
    try:
        return writer()
    except Missing:
        return None


def size(cube: xr.Dataset) -> Headline:
    """How large n and how many seeds, and whether all points are there."""
    n = cube["n"].values
    seeds = captions.seeds_text(
        (cube["status"] == STATUS["ok"]).sum("seed").values if "status" in cube else np.array(cube.sizes["seed"])
    )
    sizes = "one size" if n.size == 1 else f"{n.size} sizes from n = {number(float(n.min()))}"
    told = f"{sizes}, {_count(cube, 'alpha', 'step size')}, {_count(cube, 'lam', 'penalty', 'penalties')}"
    return Headline("Measured up to", f"n = {number(float(n.max()))}", f"{seeds}; {told}{_lacking(cube)}")


def _count(cube: xr.Dataset, axis: str, one: str, many: str = "") -> str:
    length = cube.sizes.get(axis, 1)
    return f"{length} {one if length == 1 else many or f'{one}s'}"


def _lacking(cube: xr.Dataset) -> str:
    if "status" not in cube:
        return ""
    status = cube["status"].values
    done, wanted = int((status == STATUS["ok"]).sum()), int((status != STATUS["absent"]).sum())
    return "" if done == wanted else f"; only {done} of {wanted} points are there"


def spikes_of_all(spikes: Appearances | None, last: float) -> Headline:
    """How many spikes are seen at the largest size, of those that theory has there up to the `last` alpha."""
    n, measured = (0, []) if spikes is None else (spikes.n, [s for s in spikes.found if s.seen != NOT_MEASURED])
    if not measured:
        raise Missing("no spike was measured")
    seen = [s for s in measured if s.is_seen]
    expected = [s for s in measured if s.expected_at(last)]
    known = all(s.alpha is not None for s in measured)
    name = f"Spikes seen at n = {n}"
    if not known:
        return Headline(name, str(len(seen)), _degrees(seen))
    agrees = {s.degree for s in seen} == {s.degree for s in expected}
    told = "as theory at this n has it" if agrees else f"theory at this n: {_degrees(expected)}"
    return Headline(name, f"{len(seen)}, expected {len(expected)}", f"{_degrees(seen)}; {told}", agrees)


def _degrees(those: Sequence[Appearance]) -> str:
    listed = ", ".join(str(s.degree) for s in those)
    return f"degree{'s' if len(those) > 1 else ''} {listed}" if those else "none"


def exponent(cube: xr.Dataset, fits: Fits, **further: Any) -> Headline:
    """The fitted exponent of the first outlier at the largest alpha that resolves one, with interval and claim."""
    fit = fits.get("outliers", xr.Dataset())
    if not {"estimate", "stderr", "expected", "ci_low", "ci_high"} <= set(fit) or "degree" not in fit.dims:
        raise Missing("no exponent is fitted")
    one = most_resolved(fit) if "estimator" in fit.dims else fit
    one = at(one, **{d: None for d in fixed(cube, further) if d in one.dims}, **further).sel(param="exponent")
    one = one.isel(degree=0)
    closed = (
        np.isfinite(one["ci_low"].values) & np.isfinite(one["ci_high"].values) & np.isfinite(one["expected"].values)
    )
    if not closed.any():
        raise Missing("no exponent is resolved")
    one = one.isel(alpha=int(np.flatnonzero(closed)[-1]))
    low, high, claim = (float(one[v]) for v in ("ci_low", "ci_high", "expected"))
    held = low <= claim <= high
    name = f"Exponent of outlier {int(one['degree'])} at α = {number(float(one['alpha']))}"
    how = ESTIMATORS.get(str(one.coords.get("estimator", xr.DataArray("")).item()), "").removeprefix(", ")
    told = f"95 %: {_between(low, high)}; theory {number(claim)}, {'inside' if held else 'outside'}"
    told += f"; fitted {how}" if how else ""
    return Headline(name, with_error(float(one["estimate"]), float(one["stderr"])).replace("-", "−"), told, held)


def _between(low: float, high: float) -> str:
    """The ends of an interval, to a tenth of its width or finer."""
    digits = max(0, 1 - int(np.floor(np.log10(max(high - low, 1e-12)))))
    return f"{low:.{digits}f} to {high:.{digits}f}".replace("-", "−")


def loss(cube: xr.Dataset, prediction: xr.Dataset | None, **further: Any) -> Headline:
    """The least mean test loss at the largest alpha and size, with theory there and its limit of infinite n."""
    n = largest_size(cube, "test_loss", further)
    data = means_at(cube, "test_loss", n=n, alpha=None, **further)
    if not bool(data["mean"].notnull().any()):
        raise Missing("no test loss at the largest alpha")
    one = data.isel(lam=int(data["mean"].argmin("lam"))) if "lam" in data.dims else data
    place = {"alpha": float(one["alpha"]), "n": int(n)} | ({"lam": float(one["lam"])} if "lam" in one.coords else {})
    parts = []
    if prediction is not None and "test_loss" in prediction:
        told = float(foretold(prediction["test_loss"], **place, **fixed(cube, further)))
        parts += [f"theory at this n {number(told)}"] if np.isfinite(told) else []
    if prediction is not None and "test_loss_limit" in prediction:
        limit = float(foretold(prediction["test_loss_limit"], **place, **fixed(cube, further)))
        parts += [f"limit of infinite n {number(limit)}"] if np.isfinite(limit) else []
    parts += ["one seed: no error is known"] if cube.sizes.get("seed", 1) == 1 else []
    least = f", the least of {data.sizes['lam']} λ" if data.sizes.get("lam", 1) > 1 else ""
    name = f"Test loss at {symbols.place(one, ('alpha', 'n', 'lam'))}{least}"
    return Headline(name, captions.value_text(one), "; ".join(parts) or "no theory beside it")


def thresholds(cube: xr.Dataset, fits: Fits, **further: Any) -> Headline:
    """How many fitted thresholds of infinite n agree with (k - 1)/(2k), each with its interval.

    An interval as long as all that alpha can be, from 0 to 1/2, says nothing: it is not counted.
    """
    fit = fits.get("thresholds", xr.Dataset())
    if not {"estimate", "expected", "ci_low", "ci_high"} <= set(fit) or "critical" not in fit["param"]:
        raise Missing("no threshold is fitted")
    one = at(fit, **{d: None for d in fixed(cube, further) if d in fit.dims}, **further).sel(param="critical")
    low, high, claim = (one[v].values.astype(float) for v in ("ci_low", "ci_high", "expected"))
    closed = np.isfinite(claim) & (high - low < _ALL_ALPHA)
    if not closed.any():
        raise Missing("no threshold is resolved")
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
