"""The view of a design of seeds."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import spikecube as sc
from spikecube.pictures.views.designs import picture_of_design


@pytest.fixture(scope="module")
def made() -> xr.Dataset:
    n = np.array([250.0, 500.0, 1000.0, 2000.0, 4000.0])
    values = n[:, None] ** 0.5 * (1 + 0.1 * np.random.default_rng(1).standard_normal((5, 20)))
    return sc.design("exponent = 0.05; mean n=500 = 1", pilot=xr.DataArray(values, dims=("n", "seed"), coords={"n": n}))


def test_the_curves_are_those_of_the_design(made: xr.Dataset) -> None:
    """Half-widths fall with the cost; at the cost of the design they are the numbers that it names."""
    shown = picture_of_design(made)
    curves = {layer.label: layer.columns for layer in shown.layers}
    assert list(curves) == ["predicted, design", "predicted, equal money", "predicted, equal seeds", "asked for"]
    for name in ("design", "equal money"):
        assert (np.diff(curves[f"predicted, {name}"]["half_width"]) < 0).all()
    equal = curves["predicted, equal seeds"]
    at = np.interp(float(made.cost), equal["cost"], equal["half_width"])
    assert at == pytest.approx(float(made.half_width_equal_seeds[0]), rel=0.05)
    factor = (made.half_width_equal_seeds[0] / made.half_width[0]).item() ** 2
    assert f"equal seeds are {factor:.2g} times as expensive" in shown.title
    assert shown.xlabel == "cost of all seeds"


def test_any_target_can_be_shown_and_others_are_told(made: xr.Dataset) -> None:
    assert picture_of_design(made, 1).title.startswith("mean n=500 = 1")
    assert picture_of_design(made, 2).note == "There is no target 2: the design has 2, counted from 0."
    assert picture_of_design(xr.Dataset()).note == "This is no design: a result of spikecube.design is."
    assert len(sc.views.design(made)) == 4
