"""Where the app has its cube from: memory, a file, or something that still grows."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import xarray as xr

from spikecube.cube.cuts import as_cube, refuse_prediction
from spikecube.cube.store import open_cube
from spikecube.errors import SpikecubeError
from spikecube.pictures.elsewhere import Elsewhere


@runtime_checkable
class Source(Protocol):
    """A cube that may change; `live` tells whether it is worth asking again, `name` is its file, if it has one."""

    live: bool
    name: str

    def cube(self) -> xr.Dataset:
        """The cube as it is now."""
        ...

    def version(self) -> object:
        """A value that changes when the cube does."""
        ...


class Fixed:
    """A cube that does not change."""

    live = False

    def __init__(self, cube: xr.Dataset, name: str = "") -> None:
        self._cube, self.name = cube, name

    def cube(self) -> xr.Dataset:
        """The cube."""
        return self._cube

    def version(self) -> object:
        """Always the same."""
        return 0


class Growing:
    """A cube that is read again when other files stand in a folder than before.

    Parameters
    ----------
    read : gives the cube as it is now; a function of a module, or a partial one, can be called in another process.
    folder : what grows; its files are never changed once written.
    name : the file that it will be.
    """

    live = True

    def __init__(self, read: Callable[[], xr.Dataset], folder: Path, name: str = "") -> None:
        self.cube, self._folder, self.name = read, folder, name

    def version(self) -> object:
        """The names of the files."""
        known = self._folder.is_dir()
        return frozenset(e.name for e in os.scandir(self._folder) if not e.name.startswith(".")) if known else 0


class Ahead:
    """A source read again beside the page, in another process: what it gives is what was read last.

    Parameters
    ----------
    source : one that grows; its `cube` is a function of a module, or a partial one.
    call : calls a function, by default in one process that stays.
    """

    live = True

    def __init__(self, source: Source, call: Callable[..., xr.Dataset] | None = None) -> None:
        self._source, self.name, self._call = source, source.name, call or Elsewhere()
        self._last: tuple[object, xr.Dataset] | None = None
        self._reading = threading.Lock()
        self._look()

    @property
    def ready(self) -> bool:
        """Whether it was read once."""
        self._look()
        return self._last is not None

    def cube(self) -> xr.Dataset:
        """What was read last; the first reading is waited for."""
        if self._last is None:
            self._read()
        assert self._last is not None
        return self._last[1]

    def version(self) -> object:
        """That of what was read last; what is newer is being read from now on."""
        self._look()
        return None if self._last is None else self._last[0]

    def _look(self) -> None:
        """Begins to read what is newer than the last reading, unless one is under way."""
        if not self._reading.locked() and (self._last is None or self._source.version() != self._last[0]):
            threading.Thread(target=self._try, daemon=True).start()

    def _try(self) -> None:
        """A reading that fails, as where its process is ended, leaves the last one: the next look tries again."""
        with contextlib.suppress(SpikecubeError, OSError):
            self._read()

    def _read(self) -> None:
        with self._reading:
            version = self._source.version()
            if self._last is None or version != self._last[0]:
                self._last = version, self._call(self._source.cube)


class Awaited:
    """A source that is not there yet.

    Parameters
    ----------
    find : gives it once it is there, else None.
    title, sentence : what a page says meanwhile.
    """

    def __init__(self, find: Callable[[], Source | None], title: str, sentence: str) -> None:
        self._find, self.title, self.sentence = find, title, sentence
        self._found: Source | None = None

    def source(self) -> Source | None:
        """The source, once it is there."""
        if self._found is None:
            self._found = self._find()
        return self._found


def source_of(cube: xr.Dataset | str | Path | Source) -> Source:
    """The source for a cube or its file; a source is its own.

    Raises
    ------
    StoreError
        If there is no such file, or the cube has no alpha or n.
    """
    if not isinstance(cube, xr.Dataset | str | Path):
        return cube
    opened = open_cube(cube) if isinstance(cube, str | Path) else cube
    refuse_prediction(opened)
    return Fixed(as_cube(opened, "alpha", "n"), str(cube) if isinstance(cube, str | Path) else "")
