"""Runs that go on in rounds until a target is reached, with stand-in cells."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from spikecube.cli import app
from spikecube.runs.folder import RunFolder, run_paths
from spikecube.runs.run import Settings, run_study
from spikecube.study.study import Study
from spikecube.until import Ended, go_on, run_until
from spikecube.words.verdicts import stopped_at
from tests.runs import standin
from tests.runs.conftest import threads  # noqa: F401  a fixture of these tests too
from tests.runs.test_run import same

ROOT = Path(__file__).parents[1]
TARGET = "test_loss n=40 alpha=0.2 lam=0.1 = 0.7"
STUDY = standin.make_study(axes={"activation": None})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikecube.runs.plan._TRIAL_SECONDS", 0.0)


def go(name: Path, client: Any, target: str = TARGET, study: Study = STUDY, **keywords: Any) -> tuple[Ended, list[str]]:
    lines: list[str] = []
    kernel = keywords.pop("kernel", standin.kernel())
    return go_on(study, target, name, client, Settings(), kernel, tell=lines.append, **keywords), lines


@pytest.fixture(scope="module")
def whole(threads: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, xr.Dataset, list[str]]:  # noqa: F811
    name = tmp_path_factory.mktemp("whole") / "x"
    ended, lines = go(name, threads)
    assert ended.reached
    assert ended.report.cube is not None
    return name, ended.report.cube, lines


def test_each_round_has_one_line_and_the_last_is_done(whole: tuple[Path, xr.Dataset, list[str]]) -> None:
    _, cube, lines = whole
    assert len(lines) > 1
    assert all(" of 0.7 reached, " in line and " spent" in line for line in lines)
    assert all(line.endswith(" to go") for line in lines[:-1])
    assert lines[-1].endswith(": done")
    counts = Study.from_toml(cube.attrs["study"]).axes.counts
    assert counts[20] == 8
    assert counts[40] > 12


def test_the_same_command_has_nothing_left_to_do(whole: tuple[Path, xr.Dataset, list[str]], threads: Any) -> None:  # noqa: F811
    name, cube, lines = whole
    ended, again = go(name, threads)
    assert (ended.report.computed, ended.report.written, again) == (0, False, lines[-1:])
    same(ended.report.cube, cube)


def test_a_kill_in_the_middle_of_a_round_changes_nothing(
    whole: tuple[Path, xr.Dataset, list[str]],
    threads: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    """SIGKILL after the first shard of the second round; the cube is then bit for bit that of an unbroken run."""
    (tmp_path / "study.toml").write_text(STUDY.to_toml())
    name = tmp_path / "x"
    command = [sys.executable, "-m", "tests.faults.killed", str(tmp_path / "study.toml"), str(name)]
    killed = subprocess.run(
        [*command, "after", "*/shards/*.nc", TARGET], cwd=ROOT, capture_output=True, timeout=90, check=False
    )
    assert killed.returncode == -9, killed.stderr
    folder = RunFolder.existing(run_paths(name)[0])
    kept = len(folder.contents().points)
    assert 16 < kept < sum(folder.study.axes.counts.values())
    noting = standin.Noting(tmp_path / "calls")
    ended, _ = go(name, threads, kernel=standin.kernel(noting))
    same(ended.report.cube, whole[1])
    assert kept + len(noting.take()) == sum(Study.from_toml(whole[1].attrs["study"]).axes.counts.values())


def test_seeds_of_an_earlier_run_are_kept(threads: Any, tmp_path: Path) -> None:  # noqa: F811
    """Ten whole seeds are there: the first round has them and computes none again."""
    run_study(
        standin.make_study(axes={"activation": None, "seed": 10}), tmp_path / "x", threads, kernel=standin.kernel()
    )
    noting = standin.Noting(tmp_path / "calls")
    ended, _ = go(tmp_path / "x", threads, kernel=standin.kernel(noting))
    assert ended.report.cube is not None
    counts = Study.from_toml(ended.report.cube.attrs["study"]).axes.counts
    calls = [call for call in noting.take() if "n=" in call]
    assert counts[20] == 10
    assert sum("seed=5_" in call and "n=40" in call for call in calls) == 0
    assert ended.reached


def test_a_budget_ends_the_run_with_its_reason(threads: Any, tmp_path: Path) -> None:  # noqa: F811
    ended, lines = go(tmp_path / "x", threads, "test_loss n=40 alpha=0.2 lam=0.1 = 0.001", hours=1e-9)
    assert not ended.reached
    assert "the 1e-09 h are spent, and " in lines[-1]
    assert lines[-1].endswith(" more would be needed")


def test_failed_cells_end_the_rounds(threads: Any, tmp_path: Path) -> None:  # noqa: F811
    ended, lines = go(tmp_path / "x", threads, kernel=standin.kernel(standin.raising_at_seed_1))
    assert (ended.last, lines, len(ended.report.failures)) == (None, [], 2)
    again, _ = go(tmp_path / "x", threads)
    assert again.reached


def test_the_cube_says_at_which_target_the_run_stopped(whole: tuple[Path, xr.Dataset, list[str]]) -> None:
    """The line of a later fit has the numbers of the last line of the run, and a cube of no such run has none."""
    _, cube, _ = whole
    assert cube.attrs["until"] == TARGET
    text = stopped_at(cube)
    assert text.startswith("This run went on until a target.\ntest_loss n=40 alpha=0.2 lam=0.1 = 0.7: ")
    assert "per cent wider than the interval of a fit of this law" in text
    assert stopped_at(cube.drop_attrs(deep=False)) == ""


def test_run_until_is_run_with_a_target(threads: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("spikecube.until.default_kernel", lambda study: standin.kernel())
    lines: list[str] = []
    cube = run_until(STUDY, TARGET, tmp_path / "x", threads, tell=lines.append)
    assert np.isfinite(cube["test_loss"].sel(n=40, seed=12)).all()
    assert lines[-1].endswith("done")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--until", TARGET, "--shard", "1/2"], "--until computes in rounds: it goes with --workers or --scheduler"),
        (["--until", TARGET, "--slurm"], "--until computes in rounds: it goes with --workers or --scheduler"),
        (["--hours", "3"], "--hours, --interface, --tls and --patience go with --slurm"),
        (["--until", "loss = 1"], "target 'loss = 1' is not understood; allowed: "),
    ],
)
def test_each_mistake_is_one_sentence(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("spikecube.cli.computing.interrupt_once", lambda: None)
    Path("study.toml").write_text(STUDY.to_toml())
    done = CliRunner().invoke(app, ["run", "study.toml", *arguments])
    assert done.exit_code != 0
    assert words in " ".join(done.output.replace("│", " ").split())
    assert not Path("study.run").exists()
