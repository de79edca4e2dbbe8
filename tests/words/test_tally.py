"""Intervals are counted without a warning, whatever their ends."""

from __future__ import annotations

import numpy as np

from spikecube.words.verdicts import tally


def test_ends_that_are_both_infinite_warn_of_nothing() -> None:
    """infinity - infinity is no number, and NumPy says so where it is taken."""
    counted = tally([np.inf, 0.0], [np.inf, 1.0], [0.5, 0.5], [np.nan, 0.5])
    assert (counted.compared, counted.held, counted.silent, counted.half_width) == (1, 1, 1, 0.5)
