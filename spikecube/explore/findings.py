"""What a cube shows, in plain sentences with their numbers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.missing import missing_edges
from spikecube.cube.overview import MISFIT, rejection, with_error
from spikecube.cube.schema import STATUS
from spikecube.explore import plotdata, predicted, style
from spikecube.explore.plotdata import Missing, at, fixed, seed_mean, z_scores
from spikecube.theory.staircase import threshold

number = style.number


def findings(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    fits: Mapping[str, xr.Dataset] | None = None,
    **further: Any,
) -> list[str]:
    """All that can be said about a cube at one place along its further axes; what is missing is left out."""
    writers = (
        lambda: completeness(cube),
        lambda: missing_points(cube),
        lambda: spikes_seen(cube, prediction, **further),
        lambda: largest_spike(cube, prediction, **further),
        lambda: loss_drop(cube, prediction, **further),
        lambda: agreement(cube, prediction, "train_loss"),
        lambda: agreement(cube, prediction, "test_loss"),
        lambda: agreement(cube, prediction, "singular_value"),
        lambda: distance_of_limit(cube, prediction),
    )
    sentences = [*map(_or_nothing, writers), *(said(law, fit) for law, fit in (fits or {}).items())]
    return [sentence for sentence in sentences if sentence]


def said(law: str, fit: xr.Dataset) -> str:
    """What `fitted` says of a law, or nothing."""
    return _or_nothing(functools.partial(fitted, law, fit))


def _or_nothing(writer: Any) -> str:
    try:
        return str(writer())
    except Missing:
        return ""


def completeness(cube: xr.Dataset) -> str:
    """How many points are there, and how many failed; nothing to say about a complete cube."""
    status = cube["status"].values
    done, failed = (
        int((status == STATUS["ok"]).sum()),
        int(np.isin(status, [STATUS["failed"], STATUS["nonfinite"]]).sum()),
    )
    if done == status.size:
        return ""
    text = f"The cube is not complete: {done} of {status.size} points (α, n, seed) are there"
    return text + (f", {failed} failed." if failed else ".")


def missing_points(cube: xr.Dataset) -> str:
    """At how many points theory has no detection edge, and no outlier could be counted; nothing where it has one."""
    lost = missing_edges(cube)
    return f"{lost}." if lost else ""


def spikes_seen(cube: xr.Dataset, prediction: xr.Dataset | None, **further: Any) -> str:
    """From which alpha on each spike is seen at the largest size, against theory and the limit."""
    counts = at(plotdata.variable(cube, "outlier_count"), n=None, **fixed(cube, further))
    if not bool(counts.notnull().any()):
        raise Missing("no outlier could be counted")
    n, seeds = int(counts.n), int(counts.notnull().any("alpha").sum())
    where = f"At n = {n}, in at least half of {seeds} {'seed' if seeds == 1 else 'seeds'},"
    most = int(counts.max())
    firsts = {k: float(plotdata.first_alpha_with(counts, k)) for k in range(1, most + 1)}
    aligned = _aligned(cube, n, further)
    parts = [
        f"{_ORDINAL[k]} from α = {number(firsts[k])} on{_predicted_from(prediction, n, k, cube, further)}"
        for k in range(1, min(most, aligned) + 1)
        if not np.isnan(firsts[k])
    ]
    if not parts:
        return f"{where} no spike leaves the bulk at any α."
    text = f"{where} spikes stand clear of the bulk: {'; '.join(parts)}."
    others = [a for k, a in firsts.items() if k > len(parts) and not np.isnan(a)]
    if others:
        text += (
            f" From α = {number(min(others))} on more singular values lie past the edge of the untrained features "
            "without pointing along a monomial: near α = 1/2 the edge of the bulk itself moves out and is soft."
        )
    return text


_ORDINAL = dict(enumerate(("none", "the first", "the second", "the third", *(f"spike {k}" for k in range(4, 21)))))
ALIGNED = 0.5


def _aligned(cube: xr.Dataset, n: int, further: Mapping[str, Any]) -> int:
    """How many singular vectors in a row come to point along their monomial at some alpha (mean cos^2 above 1/2)."""
    if "alignment" not in cube:
        return len(_ORDINAL) - 1
    best = seed_mean(at(cube["alignment"], n=n, **fixed(cube, further)))["mean"].max("alpha")
    return int((best > ALIGNED).astype(int).cumprod("degree").sum())


def _predicted_from(prediction: xr.Dataset | None, n: int, k: int, cube: xr.Dataset, further: Mapping[str, Any]) -> str:
    """Where theory has the k-th spike detach at size n, and in the limit."""
    limit = f"in the limit beyond {threshold(k):.3g}"
    if prediction is None:
        return f" ({limit})"
    alphas = predicted.detachment(cube, **further)
    known = k in alphas["k"] and n in alphas["n"]
    alpha = float(alphas.sel(k=k, n=n)) if known else np.nan
    return f" (theory at this n: {alpha:.2g}, {limit})" if np.isfinite(alpha) else f" ({limit})"


def largest_spike(cube: xr.Dataset, prediction: xr.Dataset | None, **further: Any) -> str:
    """The largest singular value at the alpha where it is clear of the bulk, with edge and prediction."""
    counts = at(plotdata.variable(cube, "outlier_count"), n=None, **fixed(cube, further))
    first = float(plotdata.first_alpha_with(counts, 1))
    if np.isnan(first):
        raise Missing("no spike")
    later = [a for a in cube["alpha"].values if a >= first]
    alpha = float(later[min(1, len(later) - 1)])
    where = {"alpha": alpha, "n": int(counts.n), "rank": 1} | fixed(cube, further)
    top = plotdata.means(cube, "singular_value", **where)
    text = f"At α = {number(alpha)}, n = {where['n']} the largest singular value of F/√n is {_value(top)}"
    edge = at(cube["detection_edge"], **where)
    if bool(edge.notnull()):
        text += f", while the bulk ends before {number(float(edge))}"
    if prediction is not None and "singular_value" in prediction:
        text += f"; theory has it at {number(float(at(prediction['singular_value'], **where)))}"
    return text + "."


def _value(data: xr.Dataset) -> str:
    """`1.190(6)`: the standard error in units of the last digits."""
    return with_error(float(data["mean"]), float(data["stderr"]))


def loss_drop(cube: xr.Dataset, prediction: xr.Dataset | None, **further: Any) -> str:
    """How far the step brings the test loss down at the penalty that is best after it, at the largest size."""
    data = plotdata.means(cube, "test_loss", n=None, **further)
    start, end = data.isel(alpha=0), data.isel(alpha=-1)
    if data.sizes["alpha"] < 2 or not bool((start["mean"] - end["mean"]).notnull().any()):
        raise Missing("one alpha")
    best = int(end["mean"].argmin("lam"))
    start, end = start.isel(lam=best), end.isel(lam=best)
    change = 100 * (float(end["mean"]) / float(start["mean"]) - 1)
    text = (
        f"With the step the test loss {'falls' if change < 0 else 'rises'}: "
        f"at λ = {number(float(end.lam))}, n = {int(end.n)} from {_value(start)} at α = {number(float(start.alpha))} "
        f"to {_value(end)} at α = {number(float(end.alpha))} "
        f"({change:+.0f} per cent)".replace("-", "−")
    )
    if prediction is not None and "best_linear_loss" in prediction:
        level = at(prediction["best_linear_loss"], n=int(end.n), **fixed(cube, further))
        value = float(level.isel(dict.fromkeys(level.dims, -1)))
        side = "below" if float(end["mean"]) < value else "above"
        text += f", {side} the {number(value)} of the best linear predictor, which knows the target"
    return text + "."


def agreement(cube: xr.Dataset, prediction: xr.Dataset | None, name: str) -> str:
    """How far the finite-n prediction is from the measurement over all points of a variable."""
    if prediction is None:
        raise Missing("no prediction")
    data = z_scores(cube, prediction, name)
    z = data["z"].values[np.isfinite(data["z"].values)]
    if not z.size:
        raise Missing("no z-score")
    inside, spread = float(np.mean(np.abs(z) < 2)), float(np.sqrt(np.mean(z**2)))
    relative = float(np.nanmedian(np.abs(data["relative"].where(np.isfinite(data["z"])))))
    flat = data["z"].stack(point=data["z"].dims).dropna("point")
    place = flat.isel(point=int(np.abs(flat.values).argmax())).reset_coords("point", drop=True)
    where = style.place(place, ("alpha", "n", "lam", "rank"))
    return (
        f"{_THE[name]} against theory at finite n: {inside:.0%} of {z.size} points are within 2 standard errors, "
        f"median difference {100 * relative:.2g} per cent; the farthest is z = {float(place):+.1f} at {where}. "
        f"Root mean square of z {spread:.1f}{_with_controls(data.attrs)}."
    ).replace("= -", "= −")


def _with_controls(scores: Mapping[str, Any]) -> str:
    seeds, worth = scores["seeds"], scores["seeds_worth"]
    return f", with {seeds} seeds worth {worth:.0f} by control variates" if np.isfinite(worth) else ""


_THE = {"train_loss": "Training loss", "test_loss": "Test loss", "singular_value": "Outliers"}


def distance_of_limit(cube: xr.Dataset, prediction: xr.Dataset | None) -> str:
    """How far the limit still is from the test loss at the largest size."""
    if prediction is None:
        raise Missing("no prediction")
    limit = plotdata.variable(prediction, "test_loss_limit")
    data = z_scores(cube, xr.Dataset({"test_loss": limit}), "test_loss").isel(n=-1)
    relative = 100 * float(np.abs(data["relative"]).max())
    spread = float(np.sqrt((data["z"] ** 2).mean()))
    return (
        f"The limit of infinite n is {'not reached' if spread > 3 else 'near'}: at n = {int(data.n)} the test loss "
        f"still differs from its staircase by up to {relative:.0f} per cent (root mean square of z {spread:.1f})."
    )


def fitted(law: str, fit: xr.Dataset) -> str:
    """How many of a fit's intervals hold the theory's value, and whether the law itself holds: two sentences."""
    if not {"estimate", "expected", "ci_low", "ci_high"} <= set(fit):
        raise Missing(f"The fit of {law} has no interval.")
    name = _LAWS.get(law, law)
    if "estimator" in fit.dims:
        best = max(("relative", "corrected", "plain"), key=lambda e: int(_compared(fit.sel(estimator=e)).sum()))
        fit, name = fit.sel(estimator=best), f"{name}{_ESTIMATORS[best]}"
    compared = _compared(fit)
    if not compared.any():
        return f"{name}: none is resolved at these sizes."
    held = compared & (fit["ci_low"] <= fit["expected"]) & (fit["expected"] <= fit["ci_high"])
    silent = int((np.isfinite(fit["expected"]) & ~compared).sum())
    text = f"{name}: {int(held.sum())} of {int(compared.sum())} intervals of 95 per cent hold the theory's value"
    return text + (f", {silent} more are not resolved." if silent else ".") + _lack_of_fit(fit, compared)


_LAWS = {
    "outliers": "Exponents of the outliers",
    "gaps": "Exponents of the gaps between losses",
    "limits": "Limits of the losses",
    "thresholds": "Thresholds of the spikes",
    "collapse": "Thresholds from the collapse of all sizes",
}
_ESTIMATORS = {"relative": ", relative to theory at finite n", "corrected": ", with a correction", "plain": ""}


def _compared(fit: xr.Dataset) -> xr.DataArray:
    """Where a closed interval stands beside a value of the theory."""
    values = [fit[name].broadcast_like(fit["estimate"]) for name in ("expected", "ci_low", "ci_high")]
    return fit["estimate"].copy(data=np.isfinite(sum(v.transpose(*fit["estimate"].dims).values for v in values)))


def _lack_of_fit(fit: xr.Dataset, compared: xr.DataArray) -> str:
    """How many of the laws behind the compared values the lack-of-fit test rejects."""
    if "gof_pvalue" not in fit:
        return ""
    pvalue = fit["gof_pvalue"].broadcast_like(compared).where(compared)
    if "param" in pvalue.dims:
        pvalue = pvalue.min("param")
    tested, rejected = int(np.isfinite(pvalue).sum()), int((pvalue < MISFIT).sum())
    return f" {rejection(rejected, tested)}." if tested else ""
