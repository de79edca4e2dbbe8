"""Sizes with seeds of their own number: one block, in which what the study does not ask for is absent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from spikecube.cube.assemble import asked_for
from spikecube.cube.cuts import as_cube
from spikecube.cube.merge import merge, results, study_inside
from spikecube.cube.predict import predict
from spikecube.cube.schema import STATUS, VARIABLES
from spikecube.cube.store import open_cube, write_cube
from spikecube.means.seeds import seed_means
from spikecube.runs.folder import RunFolder, run_paths
from spikecube.runs.plan import plan
from spikecube.runs.run import Settings, run_study
from spikecube.runs.state import run_state
from spikecube.runs.tasks import share
from spikecube.runs.verify import verify
from spikecube.scaling import fit_gaps, fit_limits, fit_outliers, fit_power_law
from spikecube.study.fields import Axes, StudyError
from spikecube.study.study import Study
from spikecube.words.fits import fit_report
from spikecube.words.overview import overview, points_line
from tests.cube.real import real_cube
from tests.runs import standin
from tests.runs.test_run import same

COUNTS = {20: 5, 40: 2}


def ragged(**axes: Any) -> Study:
    return standin.make_study(axes={"seed": COUNTS} | axes)


def run(study: Study, name: Path, client: Any, **settings: Any) -> xr.Dataset:
    report = run_study(study, name, client, Settings(**settings), standin.kernel())
    assert report.cube is not None
    return report.cube


def refused(**axes: Any) -> str:
    with pytest.raises(StudyError) as caught:
        ragged(**axes)
    (problem,) = caught.value.problems
    return problem


# The study


def test_each_size_has_its_own_replicates() -> None:
    study = ragged()
    assert study.axes.seed == (0, 1, 2, 3, 4)
    assert (study.axes.seeds(20), study.axes.seeds(40)) == ((0, 1, 2, 3, 4), (0, 1))
    assert len(list(study.cells())) == 2 * (5 + 2)
    assert asked_for(study).tolist() == [[True] * 5, [True, True, False, False, False]]
    assert not standin.make_study().axes.counts


@pytest.mark.parametrize("seed", [COUNTS, {"20": 5, "40": 2}, {40: np.int64(2), 20.0: 5.0}])
def test_the_table_survives_its_text(seed: Any) -> None:
    study = ragged(seed=seed)
    assert "seed = {20 = 5, 40 = 2}" in study.to_toml()
    again = Study.from_toml(study.to_toml())
    assert (again.axes.counts, again.sha256) == (COUNTS, study.sha256)
    assert again == study
    assert Study(axes=study.axes, measure=study.measure).axes.counts == COUNTS
    copied = Study.from_toml(Study(axes=study.axes, measure=study.measure).to_toml())
    assert list(copied.cells()) == list(study.cells())
    assert study.sha256 != standin.make_study(axes={"seed": 5}).sha256


@pytest.mark.parametrize(
    ("seed", "why"),
    [
        (
            {20: 5},
            "axes.seed: given { 20 = 5 } (no count for n = 40); allowed: a count for each n of the study: 20, 40",
        ),
        ({20: 5, 40: 2, 80: 1}, "axes.seed: given { 20 = 5, 40 = 2, 80 = 1 } (n = 80 is not on the axis n); allowed"),
        ({30: 5, 40: 2}, "(no count for n = 20 and n = 30 is not on the axis n)"),
        ({20: 0, 40: 2}, "(at least one seed is needed at n = 20); allowed: a count from 1 to 1000000, such counts"),
        ({20: 1.5, 40: 2}, "(1.5 is no count at n = 20)"),
        ({20: True, 40: 2}, "(true is no count at n = 20)"),
        ({20: [0, 1], 40: 2}, "([0, 1] is no count at n = 20)"),
        ({20: 10**7, 40: 2}, "(at most 1000000 seeds are possible at n = 20)"),
        ({"20": 1, 20: 2, 40: 2}, "(two counts for n = 20)"),
        ({"n20": 1}, "('n20' is not a size)"),
        ({"020": 1}, "('020' is not a size)"),
        ({}, "(no size)"),
    ],
)
def test_each_mistake_has_its_sentence(seed: Any, why: str) -> None:
    assert why in refused(seed=seed)


def test_grids_lists_and_counts_are_what_they_were() -> None:
    for seed, values in ((3, (0, 1, 2)), ([0, 7], (0, 7)), ({"start": 0, "stop": 4, "num": 3}, (0, 2, 4))):
        axes = Axes(alpha=[0.0], n=[20], seed=seed, lam=[0.1])
        assert (axes.seed, axes.seeds(20), axes.counts) == (values, values, {})


# The cube


@pytest.fixture(scope="module")
def whole() -> xr.Dataset:
    return standin.make_cube(standin.make_study(axes={"seed": 5}))


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return standin.make_cube(ragged())


def test_a_ragged_cube_is_the_whole_one_where_it_is(threads: Any, whole: xr.Dataset, tmp_path: Path) -> None:
    """Bit for bit, from a run, and missing everywhere else with a status of its own."""
    found = run(ragged(), tmp_path / "cube", threads)
    same(found, open_cube(tmp_path / "cube.nc"))
    there = xr.DataArray(asked_for(ragged()), dims=("n", "seed"))
    assert (found["status"].where(~there, STATUS["absent"]) == STATUS["absent"]).all()
    assert (found["status"].where(there, STATUS["ok"]) == STATUS["ok"]).all()
    for name in {*VARIABLES} - {"status"}:
        xr.testing.assert_identical(found[name], whole[name].where(there).astype(whole[name].dtype))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_sizes_may_be_run_one_by_one(cube: xr.Dataset, activation: str) -> None:
    """A ragged cube is what separate cubes of its sizes hold."""
    for n, count in COUNTS.items():
        alone = standin.make_cube(standin.make_study(axes={"n": [n], "seed": count, "activation": [activation]}))
        mine = cube.sel(n=[n], seed=range(count), activation=[activation])
        for name in VARIABLES:
            np.testing.assert_array_equal(mine[name].values, alone[name].values)


def test_absent_points_are_not_incomplete(cube: xr.Dataset, whole: xr.Dataset) -> None:
    assert points_line(cube) == "42 of 42 points (alpha, n, seed) ok"
    assert points_line(whole) == "60 of 60 points (alpha, n, seed) ok"
    half = cube.assign(status=cube["status"].where(cube["status"] != STATUS["ok"], STATUS["pending"]).astype(np.int8))
    assert points_line(half) == "0 of 42 points (alpha, n, seed) ok, 42 pending"
    assert "42 of 42 points" in overview(cube)
    assert "seed             5  5 at n = 20, 2 at n = 40" in overview(cube)
    assert " at n = " not in overview(whole)


def test_a_cut_ragged_cube_is_a_cube(cube: xr.Dataset) -> None:
    for cut in (cube, cube.sel(n=40), cube.isel(seed=[0, 4]), cube.isel(seed=-1)):
        again = as_cube(cut, "study", "n", "seed")
        states = set(np.unique(again["status"]).tolist())
        assert states <= {STATUS["ok"], STATUS["absent"]}
        assert len(list(results(again, study_inside(again)))) == (again["status"].isel(alpha=0) == STATUS["ok"]).sum()


def test_old_cubes_keep_the_numbers_of_their_flags() -> None:
    assert STATUS == {"pending": 0, "ok": 1, "failed": 2, "nonfinite": 3, "absent": 4}


def test_predictions_do_not_depend_on_the_seeds() -> None:
    axes = {"alpha": [0.0, 0.3], "n": [100, 200], "lam": [0.1]}
    one, other = (predict(Study(axes=axes | {"seed": seed})) for seed in ({100: 4, 200: 1}, 1))
    assert one.drop_attrs(deep=False).equals(other.drop_attrs(deep=False))


def test_verify_takes_cells_that_are_there(cube: xr.Dataset) -> None:
    verified = verify(cube, sample=100, rng=1, kernel=standin.kernel())
    assert len(verified.deviations) == 14
    assert verified.agrees


# Joined


def test_ragged_parts_make_the_ragged_whole(cube: xr.Dataset) -> None:
    parts = [ragged(n=[20], seed={20: 5}), ragged(n=[40], seed={40: 2})]
    merged = merge([standin.make_cube(part) for part in parts])
    assert study_inside(merged).axes.counts == COUNTS
    xr.testing.assert_identical(merged.drop_attrs(deep=False), cube.drop_attrs(deep=False))


def test_the_larger_count_of_each_size_wins(whole: xr.Dataset) -> None:
    merged = merge([standin.make_cube(ragged()), standin.make_cube(ragged(seed={20: 1, 40: 4}))])
    assert study_inside(merged).axes.counts == {20: 5, 40: 4}
    assert points_line(merged) == "54 of 54 points (alpha, n, seed) ok"
    there = merged["status"] == STATUS["ok"]
    assert merged["train_loss"].equals(whole["train_loss"].where(there).transpose(*merged["train_loss"].dims))


def test_seeds_that_no_count_describes_wait_for_the_others() -> None:
    """A list beside a table: points that neither cube has are pending, as in any other union."""
    merged = merge([standin.make_cube(ragged()), standin.make_cube(standin.make_study(axes={"seed": [7]}))])
    assert study_inside(merged).axes.seed == (0, 1, 2, 3, 4, 7)
    assert points_line(merged) == "54 of 72 points (alpha, n, seed) ok, 18 pending"


# Runs


def test_more_seeds_at_one_size_are_all_that_is_computed(threads: Any, tmp_path: Path) -> None:
    noting = standin.Noting(tmp_path / "calls")
    name = tmp_path / "cube"
    for seed, calls in ((2, 8), (COUNTS, 6), ({20: 5, 40: 3}, 2), ({20: 1, 40: 3}, 0), (COUNTS, 0), (5, 4)):
        report = run_study(ragged(seed=seed), name, threads, Settings(), standin.kernel(noting))
        assert len(noting.take()) == calls
        assert report.cube is not None
        same(report.cube, standin_run(ragged(seed=seed), threads, tmp_path / f"{seed}".replace(" ", "")))


def standin_run(study: Study, client: Any, name: Path) -> xr.Dataset:
    return run(study, name, client)


def test_a_finished_ragged_run_is_not_written_again(threads: Any, tmp_path: Path) -> None:
    run(ragged(), tmp_path / "cube", threads)
    again = run_study(ragged(), tmp_path / "cube", threads, Settings(), standin.kernel())
    assert (again.computed, again.written) == (0, False)


def test_status_counts_the_cells_of_each_size(threads: Any, tmp_path: Path) -> None:
    run(ragged(), tmp_path / "cube", threads)
    state = run_state(RunFolder.existing(run_paths(tmp_path / "cube")[0]))
    assert (state.cells, state.complete, state.pending) == (14, 14, 0)
    assert {n: row["complete"] for n, row in state.by_n.items()} == {20: 10, 40: 4}


def test_shares_cover_the_cells_once_and_evenly() -> None:
    study = ragged(seed={20: 64, 40: 8})
    shares = [share(study, i, 4, lambda task: float(task.cell.n**3)) for i in range(1, 5)]
    assert sum(map(len, shares)) == len(set().union(*shares)) == 2 * 72
    work = [sum(cell.n**3 for cell in cells) for cells in shares]
    assert max(work) - min(work) <= 40**3


def test_a_plan_counts_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spikecube.runs.plan._TRIAL_SECONDS", 0.0)
    monkeypatch.setattr("spikecube.runs.plan._HEADER_BYTES", 0)
    few, many, block = (
        plan(ragged(seed=seed), max_memory=2.0**30, kernel=standin.kernel())
        for seed in ({20: 1, 40: 1}, {20: 2000, 40: 1}, 2000)
    )
    assert (few.cells, many.cells, many.points) == (4, 4002, 12006)
    assert many.cube_bytes == block.cube_bytes == 2000 * few.cube_bytes
    assert block.shard_bytes == block.cube_bytes
    assert many.shard_bytes == pytest.approx(block.cube_bytes * 2001 / 4000)


def test_absent_points_take_no_room_in_the_file(tmp_path: Path) -> None:
    """Five sizes of which one has many seeds: the file is that of the one, and a little."""
    axes = {"n": [20, 25, 30, 35, 40], "activation": None}
    there = standin.make_cube(standin.make_study(axes=axes | {"n": [20], "seed": 200}))
    block = standin.make_cube(standin.make_study(axes=axes | {"seed": {20: 200, 25: 1, 30: 1, 35: 1, 40: 1}}))
    for name, data in (("there", there), ("block", block)):
        write_cube(data, tmp_path / f"{name}.nc")
    sizes = {name: os.path.getsize(tmp_path / f"{name}.nc") for name in ("there", "block")}
    assert block.nbytes > 4.5 * there.nbytes
    assert sizes["block"] < 1.2 * sizes["there"] + 20_000


# Means, fits and what is said of them


def test_the_report_of_a_fit_names_the_seeds_of_the_sizes(joined: Any) -> None:
    """Fails when the longest size speaks for all of them."""
    report = fit_report(joined[0], "limits", prediction=False)
    assert "Control variates make 5 to 32 seeds, by size, worth" in report.sentence


def _power_law(cube: xr.Dataset) -> xr.Dataset:
    return fit_power_law(cube["train_loss"].isel(lam=0, drop=True))


@pytest.fixture(scope="module")
def joined() -> tuple[xr.Dataset, xr.Dataset]:
    """A ragged cube of real cells, and the same cells computed size by size and joined by xarray."""
    counts = {40: 32, 60: 8, 80: 6, 100: 5}
    axes = {"alpha": [0.2, 0.4], "lam": [0.5]}
    whole = real_cube(axes | {"n": [*counts], "seed": counts})
    parts = [real_cube(axes | {"n": [n], "seed": count}) for n, count in counts.items()]
    apart = xr.concat(parts, "n", join="outer", combine_attrs="override", data_vars="minimal", coords="minimal")
    return whole, apart.assign_attrs(study=whole.attrs["study"])


@pytest.mark.parametrize("name", ["train_loss", "singular_value"])
def test_means_are_those_of_the_same_cells_as_separate_data(joined: Any, name: str) -> None:
    one, other = (seed_means(cube, name) for cube in joined)
    for part in ("mean", "stderr", "seeds", "controls"):
        np.testing.assert_array_equal(one[part], other[part].transpose(*one[part].dims))
    assert np.unique(one["seeds"]).tolist() == [5, 6, 8, 32]


@pytest.mark.parametrize("fit", [fit_outliers, fit_gaps, fit_limits, _power_law])
def test_fits_are_those_of_the_same_cells_as_separate_data(joined: Any, fit: Any) -> None:
    one, other = map(fit, joined)
    for name in ("estimate", "stderr", "ci_low", "ci_high", "gof_pvalue", "nobs", "status"):
        xr.testing.assert_identical(one[name].drop_attrs(), other[name].drop_attrs())
    assert fit in (fit_outliers, fit_gaps) or np.isfinite(one["estimate"]).any()  # those find nothing in so few seeds
    assert fit is not fit_limits or one["nobs"].max() == 4  # the sizes with few seeds enter too
