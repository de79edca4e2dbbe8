"""The two-layer network: its draw, one gradient step, and its features."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from spikecube.linalg.products import grouped, row_blocks, vector_product
from spikecube.model.activations import Activation
from spikecube.model.parameters import Model
from spikecube.model.streams import Stream, generator
from spikecube.model.targets import resolve_target
from spikecube.numbers import NumberError, real_array
from spikecube.types import Array

_BLOCK = 256  # rows drawn at a time


@dataclass(frozen=True)
class Batch:
    """Inputs (n_samples, dim) and noisy labels (n_samples,)."""

    inputs: Array
    labels: Array


@dataclass(frozen=True)
class Draw:
    """All that is random at one (n, seed): weights (width, dim), readout (width,), direction (dim,), batches."""

    weights: Array
    readout: Array
    direction: Array
    step: Batch
    ridge: Batch


def standard_normal(rng: np.random.Generator, n_rows: int, n_columns: int, dtype: npt.DTypeLike = np.float64) -> Array:
    """A standard Gaussian matrix, drawn in float64 row by row: neither dtype nor further rows change a number."""
    out = np.empty((n_rows, n_columns), dtype=dtype)
    for start in range(0, n_rows, _BLOCK):
        block = out[start : start + _BLOCK]
        block[...] = rng.standard_normal(block.shape)
    return out


def draw_weights(rng: np.random.Generator, width: int, dim: int, dtype: npt.DTypeLike = np.float64) -> Array:
    """Rows uniform on the unit sphere of R^dim; shape (width, dim)."""
    weights = standard_normal(rng, width, dim, dtype)
    for start in range(0, width, _BLOCK):
        block = weights[start : start + _BLOCK]
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return weights


def draw_readout(rng: np.random.Generator, width: int, kind: str) -> Array:
    """a_i of variance 1/width: `gaussian`, `rademacher` (signs), or `constant`; shape (width,)."""
    if kind == "constant":
        return np.full(width, width**-0.5)
    values = rng.standard_normal(width)
    return np.asarray((np.sign(values) if kind == "rademacher" else values) * width**-0.5)


def draw_direction(rng: np.random.Generator, dim: int, kind: str) -> Array:
    """beta_*: N(0, I_d/d) (`gaussian`) or uniform on the unit sphere (`sphere`); shape (dim,)."""
    values = rng.standard_normal(dim)
    return np.asarray(values / (np.linalg.norm(values) if kind == "sphere" else math.sqrt(dim)))


def _draw_batch(
    model: Model,
    direction: Array,
    key: tuple[int, int, int],
    n_samples: int,
    streams: tuple[Stream, Stream],
    dtype: Any,
) -> Batch:
    """Standard Gaussian inputs with labels y = sigma_*(x . beta_*) + noise; `key` is (entropy, n, seed)."""
    inputs = standard_normal(generator(key[0], streams[0], *key[1:], len(direction)), n_samples, len(direction), dtype)
    signal = resolve_target(model.target)(vector_product(inputs, direction))
    noise = generator(key[0], streams[1], *key[1:]).standard_normal(n_samples)
    return Batch(inputs, signal + model.noise * noise)


def draw_network(model: Model, *, n: int, seed: int, entropy: int, dtype: npt.DTypeLike = np.float64) -> Draw:
    """Everything random at (n, seed) but the test batch.

    Streams are keyed by (n, seed), those that make rows of length d also by d: axes that leave d alone share their
    draw, and along `width_ratio` and `step_ratio` the smaller network or batch is part of the larger one.
    """
    dim, width, key = model.dim(n), model.width(n), (entropy, n, seed)
    direction = draw_direction(generator(entropy, Stream.DIRECTION, n, seed, dim), dim, model.target_direction)
    step, ridge = (Stream.STEP_INPUTS, Stream.STEP_NOISE), (Stream.RIDGE_INPUTS, Stream.RIDGE_NOISE)
    return Draw(
        weights=draw_weights(generator(entropy, Stream.WEIGHTS, n, seed, dim), width, dim, dtype),
        readout=draw_readout(generator(entropy, Stream.READOUT, n, seed), width, model.readout),
        direction=direction,
        step=_draw_batch(model, direction, key, model.step_samples(n), step, dtype),
        ridge=_draw_batch(model, direction, key, n, ridge, dtype),
    )


def draw_test_batch(
    model: Model, direction: Array, *, n: int, seed: int, entropy: int, n_samples: int, dtype: Any = np.float64
) -> Batch:
    """A fresh batch for the test loss, independent of all that the network has seen."""
    streams = Stream.TEST_INPUTS, Stream.TEST_NOISE
    return _draw_batch(model, direction, (entropy, n, seed), n_samples, streams, dtype)


def output_scale(initial_output: str, width: int) -> float:
    """s of f(x) = s a^T sigma(W x): N^{-1/2} for the `vanishing` initial output, 1 for the `full` one."""
    return width**-0.5 if initial_output == "vanishing" else 1.0


def gradient(
    inputs: npt.ArrayLike,
    labels: npt.ArrayLike,
    weights: npt.ArrayLike,
    readout: npt.ArrayLike,
    activation: Activation,
    output_scale: float = 1.0,
) -> Array:
    """The step's direction G = (1/n) [(y - s sigma(Z) a) a^T o sigma'(Z)]^T X with Z = X W_0^T; shape (width, dim).

    It is -1/s times the gradient of (1/2n) |y - s sigma(X W^T) a|^2 in W: the factor s is absorbed in the step size.

    Parameters
    ----------
    inputs, labels : (n, dim) and (n,); the gradient batch. Integers and truth values are taken as float64, inputs and
        weights that are both float32 stay so.
    weights, readout : (width, dim) and (width,).
    activation : the centred activation.
    output_scale : s.

    Raises
    ------
    ValueError
        If the shapes do not fit, or something else than real numbers is given.

    References
    ----------
    Moniri, Lee, Hassani, Dobriban, ICML 2024 (arXiv:2310.07891), section 2.

    Examples
    --------
    >>> from spikecube.model.activations import resolve_activation
    >>> identity = resolve_activation([0.0, 1.0])
    >>> gradient(np.eye(2), np.array([2.0, 4.0]), np.zeros((1, 2)), np.ones(1), identity).tolist()
    [[1.0, 2.0]]
    """
    x, w = real_array(inputs, "inputs", single=True), real_array(weights, "weights", single=True)
    y, a = real_array(labels, "labels"), real_array(readout, "readout")
    if x.ndim != 2 or w.ndim != 2 or y.shape != x.shape[:1] or (*a.shape, x.shape[1]) != w.shape:
        raise NumberError(
            f"inputs {x.shape}, labels {y.shape}, weights {w.shape} and readout {a.shape} must have shapes (n, dim), "
            "(n,), (width, dim) and (width,)"
        )
    return _gradient(x, y, w, a, activation, output_scale)


def _gradient(x: Array, labels: Array, weights: Array, readout: Array, activation: Activation, scale: float) -> Array:
    n_samples = len(labels)
    weighted = x @ weights.T
    residual = labels.copy()
    for rows in row_blocks(n_samples, 2 * weighted.shape[1] * weighted.itemsize):
        z = weighted[rows]
        residual[rows] -= scale * (activation(z) @ readout)
        z[...] = activation.derivative(z)
        z *= residual[rows, None].astype(z.dtype) / z.dtype.type(n_samples)
    step = weighted.T @ x
    step *= readout[:, None].astype(step.dtype)
    return step


def feature_blocks(
    activation: Activation, initial: Array, step: Array | None = None, eta: float = 0.0
) -> Iterator[tuple[slice, Array]]:
    """Rows of F = sigma(X W_0^T + eta X G^T), or of F_0 without a step, in blocks that fit in the cache."""
    for rows in row_blocks(len(initial), 2 * initial.shape[1] * initial.itemsize):
        block = initial[rows]
        if step is not None:
            block = step[rows] * initial.dtype.type(eta)
            block += initial[rows]
        yield rows, activation(block)


def features(activation: Activation, initial: Array, step: Array | None, eta: float, out: Array | None = None) -> Array:
    """F = sigma(X W_0^T + eta X G^T) from the two pre-activations, or F_0 without a step; (n_samples, width)."""
    out = np.empty_like(initial) if out is None else out
    for rows, block in feature_blocks(activation, initial, step, eta):
        out[rows] = block
    return out


def blockwise_product(blocks: Iterable[tuple[slice, Array]], n_samples: int, columns: Sequence[Array]) -> list[Array]:
    """F B for each B in `columns`, F given by its row blocks and never kept; each (n_samples, columns of B)."""
    groups = [list(grouped(c, np.float64)) for c in columns]
    out: list[Array] = [np.empty((n_samples, c.shape[1])) for c in columns]
    for rows, block in blocks:
        for total, parts in zip(out, groups, strict=True):
            for where, part in parts:
                total[rows, where] = (block @ part.astype(block.dtype, copy=False))[:, : where.stop - where.start]
    return out
