"""Where the app has its cube from: memory, a file, or something that still grows."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import xarray as xr

from spikecube.cube.cuts import as_cube, refuse_prediction
from spikecube.cube.store import open_cube


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
    read
        Gives the cube as it is now.
    folder
        What grows; its files are never changed once written.
    name
        The file that it will be.
    """

    live = True

    def __init__(self, read: Callable[[], xr.Dataset], folder: Path, name: str = "") -> None:
        self.cube, self._folder, self.name = read, folder, name

    def version(self) -> object:
        """The names of the files."""
        known = self._folder.is_dir()
        return frozenset(e.name for e in os.scandir(self._folder) if not e.name.startswith(".")) if known else 0


class Awaited:
    """A source that is not there yet.

    Parameters
    ----------
    find
        Gives it once it is there, else None.
    title, sentence
        What a page says meanwhile.
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
