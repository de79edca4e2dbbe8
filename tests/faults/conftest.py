from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from spikecube.runs.progress import Lines
from spikecube.runs.run import Settings, run_study
from spikecube.study.study import Study
from tests.runs import standin
from tests.runs.conftest import processes, threads  # noqa: F401  fixtures of these tests too

ROOT = Path(__file__).parents[2]
TIMEOUT = 90
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(standin.make_study().to_toml())
    return path


@pytest.fixture(scope="session")
def expected() -> xr.Dataset:
    return standin.make_cube()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the command line with a cell function, in a session of its own; whatever is left is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(cell: str, *arguments: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.faults.driver", cell, *map(str, arguments)]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def resumed(study: Path, name: Path, client: Any) -> str:
    """Runs a study again, within this process and with the right cells; what was told."""
    said = io.StringIO()
    report = run_study(Study.from_file(study), name, client, Settings(progress=Lines(said)), standin.kernel())
    assert not report.failures
    return said.getvalue()


def ended(process: subprocess.Popen[str], code: int) -> tuple[str, str]:
    """What a process printed, when it has ended with a code."""
    out, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == code, (process.returncode, out, errors)
    assert "Traceback" not in errors
    return out, errors
