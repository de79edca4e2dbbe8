"""What theory says, as it is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from spikecube.means.spikes import detachment, study_of
from spikecube.pictures import predicted
from spikecube.pictures.catalogue import CATALOGUE, Scene
from spikecube.study.study import Study
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


def test_a_finer_study_is_the_one_that_its_text_describes() -> None:
    """It is made without a check of its own: its axes, one seed, and all else are as if it had been read."""
    axes = {"alpha": [0.1, 0.4], "n": [100, 200], "seed": {100: 3, 200: 1}, "lam": [0.1], "width_ratio": [0.5, 1.0]}
    study = Study(title="fine", model={"activation": [0, 1, 0.3]}, axes=axes, measure={"rank": 3})
    fine = predicted.fine_study(study)
    assert Study.from_toml(fine.to_toml()) == fine
    assert set(study.axes.alpha) < set(fine.axes.alpha)
    assert len(fine.axes.alpha) == predicted.MOST_ALPHAS
    assert [(cell.n, cell.seed) for cell in fine.cells()] == 2 * [(100, 0), (200, 0)]
    assert (fine.title, fine.model, fine.measure) == (study.title, study.model, study.measure)
