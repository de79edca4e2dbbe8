"""A curve that is sharper than the points' number lets the spline be: told from curves that do not collapse."""

from __future__ import annotations

import numpy as np
import xarray as xr

import spikecube as sc

SIZES, CONTROL = np.array([16.0, 32.0, 64.0, 128.0]), np.linspace(2.2, 2.5, 13)
TRUTH = {"critical": 2.35, "nu": 1.0, "zeta": -0.125}


def step() -> tuple[xr.DataArray, xr.DataArray]:
    """n^-0.125 (1.2 - tanh(u/3)), u up to 19, with 0.3 per cent of noise."""
    n = SIZES[:, None]
    clean = n**-0.125 * (1.2 - np.tanh((CONTROL - 2.35) * n / 3))
    values = clean * (1 + 0.003 * np.random.default_rng(0).standard_normal(clean.shape))
    names = {"dims": ("L", "T"), "coords": {"L": SIZES, "T": CONTROL}}
    return xr.DataArray(values, **names), xr.DataArray(0.003 * clean, **names)


def held(fit: xr.Dataset) -> list[bool]:
    truth = np.array([TRUTH[str(name)] for name in fit["param"].values])
    return ((fit["ci_low"] <= truth) & (truth <= fit["ci_high"])).values.tolist()


def test_a_sharp_curve_is_named_and_not_taken_for_curves_that_do_not_collapse() -> None:
    values, errors = step()
    message = str(sc.collapse(values, "L", "T", stderr=errors)["message"].item())
    assert "One curve through all points is rejected as smooth as their number lets it be (chi2/dof = 13.9" in message
    assert "one of 16 coefficients is not" in message
    assert "do not collapse" not in message


def test_two_observables_that_are_both_sharp_are_named_so() -> None:
    values, errors = step()
    fit = sc.collapse({"m": values, "m2": values**2}, "L", "T", stderr={"m": errors, "m2": 2 * values * errors})
    for message in fit["message"].values:
        assert "sharper than so few points tell" in message
        assert "do not collapse" not in message
        assert "correction to scaling" not in message


def test_a_window_tells_a_sharp_curve_and_auto_finds_it() -> None:
    """The narrowest choice is the one that its own tests reject here: it is no measure of the others."""
    values, errors = step()
    for window in (6.0, "auto"):
        fit = sc.collapse(values, "L", "T", stderr=errors, window=window)
        assert "The curves collapse within their errors" in str(fit["message"].item())
        assert held(fit) == [True] * 3
    assert fit["scan_admitted"].values.tolist() == [[False, False], [True, False], [True, False]]


def test_curves_that_do_not_collapse_are_not_called_sharp() -> None:
    """Each size has its own level, by 3 per cent: no number of coefficients mends it."""
    values, errors = step()
    levels = xr.DataArray([1.0, 1.03, 1.0, 1.03], dims="L")
    message = str(sc.collapse(values * levels, "L", "T", stderr=errors)["message"].item())
    assert "do not collapse onto one line" in message
    assert "sharper than so few points" not in message
