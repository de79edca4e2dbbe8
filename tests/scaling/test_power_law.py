"""Power laws: recovery, agreement with statsmodels, intervals, lack of fit, and every way in which a fit can fail."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
import xarray as xr
from scipy import stats
from statsmodels.stats.multitest import multipletests

from spikecube.scaling import fit_power_law
from spikecube.scaling.fit_scale import raw_scale, smooth_variance
from spikecube.scaling.laws import FREE_CORRECTION, LIMIT, POWER, corrected_power, known_limit
from spikecube.scaling.regression import weighted_least_squares
from spikecube.scaling.results import holm

SIZES = np.array([250.0, 500.0, 1000.0, 2000.0, 4000.0])
LAWS = {
    law.name + ("" if law.log or law.name.endswith("limit") else "_raw"): (law, theta)
    for law, theta in (
        (POWER, [1.0, 0.3]),
        (corrected_power(0.5), [1.0, 0.3, 4.0]),
        (FREE_CORRECTION, [1.0, 0.3, 4.0, 0.7]),
        (LIMIT, [0.4, 3.0, -0.6]),
        (known_limit(-0.5), [0.4, 3.0]),
        (raw_scale(POWER), [1.0, 0.3]),
        (raw_scale(corrected_power(1.0)), [1.0, -0.3, 4.0]),
        (raw_scale(FREE_CORRECTION), [1.0, -0.3, 4.0, 0.7]),
    )
}


def curve(sizes=SIZES, *, amplitude=3.0, exponent=0.3, correction=0.0, omega=1.0) -> xr.DataArray:
    return xr.DataArray(
        amplitude * sizes**exponent * (1 + correction * sizes**-omega), dims="n", coords={"n": sizes}, name="spike"
    )


def noisy(rng, curve: xr.DataArray, *, seeds: int, noise: float, copies: int = 1) -> xr.DataArray:
    """Replicates with Gaussian noise of a relative size that falls slowly with n; dims (copy, n, seed)."""
    level = noise * curve * (curve.n / float(curve.n[0])) ** -0.25
    draws = rng.standard_normal((copies, curve.sizes["n"], seeds))
    return curve + level * xr.DataArray(draws, dims=("copy", "n", "seed"))


@pytest.mark.parametrize("name", LAWS)
def test_jacobian_is_the_derivative(name: str) -> None:
    law, theta = LAWS[name]
    theta = np.array(theta)
    step = 1e-6 * np.maximum(np.abs(theta), 1e-2)
    numeric = [(law.value(SIZES, theta + h) - law.value(SIZES, theta - h)) / (2 * h.sum()) for h in np.diag(step)]
    np.testing.assert_allclose(law.jacobian(SIZES, theta), np.stack(numeric, axis=-1), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("exponent", [-0.8, 0.3])
@pytest.mark.parametrize(
    ("correction", "truth"), [(None, (0.0, 1.0)), (1.0, (5.0, 1.0)), (0.5, (-3.0, 0.5)), ("free", (5.0, 0.8))]
)
def test_recovers_itself_without_noise(correction, truth: tuple[float, float], exponent: float) -> None:
    data = curve(exponent=exponent, correction=truth[0], omega=truth[1])
    fit = fit_power_law(data, correction=correction)
    expected = [np.log(3.0), exponent, *truth][: fit.sizes["param"]]
    np.testing.assert_allclose(fit.estimate, expected, rtol=1e-8)
    assert fit.converged


def test_recovers_a_negative_amplitude() -> None:
    fit = fit_power_law(curve(amplitude=-3.0, exponent=-0.7))
    np.testing.assert_allclose(fit.estimate, [np.log(3.0), -0.7], rtol=1e-8)
    assert fit.sign == -1
    np.testing.assert_allclose(fit.fitted, fit.data, rtol=1e-8)


def test_known_errors_agree_with_statsmodels() -> None:
    rng = np.random.default_rng(1)
    truth = curve()
    stderr = 0.02 * truth
    data = truth + stderr * rng.standard_normal(5)
    fit = fit_power_law(data, stderr=stderr)
    relative = stderr / data
    reference = sm.WLS(
        (np.log(data) + relative**2 / 2).values, sm.add_constant(np.log(SIZES)), weights=1 / relative**2
    ).fit(cov_type="fixed scale")
    np.testing.assert_allclose(fit.estimate, reference.params, rtol=1e-10)
    np.testing.assert_allclose(fit.covariance, reference.cov_params(), rtol=1e-9)
    np.testing.assert_allclose(fit.pvalue, reference.pvalues, rtol=1e-6)
    np.testing.assert_allclose(np.stack([fit.ci_low, fit.ci_high], axis=1), reference.conf_int(), rtol=1e-9)
    np.testing.assert_allclose(fit.chi2, (reference.wresid**2).sum(), rtol=1e-9)
    np.testing.assert_allclose(fit.gof_pvalue, stats.chi2.sf(fit.chi2, 3), rtol=1e-9)


def test_without_errors_agrees_with_heteroscedasticity_consistent_ones() -> None:
    rng = np.random.default_rng(2)
    data = curve() * np.exp(0.03 * rng.standard_normal(5))
    fit = fit_power_law(data)
    reference = sm.OLS(np.log(data).values, sm.add_constant(np.log(SIZES))).fit()
    np.testing.assert_allclose(fit.stderr, reference.HC2_se, rtol=1e-9)
    assert np.isnan(fit.gof_pvalue)
    assert (fit.t_dof < 3).all()


def test_noise_around_zero_agrees_with_a_glm_of_log_link() -> None:
    """A gap that noise makes negative at the largest sizes is fitted as a Gaussian GLM with a log link would."""
    rng = np.random.default_rng(3)
    truth = curve(amplitude=100.0, exponent=-1.0)
    stderr = xr.full_like(truth, 0.02)
    data = truth + stderr * rng.standard_normal(5) - xr.where(truth.n > 3000, 0.05, 0.0)
    assert float(data.min()) < 0
    fit = fit_power_law(data, stderr=stderr)
    glm = sm.GLM(
        data.to_numpy(),
        sm.add_constant(np.log(SIZES)),
        family=sm.families.Gaussian(sm.families.links.Log()),
        var_weights=1 / stderr.to_numpy() ** 2,
    ).fit(start_params=[np.log(100.0), -1.0], scale=1.0)
    np.testing.assert_allclose(fit.estimate, glm.params, rtol=1e-5)
    np.testing.assert_allclose(fit.chi2, (glm.resid_response**2 / 0.02**2).sum(), rtol=1e-6)


def test_a_curve_of_noise_gets_a_sentence() -> None:
    rng = np.random.default_rng(4)
    data = xr.DataArray(rng.standard_normal((5, 20)), dims=("n", "seed"), coords={"n": SIZES})
    fit = fit_power_law(data)
    assert np.isnan(fit.estimate).all()
    assert "not resolved from zero" in fit.message.item()


def test_a_correction_that_is_there_is_missed_by_the_plain_law() -> None:
    """Negative control: the lack-of-fit test rejects the plain law, accepts the right one, and n_min moves up."""
    rng = np.random.default_rng(5)
    sizes = np.array([125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0])
    data = noisy(rng, curve(sizes, correction=60.0), seeds=20, noise=0.03)
    plain, right = fit_power_law(data), fit_power_law(data, correction=1.0)
    assert plain.gof_pvalue.item() < 1e-6
    assert right.gof_pvalue.item() > 0.05
    assert abs(right.estimate.sel(param="exponent").item() - 0.3) < 3 * right.stderr.sel(param="exponent").item()
    assert abs(plain.estimate.sel(param="exponent").item() - 0.3) > 5 * plain.stderr.sel(param="exponent").item()
    scan = fit_power_law(data, n_min="auto")
    assert scan.n_min.item() >= 500
    assert scan.scan_gof_pvalue.sizes["window"] == 4
    assert scan.scan_gof_pvalue.sel(window=scan.n_min).item() == pytest.approx(scan.gof_pvalue.item())


def test_intervals_cover_and_the_test_of_fit_keeps_its_level() -> None:
    """A small copy of scripts/coverage.py: 600 data sets of 5 sizes and 6 seeds, within 3 standard errors."""
    rng = np.random.default_rng(6)
    copies = 600
    fit = fit_power_law(noisy(rng, curve(), seeds=6, noise=0.1, copies=copies))
    covered = (fit.ci_low <= [np.log(3.0), 0.3]) & (fit.ci_high >= [np.log(3.0), 0.3])
    assert abs(covered.mean("copy") - 0.95).max() < 3 * np.sqrt(0.95 * 0.05 / copies)
    assert abs((fit.gof_pvalue < 0.05).mean() - 0.05) < 3 * np.sqrt(0.95 * 0.05 / copies)


def test_bootstrap_agrees_with_the_standard_error() -> None:
    rng = np.random.default_rng(7)
    data = noisy(rng, curve(), seeds=20, noise=0.1, copies=3)
    for correction in (None, 1.0):
        fit = fit_power_law(data, correction=correction, rng=np.random.default_rng(8))
        np.testing.assert_allclose(fit.bootstrap_stderr, fit.stderr, rtol=0.12)  # 999 resamples: 2.2 per cent
        assert (fit.bootstrap_low < fit.estimate).all()
        assert (fit.bootstrap_high > fit.estimate).all()
    again = fit_power_law(data, correction=1.0, rng=np.random.default_rng(8))
    xr.testing.assert_identical(again, fit)


def test_leaving_one_size_out_is_a_refit() -> None:
    rng = np.random.default_rng(9)
    data = noisy(rng, curve(), seeds=20, noise=0.1)
    stderr = data.std("seed", ddof=1) / np.sqrt(20)
    means = data.mean("seed")
    fit = fit_power_law(means, stderr=stderr)
    left = fit.leave_one_out.sel(n=1000.0)
    refit = fit_power_law(means.drop_sel(n=1000.0), stderr=stderr.drop_sel(n=1000.0))
    np.testing.assert_allclose(left, refit.estimate, rtol=1e-10)
    np.testing.assert_allclose(fit.influence.sel(n=1000.0), (fit.estimate - left) / fit.stderr, rtol=1e-10)


def test_other_dims_broadcast_and_pvalues_are_adjusted() -> None:
    rng = np.random.default_rng(10)
    data = noisy(rng, curve(), seeds=12, noise=0.1, copies=6).assign_coords(copy=list("abcdef"))
    fit = fit_power_law(data, expected=0.3)
    one = fit_power_law(data.sel(copy="d"), expected=0.3)
    np.testing.assert_allclose(fit.estimate.sel(copy="d"), one.estimate)
    np.testing.assert_allclose(fit.gof_pvalue.sel(copy="d"), one.gof_pvalue)
    assert fit.estimate.dims == ("copy", "param")
    assert fit.covariance.dims == ("copy", "param_i", "param_j")
    raw, adjusted = fit.pvalue.sel(param="exponent"), fit.pvalue_holm.sel(param="exponent")
    assert adjusted.min().item() == pytest.approx(min(1.0, 6 * raw.min().item()))
    assert fit.null_value.sel(param="exponent").values.tolist() == [0.3] * 6


def test_names_and_units_of_results() -> None:
    fit = fit_power_law(curve(), stderr=0.01 * curve())
    assert fit.attrs["quantity"] == "spike"
    assert fit.stderr.attrs["long_name"] == "standard error of the estimate (linearised)"
    assert fit.estimate.attrs["long_name"] == "estimate of the parameter"
    assert fit.data_stderr.attrs["long_name"] == "standard error of the mean over seeds"
    assert all("long_name" in v.attrs for v in fit.data_vars.values())
    for name in ("nobs", "dof", "chi2", "gof_pvalue", "aicc", "n_min", "converged"):
        assert fit[name].dims == ()


def test_few_sizes_or_seeds_give_sentences() -> None:
    rng = np.random.default_rng(11)
    few_sizes = fit_power_law(noisy(rng, curve(SIZES[:2]), seeds=10, noise=0.1))
    assert "fewer sizes" in few_sizes.message.item()
    assert np.isnan(few_sizes.estimate).all()
    few_seeds = fit_power_law(noisy(rng, curve(), seeds=2, noise=0.1))
    assert "fewer than 3 seeds" in few_seeds.message.item()
    assert not few_seeds.converged
    nothing = fit_power_law(curve() * np.nan)
    assert "There are no values to fit" in nothing.message.item()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dim": "width"}, "dim='width' is not a dim"),
        ({"correction": "some"}, "correction='some'"),
        ({"correction": -1.0}, "correction=-1.0 is not positive"),
        ({"n_min": "some"}, "n_min='some'"),
        ({"n_min": "auto"}, 'n_min="auto" needs errors'),
        ({"stderr": xr.DataArray(-1.0)}, "stderr must be positive"),
    ],
)
def test_errors_say_what_is_allowed(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit_power_law(curve(), **change)


def test_any_order_of_sizes_gives_the_same_fit() -> None:
    rng = np.random.default_rng(12)
    data = noisy(rng, curve(), seeds=5, noise=0.1)
    shuffled = data.isel(n=[3, 0, 4, 1, 2])
    xr.testing.assert_identical(fit_power_law(data), fit_power_law(shuffled))


def test_holm_agrees_with_statsmodels() -> None:
    pvalues = np.array([0.03, 0.2, 0.001, 0.03, 0.9, 0.04])
    np.testing.assert_allclose(holm(pvalues), multipletests(pvalues, method="holm")[1])


def test_weights_from_the_same_variances_are_allowed_for() -> None:
    """4 sizes, 5 seeds, 2000 sets: the mean squared error bar is the variance of the exponent, known to 4 per cent.

    Negative control: without the term for weights that come from the variances it is 15 per cent too small.
    """
    rng = np.random.default_rng(13)
    sets, dof = 2000, np.full(4, 4.0)
    x = np.log(np.geomspace(250, 4000, 4))
    design, sigma = np.column_stack([np.ones(4), x]), np.exp(-0.25 * (x - x[0]))
    y = sigma * rng.standard_normal((sets, 4))
    variance = sigma**2 * rng.chisquare(4, (sets, 4)) / 4
    weights = 1 / smooth_variance(np.exp(x), variance, np.full((sets, 4), 4.0))
    slope, error, naive = np.empty((3, sets))
    for b in range(sets):
        data = {"variance": variance[b], "variance_dof": dof}
        fit = weighted_least_squares(design, y[b], weights[b], **data, trend=x)
        slope[b], error[b] = fit.params[1], fit.stderr[1]
        naive[b] = weighted_least_squares(design, y[b], weights[b], **data).stderr[1]
    assert (error**2).mean() / slope.var() == pytest.approx(1.0, abs=0.12)
    assert (naive**2).mean() / slope.var() == pytest.approx(0.85, abs=0.1)
    assert (error**2).mean() > 1.1 * (naive**2).mean()


def test_equal_replicates_are_no_trouble() -> None:
    """Seeds without any spread, at all sizes or at all but one, give the law and no warning."""
    data = curve().expand_dims(seed=5, axis=1).copy()
    fit = fit_power_law(data)
    np.testing.assert_allclose(fit.estimate, [np.log(3.0), 0.3], rtol=1e-8)
    assert (fit.stderr < 1e-10).all()
    data[1] *= 1 + 0.001 * np.arange(-2, 3)
    fit = fit_power_law(data)
    np.testing.assert_allclose(fit.estimate, [np.log(3.0), 0.3], rtol=1e-5)
    assert (fit.stderr > 0).all()
