"""Where the app has its cube from: memory, or the folder of a run that may still be growing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import xarray as xr

from spikecube.cube.assemble import assemble
from spikecube.cube.cuts import as_cube
from spikecube.cube.store import open_cube
from spikecube.runs.folder import RunFolder, run_paths


class Source(Protocol):
    """A cube that may change; `live` tells whether it is worth asking again."""

    live: bool

    def cube(self) -> xr.Dataset:
        """The cube as it is now."""
        ...

    def version(self) -> object:
        """A value that changes when the cube does."""
        ...


class Fixed:
    """A cube that does not change."""

    live = False

    def __init__(self, cube: xr.Dataset) -> None:
        self._cube = cube

    def cube(self) -> xr.Dataset:
        """The cube."""
        return self._cube

    def version(self) -> object:
        """Always the same."""
        return 0


class Run:
    """A run folder: what its shards hold, read again when there are others."""

    live = True

    def __init__(self, folder: Path) -> None:
        self._folder = RunFolder.existing(folder)

    def cube(self) -> xr.Dataset:
        """The cube of all finished cells."""
        return assemble(self._folder.study, self._folder.results())

    def version(self) -> object:
        """The names of the shards, which are never changed once written."""
        shards = self._folder.shards
        return frozenset(e.name for e in os.scandir(shards) if not e.name.startswith(".")) if shards.is_dir() else 0


def source_of(cube: xr.Dataset | str | Path) -> Source:
    """The source for a cube, its file, or the name of a run, finished or not.

    Raises
    ------
    StoreError
        If there is no such file or run, or the cube has no alpha or n.
    """
    if isinstance(cube, xr.Dataset):
        return Fixed(as_cube(cube, "alpha", "n"))
    folder, path = run_paths(cube)
    if Path(cube).is_file():
        return Fixed(as_cube(open_cube(cube), "alpha", "n"))
    if path.is_file() and Path(cube).suffix != ".run":
        return Fixed(as_cube(open_cube(path), "alpha", "n"))
    return Run(folder)
