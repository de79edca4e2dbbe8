"""Numbers made from fitted parameters: identities, Fieller's interval, shared seeds, poles, and refusals in words."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import spikecube as sc
from spikecube.scaling.derived import Function, formula_value
from spikecube.scaling.results import STATUS

SIZES = 2.0 ** np.arange(3, 9)
N = xr.DataArray(SIZES, dims="n", coords={"n": SIZES})
KS = xr.DataArray([1.0, 2.0], dims="k", coords={"k": [1.0, 2.0]})


def shared(seed: int, sets: int = 1, seeds: int = 12) -> xr.DataArray:
    """Two curves n^(k/5) whose seeds have most of their noise in common."""
    rng = np.random.default_rng(seed)
    common = xr.DataArray(rng.standard_normal((sets, 6, seeds)), dims=("set", "n", "seed"))
    own = xr.DataArray(rng.standard_normal((sets, 2, 6, seeds)), dims=("set", "k", "n", "seed"))
    return (1 + 0.05 * common + 0.01 * own) * N ** (KS / 5)


def both(fit: xr.Dataset) -> tuple[float, float]:
    return float(fit.ci_low.squeeze()), float(fit.ci_high.squeeze())


@pytest.fixture(scope="module")
def offset() -> xr.Dataset:
    noise = 0.01 * np.random.default_rng(1).standard_normal(6)
    return sc.fit_law(2 + 3 * N**-0.5 + xr.DataArray(noise, dims="n"), "offset", stderr=0.01)


def test_a_parameter_is_itself_and_a_linear_number_has_the_delta_methods_interval(offset: xr.Dataset) -> None:
    one = sc.derived(offset, "exponent").squeeze()
    theirs = offset.sel(param="exponent")
    np.testing.assert_allclose([one.estimate, one.stderr], [theirs.estimate, theirs.stderr])
    half = stats.norm.ppf(0.975) * theirs.stderr
    np.testing.assert_allclose(both(one), [theirs.estimate - half, theirs.estimate + half])
    assert "that of the delta method" in str(one.message.item())
    joined = sc.derived(offset, "2*offset - amplitude + 1").squeeze()
    weights = np.array([2.0, -1.0, 0.0])
    np.testing.assert_allclose(joined.stderr, np.sqrt(weights @ offset.covariance.values @ weights))


def test_a_ratio_has_fiellers_interval(offset: xr.Dataset) -> None:
    (a, b, _), s, z2 = offset.estimate.values, offset.covariance.values, stats.norm.ppf(0.975) ** 2
    ends = np.sort(np.roots([a**2 - z2 * s[0, 0], -2 * (a * b - z2 * s[0, 1]), b**2 - z2 * s[1, 1]]))
    ratio = sc.derived(offset, "amplitude/offset", expected=1.5)
    np.testing.assert_allclose(both(ratio), ends, rtol=1e-6)
    assert (ratio.pvalue.item() > 0.05) == (ends[0] <= 1.5 <= ends[1])
    assert ratio.attrs["law"] == "amplitude/offset of: y = L + A n^b"


def test_a_number_that_bends_says_so_and_one_with_a_pole_is_open() -> None:
    noisy = sc.fit_law(1 + 0.3 * N**0.5 * (1 + 0.1 * (-1) ** np.arange(6)), "power", stderr=0.3)
    bent = sc.derived(noisy, "exp(4*exponent)")
    low, high = (np.exp(4 * (noisy.estimate[1] + s * 1.959964 * noisy.stderr[1])) for s in (-1, 1))
    np.testing.assert_allclose(both(bent), [low, high], rtol=1e-5)
    assert "the delta method would give" in str(bent.message.item())
    flat = sc.fit_law(1 + 0.01 * (-1.0) ** xr.DataArray(np.arange(6), coords=N.coords), "power", stderr=0.01)
    pole = sc.derived(flat, "1/exponent")
    assert pole.status == STATUS["open_interval"]
    assert np.isinf(both(pole)).all()


def test_curves_that_share_seeds_have_a_covariance() -> None:
    """The difference of two exponents is the exponent of the ratio of the curves, and far better known than either."""
    data = shared(2)[0]
    fit = sc.fit_power_law(data, draws=True)

    def difference(theta: xr.DataArray) -> xr.DataArray:
        slope = theta.sel(param="exponent", drop=True)
        return slope.sel(k=2.0, drop=True) - slope.sel(k=1.0, drop=True)

    found = sc.derived(fit, difference)
    ratio = sc.fit_power_law(data.sel(k=2.0) / data.sel(k=1.0)).sel(param="exponent")
    np.testing.assert_allclose(found.stderr.item(), ratio.stderr, rtol=0.1)
    np.testing.assert_allclose(found.estimate.item(), ratio.estimate, atol=float(ratio.stderr))
    assert found.stderr.item() < 0.3 * float(np.hypot(*fit.stderr.sel(param="exponent")))
    plain = sc.fit_power_law(data)
    with pytest.raises(ValueError, match="joins curves that may share their seeds: fit with draws=True"):
        sc.derived(plain, difference)
    assert "draws" not in plain
    np.testing.assert_allclose((fit.draws**2).sum(("n", "seed")), fit.stderr**2, rtol=0.1)


def test_curves_with_errors_of_their_own_are_independent() -> None:
    fit = sc.fit_power_law(shared(3)[0].mean("seed"), stderr=0.02)
    found = sc.derived(fit, lambda theta: theta.sel(param="exponent", drop=True).diff("k"), name="step")
    np.testing.assert_allclose(found.stderr.item(), np.hypot(*fit.stderr.sel(param="exponent")))
    assert found.param.values.tolist() == ["step"]


def test_coordinates_of_curves_take_part_and_curves_without_an_estimate_say_so() -> None:
    data = shared(4)[0]
    fit = sc.fit_power_law(data.where(data.k < 2))
    found = sc.derived(fit, "k - 5*exponent")
    assert found.k.values.tolist() == [1.0, 2.0]
    assert abs(found.estimate[0, 0]) < 3 * found.stderr[0, 0]
    assert found.status.values.tolist() == [STATUS["ok"], STATUS["no_data"]]
    assert "was not fitted" in str(found.message[1].item())


def test_a_threshold_from_the_exponents_of_a_cube(cube: xr.Dataset) -> None:
    """The exponent 1/2 - k(1/2 - alpha) vanishes at alpha_k: its line over alphas, with the covariance of the draws."""
    values = cube.singular_value.isel(rank=0, alpha=slice(3, None)).reset_coords(drop=True)
    fit = sc.fit_power_law(values, draws=True)

    def zero(theta: xr.DataArray) -> xr.DataArray:
        line = theta.sel(param="exponent", drop=True).polyfit("alpha", 1).polyfit_coefficients
        return -line.sel(degree=0, drop=True) / line.sel(degree=1, drop=True)

    found = sc.derived(fit, zero, name="alpha_1", expected=0.0)
    low, high = both(found)
    assert low < 0 < high
    assert 0 < found.stderr.item() < 0.05
    each = sc.derived(fit, "alpha - exponent", expected=0.0)
    assert ((each.ci_low < 0) & (each.ci_high > 0)).all()


def test_a_result_goes_to_a_file(offset: xr.Dataset, tmp_path: Path) -> None:
    made = sc.derived(offset, "offset**2")
    made.to_netcdf(tmp_path / "number.nc")
    xr.testing.assert_equal(xr.load_dataset(tmp_path / "number.nc"), made)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        ("offset/slope", "names 'slope', which is none of"),
        ("__import__('os')", "has \"__import__('os')\": allowed are names, numbers"),
        ("offset.values", "has 'offset.values'"),
        ("offset +", "is no formula"),
        ("exp(offset, 2)", "has 'exp(offset, 2)'"),
        ("True", "has 'True'"),
    ],
)
def test_mistakes_are_sentences(offset: xr.Dataset, number: str | Function, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        sc.derived(offset, number)


def test_a_part_of_a_fit_without_its_parameters_is_refused(offset: xr.Dataset) -> None:
    with pytest.raises(ValueError, match="needs a whole fit"):
        sc.derived(offset.sel(param="exponent"), "exponent")


def test_the_grammar_keeps_the_order_of_operations() -> None:
    names = {"a": 3.0, "b": 2.0}
    for text in ("-a**b + 4/b - (a - b)*1.5", "sqrt(exp(log(a*b)))", "a - -b", "2**-a"):
        expected = eval(text, {"sqrt": np.sqrt, "exp": np.exp, "log": np.log, **names})
        assert formula_value(text, names) == pytest.approx(expected)
