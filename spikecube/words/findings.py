"""What a cube shows, in plain sentences with their numbers."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.missing import lost_draws, missing_edges
from spikecube.cube.predict import why_declined
from spikecube.cube.predict_remainders import said_of_remainders
from spikecube.cube.schema import STATUS
from spikecube.means import spikes
from spikecube.means.compared import Compared
from spikecube.means.comparisons import means_at, plain_means, z_scores
from spikecube.means.places import Missing, at, fixed, foretold, variable
from spikecube.text import number, rounded
from spikecube.theory.staircase import threshold
from spikecube.words import captions, symbols
from spikecube.words.spikes_found import edge_moves, largest_size, largest_spike, spikes_seen
from spikecube.words.verdicts import held_text, rejection, tally


def findings(seen: Compared, fits: Mapping[str, xr.Dataset] | None = None, **further: Any) -> list[str]:
    """All that can be said about a cube at one place along its further axes; what is missing is left out."""
    cube, prediction = seen.cube, seen.prediction
    writers = (
        lambda: completeness(cube),
        lambda: _sentence(lost_draws(cube)),
        lambda: _sentence(missing_edges(cube)),
        lambda: spikes_seen(cube, prediction, **further),
        lambda: largest_spike(cube, prediction, **further),
        lambda: loss_drop(cube, prediction, **further),
        lambda: agreement(seen, "train_loss"),
        lambda: agreement(seen, "test_loss"),
        lambda: agreement(seen, "singular_value"),
        lambda: trust(cube, prediction),
        lambda: edge_moves(cube, **further),
        lambda: distance_of_limit(cube, prediction, **further),
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
    if "status" not in cube:
        raise Missing("no status")
    status = cube["status"].values
    done, failed, wanted = (
        int((status == STATUS["ok"]).sum()),
        int(np.isin(status, [STATUS["failed"], STATUS["nonfinite"]]).sum()),
        int((status != STATUS["absent"]).sum()),
    )
    if done == wanted:
        return ""
    text = f"The cube is not complete: {done} of {wanted} points (α, n, seed) are there"
    return text + (f", {failed} failed." if failed else ".")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def loss_drop(cube: xr.Dataset, prediction: xr.Dataset | None, **further: Any) -> str:
    """How the test loss changes from the smallest step to the largest, at the best penalty after it, largest size."""
    n = largest_size(cube, "test_loss", further)
    data = means_at(cube, "test_loss", n=n, **further)
    data = data.isel(alpha=data["mean"].notnull().all("lam").values)
    if data.sizes["alpha"] < 2:
        raise Missing("one alpha")
    best = int(data["mean"].isel(alpha=-1).argmin("lam"))
    start, end = (data.isel(alpha=i, lam=best) for i in (0, -1))
    change = 100 * (float(end["mean"]) / float(start["mean"]) - 1)
    text = (
        f"From α = {number(float(start.alpha))} to {number(float(end.alpha))} the test loss "
        f"{_direction(cube, start, end, further)}: at λ = {number(float(end.lam))}, n = {int(end.n)} from "
        f"{captions.value_text(start)} to {captions.value_text(end)} ({rounded(change, '+')} per cent)"
    ).replace("-", "−")
    if prediction is not None and "best_linear_loss" in prediction:
        level = at(prediction["best_linear_loss"], n=int(end.n), **fixed(cube, further))
        value = float(level.isel(dict.fromkeys(level.dims, -1)))
        text += f", {_side(end, value)} the {number(value)} of the best linear predictor, which knows the target"
    return text + "."


def _direction(cube: xr.Dataset, start: xr.Dataset, end: xr.Dataset, further: Mapping[str, Any]) -> str:
    """Whether a loss falls or rises between two alphas: seeds are paired, since they share their draw."""
    place = {"n": int(end.n), "lam": float(end.lam)} | fixed(cube, further)
    loss = at(cube["test_loss"], **place)
    step = plain_means(loss.sel(alpha=float(end.alpha), drop=True) - loss.sel(alpha=float(start.alpha), drop=True))
    mean, stderr = float(step["mean"]), float(step["stderr"])
    if not np.isfinite(stderr):
        return "goes, with no error to judge by"
    if abs(mean) < 2 * stderr:
        return "does not change by more than two standard errors"
    return "falls" if mean < 0 else "rises"


def _side(data: xr.Dataset, value: float) -> str:
    mean, stderr = float(data["mean"]), float(data["stderr"])
    if np.isfinite(stderr) and abs(mean - value) < 2 * stderr:
        return "within two standard errors of"
    return "below" if mean < value else "above"


def agreement(seen: Compared, name: str) -> str:
    """How far the finite-n prediction is from the measurement over all points of a variable."""
    data = seen.scores(name)
    z = data["z"].values[np.isfinite(data["z"].values)]
    if not z.size:
        raise Missing("no z-score")
    inside, spread = float(np.mean(np.abs(z) < 2)), float(np.sqrt(np.mean(z**2)))
    relative = float(np.nanmedian(np.abs(data["relative"].where(np.isfinite(data["z"])))))
    flat = data["z"].stack(point=data["z"].dims).dropna("point")
    place = flat.isel(point=int(np.abs(flat.values).argmax())).reset_coords("point", drop=True)
    where = symbols.place(place, ("alpha", "n", "lam", "rank"))
    return (
        f"{_THE[name]} against theory at finite n: {inside:.0%} of {z.size} points are within 2 standard errors, "
        f"median difference {rounded(100 * relative)} per cent; the farthest is z = {float(place):+.1f} at {where}. "
        f"Root mean square of z {spread:.1f}{_with_controls(data.attrs)}{_given(data.attrs)}."
    ).replace("= -", "= −")


def trust(cube: xr.Dataset, prediction: xr.Dataset | None) -> str:
    """How far theory may be off by its own estimate where that is worth saying, and where it does not speak at all."""
    if prediction is None:
        reason = why_declined(spikes.study_of(cube))
        return f"Theory does not speak of this study: {reason}." if reason else ""
    said = "; ".join(filter(None, (said_of_remainders(prediction), str(prediction.attrs.get("declined", "")))))
    return f"Theory at finite n, by its own estimate: {symbols.greek(said)}." if said else ""


def _given(scores: Mapping[Hashable, Any]) -> str:
    return f"; {captions.against_text(scores)}" if scores["given"] else ""


def _with_controls(scores: Mapping[Hashable, Any]) -> str:
    seeds, worth = scores["seeds"], scores["seeds_worth"]
    return f", with {seeds} seeds worth {worth:.0f} by control variates" if np.isfinite(worth) else ""


_THE = {
    "train_loss": "Training loss",
    "test_loss": "Test loss",
    "singular_value": "Outliers that stand clear in 95 per cent of the seeds",
}


def distance_of_limit(cube: xr.Dataset, prediction: xr.Dataset | None, **further: Any) -> str:
    """How far the limit still is from the test loss at the largest size, and which of its spikes are not there yet."""
    if prediction is None:
        raise Missing("no prediction")
    limit = variable(prediction, "test_loss_limit")
    n = largest_size(cube, "test_loss", further)
    data = z_scores(cube, xr.Dataset({"test_loss": limit}), "test_loss").sel(n=n)
    size = abs(data["relative"]).stack(point=data["relative"].dims).dropna("point")
    if not size.size:
        raise Missing("no point")
    farthest = size.isel(point=int(size.values.argmax())).reset_coords("point", drop=True)
    spread = float(np.sqrt((data["z"] ** 2).mean()))
    text = (
        f"At n = {int(n)} the test loss differs from its limit of infinite n by up to "
        f"{rounded(100 * float(farthest))} per cent, at {symbols.place(farthest, ('alpha', 'lam'))} "
        f"(root mean square of z {spread:.1f})."
    )
    return text + _spikes_to_come(cube, prediction, n, further)


def _spikes_to_come(cube: xr.Dataset, prediction: xr.Dataset, n: Any, further: Mapping[str, Any]) -> str:
    """The spikes that the limit holds at an alpha of the cube while theory at this n has no outlier of theirs there."""
    if "singular_value" not in prediction:
        return ""
    place, parts = {"n": n} | fixed(cube, further), []
    for rank, k in enumerate(spikes.degrees(cube, **further), 1):
        alphas = [a for a in cube["alpha"].values.tolist() if a > threshold(k)]
        if rank in prediction["rank"]:
            values = prediction["singular_value"].sel(rank=rank)
            lacking = [a for a in alphas if not np.isfinite(float(foretold(values, alpha=a, **place)))]
            if lacking:
                parts.append(f"of degree {k} at α = {', '.join(map(number, lacking))}")
    return f" That limit has spikes that theory at this n does not have: {'; '.join(parts)}." if parts else ""


def fitted(law: str, fit: xr.Dataset) -> str:
    """How many of a fit's intervals hold the theory's value, and whether the law itself holds: two sentences."""
    if not {"estimate", "expected", "ci_low", "ci_high"} <= set(fit):
        raise Missing(f"The fit of {law} has no interval.")
    name = _LAWS.get(law, law)
    if "estimator" in fit.dims:
        fit = most_resolved(fit)
        name += ESTIMATORS[fit["estimator"].item()]
    counted = tally(*_columns(fit))
    text = f"{name}: {held_text(counted)}."
    return " ".join(filter(None, (text, f"{rejection(counted)}." if counted.tested else "", fit.attrs.get("reason"))))


def most_resolved(fit: xr.Dataset) -> xr.Dataset:
    """The fit by the estimator that has the most intervals beside a value of the theory."""
    names = ("relative", "corrected", "plain")
    return fit.sel(estimator=max(names, key=lambda e: tally(*_columns(fit.sel(estimator=e))).compared))


_LAWS = {
    "outliers": "Exponents of the outliers",
    "gaps": "Exponents of the gaps between losses",
    "limits": "Limits of the losses",
    "thresholds": "Thresholds of the spikes",
    "collapse": "Thresholds from the collapse of all sizes",
}
ESTIMATORS = {"relative": ", relative to theory at finite n", "corrected": ", with a correction", "plain": ""}


def _columns(fit: xr.Dataset) -> list[xr.DataArray]:
    """Both ends, theory and lack of fit, each with a value for every estimate."""
    names = ("ci_low", "ci_high", "expected", "gof_pvalue")
    known = fit if "gof_pvalue" in fit else fit.assign(gof_pvalue=np.nan)
    return [known[v].broadcast_like(fit["estimate"]).transpose(*fit["estimate"].dims) for v in names]
