"""Where the theory at finite n was seen to fail, few input dimensions: does its error fall as they grow?"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import xarray as xr

from scripts.claims.equivalence import abs_mean
from scripts.claims.finding import Finding
from scripts.claims.losses import PAST
from scripts.claims.sizes import against_n, exponent, interval, largest, log_ticks, mean_of
from scripts.claims.verdicts import of_nothing, of_sign
from spikecube.pictures import marks, style

MOST = 0.05


def deviation(cube: xr.Dataset, prediction: xr.Dataset, name: str, alpha: float, lam: float) -> xr.DataArray:
    """A loss over the theory's, less 1; (n, seed)."""
    where = {"alpha": alpha, "lam": lam}
    theory = prediction[name].sel(where).reset_coords(drop=True)
    return cube[name].sel(where).reset_coords(drop=True) / theory - 1


def judge_few_dims(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """How the error of the training loss at the smallest penalty goes with n, and what the test loss says."""
    low = float(cube["lam"].min())
    found = [_falls(cube, prediction, float(a), low) for a in cube["alpha"].values]
    return [*found, _test_loss(cube, prediction, float(cube["alpha"].max()), low)]


def _falls(cube: xr.Dataset, prediction: xr.Dataset, alpha: float, lam: float) -> Finding:
    off = deviation(cube, prediction, "train_loss", alpha, lam)
    found, _ = exponent(abs_mean(off))
    means = off.mean("seed").values
    dims = [int(d) for d in cube["dim"].values]
    return Finding(
        f"The theory's error at few input dimensions vanishes as they grow, at α = {alpha:g}.",
        PAST,
        f"exponent of n of training loss over theory, less 1, d = n/20, N = 4n, λ = {lam:g}",
        found,
        "below 0",
        of_sign(found, -1, largest(cube)),
        "It is " + ", ".join(f"{100 * m:+.0f} per cent at d = {d}" for m, d in zip(means, dims, strict=True)) + ".",
    )


def _test_loss(cube: xr.Dataset, prediction: xr.Dataset, alpha: float, lam: float) -> Finding:
    n = largest(cube)
    found = interval(mean_of(cube, deviation(cube, prediction, "test_loss", alpha, lam), "test").sel(n=n))
    return Finding(
        "Test losses do not show the error.",
        PAST,
        f"test loss over theory, less 1, n = {n}, α = {alpha:g}, λ = {lam:g}",
        found,
        f"0, to {100 * MOST:g} per cent",
        of_nothing(found, MOST, n),
        "At this penalty the network all but interpolates: training losses are small, and sensitive to it.",
    )


def draw_few_dims(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """The error of the training loss against n, for both alphas and penalties, with the theory's own remainder."""
    places = [(float(a), float(lam)) for a in cube["alpha"].values for lam in cube["lam"].values]
    curves = {
        f"measured, α = {a:g}, λ = {lam:g}": np.abs(deviation(cube, prediction, "train_loss", a, lam))
        for a, lam in places
    }
    layers = []
    for (a, lam), colour in zip(places, style.SERIES, strict=False):
        one = prediction.sel(alpha=a, lam=lam)
        share = one["train_loss_remainder"] / one["train_loss"]
        layers.append(marks.line(share.n, share, "n", "value", label="", colour=colour, dash="dashed"))
    title = "Size of (training loss over theory, less 1) of each draw, mean over draws; dashes: remainder"
    plain = against_n(curves, "size of the deviation", title)
    layers += plain.layers
    return [dataclasses.replace(plain, layers=layers, options={**plain.options, **log_ticks(layers)}).view()]
