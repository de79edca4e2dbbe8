"""p-values of many tests at once."""

from __future__ import annotations

import numpy as np

from spikecube.scaling.types import Array


def holm(pvalues: Array) -> Array:
    """p-values adjusted for their number by Holm's step-down method; NaN stays NaN and is not counted.

    >>> holm(np.array([0.01, np.nan, 0.04])).tolist()
    [0.02, nan, 0.04]
    """
    adjusted = np.full(pvalues.shape, np.nan)
    order = np.argsort(pvalues)[: np.isfinite(pvalues).sum()]
    adjusted[order] = np.minimum(np.maximum.accumulate(np.arange(len(order), 0, -1) * pvalues[order]), 1.0)
    return adjusted
