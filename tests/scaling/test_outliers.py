"""Outliers: exponents and their line in alpha on a cube of known laws, and the selection that protects them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from spikecube.cube.cuts import as_cube
from spikecube.scaling import fit_outliers
from spikecube.scaling.cube_theory import theory_of
from spikecube.scaling.labelled_fits import fit_sample
from spikecube.scaling.laws import POWER
from spikecube.scaling.outliers import exponent_line, line_test
from spikecube.scaling.samples import from_data
from spikecube.study.study import Study, study_from
from tests.scaling.conftest import synthetic_cube


@pytest.fixture(scope="module")
def fit(cube: xr.Dataset, prediction: xr.Dataset) -> xr.Dataset:
    return fit_outliers(cube, prediction=prediction)


def test_exponents_are_those_of_the_laws(fit: xr.Dataset) -> None:
    for estimator in fit.estimator.values:
        off = (fit.z.sel(estimator=estimator, param="exponent")).to_numpy()
        assert np.nanmax(np.abs(off)) < 4
    plain = fit.sel(estimator="plain", degree=1)
    assert plain.nobs.values.tolist() == [5.0] * 7
    np.testing.assert_allclose(plain.expected.sel(param="exponent"), fit.alpha, atol=1e-12)
    assert (plain.stderr.sel(param="exponent") < 0.005).all()
    assert np.isfinite(fit.estimate.sel(estimator="relative", degree=1)).sel(param="exponent").all()


def test_only_detached_and_aligned_spikes_enter(cube: xr.Dataset, fit: xr.Dataset) -> None:
    second = fit.sel(estimator="plain", degree=2)
    assert second.nobs.values.tolist() == [0, 0, 0, 5, 5, 5, 5]
    astray = cube.copy()
    astray["alignment"] = astray["alignment"].where(astray.n > 600, 0.1)
    chosen = fit_outliers(astray, prediction=False)
    assert chosen.nobs.sel(estimator="plain", degree=1).values.tolist() == [3.0] * 7
    assert not chosen.selected.sel(degree=1, n=500).any()
    assert "at least 95%" in chosen.attrs["selection"]
    rare = cube.copy()
    rare["outlier_count"] = rare["outlier_count"].where(rare.seed > 1, 0.0)
    assert "none meet what the fit asks of them" in str(fit_outliers(rare, prediction=False).message.values.ravel()[0])


def line_pvalue(entropy: int, drift: float = 0.0) -> float:
    cube = synthetic_cube(entropy=entropy, drift=drift, losses=False)
    spike = cube["singular_value"].sel(rank=[1]).rename(rank="degree")
    sample = from_data(spike.drop_vars("ell_alpha"))
    return exponent_line(fit_sample(POWER, sample), sample, [1]).line_pvalue.item()


def test_the_line_in_alpha_accepts_the_truth_and_rejects_another() -> None:
    """The joint test of intercept and slope: uniform over 60 cubes, tiny for exponents that are off by 0.02."""
    right = np.array([line_pvalue(entropy) for entropy in range(60)])
    assert stats.kstest(right, "uniform").pvalue > 0.01
    assert max(line_pvalue(entropy, drift=0.02) for entropy in range(3)) < 1e-3


def test_the_covariance_of_shared_draws_matters() -> None:
    """Equal rows of a covariance: the slope is known far better than independent errors would say, the level worse."""
    alpha = np.linspace(0, 0.4, 5)
    shared = 0.01 * np.ones((5, 5)) + 1e-6 * np.eye(5)
    expected = np.array([0.0, 1.0])
    line, error, pvalue = line_test(alpha, alpha + 0.05, shared, np.inf, expected)
    np.testing.assert_allclose(line, [0.05, 1.0], atol=1e-9)
    assert error[0] == pytest.approx(0.1, rel=0.01)
    assert error[1] < 0.01
    assert pvalue > 0.5
    _, _, tilted = line_test(alpha, 1.1 * alpha, shared, np.inf, expected)
    assert tilted < 1e-6


def test_control_variates_gain_and_say_so(cube: xr.Dataset, fit: xr.Dataset) -> None:
    """Half of the variance is that of beta_power, so 20 seeds are worth about 40 less what the coefficients cost."""
    plain = fit_outliers(cube.isel(alpha=[0, 5]), prediction=False, controls=False)
    worth = fit.seeds_worth.sel(estimator="plain", degree=1).mean().item()
    assert 25 < worth < 45
    assert plain.seeds_worth.sel(estimator="plain", degree=1).mean().item() == pytest.approx(20)


def test_an_axis_of_activations_is_declined(cube: xr.Dataset) -> None:
    other = cube.copy()
    other.attrs["study"] = cube.attrs["study"].replace("[axes]", '[axes]\nactivation = ["relu", "tanh"]')
    with pytest.raises(ValueError, match="axis 'activation'"):
        fit_outliers(other)
    with pytest.raises(ValueError, match="no attribute 'study'"):
        fit_outliers(cube.drop_attrs())


def test_one_activation_of_several_is_fitted_like_the_cube_of_its_own(cube: xr.Dataset) -> None:
    own = cube.isel(alpha=[6], rank=[0])
    text = own.attrs["study"].replace("[axes]", '[axes]\nactivation = ["tanh", "relu"]')
    chosen = own.assign_attrs(study=text).assign_coords(activation="relu")
    one, alone = fit_outliers(chosen, prediction=False), fit_outliers(own, prediction=False)
    assert one.degree.values.tolist() == alone.degree.values.tolist() == [1]
    xr.testing.assert_identical(one["estimate"].squeeze("activation", drop=True), alone["estimate"])
    assert theory_of(chosen.assign_coords(activation="tanh")).degrees == (1, 3)


def test_the_study_of_a_cube_is_read_once(cube: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    whole = Study.from_toml.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Study, "from_toml", classmethod(lambda cls, text: read.append(text) or whole(cls, text)))
    study_from.cache_clear()
    few = cube.isel(alpha=[6], rank=[0])
    fit_outliers(few)
    assert read == [cube.attrs["study"]]
    study_from.cache_clear()
    as_cube(few)
    assert len(read) == 2
