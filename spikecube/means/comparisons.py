"""Measured means against theory and against each other, at places of a cube: z-scores and signed gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from spikecube.means import seeds
from spikecube.means.controls import CONTROLS
from spikecube.means.places import Missing, at, boxed, foretold, variable


def plain_means(data: xr.DataArray) -> xr.Dataset:
    """Plain mean over `seed` of any array, with its standard error and the number of seeds that have a value."""
    return seeds.means(data.to_dataset(name="values"), "values", controls=False)


def means_at(
    cube: xr.Dataset, name: str, *, controls: bool = True, along: Sequence[str] = (), **where: Any
) -> xr.Dataset:
    """Means of a variable at a place, those of `spikecube.means.seeds.means`: mean, stderr, seeds, controls.

    A further axis of the cube stays if `along` names it, else it takes its default. Control variates need the draws in
    the cube, its study, and 7 seeds or more; `controls` says how many were used.
    """
    variable(cube, name)
    box, chosen = boxed(cube[[name, *(c for c in CONTROLS if c in cube)]], along, where)
    data = seeds.means(box, name, controls=controls).isel(dict.fromkeys(chosen, 0), missing_dims="ignore")
    return data[["mean", "stderr", "seeds", "controls"]].assign_attrs(cube[name].attrs)


def z_scores(cube: xr.Dataset, prediction: xr.Dataset, name: str) -> xr.Dataset:
    """How far measurement is from prediction: z = (mean - predicted)/stderr, on the alphas that both have.

    Means are taken with control variates where the cube has them and three seeds or more: unbiased, and much sharper.
    Where the prediction has one for each draw, as `predict(study, given=cube)` makes them, each draw is held against
    its own: what draws differ by in their spikes falls out.
    Returns `z`, `relative`, `mean`, `stderr`, `predicted`; the attributes `seeds` and `seeds_worth` are the median
    number of seeds, and of those that plain means would need for the same errors (NaN without control variates), and
    `given` is 1 where draws were held against their own predictions.

    Raises
    ------
    Missing
        Without the variable in both, without an alpha in common, or with one seed (no standard error).
    """
    predicted = variable(prediction, name, "The prediction does not cover it.")
    given = "seed" in predicted.dims
    if given:
        cube, predicted = _draw_by_draw(cube, predicted, name)
    variable(cube, name)
    measured = seeds.means(cube, name)
    sharp = measured["controls"] > 0
    worth = float(measured["seeds_worth"].where(sharp).median()) if bool(sharp.any()) else float("nan")
    if given:
        measured["mean"] = measured["mean"] + predicted
    for name in map(str, set(predicted.dims) & set(measured.dims) - {"alpha"}):
        measured = measured.sel({name: np.isin(measured[name].values, predicted[name].values)})
        predicted = predicted.sel({name: measured[name].values})
    predicted = predicted.drop_vars([c for c in predicted.coords if c not in predicted.dims])
    if "alpha" in predicted.dims:
        predicted = predicted.sel(alpha=_common(measured["alpha"].values, predicted["alpha"].values))
        measured = measured.sel(alpha=predicted["alpha"].values, method="nearest").assign_coords(alpha=predicted.alpha)
    mean, stderr, counts = measured["mean"], measured["stderr"], measured["seeds"]
    if not bool(stderr.notnull().any()):
        raise Missing("One seed has no standard error: z-scores need two or more.")
    z = (mean - predicted) / stderr.where(stderr > 0)
    found = {"z": z, "relative": mean / predicted - 1, "mean": mean, "stderr": stderr, "predicted": predicted}
    typical_count = int(counts.where(counts > 0).median())
    return xr.Dataset(found).assign_attrs(seeds_worth=worth, seeds=typical_count, given=int(given))


def _draw_by_draw(cube: xr.Dataset, predicted: xr.DataArray, name: str) -> tuple[xr.Dataset, xr.DataArray]:
    """Measured minus predicted for every draw in the place of what is measured, and the mean of what is predicted."""
    predicted = predicted.drop_vars([c for c in predicted.coords if c not in predicted.dims])
    excess = cube[name] - predicted
    if not excess.sizes.get("alpha", 1) or not excess.sizes["seed"]:
        raise Missing("The prediction has no draw in common with the cube.")
    both = excess.notnull()
    return cube.assign({name: excess.transpose(*cube[name].dims)}), predicted.where(both).mean("seed")


def typical(prediction: xr.Dataset) -> xr.Dataset:
    """A prediction with the mean over draws in the place of what it has for each of them."""
    drawn = [name for name, variable in prediction.data_vars.items() if "seed" in variable.dims]
    means = {name: prediction[name].mean("seed", keep_attrs=True) for name in drawn}
    return prediction.assign(means).drop_vars("seed") if drawn else prediction


def _common(measured: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The predicted alphas at which something was measured."""
    close = np.abs(predicted[:, None] - measured[None, :]).min(axis=1) < 1e-9
    if not close.any():
        raise Missing("The prediction has no alpha in common with the cube.")
    common: np.ndarray = predicted[close]
    return common


def gap_to_limit(
    cube: xr.Dataset, prediction: xr.Dataset, *, kind: str, spiked: bool = False, controls: bool = True, **where: Any
) -> xr.Dataset:
    """The mean of L(F) - limit against n, or of L(F_ell) at this alpha's ell if spiked, signed, with its error."""
    limit = foretold(variable(prediction, f"{kind}_loss_limit"), **where)
    name = f"{kind}_loss_spiked" if spiked else f"{kind}_loss"
    ell: dict[str, Any] = {"ell": kept_spikes(cube, **where)} if spiked else {}
    data = means_at(cube, name, controls=controls, **ell, **where)
    return data.assign(mean=data["mean"] - limit)


def gap_to_spiked(cube: xr.Dataset, *, kind: str, controls: bool = True, **where: Any) -> xr.Dataset:
    """The mean of L(F) - L(F_ell) against n, signed, at this alpha's ell, seeds paired, with its standard error."""
    ell = kept_spikes(cube, **where)
    name = f"{kind}_loss_gap"
    gap = variable(cube, f"{kind}_loss") - variable(cube, f"{kind}_loss_spiked").sel(ell=ell, drop=True)
    return means_at(cube.assign({name: gap}), name, controls=controls, **where)


def kept_spikes(cube: xr.Dataset, **where: Any) -> int:
    """The ell of an alpha; the most that was measured where it is unbounded."""
    ell, most = int(at(cube["ell_alpha"], **where)), int(cube["ell"].max())
    return min(ell, most) if ell > 0 else most
