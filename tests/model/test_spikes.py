"""Norms of the gradient equal dense ones; alignments equal their definition."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.direct import direct_alignments
from spikecube.linalg.lanczos import dominant, operator_norm
from spikecube.model.spikes import alignments, gradient_products


def test_gradient_norms_equal_dense_ones() -> None:
    rng = np.random.default_rng(1)
    readout, beta = rng.standard_normal(50), rng.standard_normal(30)
    g = 0.7 * np.outer(readout, beta) + rng.standard_normal((50, 30))
    values, right = np.linalg.svd(g)[1:]
    largest = dominant(gradient_products(g, readout, beta, 0.0), 30, 1e-12)
    assert largest.value == pytest.approx(values[0] ** 2, rel=1e-12)
    assert abs(largest.vector @ right[0]) == pytest.approx(1.0, abs=1e-12)
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
