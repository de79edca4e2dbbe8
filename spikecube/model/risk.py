"""The test loss as a quadratic form in the coefficients: from a test batch, or the population's in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikecube.model.activations import Activation
from spikecube.model.moments import Neurons, RidgeFunction, ridge_moment
from spikecube.model.network import blockwise_product, feature_blocks
from spikecube.types import Array


@dataclass(frozen=True)
class QuadraticRisk:
    """E (y - sum_j theta_j f_j(x))^2 = power - 2 linear . theta + theta . gram theta.

    Attributes
    ----------
    power : E y^2.
    linear : E y f_j; (functions,).
    gram : E f_j f_k; (functions, functions).
    """

    power: float
    linear: Array
    gram: Array

    def __call__(self, theta: Array) -> float:
        """The risk of the prediction sum_j theta_j f_j(x)."""
        return float(self.power - 2 * (self.linear @ theta) + theta @ self.gram @ theta)


def sample_risk(labels: Array, predictions: Array) -> QuadraticRisk:
    """The risk over a test batch: labels (n_test,) and the functions' values (n_test, functions)."""
    n = len(labels)
    return QuadraticRisk(
        float(labels @ labels) / n, np.asarray(predictions.T @ labels) / n, np.asarray(predictions.T @ predictions) / n
    )


@dataclass(frozen=True)
class SampleTest:
    """Test losses over one test batch.

    Attributes
    ----------
    initial, step : (n_test, width), the pre-activations x.w and what a step of size one adds to them.
    labels : (n_test,), noisy.
    monomials : (n_test, spikes), (x.beta)^k as columns.
    """

    activation: Activation
    initial: Array
    step: Array
    labels: Array
    monomials: Array

    @property
    def label_power(self) -> float:
        """The mean square of the labels."""
        return float(np.mean(self.labels**2))

    def losses(self, eta: float, coefficients: Array) -> Array:
        """Test losses of F a for each row a of the coefficients (lam, width); (lam,)."""
        blocks = feature_blocks(self.activation, self.initial, self.step, eta)
        (predicted,) = blockwise_product(blocks, len(self.labels), [coefficients.T])
        return np.array([np.mean((self.labels - p) ** 2) for p in predicted.T.copy()])

    def forms(self, columns: Sequence[Array]) -> list[QuadraticRisk]:
        """For each B (width, any) the risk of combinations of F_0 B and the monomials, in this order."""
        predicted = blockwise_product(feature_blocks(self.activation, self.initial), len(self.labels), columns)
        return [sample_risk(self.labels, np.concatenate([p, self.monomials], axis=1)) for p in predicted]


@dataclass(frozen=True)
class PopulationTest:
    """Test losses in expectation over (x, y), in closed form.

    Attributes
    ----------
    neurons : the rows of W.
    label : f_*, without its noise.
    noise : standard deviation of the label noise.
    monomials : (x.beta)^k for each degree that carries a spike.
    """

    neurons: Neurons
    label: RidgeFunction
    noise: float
    monomials: Sequence[RidgeFunction]

    @property
    def label_power(self) -> float:
        """E y^2 given beta_*."""
        return self.label.power + self.noise**2

    def losses(self, eta: float, coefficients: Array) -> Array:
        """Test losses of F a for each row a of the coefficients (lam, width); (lam,)."""
        cross = self.neurons.cross_moments(eta, [self.label])[:, 0]
        (moments,) = self.neurons.apply(eta, [coefficients.T])
        pairs = zip(coefficients, moments.T.copy(), strict=True)
        return np.array([self.label_power - 2 * float(a @ cross) + float(a @ b) for a, b in pairs])

    def forms(self, columns: Sequence[Array]) -> list[QuadraticRisk]:
        """For each B (width, any) the risk of combinations of F_0 B and the monomials, in this order."""
        ridges = [self.label, *self.monomials]
        cross = self.neurons.cross_moments(0.0, ridges)
        among = np.array([[ridge_moment(f, g) for g in ridges] for f in ridges])
        forms = []
        for b, moments in zip(columns, self.neurons.apply(0.0, columns), strict=True):
            mixed = b.T @ cross
            gram = np.block([[b.T @ moments, mixed[:, 1:]], [mixed[:, 1:].T, among[1:, 1:]]])
            forms.append(QuadraticRisk(self.label_power, np.concatenate([mixed[:, 0], among[0, 1:]]), gram))
        return forms
