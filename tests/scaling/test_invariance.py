"""Fits of cubes do not depend on the order of labels or dims, nor losses on their unit."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

import spikecube as sc

FITS: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "outliers": lambda cube: sc.fit_outliers(cube, prediction=False),
    "limits": lambda cube: sc.fit_limits(cube, prediction=False),
    "gaps": lambda cube: sc.fit_gaps(cube, prediction=False),
    "thresholds": sc.fit_thresholds,
}
CHANGES: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "turned and shuffled": lambda cube: cube.isel(
        n=slice(None, None, -1), alpha=[3, 0, 2, 1], lam=slice(None, None, -1)
    ).transpose("seed", "lam", "n", "alpha", ...),
    "integer sizes as floats": lambda cube: cube.assign_coords(n=("n", cube.n.values.astype(float), cube.n.attrs)),
}
Once = Callable[[str], xr.Dataset]
PARTS = ("estimate", "stderr", "ci_low", "ci_high", "status")


@pytest.fixture(scope="module")
def part(cube: xr.Dataset) -> xr.Dataset:
    """Four steps: with one spike and with two."""
    return cube.isel(alpha=[1, 3, 5, 6])


@pytest.fixture(scope="module")
def fitted(part: xr.Dataset) -> Once:
    """The fit of the cube as it is, made once a law."""
    return functools.cache(lambda law: FITS[law](part))


@pytest.mark.parametrize("law", FITS)
@pytest.mark.parametrize("change", CHANGES)
def test_order_and_type_of_labels_do_not_matter(part: xr.Dataset, fitted: Once, law: str, change: str) -> None:
    once, again = fitted(law), FITS[law](CHANGES[change](part))
    for name in PARTS:
        same = again[name].reindex_like(once[name]).transpose(*once[name].dims)
        np.testing.assert_allclose(same.values.astype(float), once[name].values.astype(float), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_limits_scale_with_the_unit_of_the_losses(part: xr.Dataset, fitted: Once, factor: float) -> None:
    losses = [name for name in part if "loss" in str(name)]
    scaled = part.assign({name: part[name] * factor for name in losses})
    once, again = fitted("limits"), FITS["limits"](scaled)
    for name in ("estimate", "stderr", "ci_low", "ci_high"):
        np.testing.assert_allclose(again[name].values, factor * once[name].values, rtol=1e-6)
    np.testing.assert_array_equal(again.status, once.status)


def test_exponents_of_gaps_do_not_know_the_unit_of_the_losses(part: xr.Dataset, fitted: Once) -> None:
    losses = [name for name in part if "loss" in str(name)]
    scaled = part.assign({name: part[name] * 1e6 for name in losses})
    once, again = (fit.sel(param="exponent") for fit in (fitted("gaps"), FITS["gaps"](scaled)))
    np.testing.assert_allclose(again.estimate.values, once.estimate.values, rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(again.status, once.status)
