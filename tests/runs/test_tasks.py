from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikecube.runs.tasks import by_falling_cost, missing_tasks, parse_share, share, task_cost
from spikecube.study.study import Study
from tests.runs import standin

ALPHAS, LAMS = (0.0, 0.1, 0.2, 0.3), (0.1, 1.0, 10.0)


def _study(chunk: int | None = None) -> Study:
    axes = {"alpha": list(ALPHAS), "n": [20], "seed": 2, "lam": list(LAMS)}
    return Study(axes=axes, **({"chunks": {"alpha": chunk}} if chunk else {}))


@given(
    st.lists(st.tuples(st.sets(st.sampled_from(ALPHAS), min_size=1), st.sets(st.sampled_from(LAMS), min_size=1))),
    st.integers(1, 5),
)
@settings(deadline=None)
def test_tasks_cover_what_is_missing_once(present: list[tuple[set[float], set[float]]], chunk: int) -> None:
    study = _study(chunk)
    first, second = study.cells()
    points = [(tuple(alphas), tuple(lams)) for alphas, lams in present]
    tasks = list(missing_tasks(study, {first: points}))
    wanted = set(itertools.product(ALPHAS, LAMS))
    there = {point for rectangle in points for point in itertools.product(*rectangle)}
    for cell, missing in ((first, wanted - there), (second, wanted)):
        covered = [point for t in tasks if t.cell == cell for point in itertools.product(t.alphas, t.lams)]
        assert sorted(covered) == sorted(missing)
    assert all(len(task.alphas) <= chunk for task in tasks)


def test_a_new_penalty_is_one_task_a_cell() -> None:
    study = _study()
    present = {cell: [(ALPHAS, LAMS[:2])] for cell in study.cells()}
    tasks = list(missing_tasks(study, present))
    assert [(task.alphas, task.lams) for task in tasks] == [(ALPHAS, LAMS[2:])] * 2


def test_by_falling_cost() -> None:
    study = standin.make_study()
    cost = task_cost(study, standin.flops)
    costs = [cost(task) for task in by_falling_cost(list(missing_tasks(study, {})), cost)]
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == 2


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_shares_part_the_cells_evenly(count: int) -> None:
    study = standin.make_study(axes={"n": [20, 30, 40, 60], "seed": 7})
    cost = task_cost(study, standin.flops)
    shares = [share(study, i, count, cost) for i in range(1, count + 1)]
    assert sorted(cell for part in shares for cell in part) == sorted(study.cells())
    tasks = {task.cell: cost(task) for task in missing_tasks(study, {})}
    loads = np.array([sum(tasks[cell] for cell in part) for part in shares])
    assert loads.max() - loads.min() <= max(tasks.values())


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4", "²/4", ""])
def test_a_wrong_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: i/N"):
        parse_share(text)
