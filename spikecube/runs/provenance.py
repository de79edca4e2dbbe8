"""Where a cube comes from: code, libraries, BLAS, commit."""

from __future__ import annotations

import ast
import functools
import hashlib
import platform
import subprocess
import threading
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import spikecube
from spikecube.cube.conventions import KEYWORDS, stamp

_PACKAGE = Path(spikecube.__file__).parent
_LIBRARIES = ("numpy", "scipy", "xarray", "dask", "distributed", "netCDF4", "pydantic")

NOT_COMPARED = ("date_created", "history")
"""Attributes that differ between two runs of the same study."""


def code_sha256() -> str:
    """Hash of the sources that decide the numbers of a cell: `model`, `cube/cell.py` and what they import of ours."""
    with _parsing:
        return _code_sha256()


_parsing = threading.Lock()  # in Python 3.11 two threads that parse at once can raise SystemError


@functools.cache
def _code_sha256() -> str:
    digest = hashlib.sha256()
    for path in code_files():
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0")
        digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


def code_files() -> list[Path]:
    """The files behind `code_sha256`, sorted."""
    found: set[Path] = set()
    waiting = [*(_PACKAGE / "model").rglob("*.py"), _PACKAGE / "cube" / "cell.py"]
    while waiting:
        path = waiting.pop()
        if path not in found and path.is_file():
            found.add(path)
            waiting.extend(_imports(path))
    return sorted(found)


def _imports(path: Path) -> Iterable[Path]:
    """Files of this package that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            top, *parts = name.split(".")
            if top == "spikecube" and parts:
                yield _PACKAGE.joinpath(*parts).with_suffix(".py")


@functools.cache
def library_versions() -> str:
    """`python 3.12.1, numpy 2.1.0, ...`."""
    libraries = [f"{name} {metadata.version(name)}" for name in _LIBRARIES]
    return ", ".join([f"python {platform.python_version()}", *libraries])


def git_commit() -> str:
    """The commit of the sources, or an empty text where they are no git checkout."""
    if not (_PACKAGE.parent / ".git").exists():
        return ""
    command = ["git", "-C", str(_PACKAGE.parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def attributes(computed_with: Iterable[str], blas_threads: Iterable[int], entropy: int) -> dict[str, Any]:
    """The attributes of a cube that say how it was made (CF-1.11, ACDD-1.3).

    `computed_with` and `blas_threads` are what the tasks saw: number and BLAS libraries, threads of the BLAS.
    """
    attrs: dict[str, Any] = stamp("measured") | {
        "summary": "Singular values, alignments and losses of two-layer networks before and after one gradient step, "
        "measured over replicates on a grid of step exponents, sizes and ridge penalties.",
        "keywords": KEYWORDS,
        "library_versions": library_versions(),
        "computed_with": "; ".join(sorted(set(computed_with))),
        "blas_threads": max(blas_threads, default=0),
        "code_sha256": code_sha256(),
        "entropy": str(entropy),
    }
    commit = git_commit()
    return attrs | ({"git_commit": commit} if commit else {})
