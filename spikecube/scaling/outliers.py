"""Outliers of F/sqrt(n) against n: their exponents, degree by degree, and how these depend on alpha."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import stats

from spikecube.scaling.cube_theory import CubeTheory, cube_data, measured_spikes
from spikecube.scaling.inputs import as_generator
from spikecube.scaling.labelled_fits import fit_sample
from spikecube.scaling.laws import POWER, Law, corrected_power
from spikecube.scaling.regression import weighted_least_squares
from spikecube.scaling.results import adjust, describe
from spikecube.scaling.samples import Sample, curve_covariance
from spikecube.scaling.types import Array

_DETACHED = 0.95
_ALIGNED = 0.5
_LEAST_CORRECTION = 0.1  # a correction that decays slower than n^-0.1 cannot be told from the exponent itself

NEEDED = ("alpha", "n", "seed", "rank", "degree", "singular_value", "outlier_count", "alignment")

_SELECTION = (
    f"sizes at which the spike is counted as detached in at least {_DETACHED:.0%} of the seeds and the singular vector "
    f"has a mean squared cosine of at least {_ALIGNED} with the spike's monomial"
)


def fit_outliers(
    cube: xr.Dataset | str | Path,
    *,
    prediction: xr.Dataset | bool = True,
    controls: bool = True,
    n_min: float | str | None = None,
    rng: Any = None,
    draws: bool = False,
) -> xr.Dataset:
    """Fit s_k = C n^b to the outlier of each degree k at each alpha, against b = 1/2 - k(1/2 - alpha).

    Three estimates stand side by side along `estimator`. `plain`. `corrected`, with a factor 1 + D n^-omega and the
    leading omega = min(1 - k(1 - 2 alpha), 1 - 2 alpha): the first from the bulk under the outlier, which shifts its
    square by a constant, the second from the fluctuations of sigma'. `relative`: the exponent of the ratio to the
    finite-n prediction plus the predicted limit exponent, which removes the bulk's part of the curvature.

    A spike enters at the sizes at which it is detached in nearly all seeds and points where a spike of its degree must
    (`selected`; rank alone would take the outlier of F_0 for a spike). The exponents are then regressed on alpha, with
    the covariance that the shared draws induce: `line` holds intercept and slope, `line_pvalue` tests 1/2 - k/2 and k
    jointly.

    Parameters
    ----------
    cube : with `singular_value`, `outlier_count`, `alignment` and its study.
    prediction : of `predict`, made anew if True; without it (False) the `relative` estimate is left out.
    controls : whether means over seeds use control variates.
    n_min, rng, draws : see `fit_power_law`.

    Returns
    -------
    xr.Dataset
        Dims (estimator, degree, alpha, ...further axes); see `fit_power_law`.

    References
    ----------
    Moniri, Lee, Hassani, Dobriban, ICML 2024 (arXiv:2310.07891), section 3, for the exponents.
    """
    keywords: dict[str, Any] = {"n_min": n_min, "rng": as_generator(rng), "draws": draws}
    keywords["quantity"] = "outlier of F/sqrt(n)"
    data = cube_data(cube, NEEDED, controls=controls, prediction=prediction, predicted=("singular_value",))
    known, degrees = data.theory, measured_spikes(data.cube, data.theory, aligned=True)
    chosen = select(data.cube, known, degrees)
    values = spike_values(data.cube, known, degrees).where(chosen["selected"])
    alpha = data.cube["alpha"].values
    expected = _table(alpha, degrees, [[known.exponent("outlier", float(a), k) for a in alpha] for k in degrees])
    omega = _table(alpha, degrees, correction_exponents(alpha, degrees))
    tasks = [_Task(POWER, values, expected), *_corrected(values, omega, expected)]
    if data.predicted is not None:
        tasks.append(_Task(POWER, values / spike_values(data.predicted, known, degrees), 0.0))
    samples, found = [], []
    for law, curves, theory in tasks:
        sample = data.sample("singular_value", curves)
        samples.append(sample)
        found.append(fit_sample(law, sample, expected={"exponent": theory}, **keywords))
    fits = {"plain": found[0], "corrected": _grid(found[1 : 1 + omega.size], len(alpha))}
    lines = {"plain": exponent_line(fits["plain"], samples[0], degrees)}
    if data.predicted is not None:
        fits["relative"] = _shifted(found[-1], expected)
        lines["relative"] = exponent_line(fits["relative"], samples[-1], degrees)
    result = _join(fits).merge(_join(lines), join="outer").merge(chosen).sel(estimator=list(fits))
    result["expected_line"] = ("degree", "coefficient"), [[0.5 - k / 2, float(k)] for k in degrees]
    result["correction_exponent"] = omega.assign_attrs(long_name="omega of the corrected law 1 + D n^-omega")
    result.attrs = {**fits["plain"].attrs, "selection": _SELECTION, "controls": str(data.controls is not None)}
    result.attrs["prediction"] = data.note
    result = adjust(result)
    return describe(result, quantity="outlier of F/sqrt(n)")


def select(cube: xr.Dataset, known: CubeTheory, degrees: list[int]) -> xr.Dataset:
    """Which sizes enter for each degree, and why; dims (degree, alpha, n, ...further axes)."""
    detached, aligned = [], []
    for k in degrees:
        seen = cube["outlier_count"].notnull()
        detached.append((cube["outlier_count"] >= known.rank(k)).where(seen).mean("seed"))
        aligned.append(cube["alignment"].sel(degree=k, drop=True).mean("seed"))
    index = xr.DataArray(degrees, dims="degree", coords={"degree": degrees})["degree"]
    fraction, cosine = xr.concat(detached, dim=index), xr.concat(aligned, dim=index)
    selected = (fraction >= _DETACHED) & (cosine >= _ALIGNED)
    found = xr.Dataset({"detached_fraction": fraction, "mean_alignment": cosine, "selected": selected})
    found["detached_fraction"].attrs["long_name"] = "fraction of seeds with the spike beyond the detection edge"
    found["mean_alignment"].attrs["long_name"] = "mean squared cosine of the singular vector with the spike's monomial"
    found["selected"].attrs["long_name"] = _SELECTION
    return found.drop_vars([c for c in found.coords if c not in found.dims])


def spike_values(cube: xr.Dataset, known: CubeTheory, degrees: list[int]) -> xr.DataArray:
    """The singular value, measured or predicted, of each degree whose rank is there; dims (degree, alpha, n, ...)."""
    table = cube["singular_value"]
    there = [k for k in degrees if known.rank(k) in table["rank"].values]
    parts = [table.sel(rank=known.rank(k), drop=True) for k in there]
    joined: xr.DataArray = xr.concat(parts, dim=xr.Variable("degree", there))
    return joined.drop_vars([c for c in joined.coords if c not in joined.dims])


def _table(alpha: Array, degrees: list[int], values: npt.ArrayLike) -> xr.DataArray:
    return xr.DataArray(values, dims=("degree", "alpha"), coords={"degree": degrees, "alpha": alpha})


def correction_exponents(alpha: npt.ArrayLike, degrees: list[int]) -> Array:
    """min(1 - k(1 - 2 alpha), 1 - 2 alpha), the slower of two corrections; NaN below what an exponent can be told from.

    >>> correction_exponents([0.4], [1, 2, 6]).round(3).tolist()
    [[0.2], [0.2], [nan]]
    """
    omega = slowest_correction(np.asarray(alpha, dtype=float), np.array(degrees)[:, None])
    return np.where(omega >= _LEAST_CORRECTION, omega, np.nan)


def slowest_correction(alpha: Array, degree: Array) -> Array:
    """min(1 - k(1 - 2 alpha), 1 - 2 alpha) as it is: the first from the bulk, the second from the step's randomness."""
    slowest: Array = np.minimum(1 - degree * (1 - 2 * alpha), 1 - 2 * alpha)
    return slowest


class _Task(NamedTuple):
    """One law for some curves, and the exponent that theory predicts for them."""

    law: Law
    values: xr.DataArray
    expected: xr.DataArray | float


def _corrected(values: xr.DataArray, omega: xr.DataArray, expected: xr.DataArray) -> list[_Task]:
    """A law for each degree and alpha, degree by degree, since they differ in omega; no curve where it is too small."""
    tasks = []
    for k, a in itertools.product(omega["degree"].values, omega["alpha"].values):
        cell, power = {"degree": [k], "alpha": [a]}, omega.sel(degree=k, alpha=a).item()
        resolved = bool(np.isfinite(power))
        law = corrected_power(power if resolved else 1.0)
        tasks.append(_Task(law, values.sel(cell).where(resolved), expected.sel(cell)))
    return tasks


def _grid(fits: list[xr.Dataset], n_alpha: int) -> xr.Dataset:
    """Fits of single degrees and alphas, degree by degree, as one."""
    rows = [xr.concat(fits[i : i + n_alpha], dim="alpha", join="outer") for i in range(0, len(fits), n_alpha)]
    joined: xr.Dataset = xr.concat(rows, dim="degree", join="outer")
    return joined


def _shifted(fit: xr.Dataset, expected: xr.DataArray) -> xr.Dataset:
    """The exponent of a ratio plus the exponent of what it was divided by."""
    shift = expected * xr.DataArray((fit["param"] == "exponent").astype(float), dims="param")
    for name in ("estimate", "ci_low", "ci_high", "expected", "null_value"):
        fit[name] = (fit[name] + shift).transpose(*fit[name].dims)
    fit["leave_one_out"] = (fit["leave_one_out"] + shift).transpose(*fit["leave_one_out"].dims)
    return fit


def exponent_line(fit: xr.Dataset, sample: Sample, degrees: list[int]) -> xr.Dataset:
    """Exponent = intercept + slope alpha for each degree, with the covariance of the shared draws along alpha."""
    dims = [d for d in sample.dims if d != "alpha"]
    pick = {"param": "exponent"}
    estimate = fit["estimate"].sel(pick).transpose(*dims, "alpha")
    rows = np.arange(len(sample.mean)).reshape(sample.shape)
    rows = np.moveaxis(rows, sample.dims.index("alpha"), -1)
    response = fit["response"].sel(pick).to_numpy().reshape(len(sample.mean), -1)
    t_dof = fit["t_dof"].sel(pick).to_numpy().reshape(-1)
    shape = estimate.shape[:-1]
    coefficients, errors = np.full((*shape, 2), np.nan), np.full((*shape, 2), np.nan)
    pvalue, count = np.full(shape, np.nan), np.zeros(shape)
    for place in np.ndindex(*shape):
        row = rows[place]
        fine = np.isfinite(estimate.to_numpy()[place]) & np.isfinite(t_dof[row])
        count[place] = fine.sum()
        if fine.sum() < 3:
            continue
        alpha = fit["alpha"].to_numpy()[fine]
        covariance = curve_covariance(response[row[fine]], sample, row[fine])
        k = degrees[place[dims.index("degree")]]
        coefficients[place], errors[place], pvalue[place] = line_test(
            alpha, estimate.to_numpy()[place][fine], covariance, t_dof[row[fine]].min(), np.array([0.5 - k / 2, k])
        )
    table = {
        "line": ((*dims, "coefficient"), coefficients, "intercept and slope of the exponent in alpha"),
        "line_stderr": ((*dims, "coefficient"), errors, "standard error of intercept and slope"),
        "line_pvalue": (tuple(dims), pvalue, "p-value of intercept 1/2 - k/2 and slope k jointly (Hotelling)"),
        "line_nobs": (tuple(dims), count, "values of alpha in the line"),
    }
    coords = {d: fit[d] for d in dims if d in fit.coords} | {"coefficient": ["intercept", "slope"]}
    return xr.Dataset({n: (d, v, {"long_name": text}) for n, (d, v, text) in table.items()}, coords)


class LineTest(NamedTuple):
    """Intercept and slope of a line (2,), their errors (2,), and Hotelling's p-value of what is expected of both."""

    params: Array
    stderr: Array
    pvalue: float


def line_test(x: Array, y: Array, covariance: Array, dof: float, expected: Array) -> LineTest:
    """The line of y (P,) on x (P,) with their covariance (P, P), held against `expected` (2,).

    The line is weighted by the variances alone: an inverse of an estimated covariance of nearly equal rows would
    amplify its noise. Its errors use the whole covariance.

    >>> x = np.array([0.0, 1.0, 2.0])
    >>> line, error, p = line_test(x, 1 + 2 * x, np.eye(3), np.inf, np.array([1.0, 2.0]))
    >>> line.round(9).tolist(), round(p, 6)
    ([1.0, 2.0], 1.0)
    """
    variance = np.diag(covariance)
    fit = weighted_least_squares(np.column_stack([np.ones_like(x), x]), y, 1 / variance, variance=variance)
    spread = fit.influence @ covariance @ fit.influence.T
    off = fit.params - expected
    wald = float(off @ np.linalg.pinv(spread, hermitian=True) @ off)
    if np.isfinite(dof):
        pvalue = stats.f.sf(wald * (dof - 1) / (2 * dof), 2, dof - 1) if dof > 1 else np.nan
    else:
        pvalue = stats.chi2.sf(wald, 2)
    return LineTest(fit.params, np.sqrt(np.maximum(np.diag(spread), 0.0)), float(pvalue))


def _join(fits: dict[str, xr.Dataset]) -> xr.Dataset:
    """Several estimates along a new dim `estimator`; parameters that one of them lacks are NaN."""
    longest = max((f for f in fits.values() if "param" in f.dims), key=lambda f: f.sizes["param"], default=None)
    joined: xr.Dataset = xr.concat(list(fits.values()), dim=xr.Variable("estimator", list(fits)), join="outer")
    if longest is None:
        return joined
    return joined.reindex({name: longest[name].values for name in ("param", "param_i", "param_j")})
