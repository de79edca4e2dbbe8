"""What is said about how far the theory can be trusted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikecube.theory import (
    best_linear_loss,
    bulk_edge,
    chosen_degrees,
    finite_losses,
    initial_losses,
    limit_losses,
    loss_remainders,
    predicted_outliers,
    spiked_losses,
)
from spikecube.theory.remainder import power_spread
from tests.theory.models import sphere_model


def test_the_spread_of_beta_is_that_of_drawn_batches() -> None:
    """Standard deviation of |beta|^2 over 400 batches, over its mean: within 20 per cent; half of it is refused."""
    model, n = sphere_model(target=(0.0, 1.0, 0.4), noise=0.5, dim_ratio=0.4), 200
    rng, found = np.random.default_rng(3), []
    for _ in range(400):
        x = rng.standard_normal((n, model.dim(n)))
        t = x[:, 0]
        y = t + 0.4 * (t**2 - 1) + model.noise * rng.standard_normal(n)
        found.append(np.sum((x.T @ y / n) ** 2))
    spread = float(np.std(found) / np.mean(found))
    assert power_spread(model, n) == pytest.approx(spread, rel=0.2)
    assert power_spread(model, n) > 0.6 * spread


def test_remainders_fall_with_n_and_rise_with_the_step_and_the_tails() -> None:
    model, lam = sphere_model(noise=0.3), [0.01, 1.0]
    small, large = (np.array(loss_remainders(model, lam, n, 0.0)) for n in (100, 2000))
    assert np.all(large < small)
    assert np.all(np.array(loss_remainders(model, lam, 500, 0.48)) > np.array(loss_remainders(model, lam, 500, 0.1)))
    heavy = sphere_model(
        activation=(0.0, 1.0, -0.2, 0.1),
        target=(0.0, 1.3, -0.6, -0.1),
        noise=0.1,
        dim_ratio=1.2,
        readout="rademacher",
        step_ratio=0.5,
    )
    tame = dataclasses.replace(heavy, activation="relu", target=(0.0, 1.3))
    worst = [np.max(loss_remainders(m, [0.003, 0.05], 300, 0.48)) for m in (tame, heavy)]
    assert worst[1] > 3 * worst[0]
    assert power_spread(heavy, 300) > 1.2 * power_spread(tame, 300)


def test_full_output_has_no_remainder() -> None:
    with pytest.raises(ValueError, match="initial_output = 'full' was given"):
        loss_remainders(sphere_model(initial_output="full"), 0.1, 500, 0.2)


@pytest.mark.parametrize("target", [(0.0, 0.0), (0.0, 1.0)])
def test_without_labels_every_loss_is_zero_and_nothing_is_left_out_of_it(target: tuple[float, ...]) -> None:
    """Negative control: with labels none is."""
    model, lam, labels = sphere_model(target=target, noise=0.0), [0.01, 1.0], any(target)
    pairs = (
        initial_losses(model, lam, 300),
        limit_losses(model, lam, 2),
        spiked_losses(model, lam, 300, 0.3, 2),
        finite_losses(model, lam, 300, 0.3),
    )
    assert np.all((np.array(pairs) != 0) == labels)
    assert bool(predicted_outliers(model, 300, 0.4).size) == labels
    assert best_linear_loss(model) == 0
    assert np.all(np.isfinite(loss_remainders(model, lam, 300, 0.3)))


def test_the_edge_at_finite_n_has_the_blocks_that_all_else_has() -> None:
    """Where d is small against n the quadratic part is no noise; without n it is the limit."""
    model = sphere_model(activation=[0.0, 0.5, 1.0], dim_ratio=0.05)
    blocks = chosen_degrees(model, 400)
    assert blocks > 1
    assert bulk_edge(model, 400) == bulk_edge(model, 400, degrees=blocks)
    assert abs(bulk_edge(model, 400) / bulk_edge(model, 400, degrees=1) - 1) > 0.02
    assert bulk_edge(model) == pytest.approx(bulk_edge(model, 400, degrees=1))
