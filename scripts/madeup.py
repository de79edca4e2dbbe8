"""Cubes for the views: filled with plausible numbers, so that no simulation stands in the way of a test of drawing."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.assemble import empty_cube
from spikecube.cube.schema import STATUS
from spikecube.study.study import Study

CONTROLS = ("beta_power", "label_power", "test_label_power", "readout_power", "beta_alignment")  # known exactly


def fill(study: Study, *, controls: bool = False) -> xr.Dataset:
    """The cube of a study with made-up numbers of the right shape and size, the same each time.

    Made-up control variates are kept only if asked for: their expectations are known exactly, so they shift means.
    """
    rng = np.random.default_rng(5)
    cube = empty_cube(study)
    for name, array in cube.data_vars.items():
        if array.dtype.kind == "f":
            cube[name] = array.copy(data=0.5 + 0.02 * rng.standard_normal(array.shape))
    if not controls:
        cube = cube.drop_vars([name for name in CONTROLS if name in cube])
    alpha, n = cube["alpha"], cube["n"]
    noise = 1 + 0.03 * xr.DataArray(
        rng.standard_normal((study.shape["alpha"], study.shape["n"], study.shape["seed"])), dims=("alpha", "n", "seed")
    )
    k = cube["rank"]
    spike = 0.8 * np.exp(k * (alpha - (k - 1) / (2 * k)) * np.log(n)) * noise
    shape = cube["singular_value"]
    cube["singular_value"] = (
        np.maximum(spike, 1.55 + 0.02 * noise - 0.02 * k)
        .broadcast_like(shape)
        .transpose(*shape.dims)
        .assign_attrs(shape.attrs)
    )
    count = (cube["singular_value"] > 1.65).sum("rank").astype(float)
    cube["outlier_count"] = (
        count.broadcast_like(cube["outlier_count"])
        .transpose(*cube["outlier_count"].dims)
        .assign_attrs(cube["outlier_count"].attrs)
    )
    cube["detection_edge"] = (("alpha", "n"), np.full((study.shape["alpha"], study.shape["n"]), 1.65))
    loss = (1.2 - alpha) * (1 + 0.1 * np.log10(cube["lam"]) ** 2) * noise * (1 + 20 / n)
    for kind, scale in (("train", 0.6), ("test", 1.0)):
        name = f"{kind}_loss"
        cube[name] = (
            (scale * loss).broadcast_like(cube[name]).transpose(*cube[name].dims).assign_attrs(cube[name].attrs)
        )
    cube["alignment"] = cube["alignment"].copy(
        data=(0.05 + 0.9 * (cube["outlier_count"] >= cube["degree"])).transpose(*cube["alignment"].dims)
    )
    if "spectrum" in cube:
        middle = cube["bin"]
        weight = np.sqrt(np.maximum(1.55 - middle, 0))
        counts = xr.zeros_like(cube["spectrum"]) + np.minimum(n, cube["width"]) * weight / weight.sum()
        cube["spectrum"] = counts.transpose(*cube["spectrum"].dims)
    cube["status"] = cube["status"].copy(data=np.full(cube["status"].shape, STATUS["ok"], dtype=np.int8))
    return cube


def made_prediction(cube: xr.Dataset) -> xr.Dataset:
    """A prediction with the names of `predict`: the means without their noise."""
    alpha, n = cube["alpha"], cube["n"]
    loss = (1.2 - alpha) * (1 + 0.1 * np.log10(cube["lam"]) ** 2) * (1 + 20 / n)
    limit = ((1.2 - alpha) * (1 + 0.1 * np.log10(cube["lam"]) ** 2)).groupby(cube["ell_alpha"]).mean()
    limit = limit.sel(ell_alpha=cube["ell_alpha"])
    data = {}
    for kind, scale in (("train", 0.6), ("test", 1.0)):
        data[f"{kind}_loss"] = scale * loss.transpose("alpha", "n", "lam")
        data[f"{kind}_loss_remainder"] = 0.015 * data[f"{kind}_loss"]
        data[f"{kind}_loss_limit"] = scale * limit.transpose("alpha", "lam").drop_vars("ell_alpha")
        data[f"{kind}_loss_init"] = 0.5 + 0 * cube["lam"] + 0 * n
    k = cube["rank"]
    spike = 0.8 * np.exp(k * (alpha - (k - 1) / (2 * k)) * np.log(n))
    data["singular_value"] = spike.where(spike > 1.6).transpose("alpha", "n", "rank")
    data["bulk_edge"] = xr.full_like(alpha * n, 1.57)
    data["best_linear_loss"] = xr.DataArray(0.75)
    return xr.Dataset(data)


def study_of(**changes: Any) -> Study:
    """A small study with a histogram; `changes` go into [axes] or [measure]."""
    axes: dict[str, Any] = {
        "alpha": [0.0, 0.1, 0.2, 0.25, 0.29, 0.33, 0.36, 0.4, 0.45],
        "n": [250, 500, 1000],
        "seed": 4,
        "lam": {"start": 1e-2, "stop": 10.0, "num": 7, "spacing": "log"},
    }
    measure: dict[str, Any] = {"rank": 4, "degree": 3, "ell": 3, "spectrum_bins": 30}
    for name, value in changes.items():
        (measure if name in measure else axes)[name] = value
    return Study(title="Made-up numbers", axes=axes, measure=measure)
