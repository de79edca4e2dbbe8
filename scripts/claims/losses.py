"""Claims on the losses: the staircase and its limits, what each spike learns, and shapes far from square."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from scripts.claims.finding import Finding
from scripts.claims.sizes import interval, largest, mean_of
from scripts.claims.verdicts import CONFIRMED, LEVEL, REFUTED, Interval, Verdict, fitted, of_nothing, of_sign, of_value
from spikecube import fit_limits, views
from spikecube.means.seeds import means
from spikecube.means.spikes import study_of
from spikecube.pictures import marks, style
from spikecube.pictures.picture import Layer, Picture
from spikecube.theory import limit_losses
from spikecube.theory.staircase import spike_count

PAST = "past the paper (theory at finite n)"


# the theory at each n, with its remainder


def excess(cube: xr.Dataset, prediction: xr.Dataset, **where: Any) -> tuple[float, int, str]:
    """The worst deviation of a mean beyond the remainder in standard errors, of how many, and where."""
    worst, count, place = -math.inf, 0, ""
    for name in ("train_loss", "test_loss"):
        data = means(cube, name)
        theory = prediction[[name, f"{name}_remainder"]]
        beyond = (np.abs(data["mean"] - theory[name]) - theory[f"{name}_remainder"]) / data["stderr"]
        beyond = _as_gaussian(beyond, data["dof"]).sel(where).reset_coords(drop=True)
        count += int(beyond.notnull().sum())
        if float(beyond.max()) > worst:
            worst = float(beyond.max())
            spot = beyond.where(beyond == worst, drop=True).isel(dict.fromkeys(beyond.dims, 0))
            place = f"{name.replace('_', ' ')}, " + ", ".join(f"{d} = {spot[d].item():g}" for d in beyond.dims)
    return worst, count, place


def _as_gaussian(ratio: xr.DataArray, dof: xr.DataArray) -> xr.DataArray:
    """Student's ratios as the Gaussian ones of the same tail."""
    return ratio.copy(data=stats.norm.isf(stats.t.sf(ratio.values, dof.transpose(*ratio.dims).values)))


def within_remainder(cube: xr.Dataset, prediction: xr.Dataset, statement: str, **where: Any) -> Finding:
    """No loss further from the theory than its remainder and errors allow, the worst of many being tested as such."""
    worst, count, place = excess(cube, prediction, **where)
    bar = float(stats.norm.isf((1 - LEVEL) / count))
    n = largest(cube)
    verdict = (
        Verdict(CONFIRMED, f"confirmed for {count} losses at n ≤ {n}")
        if worst <= bar
        else Verdict(REFUTED, f"refuted at n ≤ {n}: a loss lies {worst:.1f} standard errors beyond the remainder")
    )
    return Finding(
        statement,
        PAST,
        f"worst of {count} deviations of mean losses beyond the remainder, in standard errors",
        Interval(worst, -math.inf, bar),
        f"at most {bar:.1f}, which the worst of {count} passes once in 20 times",
        verdict,
        f"The worst is the {place}.",
    )


# e: the staircase


def judge_staircase(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """The theory at each n, extrapolated limits, the steps themselves, and the distance from them at the largest n."""
    steps = [a for a in (0.2, 0.29) if a in cube["alpha"]]
    return [
        within_remainder(cube, prediction, "Losses of F follow the theory at finite n, at every α from 0 to 0.48."),
        *(_limit(cube, prediction, a, kind) for a in steps for kind in ("train", "test")),
        *(_at_limit(cube, prediction, a) for a in steps),
        _falls(cube, prediction),
    ]


def _limit(cube: xr.Dataset, prediction: xr.Dataset, alpha: float, kind: str, lam: float = 0.1) -> Finding:
    name, ell = f"{kind}_loss", spike_count(alpha)
    one = cube.sel(alpha=[alpha])
    found = fitted(fit_limits(one, prediction=prediction).sel(loss=name, alpha=alpha, lam=lam), "limit")
    limit = float(prediction[f"{name}_limit"].sel(alpha=alpha, lam=lam))
    other = limit_losses(study_of(cube).model, lam, ell - 1)[("train", "test").index(kind)]
    finite = prediction[name].sel(alpha=alpha, lam=lam)
    return Finding(
        f"At α = {alpha:g} the {KINDS[kind]} loss tends to the limit with {ell} spike{'s' * (ell > 1)}.",
        "section 4",
        f"limit of the {KINDS[kind]} loss, extrapolated, α = {alpha:g}, λ = {lam:g}",
        found,
        f"{limit:.4f}",
        of_value(found, limit, [float(other)], largest(cube)),
        f"With {ell - 1} spike{'s' * (ell != 2)} the limit is {float(other):.4f}; "
        f"at n = {largest(cube)} the theory has {float(finite.sel(n=largest(cube))):.4f}.",
    )


KINDS = {"train": "training", "test": "test"}


def _at_limit(cube: xr.Dataset, prediction: xr.Dataset, alpha: float, lam: float = 0.1) -> Finding:
    n, where = largest(cube), {"alpha": alpha, "lam": lam}
    limit = float(prediction["train_loss_limit"].sel(where) / limit_losses(study_of(cube).model, lam, 0)[0])
    change = _against_initial(cube, where) / limit - 1
    here = float(_against_initial(prediction, where).sel(n=n)) / limit - 1
    found = interval(mean_of(cube, change).sel(n=n))
    return Finding(
        f"At α = {alpha:g} a simulation shows the step of the staircase.",
        "section 4, read at finite n",
        f"L(F)/L(F₀) in training over the ratio of the limits, less 1, n = {n}, α = {alpha:g}, λ = {lam:g}",
        found,
        "0, to 2 per cent",
        of_nothing(found, 0.02, n, here=here),
        f"The theory at this n lies {100 * here:+.1f} per cent from the limit.",
    )


def _against_initial(data: xr.Dataset, where: dict[str, float]) -> xr.DataArray:
    """L(F)/L(F_0) in training, of the same draws."""
    ratio = data["train_loss"].sel(where) / data["train_loss_init"].sel(lam=where["lam"])
    return ratio.reset_coords(drop=True)


def _falls(cube: xr.Dataset, prediction: xr.Dataset, lam: float = 0.1) -> Finding:
    low, high = 0.2, 0.33
    n = largest(cube)
    loss = cube["test_loss"].sel(lam=lam)
    change = loss.sel(alpha=high, drop=True) / loss.sel(alpha=low, drop=True) - 1
    found = interval(mean_of(cube, change, "test").sel(n=n))
    limit = prediction["test_loss_limit"].sel(lam=lam)
    return Finding(
        "A second spike lowers the test loss.",
        "section 4",
        f"test loss at α = {high:g} over that at {low:g}, less 1, same draws, n = {n}, λ = {lam:g}",
        found,
        "below 0",
        of_sign(found, -1, n),
        f"In the limit it is {float(limit.sel(alpha=high) / limit.sel(alpha=low)) - 1:.3f}.",
    )


def draw_staircase(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """Both losses against alpha with the staircase, the theory at each n and its remainder."""
    return [views.loss(cube, prediction, kind=k, lam=0.1) for k in ("train", "test")]


# f: what each spike learns


def gain(cube: xr.Dataset, target: str, alpha: float, ell: int, lam: float) -> xr.DataArray:
    """What spike ell takes off the training loss: L(F_(ell-1)) - L(F_ell); (n, seed, target of length 1)."""
    where = {"target": [target], "lam": lam}
    spiked = cube["train_loss_spiked"].sel(where).sel(alpha=alpha, drop=True)
    before = cube["train_loss_init"].sel(where) if ell == 1 else spiked.sel(ell=ell - 1, drop=True)
    return (before - spiked.sel(ell=ell, drop=True)).reset_coords(drop=True)


def _finite_gain(prediction: xr.Dataset, target: str, alpha: float, ell: int, lam: float, n: int) -> float:
    return float(gain(prediction, target, alpha, ell, lam).sel(n=n).item())


def judge_degrees(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """Gains of both spikes for each target, and the null without a linear part."""
    *learned, null = cube["target"].values.tolist()
    gains = [_gain(cube, prediction, t, a, 1) for t in learned[:2] for a in (0.2, 0.42)]
    gains += [_gain(cube, prediction, t, a, 2) for t in learned for a in (0.3, 0.42)]
    return [*gains, *(_null(cube, null, a) for a in (0.2, 0.42))]


def _gain(cube: xr.Dataset, prediction: xr.Dataset, target: str, alpha: float, ell: int, lam: float = 0.1) -> Finding:
    n = largest(cube)
    model = study_of(cube).model_at(target=target)
    power = float(limit_losses(model, lam, 0)[0])
    limit = float(limit_losses(model, lam, ell - 1)[0] - limit_losses(model, lam, ell)[0])
    here = _finite_gain(prediction, target, alpha, ell, lam, n)
    found = interval(mean_of(cube.sel(target=[target]), gain(cube, target, alpha, ell, lam)).sel(n=n))
    nothing = limit < 1e-9
    verdict = of_nothing(found, 0.01 * power, n, here=here) if nothing else of_value(found, limit, [0.0], n, here=here)
    return Finding(
        f"For the target {target} spike {ell} takes {'nothing' if nothing else f'Δ{ell}'} off the training loss.",
        "section 4" if spike_count(alpha) == ell else "section 4, of F_ℓ beyond its range of α",
        f"gain of spike {ell}, n = {n}, α = {alpha:g}, λ = {lam:g}",
        found,
        f"{limit:.4f}" + (", to 1 per cent of the loss" if nothing else ""),
        verdict,
        f"The theory at this n has {here:.4f}; the limit is reached as the spike's strength grows.",
    )


def _null(cube: xr.Dataset, target: str, alpha: float, lam: float = 0.1) -> Finding:
    n, where = largest(cube), {"target": [target], "lam": lam}
    before, after = (cube[name].sel(where, drop=True) for name in ("test_loss_init", "test_loss"))
    change = (after.sel(alpha=alpha, drop=True) / before - 1).reset_coords(drop=True)
    found = interval(mean_of(cube.sel(target=[target]), change, "test").sel(n=n))
    return Finding(
        f"A target without a linear part ({target}) is not learned: the test loss does not fall at α = {alpha:g}.",
        "section 4 (c⋆₁ = 0, information exponent 2)",
        f"test loss of F over that of F₀, less 1, n = {n}, α = {alpha:g}, λ = {lam:g}",
        found,
        "above −0.01",
        of_sign(found, 1, n, bar=-0.01),
        "β is then noise: its spikes point nowhere near the target.",
    )


def draw_degrees(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """Gains of the first two spikes against alpha at the largest n, with the theory at this n and the limits."""
    return [_gains(cube, prediction, ell).view() for ell in (1, 2)]


def _gains(cube: xr.Dataset, prediction: xr.Dataset, ell: int, lam: float = 0.1) -> Picture:
    layers: list[Layer] = []
    n, alphas = largest(cube), cube["alpha"].values
    for target, colour, marker in zip(cube["target"].values.tolist(), style.SERIES, style.MARKERS, strict=False):
        rows = [mean_of(cube.sel(target=[target]), gain(cube, target, float(a), ell, lam)).sel(n=n) for a in alphas]
        data = xr.concat(rows, dim=xr.Variable("alpha", alphas))[["mean", "stderr"]].reset_coords(drop=True)
        theory = [_finite_gain(prediction, target, float(a), ell, lam, n) for a in alphas]
        model = study_of(cube).model_at(target=target)
        limit = float(limit_losses(model, lam, ell - 1)[0] - limit_losses(model, lam, ell)[0])
        where = {"target": target, "lam": lam, "n": n}
        half = prediction["train_loss_remainder"].sel(where).sel(alpha=alphas)
        layers.append(marks.band(alphas, theory, half, "alpha", label="", colour=colour))
        layers.append(marks.line(alphas, theory, "alpha", "gain", label="", colour=colour))
        layers.append(
            marks.steps([alphas[0]], [alphas[-1]], [limit], "alpha", "gain", label="", colour=colour, dash="dashed")
        )
        layers += marks.points(data, "alpha", "gain", label=f"measured, target {target}", colour=colour, marker=marker)
    before, after = ("₀₁", "₁₂")[ell - 1]
    title = f"Gain of spike {ell}, L(F{before}) − L(F{after}); lines: predicted at n = {n}, dashes: limit Δ{after}"
    return Picture(layers, title=title, xlabel="α", ylabel="gain in training loss")


# i: shapes far from square


def judge_shapes(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """The theory at finite n for each shape."""
    shapes: Mapping[str, str] = {"dim_ratio": "d/n", "width_ratio": "N/n"}
    return [
        within_remainder(cube, prediction, f"The theory at finite n holds at {symbol} = {value:g}.", **{name: value})
        for name, symbol in shapes.items()
        for value in (cube[name].values[0], cube[name].values[-1])
    ]


def draw_shapes(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """Test losses against alpha at the most extreme shapes."""
    corners = [(d, w) for d in cube["dim_ratio"].values[[0, -1]] for w in cube["width_ratio"].values[[0, -1]]]
    return [
        views.loss(cube, prediction, kind="test", lam=0.1, dim_ratio=float(d), width_ratio=float(w)) for d, w in corners
    ]
