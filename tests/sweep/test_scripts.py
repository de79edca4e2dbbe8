"""The scripts that try the package out do what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_few_random_kills_are_survived() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "kill_study.py"), "--kills", "5", "--seed", "11"]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout == "5 kills: 5 survived, 0 lost, 0 torn\n"


@pytest.mark.slow
def test_overhead_is_below_five_milliseconds_of_processor_a_cell() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "overhead.py"), "--cells", "2000"]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=True
    )
    milliseconds = float(done.stdout.split("of which ")[1].split()[0])
    assert milliseconds < 5
