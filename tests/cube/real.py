"""Cubes of real cells without a run, for tests that need numbers of the model."""

from __future__ import annotations

from typing import Any

import xarray as xr

from spikecube.cube.assemble import CellResult, assemble
from spikecube.cube.cell import compute_cell
from spikecube.study.study import Study


def least_toml(head: str = "", *, alpha: str = "[0.0]", n: str = "[20]") -> str:
    """The text of a study that measures as little as there is; `head` stands before its axes."""
    return (
        f"{head}\n[axes]\nalpha = {alpha}\nn = {n}\nseed = 1\nlam = [1.0]\n[measure]\nrank = 2\ndegree = 1\nell = 1\n"
    )


def real_cube(axes: dict[str, Any]) -> xr.Dataset:
    """The cube of the default model with few measures."""
    study = Study(axes=axes, measure={"rank": 3, "degree": 2, "ell": 1})
    entropy, labels = study.random.entropy, {"alphas": study.axes.alpha, "lams": study.axes.lam}
    return assemble(
        study,
        (
            CellResult(
                cell,
                study.axes.alpha,
                study.axes.lam,
                compute_cell(study.model, study.measure, n=cell.n, seed=cell.seed, entropy=entropy, **labels),
            )
            for cell in study.cells()
        ),
    )
