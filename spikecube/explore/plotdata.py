"""What the views show, computed apart from drawing it: labelled arrays in, labelled arrays out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from spikecube.errors import SpikecubeError
from spikecube.explore import style
from spikecube.means import seeds as summary
from spikecube.means.controls import CONTROLS
from spikecube.text import with_error
from spikecube.theory.staircase import threshold

Data = TypeVar("Data", xr.Dataset, xr.DataArray)
AXES = ("alpha", "n", "lam", "rank", "degree", "ell")


class Missing(SpikecubeError, ValueError):
    """What a view needs and a cube does not have, as a sentence that is shown in the view's place."""


def variable(data: xr.Dataset, name: str, need: str = "") -> xr.DataArray:
    """A variable that holds at least one number.

    Raises
    ------
    Missing
        If it is not there or has no finite value.
    """
    if name not in data:
        raise Missing(f"This cube has no {name}.{' ' + need if need else ''}")
    if not bool(data[name].notnull().any()):
        raise Missing(f"No value of {name} is there yet.{' ' + need if need else ''}")
    return data[name]


def default_label(data: xr.Dataset | xr.DataArray, name: str) -> Any:
    """Where a view stands along an axis that was not chosen: the largest alpha and n, the middle of the others."""
    values = data[name].values
    if values.dtype.kind not in "iuf":
        return values[0].item() if hasattr(values[0], "item") else values[0]
    return values[-1 if name in ("alpha", "n") else len(values) // 2].item()


class LabelError(SpikecubeError, ValueError):
    """A label or an axis that is not in a cube, as a sentence with those that are."""


def chosen(data: xr.Dataset | xr.DataArray, name: str, label: Any) -> Any:
    """The coordinate value that a label names: the same to rounding, or the only one that is printed so.

    Raises
    ------
    LabelError
        If there is none; the sentence lists what there is.

    >>> chosen(xr.DataArray([0, 0], dims="lam", coords={"lam": [0.1, 10**-0.5]}), "lam", 0.3162) == 10**-0.5
    True
    """
    values = data[name].values.tolist()
    same = [v for v in values if _same(v, label)]
    if len(same) != 1:
        texts = [v if isinstance(v, str) else style.number(v) for v in values]
        listed = ", ".join(texts if len(texts) <= MOST_LISTED else [*texts[: MOST_LISTED - 2], "...", texts[-1]])
        raise LabelError(f"{name} = {label!r} is not there; {name} has {listed}")
    return same[0]


MOST_LISTED = 24


def _same(value: Any, label: Any) -> bool:
    if isinstance(value, str) or isinstance(label, str | bool):
        return bool(value == label)
    try:
        number = float(label)
    except (TypeError, ValueError):
        return False
    return math.isclose(value, number, rel_tol=1e-9, abs_tol=1e-12) or style.number(value) == f"{number:.15g}"


def nearest(data: xr.Dataset | xr.DataArray, name: str, label: float) -> Any:
    """The coordinate value nearest to a number: where a slider starts."""
    values = data[name].values
    return values[int(np.argmin(np.abs(values.astype(float) - label)))].item()


def at(data: Data, **labels: Any) -> Data:
    """The data at some labels, scalar coordinates kept; None stands for its default, other axes are skipped.

    Raises
    ------
    LabelError
        If a label is not there.
    """
    picked = {}
    for name, label in labels.items():
        if name in data.dims:
            picked[name] = default_label(data, name) if label is None else chosen(data, name, label)
    return data.sel(picked)


def foretold(data: xr.DataArray, **labels: Any) -> xr.DataArray:
    """A prediction at some labels, as `at`; NaN where it has none at this alpha."""
    alpha = labels.pop("alpha", None)
    if "alpha" not in data.dims:
        return at(data, **labels)
    if alpha is None:
        return at(data, alpha=None, **labels)
    one = at(data, **labels).reindex(alpha=[float(alpha)], method="nearest", tolerance=NEAR).isel(alpha=0)
    return one.assign_coords(alpha=alpha)


NEAR = 1e-9
"""Labels closer than this, relative to their size, are the same."""


def aligned(prediction: xr.Dataset, cube: xr.Dataset) -> xr.Dataset:
    """A prediction on the sizes, penalties and further labels of a cube, within its alphas; NaN where it has none."""
    for name in ("n", "lam", *further_axes(cube)):
        if name in prediction.dims and name in cube.dims:
            prediction = _on_labels(prediction, name, cube[name].values)
    if "alpha" not in prediction.dims or "alpha" not in cube.dims:
        return prediction
    alpha, low, high = prediction["alpha"].values, float(cube["alpha"].min()), float(cube["alpha"].max())
    inside = (alpha >= low - NEAR) & (alpha <= high + NEAR)
    return prediction if inside.all() else prediction.isel(alpha=inside)


def _on_labels(data: xr.Dataset, name: str, labels: np.ndarray) -> xr.Dataset:
    own = data[name].values
    if np.array_equal(own, labels):
        return data
    bare = data.drop_vars([c for c in data.coords if c != name and name in data[c].dims])
    if labels.dtype.kind not in "iuf" or own.dtype.kind not in "iuf":
        return bare.reindex({name: labels})
    return bare.reindex({name: labels}, method="nearest", tolerance=NEAR * np.maximum(np.abs(labels), 1e-3))


def refuse_unknown(cube: xr.Dataset, view: str, known: Sequence[str], given: Sequence[str]) -> None:
    """Refuses keywords of a view that are neither its own nor further axes of the cube.

    Raises
    ------
    LabelError
        One sentence with what there is.
    """
    allowed = [*known, *further_axes(cube)]
    for name in given:
        if name not in allowed:
            raise LabelError(f"{view} has no keyword {name}; it has {', '.join(allowed)}")


def further_axes(cube: xr.Dataset) -> list[str]:
    """The axes of a cube beyond those that every cube has."""
    known = {*AXES, "seed", "bin"}
    return [str(d) for d in cube.dims if d not in known]


def fixed(cube: xr.Dataset, labels: Mapping[str, Any]) -> dict[str, Any]:
    """A label for each further axis of the cube, as given or its default."""
    return {name: labels.get(name) for name in further_axes(cube)}


def seed_mean(data: xr.DataArray) -> xr.Dataset:
    """Mean, standard error and number of seeds that have a value.

    stderr = std / sqrt(count) with count - 1 degrees of freedom; NaN for a single seed.
    """
    if "seed" not in data.dims:
        return xr.Dataset({"mean": data, "stderr": data * np.nan, "seeds": data.notnull().astype(int)})
    seeds = data.notnull().sum("seed")
    several = seeds > 1
    mean = data.sum("seed") / seeds.where(seeds > 0)
    square = ((data - mean) ** 2).sum("seed")
    stderr = np.sqrt(square / (seeds - 1).where(several) / seeds.where(several))
    return xr.Dataset({"mean": mean, "stderr": stderr, "seeds": seeds}).assign_attrs(data.attrs)


def means(cube: xr.Dataset, name: str, *, controls: bool = True, **where: Any) -> xr.Dataset:
    """Mean, standard error and number of seeds of a variable at a place: those of `spikecube.means.seeds.means`.

    The attribute `controls` tells whether any control variate was used: it needs the draws in the cube, its study, and
    7 seeds or more.
    """
    place = where | fixed(cube, where)
    variable(cube, name)
    box = _box(cube[[name, *(c for c in CONTROLS if c in cube)]], place)
    data = at(summary.means(box, name, controls=controls), **place)
    used = bool((data["controls"] > 0).any())
    return data[["mean", "stderr", "seeds"]].assign_attrs(cube[name].attrs | {"controls": used})


def _box(cube: xr.Dataset, labels: Mapping[str, Any]) -> xr.Dataset:
    """As `at`, but every axis stays, one label long."""
    spot = at(cube, **labels)
    return cube.sel({name: [spot[name].item()] for name in labels if name in cube.dims})


def staircase(limit: xr.DataArray, ell_alpha: xr.DataArray, start: float, stop: float) -> xr.Dataset:
    """The limit of a loss as steps: its value between the thresholds of the spikes, from `start` to `stop`.

    Returns `start`, `end` and `value` along `step`; steps without an alpha in them are left out.
    """
    values, ells = limit.values, ell_alpha.values
    rows = []
    for ell in np.unique(ells[ells > 0]):
        inside = values[(ells == ell) & np.isfinite(values)]
        lower, upper = max(threshold(int(ell)), start), min(threshold(int(ell) + 1), stop)
        if inside.size and lower < upper:
            rows.append((lower, upper, float(inside.mean())))
    table = np.array(rows, dtype=float).reshape(-1, 3)
    return xr.Dataset({name: ("step", table[:, i]) for i, name in enumerate(("start", "end", "value"))})


def last(data: xr.DataArray) -> float:
    """The value at the end of every dim: at the largest size, say."""
    return float(data.values.ravel()[-1])


def finite(value: xr.DataArray) -> float:
    """A number, NaN for an infinite one: an interval that is open there has no end to draw."""
    return float(value) if np.isfinite(value) else float("nan")


def histogram(cube: xr.Dataset, *, alpha: Any = None, n: Any = None, **further: Any) -> xr.Dataset:
    """The distribution of all singular values of F/sqrt(n) at one (alpha, n), seeds pooled.

    `density` integrates to `share`, the number of singular values in the bins over n; `lower`, `upper` along `bin`.

    Raises
    ------
    Missing
        If the study measured no histogram or the cell is not there yet.
    """
    if "spectrum" not in cube:
        raise Missing("The study measured no histogram: set spectrum_bins in [measure].")
    where = {"alpha": alpha, "n": n} | fixed(cube, further)
    counts = at(cube["spectrum"], **where)
    pooled = counts.mean("seed") if "seed" in counts.dims else counts
    if not bool(pooled.notnull().any()):
        raise Missing(f"No histogram at alpha = {float(pooled.alpha):g}, n = {int(pooled.n)} yet.")
    lower, upper = cube["bin_lower"], cube["bin_upper"]
    return xr.Dataset(
        {"density": pooled / pooled.n / (upper - lower), "count": pooled, "share": pooled.sum() / pooled.n},
        coords={"lower": lower, "upper": upper},
    )


def leading(cube: xr.Dataset, *, alpha: Any = None, n: Any = None, **further: Any) -> xr.DataArray:
    """The leading singular values of every seed at one (alpha, n): dims seed, rank."""
    values = at(variable(cube, "singular_value"), alpha=alpha, n=n, **fixed(cube, further))
    if not bool(values.notnull().any()):
        raise Missing(f"No singular values at alpha = {float(values.alpha):g}, n = {int(values.n)} yet.")
    if "seed" not in values.dims:
        raise Missing("This cube was averaged over its seeds: the singular values of each are gone.")
    return values.transpose("seed", "rank").dropna("seed", how="all")


def spikes(cube: xr.Dataset, *, most: int = 4, **where: Any) -> xr.Dataset:
    """Leading singular values against alpha at one n: mean and stderr along (alpha, rank), at most `most` ranks."""
    values = at(variable(cube, "singular_value"), **where)
    return seed_mean(values.isel(rank=slice(0, most)))


def first_crossing(alpha: np.ndarray, margin: np.ndarray) -> float:
    """Where a margin along alpha first comes above zero, between grid points by a straight line; NaN where it does not.

    After a point without a value, where there is no outlier, the crossing is halfway.

    >>> a = np.array([0.0, 0.1, 0.2])
    >>> [round(first_crossing(a, np.array(m)), 3) for m in ([-1, -1, 3], [np.nan, np.nan, 1], [1, 2, 3], [-1, -1, 0])]
    [0.125, 0.15, 0.0, nan]
    """
    above = np.flatnonzero(margin > 0)
    if not above.size:
        return float("nan")
    i = int(above[0])
    if i == 0:
        return float(alpha[0])
    share = margin[i - 1] / (margin[i - 1] - margin[i]) if np.isfinite(margin[i - 1]) else 0.5
    return float(alpha[i - 1] + share * (alpha[i] - alpha[i - 1]))


ALIGNED = 0.5
"""The squared cosine above which a singular vector points along its monomial."""


def spike_share(cube: xr.Dataset, degree: int, rank: int, **where: Any) -> xr.DataArray:
    """The share of seeds in which the spike of a degree, the rank-th of all, is detached; NaN where no seed tells.

    It is detached if `rank` singular values or more lie beyond the edge and the rank-th points along its monomial:
    squared cosine above 1/2.
    """
    counts, cosine = (at(variable(cube, name), **where) for name in ("outlier_count", "alignment"))
    cosine = cosine.sel(degree=degree, drop=True)
    seen = (counts >= rank) & (cosine > ALIGNED)
    return _share(seen.where(counts.notnull() & cosine.notnull()))


def outlier_share(cube: xr.Dataset, rank: int, **where: Any) -> xr.DataArray:
    """The share of seeds in which `rank` singular values or more lie beyond the edge, wherever they point."""
    counts = at(variable(cube, "outlier_count"), **where)
    return _share((counts >= rank).where(counts.notnull()))


def _share(seen: xr.DataArray) -> xr.DataArray:
    return seen.mean("seed") if "seed" in seen.dims else seen


def first_alpha(share: xr.DataArray) -> float:
    """The smallest alpha at which a share is one half or more, NaN where none is."""
    often = share.values >= 0.5
    return float(share["alpha"].values[often].min()) if often.any() else float("nan")


def z_scores(cube: xr.Dataset, prediction: xr.Dataset, name: str) -> xr.Dataset:
    """How far measurement is from prediction: z = (mean - predicted)/stderr, on the alphas that both have.

    Means are taken with control variates where the cube has them and three seeds or more: unbiased, and much sharper.
    Returns `z`, `relative`, `mean`, `stderr`, `predicted`; the attributes `seeds` and `seeds_worth` are the median
    number of seeds, and of those that plain means would need for the same errors (NaN without control variates).

    Raises
    ------
    Missing
        Without the variable in both, without an alpha in common, or with one seed (no standard error).
    """
    predicted = variable(prediction, name, "The prediction does not cover it.")
    measured, worth = sharp_mean(cube, name)
    for name in map(str, set(predicted.dims) & set(measured.dims) - {"alpha"}):
        measured = measured.sel({name: np.isin(measured[name].values, predicted[name].values)})
        predicted = predicted.sel({name: measured[name].values})
    predicted = predicted.drop_vars([c for c in predicted.coords if c not in predicted.dims])
    if "alpha" in predicted.dims:
        predicted = predicted.sel(alpha=_common(measured["alpha"].values, predicted["alpha"].values))
        measured = measured.sel(alpha=predicted["alpha"].values, method="nearest").assign_coords(alpha=predicted.alpha)
    mean, stderr, seeds = measured["mean"], measured["stderr"], int(measured["seeds"].median())
    if not bool(stderr.notnull().any()):
        raise Missing("One seed has no standard error: z-scores need two or more.")
    z = (mean - predicted) / stderr.where(stderr > 0)
    found = {"z": z, "relative": mean / predicted - 1, "mean": mean, "stderr": stderr, "predicted": predicted}
    return xr.Dataset(found).assign_attrs(seeds_worth=worth, seeds=seeds)


def sharp_mean(cube: xr.Dataset, name: str) -> tuple[xr.Dataset, float]:
    """Mean and stderr over seeds, with control variates where they can be had, and the seeds they are worth."""
    variable(cube, name)
    data = summary.means(cube, name)
    sharp = data["controls"] > 0
    worth = float(data["seeds_worth"].where(sharp).median()) if bool(sharp.any()) else float("nan")
    return data, worth


def _common(measured: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The predicted alphas at which something was measured."""
    close = np.abs(predicted[:, None] - measured[None, :]).min(axis=1) < 1e-9
    if not close.any():
        raise Missing("The prediction has no alpha in common with the cube.")
    common: np.ndarray = predicted[close]
    return common


def gap_to_limit(
    cube: xr.Dataset, prediction: xr.Dataset, *, kind: str, controls: bool = True, **where: Any
) -> xr.Dataset:
    """The mean of L(F) - limit against n, signed, with its standard error."""
    limit = foretold(variable(prediction, f"{kind}_loss_limit"), **where)
    data = means(cube, f"{kind}_loss", controls=controls, **where)
    return data.assign(mean=data["mean"] - limit)


def gap_to_spiked(cube: xr.Dataset, *, kind: str, controls: bool = True, **where: Any) -> xr.Dataset:
    """The mean of L(F) - L(F_ell) against n, signed, at this alpha's ell, seeds paired, with its standard error."""
    ell = kept_spikes(cube, **where)
    name = f"{kind}_loss_gap"
    gap = variable(cube, f"{kind}_loss") - variable(cube, f"{kind}_loss_spiked").sel(ell=ell, drop=True)
    return means(cube.assign({name: gap}), name, controls=controls, **where)


def gap_of_spiked(
    cube: xr.Dataset, prediction: xr.Dataset, *, kind: str, controls: bool = True, **where: Any
) -> xr.Dataset:
    """The mean of L(F_ell) - limit against n, signed, at this alpha's ell, with its standard error."""
    name = f"{kind}_loss_spiked"
    limit = foretold(variable(prediction, f"{kind}_loss_limit"), **where)
    data = means(cube, name, controls=controls, ell=kept_spikes(cube, **where), **where)
    return data.assign(mean=data["mean"] - limit)


def kept_spikes(cube: xr.Dataset, **where: Any) -> int:
    """The ell of an alpha; the most that was measured where it is unbounded."""
    ell, most = int(at(cube["ell_alpha"], **where)), int(cube["ell"].max())
    return min(ell, most) if ell > 0 else most


def collapse(cube: xr.Dataset, *, k: int, rank: int, **further: Any) -> xr.Dataset:
    """The singular value of degree k, the rank-th largest, in the variable x = (alpha - alpha_k) ln n.

    It scales as n^{1/2 - k(1/2 - alpha)} = exp(k x) (theory section 2): sizes fall on one line of slope k.
    """
    values = at(variable(cube, "singular_value"), rank=rank, **fixed(cube, further))
    data = seed_mean(values)
    x = (data["alpha"] - threshold(k)) * np.log(data["n"])
    return data.assign_coords(x=x)


def slope_line(collapsed: xr.Dataset, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The line C exp(k x) from x = 0 on, C the median over the points there; empty without such points."""
    x, y = collapsed["x"].values, collapsed["mean"].values
    beyond = (x > 0) & np.isfinite(y) & (y > 0)
    if not beyond.any():
        return np.empty(0), np.empty(0)
    amplitude = np.exp(np.median(np.log(y[beyond]) - k * x[beyond]))
    along = np.linspace(0, float(x[beyond].max()), 50)
    return along, amplitude * np.exp(k * along)


def power_law(fit: xr.Dataset, n: np.ndarray) -> xr.Dataset:
    """A fitted power law between the sizes: `value` along n with the ends `low`, `high` of its 95 per cent band.

    log y = m + b log n has the variance (1, log n) C (1, log n)^T; NaN where nothing was fitted.
    """
    along = np.geomspace(n[0], n[-1], 40)
    names = ["log_amplitude", "exponent"]
    theta = fit["estimate"].sel(param=names).values
    covariance = fit["covariance"].sel(param_i=names, param_j=names).values
    design = np.stack([np.ones_like(along), np.log(along)], axis=1)
    middle = design @ theta
    half = 1.96 * np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", design, covariance, design), 0))
    curves = {"value": middle, "low": middle - half, "high": middle + half}
    return xr.Dataset({name: ("n", np.exp(np.minimum(v, 700))) for name, v in curves.items()}, coords={"n": along})


def fitted_means(fit: xr.Dataset) -> xr.Dataset:
    """The means that a fit was made to (with control variates, if it used them), with their errors and residuals."""
    means = {"mean": fit["data"], "stderr": fit["data_stderr"]}
    return xr.Dataset(means | ({"residual": fit["residual"]} if "residual" in fit else {}))


def limit_text(one: xr.Dataset) -> str:
    """The fitted limit with its error, the theory's, and the test of fit."""
    if not np.isfinite(float(one["estimate"])):
        return "no fit"
    error = float(one["stderr"]) if "stderr" in one else np.nan
    text = f"fitted limit {with_error(float(one['estimate']), error)}"
    if "expected" in one and np.isfinite(float(one["expected"])):
        text += f", theory {float(one['expected']):.3g}"
    return text + _lack_of_fit(one)


def _lack_of_fit(one: xr.Dataset) -> str:
    known = "gof_pvalue" in one and np.isfinite(float(one["gof_pvalue"]))
    return f", lack of fit p = {float(one['gof_pvalue']):.2g}" if known else ""


def exponent_text(fit: xr.Dataset) -> str:
    """The fitted exponent with its error, the theory's, and the test of fit; what its status says without one."""
    one = fit.sel(param="exponent")
    if not np.isfinite(float(one["estimate"])):
        return "no fit"
    text = f"exponent {with_error(float(one['estimate']), float(one['stderr']))}".replace("-", "−")
    if np.isfinite(float(one["expected"])):
        text += f", theory {float(one['expected']):.2f}".replace("-", "−")
    return text + _lack_of_fit(one)
