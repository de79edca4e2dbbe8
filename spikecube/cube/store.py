"""Files: whole or not at all, the netCDF file of a cube, and the attributes that every file has (CF-1.11, ACDD-1.3)."""

from __future__ import annotations

import contextlib
import datetime
import errno
import math
import os
import secrets
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube._version import __version__
from spikecube.cube import schema
from spikecube.errors import SpikecubeError, reason_of

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)  # the file system keeps what it keeps
_CHUNK_BYTES = 2**20
_PART_BYTES = 2**24  # of variables that are written together
KEYWORDS = "random matrix theory, feature learning, two-layer network, gradient step, finite-size scaling"
PREDICTIONS = "predictions, not measurements"
"""The comment of a file of predictions."""


class StoreError(SpikecubeError, RuntimeError):
    """A file or folder that cannot be used, in one sentence."""


def cannot_write(path: Path, error: OSError) -> StoreError:
    """The sentence for a failed write."""
    if error.errno in _FULL:
        return StoreError(f"the disk that holds {path} is full: free some space and run the same command again")
    reason = error.strerror or str(error)
    if error.errno in _CLOSED:
        return StoreError(f"{path} is not writable ({reason}): choose another place with -o")
    return StoreError(f"{path} cannot be written: {reason}")


def refuse_target(path: Path) -> None:
    """Sees, before any work, that a file can be written at `path`; a StoreError says why not."""
    real = _real(path)
    if not path.name or path.name == ".." or real.is_dir():
        raise StoreError(f"{path} is a folder: give the name of a file with -o")
    if not real.parent.is_dir():
        raise StoreError(f"the folder {real.parent} of {path} is not there: make it, or choose another place with -o")
    temporary = _temporary(real)
    try:
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        raise cannot_write(path, error) from error


def _real(path: Path) -> Path:
    """Where a file is written: what a symbolic link points to, so that the link stays."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write` with a temporary name beside `path`, syncs it, renames it and syncs the folder.

    A symbolic link stays, and the file that it points to is replaced.

    Whatever kills the process, `path` is what it was before or all that `write` wrote.
    """
    path = _real(path)
    temporary = _temporary(path)
    try:
        write(temporary)
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


def sweep_temporaries(path: Path) -> None:
    """Removes what killed processes left of writing `path`, or anything in it when it is a folder."""
    path = _real(path)
    folder, pattern = (path, ".*.tmp") if path.is_dir() else (path.parent, f".{path.name}.*.tmp")
    for leftover in folder.glob(pattern):
        with contextlib.suppress(OSError):
            leftover.unlink()


def write_cube(cube: xr.Dataset, path: str | Path) -> None:
    """Writes a cube as netCDF-4 (zlib 4 with shuffle); `path` is never torn.

    Where sizes have seeds of their own number, a chunk holds one size: points that are absent take no room. Large cubes
    are written some variables at a time, since each is copied on its way to the file. A StoreError says when the disk
    is full or the place is not writable.
    """
    path = Path(path)
    numbers = [str(name) for name, v in cube.variables.items() if v.dtype.kind in "fiu" and v.ndim]
    encoding: dict[str, Any] = {name: {"zlib": True, "complevel": 4, "shuffle": True} for name in numbers}
    for name in set(numbers) & set(map(str, cube.coords)):
        encoding[name]["_FillValue"] = None
    for name, chunks in _chunks(cube).items():
        encoding[name]["chunksizes"] = chunks
    plain = cube.copy(deep=False)
    for variable in plain.variables.values():
        variable.encoding = {}  # `drop_encoding` of older xarray copies the data
    plain = without_fill_values(plain)
    parts = _parts(plain)

    def write(temporary: Path) -> None:
        try:
            with _nameable(temporary, os.O_CREAT | os.O_RDWR) as file:
                for mode, names in zip(("w", *"a" * len(parts)), parts, strict=False):
                    part = plain[names].assign_coords(plain.coords)
                    own = {name: given for name, given in encoding.items() if name in part.variables}
                    part.to_netcdf(file, mode=mode, engine="netcdf4", format="NETCDF4", encoding=own)
        except RuntimeError as error:  # netCDF hides the reason of a failed write
            raise _write_reason(temporary, cube.nbytes, error) from error

    write_atomically(path, write)


def _parts(cube: xr.Dataset) -> list[list[Hashable]]:
    """The data variables in their order, in parts of some megabytes or one variable."""
    parts: list[list[Hashable]] = [[]]
    room = _PART_BYTES
    for name, data in cube.data_vars.items():
        if parts[-1] and data.nbytes > room:
            parts.append([])
            room = _PART_BYTES
        parts[-1].append(name)
        room -= data.nbytes
    return parts


def _chunks(cube: xr.Dataset) -> dict[str, tuple[int, ...]]:
    """Shapes of chunks of one size and some of its seeds, about a megabyte each, where some points are absent."""
    if "status" not in cube or not (cube["status"] == schema.STATUS["absent"]).any():
        return {}
    found = {}
    for name, data in cube.data_vars.items():
        if {"n", "seed"} <= set(data.dims):
            shape = dict(data.sizes) | {"n": 1, "seed": 1}
            shape["seed"] = min(data.sizes["seed"], max(1, _CHUNK_BYTES // (8 * math.prod(shape.values()))))
            found[str(name)] = tuple(shape[str(d)] for d in data.dims)
    return found


def without_fill_values(data: xr.Dataset) -> xr.Dataset:
    """The dataset, its coordinates to be written without `_FillValue`: CF allows no missing value there."""
    for name in data.coords:
        data.variables[name].encoding["_FillValue"] = None
    return data


def stamp(done: str) -> dict[str, Any]:
    """The attributes that every file has: conventions, what was done when, and by which version."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {
        "Conventions": "CF-1.11, ACDD-1.3",
        "source": f"spikecube {__version__}",
        "product_version": __version__,
        "date_created": now,
        "history": f"{now}: {done} by spikecube {__version__}",
    }


def write_groups(parts: Mapping[str, xr.Dataset], path: str | Path) -> None:
    """Writes datasets as the groups of one netCDF-4 file: `xr.open_dataset(path, group=name)` reads one of them."""

    def write(temporary: Path) -> None:
        attrs = stamp("fitted") | {"title": f"scaling fits: {', '.join(parts)}", "keywords": KEYWORDS}
        attrs["summary"] = "Fits of finite-size scaling laws, one group for each law."
        with _nameable(temporary, os.O_CREAT | os.O_RDWR) as file:
            xr.Dataset(attrs=attrs).to_netcdf(file, engine="netcdf4")
            for name, part in parts.items():
                plain = without_fill_values(part.drop_encoding())
                plain.to_netcdf(file, mode="a", group=name, engine="netcdf4")

    write_atomically(Path(path), write)


@contextlib.contextmanager
def _nameable(path: Path, flags: int = os.O_RDONLY) -> Iterator[Path]:
    """The same file by a name that netCDF can encode: a locale of ASCII alone has no bytes for other letters."""
    try:
        str(path.absolute()).encode(sys.getfilesystemencoding())
    except UnicodeEncodeError:
        handle = os.open(path, flags, 0o666)
        try:
            yield Path(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)
    else:
        yield path


def _write_reason(path: Path, size: int, error: RuntimeError) -> OSError:
    space = os.statvfs(path.parent)
    if space.f_bavail * space.f_frsize < max(size, 2**16):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return OSError(errno.EIO, str(error))


def open_cube(path: str | Path) -> xr.Dataset:
    """The cube in a netCDF file, in memory: the file is closed again, and nothing in it is evaluated.

    Raises
    ------
    StoreError
        When there is no such file, or it is no cube of this package.
    """
    path = Path(path)
    if not path.is_file():
        raise StoreError(f"there is no cube {path}")
    try:
        with _nameable(path) as file:
            cube = xr.load_dataset(file, engine="netcdf4", decode_times=False)
    except Exception as error:  # a malformed file makes netCDF, HDF5 or xarray raise anything
        raise StoreError(f"{path} cannot be read as netCDF: {reason_of(error)}") from error
    problem = _cube_problem(without_fill_values(cube))
    if problem:
        raise StoreError(f"{path} is no cube of spikecube: {problem}")
    return cube


def _cube_problem(cube: xr.Dataset) -> str:
    """What keeps a dataset from being a cube, or an empty text."""
    if not isinstance(cube.attrs.get("study"), str):
        return "it has no attribute 'study'"
    for name in ("alpha", "lam"):
        if name not in cube.coords or cube[name].dims != (name,):
            return f"it has no axis {name}"
    for key, data in cube.variables.items():
        name = str(key)
        known = schema.COORDINATES.get(name) or schema.VARIABLES.get(name)
        if known and (data.dtype.kind not in "fiu" or not np.issubdtype(data.dtype, np.number)):
            return f"its {name} does not hold numbers"
    return ""
