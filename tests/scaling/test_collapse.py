"""Collapses of known master curves: estimates, coverage, what a bad one says, ragged grids and held parameters."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import interpolate

from spikecube.scaling import collapse
from spikecube.scaling.master_curve import Spline

SIZES = np.array([16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0, 192.0])
TRUTH = {"critical": 0.45, "nu": 1.3, "zeta": -0.125}


def curves(n_points: int = 100, sizes=SIZES) -> xr.DataArray:
    """y = n^{zeta/nu} (1 - tanh(u/3)), u = (x - 0.45) n^{1/nu}; dims (n, x)."""
    x = np.linspace(0.2, 0.8, n_points)
    n = xr.DataArray(sizes, dims="n", coords={"n": sizes})
    u = (xr.DataArray(x, dims="x", coords={"x": x}) - TRUTH["critical"]) * n ** (1 / TRUTH["nu"])
    return (n ** (TRUTH["zeta"] / TRUTH["nu"]) * (1 - np.tanh(u / 3))).transpose("n", "x").rename("magnetisation")


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


def test_intervals_cover_with_known_errors_and_with_seeds() -> None:
    """8 data sets each (scripts/coverage.py has thousands): 95 per cent within 3 standard errors, and so the test."""
    rng = np.random.default_rng(2)
    base = curves(12)
    covered, tests = {"stderr": [], "seed": []}, {"stderr": [], "seed": []}
    for _ in range(8):
        known = base + 0.02 * rng.standard_normal(base.shape)
        for kind, fit in (
            ("stderr", collapse(known, control="x", stderr=xr.DataArray(0.02))),
            ("seed", collapse(seeded(rng, base, 12), control="x")),
        ):
            one = fit.sel(param=["critical", "nu"])
            truth = [TRUTH["critical"], TRUTH["nu"]]
            covered[kind].append(((one.ci_low < truth) & (one.ci_high > truth)).values)
            tests[kind].append(fit.gof_pvalue.item() < 0.05)
    for kind in covered:
        assert (np.mean(covered[kind], axis=0) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 8)).all(), kind
        assert np.mean(tests[kind]) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 8), kind


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
        ({"fixed": {"nu": -1.0}}, "nu=-1.0 is not positive"),
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


def test_the_basis_is_that_of_scipy() -> None:
    u = np.sort(np.random.default_rng(8).random(50))
    spline = Spline.through(u, 9)
    expected = interpolate.BSpline.design_matrix(u, spline.knots, 3).toarray()
    np.testing.assert_allclose(spline.basis(u), expected, atol=1e-12)
