"""Dask, and only here: running the cells of a study."""
