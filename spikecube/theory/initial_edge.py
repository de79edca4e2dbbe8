"""Where the bulk of F_0 ends."""

from __future__ import annotations

import math

from spikecube.model.parameters import Model
from spikecube.theory.bulk import bulk_of
from spikecube.theory.losses import chosen_degrees


def bulk_edge(model: Model, n: int | None = None, *, degrees: int | None = None) -> float:
    """sqrt(x_+), where the bulk of singular values of F_0/sqrt n ends: in the limit, or at finite n.

    Parameters
    ----------
    degrees : blocks kept at finite n; None chooses, 1 is the limit's formula with the rounded d and N of n.

    Raises
    ------
    ConvergenceError
        If no edge is found.

    Examples
    --------
    >>> from spikecube import Model
    >>> round(bulk_edge(Model(activation="relu", dim_ratio=0.5)), 6)
    1.569252
    """
    kept = 1 if n is None else degrees or chosen_degrees(model, n)
    return math.sqrt(bulk_of(model, n, kept).edge)
