"""A direct simulation: no shared work, no low-rank algebra, one dense solve per loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from spikecube.model.activations import resolve_activation
from spikecube.model.network import draw_network, draw_test_batch, features, gradient
from tests.theory.models import SomeModel

ENTROPY = 2310078917
TEST_SAMPLES = 4  # test samples per training sample


@dataclass
class Network:
    """One draw with its step taken, ready for any alpha."""

    model: SomeModel
    n: int
    seed: int

    def __post_init__(self) -> None:
        model, n = self.model, self.n
        self.activation = resolve_activation(model.activation)
        draw = draw_network(model, n=n, seed=self.seed, entropy=ENTROPY)
        self.test = draw_test_batch(
            model, draw.direction, n=n, seed=self.seed, entropy=ENTROPY, n_samples=TEST_SAMPLES * n
        )
        self.train = draw.ridge
        scale = 1.0 if model.initial_output == "full" else model.width(n) ** -0.5
        step = gradient(draw.step.inputs, draw.step.labels, draw.weights, draw.readout, self.activation, scale)
        self.readout = draw.readout
        self.beta = draw.step.inputs.T @ draw.step.labels / len(draw.step.labels)
        self.pre = [batch.inputs @ draw.weights.T for batch in (self.train, self.test)]
        self.shift = [batch.inputs @ step.T for batch in (self.train, self.test)]

    def updated(self, alpha: float) -> list[np.ndarray]:
        """F on the training and the test batch."""
        eta = self.model.eta(self.n, alpha)
        return [features(self.activation, z, s, eta) for z, s in zip(self.pre, self.shift, strict=True)]

    def spiked(self, alpha: float, ell: int) -> list[np.ndarray]:
        """F_ell on the training and the test batch."""
        c = self.activation.coefficients(max(ell, 1))
        eta = self.model.eta(self.n, alpha)
        out = []
        for z, batch in zip(self.pre, (self.train, self.test), strict=True):
            spike = c[1] * eta * np.outer(batch.inputs @ self.beta, self.readout)
            out.append(self.activation(z) + sum(c[k] * spike**k for k in range(1, ell + 1)))
        return out

    def losses(self, pair: list[np.ndarray], lam: float) -> np.ndarray:
        """(train, test) for one penalty; the test loss is a mean over fresh samples."""
        train, test = pair
        y = self.train.labels
        dual = linalg.solve(train @ train.T + lam * self.n * np.eye(self.n), y, assume_a="pos")
        error = self.test.labels - test @ (train.T @ dual)
        return np.array([lam * (y @ dual), np.mean(error**2)])

    def singular_values(self, pair: list[np.ndarray]) -> np.ndarray:
        """Those of the training features over sqrt n, largest first."""
        return np.asarray(linalg.svdvals(pair[0])) / math.sqrt(self.n)


def z_scores(samples: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """(mean over the first axis - expected) in standard errors of that mean."""
    return (samples.mean(axis=0) - expected) / (samples.std(axis=0, ddof=1) / math.sqrt(len(samples)))
