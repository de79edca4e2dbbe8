"""Dense factors equal a full singular value decomposition, each way where it is meant to be used."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from spikecube.model.dense import Solution, cholesky_solves, dense_solves, refined_solves, svd_solves
from spikecube.model.hermite import Array
from spikecube.model.prepared import Prepared

SHAPES = [(40, 90), (60, 60), (90, 40)]


def make_case(shape: tuple[int, int]) -> tuple[Prepared, Array, Array]:
    rng = np.random.default_rng(5)
    f, y, right = rng.standard_normal(shape), rng.standard_normal(shape[0]), rng.standard_normal((shape[1], 2))
    return Prepared.of(f, y), np.stack([y, y**2, f @ right[:, 0]], axis=1), right


def expected(state: Prepared, columns: Array, right: Array, lam: float) -> Solution:
    n, width = state.features.shape
    u, s, vt = np.linalg.svd(state.features)
    rows, cols = np.full(n, 1 / (n * lam)), np.full(width, 1 / lam)
    rows[: len(s)], cols[: len(s)] = 1 / (s * s + n * lam), 1 / (s * s / n + lam)
    inside = u.T @ columns
    a = vt[: len(s)].T @ ((s * rows[: len(s)])[:, None] * inside[: len(s)])
    return a, lam * (inside.T @ (rows[:, None] * inside)), vt.T @ (cols[:, None] * (vt @ right))


def assert_close(found: Solution | None, exact: Solution) -> None:
    assert found is not None
    for ours, theirs in zip(found, exact, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-9 * np.abs(theirs).max())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lam", [1e-9, 1e-5, 1e-3, 10.0])
def test_dense_solves(shape: tuple[int, int], lam: float) -> None:
    state, columns, right = make_case(shape)
    assert_close(dense_solves(state, columns, right, lam), expected(state, columns, right, lam))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("solves", [svd_solves, cholesky_solves])
def test_every_way_agrees(solves: Callable[..., Solution], shape: tuple[int, int]) -> None:
    state, columns, right = make_case(shape)
    assert_close(solves(state, columns, right, 0.1), expected(state, columns, right, 0.1))


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_single_precision_factors_correct_themselves(shape: tuple[int, int]) -> None:
    state, columns, right = make_case(shape)
    assert_close(refined_solves(state, columns, right, 0.1), expected(state, columns, right, 0.1))


def test_a_penalty_out_of_reach_of_single_precision_is_declined() -> None:
    state, columns, right = make_case((60, 60))
    assert refined_solves(state, columns, right, 1e-10) is None
