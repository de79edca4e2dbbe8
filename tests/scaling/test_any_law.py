"""Laws for anybody's data: exact truths, errors that hold, refusals in words, and a law made up from outside."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import spikecube as sc
from spikecube.scaling.kinds import NONLINEAR
from spikecube.scaling.labelled_fits import fit_sample, in_own_units
from spikecube.scaling.laws import (
    FREE_CORRECTION,
    LIMIT,
    LOGARITHM,
    OFFSET,
    POWER,
    Law,
    corrected_limit,
    corrected_power,
)
from spikecube.scaling.results import STATUS
from spikecube.scaling.samples import from_data
from spikecube.scaling.two_sizes import INTERACTION, TWO_SIZES

SIZES = np.array([10.0, 20.0, 40.0, 80.0, 160.0, 320.0])
N = xr.DataArray(SIZES, dims="n", coords={"n": SIZES})
LARGE, MANY = np.array([1e7, 1e8, 3e8, 1e9, 1e10]), np.array([1e9, 1e10, 3e10, 1e11, 1e12])
SURFACE = (1.69, 406.4, 0.34, 410.7, 0.28)  # the constants of Hoffmann et al. (2022)


def surface(params: tuple[float, ...] = SURFACE) -> xr.DataArray:
    n = xr.DataArray(LARGE, dims="N", coords={"N": LARGE})
    d = xr.DataArray(MANY, dims="D", coords={"D": MANY})
    e, a, p, b, q = params
    return e + a * n**-p + b * d**-q


def status(fit: xr.Dataset) -> str:
    return {v: k for k, v in STATUS.items()}[int(fit.status)]


@pytest.mark.parametrize(
    ("law", "data", "truth"),
    [
        ("power", 3 * N**0.7, [np.log(3), 0.7]),
        ("offset", 2 + 3 * N**-0.5, [2, 3, -0.5]),
        ("offset", -2 + 3 * N**0.8, [-2, 3, 0.8]),
        ("offset", 5 - 1e-3 * N**1.5, [5, -1e-3, 1.5]),
        ("log", 1 - 2 * np.log(N), [1, -2]),
        ("log_power", 0.2 * np.log(N) ** 3, [np.log(0.2), 3]),
    ],
)
def test_noise_free_data_give_the_law_back(law: str, data: xr.DataArray, truth: list[float]) -> None:
    for unit in (1.0, -1e-30 if law in ("offset", "log") else 1e30):
        fit = sc.fit_law(data * unit, law)
        expected = [
            t * unit if name in ("offset", "amplitude") else t for name, t in zip(fit.param.values, truth, strict=True)
        ]
        if law in ("power", "log_power"):
            expected[0] += np.log(unit)
        np.testing.assert_allclose(fit.estimate, expected, rtol=1e-7)
        assert fit.n_min == pytest.approx(10)
        assert np.allclose(fit.n, SIZES)


@pytest.mark.parametrize("params", [SURFACE, (0.0, -3.0, 0.5, 7.0, 0.4), (-4.0, 1e3, 1.0, 1e2, 0.1)])
def test_a_noise_free_surface_comes_back(params: tuple[float, ...]) -> None:
    fit = sc.fit_law(surface(params), "two_size", dim=("N", "D"))
    np.testing.assert_allclose(fit.estimate, params, rtol=1e-7, atol=1e-7)
    assert fit.attrs["law"] == "y = E + A N^-a + B D^-b"


def test_points_of_two_sizes_are_the_grid_they_came_from_and_ragged_grids_are_allowed() -> None:
    noisy = surface() + 0.01 * np.random.default_rng(2).standard_normal((5, 5))
    noisy = noisy.where((noisy.N < 5e9) | (noisy.D > 5e9))
    grid = sc.fit_law(noisy, "two_size", dim=("N", "D"), stderr=0.01)
    rows = noisy.stack(run=("N", "D")).dropna("run").reset_index("run")
    points = sc.fit_law(rows, "two_size", dim=("N", "D"), stderr=0.01)
    np.testing.assert_allclose(points.estimate, grid.estimate, rtol=1e-6)
    np.testing.assert_allclose(points.stderr, grid.stderr, rtol=1e-5)
    assert points.nobs == grid.nobs == 24
    assert status(grid) in ("ok", "open_interval")
    assert ((grid.ci_low <= list(SURFACE)) & (list(SURFACE) <= grid.ci_high)).all()


def test_two_sizes_with_replicates_and_a_wrong_law() -> None:
    rng = np.random.default_rng(3)
    draws = surface() + xr.DataArray(0.01 * rng.standard_normal((5, 5, 8)), dims=("N", "D", "seed"))
    fit = sc.fit_law(draws, "two_size", dim=("N", "D"), expected={"exponent_N": 0.34})
    assert fit.gof_pvalue > 0.01
    assert fit.pvalue.sel(param="exponent_N") > 0.01
    bent = draws + 0.1 * np.sin(3 * np.log(draws.N))
    assert status(sc.fit_law(bent, "two_size", dim=("N", "D"))) == "rejected"


def test_intervals_of_the_offset_law_cover() -> None:
    rng, truth = np.random.default_rng(4), [2.0, 3.0, -0.5]
    data = 2 + 3 * N**-0.5 + xr.DataArray(0.01 * rng.standard_normal((200, 6)), dims=("set", "n"))
    fit = sc.fit_law(data, "offset", stderr=0.01)
    hits = ((fit.ci_low <= truth) & (truth <= fit.ci_high)).mean("set")
    assert (abs(hits - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 200)).all()
    null = sc.fit_law(data, "offset", stderr=0.01, expected={"offset": 2.0})
    inside = (null.ci_low <= 2.0) & (null.ci_high >= 2.0)
    assert ((null.pvalue > 0.05) == inside).sel(param="offset").all()


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "stderr"), [(0.005, 0.005), (0.005, None), (0.05, 0.05)])
def test_intervals_of_two_sizes_cover(noise: float, stderr: float | None) -> None:
    draws = noise * np.random.default_rng(6).standard_normal((200, 5, 5))
    data = surface() + xr.DataArray(draws, dims=("set", "N", "D"))
    fit = sc.fit_law(data, "two_size", dim=("N", "D"), stderr=stderr)
    hits = ((fit.ci_low <= list(SURFACE)) & (list(SURFACE) <= fit.ci_high)).mean("set")
    assert (abs(hits - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 200)).all()
    rejected = float((fit.gof_pvalue < 0.05).mean())
    assert rejected == 0 if stderr is None else abs(rejected - 0.05) < 4 * np.sqrt(0.95 * 0.05 / 200)


def test_an_offset_law_that_may_be_a_logarithm_has_no_offset() -> None:
    data = 1 + 0.5 * np.log(N) + 0.05 * np.random.default_rng(5).standard_normal(6)
    fit = sc.fit_law(data, "offset", stderr=0.05)
    assert status(fit) == "open_interval"
    assert np.isinf(fit.ci_low.sel(param="offset"))
    assert np.isinf(fit.ci_high.sel(param="offset"))
    assert fit.ci_low.sel(param="exponent") < 0 < fit.ci_high.sel(param="exponent")
    assert status(sc.fit_law(data, "log", stderr=0.05)) == "ok"


def test_sizes_come_back_from_their_logarithms_as_they_were() -> None:
    sizes = np.array([320.0, 10.0, 20.0, 40.0, 80.0, 160.0])
    data = xr.DataArray(np.log(sizes) ** 2, dims="n", coords={"n": ("n", sizes, {"units": "sites"})})
    fit = sc.fit_law(data, "log_power", stderr=0.01, n_min="auto")
    assert fit.n.values.tolist() == sorted(sizes)
    assert fit.window.values.tolist() == sorted(sizes)[: fit.sizes["window"]]
    assert fit.n.attrs["units"] == "sites"
    assert sc.fit_law(data, "log_power", n_min=20).n_min == 20


def test_a_wrong_law_is_rejected_in_words() -> None:
    fit = sc.fit_law(2 + 3 * N**-0.5, "log", stderr=0.001)
    assert status(fit) == "rejected"
    assert "rejected" in str(fit.message.item())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"law": "exponential"},
            "law='exponential' is not one of power, offset, log, log_power, two_size, two_size_interaction",
        ),
        ({"law": "two_size"}, 'is not a pair of names, say ("N", "D")'),
        ({"law": "two_size", "dim": ("N", "D")}, "no coordinate 'N' along one dim (coordinates: n)"),
        ({"dim": ("n", "m")}, "names no single dim, which the law 'offset' needs"),
        ({"expected": {"limit": 1.0}}, "expected='limit' is no parameter of 'offset', which has offset, amplitude"),
        ({"law": "log_power", "data": N.assign_coords(n=SIZES / 10)}, "holds 1: a power of log n needs sizes above 1"),
        ({"data": [1.0, 2.0]}, "must be an xarray.DataArray"),
        ({"stderr": -1.0}, "stderr must be positive"),
    ],
)
def test_mistakes_are_sentences(change: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        sc.fit_law(**({"data": 2 + 3 * N**-0.5, "law": "offset"} | change))


@pytest.mark.parametrize(
    ("data", "state"),
    [(surface()[:2], "too_few_sizes"), (surface() * np.nan, "no_data"), (surface() / 0.0, "infinite")],
)
def test_two_sizes_that_cannot_be_fitted_say_so(data: xr.DataArray, state: str) -> None:
    fit = sc.fit_law(data, "two_size", dim=("N", "D"))
    assert status(fit) == state
    assert fit.estimate.isnull().all()


def test_a_fit_of_two_sizes_goes_to_a_file(tmp_path: Path) -> None:
    fit = sc.fit_law(surface().expand_dims(task=["a", "b"]), "two_size", dim=("N", "D"))
    fit.to_netcdf(tmp_path / "fit.nc")
    xr.testing.assert_equal(xr.load_dataset(tmp_path / "fit.nc"), fit)


EVERY_LAW = pytest.mark.parametrize(
    ("law", "theta"),
    [
        (POWER, [0.3, -0.4]),
        (corrected_power(0.7), [0.3, -0.4, 0.9]),
        (FREE_CORRECTION, [0.3, -0.4, 0.9, 0.8]),
        (LIMIT, [1.0, -2.0, -0.6]),
        (OFFSET, [1.0, -2.0, 0.6]),
        (LOGARITHM, [1.0, -2.0]),
        (TWO_SIZES, [1.7, 40.0, 0.4, 30.0, 0.3]),
        (INTERACTION, [1.7, 40.0, 0.4, 30.0, 0.3, -5.0]),
        (corrected_limit(-0.5), [1.7, 40.0, -30.0]),
    ],
    ids=lambda v: v.name if isinstance(v, Law) else "",
)


def sizes_for(law: Law) -> np.ndarray:
    return np.stack([SIZES, SIZES[::-1] * 3], axis=1) if law in (TWO_SIZES, INTERACTION) else SIZES


@EVERY_LAW
def test_parameters_move_with_the_unit_of_the_data(law: Law, theta: list[float]) -> None:
    """Else an entry with a wrong `in_units` would give numbers in units that nobody asked for."""
    moved = in_own_units(np.array([theta]), law, np.array([8.0]))
    was, now = (law.value(sizes_for(law), at) for at in (np.array([theta]), moved))
    np.testing.assert_allclose(now, was - np.log(8) if law.log else was / 8, rtol=1e-12)


@EVERY_LAW
def test_jacobians_are_the_slopes_of_values(law: Law, theta: list[float]) -> None:
    sizes, at = sizes_for(law), np.array([theta])
    step = 1e-6 * np.eye(len(theta))
    by_differences = [(law.value(sizes, at + s) - law.value(sizes, at - s))[0] / 2e-6 for s in step]
    np.testing.assert_allclose(law.jacobian(sizes, at)[0], np.stack(by_differences, axis=1), rtol=1e-6, atol=1e-7)


def test_a_law_made_up_outside_is_one_entry() -> None:
    def start(n: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.stack([y[:, 0], np.full(len(y), 50.0)], axis=1)[None]

    saturation = Law(
        "saturation",
        "y = V n/(K + n)",
        ("level", "half"),
        lambda n, t: t[..., :1] * n / (t[..., 1:] + n),
        lambda n, t: np.stack([n / (t[..., 1:] + n), -t[..., :1] * n / (t[..., 1:] + n) ** 2], axis=-1),
        start,
        NONLINEAR,
    )
    fit = fit_sample(saturation, from_data(4 * N / (30 + N), "n", 0.01))
    np.testing.assert_allclose(fit.estimate, [4, 30], rtol=1e-7)
    assert np.isfinite(fit.ci_low).all()
    assert fit.attrs["law"] == "y = V n/(K + n)"
