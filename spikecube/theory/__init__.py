"""Limits and finite-n predictions in NumPy and SciPy only."""
