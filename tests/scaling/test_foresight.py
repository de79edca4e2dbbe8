"""What a fit says of a law that bends or does not foretell the next size, and how often it says so without cause."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import spikecube as sc
from spikecube.scaling.results import STATUS

from ..levels import assert_level

SIZES = 2.0 ** np.arange(3, 9)
N = xr.DataArray(SIZES, dims="n", coords={"n": SIZES})
DOUBTED = STATUS["doubted"]


def noisy(clean: xr.DataArray, noise: float, sets: int, seed: int, *seeds: int) -> xr.DataArray:
    draws = np.random.default_rng(seed).standard_normal((sets, len(SIZES), *seeds))
    return (1 + noise * xr.DataArray(draws, dims=("set", "n", "seed")[: 2 + len(seeds)])) * clean


def by_hand(y: np.ndarray, stderr: np.ndarray | None, k: int) -> tuple[float, float]:
    """The roll-out of a power law to size k, by normal equations on logarithms."""
    x = np.stack([np.ones(k), np.log(SIZES[:k])], axis=1)
    new, logs = np.array([1.0, np.log(SIZES[k])]), np.log(y) + (0.0 if stderr is None else stderr**2 / y**2 / 2)
    weights = np.ones(k) if stderr is None else (y / stderr)[:k] ** 2
    inverse = np.linalg.inv((x.T * weights) @ x)
    theta = inverse @ (x.T * weights) @ logs[:k]
    variance = new @ inverse @ new
    if stderr is None:
        left = logs[:k] - x @ theta
        error = np.sqrt((left @ left) / (k - 2) * (1 + variance))
    else:
        error = np.sqrt((stderr[k] / y[k]) ** 2 + variance)
    return float(np.exp(new @ theta)), float(np.exp(new @ theta) * error)


@pytest.mark.parametrize("known", [True, False])
def test_the_roll_out_is_the_prediction_of_the_fit_to_smaller_sizes(known: bool) -> None:
    y = noisy(3 * N**0.7, 0.02, 1, 1)[0]
    stderr = 0.02 * 3 * N**0.7 if known else None
    fit = sc.fit_law(1e30 * y, "power", stderr=None if stderr is None else 1e30 * stderr)
    for k in (3, 5):
        expected = by_hand(y.values, None if stderr is None else stderr.values, k)
        np.testing.assert_allclose(fit.rollout[k] / 1e30, expected[0], rtol=1e-9)
        np.testing.assert_allclose(fit.rollout_stderr[k] / 1e30, expected[1], rtol=1e-9)
    assert fit.rollout_z.isnull().values.tolist() == [True, True, True, False, False, False]
    smaller = sc.fit_law(y[:5], "power", stderr=None if stderr is None else stderr[:5])
    log_c, b = smaller.estimate.values
    np.testing.assert_allclose(fit.rollout[5] / 1e30, np.exp(log_c) * SIZES[5] ** b, rtol=1e-9)


def test_a_size_that_was_not_measured_is_neither_foretold_nor_used() -> None:
    y = noisy(3 * N**0.7, 0.02, 1, 1)[0]
    gap = sc.fit_law(y.where(N != 64), "power", stderr=0.1)
    rest = sc.fit_law(y[N != 64], "power", stderr=0.1)
    assert np.isnan(gap.rollout[3])
    np.testing.assert_allclose(gap.rollout.dropna("n"), rest.rollout.dropna("n"))
    np.testing.assert_allclose(gap.bend_pvalue, rest.bend_pvalue)


def test_the_bend_is_the_slope_of_local_exponents_in_1_over_n() -> None:
    """D of C n^b (1 + D/n) to first order, from data without noise; a law with the term has none."""
    fit = sc.fit_law(3 * N**0.7 * (1 + 1e-4 / N), "power", stderr=1e-3)
    assert float(fit.bend) == pytest.approx(1e-4, rel=1e-3)
    fit = sc.fit_law(2 + 3 * N**-0.5 * (1 + 1e-5 / N), "offset", stderr=1e-3)
    assert float(fit.bend) == pytest.approx(1e-5, rel=1e-3)
    fit = sc.fit_law(1e9 * (2 + 3 * np.log(N) * (1 + 1e-5 / N)), "log", stderr=1e-3)
    assert float(fit.bend) == pytest.approx(1e-5, rel=1e-3)
    assert np.isnan(sc.fit_power_law(3 * N**0.7 * (1 + 1 / N), correction=1.0, stderr=1e-3).bend)


def test_a_law_that_bends_is_doubted_with_and_without_errors() -> None:
    bent = 3 * N**0.3 * (1 + 0.5 / N)
    data = noisy(bent, 0.002, 40, 2)
    without = sc.fit_law(data, "power")
    assert (without.status == DOUBTED).mean() > 0.8
    assert "no errors were given" in str(without.message[0].item())
    assert "bend away from the law as a term of order 1/n" in str(without.message[0].item())
    known = sc.fit_law(noisy(bent, 0.008, 200, 3), "power", stderr=0.008 * bent)
    let_pass = known.gof_pvalue >= 0.01
    assert 0.2 < let_pass.mean() < 0.9
    assert (known.status == DOUBTED)[let_pass].mean() > 0.3
    doubted = known.where(known.status == DOUBTED, drop=True)
    assert all(str(m).startswith("The law is not rejected. ") for m in doubted.message.values)


def test_a_law_that_breaks_at_the_last_size_does_not_foretell_it() -> None:
    data = noisy(3 * N**0.3, 0.01, 1, 4)[0] * xr.where(SIZES[-1] == N, 1.1, 1.0)
    fit = sc.fit_law(data, "power", stderr=0.01 * data)
    assert fit.rollout_z[-1] > 3
    assert "The smaller sizes foretell n = 256 wrongly" in str(fit.message.item())


@pytest.mark.slow
@pytest.mark.parametrize("law", ["power", "log"])
@pytest.mark.parametrize("errors", ["given", "none", "seeds"])
def test_false_alarms_are_one_in_a_hundred(law: str, errors: str) -> None:
    """The bend at 1 per cent; the last size, whose level is 0.27 per cent, below 0.6."""
    clean = 3 * N**0.3 if law == "power" else xr.full_like(N, 3.0)
    data = noisy(clean, 0.02, 2000, 5, *([5] if errors == "seeds" else []))
    fit = sc.fit_law(data + (np.log(N) if law == "log" else 0), law, stderr=0.02 * clean if errors == "given" else None)
    assert_level(fit.bend_pvalue < 0.01, 0.01, off=(0.001, 0.025))
    assert (abs(fit.rollout_z[:, -1]) > 3).mean() < 0.006
    assert (fit.status == DOUBTED).mean() < 0.02


def test_rounding_is_no_bend() -> None:
    for unit in (1e-200, 1.0, 1e200):
        fit = sc.fit_law(unit * N**0.5, "power")
        assert fit.status == STATUS["untested"]
        assert abs(fit.rollout_z).max() < 0.1
