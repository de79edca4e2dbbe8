"""Finite-size scaling: laws in n fitted to cubes or to any labelled data, with intervals and tests that hold."""

from spikecube.scaling.any_law import fit_law, fit_power_law
from spikecube.scaling.collapse import collapse
from spikecube.scaling.crossings import crossings
from spikecube.scaling.derived import derived
from spikecube.scaling.losses import fit_gaps, fit_limits
from spikecube.scaling.outliers import fit_outliers
from spikecube.scaling.thresholds import fit_thresholds

__all__ = [
    "collapse",
    "crossings",
    "derived",
    "fit_gaps",
    "fit_law",
    "fit_limits",
    "fit_outliers",
    "fit_power_law",
    "fit_thresholds",
]
