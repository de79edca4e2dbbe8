"""Real numbers from whatever a caller hands in: the one conversion at every documented array entry."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spikecube.errors import SpikecubeError
from spikecube.types import Array

_REAL = "biuf"  # the kinds of NumPy's types that are real numbers: truth values, integers, floats


class NumberError(SpikecubeError, ValueError):
    """An array that does not hold real numbers, in one sentence."""


def real_array(values: npt.ArrayLike, name: str, *, single: bool = False) -> Array:
    """The values as float64; with `single`, float32 stays as it is.

    Truth values, integers and floats of any width are converted; nothing else is, since NumPy would drop imaginary
    parts, read strings and count nanoseconds.

    Parameters
    ----------
    values : array, nested list or number.
    name : what the sentence of an error calls them.

    Raises
    ------
    ValueError
        If they are complex, dates, strings or objects, of ragged shape, or masked.

    Examples
    --------
    >>> real_array([1, 2], "lam").tolist(), real_array(np.ones(1, np.float32), "features", single=True).dtype.name
    ([1.0, 2.0], 'float32')
    >>> real_array([1j], "lam")
    Traceback (most recent call last):
    spikecube.numbers.NumberError: lam holds complex128; real numbers (integers, floats, truth values) are allowed
    """
    if np.ma.is_masked(values):
        raise NumberError(f"{name} is a masked array: fill the masked values or leave them out")
    try:
        array = np.asarray(values)
    except ValueError:
        raise NumberError(f"{name} is a nested list whose rows differ in length; an array is allowed") from None
    if array.dtype.kind not in _REAL:
        raise NumberError(f"{name} holds {array.dtype}; real numbers (integers, floats, truth values) are allowed")
    return array if single and array.dtype == np.float32 else array.astype(np.float64, copy=False)
