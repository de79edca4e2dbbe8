"""Maps over (alpha, n): one rectangle a point, sizes as rows of equal height."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from spikecube.pictures import style
from spikecube.pictures.layers import Layer
from spikecube.pictures.picture import Picture
from spikecube.pictures.views.parts import labelled
from spikecube.text import number

Ends = tuple[float, float]
CELL_TIPS = [("α", "@at_alpha"), ("n", "@at_n")]
ERROR_TIPS = [("standard error", "@stderr{0.0000}")]


def alpha_ends(cube: xr.Dataset) -> tuple[float, float]:
    """The ends of the cells along alpha."""
    borders = edges(cube["alpha"].values)
    return float(borders[0]), float(borders[-1])


def edges(values: np.ndarray) -> np.ndarray:
    """Borders halfway between values."""
    values = np.asarray(values, dtype=float)
    if len(values) == 1:
        return np.array([values[0] - 0.01, values[0] + 0.01])
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])


def grid(data: xr.Dataset, values: dict[str, xr.DataArray], *, even: bool = False) -> dict[str, np.ndarray]:
    """One rectangle for each (alpha, n) that has the first of the values, sizes as rows of equal height.

    With `even` the columns are of equal width too, the i-th alpha from i to i + 1.
    """
    borders = np.arange(data.sizes["alpha"] + 1.0) if even else edges(data["alpha"].values)
    table = {name: value.transpose("alpha", "n").values.astype(float) for name, value in values.items()}
    i, j = np.nonzero(np.isfinite(next(iter(table.values()))))
    box = {"left_alpha": borders[i], "low_row": j.astype(float), "right_alpha": borders[i + 1], "high_row": j + 1.0}
    labels = {"at_alpha": data["alpha"].values[i], "at_n": data["n"].values[j]}
    return box | {name: value[i, j] for name, value in table.items()} | labels


def map_of(layers: Sequence[Layer], data: xr.Dataset, title: str, ends: Ends | None = None) -> Picture:
    """A map over (alpha, n) with the sizes as labels of its rows; without ends its columns are even, with labels."""
    options: dict[str, Any] = {"yticks": _labels(data["n"]), "show_grid": False, "legend_position": "top"}
    options |= {} if ends else {"xticks": _labels(data["alpha"])}
    limits: dict[str, Any] = {"xlim": ends or (0, data.sizes["alpha"]), "ylim": (0, data.sizes["n"])}
    return labelled(layers, title, "alpha", "n", options=options | {"legend_cols": 2}, **limits)


def _labels(axis: xr.DataArray) -> list[tuple[float, str]]:
    return style.thin([(i + 0.5, number(label)) for i, label in enumerate(axis.values.tolist())], 10)
