from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from spikecube.runs.tasks import Task
from spikecube.runs.worker import _controller, blas_threads, computed_with, make_job, one_blas_thread, run_job
from spikecube.study.study import Cell
from tests.runs import standin

STUDY = standin.make_study()
TASK = Task(Cell(20, 1, (("activation", "relu"),)), (0.2,), (1.0,))


def test_an_exception_is_a_result_in_one_line() -> None:
    outcome = run_job(make_job(standin.raising_at_seed_1, STUDY, TASK))
    assert outcome.error == "FloatingPointError: no convergence after 30 steps"
    assert outcome.values == {}


@pytest.fixture
def two_blas_threads() -> Any:
    """A process in which BLAS may use two threads, whatever the environment says."""
    _controller()
    with threadpool_limits(limits=2, user_api="blas"):
        if blas_threads() != 2:
            pytest.skip("the BLAS of this machine cannot be told to use two threads")
        yield


@pytest.mark.usefixtures("two_blas_threads")
def test_a_task_runs_on_one_blas_thread_and_restores_the_others() -> None:
    job = make_job(standin.telling_blas_threads, STUDY, TASK)
    assert job()["beta_power"] == 2
    outcome = run_job(job)
    assert outcome.values["beta_power"] == 1
    assert outcome.blas_threads == 1
    assert blas_threads() == 2


@pytest.mark.usefixtures("two_blas_threads")
def test_the_first_task_to_end_does_not_free_the_threads_of_another() -> None:
    """Fails when each task restores the threads that it met."""
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with one_blas_thread:
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with one_blas_thread:
        thread.start()
        assert inside.wait(10)
    during = blas_threads()
    leave.set()
    thread.join(10)
    assert (during, blas_threads()) == (1, 2)


def test_libraries_are_named() -> None:
    assert computed_with().startswith(f"numpy {np.__version__}, scipy ")
