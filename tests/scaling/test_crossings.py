"""Crossings of the curves of sizes n and 2n: where they are, what they share, and where they run to."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import spikecube as sc
from spikecube.scaling.crossing_points import extrapolate
from spikecube.scaling.results import STATUS
from tests.scaling.test_result_shape import check_shape

SIZES, X = 2.0 ** np.arange(3, 9), np.linspace(-0.3, 0.3, 31)
NOISE = 0.005


def curves(correction: float = 1.0, level: float = 0.0) -> xr.DataArray:
    """tanh(u/3) + level + correction/n, u = x n^0.75: n and 2n cross near A n^-1.75."""
    y = np.tanh(X * SIZES[:, None] ** 0.75 / 3) + level + correction / SIZES[:, None]
    return xr.DataArray(y, dims=("n", "x"), coords={"n": SIZES, "x": X})


def noisy(seed: int, **options: float) -> xr.DataArray:
    return curves(**options) + NOISE * np.random.default_rng(seed).standard_normal((6, 31))


@pytest.fixture(scope="module")
def fit() -> xr.Dataset:
    return sc.crossings(noisy(1), control="x", stderr=NOISE)


def test_it_finds_the_point_and_the_exponent(fit: xr.Dataset) -> None:
    check_shape(fit)
    assert fit.status == 0
    assert abs(fit.estimate.sel(param="critical")) < 3.5 * fit.stderr.sel(param="critical")
    one = fit.sel(param="exponent")
    assert abs(one.estimate - 1.75) < 3.5 * one.stderr
    np.testing.assert_array_equal(fit.n, SIZES[:-1])
    np.testing.assert_allclose(fit.residual, (fit.data - fit.fitted) / fit.data_stderr)
    assert all("long_name" in v.attrs for v in fit.data_vars.values())


def test_without_noise_crossings_are_exact() -> None:
    """The places are roots of the difference of the two curves."""
    found = sc.crossings(curves(), control="x", stderr=1e-7, exponent=(0.5, 4.0))
    for n, place in zip(SIZES[:3], found.data.values[:3], strict=True):
        left = np.tanh(place * (2 * n) ** 0.75 / 3) + 0.5 / n - np.tanh(place * n**0.75 / 3) - 1 / n
        slope = ((2 * n) ** 0.75 - n**0.75) / 3
        assert abs(left / slope) < 1e-4


def test_it_agrees_with_the_collapse() -> None:
    """One set of data, two ways: they differ by less than their errors allow, also where both know the correction."""
    data = noisy(2)
    crossed = sc.crossings(data, control="x", stderr=NOISE).sel(param="critical")
    collapsed = sc.collapse(data, control="x", stderr=xr.DataArray(NOISE), correction=1.0).sel(param="critical")
    assert abs(crossed.estimate - collapsed.estimate) < 3 * np.hypot(crossed.stderr, collapsed.stderr)
    assert abs(collapsed.estimate) < 3.5 * collapsed.stderr


def test_errors_of_crossings_are_those_of_repetitions() -> None:
    """30 sets: the spread of each crossing is its error to 40 per cent (three standard errors of it).

    Neighbours share one size and go against each other.
    """
    found = [sc.crossings(noisy(s), control="x", stderr=NOISE) for s in range(30)]
    places = np.array([f.data.values for f in found])
    errors = np.mean([f.data_stderr.values for f in found], axis=0)
    np.testing.assert_allclose(places.std(0) / errors, 1.0, atol=0.4)
    measured, said = np.corrcoef(places.T), np.mean([f.crossing_covariance.values for f in found], axis=0)
    said = said / np.sqrt(np.outer(np.diag(said), np.diag(said)))
    assert (np.diag(said, 1) < -0.1).all()
    np.testing.assert_allclose(np.diag(measured, 1), np.diag(said, 1), atol=0.55)
    np.testing.assert_array_equal(np.diag(said, 2), 0.0)


def test_curves_that_cross_at_one_point_leave_the_exponent_open() -> None:
    found = sc.crossings(noisy(3, correction=0.0), control="x", stderr=NOISE)
    assert found.status == STATUS["open_interval"]
    assert "do not tell the exponent" in found.message.item()
    critical = found.sel(param="critical")
    assert critical.ci_low < 0 < critical.ci_high
    held = sc.crossings(noisy(3, correction=0.0), control="x", stderr=NOISE, exponent=1.75)
    assert held.status == 0
    assert np.isnan(held.stderr.sel(param="exponent"))
    assert held.stderr.sel(param="critical") < 0.002


def test_p_values_are_those_of_the_intervals(fit: xr.Dataset) -> None:
    for name in ("critical", "exponent"):
        end = fit.ci_high.sel(param=name).item()
        again = sc.crossings(noisy(1), control="x", stderr=NOISE, expected={name: end})
        assert again.pvalue.sel(param=name).item() == pytest.approx(0.05, abs=2e-3)


@pytest.mark.parametrize("errors", ["given", "none", "seeds"])
def test_units_order_and_types_change_nothing(errors: str) -> None:
    data = noisy(4)
    if errors == "seeds":
        data = xr.concat([noisy(s) for s in range(5)], "seed")
    known = NOISE if errors == "given" else None
    first = sc.crossings(data, control="x", stderr=known)
    moved = (-1e12 * data).assign_coords(x=3e4 * X + 90).isel(n=[3, 0, 5, 1, 4, 2], x=slice(None, None, -1))
    second = sc.crossings(
        moved.astype("float32" if errors == "none" else float),
        control="x",
        stderr=None if known is None else 1e12 * known,
    )
    close = 1e-2 if errors == "none" else 1e-5
    assert abs((second.estimate[0] - 90) / 3e4 - first.estimate[0]) < close * first.stderr[0]
    np.testing.assert_allclose(second.stderr[2], first.stderr[2], rtol=close)
    np.testing.assert_allclose(second.level, -1e12 * first.level, rtol=close, atol=close * 1e12)


def test_curves_with_a_power_before_them_cross_when_it_is_given() -> None:
    power = xr.DataArray(SIZES**0.4, dims="n", coords={"n": SIZES})
    plain = sc.crossings(noisy(5, level=2.0), control="x", stderr=NOISE)
    lifted = sc.crossings(noisy(5, level=2.0) * power, control="x", stderr=NOISE * power, zeta_over_nu=0.4)
    np.testing.assert_allclose(lifted.estimate, plain.estimate, rtol=1e-6, atol=1e-9)
    lost = sc.crossings(noisy(5, level=2.0) * power, control="x", stderr=NOISE * power)
    assert lost.status != 0 or abs(lost.estimate[0]) > 10 * plain.stderr[0]


def test_curves_that_never_cross_have_no_estimate() -> None:
    apart = curves() + 10 * xr.DataArray(SIZES, dims="n")
    found = sc.crossings(apart, control="x", stderr=NOISE)
    check_shape(found)
    assert found.status == STATUS["too_few_sizes"]
    assert "Only 0 of 5 pairs" in found.message.item()


def test_sizes_that_share_curves_are_weighed_by_their_covariance() -> None:
    """x = 1 + 2/n with a covariance: generalised least squares by hand."""
    n, rng = np.array([1.0, 2.0, 4.0, 8.0]), np.random.default_rng(6)
    root = rng.standard_normal((4, 4))
    covariance = 1e-6 * (root @ root.T + np.eye(4))
    places = 1 + 2 / n + np.linalg.cholesky(covariance) @ rng.standard_normal(4)
    found = extrapolate(n, places, covariance, (1.0, 1.0), np.inf, np.full(3, np.nan))
    design, weight = np.stack([np.ones(4), 1 / n], axis=1), np.linalg.inv(covariance)
    normal = np.linalg.inv(design.T @ weight @ design)
    np.testing.assert_allclose(found.theta[:2], normal @ design.T @ weight @ places, rtol=1e-9)
    np.testing.assert_allclose(found.covariance[:2, :2], normal, rtol=1e-6)
    np.testing.assert_allclose(found.high[:2] - found.theta[:2], 1.959964 * np.sqrt(np.diag(normal)), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ratio": 3.0}, r"no two sizes have the ratio 3: give ratio= \(neighbours have 2\)"),
        ({"ratio": 1.0}, "must be greater than 1"),
        ({"exponent": -1.0}, "must be a positive number or a pair"),
        ({"exponent": (3.0, 1.0)}, "must be a positive number or a pair"),
        ({"expected": {"nu": 1.0}}, "which has critical, amplitude, exponent"),
        ({"control": "y"}, "the data have dims n, x"),
    ],
)
def test_what_is_not_allowed_gets_a_sentence(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sc.crossings(curves(), **{"control": "x", "stderr": NOISE, **options})
