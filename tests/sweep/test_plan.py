from __future__ import annotations

import math
from typing import Any

import pytest

from spikecube.cube.study import Study
from spikecube.sweep.memory import WORKER_BYTES
from spikecube.sweep.plan import calibrate, plan, plan_text
from tests.sweep import standin

STUDY = standin.make_study()
GIB = 2.0**30


def test_counts_and_sizes_follow_from_the_study() -> None:
    planned = plan(STUDY, max_memory=GIB, kernel=standin.kernel())
    assert (planned.cells, planned.tasks, planned.points) == (12, 12, 36)
    assert planned.memory_bytes == 8.0 * 40**2 + WORKER_BYTES
    assert planned.tasks_at_once == int(GIB // planned.memory_bytes)
    assert planned.largest_task == "n = 40, seed = 0, activation = tanh"
    cube = standin.make_cube().drop_vars("detection_edge")
    assert planned.cube_bytes == sum(variable.nbytes for variable in cube.data_vars.values())


def test_hours_are_operations_times_the_measured_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikecube.sweep.plan.calibrate", lambda *_: 2e-3)
    planned = plan(STUDY, kernel=standin.kernel())
    flops = 6 * 3 * (20.0**3 + 40.0**3)
    assert planned.core_hours == pytest.approx(flops * 2e-3 / 3600)
    assert planned.longest_task_seconds == pytest.approx(3 * 40.0**3 * 2e-3)


def test_the_rate_is_measured_with_the_cell_itself() -> None:
    seen: list[dict[str, Any]] = []

    def slow(model: Any, measure: Any, **arguments: Any) -> standin.Values:
        seen.append(arguments)
        return standin.cell(model, measure, **arguments)

    rate = calibrate(STUDY, standin.kernel(slow))
    assert 0 < rate < math.inf
    assert {call["n"] for call in seen} == {40}
    assert {call["alphas"] for call in seen} == {STUDY.axes.alpha}


def test_chunks_make_more_and_smaller_tasks() -> None:
    planned = plan(standin.make_study(chunks={"alpha": 1}), kernel=standin.kernel())
    assert (planned.cells, planned.tasks) == (12, 36)
    assert "12 in 36 tasks" in plan_text(planned, 2)


def test_a_study_that_cannot_fit_is_said_to_never_run() -> None:
    planned = plan(STUDY, max_memory=1e6, kernel=standin.kernel())
    assert planned.tasks_at_once == 0
    assert "never: the largest task does not fit in memory" in plan_text(planned, 2)


@pytest.mark.slow
def test_the_plan_of_a_real_study_is_within_a_factor_of_three() -> None:
    """The time of a cell of n = 1200, predicted from a small one."""
    import time

    from spikecube.sweep.run import default_kernel
    from spikecube.sweep.tasks import missing_tasks
    from spikecube.sweep.worker import call, make_job, one_blas_thread

    study = Study(axes={"alpha": [0.0, 0.2, 0.3], "n": [1200], "seed": 1, "lam": [0.1, 1.0]})
    planned = plan(study)
    with one_blas_thread:
        begun = time.process_time()
        call(make_job(default_kernel(study).compute, study, next(missing_tasks(study, {}))))
        taken = time.process_time() - begun
    assert 1 / 3 < planned.longest_task_seconds / taken < 3
