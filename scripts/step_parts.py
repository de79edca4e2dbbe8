"""Which part of the step the theory misses: networks whose step is the true one, or made of parts.

    python scripts/step_parts.py [--n 400] [--alpha 0.4] [--seeds 30]
    python scripts/step_parts.py --configuration 3 --alpha 0.48

The row of neuron i in the gradient, over a_i, is c_1 beta + 2 c_2 M w_i + a rest. In the theory the rest is independent
of w_i. Networks of the same draws are given (a) the true step, (b) c_1 beta + 2 c_2 M w_i and an independent rest,
(c) c_1 beta and an independent rest of the size of both; (c) is held against the theory without the gradient batch's
matrix. Means over seeds over the prediction less 1, in per cent, by penalty. The model is relu, target 0,1,.5, noise
.1, d/n = .08, N = 3n and a Gaussian readout, or one of those of `agreement.py --random`.
"""

from __future__ import annotations

import argparse
import itertools
import math

import numpy as np
from agreement import configurations

import spikecube as sc
from spikecube.model.activations import resolve_activation
from spikecube.model.targets import resolve_target
from spikecube.theory import chosen_degrees
from spikecube.theory.conditional.build import Parts, profile_of
from spikecube.theory.conditional.losses import conditional_losses

WORST = {"activation": "relu", "target": [0.0, 1.0, 0.5], "noise": 0.1, "dim_ratio": 0.08, "width_ratio": 3.0}
LAMS = np.array([0.001, 0.05, 1.0])
FRESH, ENTROPY = 6000, 7
STEPS = ("true", "beta, M, independent", "beta, independent")


def ridge_losses(model: sc.Model, batch: tuple[np.ndarray, np.ndarray], fresh: tuple, w: np.ndarray) -> np.ndarray:
    """Train and test losses, (2, penalties), of a first layer w."""
    sigma, n = resolve_activation(model.activation), len(batch[1])
    features, seen = (sigma(x @ w.T) for x in (batch[0], fresh[0]))
    values, vectors = np.linalg.eigh(features @ features.T)
    turned = vectors.T @ batch[1]
    dual = turned / (np.maximum(values, 0.0) + n * LAMS[:, None])
    train = LAMS * (dual @ turned)
    predicted = dual @ (seen @ features.T @ vectors).T
    return np.array([train, np.mean((fresh[1] - predicted) ** 2, axis=1) + model.noise**2])


def losses_of_seed(model: sc.Model, n: int, alpha: float, seed: int) -> np.ndarray:
    """Losses with each of `STEPS`, (steps, 2, penalties)."""
    rng = np.random.default_rng([ENTROPY, seed])
    sigma, f = resolve_activation(model.activation), resolve_target(model.target)
    c, d, width, samples = sigma.coefficients(2), model.dim(n), model.width(n), model.step_samples(n)
    star = rng.standard_normal(d)
    star /= np.linalg.norm(star)
    w = rng.standard_normal((width, d))
    w /= np.linalg.norm(w, axis=1)[:, None]
    gaussian = rng.standard_normal(width)
    a = {"gaussian": gaussian, "rademacher": np.sign(gaussian), "constant": np.ones(width)}[model.readout]

    def drawn(count: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
        x = rng.standard_normal((count, d))
        return x, f(x @ star) + noise * rng.standard_normal(count)

    (x, y), batch, fresh = drawn(samples, model.noise), drawn(n, model.noise), drawn(FRESH, 0.0)
    rows = (y[:, None] * sigma.derivative(x @ w.T)).T @ x / samples
    beta, matrix = x.T @ y / samples, (x.T * y) @ x / samples
    with_matrix = c[1] * beta + 2 * c[2] * w @ matrix
    step = model.eta(n, alpha) * a[:, None] / math.sqrt(width)
    spread = np.mean(y**2) / samples * (sigma.slope_power - c[1] ** 2 - np.array([4 * c[2] ** 2, 0.0]))
    noise = rng.standard_normal((width, d))
    gradients = (rows, with_matrix + noise * math.sqrt(spread[0]), c[1] * beta + noise * math.sqrt(spread[1]))
    return np.array([ridge_losses(model, batch, fresh, w + step * gradient) for gradient in gradients])


def main() -> None:
    """Print a row for each step, and how the true one differs on the same draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=400)
    parser.add_argument("--alpha", type=float, default=0.4)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--configuration", type=int, help="the number of one of those of `agreement.py --random`")
    options = parser.parse_args()
    fields, n = WORST, options.n
    if options.configuration is not None:
        fields, n = next(itertools.islice(configurations(options.configuration + 1), options.configuration, None))
    model = sc.Model(**fields)
    degrees = chosen_degrees(model, n)
    found = np.array([losses_of_seed(model, n, options.alpha, seed) for seed in range(options.seeds)])
    print(f"{model}, n = {n}, d = {model.dim(n)}, alpha = {options.alpha}, lambda = {LAMS.tolist()}")
    for k, name in enumerate(STEPS):
        matrix = k < 2
        parts = Parts(degrees, radius=True, plane=matrix, batch=matrix)
        theory = conditional_losses(profile_of(model, n, options.alpha, parts), LAMS)
        predicted = np.array([theory.train, theory.test])
        print(f"{name:22s} {table_row(100 * (found[:, k] / predicted - 1))}")
    print(f"{'first less second':22s} {table_row(100 * (found[:, 0] / found[:, 1] - 1))}")


def table_row(off: np.ndarray) -> str:
    """Means over seeds, with their standard errors; off of shape (seeds, 2, penalties)."""
    stderr = off.std(axis=0, ddof=1) / math.sqrt(len(off))
    cells = [
        ", ".join(f"{v:+.1f} +- {s:.1f}" for v, s in zip(*row, strict=True))
        for row in zip(off.mean(axis=0), stderr, strict=True)
    ]
    return f"train {cells[0]}   test {cells[1]}"


if __name__ == "__main__":
    main()
