"""A cube beside theory: means at places, z-scores, signed gaps, and each variable compared once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from spikecube.means import seeds
from spikecube.means.controls import CONTROLS, label_spreads
from spikecube.means.places import Missing, aligned, boxed, foretold, sliced, variable
from spikecube.means.spikes import clear_only
from spikecube.study.study import Study, study_from


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
    ell, most = int(sliced(cube["ell_alpha"], **where)), int(cube["ell"].max())
    return min(ell, most) if ell > 0 else most


@dataclass(frozen=True)
class Compared:
    """A cube, its study, and what theory says at its labels.

    Attributes
    ----------
    cube : in the form of the schema.
    study : the one that it carries; None without one.
    given : the prediction on the labels of the cube, perhaps with a value for each draw; None without one.
    prediction : the same with means over draws.
    """

    cube: xr.Dataset
    study: Study | None
    given: xr.Dataset | None
    prediction: xr.Dataset | None
    _scores: dict[str, xr.Dataset] = field(default_factory=dict, init=False, repr=False, compare=False)

    def scores(self, name: str) -> xr.Dataset:
        """The `z_scores` of a variable, computed once; of singular values only where they stand clear of the bulk.

        Raises
        ------
        Missing
            If there is no prediction of it, or no error to hold it against.
        """
        if self.given is None:
            raise Missing("no prediction")
        if name not in self._scores:
            measured = clear_only(self.cube) if name == "singular_value" else self.cube
            self._scores[name] = z_scores(measured, self.given, name)
        return self._scores[name]

    def explained(self, names: Iterable[str]) -> dict[str, xr.Dataset]:
        """The `scores` of those variables that can be compared, each with what may explain them at its points.

        `remainder` is how far the prediction itself may be off, NaN where that is not known; `spread` how much stronger
        labels are than for a typical draw, where the prediction is one for that.
        """
        found = {}
        for name in names:
            with contextlib.suppress(Missing):
                scores = self.scores(name)
                spread: xr.DataArray | float = 1.0
                if self.study is not None and name != "singular_value" and not scores.attrs["given"]:
                    spread = label_spreads(self.study, scores["n"].values.tolist())
                found[name] = scores.assign(remainder=_remainder(name, scores, self.given), spread=spread)
        return found


def _remainder(name: str, scores: xr.Dataset, given: xr.Dataset | None) -> xr.DataArray:
    """How far the prediction itself may be off there; NaN where that is not known."""
    if given is None or f"{name}_remainder" not in given:
        return xr.DataArray(np.nan)
    data = given[f"{name}_remainder"].reset_coords(drop=True)
    labels = {d: scores[d].values for d in map(str, data.dims)}
    names = {d: label for d, label in labels.items() if label.dtype.kind not in "iuf"}
    numbers = {d: label for d, label in labels.items() if d not in names}
    return data.sel(names).sel(numbers, method="nearest").assign_coords(labels)


def compared(cube: xr.Dataset, prediction: xr.Dataset | None = None) -> Compared:
    """A cube beside a prediction of any grid that holds its labels."""
    study = study_from(str(cube.attrs["study"])) if "study" in cube.attrs else None
    given = None if prediction is None else aligned(prediction, cube)
    return Compared(cube, study, given, None if given is None else typical(given))
