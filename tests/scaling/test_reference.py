"""Reference distributions of the fits' statistics: HC2 ratios, lack of fit with few replicates, logs of noisy means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from spikecube.scaling.fit_scale import _of_log, smooth_variance
from spikecube.scaling.labelled_fits import fit_sample
from spikecube.scaling.laws import POWER
from spikecube.scaling.regression import _quantile_dof, _tail, lack_of_fit, weighted_least_squares
from spikecube.scaling.samples import from_data


def logs(n_sizes: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.log(np.geomspace(250, 4000, n_sizes))
    return x, np.column_stack([np.ones(n_sizes), x])


@pytest.mark.parametrize("dof", [1, 2, 5, 40])
def test_equal_eigenvalues_give_student(dof: int) -> None:
    for square in (0.01, 1.0, 4.0, 100.0):
        expected = 2 * stats.t.sf(np.sqrt(square), dof)
        assert _tail(square, np.full(dof, 1 / dof)) == pytest.approx(expected, rel=1e-7)
    assert _quantile_dof(np.eye(dof + 2)[2:].T @ np.eye(dof + 2)[2:], dof) == pytest.approx(dof, abs=1e-6)


def test_tail_of_unequal_eigenvalues_is_that_of_draws() -> None:
    """P(t^2 > 3, 10, 40) for eigenvalues 0.9 and 0.1 against 400,000 draws, 4 standard errors."""
    rng = np.random.default_rng(1)
    spectrum = np.array([0.9, 0.1])
    square = rng.standard_normal(400_000) ** 2 / (rng.standard_normal((400_000, 2)) ** 2 @ spectrum)
    for point in (3.0, 10.0, 40.0):
        p = _tail(point, spectrum)
        assert abs((square > point).mean() - p) < 4 * np.sqrt(p * (1 - p) / len(square))


@pytest.mark.parametrize("n_sizes", [4, pytest.param(6, marks=pytest.mark.slow)])
def test_intervals_without_errors_cover(n_sizes: int) -> None:
    """3000 sets, 3 standard errors. Negative control: the t of matched moments (Bell and McCaffrey) covers too much."""
    rng = np.random.default_rng(2)
    sets = 3000
    _, design = logs(n_sizes)
    ratio, exact = np.empty((2, sets))
    for b in range(sets):
        fit = weighted_least_squares(design, rng.standard_normal(n_sizes), np.ones(n_sizes))
        ratio[b], exact[b] = abs(fit.params[1]) / fit.stderr[1], fit.dof[1]
    covered = (ratio < stats.t.ppf(0.975, exact)).mean()
    assert abs(covered - 0.95) < 3 * np.sqrt(0.95 * 0.05 / sets)
    hat = design @ np.linalg.pinv(design)
    annihilator = np.eye(n_sizes) - hat
    form = annihilator * (np.linalg.pinv(design)[1] ** 2 / np.diag(annihilator)) @ annihilator
    moments = np.trace(form) ** 2 / (form**2).sum()
    assert (ratio < stats.t.ppf(0.975, moments)).mean() > 0.95 + 3 * np.sqrt(0.95 * 0.05 / sets)
    assert stats.kstest(2 * stats.t.sf(ratio, exact), "uniform").pvalue > 0.01


def test_lack_of_fit_is_uniform_with_five_seeds() -> None:
    """8 sizes, 5 seeds, 12,000 sets: 5 per cent are rejected and p-values are uniform, within 1 per cent.

    Negative control: without the term for estimated weights the mean is too small, and the test rejects too often.
    """
    rng = np.random.default_rng(3)
    sets, n_sizes, dof = 12_000, 8, np.full(8, 4.0)
    x, design = logs(n_sizes)
    sigma = np.exp(-0.25 * (x - x[0]))
    y = sigma * rng.standard_normal((sets, n_sizes))
    variance = sigma**2 * rng.chisquare(4, (sets, n_sizes)) / 4
    weights = 1 / smooth_variance(np.exp(x), variance, np.full(y.shape, 4.0))
    right, naive = np.empty((2, sets))
    for b in range(sets):
        root = np.sqrt(weights[b])
        whitened = root[:, None] * design
        hat = whitened @ np.linalg.pinv(whitened)
        residual = root * y[b] - hat @ (root * y[b])
        right[b] = lack_of_fit(residual, hat, weights[b] * variance[b], dof, x)[1]
        naive[b] = lack_of_fit(residual, hat, weights[b] * variance[b], dof)[1]
    error = np.sqrt(0.05 * 0.95 / sets)
    assert abs((right < 0.05).mean() - 0.05) < 0.01 - error
    assert stats.kstest(right, "uniform").statistic < 0.015
    assert (naive < 0.05).mean() > 0.06
    assert stats.kstest(naive, "uniform").statistic > 0.015


def test_known_variances_give_chi_square() -> None:
    _, design = logs(5)
    hat = design @ np.linalg.pinv(design)
    residual = (np.eye(5) - hat) @ np.array([1.0, -2.0, 0.5, 0.0, 1.0])
    chi2, pvalue = lack_of_fit(residual, hat, np.ones(5), np.full(5, np.inf))
    assert pvalue == pytest.approx(stats.chi2.sf(chi2, 3), rel=1e-10)
    many = lack_of_fit(residual, hat, np.ones(5), np.full(5, 1e9), np.arange(5.0))[1]
    assert many == pytest.approx(pvalue, rel=1e-6)


@pytest.mark.parametrize("dof", [4, 19])
def test_variance_of_the_log_of_a_noisy_mean(dof: int) -> None:
    """Means known to 13 per cent: the variance of log m + v/2 is the mean of what is claimed, within 1.5 per cent.

    A variance of 400,000 draws is known to 0.22 per cent. Negative control: s^2/m^2 itself is 3 per cent too large.
    """
    rng = np.random.default_rng(4)
    mean = 1 + 0.13 * rng.standard_normal(400_000)
    relative = 0.13**2 * rng.chisquare(dof, mean.shape) / dof / mean**2
    truth = (np.log(mean) + relative / 2).var()
    assert _of_log(relative, np.full(mean.shape, dof)).mean() == pytest.approx(truth, rel=0.015)
    assert relative.mean() > 1.03 * truth
    assert (_of_log(relative[:5], np.full(5, np.inf)) == relative[:5]).all()


@pytest.mark.slow
def test_few_seeds_with_control_variates_keep_their_levels() -> None:
    """6 sizes, 8 seeds, one control that y is curved in, 2500 sets: intervals and test of fit, 3 standard errors.

    Negative control: with the sample variance of the adjusted seeds (m - 2 degrees of freedom) the test is too strict.
    """
    rng = np.random.default_rng(5)
    sets, n = 2500, np.geomspace(250, 4000, 6).round()
    labels = {"n": n, "seed": range(8)}
    z = xr.DataArray(rng.standard_normal((sets, 6, 8)), dims=("copy", "n", "seed"), coords=labels)
    noise = 0.5 * rng.standard_normal(z.shape) + 0.7 * z + 0.2 * (z**2 - 1)
    data = (1 + 0.1 * noise) * 3 * z.n**0.3
    sample = from_data(data, controls=z.expand_dims(control=["z"]))
    error = np.sqrt(0.05 * 0.95 / sets)
    fit = fit_sample(POWER, sample)
    truth = [np.log(3.0), 0.3]
    assert abs(((fit.ci_low <= truth) & (fit.ci_high >= truth)).mean("copy") - 0.95).max() < 3 * error
    assert abs((fit.gof_pvalue < 0.05).mean() - 0.05) < 3 * error
    naive = replace(sample, stderr=left_out_stderr(data.to_numpy(), z.to_numpy()), dof=np.full((sets, 6), 6.0))
    assert (fit_sample(POWER, naive).gof_pvalue < 0.05).mean() > 0.05 + 3 * error


def left_out_stderr(y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Sample standard error of u_j = y_j - z_j b_(-j), with the slope of each regression on the other seeds."""
    u = np.empty(y.shape)
    for j in range(y.shape[-1]):
        rest = np.arange(y.shape[-1]) != j
        centred = z[..., rest] - z[..., rest].mean(-1, keepdims=True)
        u[..., j] = y[..., j] - z[..., j] * (centred * y[..., rest]).sum(-1) / (centred**2).sum(-1)
    return np.asarray(u.std(-1, ddof=1) / np.sqrt(y.shape[-1]))
