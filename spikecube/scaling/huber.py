"""Huber's loss on logarithms: fits that a few points far off do not move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from spikecube.scaling.curve_fits import Table
from spikecube.scaling.errors import FitError
from spikecube.scaling.laws import Law
from spikecube.scaling.least_squares import Minimum, Problem, best_of, minimise
from spikecube.scaling.profiles import profile_ends, profile_rises
from spikecube.scaling.regression import LEVEL
from spikecube.scaling.results import STATUS
from spikecube.scaling.samples import Sample
from spikecube.scaling.types import Array, Arrays, over
from spikecube.scaling.verdict import verdicts

_CORNER = 1.345  # in standard errors: 95 per cent of the efficiency of squares for Gaussian noise
_LEAST = 1e-9  # of delta: noise-free points have a scale of rounding
_CLOSE = 0.05  # to a leverage of 1, at which a point is its own fit
_ROUNDS = 3


@dataclass(frozen=True)
class Robust:
    """Huber's loss: r^2/2 for |r| <= delta, delta |r| - delta^2/2 beyond.

    Attributes
    ----------
    delta : in units of r; None is `_CORNER` standard errors, or robust scales where no errors are given.
    """

    delta: float | None = None

    def __post_init__(self) -> None:
        if self.delta is not None and not 0 < self.delta < np.inf:
            raise FitError(f"delta={self.delta!r} is not a positive number")


@dataclass(frozen=True)
class _Data:
    """log y (K,) at `sizes` (K,) with standard errors `unit` (K,), one where none are known, and a law for y."""

    law: Law
    sizes: Array
    logs: Array
    unit: Array

    def residual(self, theta: Array) -> Array:
        """(log y - log f)/unit, NaN where the law is not positive; (..., K)."""
        value = self.law.value(self.sizes, theta)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((self.logs - np.log(np.where(value > 0, value, np.nan))) / self.unit)

    def slopes(self, theta: Array) -> Array:
        """-d residual/d theta, (..., K, p)."""
        value = self.law.value(self.sizes, theta)
        return np.asarray(self.law.jacobian(self.sizes, theta) / (value * self.unit)[..., None])

    def problem(self, delta: float) -> Problem:
        """Huber's loss as a sum of squares of phi(r) = sign(r) (2 rho(r))^(1/2), whose slope is psi(r)/phi(r)."""
        aim = (self.logs / self.unit)[None]

        def value(theta: Array) -> Array:
            return aim - _phi(self.residual(theta), delta)

        def jacobian(theta: Array) -> Array:
            far = np.abs(_phi(self.residual(theta), delta))
            damped = np.divide(delta, far, out=np.ones_like(far), where=far > delta)
            return np.asarray(self.slopes(theta) * damped[..., None])

        return Problem(value, jacobian, aim, np.ones_like(aim))


def _phi(r: Array, delta: float) -> Array:
    with np.errstate(invalid="ignore"):
        far = np.abs(r) > delta
        return np.where(far, np.sign(r) * np.sqrt(np.where(far, 2 * delta * np.abs(r) - delta**2, 0.0)), r)


def _scale(r: Array, n_params: int) -> float:
    """1.4826 median |r|, times (K/(K - p))^(1/2) for the parameters that were fitted."""
    return float(stats.norm.ppf(0.75) ** -1 * np.median(np.abs(r)) * np.sqrt(len(r) / (len(r) - n_params)))


def _minimum(data: _Data, starts: Array, delta: float | None) -> tuple[Minimum, float]:
    """The best fit from starts (S, p), and its delta: given, or from the scale about two fits before it."""
    squares = best_of(starts[:, None], lambda start: minimise(data.problem(np.inf), start))
    found, begin = squares, np.concatenate([squares.theta[None], starts[:1, None]])
    for _ in range(1 if delta else _ROUNDS):
        corner = delta or max(_CORNER * _scale(data.residual(found.theta)[0], starts.shape[-1]), _LEAST)
        problem = data.problem(corner)
        found = best_of(begin, lambda start, p=problem: minimise(p, start, iterations=100))  # type: ignore[misc]
        begin = found.theta[None]
    return found, corner


def fit_robust(
    law: Law, sizes: Array, sample: Sample, used: Array, table: Table, rows: Array, null: Array, robust: Robust
) -> Arrays:
    """Fill the `rows` of a table, and say what was found: status, message, weights and delta.

    With psi = d rho/dr the covariance is the sandwich A^-1 B A^-1, A = sum psi'_k J_k J_k^T and
    B = sum (psi_k/(1 - h_k))^2 J_k J_k^T, h_k = psi'_k J_k^T A^-1 J_k the leverage (the jackknife's HC3, which few
    points need); intervals are profiles of the loss in its units.

    Raises
    ------
    ValueError
        If a value is not positive.

    References
    ----------
    Huber, Ann. Math. Stat. 35 (1964) 73; Huber and Ronchetti, Robust Statistics (2009), section 7.6; MacKinnon and
    White, J. Econometrics 29 (1985) 305.
    """
    if (sample.mean[used & sample.fine] <= 0).any():
        raise FitError("Huber's loss is one of log y, and the data hold values that are not positive")
    weight, deltas = np.full(used.shape, np.nan), np.full(len(used), np.nan)
    notes: dict[int, tuple[str, ...]] = {}
    for b in rows.tolist():
        k = used[b]
        mean, errors = sample.mean[b, k], None if sample.stderr is None else sample.stderr[b, k]
        data = _Data(law, sizes[k], np.log(mean), np.ones(len(mean)) if errors is None else errors / mean)
        starts = law.start(sizes[k], mean[None], (1 / (data.unit * mean) ** 2)[None])[:, 0]
        delta = robust.delta if robust.delta or errors is None else _CORNER
        best, deltas[b] = _minimum(data, starts, delta)
        if not best.converged[0]:
            table.status[b] = STATUS["not_converged"]
            continue
        r = data.residual(best.theta)[0]
        weight[b, k] = np.minimum(1.0, deltas[b] / np.maximum(np.abs(r), np.finfo(float).tiny))
        _infer(table, b, k, data, best, float(deltas[b]), null[b])
        notes[b] = _notes(int((weight[b, k] < 1).sum()), len(r), float(deltas[b]))
    dof = table.nobs - len(law.params)
    status, message = verdicts(table.status, np.full(len(used), np.nan), dof, np.full(len(used), "huber"), notes, {})
    arrays = over((), status=status, message=message) | over((sample.dim,), huber_weight=weight)
    return arrays | over((), huber_delta=deltas)


def _notes(far: int, count: int, delta: float) -> tuple[str, ...]:
    """How many points pull with less weight, and what that does to the intervals when they are most of them."""
    sentence = f"{far} of {count} points lie beyond delta = {delta:.2g} and pull with less weight."
    few = "The rest is too few for the sandwich: intervals are too narrow; take a larger delta."
    return (sentence, few) if far > count / 2 else (sentence,)


def _infer(table: Table, b: int, k: Array, data: _Data, best: Minimum, delta: float, null: Array) -> None:
    """Covariance, intervals and p-values of one curve."""
    theta, count = best.theta[0], len(data.logs)
    slopes, r = data.slopes(best.theta)[0], data.residual(best.theta)[0]
    near = np.abs(r) <= delta
    size = np.linalg.norm(slopes[near], axis=0)
    if near.sum() <= len(theta) or np.linalg.matrix_rank(slopes[near] / size) < len(theta):
        table.status[b] = STATUS["not_resolved"]
        return
    bread = np.linalg.inv((slopes[near] / size).T @ (slopes[near] / size)) / np.outer(size, size)
    leverage = np.einsum("kp,pq,kq->k", slopes, bread, slopes) * near
    score = slopes * (np.clip(r, -delta, delta) / np.maximum(1 - leverage, _CLOSE))[:, None]
    covariance = bread @ (score.T @ score) @ bread
    stderr, dof = np.sqrt(np.diag(covariance)), float(count - len(theta))
    half = stats.t.ppf((1 + LEVEL) / 2, dof) * stderr
    own = np.diag(bread)
    problem = data.problem(delta)
    low, high = profile_ends(problem, best, bread[None], (half**2 / own)[None])
    risen = profile_rises(problem, best, bread[None], null[None])[0]
    table.estimate[b], table.stderr[b], table.covariance[b], table.t_dof[b] = theta, stderr, covariance, dof
    table.ci_low[b], table.ci_high[b] = low[0], high[0]
    with np.errstate(divide="ignore"):
        table.pvalue[b] = 2 * stats.t.sf(np.sqrt(risen * own) / stderr, dof)
    table.fitted[b, k] = data.law.value(data.sizes, best.theta)[0]
    spread = np.sqrt(np.einsum("kp,pq,kq->k", slopes, covariance, slopes))
    table.fitted_stderr[b, k] = spread * data.unit * table.fitted[b, k]
    table.response[b], table.leverage[b] = 0.0, 0.0
    mean = np.exp(data.logs)
    table.response[b][:, k] = (bread @ (slopes * near[:, None]).T) / (data.unit * mean)
    table.leverage[b, k] = leverage
    table.status[b] = STATUS["ok" if np.isfinite([low, high]).all() else "open_interval"]
