from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from spikecube.runs.shards import CellPart, Origin, decode, encode, shard_name
from spikecube.study.study import Model
from tests.runs import standin

ORIGIN = Origin("key", "numpy 2, openblas 0.3", 1)


def _blocks(count: int = 3) -> list[CellPart]:
    study = standin.make_study()
    alphas, lams = (0.1, 1 / 3), (0.1,)
    blocks = []
    for seed in range(count):
        values = standin.cell(Model(), study.measure, n=30, seed=seed, alphas=alphas, lams=lams, entropy=1)
        blocks.append(CellPart("model", 30, 2**40 + seed, alphas, lams, values))
    return blocks


def test_blocks_survive_bit_for_bit() -> None:
    blocks = _blocks()
    blocks[1].values["train_loss"][0] = np.nan
    blocks[2].values["train_loss"][0] = -np.inf
    origin, back = decode(encode(blocks, ORIGIN))
    assert origin == ORIGIN
    for old, new in zip(blocks, back, strict=True):
        assert (new.model, new.n, new.seed, new.alphas, new.lams) == (old.model, old.n, old.seed, old.alphas, old.lams)
        assert set(new.values) == set(old.values)
        for name in old.values:
            np.testing.assert_array_equal(new.values[name], old.values[name], strict=True)


def test_the_same_blocks_have_the_same_name_and_others_another() -> None:
    blocks = _blocks()
    assert shard_name(encode(blocks, ORIGIN)) == shard_name(encode(_blocks(), ORIGIN))
    blocks[0].values["train_loss"][0] += 1e-16
    assert shard_name(encode(blocks, ORIGIN)) != shard_name(encode(_blocks(), ORIGIN))


def test_a_shard_is_a_labelled_netcdf_file(tmp_path: Path) -> None:
    path = tmp_path / "shard.nc"
    path.write_bytes(encode(_blocks(), ORIGIN))
    with xr.open_dataset(path, engine="scipy") as shard:
        assert shard["test_loss_spiked"].dims == ("cell", "alpha", "lam", "ell")


@given(st.binary(max_size=200), st.integers(0, 3000), st.integers(0, 255))
@settings(deadline=None, max_examples=150)
def test_other_bytes_are_refused_and_never_raise_anything_else(content: bytes, place: int, value: int) -> None:
    with pytest.raises(ValueError, match="not a shard"):
        decode(content)
    changed = bytearray(encode(_blocks(1), ORIGIN))
    changed[place % len(changed)] = value
    with contextlib.suppress(ValueError):  # a change of a value alone is found by the name of the shard
        decode(bytes(changed))
