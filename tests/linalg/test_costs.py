"""The choices turn where they should: with size and penalty, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from spikecube.linalg.costs import eigen_is_cheaper, krylov_is_cheaper, krylov_steps, steps_are_cheaper


def test_only_small_matrices_are_decomposed() -> None:
    """The turn is near n = 250, as docs/explanation/speed.md says, and a rectangle counts by its smaller side."""
    assert eigen_is_cheaper((230, 230))
    assert not eigen_is_cheaper((270, 270))
    assert eigen_is_cheaper((100, 5000)) == eigen_is_cheaper((5000, 100))


def test_krylov_steps_are_the_bound_of_conjugate_gradients() -> None:
    """On an operator of the given condition the bound suffices, and half of it does not."""
    edge, lam = 4.0, 0.01
    values = np.linspace(0.0, edge, 400) + lam
    for share, enough in ((1.0, True), (0.5, False)):
        x, rest = np.zeros(400), np.ones(400)
        direction, power = rest.copy(), 400.0
        for _ in range(int(share * krylov_steps(edge, lam))):
            size = power / (direction @ (values * direction))
            x, rest = x + size * direction, rest - size * values * direction
            direction, power = rest + (rest @ rest) / power * direction, rest @ rest
        exact = 1 / values
        error = np.sqrt(values @ (x - exact) ** 2 / (values @ exact**2))
        assert bool(error <= 1e-10) is enough


@pytest.mark.parametrize("n", [1000, 4000])
def test_smaller_penalties_ask_for_factors(n: int) -> None:
    lams = np.logspace(-8, 4, 60)
    for choice in (
        [krylov_is_cheaper((n, n), 4.0, float(lam)) for lam in lams],
        [steps_are_cheaper((n, n), 4.0, float(lam), 3) for lam in lams],
    ):
        assert choice == sorted(choice)
        assert choice[-1]
        assert not choice[0]
