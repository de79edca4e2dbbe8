"""The benchmark runs, and its careful version agrees with the package."""

from __future__ import annotations

import importlib.util
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


@pytest.mark.parametrize(("ours", "held"), [(0.70, True), (0.90, False)])
def test_the_check_fails_where_the_ratio_rises(ours: float, held: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table says 4.93 at n = 1000: 4.67 passes and 6.00 fails."""
    spec = importlib.util.spec_from_file_location("benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    monkeypatch.setattr(benchmark, "ours_and_floor", lambda n, repeats: (ours, 0.15))
    table = "| n | our cell (s) | ours/floor |\n|---|---|---|\n| 1000 | 0.74 | 4.93 |\n\n| n | F |\n| 1000 | 1 |\n"
    assert benchmark.check([1000], table) is held
