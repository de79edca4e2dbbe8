"""What the views show, computed apart from drawing it: labelled arrays in, labelled arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from spikecube.cube import summary
from spikecube.cube.controls import CONTROLS
from spikecube.cube.overview import with_error
from spikecube.theory.staircase import threshold

Data = TypeVar("Data", xr.Dataset, xr.DataArray)
AXES = ("alpha", "n", "lam", "rank", "degree", "ell")


class Missing(ValueError):
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


def nearest(data: xr.Dataset | xr.DataArray, name: str, label: Any) -> Any:
    """The coordinate value nearest to a label; a text label must be there.

    Raises
    ------
    Missing
        If a text label is not there.
    """
    values = data[name].values
    if values.dtype.kind in "iuf":
        return values[int(np.argmin(np.abs(values.astype(float) - float(label))))].item()
    if label not in values:
        raise Missing(f"{name} has no {label!r}; it has {', '.join(map(str, values))}.")
    return label


def at(data: Data, **labels: Any) -> Data:
    """The data at the nearest labels, scalar coordinates kept; None stands for its default, other axes are skipped."""
    chosen = {}
    for name, label in labels.items():
        if name in data.dims:
            chosen[name] = default_label(data, name) if label is None else nearest(data, name, label)
    return data.sel(chosen)


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
    """Mean, standard error and number of seeds of a variable at a place: those of `spikecube.cube.summary.means`.

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
    return values.transpose("seed", "rank")


def spikes(cube: xr.Dataset, *, most: int = 4, **where: Any) -> xr.Dataset:
    """Leading singular values against alpha at one n: mean and stderr along (alpha, rank), at most `most` ranks."""
    values = at(variable(cube, "singular_value"), **where)
    return seed_mean(values.isel(rank=slice(0, most)))


def first_alpha_with(counts: xr.DataArray, k: int) -> xr.DataArray:
    """The smallest alpha at which at least half of the seeds show k outliers or more, NaN where none does."""
    detached = (counts >= k).where(counts.notnull())
    often = detached.mean("seed") >= 0.5
    first: xr.DataArray = often["alpha"].where(often).min("alpha")
    return first


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
    limit = at(variable(prediction, f"{kind}_loss_limit"), **where)
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
    limit = at(variable(prediction, f"{kind}_loss_limit"), **where)
    data = means(cube, name, controls=controls, ell=kept_spikes(cube, **where), **where)
    return data.assign(mean=data["mean"] - limit)


def kept_spikes(cube: xr.Dataset, **where: Any) -> int:
    """The ell of an alpha; the most that was measured where it is unbounded."""
    ell, most = int(at(cube["ell_alpha"], **where)), int(cube["ell"].max())
    return min(ell, most) if ell > 0 else most


def collapse(cube: xr.Dataset, *, k: int, **further: Any) -> xr.Dataset:
    """The k-th singular value in the variable x = (alpha - alpha_k) ln n: sizes fall on one curve of slope k.

    s_k of F/sqrt(n) scales as n^{1/2 - k(1/2 - alpha)} = exp(k x) (theory section 2), so ln s_k against x has slope k.
    """
    values = at(variable(cube, "singular_value"), rank=k, **fixed(cube, further))
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
