"""A state answers in any order with the same bits, and neither way to it changes what it answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from spikecube.linalg.factor import DenseFactor, KrylovFactor, factor, krylov_factor, ridge_path
from spikecube.linalg.matrix import FeatureMatrix, feature_matrix
from spikecube.types import Array

State = DenseFactor | KrylovFactor
CALLS: dict[str, Callable[[State], tuple[Array, ...]]] = {
    "path": lambda state: state.path([1e-4, 0.1, 1e3]),
    "triplets": lambda state: state.triplets(3, 2),
    "more triplets": lambda state: state.triplets(8, 1),
    "counts": lambda state: (state.counts(np.linspace(0.0, 3.0, 7)),),
}


def make_case(size: int, dtype: str = "float64") -> tuple[FeatureMatrix, Array]:
    rng = np.random.default_rng(21)
    f = rng.standard_normal((size, size + 20)) + 2.0 * np.outer(rng.standard_normal(size), np.ones(size + 20))
    return feature_matrix(f.astype(dtype)), rng.standard_normal(size)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("size", "kind"), [(60, DenseFactor), (260, KrylovFactor)])
def test_every_order_of_calls_gives_the_same_bits(size: int, kind: type, dtype: str) -> None:
    matrix, labels = make_case(size, dtype)
    alone = {name: call(factor(matrix, labels)) for name, call in CALLS.items()}
    for order in itertools.permutations(CALLS):
        state = factor(matrix, labels)
        assert isinstance(state, kind)
        for name in order:
            for found, expected in zip(CALLS[name](state), alone[name], strict=True):
                np.testing.assert_array_equal(found, expected, err_msg=f"{name} in {order}")


@pytest.mark.parametrize("size", [60, 260])
def test_no_call_writes_into_what_it_was_given(size: int) -> None:
    matrix, labels = make_case(size)
    kept = [x.copy() for x in (matrix.array, matrix.single, labels)]
    state = factor(matrix, labels)
    for call in CALLS.values():
        call(state)
    for now, before in zip((matrix.array, matrix.single, labels), kept, strict=True):
        np.testing.assert_array_equal(now, before)


def test_both_states_answer_alike() -> None:
    matrix, labels = make_case(230)
    dense, krylov = factor(matrix, labels), krylov_factor(matrix, labels)
    assert isinstance(dense, DenseFactor)
    for name in CALLS:
        first, second = CALLS[name](dense)[0], CALLS[name](krylov)[0]
        np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-9 * np.abs(first).max(), err_msg=name)


def test_scripts_find_the_path_where_it_always_was() -> None:
    from spikecube.model.ridge import ridge_path as known

    assert known is ridge_path
