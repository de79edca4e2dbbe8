"""What a cube shows, in plain sentences with their numbers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.missing import missing_edges
from spikecube.cube.schema import STATUS
from spikecube.means import spikes
from spikecube.means.comparisons import means_at, plain_means, z_scores
from spikecube.means.places import Missing, aligned, at, fixed, foretold, variable
from spikecube.text import number, with_error
from spikecube.theory.staircase import threshold
from spikecube.words import captions, symbols
from spikecube.words.verdicts import held_text, rejection, tally
from spikecube.words.when import first_size, spikes_of


def findings(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    fits: Mapping[str, xr.Dataset] | None = None,
    **further: Any,
) -> list[str]:
    """All that can be said about a cube at one place along its further axes; what is missing is left out."""
    if prediction is not None:
        prediction = aligned(prediction, cube)
    writers = (
        lambda: completeness(cube),
        lambda: missing_points(cube),
        lambda: spikes_seen(cube, prediction, **further),
        lambda: largest_spike(cube, prediction, **further),
        lambda: loss_drop(cube, prediction, **further),
        lambda: agreement(cube, prediction, "train_loss"),
        lambda: agreement(cube, prediction, "test_loss"),
        lambda: agreement(cube, prediction, "singular_value"),
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


def missing_points(cube: xr.Dataset) -> str:
    """At how many points theory has no detection edge, and no outlier could be counted; nothing where it has one."""
    lost = missing_edges(cube)
    return f"{lost}." if lost else ""


def spikes_seen(cube: xr.Dataset, prediction: xr.Dataset | None, **further: Any) -> str:
    """Where each spike is seen at the largest size, against theory and the limit, and what points nowhere.

    A spike is seen where its singular value lies beyond the edge and its vector points along its monomial.
    """
    place = {"n": _largest(cube, "outlier_count", further)} | fixed(cube, further)
    seeds = captions.seeds_text(_seeds(at(cube["outlier_count"], **place)))
    lead = f"At n = {place['n']}, in {'the one seed' if seeds == '1 seed' else f'at least half of {seeds}'},"
    if "alignment" not in cube:
        share = spikes.outlier_share(cube, 1, **place)
        if not bool((share >= 0.5).any()):
            return f"{lead} no singular value lies beyond the edge of the bulk."
        return f"{lead} a singular value lies beyond the edge of the bulk {_alphas(share)}; no alignment was measured."
    known = _measured_spikes(cube, further)
    shares = {k: spikes.spike_share(cube, k, j, **place) for j, k in known}
    seen = {k: _alphas(share) for k, share in shares.items()}
    parts = [
        f"{_ORDINAL[j]} {seen[k]} (degree {k}; {_expected(cube, prediction, place, k)})" for j, k in known if seen[k]
    ]
    unseen = [f"degree {k} ({_expected(cube, prediction, place, k)})" for _, k in known if not seen[k]]
    text = f"{lead} " + (
        f"spikes stand clear of the bulk and point along their monomial: {'; '.join(parts)}."
        if parts
        else "no spike stands clear of the bulk and points along its monomial at any α."
    )
    text += f" Not seen: {'; '.join(unseen)}." if unseen else ""
    return text + _pointing_nowhere(cube, known, place)


_ORDINAL = dict(enumerate(("none", "the first", "the second", "the third", *(f"spike {k}" for k in range(4, 21)))))


def _measured_spikes(cube: xr.Dataset, further: Mapping[str, Any]) -> list[tuple[int, int]]:
    """(rank, degree) of the spikes whose alignment and rank the cube holds."""
    degrees = spikes.degrees(cube, **further)
    measured = set(cube["degree"].values.tolist())
    return [(j, k) for j, k in enumerate(degrees, 1) if k in measured and j <= cube.sizes.get("rank", len(degrees))]


def _seeds(data: xr.DataArray) -> np.ndarray:
    """How many seeds have a value, at each other label."""
    known = data.notnull()
    return np.atleast_1d((known.sum("seed") if "seed" in known.dims else known.astype(int)).values)


def _largest(cube: xr.Dataset, name: str, further: Mapping[str, Any]) -> Any:
    """The largest size at which a variable has a value."""
    data = at(variable(cube, name), **fixed(cube, further))
    known = data.notnull().any([d for d in data.dims if d != "n"])
    if not bool(known.any()):
        raise Missing(f"no {name} here")
    return data["n"].values[known.values].max().item()


def _alphas(share: xr.DataArray) -> str:
    """Where in alpha a share is one half or more; empty where it is nowhere."""
    often = share.values >= 0.5
    if not often.any():
        return ""
    labels, first = share["alpha"].values, int(often.argmax())
    if often[first:].all() and (len(labels) > first + 1 or first == 0):
        return f"from α = {number(float(labels[first]))} on"
    return f"at α = {', '.join(number(float(a)) for a in labels[often])}"


def _expected(cube: xr.Dataset, prediction: xr.Dataset | None, place: Mapping[str, Any], k: int) -> str:
    """Where theory counts the spike of a degree at this size, and in the limit."""
    limit = f"in the limit beyond {threshold(k):.3g}"
    if prediction is None or "singular_value" not in prediction:
        return limit
    further = {name: label for name, label in place.items() if name != "n"}
    alphas = spikes.detachment(cube, prediction, **further)
    if k not in alphas["degree"] or place["n"] not in alphas["n"]:
        return limit
    alpha, last = float(alphas.sel(degree=k, n=place["n"])), float(cube["alpha"].max())
    at_n = f"from {alpha:.2g}" if np.isfinite(alpha) else f"not up to {number(last)}{_later(cube, further, k, last)}"
    return f"theory at this n: {at_n}, {limit}"


def _later(cube: xr.Dataset, further: Mapping[str, Any], k: int, alpha: float) -> str:
    """From which n theory has a spike at an alpha where it has none yet; nothing where it never has or declines."""
    model = spikes.study_of(cube).model_at(**dict(spikes.further_labels(cube, further)))
    try:
        size = first_size(model, alpha, spikes_of(model, k).index(k) + 1) if alpha > threshold(k) else np.inf
    except (ValueError, ArithmeticError):  # declined, or not solved
        return ""
    return f"; there from n of about {float(f'{size:.2g}'):,.0f}" if np.isfinite(size) else ""


def _pointing_nowhere(cube: xr.Dataset, known: list[tuple[int, int]], place: Mapping[str, Any]) -> str:
    """Outliers whose vector does not point along its monomial, and those whose monomial was not measured."""
    counts, cosine = (at(cube[name], **place) for name in ("outlier_count", "alignment"))
    astray = counts * 0.0
    for j, k in known:
        astray = astray + ((counts >= j) & _astray(cosine.sel(degree=k, drop=True)))
    beyond = (counts - len(known)).clip(0)
    text, level = "", f"n^(−1/2) = {place['n'] ** -0.5:.2g}"
    for extra, what in (
        (
            astray,
            f"that point along no monomial (squared cosine with its own below {level}): outliers, not spikes",
        ),
        (beyond, f"more than the {len(known)} whose direction is measured"),
    ):
        mean = extra.mean("seed") if "seed" in extra.dims else extra
        where = _alphas(mean)
        if where:
            top = mean.isel(alpha=int(mean.fillna(0).argmax("alpha")))
            text += (
                f" Beyond the edge {where} lie singular values {what}; "
                f"{number(round(float(top), 2))} a seed at α = {number(float(top.alpha))}."
            )
    return text


def _astray(cosine: xr.DataArray) -> xr.DataArray:
    return cosine.notnull() & ~spikes.along_monomial(cosine)


def edge_moves(cube: xr.Dataset, **further: Any) -> str:
    """Which way the edge beyond which outliers are counted moves along alpha at the largest size."""
    edge = at(variable(cube, "detection_edge"), n=None, **fixed(cube, further)).dropna("alpha")
    if edge.sizes["alpha"] < 2:
        raise Missing("one alpha")
    first, last = edge.isel(alpha=0), edge.isel(alpha=-1)
    if abs(float(last / first) - 1) < _NOTABLE:
        return ""
    return (
        f"At n = {int(edge.n)} the edge beyond which singular values are counted as outliers moves "
        f"{'out' if last > first else 'in'}, from {number(float(first))} at α = {number(float(first.alpha))} to "
        f"{number(float(last))} at α = {number(float(last.alpha))}."
    )


_NOTABLE = 0.01


def largest_spike(cube: xr.Dataset, prediction: xr.Dataset | None, **further: Any) -> str:
    """The largest singular value just past the alpha where one lies beyond the edge, with edge and prediction."""
    place = {"n": _largest(cube, "outlier_count", further)} | fixed(cube, further)
    first = spikes.first_alpha(spikes.outlier_share(cube, 1, **place))
    if np.isnan(first):
        raise Missing("no outlier")
    later = [a for a in cube["alpha"].values.tolist() if a >= first]
    where = place | {"alpha": later[min(1, len(later) - 1)], "rank": 1}
    top = means_at(cube, "singular_value", **where)
    text = f"At α = {number(where['alpha'])}, n = {place['n']} the largest singular value of F/√n is {_value(top)}"
    edge = at(cube["detection_edge"], **where)
    if bool(edge.notnull()):
        text += f", the edge of detection {number(float(edge))}"
    if prediction is not None and "singular_value" in prediction:
        told = float(foretold(prediction["singular_value"], **where))
        text += f"; theory has it at {number(told)}" if np.isfinite(told) else "; theory has no outlier there"
    return text + "."


def _value(data: xr.Dataset) -> str:
    """`1.190(6)`: the standard error in units of the last digits."""
    return with_error(float(data["mean"]), float(data["stderr"]))


def loss_drop(cube: xr.Dataset, prediction: xr.Dataset | None, **further: Any) -> str:
    """How the test loss changes from the smallest step to the largest, at the best penalty after it, largest size."""
    n = _largest(cube, "test_loss", further)
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
        f"{_value(start)} to {_value(end)} ({change:+.2g} per cent)".replace("-", "−")
    )
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


def agreement(cube: xr.Dataset, prediction: xr.Dataset | None, name: str) -> str:
    """How far the finite-n prediction is from the measurement over all points of a variable."""
    if prediction is None:
        raise Missing("no prediction")
    if name == "singular_value":
        cube = _clear_only(cube)
    data = z_scores(cube, prediction, name)
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
        f"median difference {100 * relative:.2g} per cent; the farthest is z = {float(place):+.1f} at {where}. "
        f"Root mean square of z {spread:.1f}{_with_controls(data.attrs)}."
    ).replace("= -", "= −")


def _clear_only(cube: xr.Dataset) -> xr.Dataset:
    """Singular values where nearly every seed has its outlier: elsewhere the edge of the bulk stands in its place."""
    values, counts = variable(cube, "singular_value"), variable(cube, "outlier_count")
    clear = (counts >= values["rank"]).where(counts.notnull())
    share = clear.mean("seed") if "seed" in clear.dims else clear
    return cube.assign(singular_value=values.where(share >= _CLEAR).transpose(*values.dims))


_CLEAR = 0.95


def _with_controls(scores: Mapping[str, Any]) -> str:
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
    n = _largest(cube, "test_loss", further)
    data = z_scores(cube, xr.Dataset({"test_loss": limit}), "test_loss").sel(n=n)
    size = abs(data["relative"]).stack(point=data["relative"].dims).dropna("point")
    if not size.size:
        raise Missing("no point")
    farthest = size.isel(point=int(size.values.argmax())).reset_coords("point", drop=True)
    spread = float(np.sqrt((data["z"] ** 2).mean()))
    text = (
        f"At n = {int(n)} the test loss differs from its limit of infinite n by up to {100 * float(farthest):.2g} per "
        f"cent, at {symbols.place(farthest, ('alpha', 'lam'))} (root mean square of z {spread:.1f})."
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
        best = max(("relative", "corrected", "plain"), key=lambda e: tally(*_columns(fit.sel(estimator=e))).compared)
        fit, name = fit.sel(estimator=best), f"{name}{_ESTIMATORS[best]}"
    counted = tally(*_columns(fit))
    text = f"{name}: {held_text(counted)}."
    return text + (f" {rejection(counted)}." if counted.tested else "")


_LAWS = {
    "outliers": "Exponents of the outliers",
    "gaps": "Exponents of the gaps between losses",
    "limits": "Limits of the losses",
    "thresholds": "Thresholds of the spikes",
    "collapse": "Thresholds from the collapse of all sizes",
}
_ESTIMATORS = {"relative": ", relative to theory at finite n", "corrected": ", with a correction", "plain": ""}


def _columns(fit: xr.Dataset) -> list[xr.DataArray]:
    """Both ends, theory and lack of fit, each with a value for every estimate."""
    names = ("ci_low", "ci_high", "expected", "gof_pvalue")
    known = fit if "gof_pvalue" in fit else fit.assign(gof_pvalue=np.nan)
    return [known[v].broadcast_like(fit["estimate"]).transpose(*fit["estimate"].dims) for v in names]
