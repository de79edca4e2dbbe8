"""The draw, the gradient step and the features."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spikecube.model.activations import ACTIVATIONS, resolve_activation
from spikecube.model.network import Draw, draw_network, draw_test_batch, features, gradient, output_scale
from spikecube.model.parameters import Model
from spikecube.model.streams import Stream, generator

ENTROPY = 7


def draw(model: Model, n: int = 60, seed: int = 0) -> Draw:
    return draw_network(model, n=n, seed=seed, entropy=ENTROPY)


def fit_error(inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray, a: np.ndarray, s: float, name: str) -> float:
    """(1/2n) |y - s sigma(X W^T) a|^2, whose gradient in W is -s G."""
    residual = labels - s * resolve_activation(name)(inputs @ weights.T) @ a
    return float(residual @ residual) / (2 * len(labels))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("initial_output", ["vanishing", "full"])
def test_gradient_is_the_derivative_of_the_squared_error(name: str, initial_output: str) -> None:
    d = draw(Model(activation=name), n=40)
    s = output_scale(initial_output, len(d.readout))
    g = gradient(d.step.inputs, d.step.labels, d.weights, d.readout, resolve_activation(name), output_scale=s)
    direction = np.random.default_rng(1).standard_normal(g.shape)
    h = 1e-5 if name != "relu" else 1e-7
    ends = [
        fit_error(d.step.inputs, d.step.labels, d.weights + sign * h * direction, d.readout, s, name)
        for sign in (1, -1)
    ]
    assert -s * np.sum(g * direction) == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=2e-5)


def test_gradient_without_its_output_scale_is_another() -> None:
    d = draw(Model())
    relu = resolve_activation("relu")
    full = gradient(d.step.inputs, d.step.labels, d.weights, d.readout, relu)
    vanishing = gradient(d.step.inputs, d.step.labels, d.weights, d.readout, relu, output_scale=60**-0.5)
    assert np.linalg.norm(full - vanishing) > 0.1 * np.linalg.norm(full)


def test_features_at_a_step_of_zero_are_those_of_the_start() -> None:
    d = draw(Model())
    relu = resolve_activation("relu")
    z = d.ridge.inputs @ d.weights.T
    g = gradient(d.step.inputs, d.step.labels, d.weights, d.readout, relu)
    slope = d.ridge.inputs @ g.T
    assert np.array_equal(features(relu, z, slope, 0.0), relu(z))
    moved = relu(d.ridge.inputs @ (d.weights + 3.0 * g).T)
    np.testing.assert_allclose(features(relu, z, slope, 3.0), moved, rtol=1e-11, atol=1e-12)
    assert not np.allclose(moved, relu(z))


def test_the_draw_has_the_laws_it_claims() -> None:
    d = draw(Model(), n=400)
    np.testing.assert_allclose(np.linalg.norm(d.weights, axis=1), 1, rtol=1e-12)
    x = d.ridge.inputs
    assert abs(x.mean()) < 4 / math.sqrt(x.size)
    assert abs((x**2).mean() - 1) < 4 * math.sqrt(2 / x.size)
    assert abs(np.sum(d.step.inputs * x)) < 4 * math.sqrt(x.size)
    assert abs(d.readout @ d.readout - 1) < 4 * math.sqrt(2 / 400)


@pytest.mark.parametrize(("kind", "fixed"), [("gaussian", False), ("rademacher", True), ("constant", True)])
def test_readouts(kind: str, fixed: bool) -> None:
    a = draw(Model(readout=kind)).readout
    assert (abs(a @ a - 1) < 1e-12) == fixed
    assert (len(np.unique(a)) == 1) == (kind == "constant")


@pytest.mark.parametrize(("kind", "fixed"), [("gaussian", False), ("sphere", True)])
def test_directions(kind: str, fixed: bool) -> None:
    beta = draw(Model(target_direction=kind)).direction
    assert (abs(beta @ beta - 1) < 1e-12) == fixed


def test_labels_are_the_target_plus_noise() -> None:
    quiet, loud = draw(Model(noise=0)), draw(Model(noise=0.5))
    z = quiet.ridge.inputs @ quiet.direction
    np.testing.assert_allclose(quiet.ridge.labels, z + 0.5 * (z**2 - 1), rtol=1e-12, atol=1e-12)
    noise = generator(ENTROPY, Stream.RIDGE_NOISE, 60, 0).standard_normal(60)
    np.testing.assert_allclose(loud.ridge.labels - quiet.ridge.labels, 0.5 * noise, rtol=1e-10, atol=1e-12)


def test_streams_are_keyed_by_meaning() -> None:
    base = draw(Model())
    again = draw(Model(activation="tanh", noise=0.1))
    assert np.array_equal(base.weights, again.weights)
    assert np.array_equal(base.step.inputs, again.step.inputs)
    wide, longer = draw(Model(width_ratio=2.0)), draw(Model(step_ratio=2.0))
    assert np.array_equal(wide.weights[:60], base.weights)
    assert np.array_equal(longer.step.inputs[:60], base.step.inputs)
    for other in (draw(Model(), seed=1), draw(Model(dim_ratio=0.4))):
        assert not np.isclose(other.weights[0, 0], base.weights[0, 0])
    test = draw_test_batch(Model(), base.direction, n=60, seed=0, entropy=ENTROPY, n_samples=60)
    draws = [base.step.inputs, base.ridge.inputs, test.inputs]
    correlations = np.corrcoef([x.ravel() for x in draws])[np.triu_indices(3, 1)]
    assert np.all(np.abs(correlations) < 4 / math.sqrt(base.step.inputs.size))


def test_float32_draws_are_the_float64_draws_rounded() -> None:
    model = Model()
    single = draw_network(model, n=60, seed=0, entropy=ENTROPY, dtype=np.float32)
    double = draw(model)
    assert single.weights.dtype == np.float32
    np.testing.assert_allclose(single.weights, double.weights, rtol=1e-6, atol=1e-7)
    assert np.array_equal(single.step.inputs, double.step.inputs.astype(np.float32))


def alignment_with_beta(initial_output: str, n: int) -> float:
    """Squared cosine of the gradient's leading right singular vector with beta, mean over three seeds."""
    cosines = []
    for seed in range(3):
        d = draw(Model(), n=n, seed=seed)
        s = output_scale(initial_output, len(d.readout))
        g = gradient(d.step.inputs, d.step.labels, d.weights, d.readout, resolve_activation("relu"), output_scale=s)
        beta = d.step.inputs.T @ d.step.labels
        v = np.linalg.svd(g, full_matrices=False)[2][0]
        cosines.append((v @ beta) ** 2 / (beta @ beta))
    return float(np.mean(cosines))


def test_the_gradient_points_along_beta_only_under_the_vanishing_output() -> None:
    vanishing = [alignment_with_beta("vanishing", n) for n in (100, 400)]
    full = [alignment_with_beta("full", n) for n in (100, 400)]
    assert vanishing[0] < vanishing[1]
    assert vanishing[1] > 0.99
    assert max(full) < 0.9
