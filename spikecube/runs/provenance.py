"""Where a cube comes from: code, libraries, BLAS, commit."""

from __future__ import annotations

import functools
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import spikecube
from spikecube.cube.store import KEYWORDS, stamp
from spikecube.runs.code import code_sha256 as code_sha256

_PACKAGE = Path(spikecube.__file__).parent
_LIBRARIES = ("numpy", "scipy", "xarray", "dask", "distributed", "netCDF4", "pydantic")

NOT_COMPARED = ("date_created", "history")
"""Attributes that differ between two runs of the same study."""


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


def provenance_attributes(computed_with: Iterable[str], blas_threads: Iterable[int], entropy: int) -> dict[str, Any]:
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
