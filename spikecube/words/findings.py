"""What a cube shows, in plain sentences with their numbers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from spikecube.text import number, rounded
from spikecube.words import captions, symbols
from spikecube.words.seen import Seen
from spikecube.words.spikes_found import edge_moves, largest_spike, spikes_seen
from spikecube.words.verdicts import held_text, rejection, tally_fit


def findings(seen: Seen, fits: Mapping[str, xr.Dataset] | None = None) -> list[str]:
    """All that can be said about a cube; what is missing is left out."""
    lacks = [completeness(seen.points), *map(_sentence, seen.lost)]
    spikes, edge = (spikes_seen(seen.outliers), largest_spike(seen.outliers)), edge_moves(seen.edge)
    losses = (loss_drop(seen), *(agreement_line(seen, name) for name in _THE), trust(seen))
    of_fits = [fitted(law, fit) for law, fit in (fits or {}).items()]
    return list(filter(None, (*lacks, *spikes, *losses, edge, distance_of_limit(seen), *of_fits)))


def completeness(points: Mapping[str, int]) -> str:
    """How many points are there, and how many failed; nothing to say about a complete cube."""
    done, wanted = points.get("ok", 0), sum(points.values()) - points.get("absent", 0)
    if done == wanted:
        return ""
    failed = points["failed"] + points["nonfinite"]
    text = f"The cube is not complete: {done} of {wanted} points (α, n, seed) are there"
    return text + (f", {failed} failed." if failed else ".")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def loss_drop(seen: Seen) -> str:
    """How the test loss changes from the smallest step to the largest, at the best penalty after it, largest size."""
    if seen.loss is None or seen.step is None:
        return ""
    data = seen.loss.isel(alpha=seen.loss["mean"].notnull().all("lam").values)
    best = int(data["mean"].isel(alpha=-1).argmin("lam"))
    start, end = (data.isel(alpha=i, lam=best) for i in (0, -1))
    change = 100 * (float(end["mean"]) / float(start["mean"]) - 1)
    text = (
        f"From α = {number(float(start.alpha))} to {number(float(end.alpha))} the test loss "
        f"{_direction(seen.step.isel(lam=best))}: at λ = {number(float(end.lam))}, n = {int(end.n)} from "
        f"{captions.value_text(start)} to {captions.value_text(end)} ({rounded(change, '+')} per cent)"
    ).replace("-", "−")
    if np.isfinite(level := seen.best_linear):
        text += f", {_side(end, level)} the {number(level)} of the best linear predictor, which knows the target"
    return text + "."


def _direction(step: xr.Dataset) -> str:
    """Whether a loss falls or rises between two alphas: seeds are paired, since they share their draw."""
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


def agreement_line(seen: Seen, name: str) -> str:
    """How far the finite-n prediction is from the measurement over all points of a variable."""
    if name not in seen.scores:
        return ""
    data = seen.scores[name]
    flat = data["z"].stack(point=data["z"].dims).dropna("point")
    if not flat.size:
        return ""
    inside, spread = float((abs(flat) < 2).mean()), float(np.sqrt((flat**2).mean()))
    relative = float(abs(data["relative"].where(np.isfinite(data["z"]))).median())
    place = flat.isel(point=int(np.abs(flat.values).argmax())).reset_coords("point", drop=True)
    where = symbols.labels_text(place, ("alpha", "n", "lam", "rank"))
    return (
        f"{_THE[name]} against theory at finite n: {inside:.0%} of {flat.size} points are within 2 standard errors, "
        f"median difference {rounded(100 * relative)} per cent; the farthest is z = {float(place):+.1f} at {where}. "
        f"Root mean square of z {spread:.1f}{_with_controls(data.attrs)}{_given(data.attrs)}."
    ).replace("= -", "= −")


def trust(seen: Seen) -> str:
    """How far theory may be off by its own estimate where that is worth saying, and where it does not speak at all."""
    if seen.prediction is None:
        return f"Theory does not speak of this study: {seen.doubt}." if seen.doubt else ""
    return f"Theory at finite n, by its own estimate: {symbols.greek(seen.doubt)}." if seen.doubt else ""


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


def distance_of_limit(seen: Seen) -> str:
    """How far the limit still is from the test loss at the largest size, and which of its spikes are not there yet."""
    if seen.limit is None:
        return ""
    size = abs(seen.limit["relative"]).stack(point=seen.limit["relative"].dims).dropna("point")
    if not size.size:
        return ""
    farthest = size.isel(point=int(size.values.argmax())).reset_coords("point", drop=True)
    spread = float(np.sqrt((seen.limit["z"] ** 2).mean()))
    text = (
        f"At n = {int(seen.limit['n'])} the test loss differs from its limit of infinite n by up to "
        f"{rounded(100 * float(farthest))} per cent, at {symbols.labels_text(farthest, ('alpha', 'lam'))} "
        f"(root mean square of z {spread:.1f})."
    )
    parts = [f"of degree {k} at α = {', '.join(map(number, alphas))}" for k, alphas in seen.to_come.items()]
    return text + (f" That limit has spikes that theory at this n does not have: {'; '.join(parts)}." if parts else "")


def fitted(law: str, fit: xr.Dataset) -> str:
    """How many of a fit's intervals hold the theory's value, and whether the law itself holds: two sentences."""
    if not {"estimate", "expected", "ci_low", "ci_high"} <= set(fit):
        return ""
    name = _LAWS.get(law, law)
    if "estimator" in fit.dims:
        fit = most_resolved(fit)
        name += ESTIMATORS[fit["estimator"].item()]
    counted = tally_fit(fit)
    text = f"{name}: {held_text(counted)}."
    return " ".join(filter(None, (text, f"{rejection(counted)}." if counted.tested else "", fit.attrs.get("reason"))))


def most_resolved(fit: xr.Dataset) -> xr.Dataset:
    """The fit by the estimator that has the most intervals beside a value of the theory."""
    names = ("relative", "corrected", "plain")
    return fit.sel(estimator=max(names, key=lambda e: tally_fit(fit.sel(estimator=e)).compared))


_LAWS = {
    "outliers": "Exponents of the outliers",
    "gaps": "Exponents of the gaps between losses",
    "limits": "Limits of the losses",
    "thresholds": "Thresholds of the spikes",
    "collapse": "Thresholds from the collapse of all sizes",
}
ESTIMATORS = {"relative": ", relative to theory at finite n", "corrected": ", with a correction", "plain": ""}
