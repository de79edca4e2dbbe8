"""Windows and smallest sizes: all of them in the result, and intervals that allow for a choice among them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from spikecube.scaling import collapse
from spikecube.scaling.collapse_scan import Choice, Scan, hull

SIZES, X = np.array([16.0, 32.0, 64.0, 128.0, 256.0]), np.linspace(-0.08, 0.12, 21)
TRUTH = [0.01, 4 / 3, -0.1]
NOISE = 0.005


def data(correction: float = 0.0, seed: int = 1) -> xr.DataArray:
    """n^-0.075 (1 - tanh(u/2) + correction (16/n)^2 e^{-u^2/8}) with noise."""
    u = (X - 0.01) * SIZES[:, None] ** 0.75
    y = 1 - np.tanh(u / 2) + correction * (16 / SIZES[:, None]) ** 2 * np.exp(-(u**2) / 8)
    noise = NOISE * np.random.default_rng(seed).standard_normal(y.shape)
    return xr.DataArray(SIZES[:, None] ** -0.075 * y + noise, dims=("n", "x"), coords={"n": SIZES, "x": X})


@pytest.fixture(scope="module")
def auto() -> xr.Dataset:
    return collapse(data(), control="x", stderr=xr.DataArray(NOISE), window="auto")


def covers(fit: xr.Dataset) -> bool:
    return bool(((fit.ci_low <= TRUTH) & (fit.ci_high >= TRUTH)).all())


def test_the_whole_scan_is_in_the_result(auto: xr.Dataset) -> None:
    """Three windows times three smallest sizes; each row is what that choice would say by itself."""
    assert auto.scan_estimate.dims == ("scan_window", "scan_n_min", "param")
    assert auto.scan_nobs.shape == (3, 3)
    np.testing.assert_array_equal(auto.scan_n_min, SIZES[:3])
    own = auto.isel(scan_window=0, scan_n_min=1)
    given = collapse(data().sel(n=SIZES[1:]), control="x", stderr=xr.DataArray(NOISE))
    assert (np.abs(own.scan_estimate - given.estimate) < 0.02 * given.stderr).all()
    np.testing.assert_allclose(own.scan_stderr, given.stderr, rtol=0.02)
    np.testing.assert_allclose(own.scan_chi2, given.chi2, rtol=1e-3)
    assert all("long_name" in v.attrs for v in auto.data_vars.values())


def test_good_data_are_used_whole_and_the_interval_is_the_hull(auto: xr.Dataset) -> None:
    assert auto.nobs == data().size
    assert auto.status == 0
    admitted = auto.scan_admitted
    assert admitted[0, 0]
    np.testing.assert_array_equal(auto.ci_low, auto.scan_ci_low.where(admitted).min(("scan_window", "scan_n_min")))
    np.testing.assert_array_equal(auto.ci_high, auto.scan_ci_high.where(admitted).max(("scan_window", "scan_n_min")))
    assert (auto.ci_low <= auto.window_low).all()
    assert (auto.ci_high >= auto.window_high).all()
    plain = collapse(data(), control="x", stderr=xr.DataArray(NOISE))
    assert (np.abs(auto.window_low - plain.ci_low) < 0.02 * plain.stderr).all()
    nu = auto.sel(param="nu")
    np.testing.assert_allclose(1 / auto.derived_high.sel(derived="1/nu"), nu.ci_low)
    assert covers(auto)


def test_corrections_of_small_sizes_are_left_out_and_said() -> None:
    """They move the plain answer by many of its errors; the choice has none of the smallest size, and says why."""
    values = data(correction=0.1)
    plain = collapse(values, control="x", stderr=xr.DataArray(NOISE))
    assert not covers(plain)
    fit = collapse(values, control="x", stderr=xr.DataArray(NOISE), window="auto")
    assert fit.n_min > 16
    assert not fit.scan_admitted[:, 0].any()
    assert "Every choice of points with the smallest size is rejected" in fit.message.item()
    assert "The data chose |u| <=" in fit.message.item()
    assert fit.status != 0
    assert covers(fit)


def test_units_and_order_change_no_choice(auto: xr.Dataset) -> None:
    moved = (-1e7 * data()).assign_coords(x=1e-3 * X + 4, n=7 * SIZES).isel(n=[2, 0, 4, 1, 3], x=slice(None, None, -1))
    fit = collapse(moved, control="x", stderr=xr.DataArray(1e7 * NOISE), window="auto")
    np.testing.assert_array_equal(fit.scan_admitted, auto.scan_admitted)
    unit, shift = np.array([1e-3, 1, 1]), np.array([4, 0, 0])
    for name in ("ci_low", "ci_high", "estimate"):
        off = (fit[name].values - shift) / unit - auto[name].values
        assert (np.abs(off) < 1e-5 * auto.stderr.values).all()


def test_without_errors_it_works_too() -> None:
    fit = collapse(data(), control="x", window="auto")
    assert fit.scan_gof_pvalue.isnull().all()
    assert fit.scan_pattern_pvalue.notnull().any()
    assert covers(fit)


def test_three_sizes_have_windows_alone() -> None:
    small = collapse(data()[2:], control="x", stderr=xr.DataArray(NOISE), window="auto")
    assert small.scan_nobs.shape == (3, 1)
    assert np.isnan(collapse(data()[2:, ::3], control="x", window="auto").estimate).all()


def test_a_value_between_choices_is_not_rejected() -> None:
    """Two choices with narrow intervals apart: a value between them is inside the hull, with a p-value of 1."""

    def choice(estimate: float, pvalue: float) -> Choice:
        table = {name: np.array([v]) for name, v in (("estimate", estimate), ("ci_low", estimate - 0.1))}
        table |= {"ci_high": np.array([estimate + 0.1]), "pvalue": np.array([pvalue]), "expected": np.array([0.5])}
        nothing = np.zeros(1)
        return Choice(nothing, nothing, True, np.eye(1), table, [], {})

    choices: dict[tuple[int, int], Choice | None] = {(0, 0): choice(0.0, 1e-9), (1, 0): choice(1.0, 1e-9)}
    found = hull(Scan(np.ones(2), np.ones(1), choices, (1, 0), [(0, 0), (1, 0)]))
    assert (found["ci_low"], found["ci_high"], found["pvalue"]) == (pytest.approx(-0.1), pytest.approx(1.1), 1.0)
    alone = hull(Scan(np.ones(2), np.ones(1), choices, (1, 0), [(1, 0)]))
    assert alone["pvalue"] == 1e-9
