"""A direct simulation: no shared work, no low-rank algebra, one dense solve per loss."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from spikecube.model.activations import resolve_activation
from spikecube.model.network import draw_network, draw_test_batch, features, gradient
from spikecube.model.parameters import Model

ENTROPY = 2310078917
TEST_SAMPLES = 4  # test samples per training sample


@dataclass
class Network:
    """One draw with its step taken, ready for any alpha; not `tested` without a test batch, which losses alone need."""

    model: Model
    n: int
    seed: int
    tested: bool = True

    def __post_init__(self) -> None:
        model, n = self.model, self.n
        self.activation = resolve_activation(model.activation)
        draw = draw_network(model, n=n, seed=self.seed, entropy=ENTROPY)
        self.batches = [draw.ridge]
        if self.tested:
            size = TEST_SAMPLES * n
            batch = draw_test_batch(model, draw.direction, n=n, seed=self.seed, entropy=ENTROPY, n_samples=size)
            self.batches.append(batch)
        scale = 1.0 if model.initial_output == "full" else model.width(n) ** -0.5
        step = gradient(draw.step.inputs, draw.step.labels, draw.weights, draw.readout, self.activation, scale)
        self.readout = draw.readout
        self.beta = draw.step.inputs.T @ draw.step.labels / len(draw.step.labels)
        self.pre = [batch.inputs @ draw.weights.T for batch in self.batches]
        self.shift = [batch.inputs @ step.T for batch in self.batches]

    @functools.cached_property
    def initial(self) -> list[np.ndarray]:
        """F_0 on each batch."""
        return [self.activation(z) for z in self.pre]

    def updated(self, alpha: float) -> list[np.ndarray]:
        """F on the training batch, and on the test batch."""
        eta = self.model.eta(self.n, alpha)
        return [features(self.activation, z, s, eta) for z, s in zip(self.pre, self.shift, strict=True)]

    def spiked(self, alpha: float, ell: int) -> list[np.ndarray]:
        """F_ell on the training batch, and on the test batch."""
        c = self.activation.coefficients(max(ell, 1))
        eta = self.model.eta(self.n, alpha)
        out = []
        for start, batch in zip(self.initial, self.batches, strict=True):
            spike = c[1] * eta * np.outer(batch.inputs @ self.beta, self.readout)
            out.append(start + np.polynomial.polynomial.polyval(spike, [0, *c[1 : ell + 1]]))
        return out

    def losses(self, pair: list[np.ndarray], *lams: float) -> np.ndarray:
        """(train, test) for each penalty, or for the one; the test loss is a mean over fresh samples."""
        train, test = pair
        y, fresh = (batch.labels for batch in self.batches)
        gram, found = train @ train.T, []
        for lam in lams:
            dual = linalg.solve(gram + lam * self.n * np.eye(self.n), y, assume_a="pos")
            error = fresh - test @ (train.T @ dual)
            found.append([lam * (y @ dual), np.mean(error**2)])
        return np.array(found if len(lams) > 1 else found[0])

    def singular_values(self, pair: list[np.ndarray]) -> np.ndarray:
        """Those of the training features over sqrt n, largest first; by their squares, exact enough from 1e-6 on."""
        train = pair[0] if pair[0].shape[0] <= pair[0].shape[1] else pair[0].T
        return np.asarray(np.sqrt(np.maximum(np.linalg.eigvalsh(train @ train.T)[::-1], 0) / self.n))


def z_scores(samples: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """(mean over the first axis - expected) in standard errors of that mean."""
    return (samples.mean(axis=0) - expected) / (samples.std(axis=0, ddof=1) / math.sqrt(len(samples)))
