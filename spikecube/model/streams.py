"""Random streams keyed by meaning; the only place that makes generators."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What a stream of random numbers is for. The numbers are part of every result: never renumber."""

    WEIGHTS = 0
    READOUT = 1
    DIRECTION = 2
    STEP_INPUTS = 3
    STEP_NOISE = 4
    RIDGE_INPUTS = 5
    RIDGE_NOISE = 6
    TEST_INPUTS = 7
    TEST_NOISE = 8


def generator(entropy: int, stream: Stream, *key: int) -> np.random.Generator:
    """The generator of one stream at the given values, say (n, seed).

    Keys are values, not positions: a new grid point changes no old number, and streams with different keys
    are independent (NumPy's SeedSequence with `spawn_key`).

    >>> a = generator(1, Stream.READOUT, 500, 0).standard_normal()
    >>> b = generator(1, Stream.READOUT, 500, 0).standard_normal()
    >>> a == b
    True
    """
    return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(entropy, spawn_key=(int(stream), *key))))
