"""The table of exponents, against slopes measured on the theory's own curves where it has them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spikecube.theory import EXPONENTS, initial_losses, limit_losses, spike_count, spiked_losses, threshold
from spikecube.theory.outliers import predicted_outliers
from tests.theory.models import sphere_model

MODEL = sphere_model(activation=(0.0, 0.8, 0.4, 0.3), target=(0.0, 1.0, 0.6, 0.3), noise=0.2)
SIZES = 10.0 ** np.arange(12, 17)


def slope(values: list[float]) -> float:
    """Exponent of n between the two largest sizes."""
    return math.log(abs(values[-1] / values[-2])) / math.log(SIZES[-1] / SIZES[-2])


@pytest.mark.parametrize(("alpha", "k"), [(0.2, 1), (0.4, 1), (0.4, 2)])
def test_outliers_grow_with_their_exponent(alpha: float, k: int) -> None:
    row = EXPONENTS["outlier"]
    assert row.holds(MODEL, alpha, k)
    found = [predicted_outliers(MODEL, int(n), alpha, ell=2)[k - 1] for n in SIZES]
    assert slope(found) == pytest.approx(row.value(alpha, k), abs=5e-3)


@pytest.mark.parametrize(("alpha", "ell"), [(0.1, 1), (0.2, 1), (0.3, 2), (0.32, 2)])
def test_losses_approach_their_limit_with_the_exponent_of_the_last_spike(alpha: float, ell: int) -> None:
    row = EXPONENTS["finite_strength"]
    assert row.holds(MODEL, alpha, ell)
    limit = limit_losses(MODEL, 0.5, ell)[0]
    gaps = [float(spiked_losses(MODEL, 0.5, int(n), alpha, ell)[0] - limit) for n in SIZES]
    assert slope(gaps) == pytest.approx(row.value(alpha, ell), abs=0.02)
    assert abs(slope(gaps) - row.value(alpha, ell + 1)) > 0.1  # negative control: the next spike's exponent


@pytest.mark.parametrize(("alpha", "ell"), [(0.1, 1), (0.2, 1), (0.28, 2)])
def test_a_missing_spike_costs_its_exponent(alpha: float, ell: int) -> None:
    row = EXPONENTS["missing_spike"]
    assert row.holds(MODEL, alpha, ell)
    gaps = [
        float(np.subtract(*(spiked_losses(MODEL, 0.5, int(n), alpha, k)[0] for k in (ell + 1, ell)))) for n in SIZES
    ]
    assert slope(gaps) == pytest.approx(row.value(alpha, ell), abs=0.02)


def test_rows_say_when_they_hold() -> None:
    relu = sphere_model(activation="relu", target=(0.0, 1.0, 0.5))
    assert not EXPONENTS["outlier"].holds(relu, 0.2, 2)  # not detached
    assert not EXPONENTS["outlier"].holds(relu, 0.45, 3)  # c_3 = 0
    assert not EXPONENTS["missing_spike"].holds(relu, 0.3, 2)
    assert not EXPONENTS["finite_strength"].holds(
        sphere_model(activation="relu", target=(0.0, 1.0)), 0.3, 2
    )  # target without degree 2
    assert EXPONENTS["fluctuation"].holds(relu, 0.3, 1)
    assert EXPONENTS["fluctuation"].value(0.3, 1) == pytest.approx(-0.4)


def test_exponents_vanish_at_the_transitions() -> None:
    for ell in (1, 2, 3):
        assert EXPONENTS["finite_strength"].value(threshold(ell), ell) == pytest.approx(0)
        assert EXPONENTS["missing_spike"].value(threshold(ell + 1), ell) == pytest.approx(0)
        assert EXPONENTS["outlier"].value(threshold(ell), ell) == pytest.approx(0)


def test_the_number_of_spikes_is_the_staircase() -> None:
    assert [spike_count(a) for a in (0.0, 0.249, 0.251, 0.332, 0.334, 0.376)] == [1, 1, 2, 2, 3, 4]


def test_initial_losses_know_no_alpha() -> None:
    assert np.allclose(initial_losses(MODEL, 1.0, 10**9), limit_losses(MODEL, 1.0, 0), rtol=1e-8)
