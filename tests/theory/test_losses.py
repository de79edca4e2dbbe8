"""Limits and finite-n losses of F_0 and F_ell: reference values and identities."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from spikecube.model.activations import resolve_activation
from spikecube.model.parameters import Model
from spikecube.model.targets import resolve_target
from spikecube.theory import best_linear_loss, initial_losses, limit_losses, spiked_losses
from spikecube.theory.bulk import bulk_of
from spikecube.theory.labels_and_spikes import beta_length, finite_spikes, readout_nodes
from spikecube.theory.losses import block_losses
from tests.theory.models import REFERENCE, reference_model, sphere_model

LAMS = np.logspace(-3, 2, 6)
MODELS = [
    sphere_model(),
    sphere_model(
        activation="tanh", target=(0.0, 1.0, 0.0, 0.3), noise=0.2, dim_ratio=1.4, width_ratio=0.7, step_ratio=2.0
    ),
    sphere_model(
        activation="softplus",
        target=(0.2, 1.0, 0.6, 0.1),
        noise=0.3,
        dim_ratio=0.6,
        width_ratio=1.8,
        eta_scale=2.0,
        step_ratio=0.6,
    ),
    sphere_model(
        activation=[0.0, 0.7, -0.4, 0.2], target=(0.5, -0.8, 0.4, 0.3), noise=0.0, dim_ratio=2.5, width_ratio=3.0
    ),
]


@pytest.mark.parametrize("case", REFERENCE, ids=lambda c: c["config"]["activation"])
def test_limits_agree_with_the_reference(case: dict[str, Any]) -> None:
    for row in case["limit"]:
        losses = limit_losses(reference_model(case), row["lam"], row["ell"])
        np.testing.assert_allclose(losses, [row["train_loss"], row["test_loss"]], rtol=1e-6)


@pytest.mark.parametrize("case", REFERENCE, ids=lambda c: c["config"]["activation"])
def test_finite_spikes_agree_with_the_reference(case: dict[str, Any]) -> None:
    for row in case["spiked"]:
        losses = spiked_losses(reference_model(case), row["lam"], row["n"], row["alpha"], row["ell"], degrees=1)
        np.testing.assert_allclose(losses, [row["train_loss"], row["test_loss"]], rtol=1e-6)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: str(m.activation))
@pytest.mark.parametrize("ell", [1, 2, 3])
def test_infinite_strength_is_the_limit(model: Model, ell: int) -> None:
    """The gap to section 5 falls like 1/strength^2: 100 times less for a ten times longer step."""
    n = 100_000  # so that rounding of d, N, n_0 does not show
    gaps = []
    for factor in (1.0, 10.0):
        strong = dataclasses.replace(model, eta_scale=n**0.5 * factor)
        limit = np.array(limit_losses(model, LAMS, ell))
        gaps.append(np.max(np.abs(np.array(spiked_losses(strong, LAMS, n, 0.0, ell, degrees=1)) / limit - 1)))
    assert gaps[0] < 1e-2
    assert gaps[1] < 0.02 * gaps[0] + 1e-8


@pytest.mark.parametrize("model", MODELS, ids=lambda m: str(m.activation))
@pytest.mark.parametrize("readout", ["gaussian", "rademacher", "constant"])
def test_no_strength_is_the_initial_network(model: Model, readout: str) -> None:
    weak = dataclasses.replace(model, eta_scale=1e-10, readout=readout)
    np.testing.assert_allclose(spiked_losses(weak, LAMS, 500, 0.1, 4), initial_losses(weak, LAMS, 500), rtol=1e-9)
    assert np.all(np.array(spiked_losses(model, LAMS, 500, 0.1, 4))[0] < initial_losses(model, LAMS, 500)[0])


@pytest.mark.parametrize("model", MODELS, ids=lambda m: str(m.activation))
def test_the_papers_decreases_come_out_of_the_general_formula(model: Model) -> None:
    """Delta_1 = lambda c_{*,1}^4 m_2 / b^2, and Delta_2 adds (4/3) lambda c_{*,1}^4 c_{*,2}^2 m_1 / b^4."""
    target = (0.0, *model.target[1:])
    model = dataclasses.replace(model, target=target)
    moments, b = bulk_of(model).moments(LAMS), beta_length(model)
    first = LAMS * target[1] ** 4 * moments.blocks[0] / b**2
    second = 4 / 3 * LAMS * target[1] ** 4 * target[2] ** 2 * moments.m_1 / b**4
    train = [limit_losses(model, LAMS, ell)[0] for ell in (0, 1, 2)]
    np.testing.assert_allclose(train[0] - train[1], first, rtol=1e-9)
    if resolve_activation(model.activation).coefficients(2)[2]:
        np.testing.assert_allclose(train[1] - train[2], second, rtol=1e-6, atol=1e-12)
    else:
        np.testing.assert_array_equal(train[1], train[2])


@pytest.mark.parametrize("model", MODELS, ids=lambda m: str(m.activation))
@pytest.mark.parametrize("degrees", [1, 3])
def test_test_loss_is_the_derivative_of_the_training_loss(model: Model, degrees: int) -> None:
    """L_te = -T'/m_1^2 with T = L_tr/lambda, against a central difference of T."""
    h = 1e-5 * LAMS
    point = (400, 0.3, 3)
    up, down = (block_losses(model, LAMS + s * h, *point, degrees=degrees)[0] / (LAMS + s * h) for s in (1, -1))
    m_1 = bulk_of(model, 400, degrees).moments(LAMS).m_1
    found = block_losses(model, LAMS, *point, degrees=degrees)[1]
    np.testing.assert_allclose(found, -(up - down) / (2 * h) / m_1**2, rtol=1e-6)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: str(m.activation))
def test_limits_interpolate_between_learning_nothing_and_the_labels(model: Model) -> None:
    power = resolve_target(model.target).power + model.noise**2
    train, test = initial_losses(model, 1e8)
    np.testing.assert_allclose([train, test], power, rtol=1e-6)
    assert best_linear_loss(model) == pytest.approx(power - float(model.target[1]) ** 2)
    assert np.all(initial_losses(model, LAMS)[1] > best_linear_loss(model))


def test_spikes_of_a_constant_readout_are_one_direction() -> None:
    """With a_i all equal the formula with C^{-1} has no meaning; the node form is one rank-one term."""
    model = sphere_model(readout="constant")
    _, factors = finite_spikes(model, 500, 0.3, 3, 1)
    assert factors.shape == (1, 2)  # c_3 = 0 for relu
    c, step = resolve_activation("relu").coefficients(2), 500**0.3 * beta_length(model, 500) / 500**0.5
    np.testing.assert_allclose(factors[0], 500**0.5 * np.array([c[1] * c[1] * step, c[2] * (c[1] * step) ** 2]))


def test_gaussian_readout_moments_are_exact() -> None:
    """R^T R = S C S with C_{jk} = N^{1-(j+k)/2} (j+k-1)!! for even j+k, else 0."""
    model, n = sphere_model(activation=[0, 1, 1, 1, 1]), 300
    _, factors = finite_spikes(model, n, 0.2, 4, 1)
    s = (n**0.2 * beta_length(model, n)) ** np.arange(1, 5)
    double = {2: 1, 4: 3, 6: 15, 8: 105}
    c = [[n ** (1 - (j + k) / 2) * double.get(j + k, 0) for k in range(1, 5)] for j in range(1, 5)]
    np.testing.assert_allclose(factors.T @ factors, s[:, None] * np.array(c) * s, rtol=1e-10, atol=1e-12)


def test_what_cannot_be_predicted_is_declined_with_a_sentence() -> None:
    full = sphere_model(initial_output="full")
    for predict in (lambda: limit_losses(full, 1.0, 1), lambda: spiked_losses(full, 1.0, 500, 0.2, 1)):
        with pytest.raises(ValueError, match="initial_output = 'full' was given"):
            predict()
    assert np.all(np.isfinite(limit_losses(full, 1.0, 0)))
    with pytest.raises(ValueError, match="readout = 'uniform'"):
        readout_nodes("uniform", 5)
    with pytest.raises(ValueError, match="ell = -1"):
        limit_losses(sphere_model(), 1.0, -1)
