"""What several claims do with values along n: means over seeds, exponents, and a picture on log axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from scripts.claims.verdicts import Interval, fitted, student
from spikecube import fit_power_law
from spikecube.means.seeds import means
from spikecube.pictures import curve_data, marks, style
from spikecube.pictures.picture import Layer, Picture
from spikecube.scaling.cube_theory import cube_data
from spikecube.scaling.labelled_fits import fit_sample
from spikecube.scaling.laws import POWER


def largest(cube: xr.Dataset | xr.DataArray) -> int:
    """The largest n."""
    return int(cube["n"].max())


def mean_of(cube: xr.Dataset, values: xr.DataArray, kind: str = "train") -> xr.Dataset:
    """Mean and error over seeds of values that are no variable of the cube, with the controls of a `kind` of variable:
    "train", "test" or "singular"."""
    name = f"{kind}_made"
    bare = values.drop_vars([c for c in values.coords if c not in values.dims])
    found = means(cube.assign({name: bare}), name)
    return found.squeeze([d for d in found.dims if d != "n" and found.sizes[d] == 1], drop=True)


def interval(mean: xr.Dataset) -> Interval:
    """The interval of one mean."""
    return student(mean["mean"], mean["stderr"], mean["dof"] if "dof" in mean else mean["seeds"] - 1)


def exponent(values: xr.DataArray) -> tuple[Interval, xr.Dataset]:
    """The exponent of n of the mean over seeds of one curve, and its fit."""
    bare = values.drop_vars([c for c in values.coords if c not in values.dims])
    fit = fit_power_law(bare)
    return fitted(fit), fit


def outlier_exponent(cube: xr.Dataset, values: xr.DataArray) -> Interval:
    """The exponent of n of one curve made of singular values, with their control variates, as `fit_outliers` has it."""
    bare = values.drop_vars([c for c in values.coords if c not in values.dims])
    return fitted(fit_sample(POWER, cube_data(cube, ()).sample("singular_value", bare)))


def against_n(
    curves_by_label: Mapping[str, xr.DataArray], ylabel: str, title: str, *, law: bool = True, **options: Any
) -> Picture:
    """Means over seeds against n on log axes, each with its fitted power law where it has one and `law` is wanted."""
    layers: list[Layer] = []
    for (label, values), colour, marker in zip(curves_by_label.items(), style.SERIES, style.MARKERS, strict=False):
        bare = values.drop_vars([c for c in values.coords if c not in values.dims])
        data = means(bare.to_dataset(name="values"), "values", controls=False)
        fit = fit_power_law(bare)
        if law and np.isfinite(fit["estimate"].sel(param="exponent")):
            law = curve_data.power_law(fit, data["n"].values)
            layers.append(
                marks.line(law.n, law["value"], "n", "value", label="", colour=colour, dash="dotted", width=1.5)
            )
        layers += marks.points(data, "n", "value", label=label, colour=colour, marker=marker, positive=True)
    marked = {"xticks": [(int(n), f"{int(n)}") for n in data["n"].values], **log_ticks(layers)}
    return Picture(layers, title=title, xlabel="n", ylabel=ylabel, logx=True, logy=True, options={**marked, **options})


def log_ticks(layers: Sequence[Layer]) -> dict[str, list[tuple[float, str]]]:
    """The option `yticks` of a picture with a log axis: 1, 2, 3, 5 times powers of ten; 1 alone where these are many,
    all halves where they are few, nothing where those are few too.

    >>> layer = marks.line([1, 2], [0.004, 0.3], "n", "value", label="", colour="black")
    >>> [text for _, text in log_ticks([layer])["yticks"]]
    ['0.005', '0.01', '0.02', '0.03', '0.05', '0.1', '0.2', '0.3']
    """
    values = np.concatenate([list(layer.columns.values())[1] for layer in layers])
    values = values[np.isfinite(values) & (values > 0)]
    low, high = float(values.min()) * (1 - 1e-9), float(values.max()) * (1 + 1e-9)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in _STEPS:
        places = [v for p in powers for k in steps if low <= (v := float(f"{k}e{p}")) <= high]
        if len(places) >= _LEAST_TICKS:
            return {"yticks": [(v, f"{v:g}") for v in places]}
    return {}


_STEPS = ((1,), (1, 2, 3, 5), tuple(np.arange(10, 100, 5) / 10))
_LEAST_TICKS = 4
