"""Studies whose seeds are laid out for a target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from typer.testing import CliRunner

from spikecube.cli import app
from spikecube.errors import SpikecubeError
from spikecube.lay_out import LaidOut, lay_out, lay_out_text
from spikecube.scaling.errors import TooManySeedsError
from spikecube.scaling.pilot import pilot_curve
from spikecube.scaling.pilot_points import PilotCurve
from spikecube.study.study import Study
from tests.runs.conftest import in_threads, threads  # noqa: F401  fixtures of these tests too
from tests.scaling.conftest import cube  # noqa: F401  a fixture of these tests too

TARGET = "outlier 1 exponent alpha=0.4 = 0.01"


def hours(n: float) -> float:
    return 1e-9 * n**3


@pytest.fixture(scope="module")
def study(cube: xr.Dataset) -> Study:  # noqa: F811
    return Study.from_toml("# mine\n" + cube.attrs["study"])


@pytest.fixture(scope="module")
def found(study: Study, cube: xr.Dataset) -> LaidOut:  # noqa: F811
    """The study that meets the target."""
    return lay_out(study, TARGET, pilot=cube, hours=hours)


def test_the_study_has_the_seeds_of_the_design(found: LaidOut, study: Study) -> None:
    asked = {int(n): int(m) for n, m in zip(found.design.n.values, found.design.seeds.values, strict=True)}
    counts = dict.fromkeys(asked, 0)
    for cell in found.study.cells():
        counts[cell.n] += 1
    assert counts == asked
    assert found.study.to_toml().lstrip().startswith("# mine")
    assert found.study.model == study.model
    assert asked[250] > 20 * asked[4000]
    assert float(found.design.half_width[0]) <= 0.01
    assert "certificate: no sensitivity above 1" in lay_out_text(found)


def test_a_budget_that_is_too_small_is_told(
    found: LaidOut,
    study: Study,
    cube: xr.Dataset,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half-widths grow until the budget is enough; what the pilot says is fitted once, not at each of them."""
    most, asked = float(found.design.cost) / 2, []

    def counted(*given: Any) -> PilotCurve:
        asked.append(given)
        return pilot_curve(*given)

    monkeypatch.setattr("spikecube.lay_out.pilot_curve", counted)
    less = lay_out(study, TARGET, pilot=cube, hours=hours, max_hours=most)
    assert len(asked) == 1
    assert less.relaxed > 1
    assert 0.9 * most < float(less.design.cost) <= most
    assert "0.01 cannot be met in this time" in lay_out_text(less)
    assert lay_out(study, TARGET, pilot=cube, hours=hours, max_hours=4 * most).relaxed == 1


def test_a_budget_takes_the_place_of_absurdly_many_seeds(study: Study, cube: xr.Dataset) -> None:  # noqa: F811
    absurd = "outlier 1 exponent alpha=0.4 = 0.004"
    with pytest.raises(TooManySeedsError, match="correction cannot be told from the law"):
        lay_out(study, absurd, pilot=cube, hours=hours)
    found = lay_out(study, absurd, pilot=cube, hours=hours, max_hours=13000.0, max_n=2000)
    assert found.relaxed > 2
    assert found.design.attrs["notes"].startswith(f"{absurd}: 4 sizes for 3 parameters; ")
    assert float(found.design.cost) <= 13000.0


def test_the_largest_size_is_the_users(study: Study, cube: xr.Dataset) -> None:  # noqa: F811
    found = lay_out(study, TARGET, pilot=cube, hours=hours, max_n=2000)
    assert max(found.study.axes.n) == 2000
    with pytest.raises(SpikecubeError, match="leaves no size of the study, which has n = 250 and more"):
        lay_out(study, TARGET, pilot=cube, hours=hours, max_n=100)
    with pytest.raises(SpikecubeError, match="2 sizes do not determine 3 parameters"):
        lay_out(study, TARGET, pilot=cube, hours=hours, max_n=500)


def test_the_command_runs_a_pilot_and_writes_the_study(
    tmp_path: Path,
    in_threads: None,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(
        "[axes]\nalpha = [0.1, 0.4]\nn = [20, 24, 30, 36, 44]\nseed = 2\nlam = [0.1]\n"
        "[measure]\nrank = 2\ndegree = 2\nell = 1\n"
    )
    asked = ["plan", "study.toml", "--target", "test_loss n=30 alpha=0.1 lam=0.1 = 0.2", "-o", "new.toml"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "no pilot was given: 8 seeds at n = 20, 24, 30, 36, 44 are run" in done.output
    assert Study.from_file("new.toml").axes.n == (30,)
    wrong = CliRunner().invoke(app, ["plan", "study.toml", "--target", "loss = 1"])
    assert wrong.exit_code != 0
