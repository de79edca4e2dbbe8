"""How many seeds at which size: the cheapest study whose fits are as sharp as asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import stats

from spikecube.scaling.allocation import (
    LEAST_SEEDS,
    SPARE_SIZES,
    Aim,
    Allocation,
    allocate,
    half_width_of,
    support,
)
from spikecube.scaling.errors import FitError, TooManySeedsError
from spikecube.scaling.fit_scale import smooth_variance
from spikecube.scaling.pilot import pilot_curve, smoothed_variance
from spikecube.scaling.pilot_points import PilotCurve
from spikecube.scaling.power import MOST_SEEDS
from spikecube.scaling.regression import LEVEL, weighted_least_squares
from spikecube.scaling.targets import Wanted, parse_targets
from spikecube.scaling.types import Array

Cost = Callable[[float], float] | npt.ArrayLike

_BUDGETS = np.geomspace(0.1, 10.0, 9)
_ROUNDS = 6  # of calibration
_TOLERANCE = 1e-3  # of the certificate
_FITS = 200  # made up in each of them
_LAW = 2  # parameters of a law before its correction
_MANY, _INFLATED = 100_000, 30.0  # seeds at one size that are refused where the correction costs so many times more


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
        budget). The attribute `notes` says why sizes have no seeds, and whether they are few for a lack-of-fit test.

    Raises
    ------
    ValueError
        If a target is not understood, the pilot does not hold it, or the sizes do not determine it. A
        `TooManySeedsError` if they do so only with absurdly many seeds.

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
    return design_from(targets, [pilot_curve(t, pilot, correction) for t in targets], sizes, cost)


def design_from(
    targets: Sequence[Wanted], curves: Sequence[PilotCurve], sizes: npt.ArrayLike | None, cost: Cost | None
) -> xr.Dataset:
    """The `design` for targets of which a pilot said this; half-widths do not change what it says."""
    chosen = np.unique(np.concatenate([c.sizes for c in curves]) if sizes is None else np.asarray(sizes, dtype=float))
    money = chosen**3 if cost is None else _costs(cost, chosen)
    aims = [aim_of(c, t, chosen) for c, t in zip(curves, targets, strict=True)]
    _hold_an_error(targets, aims)
    made, widths_made = _calibrated(aims, money)
    _hold_too_many(targets, aims, money, made.seeds)
    seeds = made.seeds.astype(float)
    total = float(seeds @ money)
    equal, spent = np.full(len(chosen), total / money.sum()), total / len(chosen) / money
    strategies = {"design": seeds, "equal seeds": equal, "equal money": spent}
    widths = {name: np.array([_width(a, s) for a in aims]) for name, s in strategies.items()}
    budgets = total * _BUDGETS
    left_out = [f"{target.text}: {curve.note}" for target, curve in zip(targets, curves, strict=True) if curve.note]
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
            "duality_gap": ((), duality_gap(made, money, support(aims, money) * LEAST_SEEDS)),
        },
        {"n": chosen, "target": [t.text for t in targets], "strategy": list(strategies), "budget": budgets},
        {"notes": "\n".join([*left_out, *_notes(targets, aims, made.seeds)])},
    )


def duality_gap(allocation: Allocation, cost: Array, least: Array | float = 0.0) -> float:
    """How far the cost may be from the least possible, relative to it: the certificate of Kiefer and Wolfowitz.

    sum_j (1 - sensitivity_j) cost_j (m_j - least_j) over the cost; infinite where a sensitivity exceeds 1.
    """
    if (allocation.sensitivity > 1 + _TOLERANCE).any():
        return float("inf")
    spent = cost * allocation.ideal
    spare = spent - cost * np.asarray(least, dtype=float)
    return float(np.abs((1 - allocation.sensitivity) * spare).sum() / spent.sum())


def _calibrated(aims: Sequence[Aim], money: Array) -> tuple[Allocation, Array]:
    """The allocation whose half-widths in made-up fits are those asked for, and these half-widths.

    Fits take their weights and errors from few seeds at the largest sizes, which costs more than the t quantile says.
    """
    worse = np.ones(len(aims))
    for _ in range(_ROUNDS):
        tighter = [replace(a, half_width=a.half_width / w) for a, w in zip(aims, worse, strict=True)]
        made = allocate(tighter, money)
        found = np.array([_fitted_half_width(a, made.seeds) for a in aims])
        ratio = found / np.array([a.half_width for a in aims])
        if (ratio <= 1.0).all() and ratio.max() > 0.97:
            break
        worse = np.maximum(worse * ratio * (1.005 if ratio.max() > 1 else 1.0), 1.0)
    return made, found


def _fitted_half_width(aim: Aim, seeds: Array) -> float:
    """Mean half-width of fits to made-up studies with these seeds, their weights and errors taken from the seeds."""
    used = (np.asarray(seeds) > 1) & np.isfinite(aim.variance)
    aim, count = aim.restrict(used), np.asarray(seeds, dtype=float)[used]
    if len(aim.direction) == 1:
        return half_width_of(aim, count)
    rng = np.random.default_rng(0)
    dof = count - 1
    variance = aim.variance / count * rng.chisquare(dof, (_FITS, len(dof))) / dof
    logs = np.log(aim.sizes)
    smooth = smooth_variance(aim.sizes, variance, np.broadcast_to(dof, variance.shape), count)
    found = []
    for one, line in zip(variance, smooth, strict=True):
        fit = weighted_least_squares(
            aim.slopes, np.zeros(len(dof)), 1 / line, variance=one, variance_dof=dof, trend=logs
        )
        spread = float(np.sqrt(aim.direction @ fit.covariance @ aim.direction))
        found.append(spread * stats.t.ppf((1 + LEVEL) / 2, fit.dof[np.argmax(np.abs(aim.direction))]))
    return float(np.mean(found))


def _hold_an_error(targets: Sequence[Wanted], aims: Sequence[Aim]) -> None:
    for target, aim in zip(targets, aims, strict=True):
        usable, params = int(np.isfinite(aim.variance).sum()), len(aim.direction)
        if 1 < params == usable:
            raise FitError(
                f"target {target.text!r}: {usable} sizes for {params} parameters leave none for an error; allow one "
                f"size more at least, and {SPARE_SIZES} for a lack-of-fit test"
            )


def _hold_too_many(targets: Sequence[Wanted], aims: Sequence[Aim], money: Array, seeds: Array) -> None:
    """Refuses a number of seeds that nobody would run, and says what makes it so large."""
    dearest = int(np.argmax([money @ allocate([a], money).seeds for a in aims])) if seeds.max() > _MANY else 0
    if reason := absurd(aims[dearest], money, seeds):
        raise TooManySeedsError(f"target {targets[dearest].text!r} cannot be met: {reason}")


def absurd(aim: Aim, money: Array, seeds: Array) -> str:
    """Why nobody would run these seeds for an aim: the correction asks for them, or they are too many; else empty."""
    n, most = aim.sizes[seeds.argmax()], int(seeds.max())
    if most <= _MANY:
        return ""
    bare = replace(aim, slopes=aim.slopes[:, :_LAW], direction=aim.direction[:_LAW])
    without = allocate([bare], money).seeds
    if len(aim.direction) > _LAW and money @ seeds > _INFLATED * (money @ without):
        usable = aim.sizes[np.isfinite(aim.variance)]
        return (
            f"the correction cannot be told from the law over these sizes, n = {usable.min():g} to {usable.max():g}, "
            f"where it would take {most} seeds at n = {n:g} (at most {max(without)} at one size without a correction); "
            "what helps is a larger range of sizes, or a wider half-width"
        )
    if most > MOST_SEEDS:
        return (
            f"it would take {most} seeds at n = {n:g}, and at most {MOST_SEEDS} are possible at one size; ask for a "
            "wider half-width"
        )
    return ""


def _notes(targets: Sequence[Wanted], aims: Sequence[Aim], seeds: Array) -> list[str]:
    """Which sizes have no seeds and why, and which laws have few sizes."""
    known, notes = np.isfinite([a.variance for a in aims]), []
    for target, aim, there in zip(targets, aims, known, strict=True):
        params = len(aim.direction)
        if params > 1 and not there.all():
            notes.append(
                f"{target.text}: its law does not hold at n = {_listed(aim.sizes[~there])}, which say nothing of it"
            )
        if params > 1 and there.sum() < params + SPARE_SIZES:
            notes.append(
                f"{target.text}: {there.sum()} sizes for {params} parameters; the lack-of-fit test is better with "
                f"{params + SPARE_SIZES}"
            )
    spare = (seeds == 0) & known.any(axis=0)
    if spare.any():
        notes.append(f"no seeds at n = {_listed(aims[0].sizes[spare])}: they say more for their time elsewhere")
    return notes


def _listed(sizes: Array) -> str:
    return ", ".join(f"{n:g}" for n in sizes)


def _width(aim: Aim, seeds: Array) -> float:
    return half_width_of(aim.restrict(seeds > 0), np.asarray(seeds[seeds > 0], dtype=float))


def _costs(cost: Cost, sizes: Array) -> Array:
    values = np.array([cost(float(n)) for n in sizes]) if callable(cost) else np.asarray(cost, dtype=float)
    if values.shape != sizes.shape or not (np.isfinite(values) & (values > 0)).all():
        raise FitError(
            f"cost must give a positive number for each of {len(sizes)} sizes, got {np.round(values, 6).tolist()}"
        )
    return values


def aim_of(curve: PilotCurve, target: Wanted, sizes: Array) -> Aim:
    """What a target asks of a design at some sizes, with the variances that a pilot shows."""
    variance = smoothed_variance(curve.sizes, curve.variance, curve.dof, sizes)
    fits = (sizes >= curve.smallest) & (sizes <= curve.largest)
    if not fits.any():
        raise FitError(
            f"target {target.text!r} cannot be met with n = {_listed(sizes)}: the law holds from "
            f"n = {curve.smallest:g} on"
        )
    return Aim(curve.direction, curve.slopes(sizes), np.where(fits, variance, np.inf), target.half_width, sizes)
