"""The folder of a run: study, manifest, immutable shards, events, and the lock of its driver.

NAME.run/study.toml      the study as last run
NAME.run/manifest.json   what all shards share: code, model, measure, entropy
NAME.run/shards/*.nc     results, never changed once written; named by the hash of their bytes
NAME.run/aside/          files found among the shards that do not belong there
NAME.run/until.json      the target of a run that goes on in rounds
NAME.run/events*.jsonl   what happened: failures with their errors, lost workers, shards
NAME.run/lock            held by the driver; the system frees it when the driver dies
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import spikecube
from spikecube.cube.assemble import CellResult
from spikecube.cube.settings import measure_settings, setting_changes, study_settings
from spikecube.cube.store import StoreError, cannot_write, refuse_target, sweep_temporaries, write_atomically
from spikecube.runs import provenance
from spikecube.runs.shards import CellPart, Origin, decode, encode, model_key, origin_key, shard_name
from spikecube.runs.tasks import Points
from spikecube.study.fields import StudyError
from spikecube.study.study import Cell, Study


def run_paths(name: str | Path) -> tuple[Path, Path]:
    """The folder and the cube of a run: NAME.run and NAME.nc, whichever of the three forms names a file."""
    path = Path(name)
    if not path.name or path.name == "..":
        raise StoreError(f"given {str(name)!r}, a folder; allowed: the name of a run, say {Path(name) / 'results'}")
    stem = path.with_suffix("") if path.suffix in (".run", ".nc") else path
    return stem.with_name(stem.name + ".run"), stem.with_name(stem.name + ".nc")


def finished(name: str | Path) -> Path | None:
    """The cube's file that a name stands for, if it is there."""
    path = run_paths(name)[1]
    if Path(name).is_file():
        return Path(name)
    return path if path.is_file() and Path(name).suffix != ".run" else None


@dataclass
class Contents:
    """What lies among the shards: points present by cell, how the shards were made, and names that do not belong."""

    points: dict[Cell, list[Points]] = field(default_factory=dict)
    computed_with: set[str] = field(default_factory=set)
    blas_threads: set[int] = field(default_factory=set)
    foreign: dict[str, str] = field(default_factory=dict)


class FolderInUse(StoreError):
    """Another driver works in the folder."""


class RunFolder:
    """The folder of a run of one study.

    Parameters
    ----------
    path : the folder NAME.run.
    study : the study whose cells are looked for among the shards.
    writer : distinguishes the event files of several drivers that share the folder.

    Attributes
    ----------
    lockable : whether the file system has locks; known once the folder has been opened.
    """

    def __init__(self, path: Path, study: Study, writer: str = "") -> None:
        self.path, self.study, self.lockable = path, study, True
        self.shards = path / "shards"
        self._events = path / f"events{writer}.jsonl"
        self._key = origin_key(measure_settings(study), study.random.entropy, provenance.code_sha256())
        self._models = {further: model_key(model) for further, model in study.models.items()}
        self._cells = {(self._models[cell.further], cell.n, cell.seed): cell for cell in study.cells()}

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """A folder by the study that lies in it, for reading; a StoreError if there is none."""
        if not (path / "study.toml").is_file():
            raise StoreError(f"there is no run {path}")
        try:
            return cls(path, Study.from_file(path / "study.toml"))
        except StudyError as error:
            raise StoreError(f"{path}/study.toml is not a study: {error.problems[0]}") from error

    # Opening for writing

    @contextlib.contextmanager
    def opened(self, *, shared: bool = False) -> Iterator[None]:
        """Makes the folder, takes its lock, and writes study and manifest.

        Several drivers may hold it `shared`, each writing shards; else there is only one, which can write the cube.
        Where the file system has no locks it is opened without: files are whole under any number of drivers, which
        would only compute the same cells twice; what killed writers left stays, since it may be of one that lives. A
        StoreError says when another driver holds the folder, it is not writable, it holds a run with other settings, or
        the cube could not be written beside it.
        """
        try:
            self.shards.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o666)  # umask decides, as for other files
        except OSError as error:
            raise cannot_write(self.path, error) from error
        try:
            self._take(lock, shared)
            self._check_manifest()
            if not shared:
                self._make_ready()
            self._write_settings()
            yield
        finally:
            os.close(lock)

    def _make_ready(self) -> None:
        """Removes what killed writers left, and makes sure that a cube can be written."""
        cube = run_paths(self.path)[1]
        if self.lockable:
            for place in (self.path, self.shards, cube):
                sweep_temporaries(place)
        refuse_target(cube)

    def _take(self, lock: int, shared: bool) -> None:
        try:
            locked = _locked(lock, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise cannot_write(self.path / "lock", error) from error
            self.lockable, locked = False, True
        if not locked:
            owner = os.pread(lock, 200, 0).decode(errors="replace").strip()
            raise FolderInUse(f"another spikecube ({owner}) works in {self.path}: wait until it has ended")
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _settings(self) -> dict[str, Any]:
        package, code = f"spikecube {spikecube.__version__}", provenance.code_sha256()
        return {"format": 1, "package": package, "code_sha256": code, **study_settings(self.study)}

    def _check_manifest(self) -> None:
        path = self.path / "manifest.json"
        if not path.exists():
            return
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
            changes = setting_changes(old, self._settings())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"{path} was not written by spikecube: choose another name with -o") from error
        if changes:
            raise StoreError(
                f"{self.path} holds a run with other settings ({'; '.join(c.text for c in changes)}): "
                "choose another name with -o, or remove the folder"
            )

    def _write_settings(self) -> None:
        text = json.dumps(self._settings(), indent=2) + "\n"
        for name, content in (("study.toml", self.study.to_toml()), ("manifest.json", text)):
            path = self.path / name
            if not path.exists() or path.read_bytes() != content.encode():
                data = content.encode()
                write_atomically(path, lambda temporary, data=data: temporary.write_bytes(data))  # type: ignore[misc]

    def keep_goal(self, goal: Mapping[str, Any]) -> None:
        """Writes what a run in rounds goes on for, beside its study."""
        write_atomically(self.path / "until.json", lambda path: path.write_text(json.dumps(goal), encoding="utf-8"))

    def goal(self) -> dict[str, Any]:
        """What the run goes on for, as it was kept; nothing for a run without a target."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return dict(json.loads((self.path / "until.json").read_text(encoding="utf-8")))
        return {}

    # Shards

    def write(self, results: Iterable[CellResult], computed_with: str, blas_threads: int) -> None:
        """Writes results as shards, one for each layout of their arrays."""
        layouts: dict[Any, list[CellPart]] = {}
        for r in results:
            model = self._models[r.cell.further]
            block = CellPart(model, r.cell.n, r.cell.seed, r.alphas, r.lams, dict(r.values))
            layouts.setdefault(block.layout, []).append(block)
        for blocks in layouts.values():
            content = encode(blocks, Origin(self._key, computed_with, blas_threads))
            write_atomically(self.shards / shard_name(content), lambda path, data=content: path.write_bytes(data))  # type: ignore[misc]

    def contents(self) -> Contents:
        """What lies among the shards, without changing anything."""
        contents = Contents()
        for name, read in self._read():
            if isinstance(read, str):
                contents.foreign[name] = read
                continue
            origin, blocks = read
            contents.computed_with.add(origin.computed_with)
            contents.blas_threads.add(origin.blas_threads)
            for b in blocks:
                cell = self._cells.get((b.model, b.n, b.seed))
                if cell is not None:
                    contents.points.setdefault(cell, []).append((b.alphas, b.lams))
        return contents

    def results(self) -> Iterator[CellResult]:
        """The results of the cells of the study, one shard in memory at a time."""
        for _, read in self._read():
            if isinstance(read, str):
                continue
            for b in read[1]:
                cell = self._cells.get((b.model, b.n, b.seed))
                if cell is not None:
                    yield CellResult(cell, b.alphas, b.lams, b.values)

    def _read(self) -> Iterator[tuple[str, tuple[Origin, list[CellPart]] | str]]:
        """Every file among the shards by name: its content, or why it does not belong."""
        names = sorted(entry.name for entry in os.scandir(self.shards)) if self.shards.is_dir() else []
        for name in names:
            if not name.startswith("."):
                yield name, self._read_shard(name)

    def _read_shard(self, name: str) -> tuple[Origin, list[CellPart]] | str:
        try:
            content = (self.shards / name).read_bytes()
            if shard_name(content) != name:
                return "is truncated, changed, or no shard"
            origin, blocks = decode(content)
        except (OSError, ValueError) as error:
            return f"cannot be read ({error})"
        return (origin, blocks) if origin.key == self._key else "was made by other code or another study"

    def set_aside(self, foreign: Mapping[str, str]) -> None:
        """Moves files that do not belong among the shards into `aside`."""
        aside = self.path / "aside"
        for name, reason in foreign.items():
            with contextlib.suppress(FileNotFoundError):  # another driver was faster
                aside.mkdir(exist_ok=True)
                os.replace(self.shards / name, aside / name)
            self.log("aside", file=name, reason=reason)

    # Events

    def log(self, event: str, **fields: Any) -> None:
        """Appends one line to the events."""
        record = {"time": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"), "event": event}
        line = json.dumps(record | fields, default=str) + "\n"
        try:
            with self._events.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise cannot_write(self._events, error) from error

    def events(self) -> list[dict[str, Any]]:
        """Every event that can be read, in the order of time; a line torn by a kill is left out."""
        found = []
        for path in self.path.glob("events*.jsonl"):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError):
                    found.append(json.loads(line))
        return sorted((e for e in found if isinstance(e, dict)), key=lambda e: str(e.get("time")))


_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # as of a Lustre that is mounted without them


def _locked(lock: int, kind: int) -> bool:
    """Takes a lock of the system; tries for half a second, since `status` holds it for an instant."""
    for attempt in range(6):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
            return True
        time.sleep(0.1 if attempt < 5 else 0.0)
    return False
