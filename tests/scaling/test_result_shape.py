"""Every fit has the variables of the one shape, those that it lacks with a reason, and so has every empty fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

import spikecube as sc
from spikecube.scaling.results import SHAPE, SOLVED, STATUS, fit_result

SIZES = np.array([10.0, 20.0, 40.0, 80.0])
X = np.linspace(0.0, 1.0, 20)
N = xr.DataArray(SIZES, dims="n", coords={"n": SIZES})
PLANE = xr.DataArray(np.tanh((X - 0.4) * SIZES[:, None]), dims=("n", "x"), coords={"n": SIZES, "x": X})

Fit = Callable[[xr.Dataset, xr.Dataset], xr.Dataset]
SOLVING: dict[str, Fit] = {
    "power": lambda cube, theory: sc.fit_power_law(N**0.5),
    "corrected": lambda cube, theory: sc.fit_power_law(N**0.5 * (1 + 1 / N), correction=1.0, stderr=0.01),
    "free": lambda cube, theory: sc.fit_power_law(xr.DataArray(np.arange(1.0, 7), {"n": 2.0 ** np.arange(6)}), "n"),
    "auto": lambda cube, theory: sc.fit_power_law(N**0.5, stderr=0.01, n_min="auto"),
    "outliers": lambda cube, theory: sc.fit_outliers(cube.isel(alpha=[5, 6]), prediction=False),
    "gaps": lambda cube, theory: sc.fit_gaps(cube.isel(alpha=[1], lam=[0]), prediction=False),
    "limits": lambda cube, theory: sc.fit_limits(cube.isel(alpha=[1], lam=[0]), prediction=False),
    "thresholds": lambda cube, theory: sc.fit_thresholds(cube),
    "collapse": lambda cube, theory: sc.collapse(PLANE, control="x"),
    "collapse with errors": lambda cube, theory: sc.collapse(
        PLANE, control="x", stderr=xr.full_like(PLANE, 0.01), expected={"critical": 0.4}
    ),
}
EMPTY: dict[str, Fit] = {
    "power of nothing": lambda cube, theory: sc.fit_power_law(N * np.nan),
    "power at two sizes": lambda cube, theory: sc.fit_power_law(N[:2]),
    "outliers that never detach": lambda cube, theory: sc.fit_outliers(
        cube.isel(alpha=[0]).assign(outlier_count=cube.outlier_count.isel(alpha=[0]) * 0), prediction=False
    ),
    "gaps without seeds": lambda cube, theory: sc.fit_gaps(cube.isel(alpha=[1], lam=[0], seed=[0]), prediction=False),
    "limits at one size": lambda cube, theory: sc.fit_limits(cube.isel(alpha=[1], lam=[0], n=[0]), prediction=False),
    "thresholds of no spike": lambda cube, theory: sc.fit_thresholds(cube.assign(outlier_count=cube.outlier_count * 0)),
    "collapse of two curves": lambda cube, theory: sc.collapse(PLANE[:2], control="x"),
    "collapse of constants": lambda cube, theory: sc.collapse(PLANE * 0, control="x"),
    "collapse of nothing": lambda cube, theory: sc.collapse(PLANE * np.nan, control="x"),
}


def check_shape(fit: xr.Dataset) -> None:
    """Fail unless a fit has the one shape."""
    labels = fit["status"].dims
    for name, tail in SHAPE.items():
        assert fit[name].dims == (*labels, *tail), name
        assert fit[name].attrs["long_name"], name
        if name not in ("message", "expected") and (fit[name].isnull().all() and "comment" not in fit[name].attrs):
            assert not np.isin(fit["status"], [STATUS[s] for s in ("ok", "rejected")]).any(), f"{name} has no reason"
    assert all(isinstance(m, str) and m.endswith(".") for m in np.ravel(fit["message"].values).tolist())
    solved = np.isin(fit["status"], [STATUS[name] for name in SOLVED])
    assert (fit["estimate"].notnull().any("param").values == solved).all()


@pytest.mark.parametrize("name", SOLVING)
def test_a_fit_has_the_one_shape(name: str, cube: xr.Dataset, prediction: xr.Dataset) -> None:
    fit = SOLVING[name](cube, prediction)
    check_shape(fit)
    assert fit["estimate"].notnull().any()


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_fit_has_the_same_shape(name: str, cube: xr.Dataset, prediction: xr.Dataset) -> None:
    fit = EMPTY[name](cube, prediction)
    check_shape(fit)
    assert fit["estimate"].isnull().all()


def test_a_variable_without_a_reason_is_refused() -> None:
    found = {"status": ((), np.zeros(1, np.int8)), "message": ((), np.array(["Fine."]))}
    with pytest.raises(KeyError, match="estimate"):
        fit_result(found, ["slope"], coords={}, law="y = b x", quantity="y")


def test_a_collapse_tests_what_is_expected_by_its_own_interval() -> None:
    noisy = PLANE + 0.01 * np.random.default_rng(1).standard_normal(PLANE.shape)
    stderr = xr.full_like(PLANE, 0.01)
    fit = sc.collapse(noisy, control="x", ansatz="log", stderr=stderr)
    end = {"critical": float(fit.ci_high.item())}
    again = sc.collapse(noisy, control="x", ansatz="log", stderr=stderr, expected=end)
    assert float(again.pvalue.item()) == pytest.approx(0.05, abs=1e-9)
    assert fit.pvalue.isnull()
    with pytest.raises(ValueError, match="expected='beta' is no parameter of 'power', which has critical, nu, zeta"):
        sc.collapse(noisy, control="x", expected={"beta": 0.1})
