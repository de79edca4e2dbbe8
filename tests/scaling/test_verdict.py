"""What the status and the sentence of a fit say: rejected, untested, too good, open, and of which law."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from spikecube.scaling import fit_power_law
from spikecube.scaling.results import SENTENCES, SOLVED, STATUS
from spikecube.scaling.verdict import verdict

L = np.array([8.0, 16, 32, 64, 128, 256])


def da(y: np.ndarray, sizes: np.ndarray = L) -> xr.DataArray:
    return xr.DataArray(y, dims="n", coords={"n": sizes})


def name(fit: xr.Dataset) -> str:
    return next(k for k, v in STATUS.items() if v == int(fit.status))


def test_a_rejected_law_says_so() -> None:
    """Issued once as "converged and every interval is closed" at p = 1e-48."""
    fit = fit_power_law(da(L**-0.1 * (1 + 1 / L)), stderr=0.002)
    assert fit.gof_pvalue.item() == pytest.approx(1.3e-48, rel=0.1)
    assert name(fit) == "rejected"
    assert "rejected (p = 1e-48)" in fit.message.item()
    assert "every interval is closed" not in fit.message.item()
    worse = fit_power_law(da(L**-0.1 * (1 + 1 / L)), stderr=2e-5)
    assert "rejected (p < 1e-300)" in worse.message.item()


def test_a_fit_without_errors_says_what_its_interval_rests_on() -> None:
    bent = fit_power_law(da(L**-0.1 * (1 + 1 / L)))
    straight = fit_power_law(da(L**-0.1 * np.array([1.01, 1, 0.99, 1.01, 1, 0.99])))
    assert (name(bent), name(straight)) == ("doubted", "untested")
    for fit in (bent, straight):
        assert "no errors were given" in fit.message.item()
        assert "scatter of the points about the law" in fit.message.item()


def test_seeds_without_spread_test_nothing() -> None:
    fit = fit_power_law(da(L**0.5).expand_dims(seed=4, axis=1))
    assert name(fit) == "untested"
    assert "the seeds do not scatter" in fit.message.item()


def test_a_fit_that_is_too_good_says_so() -> None:
    rng = np.random.default_rng(1)
    sizes = np.geomspace(8, 1024, 12)
    y = sizes**0.3 * (1 + 0.001 * rng.standard_normal(12))
    fit = fit_power_law(da(y, sizes), stderr=0.03 * da(y, sizes))
    assert fit.gof_pvalue > 0.9999
    assert name(fit) == "too_good"
    assert "the errors are too large, or points share theirs" in fit.message.item()
    honest = fit_power_law(da(y, sizes), stderr=0.001 * da(y, sizes))
    assert name(honest) == "ok"
    assert honest.message.item() == SENTENCES["ok"]
    few = fit_power_law(da(y[:4], sizes[:4]), stderr=0.03 * da(y[:4], sizes[:4]))
    assert name(few) == "ok"


def test_the_levels_hold() -> None:
    """2,000 sets with right errors: 1 per cent rejected within 3 standard errors, next to none too good."""
    rng, sizes = np.random.default_rng(2), np.geomspace(8, 1024, 8)
    noise = 1 + 0.01 * rng.standard_normal((2000, 8))
    data = xr.DataArray(sizes**0.3 * noise, dims=("k", "n"), coords={"n": sizes})
    fit = fit_power_law(data, stderr=xr.DataArray(0.01 * sizes**0.3, dims="n", coords={"n": sizes}))
    rejected, too_good = ((fit.status == STATUS[k]).mean().item() for k in ("rejected", "too_good"))
    assert abs(rejected - 0.01) < 3 * np.sqrt(0.01 * 0.99 / 2000)
    assert too_good < 0.002


def test_an_open_interval_stays_open_and_says_what_else() -> None:
    assert verdict("open_interval", 0.5, 9.0, "given") == ("open_interval", SENTENCES["open_interval"])
    status, sentence = verdict("open_interval", 1e-9, 9.0, "given")
    assert status == "open_interval"
    assert sentence.startswith(SENTENCES["open_interval"])
    assert "rejected (p = 1e-09)" in sentence
    assert verdict("too_few_sizes", np.nan, np.nan, "none") == ("too_few_sizes", SENTENCES["too_few_sizes"])


def test_every_status_has_a_code_a_sentence_and_a_meaning() -> None:
    fit = fit_power_law(da(L))
    assert fit.status.attrs["flag_meanings"].split() == list(STATUS)
    assert fit.status.attrs["flag_values"].tolist() == list(STATUS.values())
    assert set(SENTENCES) == set(STATUS)
    assert set(SOLVED) < set(STATUS)
    assert list(STATUS.values()) == list(range(len(STATUS)))


def test_estimate_and_interval_are_of_one_law() -> None:
    """y = n^(43/24) (1 + c/n), as percolation has it: estimates of the window stood beside intervals of another law."""
    rng = np.random.default_rng(3)
    sizes = 2.0 ** np.arange(4, 12)
    clean = sizes ** (43 / 24) * (1 + 0.6 / sizes)
    data = xr.DataArray(
        clean[:, None] * (1 + 0.01 * rng.standard_normal((60, 8, 12))), dims=("k", "n", "seed"), coords={"n": sizes}
    )
    auto = fit_power_law(data, n_min="auto", rng=4)
    one = auto.sel(param="exponent")
    right = fit_power_law(data, correction=1.0).sel(param="exponent")
    assert ((auto.ci_low <= auto.estimate) & (auto.estimate <= auto.ci_high)).all()
    full = (one.interval_n_min == sizes[0]).values
    assert full.mean() > 0.8
    for part in ("estimate", "stderr", "ci_low", "ci_high"):
        np.testing.assert_array_equal(one[part][full], right[part][full])
    np.testing.assert_allclose(one.bootstrap_stderr, one.stderr, rtol=0.2)
    given = fit_power_law(data.isel(k=0), n_min=auto.n_min[0].item()).sel(param="exponent")
    np.testing.assert_allclose(one.window_estimate[0], given.estimate)
    assert abs((one.window_estimate - 43 / 24).mean()) > 3 * abs((one.estimate - 43 / 24).mean())
    assert all("estimate and interval are those of the law with it" in m for m in auto.message.values)
