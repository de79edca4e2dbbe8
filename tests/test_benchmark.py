"""The benchmark runs, and its careful version agrees with the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "benchmark.py"


@pytest.mark.slow
def test_the_benchmark_writes_its_table(tmp_path: Path) -> None:
    out = tmp_path / "benchmark.md"
    subprocess.run([sys.executable, SCRIPT, "--sizes", "150", "--output", out], check=True, timeout=120)
    row = next(line for line in out.read_text().splitlines() if line.startswith("| 150 |"))
    assert float(row.split("|")[-2]) < 1e-9  # the largest difference between the two versions
