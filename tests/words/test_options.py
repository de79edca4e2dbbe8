"""No option is ignored silently: with every law each changes what is found, or is refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from spikecube.cli import app
from spikecube.cli.reading import _all_fits
from spikecube.means.places import LabelError
from spikecube.scaling.errors import FitError
from spikecube.scaling.thresholds import fit_thresholds
from spikecube.words.data_fits import DATA_LAWS, fit_file
from spikecube.words.fits import LAWS, USES, fit_report
from spikecube.words.overview import overview

CUBE_OPTIONS = ("prediction", "controls", "n_min", "auto")


@pytest.fixture(scope="module")
def small(cube: xr.Dataset) -> xr.Dataset:
    """A cube whose fits take little time."""
    return cube.isel(lam=[0], alpha=[0, 3])


@pytest.fixture(scope="module")
def plain(small: xr.Dataset, prediction: xr.Dataset) -> Mapping[str, dict[str, Any]]:
    """What each law finds without options."""
    given = {law: {"prediction": prediction} if "prediction" in USES[law] else {} for law in LAWS}
    return {law: fit_report(small, law, **given[law]).as_dict() for law in LAWS}


@pytest.mark.parametrize("option", CUBE_OPTIONS)
@pytest.mark.parametrize("law", LAWS)
def test_an_option_of_a_cube_changes_a_fit_or_is_refused(
    law: str, option: str, small: xr.Dataset, prediction: xr.Dataset, plain: Mapping[str, dict[str, Any]]
) -> None:
    options: dict[str, Any] = {"prediction": prediction} if "prediction" in USES[law] else {}
    options |= {
        "prediction": {"prediction": 1.3 * prediction},
        "controls": {"controls": False},
        "n_min": {"n_min": 1000.0},
        "auto": {"n_min": "auto"},
    }[option]
    used = option in USES[law] or (option == "auto" and "prediction" in USES[law])
    if not used:
        with pytest.raises(FitError, match=f"{'n_min' if option == 'auto' else option}.*{law}"):
            fit_report(small, law, **options)
    else:
        assert fit_report(small, law, **options).as_dict() != plain[law]


def test_thresholds_from_a_size_on_are_those_of_its_cube(small: xr.Dataset) -> None:
    cut = small.sel(n=small.n >= 1000)
    xr.testing.assert_equal(fit_thresholds(small, n_min=1000), fit_thresholds(cut))
    for wrong, said in ((1e9, "beyond all sizes"), ("auto", "take a number"), (True, "take a number")):
        with pytest.raises(FitError, match=said):
            fit_thresholds(small, n_min=wrong)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Curves of six sizes at each control, at two values of a second size."""
    rng = np.random.default_rng(5)
    rows = ["N,D,T,y,dy"]
    for n in (10, 20, 40, 80, 160, 320):
        for control in np.linspace(-1, 1, 4):
            error = 0.01 * rng.uniform(0.5, 2)
            value = 1 + 2 / n + 1 / (1 + np.exp(control * n**0.5)) + error * rng.standard_t(2)
            rows.append(f"{n},{3 * n},{control:.3f},{value:.6f},{error:.4f}")
    path = tmp_path_factory.mktemp("table") / "data.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def pairs(table: Path) -> Path:
    """One value at each of 25 pairs of sizes."""
    rng = np.random.default_rng(6)
    rows = ["N,D,y,dy,T"]
    for n in (10, 20, 40, 80, 160):
        for d in (30, 60, 120, 240, 480):
            error = 0.01 * rng.uniform(0.5, 2)
            rows.append(f"{n},{d},{0.5 + 3 / n**0.5 + 4 / d**0.6 + error * rng.standard_t(2):.6f},{error:.4f},{n % 3}")
    path = table.with_name("pairs.csv")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def fitted(table: Path, pairs: Path) -> Callable[..., dict[str, Any]]:
    """What a law finds in the tables with some options; each is fitted once."""
    found: dict[str, dict[str, Any]] = {}

    def fit(law: str, **options: Any) -> dict[str, Any]:
        two = law.startswith("two-size")
        always: dict[str, Any] = {"size": "N,D", "value": "y"} if two else {"size": "N", "value": "y", "control": "T"}
        key = f"{law} {options}"
        if key not in found:
            found[key] = fit_file(pairs if two else table, law, **always, **options).as_dict()
        return found[key]

    return fit


DATA_OPTIONS: dict[str, dict[str, Any]] = {
    "stderr": {"stderr": "dy"}, "n_min": {"n_min": 20.0}, "auto": {"n_min": "auto", "stderr": "dy"},
    "loss": {"loss": "huber"},
}  # fmt: skip


@pytest.mark.parametrize("option", DATA_OPTIONS)
@pytest.mark.parametrize("law", DATA_LAWS)
def test_an_option_of_a_table_changes_a_fit_or_is_refused(
    law: str, option: str, fitted: Callable[..., dict[str, Any]]
) -> None:
    two, options = law.startswith("two-size"), DATA_OPTIONS[option]
    if (option in ("n_min", "auto") and (two or law == "collapse")) or (option == "loss" and not two):
        with pytest.raises(FitError, match=r"n_min|loss"):
            fitted(law, **options)
        return
    without = {k: v for k, v in options.items() if option == "auto" and k == "stderr"}
    assert fitted(law, **options) != fitted(law, **without)


REFUSED = (
    ("fit data.csv --size N --value y --theory t.nc", "--theory is for cubes"),
    ("fit data.csv --size N --value y --no-controls", "--no-controls is for cubes"),
    ("fit data.csv --size N --value y --latex --json", "--latex and --json exclude each other"),
    ("fit cube.nc --loss huber", "--loss is for data other than cubes"),
    ("fit cube.nc --latex", "--latex is for data other than cubes"),
    ("fit cube.nc --loss squares", "--loss is for data other than cubes"),
    ("fit data.csv --size N --value y --controls", "--controls is for cubes"),
    ("run study.toml --jobs 20", "--jobs, --queue, --hours, --interface, --tls and --patience go with --slurm"),
    ("run study.toml --interface lo", "go with --slurm"),
    ("run study.toml --patience 24", "go with --slurm"),
    ("run study.toml --until t --shard 1/2", "--until computes in rounds"),
    ("run study.toml --workers 1 --scheduler tcp://h:1", "exclude each other"),
    ("plan study.toml --pilot p.nc", "--pilot goes with --target"),
    ("plan study.toml --max-n 100", "--max-n goes with --target"),
    ("plan study.toml -o new.toml", "-o goes with --target"),
    ("plan study.toml --target 'x' --json", "--json goes without --target"),
    ("plan study.toml --target 'x' --workers 2", "--workers goes without --target"),
)


@pytest.mark.parametrize(("command", "said"), REFUSED)
def test_an_option_of_another_mode_is_refused(command: str, said: str) -> None:
    """Before any file is looked for; also where it is given the value that it has anyway."""
    answer = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert answer.exit_code == 2
    assert said in " ".join(answer.output.split())


def test_the_theory_of_a_report_is_that_of_its_fits(
    small: xr.Dataset, prediction: xr.Dataset, plain: Mapping[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also that for each draw; laws on single draws are fitted as ever."""
    monkeypatch.setattr("spikecube.words.fits.LAWS", {name: LAWS[name] for name in ("limits", "thresholds")})
    own, other = (_all_fits(small, prediction=factor * prediction) for factor in (1.0, 1.3))
    assert not own["limits"]["expected"].equals(other["limits"]["expected"])
    assert own["thresholds"].equals(other["thresholds"])
    assert own["limits"].attrs["sentence"] == plain["limits"]["sentence"]


def test_a_penalty_is_refused_where_no_mean_has_one(small: xr.Dataset) -> None:
    assert "at lam =" in overview(small, float(small["lam"][0]))
    for cut in (small.isel(lam=0, drop=True), small[["status"]]):
        assert overview(cut)
        with pytest.raises(LabelError, match=r"lam=0\.1 is not for this cube"):
            overview(cut, 0.1)
