"""Whether the points of a collapse lie on their curves: the tests of each observable and of all, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from spikecube.scaling.collapse_linear import Linearised, UsedPoints, orthonormal, shared_draws
from spikecube.scaling.collapse_root import part_numbers
from spikecube.scaling.master_curve import Points
from spikecube.scaling.results import SENTENCES
from spikecube.scaling.samples import Sample
from spikecube.scaling.shared_draws import collapse_test
from spikecube.scaling.types import Array
from spikecube.scaling.verdict import REJECTED

_WIDTH = 2.0  # of the kernel of `pattern_test`, in points


def pattern_test(residual: Array, fitted: Array, size: Array, control: Array) -> float:
    """P(so much likeness or more) of neighbouring residuals of one size; it needs no errors, only equal weights.

    Q = r^T A r/r^T r with A_ab = exp(-(a - b)^2/8) for the a-th and b-th point of one size along the control, a != b,
    else 0. For r = M e, e independent and normal, N = tr M: E Q = tr(MA)/N and
    Var Q = 2 [N tr(MAMA) - tr(MA)^2]/(N^2 (N + 2)).

    Parameters
    ----------
    residual, size, control : (P,), weighted residuals and the labels of their points.
    fitted : (P, r), an orthonormal basis of the space of fitted values, M = 1 - fitted fitted^T.

    References
    ----------
    Durbin and Watson, Biometrika 37 (1950) 409, for the moments.

    Examples
    --------
    >>> rng, nothing = np.random.default_rng(1), np.zeros((80, 0))
    >>> size, x = np.repeat([1.0, 2.0], 40), np.tile(np.arange(40.0), 2)
    >>> pattern_test(rng.standard_normal(80), nothing, size, x) > 0.01
    True
    >>> pattern_test(np.cos(x / 6) * (size - 1.5), nothing, size, x) < 1e-6
    True
    """
    like, squares = np.zeros_like(fitted), 0.0
    form = 0.0
    for n in np.unique(size):
        rows = np.flatnonzero(size == n)
        rows = rows[np.argsort(control[rows], kind="stable")]
        rank = np.arange(len(rows))
        kernel = np.exp(-0.5 * (np.subtract.outer(rank, rank) / _WIDTH) ** 2) - np.eye(len(rows))
        like[rows] = kernel @ fitted[rows]
        squares += float((kernel**2).sum())
        form += float(residual[rows] @ kernel @ residual[rows])
    inner, n_free = fitted.T @ like, len(residual) - fitted.shape[1]
    total = float(residual @ residual)
    if n_free < 2 or not total > 0:
        return np.nan
    trace = -float(np.trace(inner))
    square = squares - 2 * float((like**2).sum()) + float((inner**2).sum())
    variance = 2 * (n_free * square - trace**2) / (n_free**2 * (n_free + 2))
    return float(stats.norm.sf((form / total - trace / n_free) / np.sqrt(variance)))


def shift_test(shift: Array, covariance: Array, dof: float) -> float:
    """P(so large a shift or larger): Hotelling's T^2 with `dof` degrees of freedom of its covariance (inf: chi^2)."""
    length = np.sqrt(np.diag(covariance))
    moved = length > 0
    if not moved.any():
        return np.nan
    scaled, unit = shift[moved] / length[moved], np.outer(length[moved], length[moved])
    values, vectors = np.linalg.eigh(covariance[np.ix_(moved, moved)] / unit)
    good = values > 1e-8 * values[-1]
    square, k = float((((vectors[:, good].T @ scaled) ** 2) / values[good]).sum()), int(good.sum())
    if not np.isfinite(dof):
        return float(stats.chi2.sf(square, k))
    return float(stats.f.sf(square * (dof - k + 1) / (dof * k), k, dof - k + 1)) if dof >= k else np.nan


_Tests = tuple[float, float, float, float, float]


@dataclass(frozen=True)
class Quality:
    """How well the points of each part lie on their curve, (M,) each; `joint` (chi2, dof, p-value) is of all points."""

    chi2: Array
    dof: Array
    gof_pvalue: Array
    too_good: Array
    pattern_pvalue: Array
    joint: tuple[float, float, float]


def judge(problem: UsedPoints, linear: Linearised) -> Quality:
    """The tests of each part, and that of all together."""
    points, residual, fitted = problem.points, linear.reduced.residual, linear.fitted
    every = np.arange(len(residual))
    of_all = _tests(problem, every, residual, fitted, linear.reduced.cost, len(residual) - fitted.shape[1])
    tests = []
    for k in part_numbers(points) if points.parts.any() else ():
        own = np.flatnonzero(points.parts == k)
        dof = len(own) - float((fitted[own] ** 2).sum())
        curve = orthonormal(linear.reduced.design[own][:, linear.reduced.curve.part(k)])[0]
        tests.append(_tests(problem, own, residual[own], curve, float(residual[own] @ residual[own]), dof))
    chi2, dof, gof_pvalue, too_good, pattern = np.array(tests or [of_all]).T
    return Quality(chi2, dof, gof_pvalue, too_good, pattern, of_all[:3])


def _tests(problem: UsedPoints, rows: Array, residual: Array, fitted: Array, chi2: float, dof: float) -> _Tests:
    """chi2, dof, P(more), P(less), and the p-value of the pattern; NaN for what nothing tests."""
    points, sample = problem.points, problem.sample
    if sample.deviations is not None:
        draws = shared_draws(points.keep(rows), problem.places[rows], sample)
        gof = collapse_test(chi2, fitted, draws)
        return chi2, dof, gof, 1 - gof, np.nan
    pattern = pattern_test(residual, fitted, points.size[rows], points.control[rows])
    if sample.stderr is None:
        return chi2, dof, np.nan, np.nan, pattern
    return chi2, dof, float(stats.chi2.sf(chi2, dof)), float(stats.chi2.cdf(chi2, dof)), pattern


def flat_pvalue(points: Points, places: Array, sample: Sample) -> float:
    """P(so much change along the control or more) if the curve of each size were a constant; NaN without errors."""
    level = points.parts * (places[:, 1].max() + 1) + places[:, 1]
    fitted = orthonormal(points.white((level[:, None] == np.unique(level)).astype(float)))[0]
    y = points.white(points.y)
    chi2 = float(((y - fitted @ (fitted.T @ y)) ** 2).sum())
    if chi2 <= 1e-24 * float(y @ y):
        return 1.0
    if sample.stderr is None:
        return np.nan
    if sample.deviations is None:
        return float(stats.chi2.sf(chi2, len(y) - fitted.shape[1]))
    return collapse_test(chi2, fitted, shared_draws(points, places, sample))


_TOO_SMALL = 0.001  # probability of so small a sum of squares, below which the errors are doubted
_ROUGH = 1.35  # factor by which an error changes within itself, beyond which intervals are doubted


@dataclass(frozen=True)
class CollapseFindings:
    """What is known of a collapse beside its numbers.

    Attributes
    ----------
    errors : "given", "seeds" or "none".
    chi2, dof, gof_pvalue, too_good : the sum of squares, and the probabilities of a larger and of a smaller one.
    pattern_pvalue, drift_pvalue : of `pattern_test`, and of the shift of the parameters without the smallest size.
    uneven_pvalue : of scatter that is the same at all points.
    agreed, closed : of the starts, of all intervals.
    astray : points on the wrong side of a window that does not settle.
    beyond : the critical value and the ends of the control if it lies outside of them.
    at_rest : whether the search came to rest.
    small_rejected : whether tests rejected every choice of points with the smallest size.
    roughest : the parameter whose error changes most within itself, and by what factor.
    richer : coefficients and p-value of a curve that is not rejected, where that of the points' number is; else 0.
    """

    errors: str
    chi2: float
    dof: float
    gof_pvalue: float
    too_good: float
    pattern_pvalue: float
    drift_pvalue: float
    uneven_pvalue: float
    agreed: bool
    astray: int
    closed: bool
    at_rest: bool
    beyond: tuple[float, float, float] | None
    small_rejected: bool = False
    roughest: tuple[str, float] = ("", 1.0)
    richer: tuple[int, float] = (0, np.nan)

    @property
    def ratio(self) -> float:
        """chi2/dof, NaN without degrees of freedom."""
        return self.chi2 / self.dof if self.dof > 0 else np.nan


def collapse_verdict(found: CollapseFindings) -> tuple[str, str]:
    """The status of a collapse, which is the gravest doubt, and one sentence for each doubt, or contentment."""
    doubts = _doubts(found)
    words = " ".join(sentence for _, sentence in doubts)
    if found.errors == "none":
        untested = (
            "No errors were given, so that nothing tests the collapse as a whole: the intervals take the scatter about "
            "the curve for independent errors, and a correction to scaling may hide in it."
        )
        status = doubts[0][0] if doubts else "untested"
        return status, " ".join(filter(None, (words, untested, _stays(found, doubts))))
    if doubts:
        return doubts[0][0], words
    collapsed = f"The curves collapse within their errors (p = {found.gof_pvalue:.2g}) and every interval is closed."
    return "ok", f"{collapsed} {_stays(found, doubts)}"


def _stays(found: CollapseFindings, doubts: list[tuple[str, str]]) -> str:
    if any(name == "drifting" for name, _ in doubts):
        return ""
    if np.isnan(found.drift_pvalue):
        return "Whether the smallest size fits in was not tested: a correction to scaling would go unseen."
    return f"Without the smallest size the parameters stay (p = {found.drift_pvalue:.2g})."


_Doubt = tuple[str, Callable[[CollapseFindings], bool], str]

_DOUBTS: tuple[_Doubt, ...] = (
    (
        "poor_minimum",
        lambda f: not f.at_rest,
        "The search ended before it came to rest: a better minimum may be near.",
    ),
    (
        "unsettled",
        lambda f: f.astray > 0,
        "The window does not settle: of the points used and those inside it at the parameters found {f.astray} are not "
        "both, and the values hang on such points.",
    ),
    (
        "rejected",
        lambda f: f.gof_pvalue < REJECTED and f.richer[0] > 0,
        "One curve through all points is rejected as smooth as their number lets it be (chi2/dof = {f.ratio:.3g}, "
        "p = {f.gof_pvalue:.2g}), one of {f.richer[0]} coefficients is not (p = {f.richer[1]:.2g}): the curve is "
        "sharper than so few points tell, and the intervals do not hold; more points, or a narrower window=, may.",
    ),
    (
        "rejected",
        lambda f: f.gof_pvalue < REJECTED and not f.richer[0],
        "The curves do not collapse onto one line within their errors (chi2/dof = {f.ratio:.3g}, "
        "p = {f.gof_pvalue:.2g}): the intervals do not hold.",
    ),
    ("poor_minimum", lambda f: not f.agreed, SENTENCES["poor_minimum"]),
    (
        "drifting",
        lambda f: f.drift_pvalue < REJECTED and not f.richer[0],
        "Without the smallest size the parameters move by more than their errors allow (p = {f.drift_pvalue:.2g}): the "
        "intervals do not allow for such a correction to scaling.",
    ),
    (
        "drifting",
        lambda f: f.small_rejected and not f.richer[0],
        "Every choice of points with the smallest size is rejected, so that there are corrections to scaling: what "
        "they leave at larger sizes the intervals do not hold; give correction=.",
    ),
    (
        "too_good",
        lambda f: f.too_good < _TOO_SMALL,
        "The points scatter less about the curve than their errors allow (chi2/dof = {f.ratio:.2g}, "
        "p = {f.too_good:.2g} for so little): the errors are too large, or points of one size share them, and then the "
        "intervals are too narrow.",
    ),
    (
        "patterned",
        lambda f: f.pattern_pvalue < REJECTED,
        "Neighbouring residuals of one size go together (p = {f.pattern_pvalue:.2g}): the curves do not collapse, or "
        "their points share errors, or the curve is sharper than the spline; the intervals are too narrow.",
    ),
    (
        "uneven",
        lambda f: f.uneven_pvalue < REJECTED,
        "The points scatter unevenly about the curve (p = {f.uneven_pvalue:.2g}): a fit that weighs all of them alike "
        "follows the noisiest, and the values may not hold; give their errors.",
    ),
    (
        "doubted",
        lambda f: f.roughest[1] > _ROUGH,
        "The error of {f.roughest[0]} changes by a factor of {f.roughest[1]:.2g} within one error: the data hardly "
        "determine all parameters, and the intervals are rough and may be too narrow.",
    ),
    (
        "outside",
        lambda f: f.beyond is not None,
        "The critical value {f.beyond[0]:.4g} lies outside the control, {f.beyond[1]:.4g} to {f.beyond[2]:.4g}: no "
        "curve was measured on both sides of it.",
    ),
    (
        "open_interval",
        lambda f: not f.closed,
        "The data leave an interval open: they do not determine that parameter.",
    ),
)
"""Status, when it holds, and its sentence, filled in from the findings `f`; the gravest first."""


def _doubts(found: CollapseFindings) -> list[tuple[str, str]]:
    return [(status, sentence.format(f=found)) for status, holds, sentence in _DOUBTS if holds(found)]
