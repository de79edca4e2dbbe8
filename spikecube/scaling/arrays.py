"""The array type of the fits (floats, and the masks and indices that select among them), and their error."""

from typing import Any

import numpy.typing as npt

from spikecube.errors import SpikecubeError

Array = npt.NDArray[Any]
Arrays = dict[str, tuple[tuple[str, ...], Array]]


class FitError(SpikecubeError, ValueError):
    """A fit that was asked for in a way that cannot be, in one sentence."""
