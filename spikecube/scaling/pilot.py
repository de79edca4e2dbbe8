"""What a pilot says of a target: the law's slopes, and the variance of one seed at each size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import xarray as xr
from scipy import special

from spikecube.cube.cuts import as_cube
from spikecube.scaling.cube_theory import CubeData, cube_data, measured_spikes, spikes_kept, theory_of
from spikecube.scaling.errors import FitError
from spikecube.scaling.labelled_fits import fit_sample
from spikecube.scaling.laws import corrected_limit, corrected_power
from spikecube.scaling.losses import limit_exponent
from spikecube.scaling.outliers import correction_exponents, select, slowest_correction, spike_values
from spikecube.scaling.pilot_points import (
    Estimate,
    PilotCurve,
    at_target,
    controls_at,
    of_a_seed,
    of_share,
    of_value,
    point,
)
from spikecube.scaling.results import STATUS_NAMES
from spikecube.scaling.samples import Sample, from_data
from spikecube.scaling.targets import Wanted
from spikecube.scaling.thresholds import fit_thresholds
from spikecube.scaling.types import Array

_PRIOR_SLOPE = 1.0  # how far the exponent of a variance in n may be from 0: one power, as a standard deviation


def smoothed_variance(sizes: Array, variance: Array, dof: Array, wanted: Array) -> Array:
    """Variances of one seed at sizes `wanted`, read off a line log v = a + b log n whose slope b is drawn towards 0.

    log s^2 of d degrees of freedom has the mean log v + digamma(d/2) - log(d/2) and the variance trigamma(d/2): b is
    the mean of the slope given the estimates, with a normal prior of width PRIOR_SLOPE. Two seeds that agree by chance
    then do not drive an allocation.

    >>> n = np.array([100.0, 1000.0])
    >>> smoothed_variance(n, np.array([1.0, 1.0]), np.array([9.0, 9.0]), np.array([4000.0])).round(3).tolist()
    [1.122]
    """
    usable = np.isfinite(variance) & (variance > 0) & (dof > 0)
    if not usable.any():
        raise FitError("the pilot has no size with at least 3 seeds that differ: add seeds to it")
    half = np.minimum(dof[usable], 1e6) / 2
    x, weight = np.log(sizes[usable]), 1 / special.polygamma(1, half)
    y = np.log(variance[usable]) - special.digamma(half) + np.log(half)
    centre, middle = np.average(x, weights=weight), np.average(y, weights=weight)
    power = float(weight @ (x - centre) ** 2)
    slope = float(weight @ ((x - centre) * (y - middle))) / (power + 1 / _PRIOR_SLOPE**2)
    return np.asarray(np.exp(middle + slope * (np.log(wanted) - centre)))


def pilot_curve(target: Wanted, pilot: xr.Dataset | xr.DataArray, omega: float) -> PilotCurve:
    """What a cube, or a DataArray with dims n and seed, says of a target; `omega` is that of data's correction.

    Raises
    ------
    ValueError
        If the pilot does not hold what the target speaks of.
    """
    if isinstance(pilot, xr.DataArray):
        return _of_data(target, pilot, omega)
    if target.kind in ("exponent", "limit", "mean"):
        raise FitError(f"target {target.text!r} is one for a DataArray; this pilot is a cube")
    needed, maker = _OF_CUBE.get(target.kind, ((target.variable,), _of_loss))
    return maker(target, as_cube(pilot, *needed))


def _of_data(target: Wanted, data: xr.DataArray, omega: float) -> PilotCurve:
    if target.kind not in ("exponent", "limit", "mean"):
        raise FitError(f"target {target.text!r} is one for a cube; this pilot is a DataArray")
    if set(data.dims) != {"n", "seed"}:
        raise FitError(f"a pilot needs the dims n and seed, got {', '.join(map(str, data.dims))}")
    sample = from_data(data, "n")
    if target.kind == "exponent":
        return _relative(sample, omega)
    if target.kind == "mean":
        return point(sample, target.labels["n"])
    return _towards_limit(sample, -omega)


def _relative(sample: Sample, omega: float, smallest: float = 0.0) -> PilotCurve:
    """The exponent of C n^b (1 + D n^-omega), on the logarithm, in which slopes need no parameters."""
    known = np.isfinite(sample.mean[0]) & (sample.mean[0] != 0)
    fit = fit_sample(corrected_power(omega), sample)
    bend = _bend(fit, sample, omega)
    variance = np.where(known, of_a_seed(sample) / np.where(known, sample.mean[0], 1.0) ** 2, np.nan)
    reference = float(np.exp(np.log(sample.sizes).mean()))

    def slopes(n: Array) -> Array:
        decay = (n / reference) ** -omega
        return np.stack([np.ones_like(n), np.log(n / reference), decay / (1 + bend * n**-omega)], axis=1)

    direction = np.array([0.0, 1.0, 0.0])
    found = partial(_found_in, fit, "exponent")
    return PilotCurve(sample.sizes, variance, sample.dof[0], slopes, direction, smallest, found=found)


def _bend(fit: xr.Dataset, sample: Sample, omega: float) -> float:
    """D of 1 + D n^-omega as the pilot has it, where it says so and the factor stays well above 0; else 0."""
    found = float(fit["estimate"].sel(param="correction_amplitude").item())
    return found if np.isfinite(found) and found * sample.sizes.min() ** -omega > -0.5 else 0.0


def _towards_limit(sample: Sample, exponent: float) -> PilotCurve:
    """The limit of L + A n^b with the next power n^{2b}."""

    def slopes(n: Array) -> Array:
        return np.stack([np.ones_like(n), n**exponent, n ** (2 * exponent)], axis=1)

    def found() -> Estimate:
        return _found_in(fit_sample(corrected_limit(exponent), sample), "limit")

    direction = np.array([1.0, 0.0, 0.0])
    return PilotCurve(sample.sizes, of_a_seed(sample), sample.dof[0], slopes, direction, found=found)


def _found_in(fit: xr.Dataset, param: str) -> Estimate:
    """The estimate of one parameter of a fit to one curve."""
    one = fit.sel(param=param)
    low, high = (float(v) if np.isfinite(v := one[end]) else np.inf * sign for end, sign in _ENDS)
    return Estimate(
        float(one["estimate"]), low, high, float(one["t_dof"]), str(fit.attrs["law"]), STATUS_NAMES[int(one["status"])]
    )


_ENDS = (("ci_low", -1), ("ci_high", 1))


def _sample(data: CubeData, name: str, values: xr.DataArray, target: Wanted) -> Sample:
    """Means over seeds at a target's place, with the controls of that place."""
    return replace(data, controls=controls_at(data.controls, target)).sample(name, at_target(values, target))


def _of_outlier(target: Wanted, cube: xr.Dataset) -> PilotCurve:
    data = cube_data(cube, ())
    cube, known = data.cube, data.theory
    spikes = measured_spikes(cube, known, aligned=True)
    if target.degree not in spikes:
        raise FitError(f"target {target.text!r}: the pilot has spikes of degree {', '.join(map(str, spikes))}")
    chosen = select(cube, known, [target.degree])["selected"]
    values = spike_values(cube, known, [target.degree]).where(chosen).isel(degree=0, drop=True)
    sample = _sample(data, "singular_value", values, target)
    seen = np.isfinite(sample.mean[0])
    if not seen.any():
        raise FitError(f"target {target.text!r} cannot be met: at no size of the pilot does the spike stand clear")
    omega, note = _correction(target.labels["alpha"], target.degree)
    return replace(_relative(sample, omega, float(sample.sizes[seen].min())), note=note)


def _correction(alpha: float, degree: int) -> tuple[float, str]:
    """The exponent of an outlier's correction in a design, and what is to be said where it is not theory's.

    >>> _correction(0.39, 1)
    (0.21999999999999997, '')
    >>> _correction(0.46, 1)[1]
    'its correction is n^-1, not the leading n^-0.08, which no sizes tell from the exponent: that bias stays'
    """
    omega = float(correction_exponents([alpha], [degree])[0, 0])
    if np.isfinite(omega):
        return omega, ""
    slow = float(slowest_correction(np.array(alpha), np.array(degree)))
    return 1.0, (
        f"its correction is n^-1, not the leading n^{-slow:.2g}, which no sizes tell from the exponent: that bias stays"
    )


def _of_shortfall(target: Wanted, cube: xr.Dataset) -> PilotCurve:
    """1 - cos^2 of a singular vector with its monomial, or |F - F_ell|/sqrt n: what is missing of a claim."""
    name, axis = {"alignment": ("alignment", "degree"), "norm": ("equivalence_error", "ell")}[target.kind]
    there = cube[axis].values.tolist() if name in cube else []
    if target.degree not in there:
        raise FitError(f"target {target.text!r}: the pilot has {name} of {axis} {', '.join(map(str, there)) or 'none'}")
    found = cube[name].sel({axis: target.degree}, drop=True)
    values = 1 - found if target.kind == "alignment" else found
    return _relative(from_data(at_target(values, target), "n"), 1.0)


def _of_loss(target: Wanted, cube: xr.Dataset) -> PilotCurve:
    loss, data = target.variable, cube_data(cube, ())
    cube, known = data.cube, data.theory
    values, kept = cube[loss], dict(zip(cube["alpha"].values.tolist(), spikes_kept(cube), strict=True))
    if target.kind == "loss gap":
        ell = kept.get(target.labels["alpha"])
        if ell is None:
            raise FitError(f"target {target.text!r}: F_ell with ell = ell(alpha) is not in the pilot at this alpha")
        values = values - cube[f"{loss}_spiked"].sel(ell=ell, drop=True)
    sample = _sample(data, loss, values, target)
    if target.kind == "loss":
        return point(sample, target.labels["n"])
    if target.kind == "loss gap":
        return _relative(sample, 1.0)
    exponent = limit_exponent(target.labels["alpha"], kept.get(target.labels["alpha"]), known)
    if not np.isfinite(exponent):
        raise FitError(f"target {target.text!r} cannot be met: theory has no exponent of the approach at this alpha")
    return _towards_limit(sample, exponent)


def _of_threshold(target: Wanted, cube: xr.Dataset) -> PilotCurve:
    """The alpha at which a spike of each draw detaches, a + b/log n."""
    known = theory_of(cube)
    spikes = measured_spikes(cube, known, aligned=False)
    if target.degree not in spikes:
        raise FitError(f"target {target.text!r}: the pilot has spikes of degree {', '.join(map(str, spikes))}")
    alpha = np.sort(cube["alpha"].values.astype(float))
    beyond = (cube["outlier_count"].sortby("alpha") >= known.rank(target.degree)).transpose("alpha", "n", "seed").values
    steps = np.diff(alpha, prepend=alpha[0])
    crossing = np.where(beyond.any(0) & ~beyond.all(0), (alpha - steps / 2)[beyond.argmax(0)], np.nan)
    grid = float(np.mean(np.diff(alpha)) ** 2 / 12)
    sample = from_data(xr.DataArray(crossing, dims=("n", "seed"), coords={"n": cube["n"]}), "n")
    variance = np.where(np.isfinite(sample.mean[0]), np.nan_to_num(of_a_seed(sample)) + grid, np.nan)

    def slopes(n: Array) -> Array:
        return np.stack([np.ones_like(n), 1 / np.log(n)], axis=1)

    def found() -> Estimate:
        fit = fit_thresholds(cube).sel(degree=target.degree)
        draws = int(cube["outlier_count"].notnull().any("alpha").sum())
        return _found_in(fit.assign(t_dof=max(draws - len(fit["param"]), 1)), "critical")

    return PilotCurve(sample.sizes, variance, sample.dof[0], slopes, np.array([1.0, 0.0]), found=found)


_OF_CUBE: dict[str, tuple[tuple[str, ...], Callable[[Wanted, xr.Dataset], PilotCurve]]] = {
    "outlier": (("singular_value",), _of_outlier),
    "threshold": (("outlier_count",), _of_threshold),
    "share": (("outlier_count",), of_share),
    "alignment": ((), _of_shortfall),
    "norm": ((), _of_shortfall),
    "value": ((), of_value),
}
"""What a target needs of a cube, but for what has a sentence of its own, and who reads it; all others are losses."""
