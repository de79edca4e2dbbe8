from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from spikecube.runs.memory import DRIVER_BYTES, WORKER_BYTES
from spikecube.runs.plan import Speed, calibrate, makespan, plan, processor_time
from spikecube.runs.run import Kernel, run_study
from spikecube.study.study import Study
from tests.runs import standin

STUDY = standin.make_study()
GIB = 2.0**30


@pytest.fixture(autouse=True)
def _short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikecube.runs.plan._TRIAL_SECONDS", 0.0)


def test_counts_and_sizes_follow_from_the_study() -> None:
    planned = plan(STUDY, max_memory=GIB, kernel=standin.kernel())
    assert (planned.cells, planned.tasks, planned.points) == (12, 12, 36)
    assert planned.memory_bytes == 8.0 * 40**2 + WORKER_BYTES
    assert planned.tasks_at_once == int(GIB // planned.memory_bytes)
    assert planned.largest_task == "n = 40, seed = 0, activation = tanh"
    cube = standin.make_cube().drop_vars("detection_edge")
    assert planned.cube_bytes == sum(variable.nbytes for variable in cube.data_vars.values())


def test_hours_are_operations_times_the_measured_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikecube.runs.plan.calibrate", lambda *_: Speed((20,), (2e-3,)))
    planned = plan(STUDY, kernel=standin.kernel())
    flops = 6 * 3 * (20.0**3 + 40.0**3)
    assert planned.core_hours == pytest.approx(flops * 2e-3 / 3600)
    assert planned.longest_task_seconds == pytest.approx(3 * 40.0**3 * 2e-3)


def test_the_rate_is_measured_with_the_cell_itself() -> None:
    seen: list[dict[str, Any]] = []

    def slow(model: Any, measure: Any, **arguments: Any) -> standin.Values:
        seen.append(arguments)
        return standin.cell(model, measure, **arguments)

    speed = calibrate(STUDY, standin.kernel(slow))
    assert all(0 < speed(n) < math.inf for n in (20, 30, 40))
    assert {call["n"] for call in seen} == {20, 40}
    assert {call["alphas"] for call in seen} == {STUDY.axes.alpha}


def test_the_speed_is_measured_on_as_many_processors_as_will_compute() -> None:
    """Fails when one processor has the machine to itself: two that share caches are slower."""
    together = threading.Barrier(2, timeout=20)
    met = threading.local()

    def meeting(model: Any, measure: Any, **arguments: Any) -> standin.Values:
        if threading.current_thread() is not threading.main_thread() and not hasattr(met, "once"):
            met.once = together.wait()
        return standin.cell(model, measure, **arguments)

    assert calibrate(STUDY, standin.kernel(meeting), at_once=2).sizes == (20, 40)


@pytest.mark.parametrize(
    ("sizes", "measured"),
    [([20, 40], (20, 40)), ([60], (60,)), ([60, 600], (60, 500, 600)), ([250, 4000], (250, 500, 1000)), ([4000], None)],
)
def test_large_studies_are_measured_at_sizes_that_take_seconds(sizes: list[int], measured: Any) -> None:
    """A study of one large size has no smaller cell: it is measured at its own smallest."""
    kernel = standin.kernel()
    study = standin.make_study(axes={"n": sizes, "alpha": [0.01 * k for k in range(30)]})
    seen: set[tuple[int, int]] = set()

    def noting(model: Any, measure: Any, **arguments: Any) -> standin.Values:
        seen.add((arguments["n"], len(arguments["alphas"])))
        return standin.cell(model, measure, **arguments)

    speed = calibrate(study, Kernel(noting, kernel.flops, kernel.bytes))
    assert speed.sizes == (measured or (1000,))
    assert {n for n, _ in seen} == set(speed.sizes)
    assert max(count for _, count in seen) <= 5


def test_speeds_are_read_between_sizes_by_powers_and_held_beyond_them() -> None:
    speed = Speed((100, 400), (4e-9, 1e-9))
    assert [speed(n) for n in (10, 100, 200, 400, 9000)] == pytest.approx([4e-9, 4e-9, 2e-9, 1e-9, 1e-9])


@pytest.mark.parametrize(
    ("costs", "workers", "end"),
    [([1.0], 4, 1), ([1.0] * 10, 2, 5), ([9.0, 1, 1, 1], 2, 9), ([1.0] * 5, 2, 3), ([5, 4, 3, 3, 3], 3, 7)],
)
def test_the_last_task_ends_when_the_dearest_are_begun_first(costs: list[float], workers: int, end: float) -> None:
    assert makespan(costs, workers) == makespan(costs[::-1], workers) == end


def test_a_plan_names_memory_and_disk_apart() -> None:
    """What a job must ask for: the driver, each task, and the cube where it is assembled; shards beside it on disk."""
    few, many = (plan(standin.make_study(axes={"seed": k}), kernel=standin.kernel()) for k in (2, 2000))
    assert many.largest_cell_bytes == few.largest_cell_bytes == 8.0 * 40**2 == many.memory_bytes - WORKER_BYTES
    assert many.driver_bytes == few.driver_bytes == DRIVER_BYTES
    assert many.assemble_bytes - few.assemble_bytes == pytest.approx(2 * (many.cube_bytes - few.cube_bytes))
    assert few.assemble_bytes > few.driver_bytes
    assert few.cube_bytes < few.shard_bytes < few.cube_bytes + 4096 * few.tasks + 1
    assert {"driver_bytes", "largest_cell_bytes", "assemble_bytes", "shard_bytes"} <= set(many.as_dict())
    text = str(many)
    for row in ("memory of the driver beside", "memory to assemble the cube", "shards beside it, uncompressed"):
        assert row in text


def test_shards_take_what_is_planned(tmp_path: Path, threads: Any) -> None:
    study = standin.make_study(axes={"seed": 40})
    run_study(study, tmp_path / "x", threads, kernel=standin.kernel())
    taken = sum(path.stat().st_size for path in (tmp_path / "x.run" / "shards").iterdir())
    assert plan(study, kernel=standin.kernel()).shard_bytes == pytest.approx(taken, rel=0.3)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.36, "0.36 core-seconds"), (24.0, "24 core-seconds"), (720, "12 core-minutes"), (12_240, "3.4 core-hours")],
)
def test_processor_time_is_in_units_of_its_size(seconds: float, text: str) -> None:
    assert processor_time(seconds) == text


def test_chunks_make_more_and_smaller_tasks() -> None:
    planned = plan(standin.make_study(chunks={"alpha": 1}), kernel=standin.kernel())
    assert (planned.cells, planned.tasks) == (12, 36)
    assert "12 in 36 tasks" in str(planned)


def test_a_study_that_cannot_fit_is_said_to_never_run() -> None:
    planned = plan(STUDY, max_memory=1e6, kernel=standin.kernel())
    assert (planned.tasks_at_once, planned.fits, planned.seconds) == (0, False, None)
    assert "never: the largest task does not fit in memory" in " ".join(str(planned).split())
    assert json.loads(json.dumps(planned.as_dict(), allow_nan=False))["fits"] is False


def test_more_processes_than_processors_are_no_faster() -> None:
    few, many = (plan(STUDY, max_memory=1e15, kernel=standin.kernel(), workers=k) for k in (os.cpu_count(), 10_000))
    assert many.at_once == 10_000
    assert many.seconds == pytest.approx(few.seconds, rel=0.5)


def test_theory_that_declines_is_no_reason_not_to_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    def decline(*_: object) -> None:
        raise ArithmeticError("no edge")

    monkeypatch.setattr("spikecube.runs.plan.detection_edge", decline)
    assert plan(STUDY, kernel=standin.kernel()).fits


@pytest.mark.slow
def test_the_plan_of_a_real_study_is_within_a_factor_of_three() -> None:
    """The time of a cell of n = 1200, predicted from a small one."""
    import time

    from spikecube.runs.run import default_kernel
    from spikecube.runs.tasks import missing_tasks
    from spikecube.runs.worker import make_job, one_blas_thread

    study = Study(axes={"alpha": [0.0, 0.2, 0.3], "n": [1200], "seed": 1, "lam": [0.1, 1.0]})
    planned = plan(study)
    with one_blas_thread:
        begun = time.process_time()
        make_job(default_kernel(study).compute, study, next(missing_tasks(study, {})))()
        taken = time.process_time() - begun
    assert 1 / 3 < planned.longest_task_seconds / taken < 3
