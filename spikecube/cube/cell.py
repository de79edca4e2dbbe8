"""One (n, seed) cell: every measured variable, for all alpha and all penalties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikecube.cube.schema import STATUS
from spikecube.linalg.factor import factor
from spikecube.linalg.lanczos import dominant, operator_norm
from spikecube.linalg.matrix import feature_matrix
from spikecube.linalg.products import product, vector_product
from spikecube.model.activations import Activation, resolve_activation
from spikecube.model.equivalent import InitialTerms, equivalence_errors, equivalent_losses, initial_terms
from spikecube.model.moments import Neurons, RidgeFunction, ridge_function
from spikecube.model.network import (
    Batch,
    Draw,
    blockwise_product,
    draw_network,
    draw_test_batch,
    feature_blocks,
    features,
    gradient,
    output_scale,
)
from spikecube.model.parameters import Model
from spikecube.model.risk import PopulationTest, SampleTest
from spikecube.model.spikes import Spikes, alignments, gradient_products, make_spikes, nonzero_degrees
from spikecube.model.targets import resolve_target
from spikecube.study.fields import Measure
from spikecube.types import Array

Cell = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Preactivations:
    """The ridge batch as the network sees it.

    Attributes
    ----------
    initial, step : X W_0^T and X G^T; (n, width).
    labels : y; (n,).
    projection : X beta; (n,).
    """

    initial: Array
    step: Array
    labels: Array
    projection: Array


@dataclass(frozen=True)
class Shared:
    """What does not depend on alpha.

    Attributes
    ----------
    coefficients : Hermite coefficients c_0 ... of the activation, up to the larger of `degree` and `ell`.
    readout : a; (width,).
    scalars : the variables with no other dim than n and seed.
    """

    activation: Activation
    coefficients: Array
    readout: Array
    ridge: Preactivations
    test: SampleTest | PopulationTest
    spikes: Spikes
    scalars: dict[str, float]


def compute_cell(
    model: Model,
    measure: Measure,
    *,
    n: int,
    seed: int,
    alphas: npt.ArrayLike,
    lams: npt.ArrayLike,
    entropy: int,
    edges: npt.ArrayLike | None = None,
) -> Cell:
    """Every variable of the schema at one (n, seed), arrays in the order of `cell_dims`.

    A value at (alpha, lam) has the same bits whatever other alphas and penalties are asked for.

    Parameters
    ----------
    model, measure : the fields of the study file's [model] and [measure].
    n, seed, entropy : size, replicate and root of all random streams.
    alphas, lams : step exponents and penalties.
    edges : edges of the bins for all singular values; needed if the measure has `spectrum_bins`.
    """
    penalties = np.asarray(lams, dtype=np.float64)
    with np.errstate(all="ignore"):
        shared = make_shared(model, measure, n=n, seed=seed, entropy=entropy)
        room = np.empty_like(shared.ridge.initial)
        initial, terms = _initial(shared, measure, penalties, room)
        points = [
            _point(shared, measure, terms, model.eta(n, float(a)), penalties, edges, room) for a in np.asarray(alphas)
        ]
    cell: Cell = {name: np.asarray(value) for name, value in (shared.scalars | initial).items()}
    fine = all(np.all(np.isfinite(value)) for value in cell.values())
    for name in points[0]:
        cell[name] = np.stack([point[name] for point in points])
    ok = [fine and all(np.all(np.isfinite(v)) for v in point.values()) for point in points]
    cell["status"] = np.where(ok, STATUS["ok"], STATUS["nonfinite"]).astype(np.int8)
    return cell


def make_shared(model: Model, measure: Measure, *, n: int, seed: int, entropy: int) -> Shared:
    """The draw, its gradient step, and everything else that alpha does not change."""
    dtype = np.dtype(measure.precision)
    activation = resolve_activation(model.activation)
    coefficients = activation.coefficients(max(measure.degree, measure.ell))
    draw = draw_network(model, n=n, seed=seed, entropy=entropy, dtype=dtype)
    scale = output_scale(model.initial_output, len(draw.readout))
    step = gradient(draw.step.inputs, draw.step.labels, draw.weights, draw.readout, activation, scale)
    beta = vector_product(draw.step.inputs.T, draw.step.labels) / len(draw.step.labels)

    inputs = draw.ridge.inputs
    ridge = Preactivations(inputs @ draw.weights.T, inputs @ step.T, draw.ridge.labels, vector_product(inputs, beta))
    spikes = make_spikes(coefficients, nonzero_degrees(coefficients, measure.ell), ridge.projection, draw.readout)
    del inputs
    if measure.test_risk == "exact":
        test: SampleTest | PopulationTest = _population_test(model, activation, draw, step, beta, spikes)
    else:
        n_test = n if measure.test_samples == "n" else int(measure.test_samples)
        batch = draw_test_batch(model, draw.direction, n=n, seed=seed, entropy=entropy, n_samples=n_test, dtype=dtype)
        test = _sample_test(activation, draw, step, beta, spikes, batch)
    scalars = {
        **_step_scalars(step, draw.readout, beta, coefficients[1]),
        "beta_alignment": float((beta @ draw.direction) ** 2 / ((beta @ beta) * (draw.direction @ draw.direction))),
        "label_power": float(np.mean(ridge.labels**2)),
        "test_label_power": test.label_power,
    }
    return Shared(activation, coefficients, draw.readout, ridge, test, spikes, scalars)


def _sample_test(
    activation: Activation, draw: Draw, step: Array, beta: Array, spikes: Spikes, batch: Batch
) -> SampleTest:
    scaled = vector_product(batch.inputs, beta) / spikes.scale
    monomials = np.stack([scaled**k for k in spikes.degrees], axis=1)
    return SampleTest(activation, batch.inputs @ draw.weights.T, batch.inputs @ step.T, batch.labels, monomials)


def _population_test(
    model: Model, activation: Activation, draw: Draw, step: Array, beta: Array, spikes: Spikes
) -> PopulationTest:
    cross = draw.weights @ step.T
    neurons = Neurons(activation, draw.weights @ draw.weights.T, cross + cross.T, step @ step.T)
    target = resolve_target(model.target)
    degree = None if target.polynomial is None else max(len(target.polynomial) - 1, 1)
    label = ridge_function(target, draw.direction, draw.weights, step, degree, target.kinks)

    def monomial(k: int) -> RidgeFunction:
        return ridge_function(lambda z: z**k, beta / spikes.scale, draw.weights, step, k)

    return PopulationTest(neurons, label, model.noise, [monomial(k) for k in spikes.degrees])


def _step_scalars(step: Array, readout: Array, beta: Array, c1: float) -> dict[str, float]:
    """How close the gradient is to its rank-one part c_1 a beta^T."""
    size = len(beta)
    largest = dominant(gradient_products(step, readout, beta, 0.0), size, 1e-12)
    rest = operator_norm(gradient_products(step, readout, beta, c1), size)
    power = float(beta @ beta)
    return {
        "gradient_error": float(np.divide(rest, np.sqrt(largest.value))),
        "gradient_alignment": float(np.divide((largest.vector @ beta) ** 2, power)),
        "beta_power": power,
        "readout_power": float(readout @ readout),
    }


def _initial(
    shared: Shared, measure: Measure, lams: Array, room: Array
) -> tuple[dict[str, npt.ArrayLike], list[InitialTerms]]:
    """The variables of F_0, written into `room`, and the terms that all F_ell share."""
    matrix = feature_matrix(features(shared.activation, shared.ridge.initial, None, 0.0, room))
    terms = initial_terms(matrix, shared.ridge.labels, shared.spikes, lams, shared.test.forms)
    return {
        "singular_value_init": factor(matrix, shared.ridge.labels).triplets(measure.rank).values,
        "train_loss_init": [t.label for t in terms],
        "test_loss_init": [t.test_loss for t in terms],
    }, terms


def _point(
    shared: Shared,
    measure: Measure,
    terms: list[InitialTerms],
    eta: float,
    lams: Array,
    edges: npt.ArrayLike | None,
    room: Array,
) -> dict[str, Array]:
    """The variables at one alpha, with F written into `room`."""
    f = features(shared.activation, shared.ridge.initial, shared.ridge.step, eta, room)
    return {**_stepped(shared, measure, f, eta, lams, edges), **_equivalent(shared, measure, f, terms, eta)}


def _stepped(
    shared: Shared, measure: Measure, f: Array, eta: float, lams: Array, edges: npt.ArrayLike | None
) -> dict[str, Array]:
    """The variables of F (n, width) alone; its copy in single precision lives no longer than this call."""
    state = factor(feature_matrix(f), shared.ridge.labels)
    vectors = len(nonzero_degrees(shared.coefficients, measure.degree))
    triplets = state.triplets(max(measure.rank, vectors), vectors)
    aligned = alignments(triplets.left, shared.ridge.projection, shared.coefficients, measure.degree)
    path = state.path(lams)
    return {
        "singular_value": triplets.values[: measure.rank],
        "alignment": aligned.single,
        "subspace_alignment": aligned.subspace,
        "train_loss": path.train_loss,
        "test_loss": shared.test.losses(eta, path.coefficients),
        **({"spectrum": state.counts(edges)} if edges is not None else {}),
    }


def _equivalent(shared: Shared, measure: Measure, f: Array, terms: list[InitialTerms], eta: float) -> dict[str, Array]:
    """The variables of F_1 ... F_ell beside F (n, width)."""
    ells = range(1, measure.ell + 1)
    losses = np.array([[equivalent_losses(t, shared.spikes, eta, ell) for ell in ells] for t in terms])
    difference = np.empty(f.shape, dtype=np.float32)
    for rows, block in feature_blocks(shared.activation, shared.ridge.initial):
        np.subtract(f[rows], block, out=difference[rows], casting="same_kind")

    def exact(columns: Array) -> Array:
        if f.dtype == difference.dtype:  # single precision throughout: there is no better copy
            return product(difference, columns)
        blocks = feature_blocks(shared.activation, shared.ridge.initial)
        return product(f, columns) - blockwise_product(blocks, len(f), [columns])[0]

    return {
        "train_loss_spiked": losses[..., 0],
        "test_loss_spiked": losses[..., 1],
        "equivalence_error": equivalence_errors(difference, exact, shared.spikes, eta, measure.ell),
    }
