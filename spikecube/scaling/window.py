"""The smallest size that a fit uses: given, or chosen by a scan; and intervals that know that it was chosen."""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
import xarray as xr

from spikecube.scaling.curve_fits import Table
from spikecube.scaling.errors import FitError
from spikecube.scaling.fit_scale import ScaledSample, fit_curves, on_scale
from spikecube.scaling.laws import LOG_POWER, POWER, Law, corrected_power
from spikecube.scaling.results import STATUS
from spikecube.scaling.samples import Sample
from spikecube.scaling.types import Array, Arrays

_LEVEL = 0.1  # a window of a law without corrections enters at this level of the lack-of-fit test
_CORRECTED_LEVEL = 0.01  # one with corrections: a choice that is made more often costs its intervals their level
ALLOWANCES = {
    law.name: corrected_power(1.0) for law in (POWER, LOG_POWER)
}  # laws whose intervals hold after a window was chosen
_SCANNED = ("estimate", "stderr", "chi2", "gof_pvalue", "aicc")
ALLOWED = (
    "The data chose the smallest size, and the interval allows for a correction of order 1/n: estimate and interval "
    "are those of the law with it."
)


def window(law: Law, sample: Sample, n_min: float | str | None) -> tuple[Array, Arrays]:
    """Which sizes each curve uses (B, K), and for "auto" the scan that chose them."""
    everything = np.ones(sample.mean.shape, dtype=bool)
    if n_min is None:
        return everything, {}
    if n_min != "auto":
        if not _is_size(n_min):
            raise FitError(f'n_min={n_min!r} is not None, "auto" or a number')
        refuse_beyond(n_min, sample.sizes)
        return everything & (sample.sizes >= n_min), {}
    if sample.stderr is None:
        raise FitError('n_min="auto" needs errors to test the fit against: give seeds, or stderr')
    return _scan(law, sample)


def _is_size(n_min: Any) -> TypeGuard[float]:
    return not isinstance(n_min, bool) and isinstance(n_min, int | float | np.number) and not np.isnan(n_min)


def refuse_beyond(n_min: float | str | None, sizes: Array) -> None:
    """Refuses a smallest size beyond all sizes.

    Raises
    ------
    FitError
        With the largest size there is.
    """
    if isinstance(n_min, int | float | np.number) and len(sizes) and n_min > np.max(sizes):
        raise FitError(f"n_min={n_min:g} is beyond all sizes: the largest is {np.max(sizes):g}")


def from_size(cube: xr.Dataset, n_min: float | str | None, law: str) -> xr.Dataset:
    """The sizes of a cube from `n_min` on, for a law that uses all sizes it is given.

    Raises
    ------
    FitError
        If it is beyond all sizes, or not a number: the data cannot choose the sizes of such a law.
    """
    if n_min is None:
        return cube
    if not _is_size(n_min):
        raise FitError(f"n_min={n_min!r}: {law} take a number, from which size on the cube is used")
    refuse_beyond(n_min, cube["n"].values)
    return cube.sel(n=cube["n"] >= n_min)


def _scan(law: Law, sample: Sample) -> tuple[Array, Arrays]:
    """The first window whose fit is not rejected, or the last one that can be tested."""
    starts = sample.sizes[: max(len(sample.sizes) - len(law.params), 1)]
    windows = [np.broadcast_to(sample.sizes >= smallest, sample.mean.shape) for smallest in starts]
    tables = [fit_curves(on_scale(law, sample, keep), intervals=False) for keep in windows]
    pvalues = np.stack([t.gof_pvalue for t in tables], axis=1)
    fine, tested = pvalues > (_LEVEL if law.name in ALLOWANCES else _CORRECTED_LEVEL), np.isfinite(pvalues)
    last = np.where(tested.any(1), tested.shape[1] - 1 - tested[:, ::-1].argmax(1), 0)
    chosen = np.where(fine.any(1), fine.argmax(1), last)
    of_all = {name: np.stack([getattr(t, name) for t in tables], axis=1) for name in _SCANNED}
    tails = {name: ("window", "param") if values.ndim == 3 else ("window",) for name, values in of_all.items()}
    scan: Arrays = {f"scan_{name}": (tails[name], values) for name, values in of_all.items()}
    return sample.sizes >= starts[chosen][:, None], scan


def with_correction(law: Law, sample: Sample, null: Array) -> tuple[ScaledSample, Table]:
    """The sample in a window that the data chose for the law with a correction, and the fit of that law.

    A test of fit does not see a correction until it has moved the exponent by several standard errors, and the first
    window that it lets pass is one in which it just does not see it: intervals of that window cover as little as 14 per
    cent. The law with a correction of order 1/n says what the data know of the exponent when there may be one.
    """
    allowance = ALLOWANCES[law.name]
    keep, _ = _scan(allowance, sample)
    scaled = on_scale(allowance, sample, keep)
    wide = np.pad(null, ((0, 0), (0, len(allowance.params) - null.shape[1])))
    return scaled, fit_curves(scaled, null=wide)


def adopt(table: Table, honest: Table) -> Array:
    """Give a table whose windows were chosen the estimates and intervals of the law with a correction.

    Where that could not be fitted the estimate of the window stays, with an interval that is open. The table is changed
    in place; which curves have the answer of the law with a correction is returned, (B,).
    """
    p = table.estimate.shape[1]
    solved = np.asarray(np.isfinite(table.estimate).all(1))
    known = np.asarray(np.isfinite(honest.estimate).all(1) & solved)
    for name in ("estimate", "stderr", "t_dof", "pvalue", "ci_low", "ci_high", "response"):
        getattr(table, name)[known] = getattr(honest, name)[known, :p]
    table.covariance[known] = honest.covariance[known, :p, :p]
    lost = solved & ~known
    table.ci_low[lost], table.ci_high[lost], table.pvalue[lost] = -np.inf, np.inf, 1.0
    open_ended = solved & ~(np.isfinite(table.ci_low) & np.isfinite(table.ci_high)).all(1)
    table.status[open_ended] = STATUS["open_interval"]
    return known
