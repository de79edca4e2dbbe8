"""One shard: the results of some cells as the bytes of a netCDF-3 file, named by the hash of those bytes.

netCDF-3 opens ten times faster than netCDF-4 (no HDF5 below it), which counts where a run leaves 10,000 shards.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.io import netcdf_file

from spikecube.cube import schema
from spikecube.study.fields import Model

_FORMAT = 1


@dataclass(frozen=True)
class Origin:
    """What a shard was computed under; shards of another `key` do not belong to the run."""

    key: str
    computed_with: str = ""
    blas_threads: int = 1


@dataclass(frozen=True)
class CellPart:
    """The values of one cell over some alphas and lams; `model` is the key of its model."""

    model: str
    n: int
    seed: int
    alphas: tuple[float, ...]
    lams: tuple[float, ...]
    values: dict[str, np.ndarray]

    @property
    def layout(self) -> tuple[Any, ...]:
        """Blocks of one layout fit into one shard."""
        return self.alphas, self.lams, tuple(sorted((name, np.shape(v)) for name, v in self.values.items()))


def model_key(model: Model) -> str:
    """A short hash of all fields of a model."""
    return _hash(asdict(model))[:16]


def origin_key(measure: Mapping[str, Any], entropy: int, code: str) -> str:
    """A hash of all that decides the numbers of a cell besides its model, n, seed, alphas and lams."""
    return _hash({"format": _FORMAT, "measure": dict(measure), "entropy": entropy, "code": code})


def _hash(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def shard_name(content: bytes) -> str:
    """The file name that belongs to the bytes of a shard."""
    return f"{hashlib.sha256(content).hexdigest()[:40]}.nc"


def encode(blocks: Sequence[CellPart], origin: Origin) -> bytes:
    """The bytes of a shard of blocks of one layout."""
    first = blocks[0]
    buffer = io.BytesIO()
    file: Any = netcdf_file(buffer, "w", version=2)
    file.cells = json.dumps([[b.model, b.n, b.seed] for b in blocks])
    file.key, file.computed_with, file.blas_threads = origin.key, origin.computed_with, np.int32(origin.blas_threads)
    file.createDimension("cell", len(blocks))
    for name, labels in (("alpha", first.alphas), ("lam", first.lams)):
        file.createDimension(name, len(labels))
        file.createVariable(name, "d", (name,))[:] = labels
    for name in first.values:
        variable = schema.measured(name)
        data = np.stack([np.asarray(b.values[name], dtype=variable.dtype) for b in blocks])
        for dim, size in zip(variable.cell_dims, data.shape[1:], strict=True):
            if dim not in file.dimensions:
                file.createDimension(dim, size)
        file.createVariable(name, data.dtype, ("cell", *variable.cell_dims))[:] = data
    file.flush()
    return buffer.getvalue()


def decode(content: bytes) -> tuple[Origin, list[CellPart]]:
    """Origin and blocks of a shard; a ValueError if the bytes are none."""
    try:
        file: Any
        with netcdf_file(io.BytesIO(content), "r", mmap=False) as file:
            origin = Origin(file.key.decode(), file.computed_with.decode(), int(file.blas_threads))
            arrays = {name: v[:].astype(v.data.dtype.newbyteorder("=")) for name, v in file.variables.items()}
            cells = json.loads(file.cells)
        alphas, lams = (tuple(arrays.pop(name).tolist()) for name in ("alpha", "lam"))
        blocks = [
            CellPart(str(model), int(n), int(seed), alphas, lams, {name: a[i] for name, a in arrays.items()})
            for i, (model, n, seed) in enumerate(cells)
        ]
    except Exception as error:  # the parser meets whatever bytes there are
        raise ValueError("not a shard of spikecube") from error
    return origin, blocks
