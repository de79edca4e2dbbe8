"""m_1, m_2, the density and the edge of the bulk."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spikecube.model.activations import resolve_activation
from spikecube.model.parameters import Model
from spikecube.theory import bulk_atom, bulk_density, bulk_edge
from spikecube.theory.bulk import Bulk, bulk_of
from spikecube.theory.bulk_density import eigenvalue_density, m_1_inside
from spikecube.theory.edges import tracy_widom_cdf, tracy_widom_quantile
from spikecube.theory.newton import ConvergenceError, increasing_root
from tests.theory.models import REFERENCE, reference_model, sphere_model

RATIOS = [0.02, 0.3, 1.0, 4.0, 50.0]
LAWS = [
    Bulk(linear, nonlinear, phi, r)
    for linear, nonlinear in [(0.25, 0.1), (0.5, 1e-6), (0.01, 1.0), (0.3, 0.0), (0.0, 1.0)]
    for phi in RATIOS
    for r in RATIOS
]
PENALTIES = np.logspace(-10, 6, 33)


def residuals(bulk: Bulk, lam: np.ndarray, m_1: np.ndarray, m_2: np.ndarray) -> np.ndarray:
    """How far the two equations are from holding, relative to their sides; as the theory notes write them."""
    e = bulk.linear * m_2 + bulk.nonlinear * m_1
    a = bulk.width_ratio * bulk.linear / (1 + e)
    b = bulk.width_ratio * bulk.nonlinear / (1 + e) + lam
    first = m_1 * (a / (1 + a * m_1 / bulk.dim_ratio) + b) - 1
    second = m_2 * (1 + a * m_1 / bulk.dim_ratio) / m_1 - 1
    return np.maximum(np.abs(first), np.abs(second))


@pytest.mark.parametrize("bulk", LAWS, ids=str)
def test_moments_solve_the_equations_from_tiny_to_huge_penalties(bulk: Bulk) -> None:
    moments = bulk.moments(PENALTIES)
    assert np.all(moments.m_1 > 0)
    assert np.all(moments.m_1 * PENALTIES <= 1 + 1e-12)
    assert residuals(bulk, PENALTIES, moments.m_1, moments.blocks[0]).max() < 1e-9


@pytest.mark.parametrize("bulk", LAWS, ids=str)
def test_continuation_solves_the_equations_and_joins_the_expansion_at_infinity(bulk: Bulk) -> None:
    moments = bulk.outside(bulk.edge_e * np.append(1 - np.logspace(-3, -1, 12), np.logspace(-1, -7, 13)))
    x = -moments.lam
    assert np.all(np.diff(x) >= 0)
    assert bulk.edge < x[0] < 1.01 * bulk.edge
    assert residuals(bulk, -x, moments.m_1, moments.blocks[0]).max() < 1e-9
    mean = bulk.width_ratio * bulk.variance  # of the eigenvalues: tr F_0 F_0^T / n^2
    assert moments.m_1[-1] * -x[-1] == pytest.approx(1 + mean / x[-1], rel=1e-9)


@pytest.mark.parametrize("bulk", LAWS, ids=str)
def test_derivatives_agree_with_difference_quotients(bulk: Bulk) -> None:
    lam = np.logspace(-2, 4, 13)
    h = 1e-5 * lam
    here, up, down = bulk.moments(lam), bulk.moments(lam + h), bulk.moments(lam - h)
    for name in ("m_1", "blocks", "u"):
        quotient = (getattr(up, name) - getattr(down, name)) / (2 * h)
        noise = 1e-11 * np.abs(getattr(here, name)) / h
        assert np.all(np.abs(getattr(here, f"d{name}") - quotient) <= 1e-7 * np.abs(quotient) + noise)


def test_u_is_the_trace_on_the_other_side() -> None:
    bulk = Bulk(0.25, 0.1, 0.5, 1.7)
    lam = np.logspace(-3, 3, 7)
    moments = bulk.moments(lam)
    companion = lam * (moments.m_1 + (bulk.width_ratio - 1) / lam) / bulk.width_ratio
    np.testing.assert_allclose(moments.u, companion, rtol=1e-12)


def mass(bulk: Bulk) -> float:
    """Integral of the density by the midpoint rule, 5000 points in log x from x_+ 1e-12."""
    depth = -math.log(1e-12)
    x = bulk.edge * np.exp(-depth * (np.arange(5000) + 0.5) / 5000)
    return float(np.sum(eigenvalue_density(bulk, x) * x)) * depth / 5000


@pytest.mark.parametrize("bulk", LAWS[::2], ids=str)
def test_density_integrates_to_one_with_its_atom(bulk: Bulk) -> None:
    assert mass(bulk) + bulk.atom == pytest.approx(1, abs=4e-3)


@pytest.mark.parametrize("bulk", LAWS, ids=str)
def test_edge_is_where_the_density_ends(bulk: Bulk) -> None:
    width = 1e-4 * bulk.edge if min(bulk.width_ratio, bulk.dim_ratio) > 0.1 else 1e-6 * bulk.edge
    below, above = eigenvalue_density(bulk, [bulk.edge - width, bulk.edge + width])
    assert above == 0
    assert below == pytest.approx(bulk.edge_curvature / math.pi * math.sqrt(width), rel=2e-2)
    outside = m_1_inside(bulk, np.array([bulk.edge + width])).imag  # the quartic knows nothing of the edge
    assert abs(outside[0]) / math.pi < 1e-3 * below


@pytest.mark.parametrize("r", RATIOS)
def test_marchenko_pastur_is_the_formal_limit_without_a_linear_part(r: float) -> None:
    bulk = Bulk(0.0, 1.0, 1.0, r)
    low, high = (1 - math.sqrt(r)) ** 2, (1 + math.sqrt(r)) ** 2
    assert bulk.edge == pytest.approx(high, rel=1e-12)
    assert bulk.atom == max(0.0, 1 - r)
    x = np.linspace(low, high, 12)[1:-1]
    np.testing.assert_allclose(
        eigenvalue_density(bulk, x), np.sqrt((high - x) * (x - low)) / (2 * math.pi * x), rtol=1e-6
    )
    lam = np.logspace(-6, 3, 10)
    b = lam + r - 1
    expected = 2 / (b + np.sqrt(b**2 + 4 * lam)) if r >= 1 else (np.sqrt(b**2 + 4 * lam) - b) / (2 * lam)
    np.testing.assert_allclose(bulk.moments(lam).m_1, expected, rtol=1e-9)


@pytest.mark.parametrize("case", REFERENCE, ids=lambda c: c["config"]["activation"])
def test_edge_agrees_with_the_reference(case: dict) -> None:  # type: ignore[type-arg]
    assert bulk_edge(reference_model(case)) == pytest.approx(case["bulk_edge"], rel=1e-4)


def test_arguments_outside_the_domain_are_named() -> None:
    bulk = bulk_of(sphere_model())
    with pytest.raises(ValueError, match="lam = 0"):
        bulk.moments(0.0)
    with pytest.raises(ValueError, match="positive eigenvalues"):
        eigenvalue_density(bulk, [-1.0])
    with pytest.raises(ValueError, match="probability = 1"):
        tracy_widom_quantile(1.0)


def test_a_root_that_is_not_found_is_an_error_that_names_what_was_solved() -> None:
    with pytest.raises(ConvergenceError, match="nowhere at x = 7: not finite"):
        increasing_root(lambda t: (np.full_like(t, np.nan), t), np.zeros(1), np.ones(1), name="nowhere at x = 7")


def test_a_wrong_solution_does_not_pass_the_residual_check() -> None:
    bulk = bulk_of(sphere_model())
    with pytest.raises(ConvergenceError, match="lam in"):
        bulk.check(np.array([1e-3]), 1e-9, "lam in [1, 1]")


def features(model: Model, n: int, rng: np.random.Generator) -> np.ndarray:
    weights = rng.standard_normal((model.width(n), model.dim(n)))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    return resolve_activation(model.activation)(rng.standard_normal((n, model.dim(n))) @ weights.T)


@pytest.mark.parametrize(
    "model",
    [
        sphere_model(),
        sphere_model(activation="tanh", dim_ratio=1.5, width_ratio=0.6),
        sphere_model(activation="softplus", width_ratio=2.0),
    ],
    ids=lambda m: str(m.activation),
)
def test_density_counts_simulated_singular_values(model: Model) -> None:
    """Counts in 8 equal bins, mean of 6 seeds at n = 400; eigenvalues are rigid, so within 1.5 values of 400."""
    n, seeds = 400, 6
    s = [np.linalg.svd(features(model, n, np.random.default_rng(k)), compute_uv=False) for k in range(seeds)]
    edges = np.linspace(0.05, bulk_edge(model), 9)
    counts = np.histogram(np.concatenate(s) / math.sqrt(n), edges)[0] / seeds
    unit, weights = np.polynomial.legendre.leggauss(60)
    centre, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges)[0] / 2
    expected = n * half * bulk_density(model, centre[:, None] + half * unit) @ weights
    assert np.abs(counts - expected).max() < 1.5
    other = n * half * bulk_density(sphere_model(activation="sigmoid"), centre[:, None] + half * unit) @ weights
    assert np.abs(counts - other).max() > 15  # negative control: another activation's bulk is refused


def test_rank_deficiency_is_the_atom() -> None:
    assert bulk_atom(sphere_model(width_ratio=0.3)) == pytest.approx(0.7)
    assert bulk_atom(sphere_model(activation=[0.0, 1.0], width_ratio=2.0, dim_ratio=0.4)) == pytest.approx(0.6)
    assert bulk_atom(sphere_model(width_ratio=2.0)) == 0


@pytest.mark.parametrize(
    ("probability", "quantile"), [(0.5, -1.26857), (0.9, 0.45014), (0.95, 0.97931), (0.99, 2.02345)]
)
def test_tracy_widom_quantiles_are_those_of_the_tables(probability: float, quantile: float) -> None:
    """Tabulated values: Prähofer's tables; Bejan, arXiv:math/0505052."""
    assert tracy_widom_quantile(probability) == pytest.approx(quantile, abs=2e-4)


def test_tracy_widom_moments_are_known() -> None:
    """Mean -1.2065335746 and variance 1.6077810346 (Bornemann 2010)."""
    s = np.linspace(-9, 8, 341)
    survival = 1 - np.array([tracy_widom_cdf(v) for v in s])
    step = s[1] - s[0]
    mean = s[0] + step * (survival.sum() - survival[0] / 2)
    second = s[0] ** 2 + step * (2 * s * survival).sum() - step * s[0] * survival[0]
    assert mean == pytest.approx(-1.2065335746, abs=1e-5)
    assert second - mean**2 == pytest.approx(1.6077810346, abs=1e-3)
