"""Optimum, inference and intervals of one law for many curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from spikecube.scaling.kinds import ProfileTask
from spikecube.scaling.laws import Law
from spikecube.scaling.least_squares import Minimum, Problem
from spikecube.scaling.regression import LEVEL, aicc, weighted_least_squares
from spikecube.scaling.results import STATUS
from spikecube.scaling.types import Array

_TAILS = {
    **dict.fromkeys(("estimate", "stderr", "t_dof", "pvalue", "ci_low", "ci_high"), "p"),
    **dict.fromkeys(("leverage", "fitted", "fitted_stderr"), "k"),
    "covariance": "pp",
    "response": "pk",
}  # the further axes of arrays of a table: parameters and sizes
_SIZE = round(1 - LEVEL, 12)
_EDGE = 1e-3  # an end this close to the estimate, in half-widths, is the edge of the law's domain


@dataclass(frozen=True)
class Curves:
    """B curves on the scale on which one law is fitted.

    Attributes
    ----------
    sizes : (K,), or (K, d) for a law of d sizes.
    y : (B, K), the data or their logarithms.
    weights : (B, K), in units of 1/y^2; 0 leaves a size out.
    variance : (B, K), in units of y^2, or None where no errors are known.
    dof : (B, K), the degrees of freedom of the variances.
    """

    law: Law
    sizes: Array
    y: Array
    weights: Array
    variance: Array | None
    dof: Array

    def restrict(self, keep: Array) -> Curves:
        """Only the sizes in keep (B, K)."""
        return replace(self, weights=np.where(keep, self.weights, 0.0))

    @property
    def trend(self) -> Array:
        """The logarithm of the size (of the product of all), along which variances are smoothed; (K,)."""
        return np.asarray(np.log(self.sizes.reshape(len(self.sizes), -1)).sum(1))

    @property
    def problem(self) -> Problem:
        """The least squares of all curves."""
        return Problem(self.value, self.jacobian, self.y, self.weights)

    def minimum(self, start: Array | None = None) -> Minimum:
        """The best fit over the law's starting points, or from `start` (B, p)."""
        starts = self.law.start(self.sizes, self.y, self.weights) if start is None else start[None]
        return self.law.kind.minimum(self.sizes, self.problem, starts)

    def optimum(self, start: Array) -> Array:
        """theta (B, p) of the best fit near `start`; NaN where there is none or fewer sizes than parameters."""
        enough = (self.weights > 0).sum(1) >= len(self.law.params)
        known = enough & np.isfinite(start).all(1)
        begin = np.where(known[:, None], start, 0.0)
        try:
            fit = self.minimum(None if self.law.kind.exact else begin)
        except np.linalg.LinAlgError:  # of one curve: the others go on without it
            if len(start) == 1:
                return np.full(start.shape, np.nan)
            return np.concatenate([self.pick([b]).optimum(start[b : b + 1]) for b in range(len(start))])
        return np.where((known & fit.converged)[:, None], fit.theta, np.nan)

    def pick(self, rows: Sequence[int]) -> Curves:
        """Some of the curves."""
        index = np.asarray(rows)
        variance = None if self.variance is None else self.variance[index]
        return replace(self, y=self.y[index], weights=self.weights[index], variance=variance, dof=self.dof[index])

    def repeat(self, y: Array) -> Curves:
        """The same curves with other data y (R, B, K), as R * B curves."""
        tiles = (len(y), 1)
        return replace(
            self, y=y.reshape(-1, y.shape[-1]), weights=np.tile(self.weights, tiles), dof=np.tile(self.dof, tiles)
        )

    def value(self, theta: Array) -> Array:
        """The law at every size, (B, K)."""
        return self.law.value(self.sizes, theta)

    def jacobian(self, theta: Array) -> Array:
        """Its slopes in the parameters, (B, K, p)."""
        return self.law.jacobian(self.sizes, theta)


@dataclass(frozen=True)
class Table:
    """What was found of B curves with p parameters and K sizes; NaN and `status` say where there is no answer.

    Attributes
    ----------
    estimate, stderr, t_dof, ci_low, ci_high : (B, p), in the units of the law; `t_dof` belongs to `stderr`.
    pvalue : (B, p), of the values that `fit_curves` was given, by the statistic whose interval stands beside it.
    covariance : (B, p, p), of the estimates.
    response : (B, p, K), the derivatives of the estimates in the data.
    leverage, fitted, fitted_stderr : (B, K), the hat matrix's diagonal, the law at each size and its error.
    chi2, gof_pvalue, nobs, aicc : (B,), the test of fit, the sizes used and the corrected information criterion.
    sign : (B,), -1 where the curve was turned over to fit it.
    status : (B,), codes of `STATUS`.
    """

    estimate: Array
    stderr: Array
    t_dof: Array
    pvalue: Array
    ci_low: Array
    ci_high: Array
    covariance: Array
    response: Array
    leverage: Array
    fitted: Array
    fitted_stderr: Array
    chi2: Array
    gof_pvalue: Array
    nobs: Array
    aicc: Array
    sign: Array
    status: Array

    @classmethod
    def empty(cls, n_curves: int, n_params: int, n_sizes: int) -> Table:
        """All NaN, status no_data."""
        size = {"p": n_params, "k": n_sizes}
        blank = {
            name: np.full((n_curves, *(size[d] for d in _TAILS.get(name, ""))), np.nan)
            for name in cls.__dataclass_fields__
        }
        blank |= {"sign": np.ones(n_curves), "status": np.full(n_curves, STATUS["no_data"], dtype=np.int8)}
        return cls(**blank)

    def put(self, rows: Array, other: Table) -> None:
        """Set some curves from a smaller table."""
        for name in self.__dataclass_fields__:
            getattr(self, name)[rows] = getattr(other, name)

    def blank(self, rows: Array | int, status: str) -> None:
        """Take the answer of some curves away."""
        for name in self.__dataclass_fields__.keys() - {"nobs", "sign", "status"}:
            getattr(self, name)[rows] = np.nan
        self.status[rows] = STATUS[status]

    def to_data(self, mean: Array, sign: Array, *, log: bool) -> None:
        """Responses and fitted values in the units and with the sign of the data, from those of logarithms if `log`."""
        self.sign[:] = sign
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if log:
                self.response[:] = np.nan_to_num(self.response / mean[:, None, :])
                self.fitted[:] = np.exp(self.fitted)
                self.fitted_stderr[:] *= self.fitted
            else:
                self.response[:] *= sign[:, None, None]
                self.fitted[:] *= sign[:, None]


def fit_on_scale(c: Curves, null: Array, intervals: bool) -> Table:
    """All curves at once, or each alone if the algebra of one of them fails: that one has no answer."""
    try:
        return _solve_curves(c, null, intervals)
    except np.linalg.LinAlgError:
        table = Table.empty(len(c.y), len(c.law.params), c.y.shape[1])
        table.status[:] = STATUS["not_converged"]
        for b in range(len(c.y)) if len(c.y) > 1 else ():
            table.put(np.array([b]), fit_on_scale(c.pick([b]), null[b : b + 1], intervals))
        return table


def _solve_curves(c: Curves, null: Array, intervals: bool) -> Table:
    n_curves, n_sizes = c.y.shape
    table = Table.empty(n_curves, len(c.law.params), n_sizes)
    minimum = c.minimum()
    slopes = c.jacobian(minimum.theta)
    for b in range(n_curves):
        if minimum.converged[b] and np.isfinite(slopes[b]).all():
            _infer(table, c, minimum.theta, slopes, b)
        else:
            table.blank(b, "not_converged")
    half_width = stats.t.ppf((1 + LEVEL) / 2, table.t_dof) * table.stderr
    table.ci_low[:], table.ci_high[:] = table.estimate - half_width, table.estimate + half_width
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(table.estimate - null) / table.stderr
    table.pvalue[:] = 2 * stats.t.sf(t, table.t_dof)
    if intervals and not c.law.kind.exact:
        _profile(table, c, minimum, half_width, null)
    return table


def _infer(table: Table, c: Curves, theta: Array, slopes: Array, b: int) -> None:
    """Weighted least squares of statsmodels on the law's linearisation at its optimum."""
    used = c.weights[b] > 0
    if not _determined(np.sqrt(c.weights[b, used])[:, None] * slopes[b, used]):
        table.blank(b, "not_resolved")
        return
    response = c.y[b] - c.value(theta[b : b + 1])[0] + slopes[b] @ theta[b]
    fit = weighted_least_squares(
        slopes[b, used],
        response[used],
        c.weights[b, used],
        variance=None if c.variance is None else c.variance[b, used],
        variance_dof=c.dof[b, used],
        trend=c.trend[used],
    )
    table.estimate[b], table.stderr[b], table.t_dof[b] = theta[b], fit.stderr, fit.dof
    table.covariance[b], table.chi2[b], table.gof_pvalue[b] = fit.covariance, fit.chi2, fit.gof_pvalue
    table.response[b], table.leverage[b] = 0.0, 0.0
    table.response[b][:, used], table.leverage[b, used] = fit.influence, fit.leverage
    table.fitted[b] = c.value(theta[b : b + 1])[0]
    table.fitted_stderr[b] = np.sqrt(np.einsum("kp,pq,kq->k", slopes[b], fit.covariance, slopes[b]))
    cost = float((c.weights[b] * (c.y[b] - table.fitted[b]) ** 2)[used].sum())
    akaike = aicc(cost, int(used.sum()), theta.shape[1], known=c.variance is not None)
    table.aicc[b] = akaike + 2 * int(
        (~used).sum()
    )  # a point left out costs 2: Jay, Neil, Phys. Rev. D 103 (2021) 114502
    table.status[b] = STATUS["ok"]


def _determined(design: Array) -> bool:
    """Whether no parameter of a weighted design (K, p) can stand in for others, up to rounding."""
    size = np.linalg.norm(design, axis=0)
    return bool((size > 0).all() and np.linalg.matrix_rank(design / size) == design.shape[1])


def _profile(table: Table, c: Curves, minimum: Minimum, half_width: Array, null: Array) -> None:
    """Replace linearised ends and p-values by those of the profile, whose rise is scaled to the covariance.

    Should the profile fall again beyond an end, or rise in a gap between its branches, the interval decides.
    """
    rows = np.flatnonzero(table.status == STATUS["ok"])
    if not len(rows):
        return
    part = Curves(c.law, c.sizes, c.y[rows], c.weights[rows], None, c.dof[rows])
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse_weights = np.where(part.weights > 0, 1 / part.weights, 0.0)
        curvature = np.einsum("bpk,bk,bqk->bpq", table.response[rows], inverse_weights, table.response[rows])
        unit = table.stderr[rows] ** 2 / np.einsum("bpp->bp", curvature)
        rise = half_width[rows] ** 2 / np.einsum("bpp->bp", curvature)
    best = Minimum(minimum.theta[rows], minimum.cost[rows], minimum.converged[rows])
    asked = ProfileTask(curvature, half_width[rows], rise, null[rows])
    low, high, risen = c.law.kind.profile(c.sizes, part.problem, best, asked)
    with np.errstate(divide="ignore", invalid="ignore"):
        pvalue = 2 * stats.t.sf(np.sqrt(risen / unit), table.t_dof[rows])
    inside = (low <= null[rows]) & (null[rows] <= high)
    table.pvalue[rows] = np.where(inside, np.maximum(pvalue, _SIZE), np.minimum(pvalue, np.nextafter(_SIZE, 0)))
    table.ci_low[rows], table.ci_high[rows] = low, high
    open_ended = ~(np.isfinite(low) & np.isfinite(high)).all(1)
    table.status[rows[open_ended]] = STATUS["open_interval"]
    cut_short = np.minimum(high - best.theta, best.theta - low) < _EDGE * half_width[rows]
    for b in rows[(cut_short & (half_width[rows] > 0)).any(1)] if not c.law.kind.whole else ():
        table.blank(int(b), "not_converged")
