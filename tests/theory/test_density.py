"""Density of the bulk of F itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikecube.model.parameters import Model
from spikecube.theory import bulk_atom, bulk_density, conditional_density
from spikecube.theory.newton import ConvergenceError
from tests.theory.models import sphere_model
from tests.theory.simulation import Network

MODELS = [
    sphere_model(),
    sphere_model(activation="tanh", target=(0.0, 1.0, 0.0, 0.3), noise=0.2, dim_ratio=0.6, width_ratio=1.4),
    sphere_model(activation="softplus", target=(0.0, 1.0, 0.5), width_ratio=0.7, readout="constant"),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: str(m.activation))
def test_no_step_gives_the_density_of_the_initial_bulk(model: Model) -> None:
    still, s = dataclasses.replace(model, eta_scale=1e-9), np.linspace(0.3, 1.4, 12)
    found = conditional_density(still, 10_000, 0.2, s, resolution=1e-4)
    np.testing.assert_allclose(found, bulk_density(still, s), rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: str(m.activation))
@pytest.mark.parametrize("alpha", [0.36, 0.5])
def test_density_integrates_to_one_with_its_atom(model: Model, alpha: float) -> None:
    s = np.linspace(0.0, 4.0, 401)[1:]
    mass = np.trapezoid(conditional_density(model, 1000, alpha, s), s) + s[0] * 0.5
    assert mass + bulk_atom(model) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("model", "alpha"), [(MODELS[1], 0.45), (MODELS[2], 0.48)], ids=["tanh", "softplus"])
def test_density_counts_simulated_singular_values(model: Model, alpha: float) -> None:
    """Counts in bins of 0.2, mean of 6 seeds at n = 400: within 2.5 of 400 values; the density of F_0 is refused."""
    n, edges = 400, np.arange(0.1, 2.11, 0.2)
    networks = [Network(model, n, seed, tested=False) for seed in range(6)]
    values = np.concatenate([network.singular_values(network.updated(alpha))[1:] for network in networks])
    counts = np.histogram(values, edges)[0] / len(networks)
    grid = np.linspace(edges[:-1], edges[1:], 9)
    expected = n * np.trapezoid(conditional_density(model, n, alpha, grid), grid, axis=0)
    assert np.abs(counts - expected).max() < 2.5
    refused = n * np.trapezoid(bulk_density(model, grid), grid, axis=0)
    assert np.abs(counts - expected).sum() < 0.7 * np.abs(counts - refused).sum()


def test_what_cannot_be_computed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="positive ones"):
        conditional_density(sphere_model(), 500, 0.2, [0.0, 1.0])
    with pytest.raises(ValueError, match="initial_output = 'full' was given"):
        conditional_density(sphere_model(initial_output="full"), 500, 0.2, [1.0])
    monkeypatch.setattr("spikecube.theory.conditional.density._ROUNDS", 1)
    with pytest.raises(ConvergenceError, match=r"n = 500, alpha = 0\.2"):
        conditional_density(sphere_model(), 500, 0.2, [1.0])
