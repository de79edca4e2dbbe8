"""One (n, seed) cell: every measured variable, for all alpha and all penalties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikecube.cube.schema import STATUS
from spikecube.cube.sections import Measure, Model
from spikecube.model import network
from spikecube.model.activations import Activation, resolve_activation
from spikecube.model.cost_model import eigen_is_cheaper
from spikecube.model.equivalent import (
    Solves,
    Spikes,
    equivalence_errors,
    make_spikes,
    solve_initial,
    spiked_losses,
)
from spikecube.model.hermite import Array
from spikecube.model.krylov import dominant, product
from spikecube.model.network import (
    Draw,
    draw_network,
    draw_test_batch,
    feature_blocks,
    features,
    gradient,
    output_scale,
    predict,
)
from spikecube.model.prepared import Prepared
from spikecube.model.ridge import eigen_path, solve_path
from spikecube.model.risk import Neurons, PopulationTest, Ridge, SampleTest, ridge_function
from spikecube.model.spectrum import (
    alignments,
    gradient_products,
    leading_triplets,
    operator_norm,
    spectrum_counts,
    spike_degrees,
)
from spikecube.model.targets import resolve_target

Cell = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Batch:
    """The ridge batch seen by the network: pre-activations X W_0^T and X G^T, labels y, and X beta."""

    initial: Array
    step: Array
    labels: Array
    projection: Array


@dataclass(frozen=True)
class Shared:
    """What does not depend on alpha."""

    activation: Activation
    coefficients: Array
    readout: Array
    ridge: Batch
    test: SampleTest | PopulationTest
    spikes: Spikes
    scalars: dict[str, float]


@dataclass(frozen=True)
class Buffers:
    """Room for one feature matrix and its single-precision copy."""

    features: Array
    half: Array


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
        features = np.empty_like(shared.ridge.initial)
        single = features.dtype == np.float32
        buffers = Buffers(features, features if single else np.empty(features.shape, dtype=np.float32))
        initial, solves = _initial(shared, measure, buffers, penalties)
        points = [
            _point(shared, measure, buffers, solves, model.eta(n, float(a)), penalties, edges)
            for a in np.asarray(alphas)
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
    beta = _product(draw.step.inputs.T, draw.step.labels) / len(draw.step.labels)

    inputs = draw.ridge.inputs
    ridge = Batch(inputs @ draw.weights.T, inputs @ step.T, draw.ridge.labels, _product(inputs, beta))
    spikes = make_spikes(coefficients, spike_degrees(coefficients, measure.ell), ridge.projection, draw.readout)
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
    activation: Activation, draw: Draw, step: Array, beta: Array, spikes: Spikes, batch: network.Batch
) -> SampleTest:
    scaled = _product(batch.inputs, beta) / spikes.scale
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

    def monomial(k: int) -> Ridge:
        return ridge_function(lambda z: z**k, beta / spikes.scale, draw.weights, step, k)

    return PopulationTest(neurons, label, model.noise, [monomial(k) for k in spikes.degrees])


def _product(matrix: Array, vector: Array) -> Array:
    return np.asarray(matrix @ vector.astype(matrix.dtype), dtype=np.float64)


def _step_scalars(step: Array, readout: Array, beta: Array, c1: float) -> dict[str, float]:
    """How close the gradient is to its rank-one part c_1 a beta^T."""
    size = len(beta)
    square, leading = dominant(gradient_products(step, readout, beta, 0.0), size, 1e-12)
    rest = operator_norm(gradient_products(step, readout, beta, c1), size)
    power = float(beta @ beta)
    return {
        "gradient_error": float(np.divide(rest, np.sqrt(square))),
        "gradient_alignment": float(np.divide((leading @ beta) ** 2, power)),
        "beta_power": power,
        "readout_power": float(readout @ readout),
    }


def _initial(
    shared: Shared, measure: Measure, buffers: Buffers, lams: Array
) -> tuple[dict[str, npt.ArrayLike], list[Solves]]:
    """The variables of F_0, and the solves that all F_ell share."""
    ridge = shared.ridge
    features(shared.activation, ridge.initial, None, 0.0, buffers.features, buffers.half)
    state = Prepared(buffers.features, ridge.labels, buffers.half)
    solves = solve_initial(state, shared.spikes, lams, shared.test.forms)
    return {
        "singular_value_init": leading_triplets(state, measure.rank).values,
        "train_loss_init": [s.label for s in solves],
        "test_loss_init": [s.test_loss for s in solves],
    }, solves


def _point(
    shared: Shared,
    measure: Measure,
    buffers: Buffers,
    solves: list[Solves],
    eta: float,
    lams: Array,
    edges: npt.ArrayLike | None,
) -> dict[str, Array]:
    """The variables at one alpha."""
    ridge = shared.ridge
    matrix = features(shared.activation, ridge.initial, ridge.step, eta, buffers.features, buffers.half)
    state = Prepared(matrix, ridge.labels, buffers.half)
    vectors = len(spike_degrees(shared.coefficients, measure.degree))
    triplets = leading_triplets(state, max(measure.rank, vectors), vectors)
    single, subspace = alignments(triplets.left, ridge.projection, shared.coefficients, measure.degree)
    path = (eigen_path if eigen_is_cheaper(matrix.shape) else solve_path)(state, lams)
    return {
        "singular_value": triplets.values[: measure.rank],
        "alignment": single,
        "subspace_alignment": subspace,
        "train_loss": path.train_loss,
        "test_loss": shared.test.losses(eta, path.coefficients),
        **({"spectrum": spectrum_counts(state, edges)} if edges is not None else {}),
        **_equivalent(shared, measure, buffers, solves, eta),
    }


def _equivalent(
    shared: Shared, measure: Measure, buffers: Buffers, solves: list[Solves], eta: float
) -> dict[str, Array]:
    """The variables of F_1 ... F_ell at one alpha, with F in the buffer, whose single-precision copy is overwritten."""
    ells, n = range(1, measure.ell + 1), len(shared.ridge.labels)
    losses = np.array([[spiked_losses(s, shared.spikes, eta, ell) for ell in ells] for s in solves])
    difference = buffers.half
    for rows, block in feature_blocks(shared.activation, shared.ridge.initial):
        np.subtract(buffers.features[rows], block, out=difference[rows], casting="same_kind")

    def exact(columns: Array) -> Array:
        if difference is buffers.features:  # single precision throughout: there is no better copy
            return product(difference, columns)
        blocks = feature_blocks(shared.activation, shared.ridge.initial)
        return product(buffers.features, columns) - predict(blocks, n, [columns])[0]

    errors = equivalence_errors(difference, exact, shared.spikes, eta, measure.ell)
    return {
        "train_loss_spiked": losses[..., 0],
        "test_loss_spiked": losses[..., 1],
        "equivalence_error": errors,
    }
