"""The scripts that try the package out do what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spikecube.runs.memory import assemble_bytes

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


@pytest.mark.slow
@pytest.mark.parametrize("study", ["tiny", "quickstart", "scaling"])
def test_a_plan_is_within_a_factor_of_one_and_a_half_of_the_truth(study: str) -> None:
    """On a machine that does nothing else."""
    path = ROOT / "data" / "studies" / f"{study}.toml"
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "plan_check.py"), str(path), "--most", "100"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_assembling_takes_no_more_memory_than_planned() -> None:
    """Fails when a job that assembles is given what its cells take."""
    command = [sys.executable, str(ROOT / "scripts" / "plan_check.py"), "--assemble", "400"]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=True
    )
    cube, peak = json.loads(done.stdout)
    assert 2 * cube < peak < assemble_bytes(cube)
