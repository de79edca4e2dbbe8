"""What a user hands to a fit: labels, types, units and sentences, for every fit of labelled data."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spikecube.cube.store import StoreError
from spikecube.scaling import fit_gaps, fit_limits, fit_outliers, fit_power_law, fit_thresholds
from spikecube.scaling.cube_theory import at_labels
from spikecube.scaling.inputs import align, as_generator
from spikecube.scaling.results import STATUS

N = np.array([10.0, 20.0, 40.0, 80.0, 160.0])
KINDS = ["tanh", "relu", "erf"]


def curves(*rows: np.ndarray, names: list[str] | None = None) -> xr.DataArray:
    """One curve a row, dims (k, n)."""
    return xr.DataArray(
        np.array(rows), dims=("k", "n"), coords={"k": KINDS[: len(rows)] if names is None else names, "n": N}
    )


def wavy(seed: int = 1, names: list[str] | None = None) -> xr.DataArray:
    """Three power laws with a scatter of one per cent."""
    noise = 1 + 0.01 * np.random.default_rng(seed).standard_normal((3, 5))
    return curves(*(noise * N ** np.array([[1.0], [2.0], [-0.5]])), names=names)


def numbers(fit: xr.Dataset) -> xr.Dataset:
    return fit[
        ["estimate", "stderr", "ci_low", "ci_high", "pvalue", "chi2", "gof_pvalue", "nobs", "status", "residual"]
    ]


# --- labels


def test_errors_go_to_the_curves_they_name() -> None:
    """The defect as it was met: text labels in another order, a part of them, and one more than there are."""
    a = curves(N, N**2)
    s = xr.DataArray([0.1, 5.0], dims="k", coords={"k": ["relu", "tanh"]})
    assert (fit_power_law(a, stderr=s).data_stderr.sel(k="tanh") == 5).all()
    part = fit_power_law(a, stderr=s.sel(k=["relu"]))
    assert np.isnan(part.data_stderr.sel(k="tanh")).all()
    assert (part.data_stderr.sel(k="relu") == 0.1).all()
    assert "no errors were given" in part.message.sel(k="tanh").item()
    xr.testing.assert_equal(part.sel(k="tanh").estimate, fit_power_law(a.sel(k="tanh")).estimate)
    scalar = fit_power_law(a, stderr=s.sel(k="relu"))
    xr.testing.assert_equal(numbers(scalar), numbers(part))
    with pytest.raises(ValueError, match=r"stderr has the label k = gelu, which the data do not have \(tanh, relu\)"):
        fit_power_law(a, stderr=xr.concat([s, s.isel(k=[0]).assign_coords(k=["gelu"])], "k"))


def test_expected_values_go_to_the_curves_they_name() -> None:
    a = curves(N, N**2)
    fit = fit_power_law(a, expected=xr.DataArray([2.0], dims="k", coords={"k": ["relu"]}))
    exponent = fit.expected.sel(param="exponent")
    assert np.isnan(exponent.sel(k="tanh"))
    assert exponent.sel(k="relu") == 2.0
    assert fit.null_value.sel(param="exponent", k="tanh") == 0.0
    with pytest.raises(ValueError, match="expected has the label k = gelu"):
        fit_power_law(a, expected=xr.DataArray([2.0], dims="k", coords={"k": ["gelu"]}))
    with pytest.raises(ValueError, match="expected has the dim 'n', which the data do not have"):
        fit_power_law(a, expected=xr.ones_like(a))


@pytest.mark.parametrize("labels", [KINDS, [3.0, 2.0, 1.0], [1, 2, 3], pd.to_datetime(["2021", "2019", "2020"])])
@pytest.mark.parametrize("order", [[2, 0, 1], [2, 1, 0]])
def test_no_order_of_labels_changes_a_number(labels: list, order: list[int]) -> None:
    """Of the data or of the errors, along the curves or the sizes: text, descending, integers, dates."""
    data = wavy(names=labels)
    errors = 0.01 * np.abs(data) * xr.DataArray([1.0, 2.0, 3.0], dims="k", coords={"k": data.k})
    truth = numbers(fit_power_law(data, stderr=errors))
    shuffled = {"k": order, "n": [3, 1, 4, 0, 2]}
    xr.testing.assert_identical(truth, numbers(fit_power_law(data, stderr=errors.isel(shuffled))))
    moved = numbers(fit_power_law(data.isel(shuffled), stderr=errors))
    xr.testing.assert_equal(truth, moved.sel(k=truth.k))
    np.testing.assert_array_equal(moved.k, data.k[order])


def test_align_keeps_the_order_of_the_data_and_never_counts_places() -> None:
    like = xr.DataArray(np.zeros((2, 3)), dims=("k", "x"), coords={"k": ["b", "a"], "x": [3.0, 2.0, 1.0]})
    value = xr.DataArray([1.0, 2.0, 3.0], dims="x", coords={"x": [1.0, 2.0, 3.0]})
    np.testing.assert_array_equal(align(value, like, "v"), [[3, 2, 1], [3, 2, 1]])
    assert list(align(value, like, "v").k) == ["b", "a"]
    with pytest.raises(ValueError, match="v has no labels along 'x'"):
        align(value.drop_vars("x"), like, "v")
    with pytest.raises(ValueError, match="the data has no labels along 'x'"):
        align(value, like.drop_vars("x"), "v")
    with pytest.raises(ValueError, match=r"label x = 2\.0 more than once"):
        align(value.assign_coords(x=[1.0, 2.0, 2.0]), like, "v")
    with pytest.raises(ValueError, match=r"x = 1\.0000000000000002"):
        align(value.assign_coords(x=[1.0 + 2.3e-16, 2.0, 3.0]), like, "v")
    bare = align(value.drop_vars("x"), like.drop_vars("x"), "v")
    np.testing.assert_array_equal(bare[0], [1, 2, 3])
    with pytest.raises(ValueError, match="v has length 2 along 'x', the data 3"):
        align(value.drop_vars("x")[:2], like.drop_vars("x"), "v")


def test_selections_at_other_labels_do_not_meet() -> None:
    data = wavy().sel(k="tanh")
    with pytest.raises(ValueError, match="stderr stands at k = relu, the data at k = tanh"):
        fit_power_law(data, stderr=(0.01 * wavy()).sel(k="relu"))


def test_a_theory_is_read_at_the_labels_of_the_cube() -> None:
    like = xr.Dataset(coords={"n": [200, 100], "a": ["x", "y"]})
    theory = xr.Dataset(
        {"y": (("a", "n"), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])}, {"a": ["y", "x"], "n": [100, 200, 400]}
    )
    np.testing.assert_array_equal(at_labels(theory, like, ["a", "n"], "the theory").y, [[5, 4], [2, 1]])
    with pytest.raises(ValueError, match="the theory has no n = 100; it has 200, 400"):
        at_labels(theory.sel(n=[200, 400]), like, ["a", "n"], "the theory")


# --- types and units


@pytest.mark.parametrize("kind", ["int16", "int64", "uint32", "float32", "longdouble", ">f8"])
def test_every_real_type_gives_the_numbers_of_float64(kind: str) -> None:
    values = np.rint(np.stack([3 * N, N**2 + [1, -2, 3, 0, 9]]))
    truth = fit_power_law(curves(*values), stderr=xr.DataArray(2.0), expected=1.0)
    data = curves(*values.astype(kind)).assign_coords(n=N.astype(kind))
    fit = fit_power_law(data, stderr=xr.DataArray(np.array(2, kind)), expected=np.array(1, kind)[()])
    xr.testing.assert_identical(numbers(truth), numbers(fit))


def test_truth_values_are_counted() -> None:
    seen = np.random.default_rng(3).random((5, 40)) < 0.1 * N[:, None] ** 0.4
    data = xr.DataArray(seen, dims=("n", "seed"), coords={"n": N})
    xr.testing.assert_identical(numbers(fit_power_law(data)), numbers(fit_power_law(data.astype(float))))


@pytest.mark.parametrize("kind", ["complex64", "datetime64[ns]", "timedelta64[s]", "object", "str"])
def test_what_is_not_real_is_refused(kind: str) -> None:
    data = curves(N, N).round().astype(int)
    for change in (
        lambda: fit_power_law(data.astype(kind)),
        lambda: fit_power_law(data, stderr=data.astype(kind)),
        lambda: fit_power_law(data.assign_coords(n=N.astype(int).astype(kind))),
    ):
        with pytest.raises(ValueError, match=r"holds .*real numbers"):
            change()


@pytest.mark.parametrize("unit", [2.0**-500, 1e-200, 1e-160, 1e-30, 1e30, 1e160, 1e200])
@pytest.mark.parametrize("correction", [None, 1.0])
def test_no_unit_of_the_data_changes_a_fit(unit: float, correction: float | None) -> None:
    """One curve on the logarithmic scale, one near zero (plain law: a correction is not resolved), one with seeds."""
    rng = np.random.default_rng(2)
    data = curves(3 * N**0.3 * (1 + 0.01 * rng.standard_normal(5)), 50 / N + 0.4 * rng.standard_normal(5))
    errors = xr.DataArray([0.1, 0.4], dims="k", coords={"k": data.k})
    seeds = xr.DataArray(N[:, None] * (1 + 0.1 * rng.standard_normal((5, 8))), dims=("n", "seed"), coords={"n": N})
    data = data if correction is None else data.sel(k=["tanh"])
    for args, stderr in ((data, errors.sel(k=data.k)), (data, None), (seeds, None)):
        one = fit_power_law(args, stderr=stderr, correction=correction)
        other = fit_power_law(args * unit, stderr=None if stderr is None else stderr * unit, correction=correction)
        shift = xr.DataArray(np.log(unit) * (one.param == "log_amplitude"), dims="param")
        for name in ("estimate", "ci_low", "ci_high"):
            np.testing.assert_allclose(other[name] - shift, one[name], rtol=1e-6, atol=1e-9 * abs(np.log(unit)))
        for name in ("stderr", "gof_pvalue", "chi2", "residual", "leverage", "status"):
            np.testing.assert_allclose(other[name], one[name], rtol=1e-6, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(other.fitted / unit, one.fitted, rtol=1e-8)
        np.testing.assert_allclose(other.data, args.mean("seed") * unit if "seed" in args.dims else args * unit)


@pytest.mark.parametrize("unit", [1e-3, 2.0**-10, 1e6])
def test_the_unit_of_the_sizes_changes_no_exponent(unit: float) -> None:
    data = wavy()
    one, other = (fit_power_law(d, stderr=0.01 * abs(d)) for d in (data, data.assign_coords(n=N * unit)))
    np.testing.assert_allclose(other.estimate[:, 1], one.estimate[:, 1], rtol=1e-9)
    np.testing.assert_allclose(other.stderr[:, 1], one.stderr[:, 1], rtol=1e-9)
    np.testing.assert_allclose(other.gof_pvalue, one.gof_pvalue, rtol=1e-7)


def test_units_and_attributes_are_those_of_the_data() -> None:
    data = wavy().assign_attrs(units="K", long_name="temperature")
    data["n"].attrs = {"units": "mm", "long_name": "edge length"}
    fit = fit_power_law(data, stderr=0.1)
    assert {fit[name].attrs["units"] for name in ("data", "data_stderr", "fitted")} == {"K"}
    assert fit.n.attrs == {"units": "mm", "long_name": "edge length"}
    assert fit.residual.attrs["units"] == "1"
    assert data.attrs == {"units": "K", "long_name": "temperature"}


# --- one curve of a batch


BAD = {
    "zero": (0 * N, "not_resolved"),
    "infinite": (np.array([1, 2, np.inf, 4, 5]), "infinite"),
    "minus infinite": (np.array([1, 2, -np.inf, 4, 5]), "infinite"),
    "missing": (np.nan * N, "no_data"),
    "short": (np.array([1, 2, np.nan, np.nan, np.nan]), "too_few_sizes"),
    "one value": (np.array([0, 0, 0, 0, 3.0]), "not_resolved"),
    "constant": (7 + 0 * N, "untested"),
    "tiny": (1e-300 / N, "untested"),
    "zeros and numbers": (np.array([0, 0, 1, 4, 9.0]), None),
    "signs": (np.array([1, -1, 1, -1, 1.0]), None),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("correction", [None, 1.0])
def test_one_curve_never_costs_another(bad: str, correction: float | None) -> None:
    """Its status says why; the others have, bit for bit, the numbers they have without it."""
    values, status = BAD[bad]
    data = wavy()
    batch = xr.concat([data, curves(values, names=[bad])], "k").isel(k=[0, 3, 1, 2])
    fit = fit_power_law(batch, correction=correction, rng=1)
    if status and not (correction and status == "untested"):
        assert int(fit.status.sel(k=bad)) == STATUS[status], fit.message.sel(k=bad).item()
    alone = fit_power_law(data, correction=correction, rng=1)
    xr.testing.assert_identical(numbers(alone), numbers(fit.sel(k=KINDS)))


@pytest.mark.parametrize("bad", ["zero", "infinite", "missing", "constant"])
def test_one_curve_of_seeds_never_costs_another(bad: str) -> None:
    rng = np.random.default_rng(4)
    good = xr.DataArray(
        N[:, None] * (1 + 0.1 * rng.standard_normal((2, 5, 6))),
        dims=("k", "n", "seed"),
        coords={"k": ["a", "b"], "n": N},
    )
    other = xr.DataArray(np.repeat(BAD[bad][0][:, None], 6, 1), dims=("n", "seed"), coords={"n": N, "k": "bad"})
    fit = fit_power_law(xr.concat([good, other], "k", coords="minimal"), expected=1.0)
    xr.testing.assert_identical(numbers(fit_power_law(good, expected=1.0)), numbers(fit.sel(k=["a", "b"])))
    assert (
        int(fit.status.sel(k="bad")) == STATUS[BAD[bad][1] if bad != "missing" else "too_few_seeds"] or bad == "missing"
    )


def test_one_infinite_seed_is_said() -> None:
    data = xr.DataArray(np.outer(N, [1.0, 1.1, 0.9, 1.05]), dims=("n", "seed"), coords={"n": N})
    data[2, 1] = np.inf
    fit = fit_power_law(data)
    assert "infinite" in fit.message.item()
    assert np.isnan(fit.estimate).all()


@pytest.mark.parametrize("sizes", [[10, 20, np.inf], [10, np.nan, 40], [0, 1, 2], [-1, 1, 2], [10, 10, 20]])
def test_sizes_that_are_no_sizes_are_refused(sizes: list[float]) -> None:
    with pytest.raises(ValueError, match="coordinate 'n' must be positive, finite and without repeats"):
        fit_power_law(xr.DataArray([1.0, 2.0, 3.0], dims="n", coords={"n": sizes}))


# --- sentences


def test_zeros_among_the_errors_are_named_or_left_out() -> None:
    data = curves(3 * N, N**2)
    errors = (0.1 * data).copy()
    errors.loc[{"k": "relu", "n": 40.0}] = 0.0
    errors.loc[{"k": "relu", "n": 80.0}] = 0.0
    with pytest.raises(ValueError, match=r"is 0 at k = relu, n = 40.0 \(and 1 more\): mask .*zeros=\"drop\""):
        fit_power_law(data, stderr=errors)
    dropped = fit_power_law(data, stderr=errors, zeros="drop")
    masked = fit_power_law(data.where(errors > 0), stderr=errors.where(errors > 0))
    xr.testing.assert_identical(numbers(dropped), numbers(masked))
    assert dropped.used.sel(k="relu").values.tolist() == [True, True, False, False, True]
    with pytest.raises(ValueError, match="zeros='some'"):
        fit_power_law(data, stderr=errors, zeros="some")
    with pytest.raises(ValueError, match=r"stderr must be positive, and is -1 at k = tanh, n = 10"):
        fit_power_law(data, stderr=-1.0, zeros="drop")


def test_missing_errors_are_refused_where_there_is_a_value() -> None:
    data = curves(3 * N, N**2)
    errors = (0.1 * data).where(data.n != 20)
    with pytest.raises(ValueError, match=r"stderr is missing \(nan\) where the data have a value, at k = tanh, n = 20"):
        fit_power_law(data, stderr=errors)
    fit = fit_power_law(data.where(data.n != 20), stderr=errors)
    assert (fit.nobs == 4).all()
    with pytest.raises(ValueError, match=r"at k = tanh, n = 20"):
        fit_power_law(data, stderr=(0.1 * data).isel(n=[0, 2, 3, 4]))
    with pytest.raises(ValueError, match="must be finite"):
        fit_power_law(data, stderr=np.inf)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.ones(3), r"a numpy.ndarray: write xr.DataArray\(values"),
        ([1.0, 2.0], r"a list: write xr.DataArray\(values"),
        (xr.Dataset({"y": ("n", [1.0])}), r"choose one of its variables \(y\)"),
        (pd.Series([1.0]), r"series.rename_axis"),
        (pd.DataFrame({"y": [1.0]}), r"frame.set_index"),
        ("cube.nc", r'spikecube.open_cube\("cube.nc"\)'),
        (None, "got None"),
        (xr.DataArray([], dims="n", coords={"n": []}), "no label along 'n'"),
        (xr.DataArray([1.0], dims="n"), "no coordinate 'n'"),
        (xr.DataArray(1.0), "which has none"),
    ],
)
def test_other_things_get_the_line_to_write(data: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit_power_law(data)


@pytest.mark.parametrize("name", ["param", "data", "sign", "estimate", "n_min", "status", "window"])
def test_names_of_results_are_refused_as_dims(name: str) -> None:
    data = wavy()
    for clash in (data.rename(k=name), data.rename(n=name), data.assign_coords({name: ("k", [1, 2, 3])})):
        with pytest.raises(ValueError, match=f"{name!r}, a name that results use: write data.rename"):
            fit_power_law(clash, dim=name if name in clash.dims and "n" not in clash.dims else "n")


@pytest.mark.parametrize("change", [{"n_min": True}, {"n_min": [1]}, {"correction": True}, {"correction": [1.0]}])
def test_odd_options_get_a_sentence(change: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        fit_power_law(wavy(), stderr=0.1, **change)


def test_an_array_as_error_gets_the_line_to_write() -> None:
    with pytest.raises(ValueError, match=r"write data.copy\(data=stderr\)"):
        fit_power_law(wavy(), stderr=np.ones((3, 5)))
    with pytest.raises(ValueError, match=r"expected must be an xarray\.DataArray"):
        fit_power_law(wavy(), expected=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="dim='seed' is the dim of the replicates"):
        fit_power_law(wavy().rename(n="seed"), dim="seed")


@pytest.mark.parametrize("fit", [fit_outliers, fit_limits, fit_gaps, fit_thresholds])
def test_a_fit_of_a_cube_wants_a_cube(fit) -> None:
    with pytest.raises(StoreError, match=r"there is no cube .*nowhere\.nc"):
        fit("nowhere.nc")
    with pytest.raises(StoreError, match=r"given xarray.*DataArray; allowed: a cube"):
        fit(wavy())


@pytest.mark.parametrize(
    "rng", [1, [1, 2], np.random.SeedSequence(1), np.random.PCG64(1), np.random.default_rng(1), np.int64(1)]
)
def test_rng_is_whatever_numpy_takes(rng: object) -> None:
    expected = np.random.default_rng(1) if not isinstance(rng, list) else np.random.default_rng([1, 2])
    fit = fit_power_law(wavy(), stderr=0.01 * abs(wavy()), rng=rng)
    again = fit_power_law(wavy(), stderr=0.01 * abs(wavy()), rng=expected)
    xr.testing.assert_identical(fit.bootstrap_stderr, again.bootstrap_stderr)
    assert (fit.bootstrap_stderr > 0).all()


def test_what_is_no_seed_gets_a_sentence() -> None:
    assert as_generator(None) is None
    for wrong in ("some", -1, 1.5):
        with pytest.raises(ValueError, match=r"is no seed for numpy\.random\.default_rng"):
            as_generator(wrong)


def test_odd_curves_warn_of_nothing() -> None:
    """No warning of NumPy or statsmodels reaches the user, whatever the curve."""
    batch = curves(*(values for values, _ in BAD.values()), names=list(BAD))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for correction in (None, 1.0, "free"):
            fit_power_law(batch, correction=correction)
            fit_power_law(batch, stderr=0.3, correction=correction)
