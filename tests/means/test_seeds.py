"""Control variates: exact expectations against simulation, unbiased means, and what they gain."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from spikecube.cube.assemble import CellResult, assemble
from spikecube.cube.cell import compute_cell
from spikecube.means.controls import (
    ControlError,
    centred_controls,
    control_expectations,
    radius_quadrature,
    target_moments,
)
from spikecube.means.replicates import means_by_count, replicate_means
from spikecube.means.seeds import controls_for, priority, summarize
from spikecube.model.hermite import gaussian_quadrature
from spikecube.model.network import draw_network, draw_test_batch
from spikecube.model.targets import resolve_target
from spikecube.study.study import Cell, Study
from tests.levels import assert_level


@dataclass(frozen=True)
class SmallModel:
    """A model with so few dimensions that finite-size terms are large."""

    activation: str = "tanh"
    target: object = (0.0, 1.0, 0.5)
    noise: float = 0.5
    target_direction: str = "gaussian"
    initial_output: str = "vanishing"
    readout: str = "gaussian"
    d: int = 4
    samples: int = 6

    def dim(self, n: int) -> int:
        return self.d

    def width(self, n: int) -> int:
        return 5

    def step_samples(self, n: int) -> int:
        return self.samples


MODELS = {
    "quadratic": SmallModel(),
    "sphere": SmallModel(target_direction="sphere"),
    "cubic with a mean": SmallModel(target=(0.3, 0.7, -0.6, 0.1), noise=0.2, d=3, samples=12),
    "relu": SmallModel(target="relu", noise=0.0, readout="rademacher"),
    "tanh, one dimension": SmallModel(target="tanh", d=1, readout="constant"),
}
DRAWS = dict.fromkeys(MODELS, 3000) | {"sphere": 4000}


@functools.cache
def draws(model: SmallModel, n_draws: int, *, n: int = 6) -> dict[str, np.ndarray]:
    """The measured powers of many small networks."""
    powers: dict[str, list[float]] = {}
    for seed in range(n_draws):
        draw = draw_network(model, n=n, seed=seed, entropy=7)
        test = draw_test_batch(model, draw.direction, n=n, seed=seed, entropy=7, n_samples=n)
        beta = draw.step.inputs.T @ draw.step.labels / len(draw.step.labels)
        found = {
            "beta_power": beta @ beta,
            "beta_signal": (beta @ draw.direction) ** 2 / (draw.direction @ draw.direction),
            "label_power": np.mean(draw.ridge.labels**2),
            "test_label_power": np.mean(test.labels**2),
            "readout_power": draw.readout @ draw.readout,
        }
        for name, value in found.items():
            powers.setdefault(name, []).append(float(value))
    return {name: np.array(v) for name, v in powers.items()}


@pytest.mark.parametrize("name", MODELS)
def test_expectations_are_exact_at_finite_n(name: str) -> None:
    """Simulated networks of a few dimensions, where a formula for n -> infinity would be far off: 4 standard errors."""
    model = MODELS[name]
    simulated, exact = draws(model, DRAWS[name]), control_expectations(model, 6)
    for control, values in simulated.items():
        error = values.std(ddof=1) / np.sqrt(len(values))
        assert abs(values.mean() - exact[control]) < 4 * error + 1e-12, control


def test_the_limit_would_be_seen_to_be_wrong() -> None:
    """Negative control: c_1^2 + phi V, the limit of beta_power, is many standard errors off at d = 4, n_0 = 6."""
    values = draws(MODELS["sphere"], DRAWS["sphere"])["beta_power"]
    limit = 1.0 + 4 / 6 * (1.5 + 0.25)
    assert abs(values.mean() - limit) > 6 * values.std(ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("dim", [1, 2, 7, 500, 20000])
def test_radius_quadrature_has_the_moments_of_chi_square(dim: int) -> None:
    r, weights = radius_quadrature(dim, "gaussian")
    moments = [weights @ r ** (2 * k) for k in range(8)]
    for k, (low, high) in enumerate(pairwise(moments)):
        assert high / low == pytest.approx((dim + 2 * k) / dim, rel=1e-9)


def test_moments_of_a_polynomial_target_at_unit_radius() -> None:
    square, slope, fourth = target_moments(resolve_target([0.2, 1.0, 0.5]), np.ones(1))
    assert square[0] == pytest.approx(0.04 + 1 + 2 * 0.25)
    assert slope[0] == pytest.approx(1.0)
    z, weights = gaussian_quadrature()
    assert fourth[0] == pytest.approx(weights @ (z**2 * (0.2 + z + 0.5 * (z**2 - 1)) ** 2))


@pytest.mark.slow
def test_means_with_controls_are_unbiased_and_gain() -> None:
    """A curved function of the powers of simulated networks: 500 means of 20 seeds each, 4 standard errors.

    The truth is the mean over all 10,000 networks with one regression; its own error is ten times smaller or more.
    Intervals that hold the truth in 0.88 or 0.99 of the means are seen.
    """
    model = replace(MODELS["quadratic"], d=60, samples=120)
    powers, exact = draws(model, 10_000, n=120), control_expectations(model, 120)
    names = ("beta_power", "label_power", "beta_signal")
    loss = sum(np.sqrt(powers[k]) for k in names) + 0.1 * np.random.default_rng(3).standard_normal(10_000)
    z = np.stack([powers[k] - exact[k] for k in names], axis=-1)
    truth = replicate_means(loss, z)
    means = replicate_means(loss.reshape(500, 20), z.reshape(500, 20, 3))
    spread = means.mean.std(ddof=1)
    assert abs(means.mean.mean() - truth.mean) < 4 * np.hypot(spread / np.sqrt(500), truth.stderr)
    plain = loss.reshape(500, 20).mean(1).std(ddof=1)
    assert plain / spread > 2.5
    assert np.sqrt((means.stderr**2).mean()) == pytest.approx(spread, rel=0.1)  # 3 standard errors of a spread
    covered = np.abs(means.mean - truth.mean) < stats.t.ppf(0.975, means.dof) * means.stderr
    assert_level(covered, 0.95, off=(0.88, 0.99))


def test_one_regression_would_be_biased() -> None:
    """Why coefficients are cross-fitted: the intercept of one regression of z^2 is low by 2/m."""
    rng = np.random.default_rng(9)
    z = rng.standard_normal((40000, 10))
    y = z**2
    slope = ((z - z.mean(1, keepdims=True)) * y).sum(1) / ((z - z.mean(1, keepdims=True)) ** 2).sum(1)
    intercept = y.mean(1) - slope * z.mean(1)
    crossed = replicate_means(y, z[..., None]).mean
    error = crossed.std() / 200
    assert abs(crossed.mean() - 1) < 4 * error
    assert intercept.mean() < 1 - 15 * error


def test_cross_fitting_is_what_it_says() -> None:
    """Mean, error and degrees of freedom against their definitions: one regression for each replicate left out."""
    rng = np.random.default_rng(10)
    y, z = rng.standard_normal(14), rng.standard_normal((14, 2))
    design = np.column_stack([np.ones(14), z])

    def adjusted(values: np.ndarray) -> np.ndarray:
        u = []
        for j in range(14):
            rest = np.arange(14) != j
            b = np.linalg.lstsq(design[rest], values[rest], rcond=None)[0]
            u.append(values[j] - z[j] @ b[1:])
        return np.array(u)

    weights = np.array([adjusted(unit).mean() for unit in np.eye(14)])
    annihilator = np.eye(14) - design @ np.linalg.pinv(design)
    terms = weights**2 / np.diag(annihilator)
    form = annihilator * terms @ annihilator
    means = replicate_means(y, z)
    assert means.mean == pytest.approx(adjusted(y).mean(), abs=1e-12)
    assert means.stderr**2 == pytest.approx(terms @ (annihilator @ y) ** 2, rel=1e-10)
    assert means.dof == pytest.approx(np.trace(form) ** 2 / (form**2).sum(), rel=1e-10)


@pytest.mark.parametrize(("seeds", "used"), [(8, 1), (13, 2), (20, 3)])
@pytest.mark.parametrize("curvature", [0.0, 0.2])
def test_the_error_is_that_of_the_mean(seeds: int, used: int, curvature: float) -> None:
    """30,000 means of few seeds, y linear or curved in z: stderr^2 is their variance within 4 per cent.

    The variance of 30,000 means is known to 0.8 per cent. Negative control: with few seeds the sample variance of the
    u_j over m is too small (by 8 per cent for 8 seeds and a curved y), and for curved y so is that of equal errors.
    """
    rng = np.random.default_rng(12)
    z = rng.standard_normal((30_000, seeds, used))
    y = 0.5 * rng.standard_normal(z.shape[:2]) + z @ [0.7, 0.4, 0.2][:used] + curvature * (z[..., 0] ** 2 - 1)
    means = replicate_means(y, z)
    variance = means.mean.var()
    assert (means.stderr**2).mean() / variance == pytest.approx(1.0, abs=0.04)
    design = np.concatenate([np.ones((*y.shape, 1)), z], axis=-1)
    pulls = design @ np.linalg.inv(design.swapaxes(1, 2) @ design)
    slopes = np.einsum("bmp,bm->bp", pulls, y)
    residual = y - np.einsum("bmp,bp->bm", design, slopes)
    left_out = slopes[:, None] - pulls * (residual / (1 - (pulls * design).sum(-1)))[..., None]
    u = y - (z * left_out[..., 1:]).sum(-1)
    np.testing.assert_allclose(u.mean(1), means.mean, atol=1e-10)
    if seeds < 20:
        assert u.var(1, ddof=1).mean() / seeds < (0.95 if curvature else 0.985) * variance
    if curvature:
        equal = (residual**2).sum(1) / (seeds - 1 - used) * (1 / seeds + (z.mean(1) ** 2).sum(1) / seeds)
        assert equal.mean() < 0.95 * variance


def test_wrong_expectations_would_bias() -> None:
    rng = np.random.default_rng(4)
    z = rng.standard_normal((200, 20, 1))
    means = replicate_means(5 + z[..., 0], z + 0.5)
    assert abs(means.mean.mean() - 5) > 0.4


@pytest.mark.parametrize(("seeds", "used"), [(3, 0), (6, 0), (7, 1), (12, 1), (13, 2), (25, 4), (40, 4)])
def test_few_seeds_are_not_spent_on_regressors(seeds: int, used: int) -> None:
    rng = np.random.default_rng(5)
    means = replicate_means(rng.standard_normal((2, seeds)), rng.standard_normal((2, seeds, 4)))
    assert means.n_controls == used
    assert (means.dof <= seeds - 1 - used + 1e-9).all()


def test_constant_controls_are_left_out() -> None:
    rng = np.random.default_rng(6)
    z = np.concatenate([np.zeros((20, 1)), rng.standard_normal((20, 1))], axis=1)
    y = z[:, 1] + 0.01 * rng.standard_normal(20)
    means = replicate_means(y, z)
    assert means.n_controls == 1
    assert means.stderr < 0.02


def test_missing_replicates_are_left_out() -> None:
    rng = np.random.default_rng(7)
    y, z = rng.standard_normal((2, 12)), rng.standard_normal((2, 12, 1))
    y[0, 3:5] = np.nan
    y[1, 2:] = np.nan
    means = replicate_means(y, z)
    kept = [j for j in range(12) if j not in (3, 4)]
    alone = replicate_means(y[0, kept], z[0, kept])
    assert means.mean[0] == pytest.approx(float(alone.mean))
    assert means.stderr[0] == pytest.approx(float(alone.stderr))
    assert np.isnan(means.mean[1])
    assert np.isnan(means.stderr[1])


def test_a_mean_does_not_depend_on_how_many_seeds_other_points_have() -> None:
    """Five seeds beside a hundred: each point as it is alone. One choice of controls for all left the five without an
    error, so that fits of seeds laid out by size lost the dear sizes.
    """
    rng = np.random.default_rng(4)
    values, controls = rng.standard_normal((2, 100)), rng.standard_normal((2, 100, 5))
    values[1, 5:] = np.nan
    both = means_by_count(values, controls)
    for i, count in enumerate((100, 5)):
        alone = replicate_means(values[i, :count], controls[i, :count])
        assert both.mean[i] == pytest.approx(alone.mean)
        assert both.stderr[i] == pytest.approx(alone.stderr)
        assert both.dof[i] == pytest.approx(alone.dof)
        np.testing.assert_allclose(both.deviations[i, :count], alone.deviations)
    assert both.n_controls.tolist() == [5, 0]
    assert np.isnan(replicate_means(values, controls).mean[1])  # what one choice for all does


def test_deviations_carry_the_standard_error() -> None:
    rng = np.random.default_rng(8)
    means = replicate_means(rng.standard_normal((3, 15)), rng.standard_normal((3, 15, 2)))
    np.testing.assert_allclose(np.sqrt((means.deviations**2).mean(-1) / 15), means.stderr)
    np.testing.assert_allclose(means.deviations.mean(-1), 0, atol=1e-12)


STUDY = """
axes.alpha = [0.4]
axes.n = [60]
axes.seed = 400
axes.lam = [0.1]
model.target = [0.0, 1.0, 0.5]
measure.rank = 2
measure.degree = 2
measure.ell = 1
random.entropy = 11
"""


@pytest.fixture(scope="module")
def small_networks() -> xr.Dataset:
    """400 simulated cells at n = 60."""
    study = Study.from_toml(STUDY)
    alphas, lams, entropy = study.axes.alpha, study.axes.lam, study.random.entropy

    def values(cell: Cell) -> dict[str, np.ndarray]:
        return compute_cell(
            study.model, study.measure, n=cell.n, seed=cell.seed, alphas=alphas, lams=lams, entropy=entropy
        )

    results = [CellResult(cell, alphas, lams, values(cell)) for cell in study.cells()]
    return assemble(study, results)


@pytest.mark.parametrize("name", ["singular_value", "train_loss", "test_loss"])
def test_measured_losses_and_outliers_gain_without_bias(small_networks: xr.Dataset, name: str) -> None:
    """20 means of 20 seeds each: their mean is that over all 400 (4 standard errors), whose variance is halved."""
    values = small_networks[name].isel({"alpha": 0, "n": 0, "lam": 0, "rank": 0}, missing_dims="ignore")
    y, z = controls_for(values, centred_controls(small_networks).isel(n=0), priority(name))
    means, everything = replicate_means(y.reshape(20, 20), z.reshape(20, 20, -1)), replicate_means(y, z)
    spread = means.mean.std(ddof=1)
    assert abs(means.mean.mean() - everything.mean) < 4 * np.hypot(spread / np.sqrt(20), everything.stderr)
    assert abs(everything.mean - y.mean()) < 4 * everything.plain_stderr
    assert everything.plain_stderr > 1.4 * everything.stderr


def test_summaries_say_what_they_are(small_networks: xr.Dataset) -> None:
    summary = summarize(small_networks)
    assert (
        summary.train_loss_stderr.attrs["long_name"] == "standard error of the mean over seeds of: training loss of F"
    )
    assert (summary.train_loss_seeds_worth > 400).all()
    assert "seed" not in summary.dims
    plain = summarize(small_networks, controls=False)
    np.testing.assert_allclose(plain.train_loss, small_networks.train_loss.mean("seed"))
    np.testing.assert_allclose(plain.train_loss_seeds_worth, 400)


def test_a_cube_without_its_study_is_declined(small_networks: xr.Dataset) -> None:
    with pytest.raises(ControlError, match="no attribute 'study'"):
        summarize(small_networks.drop_attrs())
