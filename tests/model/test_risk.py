"""Population moments equal quadrature and large samples; what a Hermite series leaves out is bounded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from spikecube.model.activations import resolve_activation
from spikecube.model.hermite import gaussian_quadrature
from spikecube.model.moments import Neurons, orthonormal_hermite, ridge_function, ridge_moment, scaled_series
from spikecube.model.risk import PopulationTest, sample_risk
from spikecube.model.targets import resolve_target
from spikecube.types import Array

SPECS = ["relu", "softplus", "tanh", "erf", "sigmoid", "gelu", (0.0, 1.0, 0.3, -0.2)]


def make_neurons(spec: object, width: int = 12, dim: int = 40) -> tuple[Neurons, Array, Array]:
    rng = np.random.default_rng(7)
    initial = rng.standard_normal((width, dim))
    initial /= np.linalg.norm(initial, axis=1, keepdims=True)
    step = (
        0.1 * rng.standard_normal((width, dim))
        + 0.3 * np.outer(rng.standard_normal(width), rng.standard_normal(dim)) / 6
    )
    cross = initial @ step.T
    return Neurons(resolve_activation(spec), initial @ initial.T, cross + cross.T, step @ step.T), initial, step


def pair_moment(f: Callable[[Array], Array], p: float, q: float, rho: float, kinks: tuple[float, ...]) -> float:
    """E f(p u) f(q v) by nested quadrature, panels ending at the kinks."""
    u, weights = gaussian_quadrature((0.0,))
    deviation = np.sqrt(1 - rho * rho)
    if not kinks:
        z, inner = gaussian_quadrature()
        return float((weights * f(p * u)) @ f(q * (rho * u[:, None] + deviation * z)) @ inner)
    total = 0.0
    for x, w in zip(u, weights, strict=True):
        z, inner = gaussian_quadrature((-rho * x / deviation,))
        total += w * float(f(np.array([p * x]))[0]) * float(inner @ f(q * (rho * x + deviation * z)))
    return total


@pytest.mark.parametrize("spec", SPECS)
def test_second_moments_equal_quadrature(spec: object) -> None:
    neurons, initial, step = make_neurons(spec, width=4)
    eta = 2.0
    rows = initial + eta * step
    (found,) = neurons.apply(eta, [np.eye(4)])
    np.testing.assert_allclose(found, found.T, rtol=1e-12, atol=1e-14)
    for i, j in ((0, 1), (2, 3), (1, 1)):
        p, q = np.linalg.norm(rows[i]), np.linalg.norm(rows[j])
        if i == j:
            nodes, weights = gaussian_quadrature((0.0,))
            expected = weights @ neurons.activation(p * nodes) ** 2
        else:
            expected = pair_moment(neurons.activation, p, q, rows[i] @ rows[j] / (p * q), neurons.activation.kinks)
        assert found[i, j] == pytest.approx(expected, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("spec", SPECS)
def test_moments_equal_a_large_sample(spec: object) -> None:
    """10^6 points, four standard errors; the risk of a fixed readout, label noise aside."""
    neurons, initial, step = make_neurons(spec)
    rng = np.random.default_rng(1)
    direction, a, eta = rng.standard_normal(40) / np.sqrt(40), rng.standard_normal(12), 3.0
    target = resolve_target([0.2, 1.0, 0.5])
    label = ridge_function(target, direction, initial, step, degree=2)
    exact = PopulationTest(neurons, label, 0.0, []).losses(eta, a[None])[0]
    squares = np.empty(10**6)
    for start in range(0, 10**6, 10**5):
        x = rng.standard_normal((10**5, 40))
        f = neurons.activation(x @ (initial + eta * step).T) @ a
        squares[start : start + 10**5] = (target(x @ direction) - f) ** 2
    error = squares.std() / 1000
    assert abs(squares.mean() - exact) < 4 * error
    assert abs(squares.mean() - 1.05 * exact) > 4 * error  # the sample would see an error of five per cent


def test_hermite_functions_are_orthonormal() -> None:
    nodes, weights = gaussian_quadrature()
    h = orthonormal_hermite(nodes, 30)
    np.testing.assert_allclose((h * weights) @ h.T, np.eye(31), atol=1e-12)


def test_the_rest_of_a_series_is_what_it_leaves_out() -> None:
    activation = resolve_activation("tanh")
    short, rest = scaled_series(activation, np.array([0.7, 1.3]), 5)
    longer, _ = scaled_series(activation, np.array([0.7, 1.3]), 120)
    np.testing.assert_allclose(rest, np.sum(longer[:, 6:] ** 2, axis=1), rtol=1e-8)
    np.testing.assert_allclose(short, longer[:, :6], rtol=1e-12, atol=1e-15)


def test_polynomials_have_finite_series() -> None:
    _, rest = scaled_series(resolve_activation([0.0, 1.0, 0.5]), np.array([0.5, 2.0]), 2)
    assert np.all(rest < 1e-12)


def test_a_series_that_would_not_end_is_refused_with_a_sentence() -> None:
    rng = np.random.default_rng(0)
    rows = 60 * np.ones((3, 2)) + 1e-5 * rng.standard_normal((3, 2))
    zero = np.zeros((3, 3))
    neurons = Neurons(resolve_activation("tanh"), rows @ rows.T, zero, zero)
    with pytest.raises(ArithmeticError, match="Hermite series of tanh"):
        neurons.apply(0.0, [np.eye(3)])


def test_ridge_moments_equal_a_closed_form() -> None:
    """E H_2(u) H_2(v) = 2 rho^2."""
    u, v = np.array([1.0, 0.0]), np.array([0.6, 0.8])
    f, g = (ridge_function(lambda z: z**2 - 1, w, np.eye(2), np.eye(2), degree=2) for w in (u, v))
    assert ridge_moment(f, g) == pytest.approx(2 * 0.36, rel=1e-12)


def test_sample_risk_is_the_mean_square() -> None:
    rng = np.random.default_rng(3)
    y, p, theta = rng.standard_normal(50), rng.standard_normal((50, 4)), rng.standard_normal(4)
    assert sample_risk(y, p)(theta) == pytest.approx(np.mean((y - p @ theta) ** 2), rel=1e-12)


@pytest.mark.parametrize("target", ["relu", "tanh"])
def test_targets_that_are_no_polynomials(target: str) -> None:
    neurons, initial, step = make_neurons("relu", width=3)
    f = resolve_target(target)
    direction, eta = np.random.default_rng(2).standard_normal(40) / 6, 0.7
    label = ridge_function(f, direction, initial, step, kinks=f.kinks)
    cross = neurons.cross_moments(eta, [label])[:, 0]
    x = np.random.default_rng(5).standard_normal((200_000, 40))
    products = neurons.activation(x @ (initial + eta * step).T) * f(x @ direction)[:, None]
    assert np.all(np.abs(products.mean(axis=0) - cross) < 4 * products.std(axis=0) / np.sqrt(len(x)))
    assert label.power == pytest.approx(f_power(f, direction), rel=1e-9)


def f_power(f: Callable[[Array], Array], direction: Array) -> float:
    nodes, weights = gaussian_quadrature((0.0,))
    return float(weights @ f(np.linalg.norm(direction) * nodes) ** 2)


def test_a_target_too_rough_for_its_series_is_refused_with_a_sentence() -> None:
    rows = np.array([[1.0, 0.0]])
    zero = np.zeros((1, 1))
    neurons = Neurons(resolve_activation("relu"), rows @ rows.T, zero, zero)
    label = ridge_function(resolve_target("relu"), np.array([1.0, 0.0]), rows, 0 * rows, kinks=(0.0,))
    with pytest.raises(ArithmeticError, match="Hermite terms of the target"):
        neurons.cross_moments(0.0, [label])
