"""Every way to a ridge path equals a dense solve, whatever the shape, the rank and the penalty."""

from __future__ import annotations

import numpy as np
import pytest

from spikecube.linalg.factor import krylov_factor, regression, ridge_path
from spikecube.linalg.matrix import feature_matrix, gram_eigen
from spikecube.linalg.ridge import RidgePath, eigen_path
from spikecube.linalg.ridge import krylov_path as path_from_basis
from spikecube.types import Array

LAMS = np.logspace(-8, 4, 13)
SHAPES = {"wide": (40, 90), "square": (60, 60), "tall": (90, 40), "larger": (260, 300)}


def make_features(shape: tuple[int, int], rank: int | None = None, spike: float = 0.0) -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    f = rng.standard_normal(shape)
    if rank is not None:
        f = rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1]))
    f += spike * np.outer(rng.standard_normal(shape[0]), rng.standard_normal(shape[1]))
    return f, rng.standard_normal(shape[0])


def krylov_path(f: Array, y: Array, lams: Array, accuracy: float = 1e-8) -> RidgePath:
    return path_from_basis(*krylov_factor(feature_matrix(f), y), lams, accuracy)


def dense_path(f: Array, y: Array, lams: Array) -> tuple[Array, Array]:
    """Through the singular value decomposition, which no penalty troubles."""
    u, s, vt = np.linalg.svd(f, full_matrices=False)
    n = len(y)
    c = u.T @ y
    outside = y @ y - c @ c
    a = np.array([((s / (s * s + n * lam)) * c) @ vt for lam in lams])
    return a, np.array([lam * np.sum(c * c / (s * s + n * lam)) + max(outside, 0.0) / n for lam in lams])


@pytest.mark.parametrize("rank", [None, 12])
@pytest.mark.parametrize("shape", SHAPES)
def test_ridge_path_equals_a_dense_solve(shape: str, rank: int | None) -> None:
    f, y = make_features(SHAPES[shape], rank)
    path = ridge_path(f, y, LAMS)
    coefficients, losses = dense_path(f, y, LAMS)
    error = np.linalg.norm(path.coefficients - coefficients, axis=1)
    assert np.all(error <= 1e-8 * np.linalg.norm(coefficients, axis=1))
    np.testing.assert_allclose(path.train_loss, losses, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("spike", [0.0, 5.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_krylov_path_keeps_its_promise(shape: str, spike: float) -> None:
    f, y = make_features(SHAPES[shape], spike=spike)
    lams = LAMS[5:]
    path = krylov_path(f, y, lams)
    coefficients, losses = dense_path(f, y, lams)
    error = np.linalg.norm(path.coefficients - coefficients, axis=1)
    assert np.all(error <= 1e-8 * np.linalg.norm(coefficients, axis=1))
    np.testing.assert_allclose(path.train_loss, losses, rtol=1e-12)


@pytest.mark.parametrize("rank", [None, 12])
@pytest.mark.parametrize("shape", SHAPES)
def test_eigen_path_equals_a_dense_solve(shape: str, rank: int | None) -> None:
    f, y = make_features(SHAPES[shape], rank)
    path = eigen_path(regression(feature_matrix(f), y), gram_eigen(f), LAMS)
    coefficients, losses = dense_path(f, y, LAMS)
    error = np.linalg.norm(path.coefficients - coefficients, axis=1)
    assert np.all(error <= 1e-8 * np.linalg.norm(coefficients, axis=1))
    np.testing.assert_allclose(path.train_loss, losses, rtol=1e-9, atol=1e-15)


def test_what_krylov_cannot_reach_is_marked_and_left_to_dense_factors() -> None:
    f, y = make_features(SHAPES["square"])
    assert np.isnan(krylov_path(f, y, np.array([1e-13])).train_loss[0])


def test_labels_that_are_zero_give_zero() -> None:
    f, _ = make_features(SHAPES["wide"])
    path = ridge_path(f, np.zeros(40), LAMS)
    assert not np.any(path.coefficients)
    assert not np.any(path.train_loss)


def test_labels_outside_the_column_space_give_no_coefficients() -> None:
    f = np.eye(5)[:, :2]
    path = ridge_path(f, np.eye(5)[4], [0.1, 1.0])
    np.testing.assert_array_equal(path.coefficients, 0.0)
    np.testing.assert_allclose(path.train_loss, 0.2)


def test_a_penalty_alone_gives_the_same_bits() -> None:
    f, y = make_features((400, 380), spike=1.0)
    lams = np.logspace(-3, 2, 11)
    for path_of in (lambda x: ridge_path(f, y, x), lambda x: krylov_path(f, y, x)):
        whole = path_of(lams)
        for j in (0, 3, 10):
            alone = path_of(lams[j : j + 1])
            np.testing.assert_array_equal(alone.coefficients[0], whole.coefficients[j])
            assert alone.train_loss[0] == whole.train_loss[j]


def test_a_looser_promise_is_looser() -> None:
    """Negative control: the bound that a path keeps is broken by one that was asked for a thousand times less."""
    f, y = make_features((260, 300))
    lams = np.array([1e-3, 1e-2])
    exact = dense_path(f, y, lams)[0]
    for accuracy, kept in ((1e-8, True), (1e-4, False)):
        found = krylov_path(f, y, lams, accuracy).coefficients
        error = np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)
        assert bool(np.all(error <= 1e-8)) is kept
        assert np.all(error <= accuracy)
