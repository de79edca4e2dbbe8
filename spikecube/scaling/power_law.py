"""Power laws with or without corrections to scaling, for any labelled data."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from spikecube.scaling.errors import FitError
from spikecube.scaling.inputs import generator
from spikecube.scaling.labelled_fits import fit_sample
from spikecube.scaling.laws import FREE_CORRECTION, POWER, Law, corrected_power
from spikecube.scaling.results import adjust, describe
from spikecube.scaling.samples import from_data


def _corrected_by(correction: float | str | None) -> Law:
    """The law that `correction` asks for: None, "free", or the exponent of the correction.

    >>> _corrected_by(0.5).params
    ('log_amplitude', 'exponent', 'correction_amplitude')
    """
    if correction is None:
        return POWER
    if correction == "free":
        return FREE_CORRECTION
    if isinstance(correction, bool) or not isinstance(correction, int | float | np.number):
        raise FitError(f'correction={correction!r} is not None, "free" or a positive number')
    return corrected_power(float(correction))


def fit_power_law(
    data: xr.DataArray,
    dim: str = "n",
    *,
    stderr: xr.DataArray | float | None = None,
    correction: float | str | None = None,
    n_min: float | str | None = None,
    rng: Any = None,
    expected: xr.DataArray | float | None = None,
    zeros: str = "refuse",
    draws: bool = False,
) -> xr.Dataset:
    """Fit y = C n^b, or y = C n^b (1 + D n^-omega), to the mean of the data over `seed`.

    Where all means are positive and within 20 per cent the fit is linear in log C and b, on the logarithm of the means
    (bias s^2/2 removed); otherwise it is made on the raw scale, and C may have either sign (variable `sign`).
    Weights come from the spread over seeds, smoothed along n; covariances from the spread itself, with Satterthwaite's
    degrees of freedom; intervals of nonlinear laws from the profile of the weighted sum of squares.

    Parameters
    ----------
    data : with dims `dim`, perhaps `seed`, and any others; one fit for each of their labels. Any real numbers in any
        unit; NaN where there is no value.
    dim : name of the size; it needs a positive coordinate.
    stderr : known standard errors of the data (no `seed` then), a number or labelled; they are aligned by label, and
        curves that they do not name have none. A point with a value needs an error.
    correction : None; omega > 0 given; or "free" to estimate omega.
    n_min : smallest size used; "auto" takes the smallest window start whose fit is not rejected at the 10 per cent
        level (1 per cent with a correction) and reports all of them (`scan_*`). Estimate, interval and p-value are then
        those of the law with a correction of order 1/n; `window_estimate`, `window_low`, `window_high` is what the
        chosen window would say, had it been given.
    rng : gives bootstrap intervals over seeds (over the known errors with `stderr`); whatever
        `numpy.random.default_rng` takes.
    expected : exponent that theory predicts, a number or aligned by label; `pvalue` then tests it.
    zeros : "refuse" standard errors that are zero, or "drop" their points.
    draws : keep what each seed does to each estimate, for numbers that join curves (`derived`).

    Returns
    -------
    xr.Dataset
        estimate, stderr, ci_low, ci_high, pvalue, expected (..., param); covariance (..., param_i, param_j); nobs, dof,
        chi2, gof_pvalue, aicc, n_min, converged; the data with fitted values, residuals, influence and leave-one-out
        estimates (..., dim); status and message. Exponents are powers of n.

    Raises
    ------
    ValueError
        If an argument does not fit the data; the sentence says what was given and what is allowed.

    References
    ----------
    Golub and Pereyra, Inverse Problems 19 (2003) R1 (variable projection); Bates and Watts (1988), chapter 6
    (profiles); Brunner, Dette, Munk, JASA 92 (1997) 1494 (lack of fit with few replicates).

    Examples
    --------
    >>> n = np.array([100.0, 200.0, 400.0, 800.0])
    >>> data = xr.DataArray(3 * n**0.25, dims="n", coords={"n": n})
    >>> fit = fit_power_law(data)
    >>> fit.estimate.sel(param="exponent").item().__round__(10)
    0.25
    """
    sample = from_data(data, dim, stderr, zeros=zeros, own_units=True)
    quantity = str(data.name or "the data")
    result = fit_sample(
        _corrected_by(correction),
        sample,
        n_min=n_min,
        rng=generator(rng),
        expected={} if expected is None else {"exponent": expected},
        quantity=quantity,
        draws=draws,
    )
    return describe(adjust(result), quantity=quantity)
