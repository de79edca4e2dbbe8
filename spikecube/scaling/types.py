"""Arrays of the fits: floats, and the masks and indices that select among them."""

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
Arrays = dict[str, tuple[tuple[str, ...], Array]]


def over(tail: tuple[str, ...], **values: Any) -> Arrays:
    """Values by name, all with the same inner dims."""
    return {name: (tail, value) for name, value in values.items()}
