"""Errors that points of one size share: with their covariance given, and read off the residuals."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from spikecube.scaling import collapse
from spikecube.scaling.collapse_sharing import Sharing, read_sharing

SIZES, X = np.array([16.0, 32.0, 64.0, 128.0, 256.0]), np.linspace(-0.1, 0.1, 16)
NOISE = 0.02
SHARED = NOISE**2 * (0.1 * np.eye(16) + 0.9)


def plane(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("n", "x"), coords={"n": SIZES, "x": X})


def noisy(seed: int, covariance: np.ndarray = SHARED) -> xr.DataArray:
    draws = np.random.default_rng(seed).standard_normal((5, 16)) @ np.linalg.cholesky(covariance).T
    return plane(1 + np.tanh(X * SIZES[:, None] ** 0.75 / 3) + draws)


def test_a_diagonal_covariance_is_standard_errors() -> None:
    errors = NOISE * np.random.default_rng(2).uniform(0.5, 2.0, 16)
    data = noisy(1, np.diag(errors**2))
    given = collapse(data, control="x", covariance=np.diag(errors**2))
    plain = collapse(data, control="x", stderr=plane(np.tile(errors, (5, 1))))
    for name in ("estimate", "stderr", "chi2", "gof_pvalue", "drift", "master_stderr"):
        np.testing.assert_allclose(given[name], plain[name], rtol=1e-6, atol=1e-9)


def test_a_covariance_is_generalised_least_squares() -> None:
    """Whole curves that go up and down: chi2 is that of the covariance; no unit, order or form changes an answer."""
    data = noisy(3)
    fit = collapse(data, control="x", covariance=SHARED)
    assert 0.001 < fit.gof_pvalue < 0.999
    left = (data - fit.fitted.transpose("n", "x")).values
    expected = sum(row @ np.linalg.solve(SHARED, row) for row in left)
    assert fit.chi2.item() == pytest.approx(expected, rel=1e-6)
    labels = {"x_i": 1e3 * X[::-1] + 5, "x_j": 1e3 * X + 5}
    labelled = xr.DataArray(1e-8 * SHARED[::-1], dims=("x_i", "x_j"), coords=labels)
    turned = (1e-4 * data).isel(n=[3, 1, 4, 0, 2], x=slice(None, None, -1)).assign_coords(x=1e3 * X[::-1] + 5)
    by_size = labelled.expand_dims(n=SIZES[::-1])
    for covariance in (labelled, by_size):
        other = collapse(turned, control="x", covariance=covariance)
        unit = np.array([1e3, 1, 1])
        off = (other.estimate.values - [5, 0, 0]) / unit - fit.estimate.values
        assert (np.abs(off) < 1e-5 * fit.stderr.values).all()
        np.testing.assert_allclose(other.stderr / unit, fit.stderr, rtol=1e-5)
    np.testing.assert_allclose(
        collapse(data.astype("float32"), control="x", covariance=SHARED).stderr, fit.stderr, rtol=1e-3
    )


def test_shared_errors_are_read_off_and_lift_the_doubt() -> None:
    """Taken for independent such points show a pattern; read off the residuals their errors show none."""
    data, errors = noisy(4), xr.DataArray(NOISE)
    plain, shared = collapse(data, control="x", stderr=errors), collapse(data, control="x", stderr=errors, shared="n")
    assert plain.pattern_pvalue < 1e-6
    assert "their points share errors" in plain.message.item()
    assert shared.pattern_pvalue > 0.01
    assert 0.01 < shared.gof_pvalue < 0.99
    assert shared.status == 0
    known = collapse(data, control="x", covariance=SHARED)
    assert (np.abs(shared.estimate - known.estimate) < known.stderr).all()
    np.testing.assert_allclose(shared.stderr / known.stderr, 1.0, atol=0.4)
    assert (shared.t_dof < np.inf).all()
    moved = collapse((1e5 * data).assign_coords(x=30 * X - 2), control="x", stderr=1e5 * errors, shared="n")
    np.testing.assert_allclose(moved.stderr / [30, 1, 1], shared.stderr, rtol=1e-4)


@pytest.mark.parametrize("known", [True, False])
def test_the_sharing_that_made_the_data_is_read(known: bool) -> None:
    """40 sizes: own share and length within a third and a half; independent errors share nothing that counts."""
    rng = np.random.default_rng(6)
    truth = Sharing(0.3, 0.5, 1.0)
    u, size = np.tile(np.linspace(0, 2, 20), 40), np.repeat(np.arange(40.0), 20)
    draws = (rng.standard_normal((40, 20)) @ np.linalg.cholesky(truth.correlation(u[:20])).T).ravel()
    fitted = np.linalg.qr(np.stack([u**k for k in range(4)], axis=1))[0]
    found = read_sharing(u, u, size, draws if known else 7 * draws, fitted, known)
    assert found.own == pytest.approx(0.3, rel=0.33)
    assert found.length == pytest.approx(0.5, rel=0.5)
    assert found.variance == pytest.approx(1.0 if known else 49.0, rel=0.2)
    independent = read_sharing(u, u, size, rng.standard_normal(800), fitted, known)
    assert independent.own > 0.8


def test_correlations_along_the_control_are_told_from_those_along_u() -> None:
    rng = np.random.default_rng(7)
    control, size = np.tile(np.linspace(0, 2, 20), 20), np.repeat(np.geomspace(1, 50, 20), 20)
    truth = Sharing(0.05, 0.4, 1.0)
    draws = (rng.standard_normal((20, 20)) @ np.linalg.cholesky(truth.correlation(control[:20])).T).ravel()
    fitted = np.linalg.qr(np.stack([np.ones(400), control], axis=1))[0]
    assert not read_sharing(control * size, control, size, draws, fitted, True).scaled
    assert read_sharing(control, control * size, size, draws, fitted, True).scaled


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shared": "x"}, "shared='x' is not None or 'n'"),
        ({"shared": True}, "shared=True is not None or 'n'"),
        ({"covariance": SHARED, "stderr": 0.1}, "covariance= goes alone"),
        ({"covariance": SHARED[:3]}, "covariance must be a DataArray with dims x_i, x_j and perhaps n"),
        ({"covariance": np.ones((16, 16))}, "covariance must be positive definite"),
        ({"covariance": np.triu(SHARED)}, "covariance must be finite and symmetric"),
        ({"covariance": "wide"}, "got str"),
        ({"covariance": xr.DataArray(SHARED, dims=("x_i", "x_j"), coords={"x_i": X + 1})}, "lacks labels of the data"),
    ],
)
def test_what_is_not_allowed_gets_a_sentence(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        collapse(noisy(1), control="x", **options)
    seeds = xr.concat([noisy(s) for s in (1, 2, 3)], "seed")
    with pytest.raises(ValueError, match="leave out shared and covariance"):
        collapse(seeds, control="x", covariance=SHARED)


def test_degrees_of_freedom_are_those_of_the_sizes() -> None:
    """A parameter that rests on one shared draw for each size has few; |t| of the right dof is no normal variable."""
    fit = collapse(noisy(8), control="x", stderr=xr.DataArray(NOISE), shared="n")
    assert fit.t_dof.min() < 60
    width = (fit.ci_high - fit.estimate).sel(param="critical") / fit.stderr.sel(param="critical")
    np.testing.assert_allclose(width, stats.t.ppf(0.975, fit.t_dof.sel(param="critical")), rtol=1e-9)
