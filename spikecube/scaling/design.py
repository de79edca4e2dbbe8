"""How many seeds at which size: the cheapest study whose fits are as sharp as asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import special, stats

from spikecube.cube.cuts import as_cube
from spikecube.scaling.allocation import LEAST_SEEDS, Aim, Allocation, allocate, duality_gap, half_width_of, support
from spikecube.scaling.arrays import Array, FitError
from spikecube.scaling.context import context, measured_spikes, spikes_kept
from spikecube.scaling.fitting import fit_sample
from spikecube.scaling.laws import corrected_power
from spikecube.scaling.losses import limit_exponent
from spikecube.scaling.outliers import correction_exponents, select, spike_values
from spikecube.scaling.regression import weighted_least_squares
from spikecube.scaling.samples import Sample, cube_controls, from_data, smooth_variance
from spikecube.scaling.targets import Target, parse_targets

Cost = Callable[[float], float] | npt.ArrayLike

PRIOR_SLOPE = 1.0  # how far the exponent of a variance in n may be from 0: one power, as a standard deviation
_BUDGETS = np.geomspace(0.1, 10.0, 9)
_ROUNDS = 6  # of calibration


@dataclass(frozen=True)
class Curve:
    """What a pilot says of one target.

    Attributes
    ----------
    sizes, variance, dof : (K,) of the pilot, variance of one seed in the units of `slopes`.
    slopes : the law's slopes (J, p) in its parameters at any sizes (J,).
    direction : (p,), which parameter is wanted.
    smallest, largest : sizes between which the law may be used.
    """

    sizes: Array
    variance: Array
    dof: Array
    slopes: Callable[[Array], Array]
    direction: Array
    smallest: float = 0.0
    largest: float = np.inf


def design(
    target: str | Sequence[str],
    *,
    pilot: xr.Dataset | xr.DataArray,
    sizes: npt.ArrayLike | None = None,
    cost: Cost | None = None,
    correction: float = 1.0,
) -> xr.Dataset:
    """The cheapest seeds at each size that give every target its half-width, from the spread that a pilot shows.

    minimise sum_n cost(n) m(n) subject to t^2 Var(estimate) <= half_width^2; the law has its correction in it, since
    cheap small sizes would otherwise buy bias. Variances are read off a line in log n through those of the pilot, whose
    slope is drawn towards 0 where the pilot says little of it. At least two sizes more than parameters take part, with
    5 seeds each.

    Parameters
    ----------
    target : such as "outlier 2 exponent alpha=0.39 = 0.01" for a cube, or "exponent = 0.01" for a DataArray; several
        are separated by semicolons, or given as a list.
    pilot : a cube, or a DataArray with dims n and seed.
    sizes : sizes that may be used; those of the pilot by default.
    cost : of one seed, a function of n or a value for each of `sizes`, in any unit; n^3 by default.
    correction : omega > 0 of the factor 1 + D n^-omega for targets of a DataArray.

    Returns
    -------
    xr.Dataset
        seeds, cost_share, sensitivity (n); half_width and wanted (target); variance (target, n);
        half_width_equal_seeds and half_width_equal_money (target) for the same money; cost; duality_gap, the
        certificate (no size has a sensitivity above 1, Kiefer and Wolfowitz); half_width_curve (strategy, target,
        budget).

    Raises
    ------
    ValueError
        If a target is not understood, the pilot does not hold it, or the sizes do not determine it.

    References
    ----------
    Kiefer and Wolfowitz, Can. J. Math. 12 (1960) 363; Pukelsheim, Optimal Design of Experiments (1993).

    Examples
    --------
    >>> n, rng = np.array([100.0, 200.0, 400.0, 800.0, 1600.0]), np.random.default_rng(1)
    >>> data = n[:, None] ** 0.5 * (1 + 0.1 * rng.standard_normal((5, 8)))
    >>> made = design("exponent = 0.02", pilot=xr.DataArray(data, dims=("n", "seed"), coords={"n": n}))
    >>> bool(made.seeds.sel(n=100) > 20 * made.seeds.sel(n=1600)), bool(made.half_width <= 0.02)
    (True, True)
    """
    targets = parse_targets(target)
    curves = [_curve(t, pilot, correction) for t in targets]
    chosen = np.unique(np.concatenate([c.sizes for c in curves]) if sizes is None else np.asarray(sizes, dtype=float))
    money = chosen**3 if cost is None else _costs(cost, chosen)
    aims = [_aim(c, t, chosen) for c, t in zip(curves, targets, strict=True)]
    made, widths_made = _calibrated(aims, money)
    seeds = made.seeds.astype(float)
    total = float(seeds @ money)
    equal, spent = np.full(len(chosen), total / money.sum()), total / len(chosen) / money
    strategies = {"design": seeds, "equal seeds": equal, "equal money": spent}
    widths = {name: np.array([_width(a, s) for a in aims]) for name, s in strategies.items()}
    budgets = total * _BUDGETS
    curves_of = [[[_width(a, s * b) for b in _BUDGETS] for a in aims] for s in strategies.values()]
    return xr.Dataset(
        {
            "seeds": ("n", made.seeds, {"long_name": "seeds at each size"}),
            "cost_share": ("n", seeds * money / total, {"long_name": "share of the cost"}),
            "sensitivity": (
                "n",
                made.sensitivity,
                {"long_name": "what a unit of cost there saves elsewhere, at most 1"},
            ),
            "half_width": ("target", widths_made, {"long_name": "expected half-width of the 95 per cent interval"}),
            "wanted": ("target", [t.half_width for t in targets], {"long_name": "half-width asked for"}),
            "variance": (("target", "n"), np.array([a.variance for a in aims]), {"long_name": "variance of one seed"}),
            "half_width_equal_seeds": ("target", widths["equal seeds"]),
            "half_width_equal_money": ("target", widths["equal money"]),
            "half_width_curve": (("strategy", "target", "budget"), np.array(curves_of)),
            "cost": ((), total, {"long_name": "cost of all seeds"}),
            "duality_gap": ((), duality_gap(made, money, _least(aims, money))),
        },
        {"n": chosen, "target": [t.text for t in targets], "strategy": list(strategies), "budget": budgets},
    )


def _calibrated(aims: Sequence[Aim], money: Array) -> tuple[Allocation, Array]:
    """The allocation whose half-widths in made-up fits are those asked for, and these half-widths.

    Fits take their weights and errors from few seeds at the largest sizes, which costs more than the t quantile says.
    """
    worse = np.ones(len(aims))
    for _ in range(_ROUNDS):
        tighter = [replace(a, half_width=a.half_width / w) for a, w in zip(aims, worse, strict=True)]
        made = allocate(tighter, money)
        found = np.array([fitted_half_width(a, made.seeds) for a in aims])
        ratio = found / np.array([a.half_width for a in aims])
        if (ratio <= 1.0).all() and ratio.max() > 0.97:
            break
        worse = np.maximum(worse * ratio * (1.005 if ratio.max() > 1 else 1.0), 1.0)
    return made, found


def fitted_half_width(aim: Aim, seeds: Array, n_fits: int = 200) -> float:
    """Mean half-width of fits to made-up studies with these seeds, their weights and errors taken from the seeds."""
    used = (np.asarray(seeds) > 1) & np.isfinite(aim.variance)
    slopes, count = aim.slopes[used], np.asarray(seeds, dtype=float)[used]
    if len(aim.direction) == 1:
        return half_width_of(replace(aim, slopes=slopes, variance=aim.variance[used]), count)
    rng = np.random.default_rng(0)
    dof = count - 1
    variance = aim.variance[used] / count * rng.chisquare(dof, (n_fits, len(dof))) / dof
    logs = np.log(aim.sizes[used])
    smooth = smooth_variance(aim.sizes[used], variance, np.broadcast_to(dof, variance.shape), count)
    found = []
    for one, line in zip(variance, smooth, strict=True):
        fit = weighted_least_squares(slopes, np.zeros(len(dof)), 1 / line, variance=one, variance_dof=dof, trend=logs)
        spread = float(np.sqrt(aim.direction @ fit.covariance @ aim.direction))
        found.append(spread * stats.t.ppf(0.975, fit.dof[np.argmax(np.abs(aim.direction))]))
    return float(np.mean(found))


def _least(aims: Sequence[Aim], money: Array) -> Array:
    return support(aims, money) * LEAST_SEEDS


def _width(aim: Aim, seeds: Array) -> float:
    usable = seeds > 0
    part = replace(aim, slopes=aim.slopes[usable], variance=aim.variance[usable])
    return half_width_of(part, np.asarray(seeds[usable], dtype=float))


def _costs(cost: Cost, sizes: Array) -> Array:
    values = np.array([cost(float(n)) for n in sizes]) if callable(cost) else np.asarray(cost, dtype=float)
    if values.shape != sizes.shape or not (np.isfinite(values) & (values > 0)).all():
        raise FitError(
            f"cost must give a positive number for each of {len(sizes)} sizes, got {np.round(values, 6).tolist()}"
        )
    return values


def _aim(curve: Curve, target: Target, sizes: Array) -> Aim:
    variance = smoothed_variance(curve.sizes, curve.variance, curve.dof, sizes)
    fits = (sizes >= curve.smallest) & (sizes <= curve.largest)
    if not fits.any():
        raise FitError(
            f"target {target.text!r} cannot be met with n = {', '.join(f'{n:g}' for n in sizes)}: the law holds from "
            f"n = {curve.smallest:g} on"
        )
    return Aim(curve.direction, curve.slopes(sizes), np.where(fits, variance, np.inf), target.half_width, sizes)


def smoothed_variance(sizes: Array, variance: Array, dof: Array, at: Array) -> Array:
    """Variances of one seed at sizes `at`, read off a line log v = a + b log n whose slope b is drawn towards 0.

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
    slope = float(weight @ ((x - centre) * (y - middle))) / (power + 1 / PRIOR_SLOPE**2)
    return np.asarray(np.exp(middle + slope * (np.log(at) - centre)))


def _curve(target: Target, pilot: xr.Dataset | xr.DataArray, omega: float) -> Curve:
    if isinstance(pilot, xr.DataArray):
        return _of_data(target, pilot, omega)
    if target.kind in ("exponent", "limit", "mean"):
        raise FitError(f"target {target.text!r} is one for a DataArray; this pilot is a cube")
    makers = {"outlier": _of_outlier, "threshold": _of_threshold}
    return makers.get(target.kind, _of_loss)(target, as_cube(pilot))


def _of_data(target: Target, data: xr.DataArray, omega: float) -> Curve:
    if target.kind not in ("exponent", "limit", "mean"):
        raise FitError(f"target {target.text!r} is one for a cube; this pilot is a DataArray")
    if set(data.dims) != {"n", "seed"}:
        raise FitError(f"a pilot needs the dims n and seed, got {', '.join(map(str, data.dims))}")
    sample = from_data(data, "n")
    if target.kind == "exponent":
        return _relative(sample, omega)
    if target.kind == "mean":
        return _point(sample, target.labels["n"])
    return _towards_limit(sample, -omega)


def _relative(sample: Sample, omega: float, smallest: float = 0.0) -> Curve:
    """The exponent of C n^b (1 + D n^-omega), on the logarithm, in which slopes need no parameters."""
    known = np.isfinite(sample.mean[0]) & (sample.mean[0] != 0)
    bend = _bend(sample, omega)
    variance = np.where(known, _of_a_seed(sample) / np.where(known, sample.mean[0], 1.0) ** 2, np.nan)
    reference = float(np.exp(np.log(sample.sizes).mean()))

    def slopes(n: Array) -> Array:
        decay = (n / reference) ** -omega
        return np.stack([np.ones_like(n), np.log(n / reference), decay / (1 + bend * n**-omega)], axis=1)

    return Curve(sample.sizes, variance, sample.dof[0], slopes, np.array([0.0, 1.0, 0.0]), smallest)


def _bend(sample: Sample, omega: float) -> float:
    """D of 1 + D n^-omega as the pilot has it, where it says so and the factor stays well above 0; else 0."""
    fit = fit_sample(corrected_power(omega), sample)
    found = float(fit["estimate"].sel(param="correction_amplitude").item()) if "param" in fit.dims else np.nan
    return found if np.isfinite(found) and found * sample.sizes.min() ** -omega > -0.5 else 0.0


def _towards_limit(sample: Sample, exponent: float) -> Curve:
    """The limit of L + A n^b with the next power n^{2b}."""

    def slopes(n: Array) -> Array:
        return np.stack([np.ones_like(n), n**exponent, n ** (2 * exponent)], axis=1)

    return Curve(sample.sizes, _of_a_seed(sample), sample.dof[0], slopes, np.array([1.0, 0.0, 0.0]))


def _point(sample: Sample, size: float) -> Curve:
    return Curve(
        sample.sizes, _of_a_seed(sample), sample.dof[0], lambda n: np.ones((len(n), 1)), np.ones(1), size, size
    )


def _of_a_seed(sample: Sample) -> Array:
    assert sample.stderr is not None
    assert sample.n_seeds is not None
    return np.asarray(sample.stderr[0] ** 2 * sample.n_seeds[0])


def _at(values: xr.DataArray, target: Target) -> xr.DataArray:
    """The curve (n, seed) at a target's labels."""
    for name, label in target.labels.items():
        if name in values.dims and name != "n":
            there = values[name].values.astype(float)
            near = np.isclose(there, label, rtol=1e-9, atol=1e-12)
            if not near.any():
                raise FitError(f"target {target.text!r}: the pilot has {name} = {', '.join(f'{v:g}' for v in there)}")
            values = values.isel({name: int(np.argmax(near))}, drop=True)
    extra = [d for d in values.dims if d not in ("n", "seed")]
    if extra:
        raise FitError(f"target {target.text!r} leaves the axis {extra[0]} open: select one of its labels in the pilot")
    return values.drop_vars([c for c in values.coords if c not in values.dims])


def _of_outlier(target: Target, cube: xr.Dataset) -> Curve:
    known = context(cube)
    spikes = measured_spikes(cube, known, aligned=True)
    if target.degree not in spikes:
        raise FitError(f"target {target.text!r}: the pilot has spikes of degree {', '.join(map(str, spikes))}")
    chosen = select(cube, known, [target.degree])["selected"]
    values = spike_values(cube, known, [target.degree]).where(chosen).isel(degree=0, drop=True)
    sample = from_data(_at(values, target), "n", controls=cube_controls(cube, "singular_value", True))
    seen = np.isfinite(sample.mean[0])
    if not seen.any():
        raise FitError(f"target {target.text!r} cannot be met: at no size of the pilot does the spike stand clear")
    omega = float(np.nan_to_num(correction_exponents([target.labels["alpha"]], [target.degree])[0, 0], nan=1.0))
    return _relative(sample, omega, float(sample.sizes[seen].min()))


def _of_loss(target: Target, cube: xr.Dataset) -> Curve:
    loss, known = target.variable, context(cube)
    values, kept = cube[loss], dict(zip(cube["alpha"].values.tolist(), spikes_kept(cube), strict=True))
    if target.kind == "loss gap":
        ell = kept.get(target.labels["alpha"])
        if ell is None:
            raise FitError(f"target {target.text!r}: F_ell with ell = ell(alpha) is not in the pilot at this alpha")
        values = values - cube[f"{loss}_spiked"].sel(ell=ell, drop=True)
    sample = from_data(_at(values, target), "n", controls=cube_controls(cube, loss, True))
    if target.kind == "loss":
        return _point(sample, target.labels["n"])
    if target.kind == "loss gap":
        return _relative(sample, 1.0)
    exponent = limit_exponent(target.labels["alpha"], kept.get(target.labels["alpha"]), known)
    if not np.isfinite(exponent):
        raise FitError(f"target {target.text!r} cannot be met: theory has no exponent of the approach at this alpha")
    return _towards_limit(sample, exponent)


def _of_threshold(target: Target, cube: xr.Dataset) -> Curve:
    """The alpha at which a spike of each draw detaches, a + b/log n."""
    known = context(cube)
    spikes = measured_spikes(cube, known, aligned=False)
    if target.degree not in spikes:
        raise FitError(f"target {target.text!r}: the pilot has spikes of degree {', '.join(map(str, spikes))}")
    alpha = np.sort(cube["alpha"].values.astype(float))
    beyond = (cube["outlier_count"].sortby("alpha") >= known.rank(target.degree)).transpose("alpha", "n", "seed").values
    steps = np.diff(alpha, prepend=alpha[0])
    crossing = np.where(beyond.any(0) & ~beyond.all(0), (alpha - steps / 2)[beyond.argmax(0)], np.nan)
    grid = float(np.mean(np.diff(alpha)) ** 2 / 12)
    sample = from_data(xr.DataArray(crossing, dims=("n", "seed"), coords={"n": cube["n"]}), "n")
    variance = np.where(np.isfinite(sample.mean[0]), np.nan_to_num(_of_a_seed(sample)) + grid, np.nan)

    def slopes(n: Array) -> Array:
        return np.stack([np.ones_like(n), 1 / np.log(n)], axis=1)

    return Curve(sample.sizes, variance, sample.dof[0], slopes, np.array([1.0, 0.0]))
