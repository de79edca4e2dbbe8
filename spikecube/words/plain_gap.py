"""Why intervals of plain power laws leave out the limit exponents: the share of it that other estimators take."""

from __future__ import annotations

import numpy as np
import xarray as xr

_EXPLAINS = 0.5  # of the distance, below which a share is called small
_SHARES = (
    ("relative", "theory at these n, relative to which they were fitted too,"),
    ("corrected", "the correction n^-omega"),
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
    count, told = int(missed.sum()), []
    for name, what in _SHARES if count else ():
        if name in fit["estimator"].values:
            share = ((plain["estimate"] - one["estimate"].sel(estimator=name)) / (plain["estimate"] - limit)).where(
                missed
            )
            values = share.values[np.isfinite(share.values)]
            if len(values):
                median, few = float(np.median(values)), f" in {len(values)} of them" if len(values) < count else ""
                small = "" if median >= _EXPLAINS else ", which is no explanation"
                told.append(f"{what} takes {median:.0%} (median){few}{small}")
    if not told:
        return ""
    return f" Of the distance of the {count} that do{'es' if count == 1 else ''} not hold, {'; '.join(told)}."
