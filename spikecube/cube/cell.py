"""One (n, seed) cell: every measured variable, for all alpha and all penalties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from spikecube.cube.schema import STATUS
from spikecube.model.activations import Activation, resolve_activation
from spikecube.model.equivalent import Spikes, make_spikes
from spikecube.model.hermite import Array
from spikecube.model.network import (
    Batch,
    Draw,
    NetworkModel,
    draw_network,
    draw_test_batch,
    features,
    gradient,
    output_scale,
)
from spikecube.model.ridge import decompose, decomposed_path
from spikecube.model.spectrum import alignments, leading_right, operator_norm, spike_degrees

Cell = dict[str, npt.NDArray[np.generic]]


class CellModel(NetworkModel, Protocol):
    """A network with its step size eta(n, alpha)."""

    def eta(self, n: int, alpha: float) -> float: ...


class CellMeasure(Protocol):
    """What is measured: the fields of the study file's [measure]."""

    @property
    def rank(self) -> int: ...
    @property
    def degree(self) -> int: ...
    @property
    def ell(self) -> int: ...
    @property
    def test_risk(self) -> str: ...
    @property
    def test_samples(self) -> int | str: ...
    @property
    def spectrum_bins(self) -> int: ...
    @property
    def precision(self) -> str: ...


@dataclass(frozen=True)
class Shared:
    """What does not depend on alpha: the draw, its step, and both pre-activations of the ridge and test batches."""

    activation: Activation
    coefficients: Array
    draw: Draw
    test: Batch
    step: Array
    beta: Array
    ridge_initial: Array
    ridge_step: Array
    test_initial: Array
    test_step: Array
    spikes: Spikes
    test_spikes: Spikes


def compute_cell(
    model: CellModel,
    measure: CellMeasure,
    *,
    n: int,
    seed: int,
    alphas: npt.ArrayLike,
    lams: npt.ArrayLike,
    entropy: int,
) -> Cell:
    """Every variable of the schema at one (n, seed), arrays in the order of `cell_dims`.

    A value at (alpha, lam) has the same bits whatever other alphas and penalties are asked for.

    Parameters
    ----------
    model, measure : the fields of the study file's [model] and [measure].
    n, seed, entropy : size, replicate and root of all random streams.
    alphas, lams : step exponents and penalties.
    """
    penalties = np.asarray(lams, dtype=np.float64)
    with np.errstate(all="ignore"):
        shared = make_shared(model, measure, n=n, seed=seed, entropy=entropy)
        initial = _initial(shared, measure, penalties)
        points = [_point(shared, measure, model.eta(n, float(a)), penalties) for a in np.asarray(alphas)]
    cell: Cell = {name: np.asarray(value) for name, value in initial.items()}
    fine = all(np.all(np.isfinite(value)) for value in cell.values())
    for name in points[0]:
        cell[name] = np.stack([point[name] for point in points])
    ok = [fine and all(np.all(np.isfinite(v)) for v in point.values()) for point in points]
    cell["status"] = np.where(ok, STATUS["ok"], STATUS["nonfinite"]).astype(np.int8)
    return cell


def make_shared(model: CellModel, measure: CellMeasure, *, n: int, seed: int, entropy: int) -> Shared:
    """The draw and everything else that alpha does not change."""
    dtype = np.dtype(measure.precision)
    activation = resolve_activation(model.activation)
    draw = draw_network(model, n=n, seed=seed, entropy=entropy, dtype=dtype)
    n_test = n if measure.test_samples == "n" else int(measure.test_samples)
    test = draw_test_batch(model, draw.direction, n=n, seed=seed, entropy=entropy, n_samples=n_test, dtype=dtype)
    scale = output_scale(model.initial_output, len(draw.readout))
    step = gradient(draw.step.inputs, draw.step.labels, draw.weights, draw.readout, activation, scale)
    beta = np.asarray(draw.step.inputs.T @ draw.step.labels / len(draw.step.labels))
    degree = max(measure.degree, measure.ell)
    coefficients = activation.coefficients(degree)
    degrees = spike_degrees(coefficients, measure.ell)
    return Shared(
        activation,
        coefficients,
        draw,
        test,
        step,
        beta,
        draw.ridge.inputs @ draw.weights.T,
        draw.ridge.inputs @ step.T,
        test.inputs @ draw.weights.T,
        test.inputs @ step.T,
        make_spikes(coefficients, degrees, draw.ridge.inputs @ beta, draw.readout),
        make_spikes(coefficients, degrees, test.inputs @ beta, draw.readout),
    )


def _losses(
    matrix: Array, test_matrix: Array, shared: Shared, lams: Array, rank: int
) -> tuple[Array, Array, Array, Array]:
    """Leading singular values and left vectors, training losses, test losses of one feature matrix."""
    state = decompose(matrix)
    path = decomposed_path(state, shared.draw.ridge.labels, lams)
    test = [np.mean((shared.test.labels - test_matrix @ a) ** 2) for a in path.coefficients]
    return np.sqrt(state.values[:rank]), state.left(rank), path.train_loss, np.array(test)


def _initial(shared: Shared, measure: CellMeasure, lams: Array) -> dict[str, npt.ArrayLike]:
    """The variables without alpha."""
    draw, beta = shared.draw, shared.beta
    initial = shared.activation(shared.ridge_initial)
    values, _, train, test = _losses(initial, shared.activation(shared.test_initial), shared, lams, measure.rank)
    norm, leading = leading_right(shared.step)
    rest = shared.step - shared.coefficients[1] * np.outer(draw.readout, beta)
    power, target_power = beta @ beta, draw.direction @ draw.direction
    return {
        "singular_value_init": values,
        "train_loss_init": train,
        "test_loss_init": test,
        "gradient_error": operator_norm(rest) / norm,
        "gradient_alignment": (leading @ beta) ** 2 / power,
        "beta_alignment": (beta @ draw.direction) ** 2 / (power * target_power),
        "beta_power": power,
        "label_power": np.mean(draw.ridge.labels**2),
        "test_label_power": np.mean(shared.test.labels**2),
        "readout_power": draw.readout @ draw.readout,
    }


def _point(shared: Shared, measure: CellMeasure, eta: float, lams: Array) -> dict[str, Array]:
    """The variables at one alpha."""
    matrix = features(shared.activation, shared.ridge_initial, shared.ridge_step, eta)
    test_matrix = features(shared.activation, shared.test_initial, shared.test_step, eta)
    count = max(measure.rank, len(spike_degrees(shared.coefficients, measure.degree)))
    values, left, train, test = _losses(matrix, test_matrix, shared, lams, count)
    projection = np.asarray(shared.draw.ridge.inputs @ shared.beta)
    single, subspace = alignments(left, projection, shared.coefficients, measure.degree)
    return {
        "singular_value": values[: measure.rank],
        "alignment": single,
        "subspace_alignment": subspace,
        "train_loss": train,
        "test_loss": test,
        **_equivalent(shared, measure, matrix, eta, lams),
    }


def _equivalent(shared: Shared, measure: CellMeasure, matrix: Array, eta: float, lams: Array) -> dict[str, Array]:
    """The variables of F_1 ... F_ell at one alpha."""
    initial, test_initial = shared.activation(shared.ridge_initial), shared.activation(shared.test_initial)
    train, test = np.empty((2, len(lams), measure.ell))
    error = np.empty(measure.ell)
    for ell in range(1, measure.ell + 1):
        spiked = _add(initial, shared.spikes, eta, ell)
        error[ell - 1] = operator_norm(matrix - spiked) / np.sqrt(len(matrix))
        test_spiked = _add(test_initial, shared.test_spikes, eta, ell)
        _, _, train[:, ell - 1], test[:, ell - 1] = _losses(spiked, test_spiked, shared, lams, 1)
    return {"train_loss_spiked": train, "test_loss_spiked": test, "equivalence_error": error}


def _add(initial: Array, spikes: Spikes, eta: float, ell: int) -> Array:
    j = spikes.count(ell)
    return np.asarray(initial + (spikes.left[:, :j] * spikes.strength(eta)[:j]) @ spikes.right[:, :j].T)
