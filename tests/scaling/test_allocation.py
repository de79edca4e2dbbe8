"""Seeds where they pay: against closed forms, the certificate, and what equal seeds would cost."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.equal_hours import most
from spikecube.scaling import allocation
from spikecube.scaling.allocation import (
    LEAST_SEEDS,
    Aim,
    allocate,
    elfving,
    half_width_of,
    support,
    variance_of,
)
from spikecube.scaling.design import duality_gap
from spikecube.scaling.errors import FitError

SIZES = np.array([250.0, 500.0, 1000.0, 2000.0, 4000.0])
COST = SIZES**3


def power_aim(half_width: float = 0.01, *, corrected: bool = False, spread: float = 0.1) -> Aim:
    columns = [np.ones(5), np.log(SIZES)] + ([100 / SIZES] if corrected else [])
    return Aim(np.eye(len(columns))[1], np.stack(columns, axis=1), np.full(5, spread**2), half_width)


def random_problem(rng: np.random.Generator) -> tuple[list[Aim], np.ndarray]:
    n_sizes, n_params = int(rng.integers(4, 12)), int(rng.integers(2, 4))
    sizes = np.sort(rng.uniform(100, 8000, n_sizes))
    aims = []
    for _ in range(rng.integers(1, 4)):
        columns = np.stack([np.ones(n_sizes), np.log(sizes), sizes ** -rng.uniform(0.3, 1)][:n_params], axis=1)
        variance = rng.uniform(0.5, 2, n_sizes) * sizes ** rng.uniform(-1, 1)
        aims.append(Aim(np.eye(n_params)[rng.integers(n_params)], columns, variance, 10 ** rng.uniform(-2, -1)))
    return aims, sizes ** rng.uniform(1, 3.5)


def test_two_parameters_have_a_closed_form() -> None:
    """On two sizes the seeds are in proportion to |a_j| sqrt(v_j/cost_j), a the weights of the estimator."""
    aim = power_aim()
    shares, certificate = elfving(aim, COST)
    i, j = np.flatnonzero(shares > 1e-9)
    weight = np.array([1.0, 1.0]) / np.log(SIZES[j] / SIZES[i])
    money = np.abs(weight) * np.sqrt(aim.variance[[i, j]] * COST[[i, j]])
    assert shares[[i, j]] == pytest.approx(money / money.sum(), rel=1e-9)
    others = [np.abs(_two_point_cost(aim, a, b)) for a in range(5) for b in range(a + 1, 5)]
    assert _two_point_cost(aim, i, j) == pytest.approx(min(others), rel=1e-9)
    assert certificate.max() == pytest.approx(1.0, rel=1e-9)


def _two_point_cost(aim: Aim, i: int, j: int) -> float:
    """Cost of unit variance from two sizes alone: (sum sqrt(v cost)/log(n_j/n_i))^2."""
    return float((np.sqrt(aim.variance[[i, j]] * COST[[i, j]]).sum() / np.log(SIZES[j] / SIZES[i])) ** 2)


@pytest.mark.parametrize("case", range(25))
def test_random_problems_carry_their_certificate(case: int) -> None:
    aims, cost = random_problem(np.random.default_rng(case))
    for least in (np.zeros(len(cost)), support(aims, cost) * LEAST_SEEDS):
        found = allocate(aims, cost, least=least)
        assert duality_gap(found, cost, least) < 1e-3
        assert (found.half_width <= np.array([a.half_width for a in aims]) * (1 + 1e-6)).all()
        assert (found.seeds >= least).all()


def test_the_certificate_fails_for_another_allocation() -> None:
    """Negative control: the sensitivities of the optimum do not certify equal seeds."""
    aim = power_aim()
    found = allocate([aim], COST, least=np.zeros(5))
    equal = np.full(5, 100.0)
    changed = type(found)(found.seeds, equal, found.half_width, found.sensitivity)
    assert duality_gap(changed, COST) > 0.1


@pytest.mark.parametrize(("corrected", "least_gain"), [(False, 20.0), (True, 6.0)])
def test_equal_seeds_cost_many_times_more(corrected: bool, least_gain: float) -> None:
    aim = power_aim(corrected=corrected)
    best = allocate([aim], COST)
    money = (best.seeds * COST).sum()
    equal = np.full(5, money / COST.sum())
    assert variance_of(aim, equal)[0] / variance_of(aim, best.seeds.astype(float))[0] > least_gain


def test_the_half_width_is_what_least_squares_gives() -> None:
    """Against 20,000 made-up fits: the mean half-width is within 2 per cent (its standard error is 0.2 per cent)."""
    aim = power_aim(0.02, corrected=True)
    seeds = allocate([aim], COST).seeds
    used = seeds > 0
    rng = np.random.default_rng(5)
    means = rng.normal(0, np.sqrt(aim.variance[used] / seeds[used]), (20_000, used.sum()))
    design = aim.slopes[used] * np.sqrt(seeds[used] / aim.variance[used])[:, None]
    weights = np.linalg.pinv(design)[1] * np.sqrt(seeds[used] / aim.variance[used])
    assert 1.96 * (means @ weights).std() == pytest.approx(half_width_of(aim, seeds.astype(float)), rel=0.05)


def test_enough_sizes_are_left_for_the_lack_of_fit() -> None:
    found = allocate([power_aim(corrected=True)], COST)
    assert (found.seeds >= LEAST_SEEDS).sum() >= 5


def test_units_do_not_matter() -> None:
    aims, cost = random_problem(np.random.default_rng(3))
    once = allocate(aims, cost).seeds
    scaled = [Aim(a.direction, 1e9 * a.slopes, 1e18 * a.variance, a.half_width) for a in aims]
    assert allocate(scaled, 1e-7 * cost).seeds == pytest.approx(once, rel=1e-3, abs=1)


def test_a_size_that_says_nothing_gets_nothing() -> None:
    aim = power_aim()
    silent = Aim(aim.direction, aim.slopes, np.where(SIZES == 500, np.inf, aim.variance), aim.half_width)
    assert allocate([silent], COST).seeds[1] == 0


def test_too_few_sizes_are_refused() -> None:
    aim = power_aim(corrected=True)
    silent = Aim(aim.direction, aim.slopes, np.where(SIZES > 600, np.inf, aim.variance), aim.half_width)
    with pytest.raises(FitError, match="2 sizes do not determine 3 parameters"):
        allocate([silent], COST)


def test_no_seeds_gain_more_over_equal_ones_than_the_bound() -> None:
    """What `scripts/equal_hours.py --bound` prints: two means for 1 and 3, and random seeds of random problems."""
    assert most(Aim(np.ones(1), np.ones((2, 1)), np.ones(2), 0.1), np.array([1.0, 3.0])) ** 2 == pytest.approx(2)
    rng = np.random.default_rng(6)
    for _ in range(20):
        aim = Aim(rng.standard_normal(3), rng.standard_normal((6, 3)), rng.uniform(0.5, 2, 6), 0.1)
        cost = rng.uniform(1, 100, 6)
        equal = variance_of(aim, np.full(6, 1 / cost.sum()))[0]
        others = [variance_of(aim, spent / cost)[0] for spent in rng.dirichlet(np.full(6, 0.5), 50)]
        assert np.sqrt(equal / min(others)) <= most(aim, cost) * (1 + 1e-9)


def test_one_mean_has_the_optimum_of_the_convex_problem() -> None:
    rng = np.random.default_rng(8)
    for _ in range(5):
        aim = Aim(np.array([1.5]), rng.uniform(0.5, 2, (4, 1)), rng.uniform(0.5, 2, 4), 0.1)
        cost, floor = rng.uniform(1, 100, 4), rng.uniform(1, 5, 4)
        found = allocation._of_one_mean(aim, cost, floor, 2.0)
        whole = allocation._by_barrier([aim], cost, floor, np.array([2.0]), np.ones(4))
        assert found[0] == pytest.approx(whole[0], rel=1e-4)
        assert found[1] == pytest.approx(whole[1], rel=1e-3)
    assert allocation._of_one_mean(aim, cost, floor + 1e6, 2.0)[1].tolist() == [0.0] * 4
