"""What a cell costs: floating-point operations and peak memory, known before it runs."""

from __future__ import annotations

from typing import Protocol

from spikecube.cube.cell import CellMeasure

_STEPS = 200  # Krylov steps per alpha


class Sizes(Protocol):
    """The sizes of a model."""

    def dim(self, n: int) -> int: ...
    def width(self, n: int) -> int: ...
    def step_samples(self, n: int) -> int: ...


def _test_samples(measure: CellMeasure, n: int) -> int:
    if measure.test_risk == "exact":
        return 0
    return n if measure.test_samples == "n" else int(measure.test_samples)


def cell_flops(model: Sizes, measure: CellMeasure, *, n: int, num_alpha: int, num_lam: int) -> float:
    """Floating-point operations of a cell, near enough to order cells and to weigh progress.

    The six products 4 d N (n_0 + n + n_test), the Gram matrix of F_0 and a factor of it per penalty, and per alpha a
    Krylov pass over F.
    """
    d, width, test = model.dim(n), model.width(n), _test_samples(measure, n)
    small = min(n, width)
    products = 4.0 * d * width * (model.step_samples(n) + n + test)
    initial = float(small) ** 2 * max(n, width) + num_lam * (small**3 / 3 + 32.0 * n * width)
    return products + initial + num_alpha * (4.0 * n * width * (_STEPS + 4 * num_lam) + 20.0 * test * width)


def cell_bytes(model: Sizes, measure: CellMeasure, *, n: int, num_alpha: int, num_lam: int) -> float:
    """Peak bytes of a cell's arrays.

    With b bytes per number: four pre-activations and one feature matrix, b N (2 n + 2 n_test + n), and beside them
    either the Gram matrix of F_0 with a factor, 16 min(n, N)^2, or the single-precision copy, 4 n N; or, before, the
    inputs and weights with the pre-activations.
    """
    d, width, test, step = model.dim(n), model.width(n), _test_samples(measure, n), model.step_samples(n)
    b = 8 if measure.precision == "float64" else 4
    activations = 2.0 * b * width * (n + test)
    draw = b * (2.0 * width * d + d * (n + test))
    gradient = b * (2.0 * width * d + d * (n + step) + float(step) * width)
    initial = activations + b * n * width + 16.0 * min(n, width) ** 2
    point = activations + b * n * width + 4.0 * n * width
    return max(gradient, activations + draw, initial, point)
