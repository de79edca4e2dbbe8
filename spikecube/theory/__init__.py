"""Limits and finite-n predictions in NumPy and SciPy only: the bulk, losses, outliers, exponents."""

from spikecube.theory.bulk import bulk_atom, bulk_density, bulk_edge, detection_edge

__all__ = ["bulk_atom", "bulk_density", "bulk_edge", "detection_edge"]
