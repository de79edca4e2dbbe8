"""Leading triplets equal a full decomposition."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from spikecube.linalg.factor import krylov_factor
from spikecube.linalg.matrix import feature_matrix, gram_eigen
from spikecube.linalg.triplets import Triplets, dense_triplets
from spikecube.linalg.triplets import refined_triplets as triplets_from_basis
from spikecube.types import Array


def spiked(n: int, width: int, strengths: list[float]) -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    f = rng.standard_normal((n, width))
    for s in strengths:
        f += s * np.outer(rng.standard_normal(n), rng.standard_normal(width)) / np.sqrt(width)
    return f, rng.standard_normal(n) + f[:, 0]


def refined_triplets(f: Array, y: Array, rank: int, vectors: int) -> Triplets | None:
    return triplets_from_basis(feature_matrix(f), krylov_factor(feature_matrix(f), y).basis, rank, vectors)


@pytest.mark.parametrize("strengths", [[], [3.0], [20.0, 1.5]])
@pytest.mark.parametrize("shape", [(300, 500), (400, 400), (500, 280)])
def test_refined_triplets_equal_the_full_decomposition(shape: tuple[int, int], strengths: list[float]) -> None:
    f, y = spiked(*shape, strengths)
    found = refined_triplets(f, y, 5, 3)
    assert found is not None
    u = np.linalg.svd(f / np.sqrt(shape[0]))[0]
    np.testing.assert_allclose(found.values, scipy.linalg.svdvals(f)[:5] / np.sqrt(shape[0]), rtol=1e-10)
    cosines = np.abs(np.sum(found.left[:, :3] * u[:, :3], axis=0))
    np.testing.assert_allclose(cosines, 1.0, atol=1e-14)
    signs = np.sign(np.sum(found.left[:, :3] * u[:, :3], axis=0))
    assert np.all(np.linalg.norm(found.left[:, :3] - signs * u[:, :3], axis=0) < 1e-8)


def test_both_ways_to_triplets_agree() -> None:
    f, y = spiked(300, 320, [4.0])
    refined = refined_triplets(f, y, 4, 1)
    assert refined is not None
    np.testing.assert_allclose(refined.values, dense_triplets(f, gram_eigen(f), 4).values, rtol=1e-10)


def test_an_invariant_krylov_space_falls_back_to_the_dense_way() -> None:
    f = np.diag(np.concatenate([[5.0, 4.0, 3.0], np.ones(97)]))
    y = np.eye(100)[0]
    assert refined_triplets(f, y, 3, 1) is None
    np.testing.assert_allclose(krylov_factor(feature_matrix(f), y).triplets(3).values, [0.5, 0.4, 0.3])


def test_triplets_do_not_depend_on_how_far_the_basis_has_grown() -> None:
    f, y = spiked(300, 500, [3.0])
    fresh, grown = (krylov_factor(feature_matrix(f), y) for _ in range(2))
    for _ in range(150):
        grown.basis.step()
    first, second = fresh.triplets(4, 2), grown.triplets(4, 2)
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.left, second.left)
