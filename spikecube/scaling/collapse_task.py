"""A collapse on its way: the data as they came, and in the units of the search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from spikecube.scaling.collapse_ansatz import Ansatz
from spikecube.scaling.collapse_frame import Frame, frame, of_logs, only, points, stacked, usable, value_unit
from spikecube.scaling.collapse_inputs import curves_of
from spikecube.scaling.collapse_linear import Problem, enough, linearised
from spikecube.scaling.collapse_search import Minimum, Window
from spikecube.scaling.collapse_sharing import Sharing, read_sharing
from spikecube.scaling.errors import FitError
from spikecube.scaling.master_curve import LEAST_POINTS, Points
from spikecube.scaling.samples import Sample
from spikecube.scaling.types import Array


@dataclass(frozen=True)
class Task:
    """A collapse on its way: the data as they came, and in the units of the search.

    Attributes
    ----------
    data : of each observable; `names` are theirs, none for a single one.
    x : (X,), the values of the control; the rows of `raw` and `sample` are those of the observables, in turn.
    covariance : (K, X, X) or None, of the errors of `sample` at each size.
    weight : (M,), of the observables where no errors are known.
    places : (P, 2), control and size of each of the `points` in `sample`.
    """

    form: Ansatz
    data: tuple[xr.DataArray, ...]
    size: str
    control: str
    x: Array
    raw: Sample
    sample: Sample
    frame: Frame
    covariance: Array | None
    weight: Array
    points: Points
    places: Array
    sharing: Sharing | None = None

    @property
    def plane(self) -> tuple[int, int, int]:
        """The shape of all values: observables, controls, sizes."""
        return len(self.data), len(self.x), len(self.raw.sizes)

    def errors(self) -> str:
        """What is known of the errors."""
        return "none" if self.raw.stderr is None else "given" if self.raw.deviations is None else "seeds"

    def scaled(self, theta: Array) -> Array:
        """The scaled controls of the points, in the user's units."""
        u = self.form.places(theta, self.points.size, self.points.control).u
        return np.asarray(u * self.frame.scaled_unit(self.form, theta))

    def window(self, ends: tuple[float, float]) -> Window:
        """The points with scaled controls between two ends, both in the user's units."""

        def inside(theta: Array) -> Array:
            u = self.scaled(theta)
            mask = (ends[0] <= u) & (u <= ends[1])
            if not enough(self.points, mask):
                given = f"{ends[1]:g}" if ends[0] == -ends[1] else f"({ends[0]:g}, {ends[1]:g})"
                raise FitError(
                    f"window={given} leaves {mask.sum()} points of {len(set(self.points.size[mask]))} sizes; "
                    f"at least {LEAST_POINTS} of 3 sizes are needed"
                )
            return np.asarray(mask)

        return Window(inside, lambda mask: self._only(mask)[1])

    def _only(self, mask: Array) -> tuple[Sample, Points]:
        plane = np.zeros(self.sample.mean.shape, dtype=bool)
        plane[tuple(self.places[mask].T)] = True
        sample = only(self.sample, plane)
        return sample, points(sample, self.x, self.frame, self.weight, self.covariance)[0]

    def problem(self, used: Array, free: Array) -> Problem:
        """The least squares of the used points."""
        sample, chosen = self._only(used)
        return Problem(self.form, chosen, self.places[used], sample, free, self.sharing)

    def sharing_at(self, found: Minimum, free: Array) -> Task:
        """The same with errors that points of one size share as their residuals at a minimum show."""
        plain = replace(self, sharing=None).weighing(self.weight, None)
        problem = plain.problem(found.used, free)
        linear, own = linearised(problem, found.theta), problem.points
        known = self.raw.stderr is not None
        y = own.white(own.y - linear.at.here.offset)
        sharing = read_sharing(linear.at.here.u, own.control, own.size, y, linear.fitted, known)
        n, x = np.meshgrid(
            self.raw.sizes / self.frame.size, (self.x - self.frame.centre) / self.frame.span, indexing="ij"
        )
        along = sharing.along(self.form.places(found.theta, n, x).u, x)
        errors = np.ones(along.shape) if self.sample.stderr is None else np.nan_to_num(self.sample.stderr.T, nan=1.0)
        blocks = [sharing.correlation(row) * np.outer(e, e) for row, e in zip(along, errors, strict=True)]
        return replace(self, sharing=sharing).weighing(self.weight, np.stack(blocks))

    def weighing(self, weight: Array, covariance: Array | None) -> Task:
        """The same with other weights of the observables, or another covariance."""
        found, _ = points(self.sample, self.x, self.frame, weight, covariance)
        return replace(self, weight=weight, covariance=covariance, points=found)


def task_of(
    form: Ansatz,
    data: Mapping[str, xr.DataArray],
    size: str,
    control: str,
    stderr: Mapping[str, xr.DataArray] | None,
    covariance: xr.DataArray | None = None,
    zeros: str = "refuse",
) -> Task:
    """The task that data with dims `size`, `control` and perhaps `seed` set, for each observable by its name."""
    aligned = xr.align(*(array.sortby(control) for array in data.values()), join="outer" if len(data) > 1 else "exact")
    x = aligned[0][control].to_numpy().astype(float)
    units = np.array([value_unit(array.to_numpy().astype(float)) for array in aligned])
    known = _errors(aligned[0], size, control, covariance) if covariance is not None else None
    samples = []
    for name, array, unit in zip(data, aligned, units, strict=True):
        own = known if stderr is None else stderr[name]
        samples.append(curves_of(array, size, control, own, unit, zeros))
    raw = samples[0] if len(samples) == 1 else stacked(samples)
    chosen = frame(form, raw, x, units)
    sample = of_logs(raw, chosen.log)
    blocks = None if covariance is None else _blocks(covariance, aligned[0], size, control, raw, chosen)
    weight = np.ones(len(units))
    found, places = points(sample, x, chosen, weight, blocks)
    return Task(form, aligned, size, control, x, raw, sample, chosen, blocks, weight, found, places)


def _errors(data: xr.DataArray, size: str, control: str, covariance: xr.DataArray) -> xr.DataArray:
    """The standard errors of a covariance with dims (control_i, control_j) and perhaps the size."""
    matrix = covariance.transpose(..., f"{control}_i", f"{control}_j")
    variance = np.diagonal(matrix.to_numpy().astype(float), axis1=-2, axis2=-1)
    coords = {control: matrix[f"{control}_i"].to_numpy()} | ({size: matrix[size]} if size in matrix.dims else {})
    dims = (size, control) if size in matrix.dims else (control,)
    errors = xr.DataArray(np.sqrt(variance), dims=dims, coords=coords)
    return errors.broadcast_like(data).transpose(size, control).where(data.notnull())


def _blocks(covariance: xr.DataArray, data: xr.DataArray, size: str, control: str, raw: Sample, frame: Frame) -> Array:
    """The covariance at each size of the values that the search sees; (K, X, X)."""
    labels = data[control].to_numpy()
    matrix = covariance.sel({f"{control}_i": labels, f"{control}_j": labels})
    if size in matrix.dims:
        matrix = matrix.sel({size: raw.sizes})
    matrix = matrix.transpose(..., f"{control}_i", f"{control}_j")
    values = np.broadcast_to(matrix.to_numpy().astype(float), (len(raw.sizes), len(labels), len(labels)))
    scaled = values / frame.value[0] ** 2
    if frame.log[0]:
        mean = np.where(usable(raw), raw.mean, 1.0).T
        scaled = scaled / (mean[:, :, None] * mean[:, None, :])
    return np.asarray(scaled)
