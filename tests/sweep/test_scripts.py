"""The examples for clusters ask for what the plan predicts."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spikecube.sweep.memory import assemble_bytes
from spikecube.sweep.plan import Plan

ROOT = Path(__file__).parents[2]
PLAN = Plan(
    cells=100,
    tasks=100,
    points=1000,
    core_hours=64.0,
    longest_task_seconds=3600.0,
    largest_task="n = 4000, seed = 0",
    memory_bytes=2.0**30,
    available_bytes=2.0**34,
    tasks_at_once=16,
    cube_bytes=10**6,
    driver_bytes=2.0**27,
    largest_cell_bytes=2.0**29,
    assemble_bytes=2.0**28,
    shard_bytes=10.0**6,
    at_once=16,
    fits=True,
    seconds=14_400.0,
)


@pytest.fixture
def commands(tmp_path: Path) -> dict[str, str]:
    """An environment whose `spikecube plan` gives PLAN and whose `sbatch` notes its arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "spikecube": f"cat <<'EOF'\n{json.dumps(PLAN.as_dict())}\nEOF\n",
        "sbatch": f'for a in "$@"; do echo "$a" >> \'{tmp_path}/asked\'; done; echo 4711\n',
    }
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_the_slurm_array_asks_for_memory_and_time_of_the_plan(commands: dict[str, str], tmp_path: Path) -> None:
    command = ["sh", str(ROOT / "scripts" / "slurm_array.sh"), "study.toml", "x", "8", "4"]
    subprocess.run(command, env=commands, check=True, timeout=30, capture_output=True)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked.count("--mem=5120M") == 2  # four cells of 1 GiB and a quarter more
    assert asked.count("--time=250") == 2  # twice 64 hours over 32 cores, and ten minutes
    assert "--array=1-8" in asked
    assert "--dependency=afterany:4711" in asked
    assert any("--shard $SLURM_ARRAY_TASK_ID/8 --workers 4" in line for line in asked)


def test_the_jobqueue_example_asks_for_memory_and_time_of_the_plan() -> None:
    spec = importlib.util.spec_from_file_location("slurm_jobqueue", ROOT / "scripts" / "slurm_jobqueue.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    settings = module.job(PLAN, hours=0.1)
    assert settings["memory"] == f"{math.ceil(1.25 * 1024)} MiB"
    assert settings["walltime"] == "02:10:00"
    assert settings["cores"] == settings["processes"] == 1


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
