"""Views of a fit to anybody's data: points and law with what is left, local exponents and roll-out; a collapse."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from scipy.interpolate import CubicSpline

from spikecube.means.places import LabelError, Missing, sliced
from spikecube.pictures import marks, picture, style
from spikecube.pictures.layers import Layer
from spikecube.pictures.picture import Picture
from spikecube.pictures.views.parts import banded, labelled, residual_strip, strips_below
from spikecube.text import number
from spikecube.words import symbols

_BAND = 1.96  # standard errors
_FINE = 80  # points of a curve
POINT = "point"


def fit(fit: xr.Dataset, **labels: Any) -> hv.Overlay | hv.Layout:
    """Does the law hold, and does it extrapolate? Data and law with its 95 per cent band, and three strips.

    Residuals in standard errors (in per cent of the law where none are known); local exponents, the slopes of log y
    between neighbouring sizes, beside those of the law; and the roll-out, each size less what the fit to all smaller
    sizes foretells of it. A law of two sizes is drawn as data against law.

    Parameters
    ----------
    fit : from `fit_power_law`, `fit_law`, `fit_outliers`, `fit_limits` or `fit_gaps`.
    labels : which curve, where there are several: by default the middle of every dim.
    """
    return picture_of_fit(fit, **labels).view()


def picture_of_fit(fit: xr.Dataset, **labels: Any) -> Picture:
    """The picture of a fit or of a collapse, layers as plain columns; a sentence for what is missing."""
    try:
        one = _curve(fit, labels)
        if "scaled_control" in fit:
            return _collapsed(one, fit)
        x = str(one["data"].dims[0])
        return _against_law(one, fit) if x == POINT else _against_size(one, fit, x)
    except Missing as missing:
        return picture.note(str(missing))


def _curve(fit: xr.Dataset, labels: dict[str, Any]) -> xr.Dataset:
    if not {"data", "fitted", "status"} <= set(fit):
        raise Missing("This is no fit with its data: a result of fit_law or fit_power_law is.")
    dims = [str(d) for d in fit["status"].dims]
    unknown = [name for name in labels if name not in dims]
    if unknown:
        raise LabelError(f"the fit has no {unknown[0]}; it has {', '.join(dims) or 'one curve'}")
    one = fit
    for dim in dims:
        one = sliced(one, **{dim: labels.get(dim)}) if dim in fit.coords else one.isel({dim: labels.get(dim, 0)})
    if not np.isfinite(one["data"]).any():
        raise Missing(str(one["message"].item()))
    return one


def _against_size(one: xr.Dataset, fit: xr.Dataset, x: str) -> Picture:
    y = _name(fit)
    n, data = one[x].values.astype(float), one["data"].values
    positive = bool((data[np.isfinite(data)] > 0).all()) and str(fit.attrs.get("law", "")).startswith("log y")
    layers = _law(one, x, y, positive)
    layers += marks.points(_means(one), x, y, label="measured", colour=style.SERIES[0], positive=positive)
    ticks = style.thin([(size, number(size)) for size in n.tolist()], 6)
    made = labelled(layers, _title(one, fit), x, y, logx=True, logy=positive, options={"xticks": ticks})
    strips = [_residuals(made, one, n, x)]
    if bool((data[np.isfinite(data)] > 0).all()):
        strips.append(_exponents(made, one, n, x))
    if "rollout_z" in one and one["rollout_z"].notnull().any():
        strips.append(residual_strip(made, x, n, one["rollout_z"].values, "data − foretold", marked=3.0))
    return strips_below(made, *strips)


def _law(one: xr.Dataset, x: str, y: str, positive: bool) -> list[Layer]:
    """The law between its sizes and the ends of its band, by splines in log n through its values there."""
    n, value, error = (one[name].values.astype(float) for name in (x, "fitted", "fitted_stderr"))
    known = np.isfinite(value) & np.isfinite(error)
    if known.sum() < 2:
        return []
    along = np.geomspace(n[known].min(), n[known].max(), _FINE)

    def spline(values: np.ndarray) -> np.ndarray:
        return np.asarray(CubicSpline(np.log(n[known]), values)(np.log(along)))

    if positive:
        middle, half = spline(np.log(value[known])), _BAND * spline(error[known] / value[known])
        curves = [np.exp(np.clip(middle + side * half, -700, 700)) for side in (0, -1, 1)]
    else:
        curves = [spline(value[known] + side * _BAND * error[known]) for side in (0, -1, 1)]
    return banded(along, curves, x, y, ("law", "95 % band"), style.SERIES[1])


def _residuals(made: Picture, one: xr.Dataset, n: np.ndarray, x: str) -> Picture:
    """In standard errors; in per cent of the law where the data have none."""
    if one["residual"].notnull().any():
        return residual_strip(made, x, n, one["residual"].values, "residual")
    with np.errstate(divide="ignore", invalid="ignore"):
        part = 100 * (one["data"].values / one["fitted"].values - 1)
    return residual_strip(made, x, n, part, "residual, %", unit="per cent of the law", marked=None)


def _exponents(made: Picture, one: xr.Dataset, n: np.ndarray, x: str) -> Picture:
    """Slopes of log y between neighbouring sizes with data, and of the law."""
    known = np.isfinite(one["data"].values)
    logs, data = np.log(n[known]), one["data"].values[known]
    error = one["data_stderr"].values[known] / data
    name = "local exponent"
    middle = np.exp((logs[1:] + logs[:-1]) / 2)
    slopes = np.diff(np.log(data)) / np.diff(logs)
    spread = np.hypot(error[1:], error[:-1]) / np.diff(logs)
    seen = xr.Dataset({"mean": (x, slopes), "stderr": (x, spread)}, coords={x: middle})
    layers = marks.points(seen, x, name, label="measured", colour=style.SERIES[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        law = np.diff(np.log(one["fitted"].values[known])) / np.diff(logs)
    layers.append(marks.line(middle, law, x, name, label="law", colour=style.SERIES[1]))
    ends, _ = made.limits()
    options = {**made.options, "height": 150, "toolbar": None, "show_legend": False}
    return Picture(layers, xlabel=made.xlabel, ylabel=name, logx=made.logx, xlim=ends, options=options)


def _against_law(one: xr.Dataset, fit: xr.Dataset) -> Picture:
    """Data of two sizes against the law, on the diagonal where it holds."""
    x, y = "law", _name(fit)
    law = one["fitted"].values
    if not np.isfinite(law).any():
        raise Missing(str(one["message"].item()))
    columns = {"mean": (x, one["data"].where(np.isfinite(law)).values), "stderr": (x, one["data_stderr"].values)}
    seen = xr.Dataset(columns, coords={x: law})
    ends = [float(np.nanmin(law)), float(np.nanmax(law))]
    diagonal = marks.line(ends, ends, x, y, label="law", colour=style.SERIES[1])
    points = marks.points(seen, x, y, label="measured", colour=style.SERIES[0])
    made = labelled([diagonal, *points], _title(one, fit), x, y)
    return strips_below(made, _residuals(made, one, law, x))


def _collapsed(fit: xr.Dataset, whole: xr.Dataset) -> Picture:
    """Do the sizes fall on one curve? Scaled data of each size, the master curve with its band, and residuals."""
    if not np.isfinite(fit["scaled_control"]).any():
        raise Missing(str(fit["message"].item()))
    size = str(fit["scaled_control"].dims[-1])
    u, y = "scaled control", f"scaled {fit.attrs.get('quantity', 'data')}"
    sizes = fit[size].values.tolist()
    layers: list[Layer] = []
    for n, look in zip(sizes, style.ordered_looks(len(sizes)), strict=True):
        one = fit.sel({size: n})
        columns = {"mean": (u, one["scaled_data"].values), "stderr": (u, one["scaled_stderr"].values)}
        seen = xr.Dataset(columns, coords={u: one["scaled_control"].values})
        layers += marks.points(seen, u, y, label=f"{size} = {n:g}", **look)
    grid, master, error = (fit[name].values for name in ("scaled_grid", "master_curve", "master_stderr"))
    curves = [master + side * _BAND * error for side in (0, -1, 1)]
    layers += banded(grid, curves, u, y, ("master curve", ""), style.INK)
    made = labelled(layers, _title(fit, whole), u, y)
    if not fit["residual"].notnull().any():
        return made
    left = fit["residual"].transpose(*fit["scaled_control"].dims).values.ravel()
    return strips_below(made, residual_strip(made, u, fit["scaled_control"].values.ravel(), left, "residual"))


def _means(one: xr.Dataset) -> xr.Dataset:
    return xr.Dataset({"mean": one["data"], "stderr": one["data_stderr"]}).reset_coords(drop=True)


def _name(fit: xr.Dataset) -> str:
    return str(fit.attrs.get("quantity", "the data"))


def _title(one: xr.Dataset, fit: xr.Dataset) -> str:
    place = symbols.labels_text(one, [str(d) for d in fit["status"].dims])
    return f"{fit.attrs.get('law', '')}{f' at {place}' if place else ''}"
