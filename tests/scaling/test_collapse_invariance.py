"""Units, zeros, orders and dtypes change nothing that a collapse says; windows are those of the answer."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from spikecube.scaling import collapse

SIZES = np.array([16.0, 32.0, 64.0, 128.0])
X = np.linspace(-0.05, 0.05, 41)
NOISE = 0.01
CLOSE = 1e-6  # of a standard error, and of each standard error: what rounding does to the end of a descent


def noisy(seed: int = 1) -> xr.DataArray:
    """tanh(x n) with noise of 0.01: critical 0, nu 1, zeta 0."""
    rng = np.random.default_rng(seed)
    y = np.tanh(X * SIZES[:, None]) + NOISE * rng.standard_normal((4, 41))
    return xr.DataArray(y, dims=("n", "x"), coords={"n": SIZES, "x": X})


@pytest.fixture(scope="module")
def plain() -> xr.Dataset:
    return collapse(noisy(), control="x", stderr=xr.DataArray(NOISE))


def assert_same(
    fit: xr.Dataset, plain: xr.Dataset, factor: float = 1.0, shift: float = 0.0, close: float = CLOSE
) -> None:
    """The same answer, for a control x -> factor x + shift, up to the rounding of x."""
    unit = np.array([factor, 1.0, 1.0])
    moved = (fit.estimate.values - [shift, 0, 0]) / unit
    rounding = 4 * np.finfo(float).eps * abs(shift) / abs(factor) / float(plain.stderr[0])
    np.testing.assert_allclose(moved, plain.estimate, rtol=0, atol=(close + rounding) * plain.stderr.values.max())
    assert (np.abs(moved - plain.estimate.values) < (close + rounding) * plain.stderr.values).all()
    np.testing.assert_allclose(fit.stderr / np.abs(unit), plain.stderr, rtol=close)
    np.testing.assert_allclose(fit.gof_pvalue, plain.gof_pvalue, rtol=close)
    np.testing.assert_allclose(fit.drift_pvalue, plain.drift_pvalue, rtol=1e3 * close)
    np.testing.assert_allclose(fit.pattern_pvalue, plain.pattern_pvalue, rtol=1e3 * close)
    assert fit.status == plain.status


@pytest.mark.parametrize(
    ("factor", "shift"), [(1e-8, 0.0), (3e-4, 0.0), (1e8, 0.0), (1.0, 300.0), (1.0, 1000.0), (-2.5, -7.0), (1e-3, 4e-3)]
)
def test_unit_and_zero_of_the_control(plain: xr.Dataset, factor: float, shift: float) -> None:
    data = noisy().assign_coords(x=factor * X + shift)
    assert_same(collapse(data, control="x", stderr=xr.DataArray(NOISE)), plain, factor, shift)


@pytest.mark.parametrize("unit", [1e-160, -3.0, 1e150])
def test_unit_of_the_values(plain: xr.Dataset, unit: float) -> None:
    fit = collapse(unit * noisy(), control="x", stderr=xr.DataArray(NOISE * abs(unit)))
    assert_same(fit, plain)
    np.testing.assert_allclose(fit.master_curve, unit * plain.master_curve, rtol=1e-6, atol=1e-6 * abs(unit))
    np.testing.assert_allclose(fit.residual, np.sign(unit) * plain.residual, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-9, 7.0, 1e12])
def test_unit_of_the_sizes(plain: xr.Dataset, unit: float) -> None:
    fit = collapse(noisy().assign_coords(n=unit * SIZES), control="x", stderr=xr.DataArray(NOISE))
    assert_same(fit, plain)
    np.testing.assert_allclose(fit.scaled_control, plain.scaled_control * unit ** (1 / fit.estimate[1]), rtol=1e-6)


@pytest.mark.parametrize("kind", ["none", "seeds"])
def test_units_with_errors_of_other_kinds(kind: str) -> None:
    data = noisy()
    if kind == "seeds":
        data = xr.concat([noisy(s) for s in range(5)], "seed")
    first = collapse(data, control="x")
    second = collapse((-1e-30 * data).assign_coords(x=1e6 * X + 2e7, n=1e3 * SIZES), control="x")
    unit = np.array([1e6, 1.0, 1.0])
    off = (second.estimate.values - [2e7, 0, 0]) / unit - first.estimate.values
    assert (np.abs(off) < CLOSE * first.stderr.values).all()
    np.testing.assert_allclose(second.stderr / unit, first.stderr, rtol=CLOSE)


def test_order_of_labels_is_nothing(plain: xr.Dataset) -> None:
    """Errors that differ from point to point, in another order than the data along both dims."""
    rng = np.random.default_rng(5)
    errors = xr.DataArray(NOISE * rng.uniform(0.5, 2.0, (4, 41)), dims=("n", "x"), coords={"n": SIZES, "x": X})
    base = collapse(noisy(), control="x", stderr=errors)
    for n, x in ((slice(None, None, -1), slice(None)), (rng.permutation(4), rng.permutation(41))):
        shuffled = noisy().isel(n=n, x=x).transpose("x", "n")
        fit = collapse(shuffled, control="x", stderr=errors.isel(x=slice(None, None, -1)))
        xr.testing.assert_identical(fit, base)
    assert not np.allclose(base.estimate, plain.estimate, rtol=1e-9)


def test_dtypes_are_nothing() -> None:
    """float32 and integers are what they hold."""
    data = (1e4 * noisy()).round().assign_coords(x=np.arange(-20, 21))
    error = xr.DataArray(1e4 * NOISE)
    base = collapse(data, control="x", stderr=error)
    for data_type, size_type, control_type in (("int64", "int32", "int16"), ("float32", "float32", "float32")):
        other = data.astype(data_type).assign_coords(n=SIZES.astype(size_type), x=data.x.values.astype(control_type))
        xr.testing.assert_allclose(collapse(other, control="x", stderr=error), base, rtol=1e-12)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1), [2, 0, 4, 1, 3]])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_relative_errors_over_many_decades(order: slice | list[int], noise: float) -> None:
    """y = n^0.6 exp(-(u + 1)^2), u = n^0.4 (x - 0.5): critical 0.5, nu 2.5, zeta 1.5; errors of 10 per cent."""
    sizes, x = np.array([10.0, 31, 100, 316, 1000]), np.linspace(-0.5, 0.8, 60)
    u = sizes[:, None] ** 0.4 * (x - 0.5)
    clean = xr.DataArray(sizes[:, None] ** 0.6 * np.exp(-((u + 1) ** 2)), dims=("n", "x"), coords={"n": sizes, "x": x})
    data = clean * (1 + noise * np.random.default_rng(2).standard_normal(clean.shape))
    fit = collapse(data.isel(n=order), control="x", stderr=0.1 * data)
    if noise:
        assert (np.abs((fit.estimate - [0.5, 2.5, 1.5]) / fit.stderr) < 3.5).all()
        assert fit.status == 0
    else:
        np.testing.assert_allclose(fit.estimate, [0.5, 2.5, 1.5], rtol=1e-6)
    assert (fit.stderr < [0.002, 0.01, 0.04]).all()
    used = fit.used.values
    np.testing.assert_allclose(np.log(fit.fitted.values[used] / clean.T.values[used]), 0.0, atol=0.2)


@pytest.mark.parametrize("window", [2.0, (-1.5, 1.0), (-np.inf, 1.5), 2.1])
def test_a_window_is_that_of_the_answer(window: float | tuple[float, float]) -> None:
    """Far points follow another law, so that the fit to all points has other scaled controls."""
    rng = np.random.default_rng(4)
    n, x = np.array([32.0, 64.0, 128.0, 256.0]), np.linspace(-0.1, 0.1, 81)
    u = x * n[:, None] ** 0.75
    y = np.tanh(u) + 0.3 * np.maximum(u - 2.5, 0) / n[:, None] ** 0.4 + 0.005 * rng.standard_normal(u.shape)
    data = xr.DataArray(y, dims=("n", "x"), coords={"n": n, "x": x})
    fit = collapse(data, control="x", stderr=xr.DataArray(0.005), window=window)
    low, high = window if isinstance(window, tuple) else (-window, window)
    inside = (low <= fit.scaled_control) & (fit.scaled_control <= high)
    if window == 2.1:  # one point is in or out, and moves the parameters so that it is out or in
        assert (inside != fit.used).sum() == 1
        assert "The window does not settle" in fit.message.item()
        return
    assert (inside == fit.used).all()
    assert fit.nobs == fit.used.sum() < data.size
    np.testing.assert_array_equal(np.isfinite(fit.residual), fit.used)
    assert (np.abs((fit.estimate - [0, 4 / 3, 0]) / fit.stderr) < 3.5).all()
    np.testing.assert_allclose((fit.residual**2).sum(), fit.chi2, rtol=1e-6)


@pytest.mark.parametrize("window", [0.0, -1.0, np.nan, (1.0, -1.0), (1.0, 1.0), (1, 2, 3), "wide", True, (np.nan, 1.0)])
def test_bad_windows_get_a_sentence(window: object) -> None:
    with pytest.raises(ValueError, match="must be a positive number or a pair"):
        collapse(noisy(), control="x", window=window)


def test_units_and_attributes_are_kept() -> None:
    data = noisy().assign_attrs(units="J").rename("energy")
    data = data.assign_coords(n=("n", SIZES, {"long_name": "length"}), x=("x", X, {"units": "K"}))
    fit = collapse(data, control="x", stderr=xr.DataArray(NOISE))
    assert fit.param_units.values.tolist() == ["K", "1", "1"]
    assert fit.data.attrs["units"] == fit.fitted.attrs["units"] == fit.data_stderr.attrs["units"] == "J"
    assert "units" not in fit.estimate.attrs
    assert fit.x.attrs["units"] == "K"
    assert fit.n.attrs["long_name"] == "length"
    np.testing.assert_array_equal(fit.data, data.transpose("x", "n"))


def test_rng_is_whatever_numpy_takes() -> None:
    data = noisy().isel(x=slice(None, None, 3))
    one, same = (
        collapse(data, control="x", ansatz="log", stderr=xr.DataArray(NOISE), rng=rng)
        for rng in (1, np.random.default_rng(1))
    )
    xr.testing.assert_identical(one, same)
    assert one.bootstrap_stderr.item() > 0


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (noisy().values, {}, "data must be an xarray.DataArray with dims n, x, got a numpy.ndarray: write"),
        (noisy().astype(complex), {}, "the data are of dtype complex128; a collapse takes real numbers"),
        (noisy().drop_vars("x"), {}, "the data have no coordinate 'x'"),
        (noisy().assign_coords(x=X.astype(str)), {}, "the coordinate 'x' must hold finite numbers"),
        (noisy().assign_coords(x=np.r_[np.nan, X[1:]]), {}, "the coordinate 'x' must hold finite numbers"),
        (noisy().rename(x="param"), {"control": "param"}, "'param' names a dim of the result"),
        (noisy(), {"control": "n"}, "the data have dims n, x; a collapse takes n, n and perhaps seed"),
        (noisy(), {"fixed": {"critical": np.nan}}, "must hold finite numbers"),
    ],
)
def test_inputs_that_are_none_get_a_sentence(data: object, options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        collapse(data, **{"control": "x", **options})
