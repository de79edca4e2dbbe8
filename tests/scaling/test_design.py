"""Targets as text, and designs from pilots: what they promise is what a study made after them gives."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import spikecube as sc
from spikecube.errors import SpikecubeError
from spikecube.scaling.design import design
from spikecube.scaling.errors import FitError, TooManySeedsError
from spikecube.scaling.pilot import pilot_curve, smoothed_variance
from spikecube.scaling.targets import parse_targets

SIZES = np.array([250.0, 500.0, 1000.0, 2000.0, 4000.0])


def draws(seeds: np.ndarray, rng: np.random.Generator, spread: float = 0.1) -> xr.DataArray:
    """C n^0.5 (1 + 20/n) with relative noise; NaN beyond each size's own seeds."""
    most = int(seeds.max())
    values = (SIZES**0.5 * (1 + 20 / SIZES))[:, None] * (1 + spread * rng.standard_normal((len(SIZES), most)))
    values[np.arange(most) >= seeds[:, None]] = np.nan
    return xr.DataArray(values, dims=("n", "seed"), coords={"n": SIZES})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no target was given; allowed: exponent = H"),
        ("exponent", "no half-width after its last"),
        ("exponent = -0.1", "must be above 0, got -0.1"),
        ("exponent = small", "is no number: 'small'"),
        ("outlier 2 exponent = 0.01", r"needs alpha=...; allowed: outlier K exponent alpha=A = H"),
        ("outlier exponent alpha=0.4 = 0.01", "is not understood"),
        ("test_loss limit alpha=0.4 = 0.01", "needs alpha=... and lam=..."),
        ("valid_loss n=100 alpha=0.4 lam=1 = 0.01", "is not understood"),
        ("threshold 2 alpha=x = 0.01", "is no number: 'x'"),
    ],
)
def test_every_mistake_of_a_target_is_one_sentence(text: str, words: str) -> None:
    with pytest.raises(FitError, match=words):
        parse_targets(text)


def test_several_targets_in_one_text() -> None:
    found = parse_targets("threshold 2 = 0.02; test_loss limit alpha=0.3 lam=0.1 = 1e-3;")
    assert [t.kind for t in found] == ["threshold", "loss limit"]
    assert found[1].labels == {"alpha": 0.3, "lam": 0.1}
    assert found[1].variable == "test_loss"


def test_a_promised_half_width_is_what_fits_have() -> None:
    """The mean half-width of 40 fits is within 10 per cent of the promise; its standard error is 1 per cent."""
    rng = np.random.default_rng(7)
    made = design("exponent = 0.05", pilot=draws(np.full(5, 200), rng))
    seeds = made.seeds.values
    found = []
    for _ in range(40):
        fit = sc.fit_power_law(draws(seeds, rng).dropna("n", how="all"), correction=1.0)
        found.append(float((fit.ci_high - fit.ci_low).sel(param="exponent")) / 2)
    assert np.mean(found) == pytest.approx(float(made.half_width[0]), rel=0.10)
    assert float(made.half_width[0]) <= 0.05
    assert float(made.duality_gap) < 1e-3


def test_equal_seeds_are_far_worse_and_equal_money_is_worse() -> None:
    made = design("exponent = 0.01", pilot=draws(np.full(5, 50), np.random.default_rng(1)))
    assert float(made.half_width_equal_seeds[0]) > 2.5 * float(made.half_width[0])
    assert float(made.half_width_equal_money[0]) > float(made.half_width[0])
    assert float(made.cost_share.sum()) == pytest.approx(1.0)
    assert float(made.cost_share.max()) < 1.0


def test_two_seeds_that_agree_by_chance_do_not_drive_the_design() -> None:
    pilot = draws(np.full(5, 20), np.random.default_rng(2))
    lucky = pilot.copy()
    lucky.values[2, 3:] = np.nan
    lucky.values[2, :3] = pilot.values[2, 0] * (1 + 1e-9 * np.arange(3))
    usual = design("exponent = 0.05", pilot=pilot).seeds
    changed = design("exponent = 0.05", pilot=lucky).seeds
    assert float((changed.sel(n=1000) + 5) / (usual.sel(n=1000) + 5)) < 3
    assert (changed > 0).sum() == 5


def test_sizes_and_costs_are_the_users() -> None:
    pilot = draws(np.full(5, 20), np.random.default_rng(2))
    made = design("exponent = 0.05", pilot=pilot, sizes=[300, 600, 900, 1200, 2400, 4800], cost=lambda n: n**2)
    assert made.n.values.tolist() == [300, 600, 900, 1200, 2400, 4800]
    assert float(made.cost) == pytest.approx(float(made.seeds @ made.n**2))
    with pytest.raises(FitError, match="cost must give a positive number for each of 5 sizes"):
        design("exponent = 0.05", pilot=pilot, cost=lambda n: 0.0)
    with pytest.raises(FitError, match="2 sizes do not determine 3 parameters"):
        design("exponent = 0.05", pilot=pilot, sizes=[500, 1000])


def test_few_sizes_are_told_and_none_is_dropped_in_silence() -> None:
    pilot = draws(np.full(5, 20), np.random.default_rng(2))
    made = design("exponent = 0.05", pilot=pilot)
    assert (made.seeds > 0).all()
    assert made.attrs["notes"] == ""
    made = design("exponent = 0.1", pilot=pilot, sizes=SIZES[:4])
    assert (made.seeds > 0).all()
    assert "4 sizes for 3 parameters; the lack-of-fit test is better with 5" in made.attrs["notes"]
    with pytest.raises(FitError, match="3 sizes for 3 parameters leave none for an error; allow one size more"):
        design("exponent = 0.1", pilot=pilot, sizes=SIZES[:3])
    made = design("exponent = 0.05", pilot=pilot, sizes=[*SIZES, 6000])
    assert made.seeds.sel(n=6000) == 0
    assert made.attrs["notes"] == "no seeds at n = 6000: they say more for their time elsewhere"


def test_a_correction_that_cannot_be_told_from_the_law_is_refused_with_what_helps() -> None:
    """1 + D n^-0.05 is nearly a power over a factor of 16 in n; a wide half-width has few seeds and is no problem."""
    pilot = draws(np.full(5, 20), np.random.default_rng(2))
    words = r"correction cannot be told from the law over these sizes, n = 250 to 4000, .* a larger range of sizes"
    with pytest.raises(TooManySeedsError, match=words):
        design("exponent = 0.02", pilot=pilot, correction=0.05)
    assert design("exponent = 2", pilot=pilot, correction=0.05).seeds.max() < 10_000
    with pytest.raises(TooManySeedsError, match="at most 1000000 are possible at one size; ask for a wider half-width"):
        design("mean n=250 = 0.0001", pilot=pilot)


def test_fits_of_ragged_seeds_weigh_each_size_by_its_own_count() -> None:
    """Estimates of 200 studies scatter as their standard errors say: 20 per cent are four standard errors of the check.

    Variances of means that were smoothed along n without their counts made them scatter four times as much.
    """
    rng = np.random.default_rng(3)
    seeds = np.array([1000, 750, 5, 50, 5])
    fit = sc.fit_power_law(xr.concat([draws(seeds, rng) for _ in range(200)], dim="study"), correction=1.0)
    scatter = float(fit.estimate.sel(param="exponent").std())
    assert scatter == pytest.approx(float(fit.stderr.sel(param="exponent").mean()), rel=0.2)
    assert scatter < 0.024  # 0.017 by the formula of generalised least squares


def test_a_mean_at_one_size_buys_that_size_alone() -> None:
    pilot = draws(np.full(5, 20), np.random.default_rng(2))
    made = design("mean n=1000 = 0.5", pilot=pilot)
    assert (made.seeds > 0).values.tolist() == [False, False, True, False, False]
    assert made.seeds.sel(n=1000).item() == pytest.approx((1.96 * 0.1 * 1000**0.5 / 0.5) ** 2, rel=0.6)


@pytest.mark.parametrize(("shown", "wanted"), [(8, 0.25), (6, 0.2), (0, 0.12)])
def test_a_share_of_draws_has_the_seeds_that_clopper_and_pearson_ask_for(shown: int, wanted: float) -> None:
    """At n = 500 `shown` of 8 draws have two outliers: the seeds are the fewest that narrow the interval so far."""
    counts = np.where(np.arange(8) < shown, 2.0, 1.0)
    names = {"activation": ["relu", "tanh"], "alpha": [0.3], "n": [250.0, 500.0]}
    pilot = xr.Dataset({"outlier_count": (("activation", "alpha", "n", "seed"), np.ones((2, 1, 2, 8)))}, coords=names)
    pilot["outlier_count"][1, 0, 1] = counts
    curve = pilot_curve(parse_targets(f"share 2 n=500 alpha=0.3 activation=tanh = {wanted}")[0], pilot, 1.0)
    seeds = next(m for m in range(1, 400) if _half_width(shown / 8, m) <= wanted)
    t = stats.t.ppf(0.975, seeds - 1)
    assert t * np.sqrt(curve.variance[1] / seeds) == pytest.approx(wanted, rel=1e-5)
    assert _half_width(shown / 8, seeds - 1) > wanted
    found = curve.found()
    assert (found.estimate, found.high - found.low) == (shown / 8, pytest.approx(2 * _half_width(shown / 8, 8)))
    other = pilot_curve(parse_targets(f"share 2 n=500 alpha=0.3 activation=relu = {wanted}")[0], pilot, 1.0)
    assert other.found().estimate == 0


def test_a_loss_of_a_study_with_further_axes_has_its_own_controls() -> None:
    """Controls are those of the place that was named; they stood for all places, and were refused."""
    cube = sc.open_cube("data/cubes/paper/i_shapes.nc")
    asked = "test_loss n=400 alpha=0.4 lam=0.01 dim_ratio={} width_ratio=4 = 0.05"
    curve = pilot_curve(parse_targets(asked.format(0.05))[0], cube, 1.0)
    alone = pilot_curve(
        parse_targets("test_loss n=400 alpha=0.4 lam=0.01 = 0.05")[0], cube.sel(dim_ratio=0.05, width_ratio=4), 1.0
    )
    assert curve.found() == alone.found()
    assert curve.found() != pilot_curve(parse_targets(asked.format(2))[0], cube, 1.0).found()
    with pytest.raises(FitError, match=r"has dim_ratio = 0\.05, 0\.2, 0\.5, 2$"):
        design(asked.format(0.07), pilot=cube)
    with pytest.raises(FitError, match="leaves the axis width_ratio open: name one of its labels"):
        design("test_loss n=400 alpha=0.4 lam=0.01 dim_ratio=2 = 0.05", pilot=cube)


@pytest.mark.parametrize(
    ("target", "lost"),
    [
        ("share 1 n=1000 alpha=0.4 = 0.2", "outlier_count"),
        ("threshold 2 = 0.1", "outlier_count"),
        ("test_loss n=1000 alpha=0.4 lam=0.1 = 0.1", "test_loss"),
        ("outlier 1 exponent alpha=0.4 = 0.1", "singular_value"),
    ],
)
def test_a_pilot_without_the_variable_is_refused_in_a_sentence(cube: xr.Dataset, target: str, lost: str) -> None:
    with pytest.raises(SpikecubeError, match=f"the cube has no {lost}, which this needs"):
        design(target, pilot=cube.drop_vars(lost))


def _half_width(share: float, draws: int) -> float:
    ends = stats.binomtest(round(share * draws), draws).proportion_ci()
    return float(ends.high - ends.low) / 2


def test_targets_of_a_cube_are_refused_for_data_and_back(cube: xr.Dataset) -> None:
    with pytest.raises(FitError, match="is one for a cube; this pilot is a DataArray"):
        design("threshold 2 = 0.1", pilot=draws(np.full(5, 20), np.random.default_rng(2)))
    with pytest.raises(FitError, match="is one for a DataArray; this pilot is a cube"):
        design("exponent = 0.1", pilot=cube)


@pytest.mark.parametrize(
    "target",
    [
        "outlier 1 exponent alpha=0.4 = 0.02",
        "outlier 2 exponent alpha=0.4 = 0.05",
        "test_loss limit alpha=0.3 lam=0.1 = 0.02",
        "test_loss gap exponent alpha=0.1 lam=1.0 = 0.05",
        "train_loss n=1000 alpha=0.3 lam=1.0 = 0.001",
        "mean train_loss n=1000 alpha=0.3 lam=1.0 = 0.001",
    ],
)
def test_targets_of_a_cube(cube: xr.Dataset, target: str) -> None:
    made = design(target, pilot=cube)
    assert float(made.half_width[0]) <= float(made.wanted[0]) * (1 + 1e-6)
    assert float(made.duality_gap) < 1e-3
    assert made.n.values.tolist() == SIZES.tolist()


def test_a_correction_that_is_not_the_leading_one_is_told(cube: xr.Dataset) -> None:
    later = cube.assign_coords(alpha=[0.05, 0.1, 0.15, 0.3, 0.36, 0.4, 0.47])
    slow, usual = (design(f"outlier 1 exponent alpha={a} = 0.2", pilot=later).attrs["notes"] for a in (0.47, 0.4))
    assert "alpha=0.47 = 0.2: its correction is n^-1, not the leading n^-0.06, which no sizes " in slow
    assert "not the leading" not in usual


@pytest.mark.parametrize("target", ["alignment 2 exponent alpha=0.4 = 0.05", "norm 3 exponent alpha=0.4 = 0.05"])
def test_what_is_missing_of_a_claim_falls_as_it_was_made(target: str) -> None:
    """n^-0.5 (1 + 20/n) with 5 per cent of noise: within three standard errors."""
    missing = draws(np.full(5, 40), np.random.default_rng(4), spread=0.05)
    missing = (missing / missing["n"] / 10).expand_dims(alpha=[0.4])
    made = {"alignment": (1 - missing).expand_dims(degree=[2]), "equivalence_error": missing.expand_dims(ell=[3])}
    curve = pilot_curve(parse_targets(target)[0], xr.Dataset(made), 1.0)
    found = curve.found()
    assert abs(found.estimate + 0.5) < 3 * (found.high - found.low) / 4
    assert found.high < -0.4


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("outlier 1 exponent alpha=0.41 = 0.02", "the pilot has alpha = 0.05, 0.1"),
        ("outlier 5 exponent alpha=0.4 = 0.02", "the pilot has spikes of degree 1, 2"),
        ("outlier 2 exponent alpha=0.05 = 0.02", "at no size of the pilot does the spike stand clear"),
        ("norm 9 exponent alpha=0.1 = 0.05", "the pilot has equivalence_error of ell 1, 2, 3"),
        ("mean valid_loss n=1000 = 0.05", "the pilot has no valid_loss; it has .*test_loss"),
        ("mean alignment n=1000 alpha=0.1 = 0.05", "leaves the axis degree open"),
        ("share 1 n=1000 alpha=0.1 lam=0.1 = 0.05", "the pilot has no axis lam there"),
        ("share 1 n=1001 alpha=0.1 = 0.05", "the pilot has no draws at this n"),
    ],
)
def test_what_a_pilot_does_not_hold_is_one_sentence(cube: xr.Dataset, target: str, words: str) -> None:
    with pytest.raises(FitError, match=words):
        design(target, pilot=cube)


def test_a_variance_is_read_off_a_line() -> None:
    """Known variances n^-1 come back at other sizes to a tenth; without a pilot that says anything it is refused."""
    dof = np.full(5, 1000.0)
    found = smoothed_variance(SIZES, 1 / SIZES, dof, np.array([8000.0]))
    assert found[0] == pytest.approx(1 / 8000, rel=0.1)
    with pytest.raises(FitError, match="no size with at least 3 seeds"):
        smoothed_variance(SIZES, np.full(5, np.nan), dof, SIZES)
