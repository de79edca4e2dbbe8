"""Leading triplets equal a full decomposition; alignments equal their definition."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from spikecube.model.hermite import Array
from spikecube.model.krylov import dominant
from spikecube.model.prepared import Prepared
from spikecube.model.spectrum import (
    alignments,
    dense_triplets,
    gradient_products,
    leading_triplets,
    operator_norm,
    refined_triplets,
)
from tests.model.direct import direct_alignments


def spiked(n: int, width: int, strengths: list[float]) -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    f = rng.standard_normal((n, width))
    for s in strengths:
        f += s * np.outer(rng.standard_normal(n), rng.standard_normal(width)) / np.sqrt(width)
    return f, rng.standard_normal(n) + f[:, 0]


@pytest.mark.parametrize("strengths", [[], [3.0], [20.0, 1.5]])
@pytest.mark.parametrize("shape", [(300, 500), (400, 400), (500, 280)])
def test_refined_triplets_equal_the_full_decomposition(shape: tuple[int, int], strengths: list[float]) -> None:
    f, y = spiked(*shape, strengths)
    found = refined_triplets(Prepared.of(f, y), 5, 3)
    assert found is not None
    u = np.linalg.svd(f / np.sqrt(shape[0]))[0]
    np.testing.assert_allclose(found.values, scipy.linalg.svdvals(f)[:5] / np.sqrt(shape[0]), rtol=1e-10)
    cosines = np.abs(np.sum(found.left[:, :3] * u[:, :3], axis=0))
    np.testing.assert_allclose(cosines, 1.0, atol=1e-14)
    signs = np.sign(np.sum(found.left[:, :3] * u[:, :3], axis=0))
    assert np.all(np.linalg.norm(found.left[:, :3] - signs * u[:, :3], axis=0) < 1e-8)


def test_both_ways_to_triplets_agree() -> None:
    f, y = spiked(300, 320, [4.0])
    state = Prepared.of(f, y)
    refined = refined_triplets(state, 4, 1)
    assert refined is not None
    np.testing.assert_allclose(refined.values, dense_triplets(state, 4).values, rtol=1e-10)
    np.testing.assert_allclose(leading_triplets(state, 4).values, refined.values, rtol=1e-10)


def test_an_invariant_krylov_space_falls_back_to_the_dense_way() -> None:
    f = np.diag(np.concatenate([[5.0, 4.0, 3.0], np.ones(97)]))
    y = np.eye(100)[0]
    assert refined_triplets(Prepared.of(f, y), 3, 1) is None
    np.testing.assert_allclose(leading_triplets(Prepared.of(f, y), 3).values, [0.5, 0.4, 0.3])


def test_triplets_do_not_depend_on_how_far_the_basis_has_grown() -> None:
    f, y = spiked(300, 500, [3.0])
    fresh, grown = Prepared.of(f, y), Prepared.of(f, y)
    for _ in range(150):
        grown.basis.step()
    first, second = refined_triplets(fresh, 4, 2), refined_triplets(grown, 4, 2)
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.left, second.left)


def test_gradient_norms_equal_dense_ones() -> None:
    rng = np.random.default_rng(1)
    readout, beta = rng.standard_normal(50), rng.standard_normal(30)
    g = 0.7 * np.outer(readout, beta) + rng.standard_normal((50, 30))
    values, right = np.linalg.svd(g)[1:]
    square, leading = dominant(gradient_products(g, readout, beta, 0.0), 30, 1e-12)
    assert square == pytest.approx(values[0] ** 2, rel=1e-12)
    assert abs(leading @ right[0]) == pytest.approx(1.0, abs=1e-12)
    rest = np.linalg.norm(g - 0.7 * np.outer(readout, beta), 2)
    assert operator_norm(gradient_products(g, readout, beta, 0.7), 30) == pytest.approx(rest, rel=1e-10)


def test_alignments_follow_their_definition() -> None:
    rng = np.random.default_rng(2)
    left, projection = np.linalg.qr(rng.standard_normal((40, 6)))[0], rng.standard_normal(40)
    for c in ([0, 1.0, 0.5, 0.1], [0, 1.0, 0.0, 0.1], [0, 1.0, 0.5, 0.0]):
        single, subspace = alignments(left, projection, np.array(c), 3)
        expected = direct_alignments(left, projection, np.array(c), 3)
        np.testing.assert_allclose(single, expected[0], atol=1e-12)
        np.testing.assert_allclose(subspace, expected[1], atol=1e-12)


def test_the_monomials_themselves_align_perfectly_and_unrelated_vectors_do_not() -> None:
    rng = np.random.default_rng(4)
    projection = rng.standard_normal(500)
    own = np.linalg.qr(np.stack([projection, projection**2], axis=1))[0]
    c = np.array([0.0, 1.0, 0.5])
    np.testing.assert_allclose(alignments(own, projection, c, 2), 1.0)
    assert np.all(np.array(alignments(np.linalg.qr(rng.standard_normal((500, 2)))[0], projection, c, 2)) < 0.05)
