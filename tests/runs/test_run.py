"""What a run gives, whatever it runs on and however often it is extended."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from spikecube.cube.store import StoreError, open_cube
from spikecube.runs import provenance
from spikecube.runs import run as run_module
from spikecube.runs.errors import RunError
from spikecube.runs.progress import Progress
from spikecube.runs.run import Settings, run_study
from spikecube.study.study import Study
from tests.runs import standin


def same(a: xr.Dataset, b: xr.Dataset) -> None:
    """Equal bit for bit, attributes too, but for the date."""
    xr.testing.assert_identical(*(x.drop_attrs(deep=False).assign_attrs(_compared(x)) for x in (a, b)))
    for name in a.variables:
        assert a[name].dtype == b[name].dtype or a[name].dtype.kind in "OU"


def _compared(cube: xr.Dataset) -> dict[str, Any]:
    return {k: v for k, v in cube.attrs.items() if k not in provenance.NOT_COMPARED}


def run(study: Study, name: Path, client: Any, compute: Any = standin.cell, **settings: Any) -> xr.Dataset:
    report = run_study(study, name, client, Settings(**settings), standin.kernel(compute))
    assert not report.failures
    assert report.cube is not None
    same(report.cube, open_cube(name.with_suffix(".nc")))
    return report.cube


@pytest.fixture(scope="module")
def expected(threads: Any, tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    return run(standin.make_study(), tmp_path_factory.mktemp("expected") / "cube", threads)


def test_every_point_has_its_own_value(expected: xr.Dataset) -> None:
    assert (expected["status"] == 1).all()
    model = standin.make_study().model_at(activation="relu")
    point = expected["test_loss_spiked"].sel(alpha=0.2, n=40, seed=2, lam=1.0, ell=2, activation="relu")
    assert point == standin.number("test_loss_spiked", repr(model), 40, 2, 20231011, 0.2, 1.0, 1)


def test_processes_give_the_same_cube(processes: Any, expected: xr.Dataset, tmp_path: Path) -> None:
    same(run(standin.make_study(), tmp_path / "cube", processes), expected)


def test_workers_keep_no_profile_and_wake_up_seldom(processes: Any) -> None:
    """By themselves a profile is taken a hundred times a second, and a pulse fifty times, which nobody sees."""
    every = processes.run(lambda dask_worker: {k: c.callback_time for k, c in dask_worker.periodic_callbacks.items()})
    for milliseconds in every.values():
        assert "profile" not in milliseconds
        assert milliseconds["tick"] >= 500


def test_one_worker_gives_the_same_cube(processes: Any, expected: xr.Dataset, tmp_path: Path) -> None:
    processes.wait_for_workers(1, timeout=60)  # those that an earlier test killed may be on their way back
    worker = next(iter(processes.scheduler_info(n_workers=-1)["workers"]))

    class OneWorker:
        """The client with all work sent to one worker."""

        def __getattr__(self, name: str) -> Any:
            return getattr(processes, name)

        def map(self, *args: Any, **kwargs: Any) -> Any:
            return processes.map(*args, workers=[worker], allow_other_workers=False, **kwargs)

    same(run(standin.make_study(), tmp_path / "cube", OneWorker()), expected)


def test_any_order_gives_the_same_cube(
    threads: Any, expected: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shuffled(tasks: Any, cost: Any) -> Any:
        return random.Random(1).sample(tasks, len(tasks))

    monkeypatch.setattr(run_module, "by_falling_cost", shuffled)
    same(run(standin.make_study(), tmp_path / "cube", threads), expected)


def test_chunks_of_alpha_give_the_same_values(threads: Any, expected: xr.Dataset, tmp_path: Path) -> None:
    cube = run(standin.make_study(chunks={"alpha": 2}), tmp_path / "cube", threads)
    xr.testing.assert_identical(cube.drop_attrs(deep=False), expected.drop_attrs(deep=False))


@pytest.mark.parametrize(
    ("axis", "part", "calls"),
    [
        ("alpha", [0.0, 0.29], 12),
        ("n", [40], 6),
        ("seed", [0, 2], 4),
        ("lam", [1.0], 12),
        ("activation", ["relu"], 6),
        ("activation", None, 6),
    ],
)
def test_an_extended_study_computes_only_what_is_new(
    threads: Any, expected: xr.Dataset, tmp_path: Path, axis: str, part: Any, calls: int
) -> None:
    noting = standin.Noting(tmp_path / "calls")
    changes: dict[str, Any] = {"axes": {axis: part}}
    if part is None:
        changes["model"] = {"activation": "tanh"}  # a field of [model] becomes an axis
    run(standin.make_study(**changes), tmp_path / "cube", threads, noting)
    noting.take()
    cube = run(standin.make_study(), tmp_path / "cube", threads, noting)
    same(cube, expected)
    made = noting.take()
    assert len(made) == calls
    if axis == "lam":
        assert all("lams=(0.1,)" in name for name in made)
    if axis == "alpha":
        assert all("alphas=(0.2,)" in name for name in made)


def test_alpha_and_lam_extended_at_once(threads: Any, expected: xr.Dataset, tmp_path: Path) -> None:
    run(standin.make_study(axes={"alpha": [0.2], "lam": [0.1]}), tmp_path / "cube", threads)
    same(run(standin.make_study(), tmp_path / "cube", threads), expected)


def test_a_smaller_study_in_the_same_folder_computes_nothing(threads: Any, tmp_path: Path) -> None:
    run(standin.make_study(), tmp_path / "cube", threads)
    noting = standin.Noting(tmp_path / "calls")
    small = standin.make_study(axes={"alpha": [0.29], "seed": [2]})
    cube = run(small, tmp_path / "cube", threads, noting)
    assert noting.take() == []
    same(cube, run(small, tmp_path / "alone", threads))


def test_nothing_is_left_to_do(threads: Any, tmp_path: Path) -> None:
    noting = standin.Noting(tmp_path / "calls")
    run(standin.make_study(), tmp_path / "cube", threads, noting)
    noting.take()
    before = (tmp_path / "cube.nc").stat().st_mtime_ns
    run(standin.make_study(), tmp_path / "cube", threads, noting)
    assert noting.take() == []
    assert (tmp_path / "cube.nc").stat().st_mtime_ns == before


def test_a_spoilt_cube_is_written_again(threads: Any, expected: xr.Dataset, tmp_path: Path) -> None:
    run(standin.make_study(), tmp_path / "cube", threads)
    (tmp_path / "cube.nc").write_bytes(b"spoilt")
    same(run(standin.make_study(), tmp_path / "cube", threads), expected)


def test_failed_cells_are_recorded_and_tried_again(threads: Any, expected: xr.Dataset, tmp_path: Path) -> None:
    study, name = standin.make_study(), tmp_path / "cube"
    report = run_study(study, name, threads, kernel=standin.kernel(standin.raising_at_seed_1))
    assert report.cube is not None
    assert len(report.failures) == 4
    assert report.computed == 8
    failed = report.cube["status"] == 2
    assert failed.sel(seed=1).all()
    assert not failed.sel(seed=[0, 2]).any()
    events = (tmp_path / "cube.run" / "events.jsonl").read_text()
    assert events.count('"error": "FloatingPointError: no convergence after 30 steps"') == 4
    noting = standin.Noting(tmp_path / "calls")
    same(run(study, name, threads, noting), expected)
    assert len(noting.take()) == 4


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"random": {"entropy": 5}}, "random.entropy was 20231011, now 5"),
        ({"model": {"noise": 0.1}}, "model.noise was 0.5, now 0.1"),
    ],
)
def test_another_study_in_the_folder_is_refused(
    threads: Any, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    run(standin.make_study(), tmp_path / "cube", threads)
    before = sorted((tmp_path / "cube.run" / "shards").iterdir())
    with pytest.raises(StoreError, match=sentence):
        run(standin.make_study(**changes), tmp_path / "cube", threads)
    assert sorted((tmp_path / "cube.run" / "shards").iterdir()) == before


def test_other_code_is_refused(threads: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(standin.make_study(), tmp_path / "cube", threads)
    monkeypatch.setattr(provenance, "code_sha256", lambda: "another")
    with pytest.raises(StoreError, match="its code was that of spikecube"):
        run(standin.make_study(), tmp_path / "cube", threads)


def test_a_worker_with_other_code_is_refused(processes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "code_sha256", lambda: "another")
    with pytest.raises(RunError, match="a worker runs other code"):
        run(standin.make_study(), tmp_path / "cube", processes)


def test_shares_fill_one_folder_and_a_run_assembles(threads: Any, expected: xr.Dataset, tmp_path: Path) -> None:
    study, name = standin.make_study(), tmp_path / "cube"
    for i in (3, 1, 2):
        report = run_study(study, name, threads, Settings(share=(i, 3)), standin.kernel())
        assert report.cube is None
        assert report.computed == 4
    assert not (tmp_path / "cube.nc").exists()
    noting = standin.Noting(tmp_path / "calls")
    same(run(study, name, threads, noting), expected)
    assert noting.take() == []


@pytest.mark.parametrize("client", ["threads", "processes"])
def test_blas_runs_on_one_thread_under_every_scheduler(
    client: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    cube = run(standin.make_study(), tmp_path / "cube", request.getfixturevalue(client), standin.telling_blas_threads)
    assert np.unique(cube["beta_power"]).tolist() == [1.0]
    assert cube.attrs["blas_threads"] == 1


def test_a_cell_that_cannot_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    def huge(*_: Any, **__: Any) -> float:
        return 2.0**50

    with pytest.raises(RunError, match=r"n = 20, seed = 0, activation = tanh needs 1024 TiB"):
        run_study(standin.make_study(), tmp_path / "cube", kernel=standin.kernel(bytes_=huge))
    assert not list(tmp_path.iterdir())


def test_moved_bins_are_refused(threads: Any, tmp_path: Path) -> None:
    """Fails when histograms over other bins are taken for the same: the bins follow from [model]."""

    def study(activation: str) -> Study:
        measure = {"rank": 3, "degree": 2, "ell": 2, "spectrum_bins": 4}
        axes = {"alpha": [0.1], "n": [20], "seed": 1, "lam": [1.0], "activation": ["tanh", "relu"]}
        return Study(model={"activation": activation}, axes=axes, measure=measure)

    run(study("relu"), tmp_path / "cube", threads)
    with pytest.raises(StoreError, match=r"measure.bins was \"0.0 to "):
        run(study("tanh"), tmp_path / "cube", threads)


def test_a_client_without_workers_is_told_of_and_waited_for(expected: xr.Dataset, tmp_path: Path) -> None:
    """The worker starts once the run says that there is none; should it not say so, after ten seconds."""
    from distributed import Client, LocalCluster

    sentences: list[str] = []

    class Starter(Progress):
        def say(self, sentence: str) -> None:
            sentences.append(sentence)
            if "no worker" in sentence:
                cluster.scale(1)

    options = {"processes": False, "threads_per_worker": 2, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=0, **options) as cluster, Client(cluster, set_as_default=False) as client:
        fallback = threading.Timer(10, cluster.scale, [1])
        fallback.start()
        same(run(standin.make_study(), tmp_path / "cube", client, progress=Starter()), expected)
        fallback.cancel()
    assert [s for s in sentences if "no worker" in s] == ["no worker is connected: waiting for one"]
