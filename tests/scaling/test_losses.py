"""Limits and signed gaps on a cube of known laws."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from spikecube.scaling import fit_gaps, fit_limits
from spikecube.scaling.labelled_fits import fit_sample
from spikecube.scaling.laws import LIMIT
from spikecube.scaling.samples import from_data
from tests.scaling.conftest import synthetic_cube


def test_limits_with_the_theorys_exponent(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    """At alpha = 0.3 and 0.36 the finite strength of the last spike decides alone, and the limit is 0.5."""
    fit = fit_limits(cube, prediction=prediction).sel(alpha=[0.3], lam=0.1)
    assert fit.theory_exponent.values.tolist() == pytest.approx([-0.2])
    assert (np.abs(fit.z.sel(param="limit")) < 4).all()
    assert (fit.expected.sel(param="limit") == 0.5).all()
    assert fit.loss.values.tolist() == ["train_loss", "test_loss"]


def test_where_no_exponent_is_known_there_is_a_sentence(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    fit = fit_limits(cube, prediction=prediction).sel(alpha=0.36, lam=0.1, loss="train_loss")
    assert np.isnan(fit.estimate).all()
    assert "does not apply" in fit.message.item()


def test_free_exponents_are_found_or_their_intervals_are_open(prediction: xr.Dataset) -> None:
    cube = synthetic_cube(noise=0.001).sel(alpha=[0.3], lam=[0.1])
    fit = fit_limits(cube, prediction=prediction, exponent="free").sel(lam=0.1, alpha=0.3)
    low, high = fit.ci_low.sel(param="exponent"), fit.ci_high.sel(param="exponent")
    assert ((low < -0.2) & (high > -0.2)).all()
    wild = fit_limits(synthetic_cube(noise=0.2).sel(lam=[0.1]), prediction=False, exponent="free")
    closed = np.isfinite(wild.ci_low).all("param") & np.isfinite(wild.ci_high).all("param")
    assert not (closed & (wild.status != 0)).any()
    assert (wild.status != 0).any()


@pytest.mark.parametrize(("exponent", "words"), [("some", "exponent='some'"), (0.5, "exponent=0.5 is not negative")])
def test_other_exponents_are_declined(cube: xr.Dataset, exponent: float | str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit_limits(cube, prediction=False, exponent=exponent)


def test_gaps_have_the_exponents_of_the_laws(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    fit = fit_gaps(cube, prediction=prediction)
    missing = fit.sel(gap="missing_spike", lam=0.1, param="exponent")
    shallow = missing.sel(alpha=[0.05, 0.1, 0.15])
    np.testing.assert_allclose(shallow.expected.isel(loss=0), [-0.8, -0.6, -0.4], atol=1e-12)
    assert (np.abs(shallow.z) < 4).all()
    assert np.isnan(missing.expected.sel(alpha=0.3)).all()
    strength = fit.sel(gap="finite_strength", lam=0.1, param="exponent", alpha=0.3)
    np.testing.assert_allclose(strength.expected, -0.2)
    assert (np.abs(strength.z) < 4).all()
    assert np.isnan(fit.estimate.sel(alpha=0.44)).all()


def test_negative_gaps_neither_bias_nor_crash() -> None:
    """The mean exponent over 12 cubes in which single gaps are often negative, within 4 standard errors."""
    exponents, negative = [], 0
    for entropy in range(12):
        cube = synthetic_cube(noise=0.1, entropy=entropy).sel(alpha=[0.1], lam=[0.1])
        negative += int(((cube.train_loss - cube.train_loss_spiked.sel(ell=1)) < 0).sum())
        fit = fit_gaps(cube, prediction=False)
        exponents.append(fit.estimate.sel(gap="missing_spike", loss="train_loss", param="exponent").item())
    assert negative > 100
    exponents = np.array(exponents)
    assert np.isfinite(exponents).all()
    assert abs(exponents.mean() + 0.6) < 4 * exponents.std(ddof=1) / np.sqrt(12)


def test_gaps_lost_in_noise_are_not_resolved() -> None:
    cube = synthetic_cube(noise=0.03)
    rng = np.random.default_rng(5)
    cube["train_loss"] = cube["train_loss_spiked"].sel(ell=1) + rng.standard_normal(cube["train_loss"].shape)
    fit = fit_gaps(cube.sel(alpha=[0.1], lam=[0.1]), prediction=False).sel(gap="missing_spike", loss="train_loss")
    assert "not resolved from zero" in fit.message.item()
    assert np.isnan(fit.stderr).all()


def test_a_slow_decay_leaves_the_limit_open() -> None:
    """Where b -> 0 fits as well as the best b, no lower end of the limit exists, and the result says so."""
    n = np.array([500.0, 700, 1000, 1400, 2000, 2800, 4000])
    data = xr.DataArray(0.5 + 3 * n**-0.5, dims="n", coords={"n": n})
    noise = 0.004 * np.random.default_rng(4).standard_normal(7)
    sample = from_data(data + noise, "n", xr.full_like(data, 0.004))
    fit = fit_sample(LIMIT, sample)
    assert fit.ci_low.sel(param="limit") == -np.inf
    assert fit.ci_high.sel(param="exponent") == np.inf
    assert "open on one side" in fit.message.item()
