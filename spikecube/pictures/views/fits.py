"""Views of the fits: gaps and losses against n with their laws, and the exponents of the outliers."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import xarray as xr

from spikecube.means import comparisons
from spikecube.means.comparisons import means_at
from spikecube.means.places import Missing, fixed, foretold, sliced
from spikecube.pictures import curve_data, marks, style
from spikecube.pictures.entry import Entry, view
from spikecube.pictures.layers import Layer
from spikecube.pictures.marks import Brush
from spikecube.pictures.picture import Picture
from spikecube.pictures.views.parts import (
    KIND,
    MOST_SPIKES,
    SUB,
    Kind,
    banded,
    labelled,
    predicted_loss,
    residual_strip,
    strips_below,
    which_means,
)
from spikecube.text import number
from spikecube.words import captions, symbols

Gap = Literal["limit", "spiked", "strength"]
_FITTED_GAPS = {"spiked": "missing_spike", "strength": "finite_strength"}
_PLACE = ("alpha", "lam")
_WHERE = "Where does the loss go?"
_HOW_FAST = "How fast does the loss converge?"


def _gap_entry(gap: Gap, title: str, question: str, kind: Kind) -> Entry:
    return Entry(f"gap_{gap}", title, _PLACE, question, fit="gaps", fixed={"gap": gap, "kind": kind})


@view(Entry("limit_test", "Test loss against n", ("alpha", "lam"), _WHERE, fit="limits", fixed={"kind": "test"}))
def limits(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    fit: xr.Dataset | None = None,
    *,
    fine: xr.Dataset | None = None,
    alpha: float | None = None,
    lam: float | None = None,
    kind: Kind = "test",
    controls: bool = True,
    **further: Any,
) -> Picture:
    """Where does the loss go? Loss against n with the theory at each n, its limit, and the fitted limit.

    `fit` is the result of `fit_limits`; the ends of the 95 per cent interval of its limit are dotted, the residuals
    of the fitted law stand in a strip below. `fine` is the prediction at more sizes, for a smooth line.
    """
    name = f"{kind}_loss"
    where = {"alpha": alpha, "lam": lam} | fixed(cube, further)
    data = means_at(cube, name, controls=controls, **where)
    ends = [float(cube["n"].min()), float(cube["n"].max())]
    layers: list[Layer] = []
    label = "measured"
    spot = symbols.labels_text(data, ("alpha", "lam", *further))
    below = which_means(data)
    if prediction is not None and name in prediction:
        line: dict[str, Any] = {"label": "predicted", "colour": style.SERIES[0]}
        layers += predicted_loss(prediction, name, partial(foretold, **where), "n", name, fine, **line)
        level = curve_data.last(foretold(prediction[f"{name}_limit"], **where))
        limit = {"label": "predicted limit", "colour": style.INK, "dash": "dashed"}
        layers.append(marks.steps(ends[:1], ends[1:], [level], "n", name, **limit))
    if fit is not None and "estimate" in fit:
        one = sliced(fit, loss=name, **where).sel(param="limit")
        if "data" in one:
            data, label = curve_data.fitted_means(one, data), _SHARP
        below = f"\n{captions.limit_text(one)}"
        for end, called, dash in _FITTED_LIMIT:
            level = curve_data.finite(one[end])
            look = {"label": called, "colour": style.SERIES[1], "dash": dash}
            layers.append(marks.steps(ends[:1], ends[1:], [level], "n", name, **look))
    layers += marks.points(data, "n", name, label=label, colour=style.SERIES[0])
    return _against_n(cube, data, layers, f"{KIND[kind]} loss against n at {spot}{below}", name)


_SHARP = "measured, as fitted"

_FITTED_LIMIT = (
    ("estimate", "limit fitted to measured", "dashed"),
    ("ci_low", "", "dotted"),
    ("ci_high", "", "dotted"),
)


@view(
    _gap_entry("limit", "Gap to the limit, test loss", _WHERE, "test"),
    _gap_entry("spiked", "Gap to F_ℓ, training loss", _HOW_FAST, "train"),
    _gap_entry("strength", "Gap of F_ℓ to the limit, training loss", _HOW_FAST, "train"),
)
def gaps(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    fit: xr.Dataset | None = None,
    *,
    gap: Gap = "limit",
    alpha: float | None = None,
    lam: float | None = None,
    kind: Kind = "test",
    controls: bool = True,
    **further: Any,
) -> Picture:
    """How fast do losses converge? Size of the mean gap against n on log axes.

    `gap = "limit"` is L(F) minus its limit; it is the sum of `"spiked"`, L(F) - L(F_ell) with the ell of this alpha,
    and `"strength"`, L(F_ell) minus the limit. `fit` is the result of `fit_gaps`: its law is drawn for the last two
    with its 95 per cent band, the residuals in a strip below.
    """
    where = {"alpha": alpha, "lam": lam} | fixed(cube, further)
    data, what = _gap(cube, prediction, gap, {"kind": kind, "controls": controls} | where)
    spot = symbols.labels_text(data, ("alpha", "lam", *further))
    below, one, label = which_means(data), None, "measured"
    if fit is not None and _FITTED_GAPS.get(gap) in fit.coords.get("gap", ()) and "covariance" in fit:
        one = sliced(fit, **{"gap": _FITTED_GAPS[gap], "loss": f"{kind}_loss"} | where)
        if "data" in one:
            data, label = curve_data.fitted_means(one, data), _SHARP
    layers = _signed_points(data, label)
    if one is not None:
        law = curve_data.power_law(one, cube["n"].values)
        ends = (law["value"], law["low"], law["high"])
        layers += banded(law["n"], ends, "n", "gap", ("fitted to measured", ""), style.SERIES[1], framed=False)
        below = f"\n{captions.exponent_text(one)}"
    title = f"{KIND[kind]} loss: {what} at {spot}{below}"
    return _against_n(cube, data, layers, title, "size of the mean gap", logy=True)


def _gap(cube: xr.Dataset, prediction: xr.Dataset | None, gap: Gap, where: dict[str, Any]) -> tuple[xr.Dataset, str]:
    """The mean of a gap against n, and what it is called."""
    labels = {name: label for name, label in where.items() if name not in ("kind", "controls")}
    spiked = f"L(F{SUB[comparisons.kept_spikes(cube, **labels) % 10]})"
    if gap == "spiked":
        return comparisons.gap_to_spiked(cube, **where), f"|L(F) − {spiked}|"
    if prediction is None:
        raise Missing("The gap to the limit needs a prediction.")
    if gap == "strength":
        return comparisons.gap_to_limit(cube, prediction, spiked=True, **where), f"|{spiked} − limit|"
    return comparisons.gap_to_limit(cube, prediction, **where), "|L(F) − limit|"


def _against_n(cube: xr.Dataset, data: xr.Dataset, layers: list[Layer], title: str, y: str, **axes: Any) -> Picture:
    """A picture against n, with a strip of the fit's standardised residuals below it where the data have them."""
    ticks = style.thin([(n, number(n)) for n in cube["n"].values.tolist()], 6)
    made = labelled(layers, title, "n", y, logx=True, options={"xticks": ticks}, **axes)
    if "residual" not in data:
        return made
    return strips_below(made, residual_strip(made, "n", data["n"].values, data["residual"].values, "residual"))


def _signed_points(data: xr.Dataset, label: str) -> list[Layer]:
    """The size of mean gaps on a log axis, those above and below zero apart."""
    layers: list[Layer] = []
    for i, (sign, which) in enumerate(((1, "positive"), (-1, "negative"))):
        look: dict[str, Any] = {"colour": style.SERIES[3 * i], "marker": style.MARKERS[i], "positive": True}
        side = data.assign(mean=sign * data["mean"])
        layers += marks.points(side, "n", "gap", label=f"{label}, {which}", **look)
    return layers


_ESTIMATORS = {
    "plain": "fitted as they are",
    "corrected": "with a correction",
    "relative": "relative to theory at finite n",
}


_AGREE = "Do the exponents agree?"


@view(Entry("exponents", "Fitted exponents of the outliers", (), _AGREE, True, "outliers", overlays=False))
def exponents(fit: xr.Dataset, *, estimator: str = "relative", brush: Brush = None, **further: Any) -> Picture:
    """Do the exponents agree? Fitted exponents of the outliers against alpha, with their limits 1/2 - k(1/2 - alpha).

    Parameters
    ----------
    fit : from `fit_outliers`.
    estimator : "plain", "corrected", or "relative" to the finite-n prediction.
    """
    if "estimate" not in fit or "exponent" not in fit["param"]:
        raise Missing(str(fit.attrs.get("sentence", "There are no fitted exponents here.")))
    one = sliced(fit, estimator=estimator, **fixed(fit, further) if further else {}).sel(param="exponent")
    if not one["estimate"].notnull().any():
        raise Missing("No exponent of the outliers could be fitted at these sizes.")
    layers: list[Layer] = []
    known = one["alpha"].where(one["estimate"].notnull().any("degree"))
    fitted = (one["alpha"] >= known.min()) & (one["alpha"] <= known.max())
    for i, k in enumerate(one["degree"].values[:MOST_SPIKES].tolist()):
        data = xr.Dataset({"mean": one["estimate"].sel(degree=k), "stderr": one["stderr"].sel(degree=k)})
        look: dict[str, Any] = {"colour": style.SERIES[i]}
        limit = 0.5 - k * (0.5 - one["alpha"].where(fitted))
        line = look | {"label": f"predicted, spike {k}", "dash": "dashed"}
        layers.append(marks.line(one.alpha, limit, "alpha", "exponent", **line))
        look |= {"label": f"measured, spike {k}", "marker": style.MARKERS[i], "brush": brush}
        layers += marks.points(data, "alpha", "exponent", **look)
    title = f"Exponents of the outliers, {_ESTIMATORS.get(estimator, estimator)}"
    return labelled(layers, title, "alpha", "exponent of n")
