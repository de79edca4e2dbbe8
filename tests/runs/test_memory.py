from __future__ import annotations

import threading
from typing import Any

import pytest

from spikecube.runs.memory import WORKER_BYTES, amount, free_memory, parse_size, workers_that_fit
from spikecube.runs.run import Settings, run_study
from tests.runs import standin


@pytest.mark.parametrize(
    ("text", "value"), [("16GiB", 16 * 2**30), ("500 MB", 5e8), ("2e9", 2e9), ("1.5k", 1500), (" 3 TiB ", 3 * 2**40)]
)
def test_sizes(text: str, value: float) -> None:
    assert parse_size(text) == value


@pytest.mark.parametrize("text", ["", "GiB", "-1GiB", "0", "inf", "nan", "3 apples", "1e999", "1GiBB"])
def test_wrong_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: a size such as"):
        parse_size(text)


def test_sizes_for_people() -> None:
    assert [amount(x) for x in (12, 2048, 3.5 * 2**30, 2**50)] == ["12 B", "2 KiB", "3.5 GiB", "1024 TiB"]


def test_fewer_processes_where_they_would_leave_no_room() -> None:
    assert workers_that_fit(8, 1e9, 100e9) == 8
    assert workers_that_fit(8, 1e9, 1e9 + 3 * WORKER_BYTES) == 3
    assert workers_that_fit(8, 1e9, 1e9) == 1


def test_free_memory_is_less_than_there_is() -> None:
    import psutil

    assert 0 < free_memory() < psutil.virtual_memory().total


class Concurrent:
    """Notes how many cells of this process run at once; each waits a little for a second one."""

    def __init__(self) -> None:
        self.changed, self.now, self.most = threading.Condition(), 0, 0

    def __call__(self, model: Any, measure: Any, **arguments: Any) -> standin.Values:
        with self.changed:
            self.now += 1
            self.most = max(self.most, self.now)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most > 1, timeout=0.1)
            self.now -= 1
        return standin.cell(model, measure, **arguments)


@pytest.mark.parametrize("fitting", [1, 4])
def test_cells_that_run_at_once_fit_into_max_memory(threads: Any, tmp_path: Any, fitting: int) -> None:
    """Fails when --max-memory does not reach the driver."""
    need = 1e9

    def bytes_(*_: Any, **__: Any) -> float:
        return need

    concurrent = CONCURRENT
    concurrent.most = 0
    settings = Settings(max_memory=fitting * need + WORKER_BYTES)
    run_study(standin.make_study(), tmp_path / "cube", threads, settings, standin.kernel(noting, bytes_))
    assert concurrent.most == min(fitting, 2)


CONCURRENT = Concurrent()


def noting(model: Any, measure: Any, **arguments: Any) -> standin.Values:
    """The stand-in, counted in this process."""
    return CONCURRENT(model, measure, **arguments)
