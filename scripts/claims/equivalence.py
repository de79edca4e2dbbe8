"""Claims of the paper's section 4: F may be replaced by F_ell, in norm and in its losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from scripts.claims.finding import Finding
from scripts.claims.sizes import against_n, exponent, interval, largest, mean_of
from scripts.claims.verdicts import of_nothing, of_sign
from spikecube.means.controls import control_expectations
from spikecube.means.spikes import study_of
from spikecube.model.activations import resolve_activation
from spikecube.model.parameters import Model
from spikecube.pictures import marks, style
from spikecube.pictures.picture import Layer, Picture
from spikecube.theory import finite_losses, spiked_losses
from spikecube.theory.staircase import spike_count, threshold

ENOUGH = 0.01
"""A degree is enough for a loss where it changes it by less than this part."""

RIGHT, ONE_LESS = [(0.2, 1), (0.29, 2), (0.36, 3)], [(0.33, 1), (0.36, 2)]
"""Places (alpha, ell) with ell = ell(alpha), and with one spike less: there at the largest alpha of each range, where
the missing spike grows fastest."""


def judge_equivalence(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """Norms and losses with the right ell and with one spike less, and which degree the losses need."""
    norms = [_norm(cube, a, ell) for a, ell in RIGHT + ONE_LESS]
    losses = [_loss(cube, prediction, a, ell) for a, ell in RIGHT + ONE_LESS]
    return [*norms, *losses, _enough(cube, prediction), *(_spare(cube, prediction, a) for a in (0.2, 0.29))]


def missing_norm(model: Model, n: int, alpha: float, k: int) -> float:
    """The norm of the k-th spike over sqrt n: |c_k| (|c_1| eta b)^k (2k - 1)!! N^((1 - k)/2), b^2 = E |beta|^2.

    It is the product of the lengths of (X beta)^k and a^k, whose entries are Gaussian: E z^(2k) = (2k - 1)!!.
    """
    c = resolve_activation(model.activation).coefficients(k)
    power = control_expectations(model, n)["beta_power"]
    moment = float(np.prod(np.arange(1, 2 * k, 2)))
    strength = abs(c[k]) * (abs(c[1]) * model.eta(n, alpha) * np.sqrt(power)) ** k
    return float(strength * moment * model.width(n) ** ((1 - k) / 2))


def _with_missing(cube: xr.Dataset, alpha: float, ell: int) -> tuple[float, str]:
    """The exponent that spike ell + 1 and what F_(ell + 1) leaves out have together, and a sentence of both."""
    rest = cube["equivalence_error"].sel(alpha=alpha, ell=ell + 1, drop=True).mean("seed")
    sizes = rest["n"].values
    spike = np.array([missing_norm(study_of(cube).model, int(n), alpha, ell + 1) for n in sizes])
    here = float(np.polyfit(np.log(sizes), np.log(np.hypot(spike, rest.values)), 1)[0])
    return here, (
        f" The missing spike alone, of exponent {0.5 - (ell + 1) * (0.5 - alpha):.2f}, has {spike[0]:.2f} at n = "
        f"{sizes[0]} and {spike[-1]:.2f} at n = {sizes[-1]} by theory; what F_{ell + 1} leaves out falls, measured, "
        f"from {rest.values[0]:.2f} to {rest.values[-1]:.2f}. Added in squares they have the exponent {here:.2f}."
    )


def _norm(cube: xr.Dataset, alpha: float, ell: int) -> Finding:
    found, _ = exponent(cube["equivalence_error"].sel(alpha=alpha, ell=ell, drop=True))
    right = ell == spike_count(alpha)
    here, more = (np.nan, "") if right else _with_missing(cube, alpha, ell)
    return Finding(
        f"At α = {alpha:g} the norm |F − F_{ell}|/√n {'vanishes' if right else 'does not vanish'}.",
        "section 3",
        f"exponent of n of |F − F_{ell}|/√n, α = {alpha:g}",
        found,
        "below 0" if right else "above 0: the missing spike grows",
        of_sign(found, -1 if right else 1, largest(cube), here=here),
        f"ℓ(α) = {spike_count(alpha)}.{more}",
    )


def relative_gap(cube: xr.Dataset, alpha: float, ell: int, kind: str = "train", lam: float = 0.1) -> xr.DataArray:
    """(L(F_ell) - L(F))/mean L(F); (n, seed)."""
    where = {"alpha": alpha, "lam": lam}
    loss = cube[f"{kind}_loss"].sel(where, drop=True)
    spiked = cube[f"{kind}_loss_spiked"].sel(where, drop=True).sel(ell=ell, drop=True)
    return ((spiked - loss) / loss.mean("seed")).reset_coords(drop=True)


def _predicted_gap(prediction: xr.Dataset, alpha: float, ell: int, lam: float = 0.1) -> xr.DataArray:
    where = {"alpha": alpha, "lam": lam}
    loss = prediction["train_loss"].sel(where, drop=True)
    return (prediction["train_loss_spiked"].sel(where, drop=True).sel(ell=ell, drop=True) / loss - 1).reset_coords(
        drop=True
    )


def _loss(cube: xr.Dataset, prediction: xr.Dataset, alpha: float, ell: int) -> Finding:
    gaps = relative_gap(cube, alpha, ell)
    found, _ = exponent(abs_mean(gaps))
    theory = np.abs(_predicted_gap(prediction, alpha, ell))
    here = float(np.polyfit(np.log(theory["n"].values.astype(float)), np.log(theory.values), 1)[0])
    right = ell == spike_count(alpha)
    last = interval(mean_of(cube, gaps).sel(n=largest(cube)))
    return Finding(
        f"At α = {alpha:g} the training loss of F_{ell} {'comes to' if right else 'stays away from'} that of F.",
        "section 4",
        f"exponent of n of |L(F_{ell}) − L(F)|/L(F), α = {alpha:g}, λ = 0.1",
        found,
        "below 0" if right else "not below 0",
        of_sign(found, -1 if right else 1, largest(cube), here=here),
        f"The gap is {100 * last.value:.2g} per cent at n = {largest(cube)}; "
        f"the theory at these sizes has the exponent {here:.2f}.",
    )


def abs_mean(gaps: xr.DataArray) -> xr.DataArray:
    """Gaps with the sign of their mean over everything made positive, so that a power law can be fitted."""
    return gaps * np.sign(float(gaps.mean()))


def bound(alpha: float) -> int:
    """The largest degree k that a published bound keeps, from alpha > 1/2 - 1/k on.

    >>> [bound(a) for a in (0.0, 0.1, 0.2, 0.3, 0.4)]
    [1, 2, 3, 4, 9]
    """
    return max(1, int(np.ceil(1 / (0.5 - alpha) * (1 - 1e-12))) - 1) if alpha < 0.5 else 99


def needed(cube: xr.Dataset, n: int) -> dict[float, int]:
    """The least number of spikes with which the training loss is within 1 per cent, by alpha; one more than measured
    where none is."""
    most = int(cube["ell"].max())
    found = {}
    for alpha in cube["alpha"].values.tolist():
        gaps = [abs(float(relative_gap(cube, alpha, ell).sel(n=n).mean())) for ell in range(1, most + 1)]
        found[alpha] = next((ell for ell, gap in enumerate(gaps, 1) if gap < ENOUGH), most + 1)
    return found


FAR = {10**5: "10⁵", 10**9: "10⁹"}
"""Sizes that only the theory reaches."""


def predicted_need(cube: xr.Dataset, n: int, lam: float = 0.1) -> dict[float, int]:
    """As `needed`, by theory."""
    model, most = study_of(cube).model, int(cube["ell"].max())
    found = {}
    for alpha in cube["alpha"].values.tolist():
        loss = float(finite_losses(model, lam, n, alpha)[0])
        spiked = [float(spiked_losses(model, lam, n, alpha, ell)[0]) for ell in range(1, most + 1)]
        found[alpha] = next((k for k, s in enumerate(spiked, 1) if abs(s / loss - 1) < ENOUGH), most + 1)
    return found


def _enough(cube: xr.Dataset, prediction: xr.Dataset) -> Finding:
    """The alpha at which F_ell(alpha) leaves the largest gap, against 1 per cent."""
    n, most = largest(cube), int(cube["ell"].max())
    alphas = [a for a in cube["alpha"].values.tolist() if spike_count(a) <= most]
    gaps = {a: interval(mean_of(cube, abs_mean(relative_gap(cube, a, spike_count(a)))).sel(n=n)) for a in alphas}
    worst = max(gaps, key=lambda a: gaps[a].value)
    theory = abs(float(_predicted_gap(prediction, worst, spike_count(worst)).sel(n=n)))
    return Finding(
        "ℓ(α) spikes give the training loss to 1 per cent, at every α.",
        "section 4",
        f"|L(F_ℓ) − L(F)|/L(F), n = {n}, λ = 0.1, at its worst α = {worst:g}",
        gaps[worst],
        f"below {ENOUGH:g} as n grows",
        of_sign(gaps[worst], -1, n, bar=ENOUGH, here=theory),
        f"The theory at this n has a gap of {100 * theory:.2g} per cent there: the step's fluctuations, "
        "not a missing spike.",
    )


def _spare(cube: xr.Dataset, prediction: xr.Dataset, alpha: float) -> Finding:
    """What degrees beyond ell(alpha) that a published bound keeps add to the loss."""
    n, ell = largest(cube), spike_count(alpha)
    kept = min(bound(alpha), int(cube["ell"].max()))
    added = relative_gap(cube, alpha, ell) - relative_gap(cube, alpha, kept)
    theory = float((_predicted_gap(prediction, alpha, ell) - _predicted_gap(prediction, alpha, kept)).sel(n=n))
    found = interval(mean_of(cube, added).sel(n=n))
    spared = f"degree {kept}" if ell + 1 == kept else f"the degrees {ell + 1} to {kept}"
    return Finding(
        f"At α = {alpha:g} the losses do not need {spared}, which a published bound keeps (k from α > 1/2 − 1/k).",
        "section 4",
        f"(L(F_{ell}) − L(F_{kept}))/L(F), n = {n}, α = {alpha:g}, λ = 0.1",
        found,
        "0, to 1 per cent",
        of_nothing(found, ENOUGH, n, here=theory),
        f"The spike theorem keeps degree k from α > (k − 1)/(2k) on; the theory at this n has {theory:.3f}.",
    )


def draw_equivalence(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """The norms for both ells, and the degree that the losses need between the two rules."""
    norms = {}
    for alpha, ell in RIGHT + ONE_LESS:
        which = "ℓ(α)" if ell == spike_count(alpha) else "one less"
        norms[f"measured, α = {alpha:g}, ℓ = {ell}: {which}"] = cube["equivalence_error"].sel(
            alpha=alpha, ell=ell, drop=True
        )
    title = "Norm of what F_ℓ leaves out, and fitted power laws"
    return [
        against_n(norms, "|F − F_ℓ|/√n", title, legend_position="right").view(),
        _degrees(cube).view(),
    ]


def _degrees(cube: xr.Dataset) -> Picture:
    layers: list[Layer] = []
    ends = float(cube["alpha"].min()), float(cube["alpha"].max())
    rules = (
        ("threshold (k − 1)/(2k)", threshold, style.INK),
        ("bound 1/2 − 1/k", lambda k: max(0.0, 0.5 - 1 / k), style.SERIES[1]),
    )
    most = int(cube["ell"].max())
    for i, (label, start, colour) in enumerate(rules):
        starts = [max(start(k), ends[0]) for k in range(1, most + 1)]
        stops = [*starts[1:], ends[1]]
        layers.append(
            marks.steps(
                starts,
                stops,
                [k + 0.02 * i for k in range(1, most + 1)],
                "alpha",
                "degree",
                label=label,
                colour=colour,
                dash="dashed",
            )
        )
    sizes = cube["n"].values.tolist()
    for place, (n, colour, marker) in enumerate(
        zip(sizes, style.ordered_colours(len(sizes)), style.markers(len(sizes)), strict=True)
    ):
        found = needed(cube, int(n))
        level = np.array(list(found.values()), dtype=float) - 0.05 * (place + 1)
        data = xr.Dataset({"mean": ("alpha", level), "stderr": ("alpha", np.zeros(len(level)))}, {"alpha": list(found)})
        layers += marks.points(data, "alpha", "degree", label=f"measured, n = {n}", colour=colour, marker=marker)
    for (n, text), colour in zip(FAR.items(), style.SERIES[2:], strict=False):
        found = predicted_need(cube, n)
        layers.append(
            marks.line(
                list(found), list(found.values()), "alpha", "degree", label=f"predicted, n = {text}", colour=colour
            )
        )
    ticks = [(k, str(k)) for k in range(1, most + 1)] + [(most + 1, "more")]
    title = "Spikes that the training loss needs to 1 per cent (sizes drawn below each other)"
    return Picture(layers, title=title, xlabel="α", ylabel="spikes", options={"yticks": ticks})
