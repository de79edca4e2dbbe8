"""Odd arguments of collapses and crossings: each is right, or gets a sentence with what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spikecube.scaling import collapse, crossings

SIZES, X = 2.0 ** np.arange(3, 8), np.linspace(-0.3, 0.3, 21)
BOTH = pytest.mark.parametrize("fit", [collapse, crossings])
Fit = Callable[..., xr.Dataset]


def curves(seed: int = 3) -> xr.DataArray:
    """tanh(u/3) + 1/n with noise, u = x n^0.75."""
    y = np.tanh(X * SIZES[:, None] ** 0.75 / 3) + 1 / SIZES[:, None]
    y = y + 0.005 * np.random.default_rng(seed).standard_normal(y.shape)
    return xr.DataArray(y, dims=("n", "x"), coords={"n": SIZES, "x": X}, name="m")


def errors(value: float = 0.005) -> xr.DataArray:
    """Errors of which the one at (n, x) = (16, X[2]) has a value."""
    found = xr.full_like(curves(), 0.005)
    found[1, 2] = value
    return found


@BOTH
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (curves().values, r"got a numpy.ndarray: write xr.DataArray\(values, dims=\[\"n\", \"x\"\]"),
        (curves().values.tolist(), r"got a list: write xr.DataArray\(values, dims=\[\"n\", \"x\"\]"),
        ((1.0, 2.0), "got a tuple: write xr.DataArray"),
        ("table.csv", "got 'table.csv': open it first"),
        (curves().to_series(), r"got a pandas.Series: write series.rename_axis\(\[\"n\", \"x\"\]\).to_xarray\(\)"),
        (curves().to_dataframe(), r"got a pandas.DataFrame: write frame.set_index\(\[\"n\", \"x\"\]\)"),
        (curves().rename(x="T"), "the data have dims n, T; a c.* takes n, x"),
        (curves().rename(n="L"), "the data have dims L, x; a c.* takes n, x"),
        (curves().isel(x=slice(0)), "the data have no label along 'x'"),
        (curves().where(curves().n < 100, np.inf), r"the data are infinite at n = 128.0, x = -0.3 \(and 20 more\)"),
        (curves().isel(n=[0, 0, 1, 2, 3]), r"8.0 more than once: write data.groupby\('n'\).mean\(\)"),
        (curves().assign_coords(n=-SIZES), "must be positive, finite and without repeats"),
        (curves().assign_coords(n=list("abcde")), "the coordinate 'n' holds"),
    ],
)
def test_data_that_are_none_get_the_line_to_write(fit: Fit, data: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit(data, control="x")


@BOTH
def test_the_line_to_write_works(fit: Fit) -> None:
    frame = curves().to_dataframe("m").reset_index()
    again = frame.set_index(["n", "x"])["m"].to_xarray()
    xr.testing.assert_identical(
        fit(again, control="x", stderr=0.005).estimate, fit(curves(), control="x", stderr=0.005).estimate
    )


@BOTH
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stderr": errors(np.nan)}, r"stderr is missing \(nan\) where the data have a value, at .*n = 16.0"),
        ({"stderr": errors().isel(x=slice(3))}, r"stderr is missing where the data have a value, at x = -0.21, n = 8"),
        ({"stderr": errors(0.0)}, r"is 0 at .*n = 16.0: mask .*zeros=\"drop\""),
        ({"stderr": errors(), "zeros": "some"}, "zeros='some' is not"),
        ({"stderr": -1.0}, "stderr must be positive"),
        ({"stderr": "m"}, "stderr must be an xarray.DataArray with dims n, x, got 'm'"),
        ({"stderr": [0.1]}, "stderr must be an xarray.DataArray with dims n, x, got a list"),
        ({"stderr": pd.DataFrame({"m": [1.0]})}, "got a pandas.DataFrame: write frame.set_index"),
        ({"size": "L"}, "the data have dims n, x; a c.* takes L, x"),
        ({"size": ("n", "x")}, "the data have dims n, x"),
        ({"control": "T"}, "the data have dims n, x; a c.* takes n, T"),
        ({"expected": 3}, r"expected=3 must be a mapping of numbers by name: \{'critical'"),
        ({"expected": {"critical": "a"}}, r"expected\['critical'\] holds"),
    ],
)
def test_odd_options_get_a_sentence(fit: Fit, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit(curves(), **{"control": "x", **options})


@pytest.mark.parametrize(
    ("fit", "options", "words"),
    [
        (collapse, {"rng": "some"}, "rng='some' is no seed"),
        (collapse, {"rng": 1.5}, "rng=1.5 is no seed"),
        (collapse, {"fixed": [1.3]}, "fixed=.* must be a mapping"),
        (collapse, {"ansatz": ["power"]}, r"ansatz=\['power'\] is not one of power, log"),
        (collapse, {"correction": [1.0]}, 'is not None, "free" or a positive exponent'),
        (collapse, {"curved": "yes"}, "curved='yes' is not True or False"),
        (crossings, {"ratio": "2"}, "ratio='2' must be greater than 1"),
        (crossings, {"zeta_over_nu": "x"}, "zeta_over_nu='x' a number"),
    ],
)
def test_options_of_one_of_them_get_a_sentence(fit: Fit, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit(curves(), **{"control": "x", **options})


@BOTH
def test_zeros_among_the_errors_are_left_out(fit: Fit) -> None:
    given = errors(0.0)
    dropped = fit(curves(), control="x", stderr=given, zeros="drop")
    masked = fit(curves().where(given > 0), control="x", stderr=given.where(given > 0))
    xr.testing.assert_identical(dropped.estimate, masked.estimate)
    assert np.isfinite(dropped.estimate).all()
    assert not dropped.identical(fit(curves(), control="x", stderr=0.005))


@BOTH
def test_order_and_kind_of_the_labels_are_nothing(fit: Fit) -> None:
    mixed = curves().isel(n=[3, 0, 4, 1, 2], x=slice(None, None, -1))
    base = fit(curves(), control="x", stderr=errors(0.01))
    for other in (mixed, mixed.assign_coords(n=mixed.n.astype("int16"))):
        given = errors(0.01).assign_coords(n=SIZES.astype(other.n.dtype))
        found = fit(other, control="x", stderr=given)
        np.testing.assert_allclose(found.estimate, base.estimate, rtol=1e-9)


@BOTH
def test_a_control_may_be_measured_twice(fit: Fit) -> None:
    """Two columns at one control are two points of one curve."""
    twice = xr.concat([curves(3), curves(4)], "x").sortby("x")
    both, one = (fit(data, control="x", stderr=0.005) for data in (twice, curves(3)))
    assert (both.stderr.sel(param="critical") < one.stderr.sel(param="critical")).all()
