"""The smallest size that a fit uses: given, or chosen by a scan; and intervals that know that it was chosen."""

from __future__ import annotations

import numpy as np

from spikecube.scaling.arrays import Array, Arrays, FitError
from spikecube.scaling.laws import Law
from spikecube.scaling.results import STATUS
from spikecube.scaling.samples import Sample
from spikecube.scaling.solve import Table, solve

_LEVEL = 0.1  # a window of a law without corrections enters at this level of the lack-of-fit test
_CORRECTED_LEVEL = 0.01  # one with corrections: a choice that is made more often costs its intervals their level
ALLOWED = "The interval allows for a correction of order 1/n, since the data chose the smallest size."


def window(law: Law, sample: Sample, n_min: float | str | None) -> tuple[Array, Arrays]:
    """Which sizes each curve uses (B, K), and for "auto" the scan that chose them."""
    everything = np.ones(sample.mean.shape, dtype=bool)
    if n_min is None:
        return everything, {}
    if n_min != "auto":
        if isinstance(n_min, str):
            raise FitError(f'n_min={n_min!r} is not None, "auto" or a number')
        return everything & (sample.sizes >= n_min), {}
    if sample.stderr is None:
        raise FitError('n_min="auto" needs errors to test the fit against: give seeds, or stderr')
    return _scan(law, sample)


def _scan(law: Law, sample: Sample) -> tuple[Array, Arrays]:
    """The first window whose fit is not rejected, or the last one that can be tested."""
    starts = sample.sizes[: max(len(sample.sizes) - len(law.params), 1)]
    tables = [solve(law, sample, _from(sample, s), intervals=False) for s in starts]
    pvalues = np.stack([t.gof_pvalue for t in tables], axis=1)
    fine, tested = pvalues > (_LEVEL if law.allowance else _CORRECTED_LEVEL), np.isfinite(pvalues)
    last = np.where(tested.any(1), tested.shape[1] - 1 - tested[:, ::-1].argmax(1), 0)
    chosen = np.where(fine.any(1), fine.argmax(1), last)
    scan: Arrays = {
        "scan_estimate": (("window", "param"), np.stack([t.estimate for t in tables], axis=1)),
        "scan_stderr": (("window", "param"), np.stack([t.stderr for t in tables], axis=1)),
        "scan_chi2": (("window",), np.stack([t.chi2 for t in tables], axis=1)),
        "scan_gof_pvalue": (("window",), pvalues),
        "scan_aicc": (("window",), np.stack([t.aicc for t in tables], axis=1)),
    }
    return sample.sizes >= starts[chosen][:, None], scan


def _from(sample: Sample, smallest: float) -> Array:
    return np.broadcast_to(sample.sizes >= smallest, sample.mean.shape)


def allow_for_choice(law: Law, sample: Sample, table: Table, null: Array) -> Array:
    """Give a table whose windows were chosen the intervals of the law with a correction; return its smallest size (B,).

    A test of fit does not see a correction until it has moved the exponent by several standard errors, and the first
    window that it lets pass is one in which it just does not see it: intervals of that window cover as little as 14 per
    cent. The law with a correction of order 1/n says what the data know of the exponent when there may be one. Its
    interval, reaching to the estimate if need be, and its p-values are taken; where it cannot be fitted the interval is
    open. The table is changed in place.
    """
    assert law.allowance is not None
    keep, _ = _scan(law.allowance, sample)
    wide = np.pad(null, ((0, 0), (0, len(law.allowance.params) - null.shape[1])))
    honest = solve(law.allowance, sample, keep, null=wide)
    solved = np.asarray(np.isfinite(table.estimate).all(1))
    known = (np.isfinite(honest.estimate).all(1) & solved)[:, None]
    p = len(law.params)
    low, high = (np.where(known, e[:, :p], w) for e, w in ((honest.ci_low, -np.inf), (honest.ci_high, np.inf)))
    table.ci_low[:] = np.where(solved[:, None], np.minimum(low, table.estimate), np.nan)
    table.ci_high[:] = np.where(solved[:, None], np.maximum(high, table.estimate), np.nan)
    between = (null >= table.ci_low) & (null <= table.ci_high)
    pvalue = np.where(between, np.maximum(honest.pvalue[:, :p], 0.05), honest.pvalue[:, :p])
    table.pvalue[:] = np.where(known, pvalue, np.where(solved[:, None], 1.0, np.nan))
    open_ended = solved & ~(np.isfinite(table.ci_low) & np.isfinite(table.ci_high)).all(1)
    table.status[open_ended] = STATUS["open_interval"]
    used = keep & np.isfinite(sample.mean)
    return np.where(known[:, 0], sample.sizes[used.argmax(1)], np.nan)
