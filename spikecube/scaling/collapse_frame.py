"""Natural units of a collapse: every number of a search is of order one, whatever the units of the data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikecube.scaling.collapse_ansatz import Ansatz
from spikecube.scaling.master_curve import Points
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
    log = np.array([_wants_logs(sample, fine, rows) for rows in _rows_of(sample, len(value))])
    return Frame(float(low + (high - low) / 2), float((high - low) / 2) or 1.0, size, value, log)


def _rows_of(sample: Sample, n_parts: int) -> list[slice]:
    """The rows of each part of a stack."""
    each = len(sample.mean) // n_parts
    return [slice(k * each, (k + 1) * each) for k in range(n_parts)]


def stacked(samples: list[Sample]) -> Sample:
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


def _wants_logs(sample: Sample, fine: Array, rows: slice) -> bool:
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


def points(
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


def only(sample: Sample, mask: Array) -> Sample:
    """The sample with the points (control, size) of a mask alone."""
    return replace(sample, mean=np.where(mask, sample.mean, np.nan))
