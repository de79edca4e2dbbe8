"""What theory does not find never keeps measured values from being written or read."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import spikecube as sc
from spikecube.cube import assemble as assembly
from spikecube.cube import predict_model as predictions
from spikecube.cube.missing import missing_edges
from spikecube.means.comparisons import compared
from spikecube.pictures import predicted, report
from spikecube.pictures.catalogue import CATALOGUE, Scene
from spikecube.study.study import Model
from spikecube.theory import detection_edge
from spikecube.theory.conditional.build import resolved_profile
from spikecube.theory.conditional.edge import conditional_edge
from spikecube.theory.newton import ConvergenceError
from spikecube.words import when
from spikecube.words.fits import fit_report
from spikecube.words.overview import overview
from spikecube.words.seen import seen
from tests.cube.real import least_toml
from tests.test_end_to_end import spikecube
from tests.theory.outside import solve_outside

RELU = least_toml('[model]\nactivation = "relu"', alpha="[0.0, 0.4, 0.5]", n="[20, 30]")
STEEP: dict[str, dict[str, Any]] = {
    "He1 + He3": {"activation": [0, 1, 0, 1]},
    "x^3": {"activation": [0, 3, 0, 1]},
    "equal weights on He1 to He4": {"activation": [0, 1, 2**-0.5, 6**-0.5, 24**-0.5]},
    "He4/24 + He2/2 + x": {"activation": [0, 1, 0.5, 0, 1 / 24]},
    "He1 + He3/2": {"activation": [0, 1, 0, 0.5]},
    "a long step": {"eta_scale": 1000.0},
    "a large target": {"target": [0, 1000, 500]},
    "large noise": {"noise": 1000.0},
}
REPORTED = ("He1 + He3", "a long step", "large noise")
"""Of which a report with the figures of the edge is written too, one of each kind; of the first all is drawn."""


@pytest.mark.parametrize("name", STEEP)
def test_the_edge_of_steep_steps_is_where_solutions_end(name: str) -> None:
    """Soft edges far out: they lie at the largest kappa and a that n samples and N neurons show."""
    model = Model(**STEEP[name])
    for n, alpha in itertools.product((100, 1000), (0.4, 0.5)):
        edge, profile = conditional_edge(model, n, alpha, 1), resolved_profile(model, n, alpha, 0.1)
        assert solve_outside(profile, 1.01 * edge.x) is not None
        assert solve_outside(profile, 0.98 * edge.x) is None
        assert float(detection_edge(model, n, alpha)) > np.sqrt(edge.x)


def test_the_edge_scales_with_the_activation() -> None:
    """sigma -> 2 sigma with half the step is 2 F: x_+ grows by 4."""
    one, two = Model(activation=[0, 1, 0, 1]), Model(activation=[0, 2, 0, 2], eta_scale=0.5)
    assert conditional_edge(two, 200, 0.4, 1).x == pytest.approx(4 * conditional_edge(one, 200, 0.4, 1).x, rel=1e-5)


@pytest.mark.parametrize("name", STEEP)
def test_steep_steps_go_through_the_whole_command_line(
    name: str, tmp_path: Path, threads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command on a tiny study."""
    model = "\n".join(f"{field} = {value}" for field, value in STEEP[name].items())
    (tmp_path / "s.toml").write_text(least_toml(f"[model]\n{model}", alpha="[0.0, 0.5]"))
    sc.run(sc.Study.from_file(tmp_path / "s.toml"), tmp_path / "s", client=threads)
    assert "2 of 2 points" in spikecube(tmp_path, "run", "s.toml").stdout
    cube = sc.open_cube(tmp_path / "s.nc")
    assert cube.detection_edge.notnull().all()
    assert all(cube[v].notnull().all() for v in ("train_loss", "test_loss", "singular_value", "outlier_count"))
    assert "missing" not in spikecube(tmp_path, "info", "s").stdout
    assert "no fit, since this cube has 1 size" in spikecube(tmp_path, "fit", "s", code=1).stdout
    assert "17 predicted variables\n" in spikecube(tmp_path, "predict", "s.toml", "-o", "t.nc").stdout
    if name in REPORTED:
        monkeypatch.setattr(predicted, "fine_study", lambda study: study)
        monkeypatch.setattr(predicted, "_POINTS", 16)
        monkeypatch.setattr(when, "_GRID", when._GRID[::4])
        monkeypatch.setattr(when, "_SIZE_RATIO", 2.0)
        monkeypatch.setattr(report, "CATALOGUE", {view: CATALOGUE[view] for view in ("spectrum", "outliers")})
        assert spikecube(tmp_path, "report", "s", "-o", "s.html").stdout == "s.html\n"
        assert "When do the spikes appear?" in (tmp_path / "s.html").read_text()
    if name == REPORTED[0]:
        scene = Scene(cube, xr.load_dataset(tmp_path / "t.nc"))
        for entry in CATALOGUE.values():
            entry.draw(scene, None)


def broken(model: Any, n: int, alpha: Any, *_: Any, **__: Any) -> Any:
    """Theory that finds nothing at the largest alpha, in two ways."""
    if np.max(alpha) > 0.45:
        raise ConvergenceError("no x beyond the bulk is found up to 7", f"n = {n}, alpha = {alpha}, {model}")
    if np.max(alpha) > 0.35 and n == 30:
        raise ZeroDivisionError
    return float(detection_edge(model, n, alpha))


def _failing(function: Any) -> Any:
    """A function of theory that fails at alpha = 1/2."""

    def failing(model: Any, n: int, alpha: Any, *rest: Any, **keywords: Any) -> Any:
        return broken(model, n, alpha) if np.max(alpha) > 0.45 else function(model, n, alpha, *rest, **keywords)

    return failing


def test_an_edge_that_is_not_found_is_missing_with_its_reason(
    tmp_path: Path, in_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "_kept_edge", broken)
    (tmp_path / "b.toml").write_text(RELU)

    def told(*words: str, code: int = 0) -> str:
        return " ".join(spikecube(tmp_path, *words, code=code).stdout.split())  # it is folded to the width of a page

    said = told("run", "b.toml")
    lost = "detection_edge and outlier_count are missing at 3 of 6 points (alpha, n): theory has no edge there"
    assert lost in said
    assert "everything measured is there" in said
    cube = sc.open_cube(tmp_path / "b.nc")
    expected = [[True, True], [True, False], [False, False]]
    assert cube.detection_edge.notnull().values.tolist() == expected
    assert cube.outlier_count.isel(seed=0).notnull().values.tolist() == expected
    assert (cube.status == 1).all()
    assert all(cube[v].notnull().all() for v in ("train_loss", "test_loss", "singular_value"))
    for name in ("detection_edge", "outlier_count"):
        reason = cube[name].attrs["missing_reason"]
        assert "alpha = 0.5, n = 20, and at alpha = 0.5, n = 30: no x beyond the bulk is found up to 7" in reason
        assert "alpha = 0.4, n = 30: ZeroDivisionError" in reason
    assert lost in told("info", "b")
    assert lost in told("fit", "b", "--law", "outliers", code=1)
    assert missing_edges(cube.sel(alpha=[0.0])) == ""


def test_a_step_so_steep_that_theory_gives_up_costs_its_own_points_alone() -> None:
    study = sc.Study(
        model={"activation": [0, 1, 0, 0, 0, 0, 1]},
        axes={"alpha": [0.0, 0.4], "n": [100], "seed": 1, "lam": [1.0]},
    )
    cube = assembly.assemble(study, [])
    assert cube.detection_edge.isnull().values[:, 0].tolist()[1]
    assert "alpha = 0.4, n = 100: no x beyond the bulk is found" in cube.detection_edge.attrs["missing_reason"]


def test_the_report_says_which_edges_are_missing(tiny_cube: xr.Dataset, tiny_prediction: xr.Dataset) -> None:
    from spikecube.words.findings import findings

    cube = tiny_cube.copy(deep=True)
    cube["detection_edge"][-1] = np.nan
    cube["outlier_count"][-1] = np.nan
    assert any(
        "missing at 3 of 9 points (alpha, n)" in text for text in findings(seen(compared(cube, tiny_prediction)))
    )
    cube["outlier_count"][:] = np.nan
    assert not any("leaves the bulk" in text for text in findings(seen(compared(cube, tiny_prediction))))


def test_a_prediction_lacks_what_is_not_found_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    study = sc.Study.from_toml(RELU)
    whole = sc.predict(study)
    real = predictions.finite_losses

    def no_losses(model: Any, lam: Any, n: int, alpha: float, **keywords: Any) -> Any:
        if n == 20:
            raise ConvergenceError("residual 1 after 40 steps", f"n = {n}")
        return real(model, lam, n, alpha, **keywords)

    monkeypatch.setattr(predictions, "finite_losses", no_losses)
    for name in ("conditional_spectra", "conditional_edge"):
        monkeypatch.setattr(predictions, name, _failing(getattr(predictions, name)))
    found = sc.predict(study)
    assert found.train_loss.sel(n=20).isnull().all()
    assert "lam = 1: residual 1 after 40 steps" in found.train_loss.attrs["missing_reason"]
    assert found.bulk_edge.sel(alpha=0.5).isnull().all(), "the edge of F_0 must not stand in for that of F"
    assert "theory gave no" in found.attrs["declined"]
    for name in ("train_loss_spiked", "test_loss_limit", "train_loss_init"):
        xr.testing.assert_equal(found[name], whole[name])
    np.testing.assert_array_equal(found.test_loss.sel(n=30), whole.test_loss.sel(n=30))


def test_info_and_report_print_the_same_means_and_say_which(tiny_cube: xr.Dataset) -> None:
    from spikecube.pictures import tables

    few = overview(tiny_cube)
    assert "plain means over 3 seeds at lam = 1" in few
    cube = xr.concat(
        [tiny_cube.assign_coords(seed=tiny_cube.seed + 3 * i) for i in range(3)], "seed", data_vars="minimal"
    )
    rng = np.random.default_rng(3)
    for name in ("label_power", "test_label_power", "beta_power", "test_loss", "train_loss"):
        cube[name] = cube[name] * (1 + 0.01 * rng.standard_normal(cube[name].shape))
    cube["test_loss"][{"n": -1, "alpha": 0, "seed": slice(2, None)}] = np.nan
    text, page = overview(cube), tables.mean_table(seen(compared(cube)))
    assert "means with control variates, plain where seeds are few" in text
    lines = [line.split() for line in text.splitlines()]
    assert any(line[-3:] == ["train", "test", "before"] for line in lines)
    for alpha in ("0.3", "0.4"):
        row = next(line for line in reversed(lines) if line[:2] == ["30", alpha])  # the last part has the losses
        assert row[-2] in page
    assert "means with control variates" in page


def test_a_law_that_counts_outliers_says_so(tiny_cube: xr.Dataset) -> None:
    cube = tiny_cube.copy(deep=True)
    cube["detection_edge"][-1] = np.nan
    assert (
        "Note: detection_edge and outlier_count are missing at 3 of 9 points" in fit_report(cube, "thresholds").sentence
    )
