"""A cube whose truth is known: outliers, losses and counts follow their laws, up to noise shared along alpha."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import xarray as xr

from spikecube.cube.assemble import empty_cube
from spikecube.means.controls import control_expectations
from spikecube.study.study import Study

STUDY = """
[model]
activation = "relu"
target = [0.0, 1.0, 0.5]
noise = 0.5
dim_ratio = 0.5
target_direction = "sphere"

[axes]
alpha = [0.05, 0.1, 0.15, 0.3, 0.36, 0.4, 0.44]
n = [250, 500, 1000, 2000, 4000]
seed = 20
lam = [0.1, 1.0]

[measure]
rank = 4
degree = 3
ell = 3
"""


@functools.cache
def _empty() -> tuple[xr.Dataset, list[dict[str, float]]]:
    """The cube of the study without a value, and the expectations of its controls at each size."""
    study = Study.from_toml(STUDY)
    return empty_cube(study), [control_expectations(study.model, n) for n in study.axes.n]


def synthetic_cube(*, noise: float = 0.03, drift: float = 0.0, entropy: int = 1, losses: bool = True) -> xr.Dataset:
    """A cube of pure laws.

    Outlier k: n^{1/2 - k(1/2 - alpha) + drift}; losses of F_ell: 0.5 + n^{-(1 - ell(1 - 2 alpha))}, of F: that plus
    0.3 n^{-((ell + 1)(1 - 2 alpha) - 1)}. Draws are shared along alpha but for a tenth of their
    variance; half of it is that of beta_power.
    """
    empty, exact = _empty()
    cube = empty.copy(deep=True)
    rng = np.random.default_rng(entropy)
    n = xr.DataArray(cube.n.values.astype(float), dims="n", coords={"n": cube.n})
    draws = {k: xr.DataArray(rng.standard_normal((5, 20)), dims=("n", "seed")) for k in ("power", "rest", "own")}
    for name in ("beta_power", "label_power", "test_label_power", "readout_power"):
        centre = xr.DataArray([e[name] for e in exact], dims="n", coords={"n": cube.n})
        own = draws["power"] if name == "beta_power" else xr.DataArray(rng.standard_normal((5, 20)), dims=("n", "seed"))
        cube[name] = centre * (1 + noise * own)
    signal = xr.DataArray([e["beta_signal"] for e in exact], dims="n", coords={"n": cube.n})
    cube["beta_alignment"] = signal * (1 + noise * draws["own"]) / cube["beta_power"]
    apart = xr.DataArray(rng.standard_normal((7, 5, 20)), dims=("alpha", "n", "seed"))
    factor = 1 + noise * (np.sqrt(0.5) * draws["power"] + np.sqrt(0.4) * draws["rest"] + np.sqrt(0.1) * apart)
    cube["singular_value"] = xr.concat(
        [n ** (0.5 - k * (0.5 - cube.alpha) + drift) * factor for k in (1, 2, 3, 4)], dim=cube["rank"]
    ).transpose("alpha", "n", "seed", "rank")
    cube["outlier_count"] = xr.where(cube.alpha > 0.25, 2.0, 1.0).broadcast_like(cube["outlier_count"])
    cube["detection_edge"] = (("alpha", "n"), np.full((7, 5), 1.5))
    cube["alignment"] = xr.full_like(cube["alignment"], 0.97)
    return _add_losses(cube, n, factor, rng, noise) if losses else cube


def _add_losses(cube: xr.Dataset, n: xr.DataArray, factor: xr.DataArray, rng, noise: float) -> xr.Dataset:
    ell = np.minimum(cube.ell_alpha, 3)
    strength = 0.5 * factor + n ** -(1 - ell * (1 - 2 * cube.alpha))
    missing = 0.3 * n ** -((ell + 1) * (1 - 2 * cube.alpha) - 1)
    gap_noise = xr.DataArray(rng.standard_normal((7, 5, 20)), dims=("alpha", "n", "seed"))
    for loss in ("train_loss", "test_loss"):
        cube[f"{loss}_spiked"] = strength.broadcast_like(cube[f"{loss}_spiked"]).transpose(*cube[f"{loss}_spiked"].dims)
        full = strength + missing + noise * 0.05 * gap_noise
        cube[loss] = full.broadcast_like(cube[loss]).transpose(*cube[loss].dims)
    return cube


@pytest.fixture(scope="session")
def cube() -> xr.Dataset:
    return synthetic_cube()


@pytest.fixture(scope="session")
def prediction(cube: xr.Dataset) -> xr.Dataset:
    """The exact outliers and limits of the synthetic cube."""
    n = xr.DataArray(cube.n.values.astype(float), dims="n", coords={"n": cube.n})
    outliers = xr.concat([n ** (0.5 - k * (0.5 - cube.alpha)) for k in (1, 2, 3, 4)], dim=cube["rank"])
    limit = xr.full_like(cube["train_loss"].isel(n=0, seed=0, drop=True), 0.5)
    return xr.Dataset({"singular_value": outliers, "train_loss_limit": limit, "test_loss_limit": limit})
