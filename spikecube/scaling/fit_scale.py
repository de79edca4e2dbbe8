"""Curves of means on the scale on which a law is fitted to them: logarithmic where that is nearly linear, else raw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from spikecube.means.replicates import MIN_SEEDS
from spikecube.scaling.curve_fits import Curves, Table, fit_on_scale
from spikecube.scaling.kinds import NONLINEAR
from spikecube.scaling.laws import Law
from spikecube.scaling.regression import lack_of_fit
from spikecube.scaling.results import STATUS
from spikecube.scaling.samples import Sample
from spikecube.scaling.types import Array

_LOG_LIMIT = 0.2  # relative error of a mean beyond which the logarithm is no longer nearly linear
_EXPONENTS = np.linspace(-6.0, 6.0, 121)
_RESOLVED = 0.05  # means that are compatible with zero at this level have no exponent


def curves(law: Law, sample: Sample, keep: Array) -> Curves:
    """The sample on the law's scale: for a law of log y, the log of the mean without its bias of s^2/2 (delta method).

    Weights are one over the smoothed variances of the means; without errors they are all one (on a log scale that is
    a constant relative error).
    """
    mean, variance = sample.mean, None if sample.stderr is None else _variance(sample.stderr)
    y = mean
    if law.log:
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = None if variance is None else variance / mean**2
            y = np.log(mean) + (0.0 if relative is None else relative / 2)
            variance = None if relative is None else _of_log(relative, sample.dof)
    usable = keep & sample.fine & np.isfinite(y)
    if variance is None:
        weights = usable.astype(float)
    else:
        usable &= np.isfinite(variance)
        smooth = smooth_variance(sample.sizes, np.where(usable, variance, np.nan), sample.dof, sample.n_seeds)
        weights = np.where(usable & (smooth > 0), 1 / np.where(smooth > 0, smooth, 1.0), 0.0)
        variance = np.where(usable, variance, 0.0)
    return Curves(law, sample.sizes, np.where(usable, y, 0.0), weights, variance, sample.dof)


def best_power(n: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Amplitude (of either sign) and exponent of the best C n^b over a grid of b, each of shape (B,).

    For given b the best C is linear, so the grid costs one product (variable projection).
    """
    centre = np.exp(np.log(n).mean())
    basis = (n / centre) ** _EXPONENTS[:, None]
    cross, power = (weights * y) @ basis.T, weights @ (basis**2).T
    best, row = np.argmax(cross**2 / power, axis=1), np.arange(len(y))
    exponent = _EXPONENTS[best]
    return cross[row, best] / power[row, best] * centre**-exponent, exponent


def raw_scale(law: Law) -> Law:
    """The same law for y itself, exp of the law for log y, which noise around zero does not spoil.

    The amplitude must be positive: turn the data's sign first (`best_power` tells it).
    """

    def value(n: Array, theta: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.exp(law.value(n, theta))

    def start(n: Array, y: Array, weights: Array) -> Array:
        amplitude, exponent = best_power(n, y, weights)
        theta = np.zeros((1, len(y), len(law.params)))
        theta[0, :, 0] = np.log(np.maximum(np.abs(amplitude), np.finfo(float).tiny))
        theta[0, :, 1] = exponent
        if len(law.params) == 4:
            theta[..., 3] = 1.0
        return theta

    return replace(
        law,
        formula=law.formula.replace("log y = ", "y = exp(") + ")",
        value=value,
        jacobian=lambda n, theta: value(n, theta)[..., None] * law.jacobian(n, theta),
        start=start,
        kind=NONLINEAR,
        log=False,
    )


def smooth_variance(sizes: Array, variance: Array, dof: Array, count: Array | None = None) -> Array:
    """Variances read off the line log v = a + b log n fitted to the estimates; known ones (infinite dof) are kept.

    Weights made from single estimates with few degrees of freedom favour the sizes that happen to scatter little
    and spoil every interval; a line through them does not. Variances of means of `count` replicates are smooth in n
    only times their count. Shapes (B, K).

    >>> smooth_variance(np.array([1.0, 2.0, 4.0]), np.array([[1.0, 2.0, 4.0]]), np.full((1, 3), 9.0)).round(9).tolist()
    [[1.0, 2.0, 4.0]]
    """
    if count is not None:
        replicates = np.maximum(count, 1)
        return np.asarray(smooth_variance(sizes, variance * replicates, dof) / replicates)
    usable = np.isfinite(variance) & (variance > 0)
    weights = np.where(usable, np.where(np.isfinite(dof), dof, 1.0), 0.0)
    x = np.log(sizes)
    centred = x - (weights * x).sum(-1, keepdims=True) / np.maximum(weights.sum(-1, keepdims=True), 1.0)
    logs = np.log(np.where(usable, variance, 1.0))
    middle = (weights * logs).sum(-1, keepdims=True) / np.maximum(weights.sum(-1, keepdims=True), 1.0)
    power = (weights * centred**2).sum(-1, keepdims=True)
    slope = (weights * centred * logs).sum(-1, keepdims=True) / np.where(power > 0, power, 1.0)
    slope = np.where(usable.sum(-1, keepdims=True) >= 3, slope, 0.0)
    line = np.exp(middle + slope * centred)
    return np.where(np.isfinite(dof), np.where(np.isfinite(variance), line, np.nan), variance)


def _variance(stderr: Array) -> Array:
    """Squares that neither overflow nor vanish, but for errors that are zero."""
    return np.asarray(np.where(stderr > 0, np.clip(stderr, 1e-150, 1e150), stderr) ** 2)


def _of_log(relative: Array, dof: Array) -> Array:
    """Variance of log m + v/2 from v = s^2/m^2, the squared relative error of a mean m, to second order in v.

    With s^2 of d degrees of freedom E v = t + 3 t^2 and E v^2 = t^2 (1 + 2/d), t the true value, while the variance is
    t + t^2 (1 + 1/d)/2: v - c v^2 has it as its mean. Known errors (infinite d) are left as they are given.
    """
    second = np.where(np.isfinite(dof), (2.5 - 0.5 / dof) / (1 + 2 / dof), 0.0)
    return np.asarray(relative * (1 - second * relative))


@dataclass(frozen=True)
class Group:
    """Curves that are fitted on the same scale.

    Attributes
    ----------
    rows, sign : (B,), their rows in the sample, turned by `sign` to positive amplitudes.
    nothing : (B,), whether a curve is compatible with zero, so that it has no exponent.
    """

    rows: Array
    curves: Curves
    sign: Array
    nothing: Array

    def scaled(self, mean: Array, new_mean: Array) -> Array:
        """Other means of the same curves on the scale of the fit; mean (B, K), new_mean (..., B, K)."""
        if not self.curves.law.log:
            return new_mean * self.sign[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.nan_to_num(self.curves.y + np.log(new_mean / mean), neginf=0.0))


@dataclass(frozen=True)
class ScaledSample:
    """What a fit starts from: one law, a sample, the sizes that each curve uses, and the curves by scale.

    Attributes
    ----------
    keep, used : (B, K), sizes asked for, and those of them with a mean.
    groups : the curves with more sizes than parameters.
    shortage : (B,), the status of each curve should it have no fit.
    """

    law: Law
    sample: Sample
    keep: Array
    groups: tuple[Group, ...]
    shortage: Array

    @property
    def used(self) -> Array:
        return self.keep & self.sample.fine


def on_scale(law: Law, sample: Sample, keep: Array) -> ScaledSample:
    """A sample on the scale of a law: logarithmic for curves whose means are all positive and precise.

    On the raw scale noise that makes a mean negative neither biases nor stops the fit of a law of log y.
    """
    usable = keep & sample.fine
    errors, enough = has_errors(sample, usable), usable.sum(1) > len(law.params)
    if law.log:
        enough &= ~_is_nothing(sample, usable)
    as_it_is = _nearly_linear_logs(sample, usable) if law.log else enough
    found = []
    for known, raw in product((True, False), (False, True)):
        rows = np.flatnonzero(enough & (errors == known) & (as_it_is != raw))
        if not len(rows):
            continue
        part = _take(sample, rows) if known else replace(_take(sample, rows), stderr=None)
        some = curves(raw_scale(law) if raw else law, part, keep[rows])
        plain = Group(rows, some, np.ones(len(rows)), np.zeros(len(rows), dtype=bool))
        found.append(_turned(plain) if raw else plain)
    return ScaledSample(law, sample, keep, tuple(found), _shortage(law, sample, keep))


def _take(sample: Sample, rows: Array) -> Sample:
    """Some curves of a sample."""
    per_curve = ("mean", "stderr", "dof", "deviations", "n_seeds", "plain_stderr", "infinite", "scale")
    own = {name: values[rows] for name in per_curve if (values := getattr(sample, name)) is not None}
    return replace(sample, **own)


def _turned(raw: Group) -> Group:
    """Curves on the raw scale with positive amplitudes, and which of them are compatible with zero."""
    c = raw.curves
    sign = np.where(best_power(c.sizes, c.y, c.weights)[0] < 0, -1.0, 1.0)
    return Group(raw.rows, replace(c, y=c.y * sign[:, None]), sign, _is_zero(c))


def _is_zero(c: Curves) -> Array:
    """Whether the means of each curve are jointly compatible with zero: the lack-of-fit test of the law y = 0."""
    zero = np.zeros(len(c.y), dtype=bool)
    for b, used in enumerate(c.weights > 0):
        if c.variance is not None and used.any():
            weights = c.weights[b, used]
            nothing = np.zeros((len(weights), len(weights)))
            residual, variance = np.sqrt(weights) * c.y[b, used], weights * c.variance[b, used]
            _, pvalue = lack_of_fit(residual, nothing, variance, c.dof[b, used], c.trend[used])
            zero[b] = pvalue > _RESOLVED
    return zero


def _shortage(law: Law, sample: Sample, keep: Array) -> Array:
    """Why each curve has no fit, should it have none; (B,)."""
    usable = (keep & sample.fine).sum(1)
    thin = np.zeros(len(usable), dtype=bool)
    if sample.n_seeds is not None:
        few = (sample.n_seeds > 0) & (sample.n_seeds < MIN_SEEDS) & keep
        thin = few.any(1) & (few.sum(1) + usable > len(law.params))
    short = np.where(thin, STATUS["too_few_seeds"], STATUS["too_few_sizes"])
    status = np.where((usable == 0) & ~thin, STATUS["no_data"], short)
    if law.log:
        nothing = _is_nothing(sample, keep & sample.fine) & (usable > len(law.params))
        status = np.where(nothing, STATUS["not_resolved"], status)
    return status if sample.infinite is None else np.where(sample.infinite, STATUS["infinite"], status)


def has_errors(sample: Sample, usable: Array) -> Array:
    """Which curves have errors of their own that are not all zero; (B,)."""
    if sample.stderr is None:
        return np.zeros(len(sample.mean), dtype=bool)
    return np.asarray((usable & (sample.stderr > 0)).any(1))


def kind_of_errors(sample: Sample, used: Array) -> Array:
    """What is known of the errors of each curve: "none", "seeds" or "given"; (B,)."""
    known = "none" if sample.stderr is None else "given" if sample.n_seeds is None else "seeds"
    return np.where(has_errors(sample, used) | (sample.n_seeds is not None), known, "none")


def _is_nothing(sample: Sample, usable: Array) -> Array:
    """Which curves are zero, without an error, at all sizes or all but one: they have no exponent; (B,)."""
    return np.asarray(((sample.mean != 0) & usable).sum(1) < 2) & ~has_errors(sample, usable)


def _nearly_linear_logs(sample: Sample, usable: Array) -> Array:
    with np.errstate(invalid="ignore"):
        fine = sample.mean > 0
        if sample.stderr is not None:
            fine &= (sample.stderr < _LOG_LIMIT * sample.mean) | ~has_errors(sample, usable)[:, None]
    return np.asarray((fine | ~usable).all(1))


def fit_curves(scaled: ScaledSample, *, null: Array | None = None, intervals: bool = True) -> Table:
    """Fit every curve; one without enough sizes or seeds, or not resolved from zero, gets a status and no numbers.

    `null` (B, p) are the values that the p-values test, zero without it.
    """
    law, sample = scaled.law, scaled.sample
    tested = np.zeros((len(sample.mean), len(law.params))) if null is None else null
    table = Table.empty(len(sample.mean), len(law.params), len(sample.sizes))
    table.status[:] = scaled.shortage
    for group in scaled.groups:
        part = fit_on_scale(group.curves, tested[group.rows], intervals)
        part.to_data(sample.mean[group.rows], group.sign, log=group.curves.law.log)
        part.blank(group.nothing, "not_resolved")
        table.put(group.rows, part)
    table.nobs[:] = scaled.used.sum(1)
    return table
