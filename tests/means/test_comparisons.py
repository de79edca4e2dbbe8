"""The data of the views against known truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from spikecube.means import comparisons, places, spikes
from spikecube.means.comparisons import plain_means
from spikecube.means.places import Missing
from spikecube.pictures import curve_data


def test_mean_and_error_over_seeds() -> None:
    data = xr.DataArray(
        [[1.0, 2.0, 6.0], [4.0, np.nan, np.nan], [np.nan] * 3], dims=("n", "seed"), coords={"n": [1, 2, 3]}
    )
    mean = plain_means(data)
    np.testing.assert_allclose(mean["mean"], [3.0, 4.0, np.nan])
    np.testing.assert_allclose(mean["stderr"], [np.std([1, 2, 6], ddof=1) / np.sqrt(3), np.nan, np.nan])
    assert mean["seeds"].values.tolist() == [3, 1, 0]


def test_a_label_is_chosen_to_rounding_and_none_is_the_default(cube: xr.Dataset) -> None:
    spot = places.sliced(cube["test_loss"], alpha=0.29 + 1e-12, n=None, lam=None)
    assert (float(spot.alpha), int(spot.n), float(spot.lam)) == (0.29, 1000, pytest.approx(10**-0.5))


def test_the_histogram_integrates_to_the_share_in_its_bins(cube: xr.Dataset) -> None:
    data = spikes.histogram(cube, alpha=0.2, n=500)
    area = float((data["density"] * (data["upper"] - data["lower"])).sum())
    assert area == pytest.approx(1.0)
    assert float(data["share"]) == pytest.approx(1.0)
    np.testing.assert_allclose(data["count"], cube["spectrum"].sel(alpha=0.2, n=500).mean("seed"))


def test_the_staircase_changes_at_the_thresholds() -> None:
    alpha = xr.DataArray([0.1, 0.2, 0.3, 0.35], dims="alpha", name="alpha")
    alpha = alpha.assign_coords(alpha=alpha.values)
    ell = xr.DataArray([1, 1, 2, 3], dims="alpha", coords={"alpha": alpha.values})
    limit = xr.DataArray([5.0, 5.0, 3.0, 2.0], dims="alpha", coords={"alpha": alpha.values})
    steps = curve_data.staircase(limit, ell, 0.0, 0.35)
    np.testing.assert_allclose(steps["start"], [0.0, 0.25, 1 / 3])
    np.testing.assert_allclose(steps["end"], [0.25, 1 / 3, 0.35])
    np.testing.assert_allclose(steps["value"], [5, 3, 2])


def test_z_scores_are_differences_in_standard_errors(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    z = comparisons.z_scores(cube, prediction, "test_loss").sel(alpha=0.29, n=500).isel(lam=2)
    values = cube["test_loss"].sel(alpha=0.29, n=500).isel(lam=2)
    expected = float(prediction["test_loss"].sel(alpha=0.29, n=500).isel(lam=2))
    assert float(z["z"]) == pytest.approx((values.mean() - expected) / (values.std(ddof=1) / 2))


def test_z_scores_use_the_alphas_that_both_have(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    fewer = prediction.sel(alpha=[0.2, 0.29])
    assert comparisons.z_scores(cube, fewer, "test_loss").alpha.values.tolist() == [0.2, 0.29]
    with pytest.raises(Missing, match="no alpha in common"):
        comparisons.z_scores(cube, prediction.assign_coords(alpha=prediction.alpha + 0.001), "test_loss")


def test_a_gap_keeps_its_sign() -> None:
    noise = np.array([1.0, -1.0, 0.5, -0.5])
    cube = xr.Dataset({"test_loss": (("n", "seed"), [2.0 + noise])}, coords={"n": [100], "seed": range(4)})
    gap = comparisons.gap_to_limit(cube, xr.Dataset({"test_loss_limit": 2.1}), kind="test")
    assert float(gap["mean"].squeeze()) == pytest.approx(-0.1)


def test_a_power_law_spike_collapses_to_its_slope() -> None:
    alpha, n, k = np.array([0.3, 0.4]), np.array([100, 1000]), 2
    value = 0.7 * n[None, :] ** (0.5 - k * (0.5 - alpha[:, None]))
    cube = xr.Dataset(
        {"singular_value": (("alpha", "n", "seed", "rank"), value[..., None, None])},
        coords={"alpha": alpha, "n": n, "seed": [0], "rank": [k]},
    )
    data = curve_data.spike_curves(cube, k=k, rank=k)
    slope, intercept = np.polyfit(data["x"].values.ravel(), np.log(data["mean"].values.ravel()), 1)
    assert slope == pytest.approx(k)
    assert np.exp(intercept) == pytest.approx(0.7)


def test_a_spike_lies_beyond_the_edge_and_points_along_its_monomial() -> None:
    """Half of the seeds or more; an outlier that points nowhere is no spike, a vector without an outlier neither."""
    alpha = [0.1, 0.2, 0.3]
    counts = xr.DataArray([[0, 0, 0, 1], [1, 1, 0, 0], [2, 1, 1, 1]], dims=("alpha", "seed"), coords={"alpha": alpha})
    cosine = xr.full_like(counts, 0.9, dtype=float).expand_dims(degree=[1])
    cube = xr.Dataset({"outlier_count": counts, "alignment": cosine}, coords={"n": 25})

    def often(share: xr.DataArray) -> list[float]:
        found: list[float] = share["alpha"].values[share.values >= 0.5].tolist()
        return found

    assert often(spikes.outlier_share(cube, 1)) == [0.2, 0.3]
    assert often(spikes.outlier_share(cube, 2)) == []
    assert often(spikes.spike_share(cube, 1, 1)) == [0.2, 0.3]
    astray = cube.assign(alignment=cosine.where(cosine.alpha > 0.2, 0.1))
    assert often(spikes.spike_share(astray, 1, 1)) == [0.3]
    unknown = spikes.spike_share(cube.assign(alignment=cosine.where(cosine.alpha > 0.2)), 1, 1)
    assert np.isnan(unknown.sel(alpha=[0.1, 0.2])).all()
    assert unknown.sel(alpha=0.3) == 1


def test_what_is_missing_is_named(cube: xr.Dataset) -> None:
    with pytest.raises(Missing, match="spectrum_bins"):
        spikes.histogram(cube.drop_vars("spectrum"))
    with pytest.raises(Missing, match="no nothing"):
        places.variable(cube, "nothing")
    with pytest.raises(places.LabelError, match="activation has relu, tanh"):
        places.chosen(xr.Dataset(coords={"activation": ["relu", "tanh"]}), "activation", "erf")


def test_z_scores_use_control_variates_where_they_are(make: Callable[..., xr.Dataset]) -> None:
    rng = np.random.default_rng(3)
    cube = make(alpha=[0.3], n=[500], lam=[0.1], seed=24)
    power = 1 + 0.1 * rng.standard_normal((1, 24))
    cube["readout_power"] = (("n", "seed"), power)
    loss = 2.0 + (power - 1) + 0.001 * rng.standard_normal(power.shape)
    cube["test_loss"] = (("alpha", "n", "seed", "lam"), loss[None, :, :, None])
    prediction = xr.Dataset(
        {"test_loss": (("alpha", "n", "lam"), [[[2.0]]])}, coords={"alpha": [0.3], "n": [500], "lam": [0.1]}
    )
    scores = comparisons.z_scores(cube, prediction, "test_loss")
    assert float(scores["stderr"].squeeze()) < 0.001
    assert abs(float(scores["z"].squeeze())) < 3
    assert scores.attrs["seeds_worth"] > 1000
    plain = comparisons.z_scores(cube.drop_vars("readout_power"), prediction, "test_loss")
    assert float(plain["stderr"].squeeze()) > 0.01
    assert np.isnan(plain.attrs["seeds_worth"])


def test_draws_are_held_against_their_own_predictions(make: Callable[..., xr.Dataset]) -> None:
    """What draws differ by falls out where theory knows it; negative control: a prediction of a typical draw keeps it.

    30 seeds that differ by 0.2 each, noise of 0.01, theory too low by 0.005: z = 0.005/(0.01/sqrt(30)) = 2.7.
    """
    rng = np.random.default_rng(5)
    cube = make(alpha=[0.3, 0.4], n=[500], lam=[0.1], seed=30)
    own = ("alpha", "n", "seed", "lam"), 1.0 + 0.2 * rng.standard_normal((2, 1, 30, 1))
    noise = 0.01 * rng.standard_normal((2, 1, 30, 1))
    cube["test_loss"] = (own[0], own[1] + noise - noise.mean(axis=2, keepdims=True) + 0.005)
    given = xr.Dataset({"test_loss": own}, coords={name: cube[name] for name in own[0]})
    scores = comparisons.z_scores(cube.drop_vars("readout_power", errors="ignore"), given, "test_loss")
    np.testing.assert_allclose(scores["mean"] - scores["predicted"], 0.005, rtol=1e-6)
    assert float(scores["stderr"].max()) < 0.003
    assert scores.attrs["given"] == 1
    typical = comparisons.z_scores(cube, comparisons.typical(given), "test_loss")
    assert float(typical["stderr"].min()) > 0.02
    assert typical.attrs["given"] == 0
    with pytest.raises(Missing, match="no draw in common"):
        comparisons.z_scores(cube, given.assign_coords(seed=given.seed + 100), "test_loss")
