"""The memory formula equals what a cell takes; the operations grow as they should."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from spikecube.cube.cell import compute_cell
from spikecube.runs.cost import cell_bytes, cell_flops
from tests.model.cases import make_measure, make_model

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "single": ({}, {"precision": "float32"}),
    "exact": ({}, {"test_risk": "exact"}),
    "wide": ({"width_ratio": 1.7}, {}),
    "long": ({"width_ratio": 0.6, "dim_ratio": 1.2, "step_ratio": 2.0}, {}),
}


def peak(model: Any, measure: Any, n: int) -> int:
    """Peak bytes of all arrays, as NumPy reports them; the cell before leaves its tables behind."""
    compute_cell(model, measure, n=40, seed=0, alphas=[0.1], lams=[1.0], entropy=1)
    tracemalloc.start()
    try:
        compute_cell(model, measure, n=n, seed=0, alphas=[0.1, 0.4], lams=[0.1, 1.0], entropy=1)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("n", [650, 900])
@pytest.mark.parametrize("case", CASES)
def test_the_memory_formula_is_within_fifteen_per_cent(case: str, n: int) -> None:
    model, measure = make_model(**CASES[case][0]), make_measure(**CASES[case][1])
    formula = cell_bytes(model, measure, n=n, num_alpha=2, num_lam=2)
    assert peak(model, measure, n) == pytest.approx(formula, rel=0.15)


def test_large_cells_fit() -> None:
    """n = 16,000, N = n, d = n/2: 20 GiB in double precision, half of that in single."""
    at = {"n": 16_000, "num_alpha": 8, "num_lam": 8}
    assert cell_bytes(make_model(), make_measure(), **at) < 20 * 2**30
    assert cell_bytes(make_model(), make_measure(precision="float32"), **at) < 10 * 2**30
    assert cell_bytes(make_model(), make_measure(), **at | {"n": 24_000}) > 20 * 2**30


def test_operations_grow_as_the_cube_of_n_and_with_every_alpha() -> None:
    model, measure = make_model(), make_measure()

    def flops(n: int, num_alpha: int) -> float:
        return cell_flops(model, measure, n=n, num_alpha=num_alpha, num_lam=8)

    assert 7 < flops(32_000, 1) / flops(16_000, 1) < 8
    assert flops(1000, 1) < flops(1000, 2) < flops(1000, 8)
    d, n = 8000, 16_000
    assert flops(n, 1) > 6 * 2 * n * d * n
