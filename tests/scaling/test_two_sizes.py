"""Losses of two sizes that share a term, and Huber's loss: exact truths, points far off, and refusals in words."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize

import spikecube as sc
from spikecube.scaling.results import STATUS

DIMS = ("N", "D")
N = xr.DataArray(np.array([1e7, 1e8, 3e8, 1e9, 1e10]), dims="N", coords={"N": [1e7, 1e8, 3e8, 1e9, 1e10]})
D = xr.DataArray(np.array([1e9, 1e10, 3e10, 1e11, 1e12]), dims="D", coords={"D": [1e9, 1e10, 3e10, 1e11, 1e12]})
PLAIN = (1.69, 406.4, 0.34, 410.7, 0.28)  # the constants of Hoffmann et al. (2022)


def surface(e: float, a: float, p: float, b: float, q: float, c: float = 0.0) -> xr.DataArray:
    return e + a * N**-p + b * D**-q + c * N**-p * D**-q


def noisy(seed: int = 1) -> xr.DataArray:
    return surface(*PLAIN) * np.exp(
        0.005 * xr.DataArray(np.random.default_rng(seed).standard_normal((5, 5)), dims=DIMS)
    )


@pytest.mark.parametrize(
    "params", [(*PLAIN, -2e5), (0.5, 30.0, 0.25, 7.0, 0.2, 100.0), (0.0, -3.0, 0.5, 7.0, 0.4, 55.0)]
)
def test_a_noise_free_surface_with_an_interaction_comes_back(params: tuple[float, ...]) -> None:
    fit = sc.fit_law(1e-30 * surface(*params), "two_size_interaction", dim=DIMS)
    linear = [name in ("offset", "amplitude_N", "amplitude_D", "amplitude_ND") for name in fit.param.values]
    np.testing.assert_allclose(fit.estimate * np.where(linear, 1e30, 1.0), params, rtol=1e-7, atol=1e-7)
    assert fit.attrs["law"] == "y = E + A N^-a + B D^-b + C N^-a D^-b"


def test_a_surface_without_the_interaction_has_none_and_one_with_it_rejects_the_plain_law() -> None:
    fit = sc.fit_law(noisy(), "two_size_interaction", dim=DIMS, stderr=0.005 * surface(*PLAIN))
    one = fit.sel(param="amplitude_ND")
    assert one.ci_low < 0 < one.ci_high
    assert one.pvalue > 0.05
    joined = surface(*PLAIN, 3e6) + (noisy() - surface(*PLAIN))
    plain = sc.fit_law(joined, "two_size", dim=DIMS, stderr=0.005 * surface(*PLAIN))
    assert plain.status == STATUS["rejected"]


@pytest.mark.parametrize(
    ("law", "params"), [("two_size", PLAIN), ("two_size_interaction", (0.5, 30, 0.25, 7, 0.2, 100))]
)
def test_huber_gives_a_noise_free_surface_back(law: str, params: tuple[float, ...]) -> None:
    fit = sc.fit_law(1e20 * surface(*params), law, dim=DIMS, loss="huber", delta=1e-3)
    linear = ["exponent" not in name for name in fit.param.values]
    np.testing.assert_allclose(fit.estimate / np.where(linear, 1e20, 1.0), params, rtol=1e-7)


def test_huber_is_the_minimum_of_its_loss() -> None:
    """Against SciPy's own search on the published form, log-sum-exp of a - p log N, b - q log D and e."""
    data = noisy()
    log_n, log_d, logs = (v.values.ravel() for v in xr.broadcast(np.log(N), np.log(D), np.log(data)))

    def loss(theta: np.ndarray) -> float:
        a, p, b, q, e = theta
        r = logs - np.logaddexp(np.logaddexp(a - p * log_n, b - q * log_d), e)
        return float(np.where(abs(r) <= 0.004, r**2 / 2, 0.004 * (abs(r) - 0.002)).sum() * 1e4)

    start = [np.log(406.4), 0.34, np.log(410.7), 0.28, np.log(1.69)]
    best = minimize(loss, start, method="BFGS", options={"gtol": 1e-6}).x
    fit = sc.fit_law(data, "two_size", dim=DIMS, loss="huber", delta=0.004)
    np.testing.assert_allclose(
        fit.estimate, [np.exp(best[4]), np.exp(best[0]), best[1], np.exp(best[2]), best[3]], rtol=1e-3
    )
    assert fit.huber_delta == 0.004
    assert "lie beyond delta = 0.004" in str(fit.message.item())


def test_points_far_off_move_squares_and_hardly_huber() -> None:
    data = noisy()
    spoilt = data.copy()
    spoilt[1, 3] *= 1.2
    spoilt[3, 1] *= 0.8

    def moved(**keywords: str) -> np.ndarray:
        clean, other = (sc.fit_law(d, "two_size", dim=DIMS, **keywords) for d in (data, spoilt))
        return np.asarray(abs(other.estimate - clean.estimate) / clean.stderr)

    assert moved().max() > 5
    assert moved(loss="huber").max() < 1
    fit = sc.fit_law(spoilt, "two_size", dim=DIMS, loss="huber")
    assert fit.huber_weight.values[[8, 16]].max() < 0.1
    assert ((fit.ci_low <= list(PLAIN)) & (list(PLAIN) <= fit.ci_high)).all()
    assert "Huber's loss has no test of fit" in str(fit.message.item())


def test_huber_with_errors_has_their_unit_and_a_small_delta_is_named() -> None:
    fit = sc.fit_law(noisy(), "two_size", dim=DIMS, stderr=0.005 * noisy(), loss="huber")
    assert fit.huber_delta == 1.345
    squares = sc.fit_law(noisy(), "two_size", dim=DIMS, stderr=0.005 * noisy())
    np.testing.assert_allclose(fit.estimate, squares.estimate, atol=float(squares.stderr.max()))
    assert fit.stderr.sel(param="exponent_N") == pytest.approx(float(squares.stderr.sel(param="exponent_N")), rel=0.5)
    tight = sc.fit_law(noisy(), "two_size", dim=DIMS, loss="huber", delta=0.001)
    assert "intervals are too narrow; take a larger delta" in str(tight.message.item())
    assert "too narrow" not in str(fit.message.item())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"loss": "absolute"}, "loss='absolute' is not 'squares' or 'huber'"),
        ({"loss": "huber", "delta": 0.0}, "delta=0.0 is not a positive number"),
        ({"delta": 1.0}, "delta=1.0 belongs to loss='huber'"),
        (
            {"loss": "huber", "data": surface(*PLAIN) - 3},
            "one of log y, and the data hold values that are not positive",
        ),
        ({"law": "power", "loss": "huber"}, "loss='huber' is for laws of two sizes (two_size, two_size_interaction)"),
    ],
)
def test_mistakes_are_sentences(change: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        sc.fit_law(**({"data": surface(*PLAIN), "law": "two_size", "dim": DIMS} | change))
