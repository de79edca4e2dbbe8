"""Finite-size scaling fits on statsmodels."""
