"""Clusters are slow to start: one of threads and one of processes serve all tests."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def threads() -> Iterator[Any]:
    """A client of two worker threads in this process."""
    import dask
    from distributed import Client

    from spikecube.runs.cluster import SETTINGS

    with dask.config.set(SETTINGS):  # like those of runs, they wake up seldom
        started = Client(
            processes=False, n_workers=1, threads_per_worker=2, set_as_default=False, dashboard_address="127.0.0.1:0"
        )
    with started as client:
        yield client


@pytest.fixture
def in_threads(threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without a client use the worker threads of this process, where a test is not about processes."""
    monkeypatch.setattr("spikecube.runs.cluster.embedded", lambda workers: contextlib.nullcontext(threads))


@pytest.fixture(scope="session")
def processes() -> Iterator[Any]:
    """A client of two worker processes under nannies, which revive workers that die."""
    from spikecube.runs.cluster import embedded

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with embedded(2) as client:
        yield client
