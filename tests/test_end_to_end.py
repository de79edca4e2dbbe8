"""The whole way through the command line with the real cell: study, plan, run, look, extend, merge, verify."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import spikecube as sc
from spikecube import cli
from tests.runs.conftest import in_threads, threads  # noqa: F401  fixtures of these tests too

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "data" / "studies" / "tiny.toml"


@dataclass(frozen=True)
class Done:
    """What a command printed."""

    stdout: str
    stderr: str


def spikecube(folder: Path, *arguments: str, code: int = 0) -> Done:
    """Runs the command in a folder, within this process, and checks its exit code."""
    out, errors = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        with (
            contextlib.chdir(folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(errors),
            pytest.raises(SystemExit) as ended,
        ):
            cli.app(list(arguments))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    done = Done(out.getvalue(), errors.getvalue())
    assert ended.value.code == code, done
    assert "Traceback" not in done.stderr
    return done


def test_the_command_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spikecube", "run", "none.toml"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "the study file 'none.toml' cannot be read: No such file or directory\n"


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'xarray', 'dask', 'pydantic'}"
    code = f"import sys; from spikecube import cli; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert out.stdout == "[]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tiny study was run."""
    path = tmp_path_factory.mktemp("end")
    (path / "tiny.toml").write_text(STUDY.read_text())
    done = spikecube(path, "run", "tiny.toml", "--workers", "2")
    assert done.stdout == "tiny.nc: 12 of 12 points (alpha, n, seed) ok\n"
    assert "4 cells to compute" in done.stderr
    return path


def test_the_cube_opens_with_xarray_alone(folder: Path) -> None:
    with xr.open_dataset(folder / "tiny.nc") as cube:
        assert (cube["status"] == 1).all()
        assert dict(cube.sizes) == {"alpha": 3, "n": 2, "seed": 2, "lam": 2, "rank": 4, "degree": 2, "ell": 2}
        assert all(np.isfinite(cube[name]).all() for name in ("train_loss", "singular_value", "test_loss_spiked"))
        assert cube.attrs["study"] == STUDY.read_text()
        assert cube.attrs["blas_threads"] == 1


def test_running_again_says_that_nothing_is_left(folder: Path) -> None:
    done = spikecube(folder, "run", "tiny.toml")
    assert done.stdout == "nothing is left to do: tiny.nc holds 12 of 12 points (alpha, n, seed) ok\n"
    assert done.stderr == ""


def test_python_finds_the_same_cube(folder: Path) -> None:
    cube = sc.run(sc.Study.from_file(STUDY), folder / "tiny")
    xr.testing.assert_identical(cube, sc.open_cube(folder / "tiny.nc"))


def test_an_extension_equals_a_run_at_once(folder: Path, tmp_path: Path, in_threads: None) -> None:  # noqa: F811
    text = STUDY.read_text().replace("alpha = [0.0, 0.2, 0.3]", "alpha = [0.0, 0.1, 0.2, 0.3]")
    text = text.replace("lam = [0.1, 1.0]", "lam = [0.1, 0.5, 1.0]").replace("seed = 2", "seed = 3")
    (tmp_path / "tiny.toml").write_text(STUDY.read_text().replace("seed = 2", "seed = [1, 2]"))
    spikecube(tmp_path, "run", "tiny.toml", "--workers", "1", "-o", "part")
    (tmp_path / "tiny.toml").write_text(text)
    spikecube(tmp_path, "run", "tiny.toml", "--workers", "1", "-o", "part")
    spikecube(tmp_path, "run", "tiny.toml", "--workers", "2", "-o", "once")
    part, once = (sc.open_cube(tmp_path / f"{name}.nc").drop_attrs(deep=False) for name in ("part", "once"))
    xr.testing.assert_identical(part, once)
    first = sc.open_cube(folder / "tiny.nc")
    xr.testing.assert_equal(once.sel({d: first[d] for d in ("alpha", "seed", "lam")}), first)


def test_shares_and_a_last_step_make_the_cube(folder: Path, tmp_path: Path, in_threads: None) -> None:  # noqa: F811
    (tmp_path / "tiny.toml").write_text(STUDY.read_text())
    for share in ("2/2", "1/2"):
        done = spikecube(tmp_path, "run", "tiny.toml", "--shard", share, "--workers", "1")
        assert "tiny.run: 2 cells computed for this share" in done.stdout
    assert spikecube(tmp_path, "run", "tiny.toml").stdout == "tiny.nc: 12 of 12 points (alpha, n, seed) ok\n"
    found, expected = (sc.open_cube(path / "tiny.nc").drop_attrs(deep=False) for path in (tmp_path, folder))
    xr.testing.assert_identical(found, expected)


def test_status_and_info(folder: Path) -> None:
    state = json.loads(spikecube(folder, "status", "tiny", "--json").stdout)
    assert (state["cells"], state["complete"], state["running"]) == (4, 4, False)
    for name in ("tiny", "tiny.nc", "tiny.run"):
        out = spikecube(folder, "info", name).stdout
        assert "12 of 12 points (alpha, n, seed) ok" in out
        assert "means over 2 seeds at lam = 1" in out


def test_plan(folder: Path) -> None:
    planned = json.loads(spikecube(folder, "plan", "tiny.toml", "--json").stdout)
    assert planned["cells"] == 4
    assert planned["core_hours"] > 0
    assert spikecube(folder, "plan", "tiny.toml", "--max-memory", "1MB", code=1).stdout.count("never") == 1
    small = json.loads(spikecube(folder, "plan", "tiny.toml", "--max-memory", "1MB", "--json").stdout)
    assert (small["fits"], small["tasks_at_once"], small["seconds"]) == (False, 0, None)


def test_verify_agrees_and_finds_a_forged_value(folder: Path, tmp_path: Path) -> None:
    assert "bit for bit" in spikecube(folder, "verify", "tiny", "--sample", "2").stdout
    cube = sc.open_cube(folder / "tiny.nc")
    cube["train_loss"][...] *= 1 + 1e-12
    cube.to_netcdf(tmp_path / "forged.nc")
    assert "do NOT agree" in spikecube(folder, "verify", str(tmp_path / "forged.nc"), code=1).stdout


def test_merge(folder: Path, in_threads: None) -> None:  # noqa: F811
    text = STUDY.read_text().replace("seed = 2", "seed = [2, 3]")
    (folder / "more.toml").write_text(text)
    spikecube(folder, "run", "more.toml", "--workers", "1")
    spikecube(folder, "merge", "tiny.nc", "more.nc", "-o", "both.nc")
    assert sc.open_cube(folder / "both.nc")["seed"].values.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["run", "none.toml"], 2, "the study file 'none.toml' cannot be read: No such file or directory"),
        (["run", "tiny.toml", "--shard", "3/2"], 2, "given '3/2'; allowed: i/N with i from 1 to N"),
        (["run", "tiny.toml", "--max-memory", "much"], 2, "allowed: a size such as 16GiB"),
        (["run", "tiny.toml", "--max-memory", "1MB", "-o", "y"], 1, "spikecube: the cell with n = 100"),
        (["info", "none"], 1, "spikecube: there is no run none.run"),
        (["info", "tiny.toml"], 1, "spikecube: tiny.toml cannot be read as netCDF"),
        (["verify", "none.nc"], 1, "spikecube: there is no run none.run"),
        (["frobnicate"], 2, "No such command 'frobnicate'"),
    ],
)
def test_mistakes_give_a_sentence_and_a_code(folder: Path, arguments: list[str], code: int, sentence: str) -> None:
    assert sentence in spikecube(folder, *arguments, code=code).stderr
