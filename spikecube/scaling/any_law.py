"""Power laws, and any other law of the table, fitted to anybody's labelled data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from spikecube.scaling import laws
from spikecube.scaling.errors import FitError
from spikecube.scaling.huber import Robust
from spikecube.scaling.inputs import as_floats, as_generator, sizes_of
from spikecube.scaling.labelled_fits import fit_sample
from spikecube.scaling.laws import FREE_CORRECTION, POWER, Law, corrected_power
from spikecube.scaling.results import adjust, describe
from spikecube.scaling.samples import from_data
from spikecube.scaling.two_sizes import INTERACTION, TWO_SIZES, fit_two_sizes
from spikecube.scaling.types import Array
from spikecube.scaling.window import refuse_beyond


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
    given = {} if expected is None else {"exponent": expected}
    options: dict[str, Any] = {"n_min": n_min, "rng": as_generator(rng), "draws": draws, "quantity": quantity}
    result = fit_sample(_corrected_by(correction), sample, expected=given, **options)
    return describe(adjust(result), quantity=quantity)


SURFACES = {law.name: law for law in (TWO_SIZES, INTERACTION)}
_CURVES = {law.name: law for law in vars(laws).values() if isinstance(law, Law) and law.offered}
LAWS: dict[str, Law] = _CURVES | SURFACES


def fit_law(
    data: xr.DataArray,
    law: str,
    dim: str | tuple[str, str] = "n",
    *,
    stderr: xr.DataArray | float | None = None,
    n_min: float | str | None = None,
    rng: Any = None,
    expected: Mapping[str, xr.DataArray | float] | None = None,
    zeros: str = "refuse",
    loss: str = "squares",
    delta: float | None = None,
    draws: bool = False,
) -> xr.Dataset:
    """Fit one law of the table to the mean of any labelled data over `seed`.

    ::

        power      y = C n^b                     params log_amplitude, exponent
        offset     y = L + A n^b                 params offset, amplitude, exponent; b of either sign
        log        y = L + A log n               params offset, amplitude
        log_power  y = C (log n)^b               params log_amplitude, exponent
        two_size   y = E + A N^-a + B D^-b       params offset, amplitude_N, exponent_N, amplitude_D, exponent_D
        two_size_interaction  y = E + A N^-a + B D^-b + C N^-a D^-b     those, then amplitude_ND

    Parameters that enter linearly are solved for on a grid of the others, whose best points are starts of a descent.
    Intervals are profiles of the weighted sum of squares; see `fit_power_law` for weights, errors and tests.

    Parameters
    ----------
    data : with the dim of the size, perhaps `seed`, and any others, one fit for each of their labels. For two sizes a
        grid with both dims (NaN where nothing was measured), or points along one dim that has both as coordinates.
    law : one of those above.
    dim : name of the size; for laws of two sizes a pair, whose first is N.
    stderr, rng, zeros : as in `fit_power_law`; two sizes have no bootstrap.
    n_min : smallest size used, or "auto" (see `fit_power_law`); not for two sizes.
    expected : values of parameters that theory predicts, by name; `pvalue` tests them.
    loss : "squares", or for two sizes "huber": Huber's loss on log y, which points far off move little. Its intervals
        are profiles in units of the sandwich covariance, and nothing tests the law.
    delta : where Huber's loss turns from squares to absolute values: on log y without errors (by default 1.345 robust
        scales of the residuals; Hoffmann et al. take 1e-3), in standard errors with them (by default 1.345).
    draws : keep what each seed does to each estimate, for numbers that join curves (`derived`); not for two sizes.

    Returns
    -------
    xr.Dataset
        As in `fit_power_law`; with Huber's loss also `huber_weight` and `huber_delta`.

    Raises
    ------
    ValueError
        If the law is not one of these, or an argument does not fit the data.

    References
    ----------
    Golub and Pereyra, Inverse Problems 19 (2003) R1 (variable projection); Hoffmann et al. (2022), arXiv:2203.15556,
    for the law of two sizes.

    Examples
    --------
    >>> n = np.array([10.0, 20.0, 40.0, 80.0, 160.0])
    >>> data = xr.DataArray(2 + 3 * n**-0.5, dims="n", coords={"n": n})
    >>> fit_law(data, "offset").estimate.round(6).values.tolist()
    [2.0, 3.0, -0.5]
    """
    formula, robust = _law_of(law, expected or {}), _robust(law, loss, delta)
    quantity = str(getattr(data, "name", None) or "the data")
    given: dict[str, Any] = {"expected": expected, "quantity": quantity}
    if law in SURFACES:
        dims = _pair(law, dim, n_min)
        return adjust(fit_two_sizes(data, dims, formula, stderr=stderr, zeros=zeros, robust=robust, **given))
    if not isinstance(dim, str):
        raise FitError(f"dim={dim!r} names no single dim, which the law {law!r} needs; two sizes have law='two_size'")
    smallest = n_min
    if law == "log_power":
        sizes = sizes_of(as_floats(data), dim)
        data, stderr, smallest = _logarithms(data, sizes, dim, stderr, n_min)
    sample = from_data(data, dim, stderr, zeros=zeros, own_units=bool(formula.in_units))
    result = fit_sample(formula, sample, n_min=smallest, rng=as_generator(rng), draws=draws, **given)
    if law == "log_power":
        result = _sizes_again(result, sizes, dim)
    return describe(adjust(result), quantity=quantity)


def _law_of(name: str, expected: Mapping[str, Any]) -> Law:
    """The law of a name, which has all parameters of which something is expected."""
    if name not in LAWS:
        raise FitError(f"law={name!r} is not one of {', '.join(LAWS)}")
    unknown = [param for param in expected if param not in LAWS[name].params]
    if unknown:
        raise FitError(f"expected={unknown[0]!r} is no parameter of {name!r}, which has {', '.join(LAWS[name].params)}")
    return LAWS[name]


def _robust(law: str, loss: str, delta: float | None) -> Robust | None:
    if loss not in ("squares", "huber"):
        raise FitError(f"loss={loss!r} is not 'squares' or 'huber'")
    if loss == "huber" and law not in SURFACES:
        raise FitError(f"loss='huber' is for laws of two sizes ({', '.join(SURFACES)}), got law={law!r}")
    if loss == "squares" and delta is not None:
        raise FitError(f"delta={delta!r} belongs to loss='huber'")
    return Robust(delta) if loss == "huber" else None


def _pair(law: str, dim: str | tuple[str, str], n_min: float | str | None) -> tuple[str, str]:
    if isinstance(dim, str) or len(dim) != 2 or len(set(dim)) != 2:
        raise FitError(f'dim={dim!r} is not a pair of names, say ("N", "D"), which the law "{law}" needs')
    if n_min is not None:
        raise FitError(
            f'n_min={n_min!r}: a law of two sizes has no smallest size; mask the data, data.where(data["N"] > ...)'
        )
    return str(dim[0]), str(dim[1])


def _logarithms(
    data: xr.DataArray, sizes: Array, dim: str, stderr: xr.DataArray | float | None, n_min: float | str | None
) -> tuple[xr.DataArray, xr.DataArray | float | None, float | str | None]:
    """The data against log n, in which a power of log n is a power law."""
    if (sizes <= 1).any():
        raise FitError(f"the coordinate {dim!r} holds {sizes.min():g}: a power of log n needs sizes above 1")
    refuse_beyond(n_min, sizes)
    logs = {dim: (dim, np.log(sizes), dict(data[dim].attrs))}
    if isinstance(stderr, xr.DataArray) and dim in stderr.coords:
        stderr = stderr.assign_coords({dim: np.log(sizes_of(as_floats(stderr, "stderr"), dim))})
    smallest = float(np.log(n_min)) * (1 - 1e-12) if isinstance(n_min, int | float) and n_min > 0 else n_min
    return data.assign_coords(logs), stderr, smallest


def _sizes_again(result: xr.Dataset, sizes: Array, dim: str) -> xr.Dataset:
    """A fit against log n with n as its size; `sizes` as they were given."""
    known = np.sort(sizes)

    def back(logs: Array) -> Array:
        place = np.abs(np.nan_to_num(logs)[..., None] - np.log(known)).argmin(-1)
        return np.where(np.isfinite(logs), known[place], np.nan)

    for name in ("n_min", "interval_n_min"):
        if name in result:
            result[name] = result[name].copy(data=back(result[name].values))
    coords = {name: result[name].copy(data=back(result[name].values)) for name in (dim, "window") if name in result}
    return result.assign_coords({name: (name, c.values, c.attrs) for name, c in coords.items()})
