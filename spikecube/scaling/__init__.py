"""Finite-size scaling: laws in n fitted to cubes or to any labelled data, with intervals and tests that hold."""

from spikecube.scaling.power_law import fit_power_law

__all__ = ["fit_power_law"]
