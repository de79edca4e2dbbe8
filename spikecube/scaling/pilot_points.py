"""What a pilot says of the values at one place: means of what was measured, and shares of draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.scaling.errors import FitError
from spikecube.scaling.regression import LEVEL
from spikecube.scaling.samples import Sample, from_data
from spikecube.scaling.targets import Wanted
from spikecube.scaling.types import Array

_MOST_DRAWS = 10_000  # of a share; beyond, Gauss's interval is Clopper and Pearson's to a per cent


class Estimate(NamedTuple):
    """An estimate with its 95 per cent interval, the degrees of freedom of its error, the law, and how its fit went."""

    estimate: float
    low: float
    high: float
    dof: float
    law: str
    status: str = "ok"


_NOTHING = Estimate(np.nan, -np.inf, np.inf, np.nan, "", "no_data")


@dataclass(frozen=True)
class PilotCurve:
    """What a pilot says of one target.

    Attributes
    ----------
    sizes, variance, dof : (K,) of the pilot, variance of one seed in the units of `slopes`.
    slopes : the law's slopes (J, p) in its parameters at any sizes (J,).
    direction : (p,), which parameter is wanted.
    smallest, largest : sizes between which the law may be used.
    found : the estimate as the pilot has it, by a fit of the same law.
    note : what the law leaves out, or an empty text.
    """

    sizes: Array
    variance: Array
    dof: Array
    slopes: Callable[[Array], Array]
    direction: Array
    smallest: float = 0.0
    largest: float = np.inf
    found: Callable[[], Estimate] = lambda: _NOTHING
    note: str = ""


def point(sample: Sample, size: float) -> PilotCurve:
    """The mean at one size, with Student's interval."""

    def found() -> Estimate:
        rows = np.flatnonzero(sample.sizes == size)
        if not len(rows) or sample.stderr is None or not np.isfinite(sample.stderr[0, rows[0]]):
            return _NOTHING
        mean, stderr, dof = (float(values[0, rows[0]]) for values in (sample.mean, sample.stderr, sample.dof))
        half = stderr * float(stats.t.ppf((1 + LEVEL) / 2, dof))
        return Estimate(mean, mean - half, mean + half, dof, f"mean at n = {size:g}")

    return PilotCurve(sample.sizes, of_a_seed(sample), sample.dof[0], _ones, np.ones(1), size, size, found)


def of_a_seed(sample: Sample) -> Array:
    assert sample.stderr is not None
    assert sample.n_seeds is not None
    return np.asarray(sample.stderr[0] ** 2 * sample.n_seeds[0])


def at_target(values: xr.DataArray, target: Wanted) -> xr.DataArray:
    """The curve (n, seed) at a target's labels."""
    strange = [name for name in target.labels if name not in (*values.dims, "n")]
    if strange:
        raise FitError(f"target {target.text!r}: the pilot has no axis {strange[0]} there")
    curve = _selected(values, target)
    extra = [d for d in curve.dims if d not in ("n", "seed")]
    if extra:
        raise FitError(f"target {target.text!r} leaves the axis {extra[0]} open: name one of its labels")
    return curve.drop_vars([c for c in curve.coords if c not in curve.dims])


def controls_at(controls: xr.DataArray | None, target: Wanted) -> xr.DataArray | None:
    """Control variates (control, n, seed) of the draws at a target's labels."""
    return None if controls is None else _selected(controls, target)


def _selected(values: xr.DataArray, target: Wanted) -> xr.DataArray:
    for name, label in target.labels.items():
        if name in values.dims and name != "n":
            values = values.isel({name: _place(values[name].values, label, target)}, drop=True)
    single = [d for d in values.dims if values.sizes[d] == 1 and d not in ("n", "seed", "control")]
    return values.isel(dict.fromkeys(single, 0), drop=True)


def _place(there: np.ndarray, label: float | str, target: Wanted) -> int:
    """Where a label stands on an axis of numbers, or of names, in which blanks do not count."""
    if isinstance(label, str) or there.dtype.kind not in "iuf":
        known = [str(v) for v in there]
        near = np.array([v.replace(" ", "") for v in known]) == str(label).replace(" ", "")
    else:
        known = [f"{v:g}" for v in there]
        near = np.isclose(there.astype(float), label, rtol=1e-9, atol=1e-12)
    if not near.any():
        name = next(name for name, value in target.labels.items() if value == label)
        raise FitError(f"target {target.text!r}: the pilot has {name} = {', '.join(known)}")
    return int(np.argmax(near))


def of_value(target: Wanted, cube: xr.Dataset) -> PilotCurve:
    """The mean of any measured number at one place."""
    known = [str(name) for name, v in cube.data_vars.items() if {"n", "seed"} <= set(v.dims) and v.dtype.kind in "iuf"]
    if target.variable not in known:
        raise FitError(f"target {target.text!r}: the pilot has no {target.variable}; it has {', '.join(known)}")
    return point(from_data(at_target(cube[target.variable].astype(float), target), "n"), target.labels["n"])


def of_share(target: Wanted, cube: xr.Dataset) -> PilotCurve:
    """The share of draws with so many outliers or more, with Clopper and Pearson's interval.

    Its variance is that with which Student's interval asks for the draws that Clopper and Pearson's needs.
    """
    counts = at_target(cube["outlier_count"], target).transpose("n", "seed")
    usable = counts.notnull().values
    hits, draws = ((counts >= target.degree).values & usable).sum(1), usable.sum(1)
    sizes, size = counts["n"].values.astype(float), target.labels["n"]
    here = (sizes == size) & (draws > 0)
    if not here.any():
        raise FitError(f"target {target.text!r}: the pilot has no draws at this n")
    hit, drawn = int(hits[here][0]), int(draws[here][0])

    def found() -> Estimate:
        ends = stats.binomtest(hit, drawn).proportion_ci(LEVEL)
        return Estimate(hit / drawn, ends.low, ends.high, drawn - 1, f"share of draws at n = {size:g}")

    needed = _draws_for_share(hit / drawn, target.half_width)
    quantile = stats.t.ppf((1 + LEVEL) / 2, max(needed - 1, 1))
    variance = np.where(here, needed * (0.999999 * target.half_width / quantile) ** 2, np.nan)
    return PilotCurve(sizes, variance, np.full(len(sizes), np.inf), _ones, np.ones(1), size, size, found)


def _draws_for_share(share: float, half_width: float) -> int:
    """The fewest draws of which a share is known to +- half_width, by Clopper and Pearson's interval, if it stays.

    Six of six draws put the interval of 95 per cent at [0.54, 1].

    >>> _draws_for_share(1.0, 0.23), _draws_for_share(0.5, 0.1)
    (6, 104)
    """
    m = np.arange(1, _MOST_DRAWS + 1)
    k, tail = np.rint(share * m), (1 - LEVEL) / 2
    low = np.where(k > 0, stats.beta.ppf(tail, np.maximum(k, 1), m - k + 1), 0.0)
    high = np.where(k < m, stats.beta.ppf(1 - tail, k + 1, np.maximum(m - k, 1)), 1.0)
    enough = (high - low) / 2 <= half_width
    gauss = share * (1 - share) * (stats.norm.ppf(1 - tail) / half_width) ** 2
    return int(m[enough.argmax()]) if enough.any() else int(np.ceil(gauss))


def _ones(n: Array) -> Array:
    return np.ones((len(n), 1))
