"""A fit is shown as its verdict and its table, and what is no fit is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import spikecube as sc
from spikecube.scaling.errors import FitError

SIZES = np.array([100.0, 200.0, 400.0, 800.0])


@pytest.fixture(scope="module")
def data() -> xr.DataArray:
    values = np.outer([1.0, 2.0], 3 * SIZES**-0.5)
    return xr.DataArray(values, dims=("T", "n"), coords={"n": SIZES, "T": [1.0, 2.0]}, name="m")


def test_a_fit_without_theory_is_told_curve_by_curve(data: xr.DataArray) -> None:
    shown = sc.show(sc.fit_power_law(data, stderr=0.01))
    assert shown.header == ["T", "param", "estimate", "95% interval", "p of fit", "status"]
    assert [row[:2] for row in shown.rows] == [[t, p] for t in "12" for p in ("log_amplitude", "exponent")]
    assert shown.verdict.startswith("T = 1: log_amplitude = 1.09")
    assert str(shown).endswith("ok")
    assert "<td>-0.498(38)</td>" in shown._repr_html_()


def test_a_fit_beside_theory_says_what_agrees(data: xr.DataArray) -> None:
    expected = xr.DataArray([[-0.5], [-1.0]], dims=("T", "param"), coords={"T": data["T"], "param": ["exponent"]})
    fit = sc.fit_power_law(data, stderr=0.01)
    fit["expected"] = expected.reindex(param=fit["param"]).transpose(*fit["expected"].dims)
    shown = sc.show(fit)
    assert "2 of 2 curves could be fitted, and 1 of 2 intervals of 95 per cent" in shown.verdict
    assert [row[4] for row in shown.rows] == ["-0.5", "-1"]
    assert [row[1] for row in shown.rows] == ["exponent", "exponent"]
    one = sc.show(fit.sel(T=2.0))
    assert "the one interval of 95 per cent" in one.verdict
    assert "does not hold" in one.verdict
    assert len(one.rows) == 1


def test_what_cannot_be_fitted_has_no_row(data: xr.DataArray) -> None:
    shown = sc.show(sc.fit_power_law(data.isel(n=[0]), stderr=0.01))
    assert shown.rows == []
    assert "sizes" in str(shown)


def test_many_rows_are_counted_and_markup_is_escaped(data: xr.DataArray) -> None:
    names = xr.DataArray([f"<b>{i}" for i in range(50)], dims="T")
    shown = sc.show(sc.fit_power_law(data.isel(T=[0] * 50).assign_coords(T=names), stderr=0.01))
    assert (len(shown.rows), shown.left_out) == (60, 40)
    assert "40 more rows are not shown." in str(shown)
    assert "&lt;b&gt;0" in shown._repr_html_()
    assert "<b>" not in shown._repr_html_()


def test_what_is_no_fit_is_refused(data: xr.DataArray) -> None:
    fit = sc.fit_power_law(data, stderr=0.01)
    for thing in (data, data.to_dataset(), fit.sel(param="exponent"), "fit.nc"):
        with pytest.raises(FitError, match=r"^show: given .*; allowed: a fit with all its parameters"):
            sc.show(thing)  # type: ignore[arg-type]
