"""A collapse on its way: the data as they came, and in natural units, in which every number is of order one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from spikecube.scaling.collapse_ansatz import Ansatz
from spikecube.scaling.collapse_inputs import curves_of
from spikecube.scaling.collapse_linear import UsedPoints, enough, linearised
from spikecube.scaling.collapse_search import SearchEnd, Window
from spikecube.scaling.collapse_sharing import Sharing, read_sharing
from spikecube.scaling.errors import FitError
from spikecube.scaling.master_curve import LEAST_POINTS, Points
from spikecube.scaling.samples import Sample
from spikecube.scaling.shared_draws import smooth_plane
from spikecube.scaling.types import Array

_DECADES = 1e4  # ratio of the largest to the smallest value beyond which a spline through logarithms follows better
_PRECISE = 1 / 3  # largest relative error of values whose logarithms are fitted


@dataclass(frozen=True)
class Frame:
    """x = centre + span x', n = size n', y = value y' (or value e^y' with `log`), of which the search sees x', n', y'.

    `value` and `log` are those of each part. The laws keep their form, with the same nu and zeta: what the units do to
    u and y is another f. Only ln n has no unit to choose, so that `size` is 1 there.
    """

    centre: float
    span: float
    size: float
    value: Array
    log: Array

    def shift(self, ansatz: Ansatz) -> Array:
        """theta = shift + unit * theta'."""
        return np.array([self.centre if name == "critical" else 0.0 for name in ansatz.params])

    def unit(self, ansatz: Ansatz) -> Array:
        """Units of the parameters."""
        units = {"critical": self.span, "field": 1 / self.span}
        return np.array([units.get(name, 1.0) for name in ansatz.params])

    def inward(self, ansatz: Ansatz, held: dict[str, float]) -> dict[str, float]:
        """Parameters that are held, in the units of the search."""
        shift, unit = ansatz.named(self.shift(ansatz)), ansatz.named(self.unit(ansatz))
        return {name: (value - shift[name]) / unit[name] for name, value in held.items()}

    def scaled_unit(self, ansatz: Ansatz, theta: Array) -> float:
        """u/u' at theta."""
        return self.span if ansatz.name == "log" else float(self.span * self.size ** (1 / ansatz.named(theta)["nu"]))

    def curve_unit(self, ansatz: Ansatz, theta: Array) -> Array:
        """f/f' at theta, of each part."""
        if ansatz.name == "log":
            return self.value
        return np.asarray(self.value * self.size ** (-theta[ansatz.zetas] / ansatz.named(theta)["nu"]))


def value_unit(values: Array) -> float:
    """A power of two of the order of the largest value, with the sign of values that are all negative."""
    finite = values[np.isfinite(values)]
    largest = np.abs(finite).max(initial=0.0)
    sign = -1.0 if len(finite) and (finite < 0).all() else 1.0
    return sign * float(2.0 ** np.round(np.log2(largest))) if largest > 0 else 1.0


def frame(ansatz: Ansatz, sample: Sample, control: Array, value: Array) -> Frame:
    """The middle and half the range of the controls with data, and the geometric mean of such sizes."""
    fine = usable(sample)
    x, n = np.tile(control, len(value))[fine.any(1)], sample.sizes[fine.any(0)]
    low, high = (x.min(), x.max()) if len(x) else (0.0, 0.0)
    size = 1.0 if ansatz.name == "log" or not len(n) else float(np.exp(np.log(n).mean()))
    parts = np.split(np.arange(len(sample.mean)), len(value))
    log = np.array([_wants_logs(sample, fine, rows) for rows in parts])
    return Frame(float(low + (high - low) / 2), float((high - low) / 2) or 1.0, size, value, log)


def joined(samples: list[Sample]) -> Sample:
    """The samples of several observables, one below the other; equal seeds belong together."""

    def joined(name: str) -> Array | None:
        parts = [getattr(sample, name) for sample in samples]
        return None if any(part is None for part in parts) else np.concatenate(parts)

    own: dict[str, Any] = {name: joined(name) for name in ("mean", "stderr", "dof", "deviations", "n_seeds")}
    return replace(samples[0], shape=(len(samples), len(samples[0].mean)), plain_stderr=None, infinite=None, **own)


def usable(sample: Sample) -> Array:
    """Mask (control, size) of the values that are finite and have an error, if errors are known at all."""
    fine = np.isfinite(sample.mean)
    if sample.stderr is not None:
        fine &= np.isfinite(sample.stderr) & (np.nan_to_num(sample.stderr) > 0)
    return np.asarray(fine)


def _wants_logs(sample: Sample, fine: Array, rows: Array) -> bool:
    """Whether positive values with small relative errors span so many decades that no cubic spline follows them."""
    if sample.stderr is None or not fine[rows].any():
        return False
    y, errors = sample.mean[rows][fine[rows]], sample.stderr[rows][fine[rows]]
    return bool(y.min() > 0 and y.max() > _DECADES * y.min() and (errors < _PRECISE * y).all())


def of_logs(sample: Sample, log: Array) -> Sample:
    """The logarithms of positive means of some parts, without their bias of s^2/2 (delta method)."""
    if sample.stderr is None or not log.any():
        return sample
    chosen = np.repeat(log, len(sample.mean) // len(log))[:, None]
    fine = usable(sample) & chosen
    mean = np.where(fine, sample.mean, 1.0)
    relative = np.where(fine, sample.stderr, np.nan) / mean
    deviations = sample.deviations
    if deviations is not None:
        deviations = np.where(chosen[..., None], deviations / mean[..., None], deviations)
    logs = np.where(fine, np.log(mean) + np.nan_to_num(relative) ** 2 / 2, np.nan)
    stderr = np.where(chosen, relative, sample.stderr)
    return replace(sample, mean=np.where(chosen, logs, sample.mean), stderr=stderr, deviations=deviations)


def framed_points(
    sample: Sample, control: Array, frame: Frame, weight: Array, covariance: Array | None = None
) -> tuple[Points, Array]:
    """All usable points in the units of the frame, and their places (control, size) in the sample.

    Parameters
    ----------
    sample : on the scale of the fit, in units of `frame.value`, and in logarithms if the frame says so.
    weight : (M,), that of each part where no errors are known.
    covariance : (K, X, X), of the errors at each size.
    """
    fine, each = usable(sample), len(control)
    place = np.argwhere(fine)
    row, column = place.T
    part = row // each
    x = (control[row % each] - frame.centre) / frame.span
    weights = weight[part] if sample.stderr is None else 1 / np.where(fine, smooth_plane(sample, fine), 1.0)[fine]
    found = Points(sample.sizes[column] / frame.size, x, sample.mean[fine], weights, frame.log[part], part)
    if covariance is None:
        return found, place
    groups = [np.flatnonzero(column == k) for k in np.unique(column)]
    blocks = tuple((rows, covariance[column[rows[0]]][np.ix_(row[rows], row[rows])]) for rows in groups)
    return replace(found, blocks=blocks), place


@dataclass(frozen=True)
class Stage:
    """A collapse on its way: the data as they came, and in the units of the search.

    Attributes
    ----------
    data : of each observable; `names` are theirs, none for a single one.
    x : (X,), the values of the control; the rows of `raw` and `sample` are those of the observables, in turn.
    covariance : (K, X, X) or None, of the errors of `sample` at each size.
    weight : (M,), of the observables where no errors are known.
    places : (P, 2), control and size of each of the `framed_points` in `sample`.
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
        sample = replace(self.sample, mean=np.where(plane, self.sample.mean, np.nan))
        return sample, framed_points(sample, self.x, self.frame, self.weight, self.covariance)[0]

    def problem(self, used: Array, free: Array) -> UsedPoints:
        """The least squares of the used points."""
        sample, chosen = self._only(used)
        return UsedPoints(self.form, chosen, self.places[used], sample, free, self.sharing)

    def sharing_at(self, found: SearchEnd, free: Array) -> Stage:
        """The same with errors that points of one size share as their residuals at a minimum show."""
        plain = replace(self, sharing=None).weighing(self.weight, None)
        problem = plain.problem(found.used, free)
        linear, own = linearised(problem, found.theta), problem.points
        known = self.raw.stderr is not None
        y = own.white(own.y - linear.reduced.here.offset)
        sharing = read_sharing(linear.reduced.here.u, own.control, own.size, y, linear.fitted, known)
        n, x = np.meshgrid(
            self.raw.sizes / self.frame.size, (self.x - self.frame.centre) / self.frame.span, indexing="ij"
        )
        along = sharing.along(self.form.places(found.theta, n, x).u, x)
        errors = np.ones(along.shape) if self.sample.stderr is None else np.nan_to_num(self.sample.stderr.T, nan=1.0)
        blocks = [sharing.correlation(row) * np.outer(e, e) for row, e in zip(along, errors, strict=True)]
        return replace(self, sharing=sharing).weighing(self.weight, np.stack(blocks))

    def weighing(self, weight: Array, covariance: Array | None) -> Stage:
        """The same with other weights of the observables, or another covariance."""
        found, _ = framed_points(self.sample, self.x, self.frame, weight, covariance)
        return replace(self, weight=weight, covariance=covariance, points=found)


def task_of(
    form: Ansatz,
    data: Mapping[str, xr.DataArray],
    size: str,
    control: str,
    stderr: Mapping[str, xr.DataArray] | None,
    covariance: xr.DataArray | None = None,
    zeros: str = "refuse",
) -> Stage:
    """The task that data with dims `size`, `control` and perhaps `seed` set, for each observable by its name."""
    aligned = xr.align(*(array.sortby(control) for array in data.values()), join="outer" if len(data) > 1 else "exact")
    x = aligned[0][control].to_numpy().astype(float)
    units = np.array([value_unit(array.to_numpy().astype(float)) for array in aligned])
    known = _errors(aligned[0], size, control, covariance) if covariance is not None else None
    samples = []
    for name, array, unit in zip(data, aligned, units, strict=True):
        own = known if stderr is None else stderr[name]
        samples.append(curves_of(array, size, control, own, unit, zeros))
    raw = samples[0] if len(samples) == 1 else joined(samples)
    chosen = frame(form, raw, x, units)
    sample = of_logs(raw, chosen.log)
    blocks = None if covariance is None else _blocks(covariance, aligned[0], size, control, raw, chosen)
    weight = np.ones(len(units))
    found, places = framed_points(sample, x, chosen, weight, blocks)
    return Stage(form, aligned, size, control, x, raw, sample, chosen, blocks, weight, found, places)


def _errors(data: xr.DataArray, size: str, control: str, covariance: xr.DataArray) -> xr.DataArray:
    """The standard errors of a covariance with dims (control_i, control_j) and perhaps the size."""
    variance = np.diagonal(covariance.to_numpy(), axis1=-2, axis2=-1)
    along = [size] if size in covariance.dims else []
    coords = {control: covariance[f"{control}_i"].to_numpy(), **{name: covariance[name] for name in along}}
    dims = (*along, control)
    errors = xr.DataArray(np.sqrt(variance), dims=dims, coords=coords)
    return errors.broadcast_like(data).transpose(size, control).where(data.notnull())


def _blocks(covariance: xr.DataArray, data: xr.DataArray, size: str, control: str, raw: Sample, frame: Frame) -> Array:
    """The covariance at each size of the values that the search sees; (K, X, X)."""
    labels = data[control].to_numpy()
    matrix = covariance.sel({f"{control}_i": labels, f"{control}_j": labels})
    if size in matrix.dims:
        matrix = matrix.sel({size: raw.sizes})
    values = np.broadcast_to(matrix.to_numpy(), (len(raw.sizes), len(labels), len(labels)))
    scaled = values / frame.value[0] ** 2
    if frame.log[0]:
        mean = np.where(usable(raw), raw.mean, 1.0).T
        scaled = scaled / (mean[:, :, None] * mean[:, None, :])
    return np.asarray(scaled)
