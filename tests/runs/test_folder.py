from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from spikecube.cube.assemble import CellResult, assemble
from spikecube.cube.store import StoreError, open_cube
from spikecube.runs.folder import RunFolder, run_paths
from spikecube.runs.progress import Lines
from spikecube.runs.run import Settings, run_study
from spikecube.runs.state import run_state
from tests.runs import standin

STUDY = standin.make_study()


def fill(folder: RunFolder, cells: slice = slice(None)) -> None:
    """Every chosen cell as a shard of its own."""
    with folder.opened():
        for cell in list(folder.study.cells())[cells]:
            folder.write([result(folder, cell)], "these libraries", 1)


def result(folder: RunFolder, cell: Any) -> CellResult:
    study = folder.study
    alphas, lams = study.axes.alpha, study.axes.lam
    model, entropy = study.model_at(**dict(cell.further)), study.random.entropy
    values = standin.cell(model, study.measure, n=cell.n, seed=cell.seed, alphas=alphas, lams=lams, entropy=entropy)
    return CellResult(cell, alphas, lams, values)


def refused(folder: RunFolder, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence), folder.opened():
        pass


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "x.run", STUDY)


@pytest.mark.parametrize("name", ["a/x", "a/x.run", "a/x.nc"])
def test_three_names_of_one_run(name: str) -> None:
    assert run_paths(name) == (Path("a/x.run"), Path("a/x.nc"))


def test_a_name_with_a_dot_is_kept() -> None:
    assert run_paths("x.v1.5") == (Path("x.v1.5.run"), Path("x.v1.5.nc"))


def test_shards_come_back(folder: RunFolder) -> None:
    fill(folder)
    assert set(folder.contents().points) == set(STUDY.cells())
    xr.testing.assert_identical(
        assemble(STUDY, folder.results()), assemble(STUDY, [result(folder, c) for c in STUDY.cells()])
    )


def test_a_truncated_shard_is_found_and_set_aside(folder: RunFolder) -> None:
    """Fails when the hash in the name is not compared."""
    fill(folder)
    victim = sorted(folder.shards.iterdir())[3]
    victim.write_bytes(victim.read_bytes()[:-8])
    contents = folder.contents()
    assert contents.foreign == {victim.name: "is truncated, changed, or no shard"}
    assert len(contents.points) == 11
    folder.set_aside(contents.foreign)
    assert (folder.path / "aside" / victim.name).exists()
    assert not folder.contents().foreign
    assert folder.events()[-1]["event"] == "aside"


def test_one_changed_bit_is_found(folder: RunFolder) -> None:
    """Fails when the hash in the name is not compared: the file is a good netCDF file otherwise."""
    fill(folder, slice(1))
    victim = next(folder.shards.iterdir())
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    assert not folder.contents().points


def test_foreign_files_do_not_disturb(folder: RunFolder) -> None:
    fill(folder)
    (folder.shards / "notes.txt").write_text("mine")
    (folder.shards / "link.nc").symlink_to("/nowhere")
    contents = folder.contents()
    assert set(contents.foreign) == {"notes.txt", "link.nc"}
    assert len(contents.points) == 12


@pytest.mark.parametrize("changes", [{"random": {"entropy": 5}}, {"model": {"noise": 0.25}}])
def test_a_shard_of_another_study_is_not_used(folder: RunFolder, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Fails when shards are found by n and seed alone."""
    other = RunFolder(tmp_path / "y.run", standin.make_study(**changes))
    fill(other, slice(2))
    fill(folder, slice(1))
    for shard in other.shards.iterdir():
        (folder.shards / shard.name).write_bytes(shard.read_bytes())
    contents = folder.contents()
    assert len(contents.points) == 1
    if "random" in changes:
        assert set(contents.foreign.values()) == {"was made by other code or another study"}


def test_a_second_driver_is_refused_until_the_first_ends(folder: RunFolder) -> None:
    """Fails when the folder is not locked."""
    with folder.opened():
        refused(RunFolder(folder.path, STUDY), r"another spikecube \(process \d+ on ")
        assert run_state(folder).running
    with folder.opened():
        pass
    assert not run_state(folder).running


def test_shares_work_side_by_side_but_not_beside_a_run(folder: RunFolder) -> None:
    other = RunFolder(folder.path, STUDY)
    with folder.opened(shared=True), other.opened(shared=True):
        refused(RunFolder(folder.path, STUDY), "another spikecube")


HOLDER = """
import os, signal, sys
from pathlib import Path
from spikecube.runs.folder import RunFolder
from tests.runs.standin import make_study
with RunFolder(Path(sys.argv[1]), make_study()).opened():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_of_a_killed_driver_is_free(folder: RunFolder) -> None:
    """Fails when the lock is a file that its owner must remove."""
    command = [sys.executable, "-c", HOLDER, str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refused(folder, f"process {holder.pid} on")
        holder.kill()
        holder.wait(10)
    with folder.opened():
        pass


@pytest.fixture
def group_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of a group whose members keep files writable for each other."""
    path = tmp_path / "group"
    path.mkdir()
    path.chmod(0o2775)
    before = os.umask(0o002)
    yield path
    os.umask(before)


def test_a_group_can_share_a_run(group_folder: Path, threads: Any) -> None:
    """Fails when the mode of any file is narrower than umask asks."""
    run_study(STUDY, group_folder / "x", threads, kernel=standin.kernel(standin.raising_at_seed_1))
    (group_folder / "x.run" / "shards" / "strange").touch()
    run_study(STUDY, group_folder / "x", threads, kernel=standin.kernel())
    modes = {path.relative_to(group_folder).name: path.stat().st_mode for path in group_folder.rglob("*")}
    assert {"lock", "study.toml", "manifest.json", "events.jsonl", "aside", "x.nc"} <= set(modes)
    for name, mode in modes.items():
        assert stat.S_IMODE(mode) == (0o2775 if stat.S_ISDIR(mode) else 0o664), name


def test_a_private_umask_is_kept_too(folder: RunFolder) -> None:
    before = os.umask(0o077)
    try:
        fill(folder, slice(1))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o077 for path in folder.path.rglob("*")} == {0}


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_used_with_one_warning(
    folder: RunFolder, threads: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Two drivers at once are both let in, and what another one is just writing stays."""
    monkeypatch.setattr(fcntl, "flock", failing(number))
    folder.shards.mkdir(parents=True)
    temporary = folder.shards / ".abc.nc.123.tmp"
    temporary.touch()
    said = io.StringIO()
    with folder.opened(), RunFolder(folder.path, STUDY).opened(shared=True):
        run_study(STUDY, folder.path, threads, Settings(progress=Lines(said)), standin.kernel())
    assert said.getvalue().count("has no locks: see to it that no other run works there") == 1
    xr.testing.assert_equal(open_cube(folder.path.with_suffix(".nc")), standin.make_cube())
    assert temporary.exists()
    assert not run_state(folder).running


def failing(number: int) -> Any:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_other_errors_of_the_lock_are_told(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(errno.EIO))
    refused(folder, r"lock cannot be written: Input/output error")


@pytest.mark.parametrize(("number", "kept"), [(errno.EINVAL, True), (errno.ENOSYS, True), (errno.EIO, False)])
def test_a_file_system_without_fsync_is_used_but_a_failed_one_is_told(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, number: int, kept: bool
) -> None:
    monkeypatch.setattr(os, "fsync", failing(number))
    if kept:
        fill(folder, slice(1))
        assert len(folder.contents().points) == 1
    else:
        refused(folder, "cannot be written: Input/output error")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("n" * 240, "cannot be written: File name too long"), ("taken", "is a folder: give the name of a file")],
)
def test_a_cube_that_could_not_be_written_is_told_before_anything_is_computed(
    tmp_path: Path, threads: Any, name: str, sentence: str
) -> None:
    (tmp_path / "taken.nc").mkdir()
    noting = standin.Noting(tmp_path / "calls")
    with pytest.raises(StoreError, match=sentence):
        run_study(STUDY, tmp_path / name, threads, kernel=standin.kernel(noting))
    assert not noting.take()
    run_study(STUDY, tmp_path / ("n" * 200), threads, kernel=standin.kernel(noting))
    assert len(noting.take()) == 12


def test_a_torn_event_is_left_out(folder: RunFolder) -> None:
    with folder.opened():
        folder.log("one", n=1)
        with (folder.path / "events.jsonl").open("a") as file:
            file.write('{"event": "tor')
    assert [event["event"] for event in folder.events()] == ["one"]


def test_a_foreign_manifest_is_refused(folder: RunFolder) -> None:
    with folder.opened():
        pass
    for text in ("{", "[]", '{"format": 1}'):
        (folder.path / "manifest.json").write_text(text)
        refused(folder, "not written by spikecube")


def test_the_manifest_says_what_all_shards_share(folder: RunFolder) -> None:
    with folder.opened():
        pass
    manifest = json.loads((folder.path / "manifest.json").read_text())
    assert manifest["measure"]["rank"] == 3
    assert manifest["further"] == ["activation"]
    assert (folder.path / "study.toml").read_text() == STUDY.to_toml()


@pytest.mark.parametrize("place", ["file/x.run", "/proc/x.run"])
def test_a_place_that_cannot_be_written_gives_a_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    refused(RunFolder(tmp_path / place, STUDY), r"cannot be written|is not writable")


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no run"):
        RunFolder.existing(tmp_path / "x.run")
    (tmp_path / "x.run").mkdir()
    (tmp_path / "x.run" / "study.toml").write_text("n = ")
    with pytest.raises(StoreError, match="is not a study"):
        RunFolder.existing(tmp_path / "x.run")


def test_state_of_a_run(folder: RunFolder) -> None:
    fill(folder, slice(7))
    with folder.opened():
        cell = list(STUDY.cells())[8]
        folder.log("failed", n=cell.n, seed=cell.seed, further=dict(cell.further), error="ValueError: no")
    state = run_state(RunFolder.existing(folder.path))
    assert (state.cells, state.complete, state.failed, state.pending) == (12, 7, 1, 4)
    assert json.loads(json.dumps(state.as_dict()))["by_n"]["20"]["complete"] == 4
    text = str(state)
    assert f"failed: n = {cell.n}, seed = {cell.seed}, activation = relu: ValueError: no" in text


def test_a_cell_in_parts_is_complete_with_all_of_them(folder: RunFolder) -> None:
    cell = next(STUDY.cells())
    whole = result(folder, cell)
    alphas = STUDY.axes.alpha
    parts = [CellResult(cell, (a,), whole.lams, _at(whole, i)) for i, a in enumerate(alphas)]
    with folder.opened():
        folder.write(parts[:2], "x", 1)
        assert run_state(folder).complete == 0
        folder.write(parts[2:], "x", 1)
    assert run_state(folder).complete == 1


def _at(whole: CellResult, i: int) -> dict[str, Any]:
    from spikecube.cube.schema import measured

    return {k: v[i : i + 1] if "alpha" in measured(k).dims else v for k, v in whole.values.items()}
