"""What theory says, as it is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from spikecube.means.spikes import detachment, study_of
from spikecube.pictures import predicted
from spikecube.pictures.catalogue import CATALOGUE, Scene
from spikecube.theory import bulk_density, conditional_density


@pytest.fixture(scope="module", autouse=True)
def bulk_points() -> None:
    """As many as in a report."""


def test_the_bulk_drawn_is_that_of_the_chosen_point(make: Callable[..., xr.Dataset]) -> None:
    """That of this alpha and n, to 1e-12, with the mass of all singular values; another point's is refused."""
    cube = make()
    alpha, n = float(cube.alpha[-1]), int(cube.n[-1])
    drawn = predicted.bulk(cube, alpha=alpha + 1e-12, n=n)
    model = study_of(cube).model
    np.testing.assert_allclose(drawn, conditional_density(model, n, alpha, drawn.x), rtol=1e-12)
    assert float(drawn.integrate("x")) == pytest.approx(1, abs=0.01)
    assert drawn.attrs["long_name"] == "predicted bulk of F"
    other = predicted.bulk(cube, alpha=float(cube.alpha[0]), n=n)
    assert np.abs(drawn.interp(x=other.x) - other).max() > 0.02


def test_where_theory_declines_f_the_bulk_of_f0_is_drawn_and_named(make: Callable[..., xr.Dataset]) -> None:
    cube = make(initial_output=["vanishing", "full"])
    drawn = predicted.bulk(cube, initial_output="full")
    model = study_of(cube).model_at(initial_output="full")
    np.testing.assert_allclose(drawn[:-1], bulk_density(model, drawn.x[:-1]), rtol=1e-12)
    assert drawn.attrs["long_name"] == "predicted bulk of F₀"
    assert predicted.bulk(cube, initial_output="vanishing").attrs["long_name"] == "predicted bulk of F"


def test_theory_without_any_outlier_is_no_lack_of_values(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    """NaN in a prediction means no outlier: no spike is ever counted, and the view is drawn all the same."""
    none = prediction.assign(singular_value=prediction["singular_value"] * np.nan)
    assert detachment(cube, none).isnull().all()
    assert detachment(cube, prediction).notnull().any()
    assert CATALOGUE["outliers"].draw(Scene(cube, none), None).note == ""
