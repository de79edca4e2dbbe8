"""Every command has examples that it accepts, and what it cannot do it says in one sentence, at once."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import xarray as xr
from typer.testing import CliRunner

import spikecube as sc
from scripts.madeup import fill, study_of
from spikecube.cli import app
from spikecube.cube.predict import predict

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def done(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_a_command_are_shown_and_accepted(name: str) -> None:
    shown = done(name, "--help").stdout
    lines = [line.strip() for line in shown.partition("Examples:")[2].splitlines() if line.strip()]
    assert lines, f"spikecube {name} --help has no example"
    for line in lines:
        program, command, *arguments = shlex.split(line)
        assert (program, command) == ("spikecube", name)
        with COMMANDS[name].make_context(name, arguments):  # raises for an unknown option
            pass


def test_an_example_with_a_wrong_option_would_be_seen() -> None:
    with pytest.raises(Exception, match="No such option: --lambda"):
        COMMANDS["info"].make_context("info", ["cube.nc", "--lambda", "1"])


def test_the_version_is_printed() -> None:
    assert done("--version").stdout == f"spikecube {sc.__version__}\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small cube and the prediction of its study."""
    folder = tmp_path_factory.mktemp("commands")
    study = study_of(alpha=[0.1, 0.3], n=[100, 200, 400], seed=3, lam=[0.1])
    fill(study).to_netcdf(folder / "cube.nc", engine="netcdf4")
    predict(study, only=["train_loss_limit"]).to_netcdf(folder / "theory.nc", engine="netcdf4")
    return folder


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fit", "theory.nc"], "given a prediction, which has no seeds; allowed: a cube of measurements"),
        (["report", "theory.nc"], "given a prediction, which has no seeds"),
        (["verify", "theory.nc"], "given a prediction, which has no seeds"),
        (["explore", "theory.nc", "--no-browser"], "given a prediction, which has no seeds"),
        (["fit", "cube.nc", "--n-min", "401"], "n_min=401 is beyond all sizes: the largest is 400"),
        (["fit", "cube.nc", "-o", "none/fits.nc"], "the folder none of none/fits.nc is not there: make it"),
        (["report", "cube.nc", "-o", "none/report.html"], "the folder none of none/report.html is not there"),
        (["predict", "study.toml", "-o", "none/theory.nc"], "the folder none of none/theory.nc is not there"),
        (["run", "study.toml", "-o", "none/cube"], "the folder none of none/cube.nc is not there"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: list[str], sentence: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    if not Path("study.toml").exists():
        assert done("new").exit_code == 0
    ended = done(*arguments)
    assert ended.exit_code == 1
    assert ended.stderr.startswith(f"spikecube: {sentence}")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""


def test_what_a_prediction_holds_is_not_called_measured(place: Path) -> None:
    shown = done("info", str(place / "theory.nc")).stdout
    assert "mean" not in shown
    assert "mean" in done("info", str(place / "cube.nc")).stdout


def test_a_report_tells_how_far_it_is(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def written(_cube: xr.Dataset, path: str, *_: object) -> str:
        return path

    monkeypatch.setattr("spikecube.pictures.report.report", written)
    monkeypatch.chdir(place)
    ended = done("report", "cube.nc", "--no-fits")
    assert ended.stdout == "report.html\n"
    assert "1 of 1 steps (100 % of the work)" in ended.stderr
