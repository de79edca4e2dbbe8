"""Several observables with one critical point and one nu, each with its own zeta and curve."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from spikecube.scaling import collapse

SIZES, X = np.array([32.0, 64.0, 128.0, 256.0]), np.linspace(-0.1, 0.1, 16)
TRUTH = {"m": [0.0, 4 / 3, -0.125], "chi": [0.0, 4 / 3, 1.6]}


def plane(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("n", "x"), coords={"n": SIZES, "x": X})


def curves() -> dict[str, xr.DataArray]:
    n, u = SIZES[:, None], X * SIZES[:, None] ** 0.75
    return {"m": plane(n ** (-0.125 * 0.75) * (1 - np.tanh(u / 2))), "chi": plane(n**1.2 * np.exp(-(u**2) / 8))}


ERRORS = {"m": plane(np.full((4, 16), 0.005)), "chi": plane(0.005 * SIZES[:, None] ** 1.2 * np.ones(16))}


def noisy(seed: int = 3) -> dict[str, xr.DataArray]:
    rng = np.random.default_rng(seed)
    return {name: y + ERRORS[name] * rng.standard_normal(y.shape) for name, y in curves().items()}


@pytest.fixture(scope="module")
def joint() -> xr.Dataset:
    return collapse(noisy(), control="x", stderr=ERRORS)


def test_all_parameters_are_found_and_shared(joint: xr.Dataset) -> None:
    for name, truth in TRUTH.items():
        one = joint.sel(observable=name)
        assert (np.abs((one.estimate - truth) / one.stderr) < 3.5).all()
        assert one.status == 0
    assert (joint.estimate[0, :2] == joint.estimate[1, :2]).all()
    assert joint.joint_gof_pvalue[0] > 0.01
    np.testing.assert_allclose(joint.chi2.sum(), joint.joint_chi2[0])
    np.testing.assert_allclose(joint.dof.sum(), joint.joint_dof[0])
    for k in (0, 1):
        np.testing.assert_allclose(joint.joint_covariance[k, k], joint.covariance[k])


def test_it_knows_more_than_each_alone(joint: xr.Dataset) -> None:
    """Independent data: one over the variance of nu is at least the sum of those of its parts, less what is rounded."""
    alone = [collapse(noisy()[name], control="x", stderr=ERRORS[name]) for name in TRUTH]
    information = sum(fit.stderr.sel(param="nu").item() ** -2 for fit in alone)
    assert joint.stderr.sel(param="nu")[0].item() ** -2 == pytest.approx(information, rel=0.3)
    for fit, name in zip(alone, TRUTH, strict=True):
        np.testing.assert_allclose(joint.nobs.sel(observable=name), fit.nobs)


def test_units_of_each_change_nothing(joint: xr.Dataset) -> None:
    """Units of an observable, of the control and of the sizes, order of names and labels; a Dataset is a mapping."""
    data, errors = noisy(), dict(ERRORS)
    data["chi"], errors["chi"] = -1e-20 * data["chi"], 1e-20 * errors["chi"]
    moved = {
        name: y.isel(x=slice(None, None, -1)).assign_coords(x=3e5 * X[::-1] + 7, n=10 * SIZES)
        for name, y in data.items()
    }
    moved_errors = {name: e.assign_coords(x=3e5 * X + 7, n=10 * SIZES) for name, e in errors.items()}
    fit = collapse(xr.Dataset({k: moved[k] for k in ("chi", "m")}), control="x", stderr=xr.Dataset(moved_errors))
    fit = fit.sel(observable=["m", "chi"])
    unit, shift = np.array([3e5, 1, 1]), np.array([7, 0, 0])
    off = (fit.estimate.values - shift) / unit - joint.estimate.values
    assert (np.abs(off) < 1e-5 * joint.stderr.values).all()
    np.testing.assert_allclose(fit.stderr / unit, joint.stderr, rtol=1e-5)


def test_without_errors_each_weighs_by_its_scatter(joint: xr.Dataset) -> None:
    """Weights that follow the unit of one observable would give it all or nothing."""
    one = collapse(noisy(), control="x")
    other = collapse({"m": noisy()["m"], "chi": 1e9 * noisy()["chi"]}, control="x")
    assert (np.abs(other.estimate - one.estimate) < 1e-3 * one.stderr).all()
    np.testing.assert_allclose(other.chi2 / [1, 1e18], one.chi2, rtol=1e-4)
    assert (one.stderr / joint.stderr < 4).all()
    assert "No errors were given" in one.message[0].item()


def test_seeds_of_one_run_belong_together() -> None:
    """m and 2 m of the same seeds know no more than m."""
    rng = np.random.default_rng(5)
    shared = xr.DataArray(1 + 0.05 * rng.standard_normal((4, 8)), dims=("n", "seed"))
    own = xr.DataArray(0.02 * rng.standard_normal((4, 16, 8)), dims=("n", "x", "seed"))
    m = curves()["m"] * shared + own
    alone, twice = collapse(m, control="x"), collapse({"m": m, "double": 2 * m}, control="x")
    np.testing.assert_allclose(twice.stderr[0] / alone.stderr, 1.0, rtol=0.1)
    np.testing.assert_allclose(twice.joint_covariance[0, 1], twice.covariance[0], rtol=1e-6, atol=1e-12)


def test_one_that_does_not_collapse_is_named(joint: xr.Dataset) -> None:
    data = noisy()
    data["chi"] = data["chi"] * (1 + 0.1 * np.sin(data["chi"].n))
    fit = collapse(data, control="x", stderr=ERRORS)
    assert "do not collapse" in fit.message.sel(observable="chi").item()
    assert fit.gof_pvalue.sel(observable="chi") < 1e-6
    assert set(joint) == set(fit)


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (
            curves(),
            {"stderr": {"m": ERRORS["m"]}},
            "stderr of several observables must be a mapping with their names, m, chi",
        ),
        (curves(), {"stderr": 0.1}, "stderr of several observables must be a mapping"),
        (curves(), {"fixed": {"zeta": 0.0}}, "which has critical, nu, zeta_m, zeta_chi"),
        (curves(), {"shared": "n"}, "shared='n' takes one observable"),
        ({}, {}, "must name each observable by a word"),
        ({1: curves()["m"]}, {}, "must name each observable by a word"),
        ({"m": 3.0}, {}, r"data\['m'\] must be an xarray.DataArray"),
        ({"m": curves()["m"], "s": curves()["m"].expand_dims(seed=3)}, {}, "some observables have a dim 'seed'"),
    ],
)
def test_what_is_not_allowed_gets_a_sentence(data: object, options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        collapse(data, control="x", **options)
