"""What the paper says, seen in cells: spikes, their direction, and what the output scale decides."""

from __future__ import annotations

import numpy as np
import pytest

from spikecube.cube.cell import compute_cell
from spikecube.study.study import Measure, Model
from spikecube.theory import detection_edge

ALPHAS = (0.0, 0.2, 0.29, 0.45)
SEEDS = range(4)
MEASURE = Measure(rank=3, degree=2, ell=2)


def cells(n: int, **fields: object) -> dict[str, np.ndarray]:
    """Variables of several seeds at one size, stacked along a new first axis."""
    model = Model(**fields)
    found = [compute_cell(model, MEASURE, n=n, seed=s, alphas=ALPHAS, lams=(0.1,), entropy=5) for s in SEEDS]
    return {name: np.stack([cell[name] for cell in found]) for name in found[0]}


@pytest.fixture(scope="module")
def by_output() -> dict[str, list[dict[str, np.ndarray]]]:
    """Cells at n = 150 and n = 600 under the vanishing and the full initial output."""
    return {kind: [cells(n, initial_output=kind) for n in (150, 600)] for kind in ("vanishing", "full")}


def mean(cell: dict[str, np.ndarray], name: str, *index: int) -> float:
    return float(cell[name][(slice(None), *index)].mean())


def test_one_spike_leaves_the_bulk_and_none_at_alpha_zero(by_output: dict[str, list[dict[str, np.ndarray]]]) -> None:
    edge = detection_edge(Model(), 600, ALPHAS)
    counts = (by_output["vanishing"][1]["singular_value"] > edge[:, None]).sum(axis=-1)
    assert counts[:, 0].sum() == 0
    assert np.all(counts[:, 1:3] == 1)
    assert np.all(counts[:, 3] >= 2)


def test_direction_and_spike_align_with_beta_under_the_vanishing_output_only(
    by_output: dict[str, list[dict[str, np.ndarray]]],
) -> None:
    rising = {kind: [mean(cell, "gradient_alignment") for cell in found] for kind, found in by_output.items()}
    assert rising["vanishing"][0] < rising["vanishing"][1]
    assert rising["vanishing"][1] > 0.99
    assert max(rising["full"]) < 0.9
    for i in (2, 3):
        small, large = (cell["alignment"][:, i, 0] for cell in by_output["vanishing"])
        full = by_output["full"][1]["alignment"][:, i, 0]
        assert standard_errors(large, small) > 3  # it rises with n
        assert standard_errors(large, full) > 3  # a strong spike there too, and not along beta
        assert large.mean() > 0.9


def standard_errors(one: np.ndarray, other: np.ndarray) -> float:
    """By how many of its standard errors the mean of one exceeds that of the other."""
    error = np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
    return float((one.mean() - other.mean()) / error)


def test_the_second_spike_aligns_with_the_second_degree(by_output: dict[str, list[dict[str, np.ndarray]]]) -> None:
    assert mean(by_output["vanishing"][1], "alignment", 3, 1) > 0.8
    assert mean(by_output["vanishing"][1], "subspace_alignment", 3, 1) > 0.8
    assert mean(by_output["vanishing"][1], "alignment", 1, 1) < 0.2


def test_the_equivalent_with_more_spikes_is_closer_and_losses_follow(
    by_output: dict[str, list[dict[str, np.ndarray]]],
) -> None:
    cell = by_output["vanishing"][1]
    error = cell["equivalence_error"].mean(axis=0)
    assert error[2, 1] < error[2, 0]
    gap = np.abs(cell["test_loss_spiked"] - cell["test_loss"][..., None]).mean(axis=0)
    assert gap[2, 0, 1] < gap[2, 0, 0]


def test_a_degree_that_the_activation_lacks_has_no_spike() -> None:
    cell = cells(150, activation="tanh")
    assert np.all(cell["alignment"][..., 1] == 0.0)
    assert np.array_equal(cell["subspace_alignment"][..., 1], cell["subspace_alignment"][..., 0])
    assert np.array_equal(cell["train_loss_spiked"][..., 1], cell["train_loss_spiked"][..., 0])
    assert all(np.all(np.isfinite(v)) for v in cell.values())
