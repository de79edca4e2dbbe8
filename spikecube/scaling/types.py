"""Arrays of the fits: floats, and the masks and indices that select among them."""

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
Arrays = dict[str, tuple[tuple[str, ...], Array]]
