"""Thresholds of detachment: known truth, coverage, clusters and separation."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
import xarray as xr
from scipy import special, stats

from spikecube.cube.assemble import empty_cube
from spikecube.scaling import fit_thresholds
from spikecube.scaling.logistic import cluster_score_test, firth, is_separated
from spikecube.scaling.regression import logistic_regression
from spikecube.scaling.results import STATUS
from spikecube.study.study import Study
from spikecube.theory import predicted_outliers
from spikecube.words.fits import fit_report
from tests.levels import assert_level

STUDY = """
[axes]
alpha = { start = 0.05, stop = 0.45, num = 9 }
n = [200, 400, 800, 1600]
seed = 20
lam = [0.1]

[measure]
rank = 3
degree = 2
"""


def detachment(rng, *, critical: float, offset: float = 0.6, sharpness: float = 8.0) -> xr.Dataset:
    """Counts of a spike whose log strength has one logistic draw per (n, seed), so that the law holds exactly."""
    cube = empty_cube(Study.from_toml(STUDY))
    logs = np.log(cube.n.astype(float))
    draw = xr.DataArray(rng.logistic(size=(4, 20)), dims=("n", "seed"))
    score = sharpness * logs * (cube.alpha - critical - offset / logs)
    first = (score + 2 + draw > 0).astype(float)
    cube["outlier_count"] = (first + (score + draw > 0)).transpose("alpha", "n", "seed")
    return cube


@pytest.mark.slow
def test_thresholds_cover_the_truth() -> None:
    """Intervals of alpha_2 at n -> infinity and at n = 800, and the test of fit, over 500 cubes."""
    rng = np.random.default_rng(1)
    limit, finite, rejected = [], [], []
    for _ in range(500):
        fit = fit_thresholds(detachment(rng, critical=0.2)).sel(degree=2)
        one = fit.sel(param="critical")
        limit.append(bool(one.ci_low < 0.2 < one.ci_high))
        truth = 0.2 + 0.6 / np.log(800)
        at = fit.sel(n=800)
        finite.append(bool(at.threshold_low < truth < at.threshold_high))
        rejected.append(fit.gof_pvalue.item() < 0.05)
    assert_level(limit, 0.95, off=(0.88, 0.99))
    assert_level(finite, 0.95, off=(0.88, 0.99))
    assert_level(rejected, 0.05, off=(0.01, 0.12))


def test_the_expected_threshold_and_its_test() -> None:
    fit = fit_thresholds(detachment(np.random.default_rng(2), critical=0.25))
    one = fit.sel(degree=2, param="critical")
    assert one.expected.item() == 0.25
    assert one.pvalue.item() > 0.01
    off = fit_thresholds(detachment(np.random.default_rng(2), critical=0.0)).sel(degree=2, param="critical")
    assert off.pvalue.item() < 0.01
    assert fit.threshold.dims == ("degree", "n")
    assert fit.attrs["quantity"] == "detachment of a spike"


def test_clusters_widen_the_errors() -> None:
    """Rows copied ten times within their cluster change no clustered error, but shrink naive ones."""
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(60), rng.standard_normal(60)])
    y = (rng.random(60) < special.expit(x @ [0.3, 1.0])).astype(float)
    once = logistic_regression(x, y, np.arange(60))
    tenfold = logistic_regression(np.repeat(x, 10, axis=0), np.repeat(y, 10), np.repeat(np.arange(60), 10))
    np.testing.assert_allclose(tenfold.params, once.params, rtol=1e-8)
    np.testing.assert_allclose(tenfold.covariance, once.covariance, rtol=0.02)
    naive = sm.Logit(np.repeat(y, 10), np.repeat(x, 10, axis=0)).fit(disp=0)
    assert naive.bse[1] < 0.5 * np.sqrt(tenfold.covariance[1, 1])
    np.testing.assert_allclose(naive.params, once.params, rtol=1e-6)


def test_perfect_separation_gives_a_penalised_fit_and_a_sentence() -> None:
    cube = empty_cube(Study.from_toml(STUDY))
    cube["outlier_count"] = xr.where(cube.alpha > 0.22, 2.0, 1.0).broadcast_like(cube["outlier_count"])
    fit = fit_thresholds(cube).sel(degree=2)
    assert "perfectly separated" in fit.message.item()
    assert np.isfinite(fit.stderr).all()
    assert ((fit.threshold > 0.2) & (fit.threshold < 0.25)).all()
    always = fit_thresholds(cube).sel(degree=1)
    assert "There are no values to fit" in always.message.item()


def test_two_sizes_are_too_few() -> None:
    fit = fit_thresholds(detachment(np.random.default_rng(4), critical=0.2).isel(n=[0, 1]))
    assert "fewer sizes" in fit.message.values[0]
    assert np.isnan(fit.estimate).all()


@pytest.mark.parametrize(("outcome", "separated"), [([0, 0, 1, 1], True), ([0, 1, 0, 1], False), ([1, 1, 1, 1], True)])
def test_separation(outcome: list[int], separated: bool) -> None:
    x = np.column_stack([np.ones(4), np.arange(4.0)])
    assert is_separated(x, np.array(outcome)) is separated


def test_firth_on_one_parameter_has_its_closed_form() -> None:
    """An intercept alone: Jeffreys' prior adds half a success and half a failure (Firth 1993)."""
    y = np.array([1.0] * 7 + [0.0] * 2)
    params, _ = firth(np.ones((9, 1)), y)
    assert params[0] == pytest.approx(np.log(7.5 / 2.5), abs=1e-9)


def test_a_threshold_is_refused_exactly_when_its_interval_leaves_it_out() -> None:
    """p < 0.05 for the expected threshold, and for an offset of 0, where Fieller's interval excludes it."""
    rng, excluded = np.random.default_rng(6), []
    for critical in np.linspace(0.05, 0.45, 9):
        fit = fit_thresholds(detachment(rng, critical=critical)).sel(
            degree=2, param=["critical", "offset", "sharpness"]
        )
        outside = (fit.null_value < fit.ci_low) | (fit.null_value > fit.ci_high)
        np.testing.assert_array_equal(fit.pvalue < 0.05, outside)
        np.testing.assert_array_equal(np.sign(fit.z[0]), np.sign(fit.estimate[0] - 0.25))
        excluded.append(bool(outside[0]))
    assert 0 < sum(excluded) < 9


def clustered(rng: np.random.Generator, slope: float) -> tuple[np.ndarray, ...]:
    """16 groups of 5 dependent outcomes each with a logistic law in x, and a regressor that does or does not matter."""
    groups = np.repeat(np.arange(16), 5)
    x = rng.standard_normal(80)
    matters = np.repeat(rng.standard_normal(16), 5)
    outcome = x + slope * matters + rng.logistic(size=16)[groups] > 0
    return np.column_stack([np.ones(80), x]), matters[:, None], outcome.astype(float), groups


@pytest.mark.slow
def test_the_score_test_of_clusters_holds_its_level_and_sees_what_is_there() -> None:
    """200 samples: 5 per cent rejected within 3 standard errors, uniform p-values; rows taken as independent reject
    more than 15 per cent, and a real effect is found in nine of ten of 50."""
    rng = np.random.default_rng(11)

    def pvalues(slope: float, samples: int) -> np.ndarray:
        found = []
        for _ in range(samples):
            x, extra, y, groups = clustered(rng, slope)
            params = logistic_regression(x, y, groups).params
            found.append([cluster_score_test(x, extra, y, labels, params) for labels in (groups, np.arange(80))])
        return np.array(found)

    level, naive = pvalues(0.0, 200).T
    assert np.mean(level < 0.05) == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 200))
    assert stats.kstest(level, "uniform").pvalue > 0.01
    assert np.mean(naive < 0.05) > 0.15
    assert np.mean(pvalues(3.0, 50)[:, 0] < 0.05) > 0.9


def test_the_score_test_of_one_extra_regressor_in_rows_of_their_own_is_that_of_its_formula() -> None:
    """Independent rows and an intercept: e = extra - mean, r without its own row is (y - ybar) n/(n - 1)."""
    y, extra = np.array([0.0, 1, 1, 0, 1, 1, 0, 1]), np.arange(8.0)[:, None]
    mean = y.mean()
    found = cluster_score_test(np.ones((8, 1)), extra, y, np.arange(8), np.array([np.log(mean / (1 - mean))]))
    e = extra[:, 0] - 3.5
    u = e * (y - mean) * 8 / 7
    statistic = (e @ (y - mean)) ** 2 / (8 * np.var(u, ddof=1))
    assert found == pytest.approx(stats.f.sf(statistic, 1, 7), rel=1e-9)
    assert cluster_score_test(np.ones((8, 1)), extra, y, np.zeros(8), np.zeros(1)) != found


def without_alignment(cube: xr.Dataset, degree: int, rng: np.random.Generator) -> xr.Dataset:
    """The vectors of one degree are random, those of the others point along: squared cosines z^2/n and 0.9."""
    noise = cube["alignment"].copy(data=rng.standard_normal(cube["alignment"].shape) ** 2) / cube["n"]
    cube["alignment"] = xr.where(cube["degree"] == degree, noise, 0.9).transpose(*cube["alignment"].dims)
    return cube


def test_an_outlier_that_points_nowhere_is_no_spike() -> None:
    """The same counts give a threshold where the vectors point along, and none, with a sentence, where they do not."""
    rng = np.random.default_rng(7)
    cube = detachment(rng, critical=0.2)
    there = fit_thresholds(without_alignment(cube.copy(), 3, rng)).sel(degree=2)
    assert int(there.status) == STATUS["ok"]
    assert (there.stray_fraction == 0).all()
    away = fit_thresholds(without_alignment(cube.copy(), 2, rng)).sel(degree=2)
    assert int(away.status) == STATUS["not_aligned"]
    assert np.isnan(away.estimate).all()
    assert np.isnan(away.threshold).all()
    beyond = (cube.outlier_count >= 2).sum().item()
    assert f"In {beyond} of 720 draws a singular value of its rank lies beyond the edge" in away.message.item()
    np.testing.assert_allclose(away.stray_fraction, (cube.outlier_count >= 2).mean(["alpha", "seed"]))


def test_counts_decide_where_alignments_were_not_measured() -> None:
    cube = detachment(np.random.default_rng(8), critical=0.2)
    aligned = without_alignment(cube.copy(), 3, np.random.default_rng(1))
    xr.testing.assert_allclose(fit_thresholds(cube).estimate, fit_thresholds(aligned).estimate)


TANH = """
[model]
activation = "tanh"
target = [0.0, 1.0, 0.0, 0.5]
noise = 0.5
dim_ratio = 0.5

[axes]
alpha = [0.1, 0.25, 0.35, 0.4, 0.43, 0.45]
n = [300, 600, 1200, 2400]
seed = 8
lam = [1.0]

[measure]
rank = 4
degree = 3
"""


def test_tanh_has_no_cubic_spike_at_these_sizes() -> None:
    """Theory has one outlier at n = 600; measured counts reach 2 with alignments of at most 0.01 (n = 600)."""
    study = Study.from_toml(TANH)
    assert len(predicted_outliers(study.model, 600, 0.45, conditional=True)) == 1
    cube, rng = empty_cube(study), np.random.default_rng(9)
    second = rng.random((6, 4, 8)) < np.array([0, 0, 0, 0.1, 0.4, 0.7])[:, None, None]
    cube["outlier_count"] = cube["outlier_count"].copy(data=1.0 + second)
    without_alignment(cube, 3, rng)
    fit = fit_thresholds(cube)
    assert fit.degree.values.tolist() == [1, 2, 3]
    assert [int(s) for s in fit.status] == [STATUS["no_data"], STATUS["not_applicable"], STATUS["not_aligned"]]
    assert "c_2 = 0" in fit.message.sel(degree=2).item()
    report = fit_report(cube, "thresholds")
    assert "intervals of 95 per cent hold" not in report.sentence
    assert "do not point along their monomial, and are no spikes, stand at the rank of degree 3" in report.sentence
    cube["singular_value"] = xr.where(cube["rank"] == 1, 3.0, 2.0).broadcast_like(cube["singular_value"])
    cube["detection_edge"] = (("alpha", "n"), np.full((6, 4), 1.9))
    collapsed = fit_report(cube, "collapse")
    cubic = [row for row in collapsed.rows if row["degree"] == 3]
    assert [row["status"] for row in cubic] == ["not_aligned"] * 2
    assert "No spike of degree 3 is there to collapse" in collapsed.sentence
    assert len({len(row) for row in collapsed.rows}) == 1
