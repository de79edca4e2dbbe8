"""The obvious computation of every variable at one (alpha, lam): everything rebuilt, full SVDs, dense solves.

The reference that the shared computation is held against, and the obvious loop of the benchmark.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikecube.model.activations import resolve_activation
from spikecube.model.network import draw_network, draw_test_batch, output_scale
from spikecube.types import Array


def ridge_losses(
    matrix: Array, test_matrix: Array, labels: Array, test_labels: Array, lam: float
) -> tuple[float, float]:
    """Training loss with its penalty, and test loss, from one dense solve on the smaller side."""
    n, width = matrix.shape
    if width <= n:
        a = np.linalg.solve(matrix.T @ matrix + n * lam * np.eye(width), matrix.T @ labels)
    else:
        a = matrix.T @ np.linalg.solve(matrix @ matrix.T + n * lam * np.eye(n), labels)
    train = np.mean((labels - matrix @ a) ** 2) + lam * np.sum(a**2)
    return float(train), float(np.mean((test_labels - test_matrix @ a) ** 2))


def direct_gradient(
    inputs: Array, labels: Array, weights: Array, readout: Array, activation: Any, scale: float
) -> Array:
    """G = (1/n) [(y - s sigma(Z) a) a^T o sigma'(Z)]^T X, written out."""
    z = inputs @ weights.T
    residual = labels - scale * activation(z) @ readout
    return np.asarray((np.outer(residual, readout) * activation.derivative(z)).T @ inputs / len(labels))


def orthonormal(projection: Array, degrees: list[int]) -> Array:
    """Gram-Schmidt of projection^k, twice."""
    basis: list[Array] = []
    for k in degrees:
        v = projection**k
        for _ in range(2):
            for q in basis:
                v = v - (q @ v) * q
        basis.append(v / np.linalg.norm(v))
    return np.stack(basis, axis=1)


def direct_alignments(left: Array, projection: Array, c: Array, degree: int) -> tuple[Array, Array]:
    """alignment and subspace_alignment from a full set of left singular vectors."""
    spikes = [k for k in range(1, degree + 1) if c[k] != 0]
    monomials = orthonormal(projection, spikes)
    single, subspace = np.zeros(degree), np.zeros(degree)
    for j, k in enumerate(spikes):
        single[k - 1] = (left[:, j] @ monomials[:, j]) ** 2
        subspace[k - 1 :] = np.linalg.svd(left[:, : j + 1].T @ monomials[:, : j + 1])[1].min() ** 2
    return single, subspace


def direct_point(
    model: Any, measure: Any, *, n: int, seed: int, alpha: float, lam: float, entropy: int
) -> dict[str, Any]:
    """Every variable at one point, from scratch; the lam axis is dropped."""
    activation = resolve_activation(model.activation)
    c = activation.coefficients(max(measure.degree, measure.ell))
    draw = draw_network(model, n=n, seed=seed, entropy=entropy)
    n_test = n if measure.test_samples == "n" else measure.test_samples
    test = draw_test_batch(model, draw.direction, n=n, seed=seed, entropy=entropy, n_samples=n_test)
    x, y, xt, yt, a = draw.ridge.inputs, draw.ridge.labels, test.inputs, test.labels, draw.readout
    scale = output_scale(model.initial_output, len(a))
    step = direct_gradient(draw.step.inputs, draw.step.labels, draw.weights, a, activation, scale)
    eta = model.eta(n, alpha)
    weights = draw.weights + eta * step
    f0, f0_test = activation(x @ draw.weights.T), activation(xt @ draw.weights.T)
    f, f_test = activation(x @ weights.T), activation(xt @ weights.T)
    beta = draw.step.inputs.T @ draw.step.labels / len(draw.step.labels)
    left, values, _ = np.linalg.svd(f / np.sqrt(n), full_matrices=False)
    out: dict[str, Any] = {
        "singular_value": values[: measure.rank],
        "singular_value_init": np.linalg.svd(f0 / np.sqrt(n), compute_uv=False)[: measure.rank],
    }
    out["alignment"], out["subspace_alignment"] = direct_alignments(left, x @ beta, c, measure.degree)
    out["train_loss"], out["test_loss"] = ridge_losses(f, f_test, y, yt, lam)
    out["train_loss_init"], out["test_loss_init"] = ridge_losses(f0, f0_test, y, yt, lam)
    f_ell, f_ell_test, spiked = f0.copy(), f0_test.copy(), []
    for k in range(1, measure.ell + 1):
        f_ell += c[1] ** k * c[k] * eta**k * np.outer((x @ beta) ** k, a**k)
        f_ell_test += c[1] ** k * c[k] * eta**k * np.outer((xt @ beta) ** k, a**k)
        error = np.linalg.svd(f - f_ell, compute_uv=False)[0] / np.sqrt(n)
        spiked.append((*ridge_losses(f_ell, f_ell_test, y, yt, lam), error))
    out["train_loss_spiked"], out["test_loss_spiked"], out["equivalence_error"] = np.array(spiked).T
    _, strengths, right = np.linalg.svd(step, full_matrices=False)
    rest = np.linalg.svd(step - c[1] * np.outer(a, beta), compute_uv=False)[0]
    out["gradient_error"] = rest / strengths[0]
    out["gradient_alignment"] = (right[0] @ beta) ** 2 / (beta @ beta)
    out["beta_alignment"] = (beta @ draw.direction) ** 2 / ((beta @ beta) * (draw.direction @ draw.direction))
    out["beta_power"], out["readout_power"] = beta @ beta, a @ a
    out["label_power"], out["test_label_power"] = np.mean(y**2), np.mean(yt**2)
    return out
