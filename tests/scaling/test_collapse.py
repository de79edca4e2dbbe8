"""Collapses of known master curves: estimates, coverage, what a bad one says, ragged grids and held parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
import xarray as xr
from scipy import interpolate, stats
from statsmodels.gam.api import BSplines, GLMGam

from spikecube.scaling import collapse
from spikecube.scaling.collapse_ansatz import ANSATZE
from spikecube.scaling.master_curve import Points, reduce, slopes
from spikecube.scaling.samples import from_data
from spikecube.scaling.shared_draws import (
    SharedDraws,
    collapse_test,
    parameter_covariance,
    smooth_plane,
    smoothing_matrix,
)
from spikecube.scaling.splines import Spline
from tests.levels import assert_level

SIZES = np.array([16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0, 192.0])
TRUTH = {"critical": 0.45, "nu": 1.3, "zeta": -0.125}


def curves(n_points: int = 100, sizes=SIZES) -> xr.DataArray:
    """y = n^{zeta/nu} (1 - tanh(u/3)), u = (x - 0.45) n^{1/nu}; dims (n, x)."""
    x = np.linspace(0.2, 0.8, n_points)
    n = xr.DataArray(sizes, dims="n", coords={"n": sizes})
    u = (xr.DataArray(x, dims="x", coords={"x": x}) - TRUTH["critical"]) * n ** (1 / TRUTH["nu"])
    return (n ** (TRUTH["zeta"] / TRUTH["nu"]) * (1 - np.tanh(u / 3))).transpose("n", "x").rename("magnetisation")


def n_power() -> xr.DataArray:
    """The prefactor n^{zeta/nu}."""
    n = xr.DataArray(SIZES, dims="n", coords={"n": SIZES})
    return n ** (TRUTH["zeta"] / TRUTH["nu"])


def seeded(rng, data: xr.DataArray, n_seeds: int) -> xr.DataArray:
    """Replicates whose curves share a factor along x, plus independent noise."""
    shared = xr.DataArray(rng.standard_normal((data.sizes["n"], n_seeds)), dims=("n", "seed"))
    own = xr.DataArray(rng.standard_normal((*data.shape, n_seeds)), dims=(*data.dims, "seed"))
    return data * (1 + 0.05 * shared) + 0.02 * own


def test_finds_the_parameters() -> None:
    rng = np.random.default_rng(1)
    data = curves() + 0.005 * rng.standard_normal((8, 100))
    fit = collapse(data, control="x", stderr=xr.DataArray(0.005))
    off = (fit.estimate - list(TRUTH.values())) / fit.stderr
    assert (np.abs(off) < 3.5).all()
    assert (fit.stderr < 0.01).all()
    assert fit.gof_pvalue.item() > 0.01
    assert fit.status == 0
    assert fit.attrs["quantity"] == "magnetisation"
    assert all("long_name" in v.attrs for v in fit.data_vars.values())


def test_without_noise_the_collapse_is_exact() -> None:
    fit = collapse(curves(), control="x", fixed={"zeta": TRUTH["zeta"]})
    np.testing.assert_allclose(fit.estimate, list(TRUTH.values()), rtol=2e-3)
    assert np.isnan(fit.stderr.sel(param="zeta"))
    assert fit.estimate.sel(param="zeta").item() == TRUTH["zeta"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stderr", "seed"])
def test_intervals_cover_with_known_errors_and_with_seeds(kind: str) -> None:
    """500 data sets: a coverage of 0.88 or 0.99 instead of 0.95 is seen, and so is a test of fit at 0.01 or 0.12."""
    rng = np.random.default_rng(2)
    base, truth = curves(12), [TRUTH["critical"], TRUTH["nu"]]
    covered, rejected = [], []
    for _ in range(500):
        if kind == "seed":
            fit = collapse(seeded(rng, base, 12), control="x")
        else:
            known = base + 0.02 * rng.standard_normal(base.shape)
            fit = collapse(known, control="x", stderr=xr.DataArray(0.02))
        one = fit.sel(param=["critical", "nu"])
        covered.append(((one.ci_low < truth) & (one.ci_high > truth)).values)
        rejected.append(fit.gof_pvalue.item() < 0.05)
    for parameter in np.transpose(covered):
        assert_level(parameter, 0.95, off=(0.88, 0.99))
    assert_level(rejected, 0.05, off=(0.01, 0.12))


def test_curves_that_do_not_collapse_say_so() -> None:
    """Negative control: a critical point that drifts with n."""
    rng = np.random.default_rng(3)
    n, x = curves().n, curves().x
    drifting = np.tanh((x - 0.4 - 0.1 * (n > 40)) * n**0.7) + 0.01 * xr.DataArray(
        rng.standard_normal((8, 100)), dims=("n", "x")
    )
    fit = collapse(drifting.transpose("n", "x"), control="x", stderr=xr.DataArray(0.01))
    assert fit.gof_pvalue.item() < 1e-6
    assert "do not collapse" in fit.message.item()


def test_log_ansatz_on_a_ragged_grid_with_seeds_and_bootstrap() -> None:
    rng = np.random.default_rng(4)
    sizes = np.array([200.0, 400.0, 800.0, 1600.0])
    alpha = np.linspace(0.05, 0.45, 21)
    n = xr.DataArray(sizes, dims="n", coords={"n": sizes})
    a = xr.DataArray(alpha, dims="alpha", coords={"alpha": alpha})
    clean = (1 + np.exp(2 * (a - 0.25) * np.log(n))).transpose("n", "alpha")
    data = seeded(rng, clean, 12).where((n > 300) | (a > 0.15))
    fit = collapse(data, ansatz="log", rng=np.random.default_rng(5))
    one = fit.sel(param="critical")
    assert abs(one.estimate.item() - 0.25) < 4 * one.stderr.item()
    assert one.bootstrap_stderr.item() == pytest.approx(one.stderr.item(), rel=0.25)
    assert np.isnan(fit.scaled_control.sel(n=200.0, alpha=alpha[0]))
    assert fit.nobs.item() == np.isfinite(data).all("seed").sum().item()
    again = collapse(data, ansatz="log", rng=np.random.default_rng(5))
    xr.testing.assert_identical(again, fit)


def test_a_window_keeps_the_middle() -> None:
    rng = np.random.default_rng(6)
    data = curves() + 0.005 * rng.standard_normal((8, 100))
    fit = collapse(data, control="x", stderr=xr.DataArray(0.005), window=4.0)
    assert fit.nobs < 800
    assert (np.abs((fit.estimate - list(TRUTH.values())) / fit.stderr) < 3.5).all()
    with pytest.raises(ValueError, match=r"window=0.001 leaves \d+ points"):
        collapse(data, control="x", stderr=xr.DataArray(0.005), window=0.001)


def test_all_parameters_held_is_a_test_of_them() -> None:
    rng = np.random.default_rng(7)
    data = curves() + 0.005 * rng.standard_normal((8, 100))
    right = collapse(data, control="x", stderr=xr.DataArray(0.005), fixed=TRUTH)
    wrong = collapse(data, control="x", stderr=xr.DataArray(0.005), fixed=TRUTH | {"critical": 0.47})
    assert right.gof_pvalue > 0.01
    assert wrong.gof_pvalue < 1e-6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ansatz": "some"}, "ansatz='some' is not one of power, log"),
        ({"fixed": {"beta": 1.0}}, "fixed='beta' is not a parameter of 'power', which has critical, nu, zeta"),
        ({"fixed": {"nu": 0.0}}, "nu=0 is not a number other than 0"),
        ({"control": "alpha"}, "the data have dims n, x; a collapse takes n, alpha and perhaps seed"),
    ],
)
def test_errors_say_what_is_allowed(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        collapse(curves(), **{"control": "x", **change})


def test_two_sizes_are_too_few() -> None:
    fit = collapse(curves(sizes=SIZES[:2]), control="x")
    assert "fewer sizes" in fit.message.item()
    assert np.isnan(fit.estimate).all()


def test_the_master_curve_is_the_spline_of_statsmodels() -> None:
    """Objective of the search, reported curve, its errors and chi2: all are those of statsmodels at the optimum."""
    rng = np.random.default_rng(9)
    data = curves(40) + 0.005 * rng.standard_normal((8, 40))
    fit = collapse(data, control="x", stderr=xr.DataArray(0.005), fixed=TRUTH)
    n, x = (np.broadcast_to(v, data.shape).ravel() for v in (SIZES[:, None], data.x.values))
    at = ANSATZE["power"].places(fit.estimate.values, n, x)
    u, prefactor = at.u, np.exp(at.prefactor)
    y, weights = data.values.ravel() / prefactor, (prefactor / 0.005) ** 2
    smoother = BSplines(u, df=[40], degree=[3], include_intercept=True)
    gam = sm.GLM(y, smoother.basis, var_weights=weights).fit(scale=1.0)
    assert fit.spline_size == 40
    fast = reduce(
        ANSATZE["power"], Points(n, x, data.values.ravel(), np.full(n.shape, 0.005**-2)), fit.estimate.values, 40
    )
    np.testing.assert_allclose(fast.cost, gam.deviance, rtol=1e-8)
    np.testing.assert_allclose(fit.chi2, gam.deviance, rtol=1e-8)
    np.testing.assert_allclose(fast.coefficients, gam.params, rtol=1e-6, atol=1e-8)
    grid = smoother.transform(fit.scaled_grid.values[:, None])
    np.testing.assert_allclose(fit.master_curve, grid @ gam.params, rtol=1e-8, atol=1e-10)
    error = np.sqrt(np.einsum("gp,pq,gq->g", grid, gam.cov_params(), grid))
    np.testing.assert_allclose(fit.master_stderr, error, rtol=1e-6)
    np.testing.assert_allclose(fit.gof_pvalue, stats.chi2.sf(gam.deviance, 320 - 40), rtol=1e-6)
    level = collapse(data / n_power(), control="x", fixed=TRUTH | {"zeta": 0.0})  # equal weights: GLMGam as it stands
    model = GLMGam((data / n_power()).values.ravel(), smoother=smoother, alpha=[0.0]).fit(scale=1.0)
    np.testing.assert_allclose(level.chi2, model.deviance, rtol=1e-8)
    np.testing.assert_allclose(level.master_curve, grid @ model.params, rtol=1e-8, atol=1e-10)


def test_smoothing_answers_to_its_variances() -> None:
    """The matrix is the numerical derivative of the smoothed variances, on a ragged grid."""
    rng = np.random.default_rng(10)
    n, x = np.array([100.0, 200.0, 400.0, 800.0]), np.arange(6.0)
    values = xr.DataArray(rng.standard_normal((4, 6, 5)), dims=("n", "x", "seed"), coords={"n": n, "x": x})
    sample = from_data(values.where((values.n > 100) | (values.x > 2)), "n")
    fine = np.isfinite(sample.stderr)
    place = np.argwhere(fine)
    matrix = smoothing_matrix(sample, place)
    for b in (0, 4, 11):
        moved = []
        for step in (1e-5, -1e-5):
            stderr = sample.stderr.copy()
            stderr[tuple(place[b])] *= np.exp(step / 2)
            moved.append(np.log(smooth_plane(replace(sample, stderr=stderr), fine)[fine]))
        np.testing.assert_allclose(matrix[:, b], (moved[0] - moved[1]) / 2e-5, atol=1e-8)


@pytest.mark.slow
def test_shared_draws_are_corrected_for_their_own_weights() -> None:
    """A line through 6 groups of 8 points, 5 seeds each: error bar and level are right; wrong if left uncorrected.

    1,000 sets: a level of 5 per cent is known to 0.7, the mean of an error bar squared to 1.5 per cent.
    """
    rng = np.random.default_rng(11)
    sizes, n_sets, m = np.geomspace(100, 3200, 6), 1000, 5
    x = np.repeat(np.log(sizes), 8)
    groups = tuple(np.arange(48).reshape(6, 8))
    truth = np.kron(np.eye(6), np.ones((8, 8)) + 0.25 * np.eye(8)) / m
    variance, tests = np.empty((n_sets, 3)), np.empty((n_sets, 2))
    for b in range(n_sets):
        draws = rng.standard_normal((6, 1, m)) + 0.5 * rng.standard_normal((6, 8, m))
        values = xr.DataArray(draws.transpose(1, 0, 2), dims=("x", "n", "seed"), coords={"n": sizes})
        sample = from_data(values, "n")
        place = np.stack([np.tile(np.arange(8), 6), np.repeat(np.arange(6), 8)], axis=1)
        root = 1 / np.sqrt(smooth_plane(sample, np.ones((8, 6), dtype=bool)).T.ravel())
        design = root[:, None] * np.column_stack([np.ones(48), x])
        covariance = np.zeros((48, 48))
        for k, rows in enumerate(groups):
            part = root[rows, None] * sample.deviations[:, k] / m
            covariance[np.ix_(rows, rows)] = part @ part.T
        response, fitted = np.linalg.pinv(design), np.linalg.qr(design)[0]
        weighted = root * sample.mean.T.ravel()
        variance[b, 2] = (response[1] * root) @ truth @ (response[1] * root)
        chi2 = float(((weighted - fitted @ (fitted.T @ weighted)) ** 2).sum())
        for i, smoothing in enumerate((smoothing_matrix(sample, place), np.zeros((48, 48)))):
            shared = SharedDraws(groups, covariance, np.full(6, m - 1.0), smoothing)
            variance[b, i] = parameter_covariance(response, fitted, shared)[0][1, 1]
            tests[b, i] = collapse_test(chi2, fitted, shared)
    ratio = variance.mean(0) / variance[:, 2].mean()
    level = (tests < 0.05).mean(0)
    assert ratio[0] == pytest.approx(1.0, abs=0.05)
    assert ratio[1] < 0.9
    assert abs(level[0] - 0.05) < 3 * np.sqrt(0.05 * 0.95 / n_sets)
    assert level[1] > level[0] + 0.01  # the same data


def test_the_basis_is_that_of_scipy() -> None:
    u = np.sort(np.random.default_rng(8).random(50))
    spline = Spline.through(u, 9)
    expected = interpolate.BSpline.design_matrix(u, spline.knots, 3).toarray()
    np.testing.assert_allclose(spline.basis(u), expected, atol=1e-12)


@pytest.mark.slow
def test_error_bars_of_three_parameters_hold_in_strong_noise() -> None:
    """Errors from the slope of the full spline, which follows the noise, would be far too small here.

    500 sets of 6 sizes x 16 points: |z| < 1.96 in 95 per cent for every parameter; 0.88 and 0.99 are seen.
    """
    rng = np.random.default_rng(12)
    base = curves(16, SIZES[:6])
    z = []
    for _ in range(500):
        fit = collapse(base + 0.02 * rng.standard_normal(base.shape), control="x", stderr=xr.DataArray(0.02))
        z.append(((fit.estimate - list(TRUTH.values())) / fit.stderr).values)
    for parameter in np.transpose(z):
        assert_level(np.abs(parameter) < 1.96, 0.95, off=(0.88, 0.99))


def test_slopes_are_the_derivative_of_the_model() -> None:
    """At the spline as it is: its slope times du/dtheta, plus the curve times the slope of the prefactor."""
    n, x = (np.broadcast_to(v, (8, 30)).ravel() for v in (SIZES[:, None], np.linspace(0.2, 0.8, 30)))
    form, theta = ANSATZE["power"], np.array(list(TRUTH.values()))
    points = Points(n, x, curves(30).values.ravel(), np.full(n.shape, 4.0))
    at = form.places(theta, n, x)
    u, prefactor = at.u, np.exp(at.prefactor)
    spline, reduced = Spline.through(u, 12), reduce(form, points, theta, 12)
    curve = interpolate.BSpline(spline.knots, reduced.coefficients, 3)
    expected = -prefactor * curve.derivative()(u) * n ** (1 / TRUTH["nu"])
    found, by_u = slopes(form, points, theta, np.array([0, 2]), reduced)
    inside = (u > u.min()) & (u < u.max())
    np.testing.assert_allclose(found[inside, 0], expected[inside], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(by_u[inside], -(expected / n ** (1 / TRUTH["nu"]))[inside], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[:, 1], prefactor * curve(u) * np.log(n) / TRUTH["nu"], rtol=1e-6, atol=1e-8)


def test_what_another_curve_would_do_is_no_knowledge() -> None:
    """At one value of n^{1/nu} for all sizes a critical point is only a shift of f: the data know nothing of it.

    With sizes 2 per cent apart the error bar is that of the range of ln n alone, some fifty times the one for sizes a
    factor of three apart; a slope that keeps the shift would promise far more.
    """
    rng = np.random.default_rng(13)
    x = np.linspace(0.0, 0.5, 12)
    errors = []
    for spread in (1.02, 3.0):
        n = np.geomspace(1000 / spread**0.5, 1000 * spread**0.5, 6)
        clean = np.tanh((x - 0.25) * np.log(n)[:, None])
        data = xr.DataArray(clean + 0.01 * rng.standard_normal(clean.shape), dims=("n", "x"), coords={"n": n, "x": x})
        fit = collapse(data, control="x", ansatz="log", stderr=xr.DataArray(0.01))
        errors.append(fit.stderr.item())
    assert errors[0] > 20 * errors[1]


def test_held_parameters_are_tested_with_seeds_too() -> None:
    data = seeded(np.random.default_rng(14), curves(12), 12)
    right, wrong = (collapse(data, control="x", fixed=TRUTH | {"critical": c}) for c in (TRUTH["critical"], 0.55))
    assert right.gof_pvalue > 0.01
    assert wrong.gof_pvalue < 1e-4
    assert np.isnan(right.stderr).all()
