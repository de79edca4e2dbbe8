"""The automatic smallest size: intervals that hold although the data chose it, and what they are made of."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from spikecube.scaling import fit_power_law

SIZES = np.geomspace(250, 4000, 6).round()


def noisy(rng, *, amplitude: float, copies: int, seeds: int = 20, noise: float = 0.1) -> xr.DataArray:
    """3 n^0.3 (1 + amplitude/n) with replicates; dims (copy, n, seed)."""
    clean = 3 * SIZES**0.3 * (1 + amplitude / SIZES)
    level = noise * clean * (SIZES / SIZES[0]) ** -0.25
    draws = clean[:, None] + level[:, None] * rng.standard_normal((copies, len(SIZES), seeds))
    return xr.DataArray(draws, dims=("copy", "n", "seed"), coords={"n": SIZES})


@pytest.mark.slow
@pytest.mark.parametrize("amplitude", [0.0, 60.0])
def test_intervals_hold_although_the_window_was_chosen(amplitude: float) -> None:
    """400 sets with and without a correction, within 3 standard errors; the window's own interval is the control."""
    fit = fit_power_law(noisy(np.random.default_rng(1), amplitude=amplitude, copies=400), n_min="auto", expected=0.3)
    one = fit.sel(param="exponent")
    error = np.sqrt(0.95 * 0.05 / 400)
    covered = ((one.ci_low <= 0.3) & (one.ci_high >= 0.3)).mean().item()
    own = ((one.window_low <= 0.3) & (one.window_high >= 0.3)).mean().item()
    assert abs(covered - 0.95) < 3 * error
    assert abs((one.pvalue < 0.05).mean().item() - (1 - covered)) <= 0.01
    assert own < 0.3 or amplitude == 0


def test_the_interval_is_that_of_the_law_with_a_correction() -> None:
    data = noisy(np.random.default_rng(2), amplitude=60.0, copies=20)
    auto = fit_power_law(data, n_min="auto").sel(param="exponent")
    right = fit_power_law(data, correction=1.0).sel(param="exponent")
    full = (auto.interval_n_min == SIZES[0]).values
    assert full.mean() > 0.8
    low, high = np.minimum(right.ci_low, auto.estimate), np.maximum(right.ci_high, auto.estimate)
    np.testing.assert_allclose(auto.ci_low[full], low[full])
    np.testing.assert_allclose(auto.ci_high[full], high[full])
    assert all("allows for a correction of order 1/n" in m for m in auto.message.values)
    given = fit_power_law(data.isel(copy=0), n_min=auto.n_min[0].item()).sel(param="exponent")
    np.testing.assert_allclose([given.ci_low, given.ci_high], [auto.window_low[0], auto.window_high[0]])
    assert "window_low" not in given


def test_a_law_with_a_correction_keeps_the_interval_of_its_window() -> None:
    fit = fit_power_law(noisy(np.random.default_rng(3), amplitude=60.0, copies=4), correction=1.0, n_min="auto")
    xr.testing.assert_equal(fit.ci_low.drop_vars("param"), fit.window_low.drop_vars("param"))
    assert (fit.interval_n_min == fit.n_min).all()


def test_too_few_sizes_for_a_correction_leave_the_interval_open() -> None:
    """Four sizes give a choice of windows, but one curve has data at three: no law can allow for it there."""
    data = noisy(np.random.default_rng(4), amplitude=0.0, copies=2).isel(n=slice(0, 4))
    data[1, 0] = np.nan
    fit = fit_power_law(data, n_min="auto").sel(param="exponent")
    assert np.isfinite(fit.ci_high[0] - fit.ci_low[0])
    assert np.isinf(fit.ci_low[1])
    assert np.isinf(fit.ci_high[1])
    assert "open" in fit.message[1].item()
    assert np.isnan(fit.interval_n_min[1])
