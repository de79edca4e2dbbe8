"""Activations and targets: derivatives, coefficients and moments over the whole table."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, special

from spikecube.model.activations import ACTIVATIONS, Activation, polynomial_activation, resolve_activation
from spikecube.model.hermite import factorials, gaussian_quadrature, hermite_coefficients, hermite_values
from spikecube.model.targets import TARGETS, Target, resolve_target

TABLE = [*ACTIVATIONS.values(), polynomial_activation([0.7, 1.0, -0.4, 0.0, 0.1])]
each_activation = pytest.mark.parametrize("activation", TABLE, ids=lambda a: a.name)
each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=lambda t: t.name)


def adaptive_coefficient(function: object, k: int, kink: float | None) -> float:
    """c_k by adaptive quadrature, split at the kink: nothing in common with the code under test."""
    polynomial = special.hermitenorm(k)

    def integrand(z: float) -> float:
        value = float(function(np.array(z)))  # type: ignore[operator]
        return value * polynomial(z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / math.factorial(k)

    ends = [-12.0, 0.0 if kink is None else kink, 12.0]
    parts = [
        integrate.quad(integrand, a, b, epsabs=1e-13, epsrel=1e-13, limit=200)[0] for a, b in itertools.pairwise(ends)
    ]
    return sum(parts)


@each_activation
def test_derivative_agrees_with_a_difference_quotient(activation: Activation) -> None:
    z = np.array([-3.1, -1.2, -0.3, 0.2, 0.9, 2.4])
    h = 1e-5
    quotient = (activation(z + h) - activation(z - h)) / (2 * h)
    np.testing.assert_allclose(activation.derivative(z), quotient, rtol=1e-8, atol=1e-9)


@each_activation
@pytest.mark.parametrize("k", [1, 2, 3, 4, 7])
def test_coefficients_agree_with_adaptive_quadrature(activation: Activation, k: int) -> None:
    kink = activation.kinks[0] if activation.kinks else None
    assert activation.coefficients(k)[k] == pytest.approx(adaptive_coefficient(activation, k, kink), abs=1e-12)


def test_coefficients_of_relu_are_those_of_the_closed_form() -> None:
    # c_k = E[relu H_k]/k!: 1/2 for k = 1; for even k, (-1)^{k/2+1} (k-3)!! / (sqrt(2 pi) k!); 0 for odd k > 1
    c = resolve_activation("relu").coefficients(12)
    expected = np.zeros(13)
    expected[1] = 0.5
    for k in range(2, 13, 2):
        sign = -1 if k % 4 == 0 else 1
        expected[k] = sign * special.factorial2(max(k - 3, 1)) / (math.sqrt(2 * math.pi) * math.factorial(k))
    np.testing.assert_allclose(c, expected, atol=1e-15)


def test_plain_gauss_hermite_is_not_good_enough_at_a_kink() -> None:
    nodes, weights = special.roots_hermitenorm(100)
    c_2 = (weights / math.sqrt(2 * math.pi)) @ (np.maximum(nodes, 0) * hermite_values(nodes, 2)[2]) / 2
    assert abs(c_2 - resolve_activation("relu").coefficients(2)[2]) > 1e-5


@each_activation
def test_an_activation_is_centred_and_its_powers_are_those_of_its_series(activation: Activation) -> None:
    nodes, weights = gaussian_quadrature(activation.kinks)
    assert weights @ activation(nodes) == pytest.approx(0, abs=1e-14)
    assert activation.coefficients(3)[0] == 0.0
    degree = 40
    c = activation.coefficients(degree)
    power = (factorials(degree) * c**2).cumsum()
    assert power[-1] <= activation.variance * (1 + 1e-12)
    assert power[-1] == pytest.approx(activation.variance, rel=5e-3)
    slope = activation.derivative(nodes)
    assert weights @ slope**2 == pytest.approx(activation.slope_power, rel=1e-12)
    assert weights @ slope == pytest.approx(c[1], abs=1e-13)  # Stein: E sigma'(Z) = c_1


@each_activation
def test_float32_stays_float32(activation: Activation) -> None:
    z = np.linspace(-3, 3, 7, dtype=np.float32)
    for f in (activation, activation.derivative):
        assert f(z).dtype == np.float32
        np.testing.assert_allclose(f(z), f(z.astype(np.float64)), rtol=1e-4, atol=1e-5)


@each_target
def test_targets_know_their_coefficients_and_power(target: Target) -> None:
    nodes, weights = gaussian_quadrature(target.kinks)
    c = target.coefficients(3)
    for k in range(4):
        by_hand = weights @ (target(nodes) * hermite_values(nodes, k)[k]) / math.factorial(k)
        assert c[k] == pytest.approx(by_hand, abs=1e-12)
    assert target.power == pytest.approx(weights @ target(nodes) ** 2, rel=1e-12)


def test_a_target_keeps_its_mean_and_an_activation_loses_it() -> None:
    assert resolve_target("relu").coefficients(1)[0] == pytest.approx(1 / math.sqrt(2 * math.pi), abs=1e-14)
    assert resolve_activation("relu").coefficients(1)[0] == 0.0


def test_an_even_activation_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="c_1 = 0: the gradient then has no rank-one part"):
        resolve_activation([0.3, 0.0, 1.0])
    with pytest.raises(ValueError, match="'rlu' is not one of relu"):
        resolve_activation("rlu")


def test_quadrature_is_exact_for_polynomials_and_across_kinks() -> None:
    nodes, weights = gaussian_quadrature((0.3,))
    assert weights.sum() == pytest.approx(1, abs=1e-14)
    assert weights @ nodes**8 == pytest.approx(105, rel=1e-13)
    step = hermite_coefficients(lambda z: (z > 0.3).astype(float), 1, kinks=(0.3,))
    assert step[0] == pytest.approx(special.ndtr(-0.3), abs=1e-14)
    assert step[1] == pytest.approx(math.exp(-0.045) / math.sqrt(2 * math.pi), abs=1e-14)


def test_a_target_that_is_none_is_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"'nought' is not one of linear, .*, nor a list of Hermite coefficients"):
        resolve_target("nought")
    with pytest.raises(ValueError, match=r"\[\] has no coefficients"):
        resolve_target([])
