"""What a collapse says of itself: each doubt where it is due, contentment only where all looks were taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from spikecube.scaling import collapse
from spikecube.scaling.collapse_quality import CollapseFindings, collapse_verdict, pattern_test, shift_test
from spikecube.scaling.results import STATUS
from tests.levels import assert_level

SIZES = np.array([32.0, 64.0, 128.0, 256.0, 512.0])
X = np.linspace(-0.1, 0.1, 40)
NAMES = {v: k for k, v in STATUS.items()}
GOOD = CollapseFindings("given", 100.0, 100.0, 0.5, 0.5, 0.5, 0.5, 0.5, True, 0, True, True, None)


def data(y: np.ndarray) -> xr.DataArray:
    return xr.DataArray(y, dims=("n", "x"), coords={"n": SIZES, "x": X})


def scaled() -> np.ndarray:
    """u of nu = 4/3, critical 0."""
    return X * SIZES[:, None] ** 0.75


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((5, 40))


def smooth(values: np.ndarray) -> np.ndarray:
    """Errors of unit variance that neighbours along the control share, as one run serves all of them."""
    kernel = np.exp(-0.5 * (np.subtract.outer(np.arange(40), np.arange(40)) / 6) ** 2)
    return values @ (kernel / np.sqrt((kernel**2).sum(1, keepdims=True))).T


def status(fit: xr.Dataset) -> str:
    return NAMES[int(fit.status)]


def test_a_good_collapse_is_called_one() -> None:
    fit = collapse(data(np.tanh(scaled()) + 0.01 * noise(1)), control="x", stderr=xr.DataArray(0.01))
    assert status(fit) == "ok"
    assert f"within their errors (p = {fit.gof_pvalue.item():.2g})" in fit.message.item()
    assert f"parameters stay (p = {fit.drift_pvalue.item():.2g})" in fit.message.item()
    assert fit.status.attrs["flag_meanings"].split()[int(fit.status)] == "ok"


def test_a_correction_that_chi_squared_does_not_see_is_seen() -> None:
    """The estimates are several errors off, and the test of fit at 200 points does not reject (as in D5a)."""
    u = scaled()
    y = 0.5 * (1 + np.tanh(u)) + 0.25 * SIZES[:, None] ** -0.8 * np.exp(-(u**2)) + 0.004 * noise(2)
    fit = collapse(data(y), control="x", stderr=xr.DataArray(0.004))
    assert np.abs((fit.estimate - [0, 4 / 3, 0]) / fit.stderr).max() > 3
    assert fit.gof_pvalue > 0.01
    assert status(fit) == "drifting"
    assert "Without the smallest size the parameters move" in fit.message.item()
    fit = collapse(data(y), control="x")  # and without errors
    assert status(fit) == "drifting"
    assert "No errors were given" in fit.message.item()


def test_errors_that_points_share_are_doubted() -> None:
    """Errors twice too large leave too little scatter (as in D5b); those that neighbours share leave a pattern."""
    y = np.tanh(scaled())
    fit = collapse(data(y + 0.005 * noise(4)), control="x", stderr=xr.DataArray(0.01))
    assert fit.gof_pvalue > 0.999
    assert status(fit) == "too_good"
    assert "scatter less about the curve than their errors allow" in fit.message.item()
    fit = collapse(data(y + 0.01 * smooth(noise(5))), control="x", stderr=xr.DataArray(0.01))
    assert fit.pattern_pvalue < 1e-6
    assert "Neighbouring residuals of one size go together" in fit.message.item()
    assert status(fit) != "ok"


def test_without_errors_nothing_was_tested() -> None:
    fit = collapse(data(np.tanh(scaled()) + 0.01 * noise(6)), control="x")
    assert status(fit) == "untested"
    assert (
        "take the scatter about the curve for independent errors, and a correction to scaling may hide"
        in fit.message.item()
    )
    assert np.isnan(fit.gof_pvalue)


def test_no_size_to_leave_out_is_said() -> None:
    three = data(np.tanh(scaled()) + 0.01 * noise(7)).isel(n=[0, 2, 4])
    fit = collapse(three, control="x", stderr=xr.DataArray(0.01))
    assert np.isnan(fit.drift_pvalue)
    assert "a correction to scaling would go unseen" in fit.message.item()


def test_a_critical_value_that_nothing_brackets_is_named() -> None:
    """Straight lines that meet at x = -0.2, measured from -0.1 on."""
    y = (X + 0.2) * SIZES[:, None] ** 0.75 / 20 + 0.002 * noise(8)
    fit = collapse(data(y), control="x", stderr=xr.DataArray(0.002), fixed={"nu": 4 / 3, "zeta": 0.0})
    assert fit.estimate.sel(param="critical").item() == pytest.approx(-0.2, abs=5e-3)
    assert "lies outside the control, -0.1 to 0.1" in fit.message.item()
    assert status(fit) == "outside"


@pytest.mark.parametrize("errors", ["given", "none", "seeds"])
@pytest.mark.parametrize("kind", ["zero", "constant", "noise", "levels"])
def test_nothing_is_not_collapsed(kind: str, errors: str) -> None:
    """Zero, a constant, noise, or curves that are flat at a level of their own: no estimate, and a sentence."""
    level = {"zero": 0.0, "constant": 0.3, "noise": 0.0, "levels": 1 / SIZES[:, None]}[kind]
    noisy = kind in ("noise", "levels")
    draws = [data(level + 1e-3 * noisy * noise(10 + s)) for s in range(5 if errors == "seeds" else 1)]
    values = xr.concat(draws, "seed") if errors == "seeds" else draws[0]
    fit = collapse(values, control="x", stderr=xr.DataArray(1e-3) if errors == "given" else None)
    assert status(fit) == "not_resolved"
    assert "nothing to collapse" in fit.message.item()
    assert np.isnan(fit.estimate).all()
    assert not fit.used.any()


def test_results_without_an_estimate_have_the_same_variables() -> None:
    full = collapse(data(np.tanh(scaled()) + 0.01 * noise(6)), control="x")
    empty = collapse(data(np.zeros((5, 40))), control="x")
    only_plots = {"fitted", "residual", "master_curve", "master_stderr", "start_chi2", "converged"}
    assert set(full) - set(empty) <= only_plots | {"scaled_control", "scaled_data", "scaled_stderr"}
    for name in ("pvalue", "expected"):
        assert np.isnan(full[name]).all()


def test_the_akaike_criterion_is_corrected() -> None:
    fit = collapse(data(np.tanh(scaled()) + 0.01 * noise(6)), control="x", stderr=xr.DataArray(0.01))
    p = fit.nobs.item() - fit.dof.item()
    expected = fit.chi2.item() + 2 * p + 2 * p * (p + 1) / (fit.dof.item() - 1)
    assert fit.aicc.item() == pytest.approx(expected, rel=1e-12)


def test_the_verdict_is_the_gravest_doubt_and_names_all() -> None:
    assert collapse_verdict(GOOD)[0] == "ok"
    doubts = {
        "rejected": {"gof_pvalue": 1e-5},
        "too_good": {"too_good": 1e-9},
        "patterned": {"pattern_pvalue": 1e-4},
        "drifting": {"drift_pvalue": 1e-4},
        "unsettled": {"astray": 2},
        "poor_minimum": {"agreed": False},
        "open_interval": {"closed": False},
        "outside": {"beyond": (2.0, 0.0, 1.0)},
        "uneven": {"uneven_pvalue": 1e-4},
    }
    for name, change in doubts.items():
        found, words = collapse_verdict(replace(GOOD, **change))
        assert found == name
        assert "every interval is closed" not in words
    found, words = collapse_verdict(replace(GOOD, gof_pvalue=1e-5, drift_pvalue=1e-4, closed=False))
    assert found == "rejected"
    assert "smallest size" in words
    assert "interval open" in words


def test_the_looks_hold_their_level() -> None:
    """400 sets of pure noise: 5 per cent of the p-values are below 0.05; 0.005 and 0.12 are seen."""
    rng = np.random.default_rng(20)
    size, x = np.repeat([1.0, 2.0, 3.0], 20), np.tile(np.arange(20.0), 3)
    design = np.linalg.qr(np.stack([x**k for k in range(4)], axis=1))[0]
    covariance = np.array([[1.0, 0.9], [0.9, 1.0]])
    pattern, shift, few = [], [], []
    for _ in range(400):
        e = rng.standard_normal(60)
        pattern.append(pattern_test(e - design @ (design.T @ e), design, size, x))
        draw = np.linalg.cholesky(covariance) @ rng.standard_normal(2)
        shift.append(shift_test(draw, covariance, np.inf))
        few.append(shift_test(draw, covariance * rng.chisquare(12) / 12, 12.0))
    for found in (pattern, shift, few):
        assert_level(np.array(found) < 0.05, 0.05, off=(0.005, 0.12))
    assert shift_test(np.array([2.0, -2.0]), covariance, np.inf) < 1e-6


def test_sizes_that_do_not_tell_a_parameter_leave_it_open() -> None:
    """Sizes within a millionth of each other know nothing of nu."""
    close = 100 * (1 + 1e-9 * np.arange(5))
    y = np.tanh(X * 30) + 0.01 * noise(9)
    fit = collapse(
        xr.DataArray(y, dims=("n", "x"), coords={"n": close, "x": X}), control="x", stderr=xr.DataArray(0.01)
    )
    assert "interval open" in fit.message.item()


def corrected(omega: float = 1.0, field: float = 0.0) -> np.ndarray:
    """tanh(u) + 3 n^-omega cosh(u)^-2, u = (x - 0.01)(1 + field (x - 0.01)) n^0.75."""
    away = X - 0.01
    u = away * (1 + field * away) * SIZES[:, None] ** 0.75
    return np.tanh(u) + 3 * SIZES[:, None] ** -omega / np.cosh(u) ** 2


@pytest.mark.parametrize(("options", "field"), [({"correction": 1.0}, 0.0), ({"correction": 1.0, "curved": True}, 2.0)])
def test_a_correction_and_a_bent_field_are_fitted(options: dict, field: float) -> None:
    """The truth lies in the intervals and nothing is doubted; without the options it is far off, with a doubt."""
    values = data(corrected(field=field) + 0.003 * noise(21))
    fit = collapse(values, control="x", stderr=xr.DataArray(0.003), **options)
    truth = xr.DataArray([0.01, 4 / 3, 0.0, field][: fit.sizes["param"]], dims="param")
    assert (np.abs((fit.estimate - truth) / fit.stderr) < 3.5).all()
    assert status(fit) == "ok"
    plain = collapse(values, control="x", stderr=xr.DataArray(0.003))
    assert np.abs((plain.estimate - [0.01, 4 / 3, 0.0]) / plain.stderr).max() > 4
    assert status(plain) != "ok"
    moved = collapse((1e3 * values).assign_coords(x=1e4 * X + 300), control="x", stderr=xr.DataArray(3.0), **options)
    np.testing.assert_allclose(moved.stderr[:3] / [1e4, 1, 1], fit.stderr[:3], rtol=1e-5)
    if field:
        np.testing.assert_allclose(1e4 * moved.estimate.sel(param="field"), fit.estimate.sel(param="field"), rtol=1e-4)


def test_a_correction_that_is_none_gets_a_sentence() -> None:
    for wrong in ("some", -1.0, np.nan, True):
        with pytest.raises(ValueError, match=r"is not None, \"free\" or a positive exponent"):
            collapse(data(np.tanh(scaled())), control="x", correction=wrong)
