"""Every way to a system equals a full singular value decomposition, each where it is meant to be used."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from spikecube.linalg.matrix import FeatureMatrix, feature_matrix
from spikecube.linalg.systems import (
    Solution,
    cholesky_systems,
    conjugate_systems,
    factored_systems,
    refined_systems,
    solve_systems,
    svd_systems,
)
from spikecube.types import Array

SHAPES = [(40, 90), (60, 60), (90, 40)]


Way = Callable[..., Sequence[Solution | None]]


def make_case(shape: tuple[int, int]) -> tuple[FeatureMatrix, Array, Array]:
    rng = np.random.default_rng(5)
    f, y, right = rng.standard_normal(shape), rng.standard_normal(shape[0]), rng.standard_normal((shape[1], 2))
    return feature_matrix(f), np.stack([y, y**2, f @ right[:, 0]], axis=1), right


def expected(matrix: FeatureMatrix, columns: Array, right: Array, lam: float) -> Solution:
    n, width = matrix.array.shape
    u, s, vt = np.linalg.svd(matrix.array)
    rows, cols = np.full(n, 1 / (n * lam)), np.full(width, 1 / lam)
    rows[: len(s)], cols[: len(s)] = 1 / (s * s + n * lam), 1 / (s * s / n + lam)
    inside = u.T @ columns
    a = vt[: len(s)].T @ ((s * rows[: len(s)])[:, None] * inside[: len(s)])
    return Solution(a, lam * (inside.T @ (rows[:, None] * inside)), vt.T @ (cols[:, None] * (vt @ right)))


def one(way: Way, matrix: FeatureMatrix, columns: Array, right: Array, lam: float) -> Solution | None:
    """A way at a single penalty."""
    (found,) = way(matrix, columns, right, np.array([lam]))
    return found


def assert_close(found: Solution | None, exact: Solution) -> None:
    assert found is not None
    for ours, theirs in zip(found, exact, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-9 * np.abs(theirs).max())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lam", [1e-9, 1e-5, 1e-3, 10.0])
def test_factored_systems(shape: tuple[int, int], lam: float) -> None:
    matrix, columns, right = make_case(shape)
    assert_close(one(factored_systems, matrix, columns, right, lam), expected(matrix, columns, right, lam))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("way", [svd_systems, cholesky_systems])
def test_every_way_agrees(way: Way, shape: tuple[int, int]) -> None:
    matrix, columns, right = make_case(shape)
    assert_close(one(way, matrix, columns, right, 0.1), expected(matrix, columns, right, 0.1))


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_single_precision_factors_correct_themselves(shape: tuple[int, int]) -> None:
    matrix, columns, right = make_case(shape)
    assert_close(one(refined_systems, matrix, columns, right, 0.1), expected(matrix, columns, right, 0.1))


def test_a_penalty_out_of_reach_of_single_precision_is_declined() -> None:
    matrix, columns, right = make_case((60, 60))
    assert one(refined_systems, matrix, columns, right, 1e-10) is None


@pytest.mark.parametrize("way", [refined_systems, conjugate_systems])
def test_features_in_single_precision_are_solved_to_its_rounding(way: Way) -> None:
    matrix, columns, right = make_case((90, 40))
    single, lam = matrix.array.astype(np.float32), 0.1
    exact = expected(feature_matrix(single.astype(np.float64)), columns, right, lam)
    found = one(way, feature_matrix(single), columns, right, lam)
    assert found is not None
    condition = 1 + np.linalg.norm(single, 2) ** 2 / (len(single) * lam)
    for ours, theirs in zip(found, exact, strict=True):
        error = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
        assert 1e-10 < error < 4 * 2.0**-24 * condition


LAMS = np.array([0.03, 0.3, 10.0])


@pytest.mark.parametrize("shape", SHAPES)
def test_conjugate_gradients_agree_at_every_penalty(shape: tuple[int, int]) -> None:
    matrix, columns, right = make_case(shape)
    for lam, found in zip(LAMS, conjugate_systems(matrix, columns, right, LAMS), strict=True):
        assert_close(found, expected(matrix, columns, right, float(lam)))


def test_conjugate_gradients_decline_a_penalty_that_takes_too_long() -> None:
    matrix, columns, right = make_case((60, 60))
    easy, hard = conjugate_systems(matrix, columns, right, np.array([0.3, 1e-12]))
    assert_close(easy, expected(matrix, columns, right, 0.3))
    assert hard is None


@pytest.mark.parametrize("rate", [1e-3, 1e30])
def test_either_way_a_penalty_alone_gives_the_same_bits(rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """At these sizes factors are cheaper; a machine with free passes would use conjugate gradients throughout."""
    monkeypatch.setattr("spikecube.linalg.costs._GROUP_RATE", rate)
    matrix, columns, right = make_case((90, 40))
    together = solve_systems(matrix, columns, right, LAMS)
    for lam, found in zip(LAMS, together, strict=True):
        assert_close(found, expected(matrix, columns, right, float(lam)))
        (alone,) = solve_systems(matrix, columns, right, np.array([lam]))
        for ours, theirs in zip(alone, found, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    dense = one(factored_systems, matrix, columns, right, float(LAMS[0]))
    assert dense is not None
    assert np.array_equal(dense[0], together[0][0]) is (rate < 1)


def test_conjugate_gradients_that_stop_early_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a thousand times the residual is not within the bound of the others."""
    matrix, columns, right = make_case((60, 60))
    exact = expected(matrix, columns, right, 0.03)[0]
    errors = []
    for bound in (1e-10, 1e-6):
        monkeypatch.setattr("spikecube.linalg.systems._REFINED", bound)
        found = conjugate_systems(matrix, columns, right, LAMS[:1])[0]
        assert found is not None
        errors.append(np.linalg.norm(found[0] - exact) / np.linalg.norm(exact))
    assert errors[0] < 1e-10 < errors[1] < 1e-6


def test_features_that_are_not_finite_are_declined() -> None:
    matrix, columns, right = make_case((60, 60))
    matrix.array[3, 4] = np.nan
    broken = feature_matrix(matrix.array)
    assert conjugate_systems(broken, columns, right, LAMS[:1]) == [None]
    assert one(refined_systems, broken, columns, right, 0.1) is None
