"""What an interval or a test says of a claim: confirmed, not resolved or refuted, by rule and never by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.text import number

LEVEL = 0.95


class Interval(NamedTuple):
    """An estimate and the ends of its interval of 95 per cent."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half its length."""
        return (self.high - self.low) / 2

    def holds(self, value: float) -> bool:
        """Whether a value lies inside."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if not math.isfinite(self.low):  # what a test is made of has no interval
            return "open" if math.isnan(self.value) else f"{self.value:.2f}"
        digits = max(2, 1 - math.floor(math.log10(self.half_width))) if 0 < self.half_width < math.inf else 3
        return "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*self, d=min(digits, 6))


@dataclass(frozen=True)
class Verdict:
    """One of three words, and what it was reached with."""

    word: str
    text: str


CONFIRMED, OPEN, REFUTED = "confirmed", "not resolved", "refuted"


def of_value(
    found: Interval, claimed: float, others: Sequence[float], n: int, *, here: float = math.nan, pvalue: float = 1.0
) -> Verdict:
    """A number is claimed: confirmed where the interval holds it and none of the `others` that it is told from.

    Parameters
    ----------
    here : what the theory at these sizes, whose limit is the claim, has for the same estimate. An interval that misses
        the claim but holds this says that the sizes are too small, not that the claim is wrong.
    pvalue : of a joint test of the claim, beside the interval.

    >>> near = Interval(0.5, 0.4, 0.6)
    >>> [of_value(near, *a, 99).word for a in ((0.5, [1.0]), (0.5, [0, 0.55]), (1.0, [2.0]))]
    ['confirmed', 'not resolved', 'refuted']
    >>> of_value(near, 1.0, [2.0], 99, here=0.45).text
    'not resolved at n ≤ 99: the theory at these sizes has 0.45'
    """
    if not np.isfinite([found.low, found.high]).all():
        return Verdict(OPEN, f"not resolved at n ≤ {n}: the interval is open")
    if found.holds(claimed) and pvalue >= 1 - LEVEL:
        too = [other for other in others if found.holds(other)]
        if too:
            return Verdict(OPEN, f"not resolved at n ≤ {n}: the interval holds {number(too[0])} too")
        return Verdict(CONFIRMED, f"confirmed to ±{found.half_width:.2g}")
    if found.holds(here):
        return Verdict(OPEN, f"not resolved at n ≤ {n}: the theory at these sizes has {number(here)}")
    return Verdict(REFUTED, f"refuted at n ≤ {n}")


def of_sign(found: Interval, sign: int, n: int, *, bar: float = 0.0, here: float = math.nan) -> Verdict:
    """Something is claimed to lie above (sign 1) or below (-1) a bar: confirmed where the whole interval does.

    `here` as in `of_value`.

    >>> low = Interval(-0.2, -0.3, -0.1)
    >>> [of_sign(low, -1, 9).word, of_sign(low, 1, 9).word, of_sign(Interval(0, -1, 1), 1, 9).word]
    ['confirmed', 'refuted', 'not resolved']
    >>> of_sign(low, 1, 9, here=-0.15).word, of_sign(low, 1, 9, bar=-0.4).text
    ('not resolved', 'confirmed: above -0.4 at n ≤ 9')
    """
    inner, outer = sorted((sign * (found.low - bar), sign * (found.high - bar)))
    if inner > 0:
        return Verdict(CONFIRMED, f"confirmed: {'above' if sign > 0 else 'below'} {number(bar)} at n ≤ {n}")
    if outer >= 0 or not np.isfinite(outer):
        return Verdict(OPEN, f"not resolved at n ≤ {n}: the interval holds {number(bar)}")
    if sign * (here - bar) < 0:
        return Verdict(OPEN, f"not resolved at n ≤ {n}: the theory at these sizes has {number(here)}")
    return Verdict(REFUTED, f"refuted at n ≤ {n}")


def of_nothing(found: Interval, most: float, n: int, *, here: float = math.nan) -> Verdict:
    """No effect is claimed: confirmed where the interval lies within ±`most`, refuted where it lies outside.

    >>> [of_nothing(Interval(0, -x, y), 0.01, 9).word for x, y in ((0.001, 0.001), (0.02, 0.001), (-0.02, 0.03))]
    ['confirmed', 'not resolved', 'refuted']
    """
    if -most <= found.low and found.high <= most:
        return Verdict(CONFIRMED, f"confirmed: within ±{number(most)} at n ≤ {n}")
    if found.low <= most and found.high >= -most:
        return Verdict(OPEN, f"not resolved at n ≤ {n}: the interval reaches beyond ±{number(most)}")
    if abs(here) > most:
        return Verdict(OPEN, f"not resolved at n ≤ {n}: the theory at these sizes has {number(here)}")
    return Verdict(REFUTED, f"refuted at n ≤ {n}")


def of_share(found: Interval, n: int, *, here: float = math.nan) -> Verdict:
    """Something is claimed of most draws: confirmed where the interval of its share lies above one half.

    >>> of_share(share(8, 8), 600).word, of_share(share(0, 8), 600).word, of_share(share(2, 3), 600).word
    ('confirmed', 'refuted', 'not resolved')
    """
    made = of_sign(found, 1, n, bar=0.5, here=here)
    texts = {CONFIRMED: f"confirmed for most at n = {n}", OPEN: f"not resolved at n = {n}"}
    return Verdict(made.word, texts.get(made.word, f"refuted at n = {n}"))


def share(hits: int, total: int) -> Interval:
    """A share and its exact interval (Clopper and Pearson, Biometrika 26 (1934) 404).

    >>> str(share(6, 6))
    '1.00 [0.54, 1.00]'
    """
    tail = (1 - LEVEL) / 2
    low = float(stats.beta.ppf(tail, hits, total - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, total - hits)) if hits < total else 1.0
    return Interval(hits / total, low, high)


def student(mean: Any, stderr: Any, dof: Any) -> Interval:
    """The interval of a mean from its standard error and degrees of freedom."""
    reach = float(stats.t.ppf((1 + LEVEL) / 2, float(dof))) * float(stderr)
    return Interval(float(mean), float(mean) - reach, float(mean) + reach)


def fitted(fit: xr.Dataset, param: str = "exponent") -> Interval:
    """The interval of one parameter of a fit of one curve."""
    one = fit.sel(param=param)
    return Interval(*(float(one[name]) for name in ("estimate", "ci_low", "ci_high")))
