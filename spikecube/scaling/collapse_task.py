"""A collapse on its way: the data as they came, and in the units of the search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from spikecube.scaling.collapse_frame import Frame, frame, of_logs, only, points, value_unit
from spikecube.scaling.collapse_inference import Problem
from spikecube.scaling.collapse_search import LEAST_POINTS, Window
from spikecube.scaling.errors import FitError
from spikecube.scaling.master_curve import Ansatz, Points
from spikecube.scaling.samples import Sample, from_data
from spikecube.scaling.types import Array


@dataclass(frozen=True)
class Task:
    """A collapse on its way: the data as they came, and in the units of the search."""

    form: Ansatz
    data: xr.DataArray
    size: str
    control: str
    x: Array
    raw: Sample
    sample: Sample
    frame: Frame
    points: Points
    places: Array

    def window(self, ends: tuple[float, float]) -> Window:
        """The points with scaled controls between two ends, both in the user's units."""

        def inside(theta: Array) -> Array:
            u = self.form.scaled(theta, self.points.size, self.points.control)[0]
            u = u * self.frame.scaled_unit(self.form, theta)
            mask = (ends[0] <= u) & (u <= ends[1])
            n_sizes = len(set(self.points.size[mask]))
            if mask.sum() < LEAST_POINTS or n_sizes < 3:
                given = f"{ends[1]:g}" if ends[0] == -ends[1] else f"({ends[0]:g}, {ends[1]:g})"
                raise FitError(
                    f"window={given} leaves {mask.sum()} points of {n_sizes} sizes; "
                    f"at least {LEAST_POINTS} of 3 sizes are needed"
                )
            return np.asarray(mask)

        return Window(inside, lambda mask: self._only(mask)[1])

    def _only(self, mask: Array) -> tuple[Sample, Points]:
        plane = np.zeros(self.sample.mean.shape, dtype=bool)
        plane[tuple(self.places[mask].T)] = True
        sample = only(self.sample, plane)
        return sample, points(sample, self.x, self.frame)[0]

    def problem(self, used: Array, free: Array) -> Problem:
        """The least squares of the used points."""
        sample, chosen = self._only(used)
        return Problem(self.form, chosen, self.places[used], sample, free)


def task_of(form: Ansatz, data: xr.DataArray, size: str, control: str, stderr: xr.DataArray | None) -> Task:
    """The task that data with dims `size`, `control` and perhaps `seed` set."""
    data = data.sortby(control)
    if stderr is not None and control in stderr.coords:
        stderr = stderr.sortby(control)
    x = data[control].to_numpy().astype(float)
    value = value_unit(data.to_numpy().astype(float))
    raw = from_data(data.astype(float) / value, size, None if stderr is None else stderr.astype(float) / abs(value))
    chosen = frame(form, raw, x, value)
    sample = of_logs(raw) if chosen.log else raw
    return Task(form, data, size, control, x, raw, sample, chosen, *points(sample, x, chosen))
