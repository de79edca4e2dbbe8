"""Natural units of a collapse: every number of a search is of order one, whatever the units of the data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikecube.scaling.master_curve import Ansatz, Points
from spikecube.scaling.samples import Sample
from spikecube.scaling.shared_draws import smooth_plane
from spikecube.scaling.types import Array

_DECADES = 1e4  # ratio of the largest to the smallest value beyond which a spline through logarithms follows better
_PRECISE = 1 / 3  # largest relative error of values whose logarithms are fitted


@dataclass(frozen=True)
class Frame:
    """x = centre + span x', n = size n', y = value y' (or value e^y' with `log`), of which the search sees x', n', y'.

    The laws keep their form, with the same nu and zeta: what the units do to u and y is another f. Only ln n has no
    unit to choose, so that `size` is 1 there.
    """

    centre: float
    span: float
    size: float
    value: float
    log: bool = False

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

    def curve_unit(self, ansatz: Ansatz, theta: Array) -> float:
        """f/f' at theta."""
        values = ansatz.named(theta)
        return self.value if ansatz.name == "log" else float(self.value * self.size ** (-values["zeta"] / values["nu"]))


def value_unit(values: Array) -> float:
    """A power of two of the order of the largest value, with the sign of values that are all negative."""
    finite = values[np.isfinite(values)]
    largest = np.abs(finite).max(initial=0.0)
    sign = -1.0 if len(finite) and (finite < 0).all() else 1.0
    return sign * float(2.0 ** np.round(np.log2(largest))) if largest > 0 else 1.0


def frame(ansatz: Ansatz, sample: Sample, control: Array, value: float) -> Frame:
    """The middle and half the range of the controls with data, and the geometric mean of such sizes."""
    fine = usable(sample)
    x, n = control[fine.any(1)], sample.sizes[fine.any(0)]
    low, high = (x.min(), x.max()) if len(x) else (0.0, 0.0)
    size = 1.0 if ansatz.name == "log" or not len(n) else float(np.exp(np.log(n).mean()))
    return Frame(float(low + (high - low) / 2), float((high - low) / 2) or 1.0, size, value, _wants_logs(sample, fine))


def usable(sample: Sample) -> Array:
    """Mask (control, size) of the values that are finite and have an error, if errors are known at all."""
    fine = np.isfinite(sample.mean)
    if sample.stderr is not None:
        fine &= np.isfinite(sample.stderr) & (np.nan_to_num(sample.stderr) > 0)
    return np.asarray(fine)


def _wants_logs(sample: Sample, fine: Array) -> bool:
    """Whether positive values with small relative errors span so many decades that no cubic spline follows them."""
    if sample.stderr is None or not fine.any():
        return False
    y, errors = sample.mean[fine], sample.stderr[fine]
    return bool(y.min() > 0 and y.max() > _DECADES * y.min() and (errors < _PRECISE * y).all())


def of_logs(sample: Sample) -> Sample:
    """The logarithms of positive means, without their bias of s^2/2 (delta method)."""
    assert sample.stderr is not None
    fine = usable(sample)
    mean = np.where(fine, sample.mean, 1.0)
    relative = np.where(fine, sample.stderr, np.nan) / mean
    deviations = None if sample.deviations is None else sample.deviations / mean[..., None]
    logs = np.where(fine, np.log(mean) + np.nan_to_num(relative) ** 2 / 2, np.nan)
    return replace(sample, mean=logs, stderr=relative, deviations=deviations)


def points(sample: Sample, control: Array, frame: Frame) -> tuple[Points, Array]:
    """All usable points in the units of the frame, and their places (control, size) in the sample.

    `sample` is on the scale of the fit: in units of `frame.value`, and in logarithms if the frame says so.
    """
    fine = usable(sample)
    weight = np.ones(sample.mean.shape)
    if sample.stderr is not None:
        weight = 1 / np.where(fine, smooth_plane(sample, fine), 1.0)
    place = np.argwhere(fine)
    row, column = place.T
    x = (control[row] - frame.centre) / frame.span
    return Points(sample.sizes[column] / frame.size, x, sample.mean[fine], weight[fine], frame.log), place


def only(sample: Sample, mask: Array) -> Sample:
    """The sample with the points (control, size) of a mask alone."""
    return replace(sample, mean=np.where(mask, sample.mean, np.nan))
