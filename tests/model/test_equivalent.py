"""Losses and distances of F_ell equal those of the matrix written out."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.direct import ridge_losses
from spikecube.linalg.matrix import feature_matrix
from spikecube.model.equivalent import equivalence_errors, equivalent_losses, initial_terms
from spikecube.model.risk import QuadraticRisk, sample_risk
from spikecube.model.spikes import Spikes, make_spikes
from spikecube.types import Array


def make_case(n: int, width: int) -> tuple[Array, Array, Array, Array, Spikes]:
    rng = np.random.default_rng(8)
    f, f_test, y, y_test = (rng.standard_normal(s) for s in ((n, width), (70, width), n, 70))
    a = rng.standard_normal(width) / np.sqrt(width)
    c = np.array([0.0, 0.8, 0.4, 0.0, 0.2])
    spikes = make_spikes(c, (1, 2, 4), rng.standard_normal(n), a)
    return f, f_test, y, y_test, spikes


def written_out(f: Array, left: Array, spikes: Spikes, eta: float, ell: int) -> Array:
    j = spikes.count(ell)
    return np.asarray(f + (left[:, :j] * spikes.strength(eta)[:j]) @ spikes.right[:, :j].T)


@pytest.mark.parametrize("shape", [(50, 80), (60, 60), (80, 50)])
@pytest.mark.parametrize("lam", [1e-6, 0.01, 10.0])
def test_woodbury_equals_the_written_out_matrix(shape: tuple[int, int], lam: float) -> None:
    f, f_test, y, y_test, spikes = make_case(*shape)
    test_left = np.random.default_rng(9).standard_normal((70, 3)) / np.sqrt(70)

    def forms(columns: list[Array]) -> list[QuadraticRisk]:
        return [sample_risk(y_test, np.concatenate([f_test @ b, test_left], axis=1)) for b in columns]

    (terms,) = initial_terms(feature_matrix(f), y, spikes, np.array([lam]), forms)
    assert (terms.label, terms.test_loss) == pytest.approx(ridge_losses(f, f_test, y, y_test, lam), rel=1e-7)
    for eta in (0.0, 0.5, 3.0):
        for ell in (1, 2, 3, 4):
            train, test = equivalent_losses(terms, spikes, eta, ell)
            matrix = written_out(f, spikes.left, spikes, eta, ell)
            expected = ridge_losses(matrix, written_out(f_test, test_left, spikes, eta, ell), y, y_test, lam)
            tolerance = 1e-10 if lam > 1e-3 else 1e-7  # the normal equations of the reference
            assert (train, test) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("shape", [(50, 80), (80, 50)])
def test_equivalence_errors_equal_operator_norms(shape: tuple[int, int]) -> None:
    f, _, _, _, spikes = make_case(*shape)
    n = shape[0]
    for eta in (0.5, 2.0):
        moved = written_out(f, spikes.left, spikes, eta, 2) + 0.1 * np.random.default_rng(0).standard_normal(shape)
        found = equivalence_errors((moved - f).astype(np.float32), lambda b: (moved - f) @ b, spikes, eta, 4)  # noqa: B023
        for ell in (1, 2, 3, 4):
            expected = np.linalg.norm(moved - written_out(f, spikes.left, spikes, eta, ell), 2) / np.sqrt(n)
            assert found[ell - 1] == pytest.approx(expected, rel=1e-10)
        assert found[2] == found[1]  # no spike of degree 3
