"""Claims on other networks: activations, readouts, and the scale of the output at initialisation."""

from __future__ import annotations

from typing import Any

import xarray as xr

from scripts.claims.finding import Finding
from scripts.claims.sizes import against_n, exponent, interval, largest, log_ticks, mean_of
from scripts.claims.spikes import SECTION
from scripts.claims.verdicts import of_nothing, of_share, of_sign, share
from spikecube.means.comparisons import plain_means
from spikecube.means.spikes import along_monomial, degrees
from spikecube.pictures import marks, style
from spikecube.pictures.picture import Layer, Picture

# g: activations and readouts


def judge_networks(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """Whether each activation has its second spike, and the first outlier for each readout."""
    spikes = [_second(cube, prediction, a) for a in cube["activation"].values.tolist()]
    return [*spikes, *(_first(cube, prediction, r) for r in cube["readout"].values.tolist())]


def seen(cube: xr.Dataset, activation: str, readout: str, degree: int, alpha: float, n: int) -> xr.DataArray:
    """Whether the singular vector of some outlier points along the monomial of a degree; (seed,)."""
    one = cube.sel(activation=activation, readout=readout)
    own = degrees(cube, 3, activation=activation, readout=readout)
    if degree not in own:
        second = one["singular_value"].sel(rank=2) > one["detection_edge"]
        return second.sel(alpha=alpha, n=n).reset_coords(drop=True)
    count = one["outlier_count"] >= own.index(degree) + 1
    return (count & along_monomial(one["alignment"].sel(degree=degree))).sel(alpha=alpha, n=n).reset_coords(drop=True)


def _second(cube: xr.Dataset, prediction: xr.Dataset, activation: str) -> Finding:
    n, alpha, readout = largest(cube), float(cube["alpha"].max()), "gaussian"
    there = 2 in degrees(cube, 3, activation=activation, readout=readout)
    second = seen(cube, activation, readout, 2, alpha, n)
    hits = int(second.sum()) if there else int((~second).sum())
    found = share(hits, second.sizes["seed"])
    theory = int(prediction["outlier_count"].sel(activation=activation, readout=readout, alpha=alpha, n=n))
    return Finding(
        f"{activation} has {'a' if there else 'no'} second spike at α = {alpha:g}.",
        SECTION,
        f"draws with{'' if there else 'out'} a second outlier, n = {n}, α = {alpha:g}",
        found,
        "all draws",
        of_share(found, n, here=float((theory >= 2) == there)),
        f"c₂ {'≠' if there else '='} 0; the theory at this n counts {theory} outlier{'s' * (theory != 1)}.",
    )


def _first(cube: xr.Dataset, prediction: xr.Dataset, readout: str) -> Finding:
    n, where = largest(cube), {"readout": readout, "rank": 1}
    ratio = cube["singular_value"].sel(where) / prediction["singular_value"].sel(where) - 1
    one = cube.isel(activation=[0]).sel(readout=[readout])  # labels, beta and a are those of every activation
    each = (
        ratio.mean(["activation", "alpha"])
        .reset_coords(drop=True)
        .expand_dims(activation=one["activation"], readout=[readout])
    )
    found = interval(mean_of(one, each, "singular").sel(n=n))
    return Finding(
        f"With a {readout} readout the first outlier is where theory has it.",
        SECTION if readout == "gaussian" else "past the paper (its readout is Gaussian)",
        f"first outlier over the theory's, less 1, mean over activations and α, n = {n}",
        found,
        "0, to 3 per cent",
        of_nothing(found, 0.03, n),
        "Draws share |β|², whose spread decides the error; it serves as a control variate.",
    )


def draw_networks(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """Second singular values over the edge against alpha, by activation, and first ones by readout."""
    return [_by_activation(cube, prediction).view(), _by_readout(cube, prediction).view()]


def _lines(
    cube: xr.Dataset,
    prediction: xr.Dataset,
    name: str,
    ratios: dict[str, xr.DataArray],
    theory: dict[str, xr.DataArray],
) -> list[Layer]:
    layers: list[Layer] = []
    for (label, values), colour, marker in zip(ratios.items(), style.SERIES, style.MARKERS, strict=False):
        layers.append(marks.line(theory[label].alpha, theory[label], "alpha", name, label="", colour=colour))
        data = plain_means(values.reset_coords(drop=True))
        layers += marks.points(
            data, "alpha", name, label=f"measured, {label}", colour=colour, marker=marker, positive=True
        )
    return layers


def _by_activation(cube: xr.Dataset, prediction: xr.Dataset) -> Picture:
    n = largest(cube)
    measured, theory = {}, {}
    for a in cube["activation"].values.tolist():
        where = {"activation": a, "readout": "gaussian", "n": n}
        edge = prediction["bulk_edge"].sel(where)
        measured[a] = cube["singular_value"].sel({**where, "rank": 2}) / edge
        theory[a] = prediction["singular_value"].sel(where).sel(rank=2) / edge
    layers = _lines(cube, prediction, "ratio", measured, theory)
    title = f"Second singular value over the edge of the bulk, n = {n}; lines: predicted outlier"
    return Picture(layers, title=title, xlabel="α", ylabel="s₂ over the edge", logy=True, options=log_ticks(layers))


def _by_readout(cube: xr.Dataset, prediction: xr.Dataset) -> Picture:
    n, where = largest(cube), {"activation": "relu"}
    measured = {
        r: cube["singular_value"].sel({**where, "readout": r, "n": n}).sel(rank=1)
        for r in cube["readout"].values.tolist()
    }
    theory = {r: prediction["singular_value"].sel({**where, "readout": r, "n": n}).sel(rank=1) for r in measured}
    layers = _lines(cube, prediction, "outlier", measured, theory)
    return Picture(
        layers,
        title=f"First outlier of relu by readout, n = {n}; lines: predicted",
        xlabel="α",
        ylabel="s₁(F)/√n",
        logy=True,
        options=log_ticks(layers),
    )


# j: the scale of the output


def judge_output(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """Whether the gradient turns to beta, for both scales."""
    return [_turns(cube, "vanishing"), _turns(cube, "full"), _stays(cube)]


def missing_turn(cube: xr.Dataset, output: str) -> xr.DataArray:
    """1 minus the squared cosine of the gradient's leading direction with beta; (n, seed)."""
    return (1 - cube["gradient_alignment"].sel(initial_output=output, drop=True)).reset_coords(drop=True)


def _turns(cube: xr.Dataset, output: str) -> Finding:
    found, _ = exponent(missing_turn(cube, output))
    n = largest(cube)
    last = 1 - float(missing_turn(cube, output).sel(n=n).mean())
    vanishing = output == "vanishing"
    return Finding(
        f"With {'an' if vanishing else 'a'} {'output that vanishes' if vanishing else 'full output'} at initialisation "
        f"the gradient {'turns to' if vanishing else 'does not turn to'} β.",
        "section 2" if vanishing else "past the paper (output of order one)",
        "exponent of n of 1 − cos² of the gradient's leading direction with β",
        found,
        "below 0" if vanishing else "0, to 0.1",
        of_sign(found, -1, n) if vanishing else of_nothing(found, 0.1, n),
        f"The mean squared cosine is {last:.4f} at n = {n}.",
    )


def _stays(cube: xr.Dataset) -> Finding:
    n = largest(cube)
    values = missing_turn(cube, "full").sel(n=n)
    found = interval(plain_means(values).assign(dof=int(values.notnull().sum()) - 1))
    return Finding(
        "With a full output the direction that is learned stays away from β.",
        "past the paper (output of order one)",
        f"1 − cos² of the gradient's leading direction with β, n = {n}",
        found,
        "above 0",
        of_sign(found, 1, n),
        "The network's own output is part of the residual that drives the step.",
    )


def draw_output(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """What is missing to the gradient's alignment with beta against n, for both scales of the output."""
    both = {f"measured, {o} output": missing_turn(cube, o) for o in ("vanishing", "full")}
    spike = {
        f"measured, {o} output": (
            1 - cube["alignment"].sel(initial_output=o, degree=1, alpha=0.4, drop=True)
        ).reset_coords(drop=True)
        for o in ("vanishing", "full")
    }
    return [
        against_n(both, "1 − cos²", "Gradient's leading direction and β, and fitted power laws").view(),
        against_n(spike, "1 − cos²", "Left singular vector of the first spike and Xβ, α = 0.4").view(),
    ]
