"""Looks at a collapse that see what its sum of squares does not, and the verdict in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from spikecube.scaling.arrays import Array

LEVEL = 0.01  # of every look: a good collapse is doubted by each in one of a hundred cases
TOO_GOOD = 0.001  # probability of so small a sum of squares, below which the errors are doubted
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


@dataclass(frozen=True)
class Looks:
    """What is known of a collapse beside its numbers.

    Attributes
    ----------
    errors : "given", "seeds" or "none".
    chi2, dof, gof_pvalue, too_good : the sum of squares, and the probabilities of a larger and of a smaller one.
    pattern_pvalue, drift_pvalue : of `pattern_test`, and of the shift of the parameters without the smallest size.
    agreed, closed : of the starts, of all intervals.
    astray : points on the wrong side of a window that does not settle.
    beyond : the critical value and the ends of the control if it lies outside of them.
    at_rest : whether the search came to rest.
    """

    errors: str
    chi2: float
    dof: float
    gof_pvalue: float
    too_good: float
    pattern_pvalue: float
    drift_pvalue: float
    agreed: bool
    astray: int
    closed: bool
    at_rest: bool
    beyond: tuple[float, float, float] | None


def verdict(looks: Looks) -> tuple[str, str]:
    """The status, which is the gravest doubt, and one sentence for each doubt; the last resort is contentment."""
    doubts = list(_doubts(looks))
    words = " ".join(sentence for _, sentence in doubts)
    if looks.errors == "none":
        untested = (
            "No errors were given, so that nothing tests the collapse as a whole: the intervals take the scatter about "
            "the curve for independent errors of one size."
        )
        status = doubts[0][0] if doubts else "untested"
        return status, " ".join(filter(None, (words, untested, _stays(looks, doubts))))
    if doubts:
        return doubts[0][0], words
    collapsed = f"The curves collapse within their errors (p = {looks.gof_pvalue:.2g}) and every interval is closed."
    return "ok", f"{collapsed} {_stays(looks, doubts)}"


def _stays(looks: Looks, doubts: list[tuple[str, str]]) -> str:
    if any(name == "drifting" for name, _ in doubts):
        return ""
    if np.isnan(looks.drift_pvalue):
        return "Whether the smallest size fits in was not tested: a correction to scaling would go unseen."
    return f"Without the smallest size the parameters stay (p = {looks.drift_pvalue:.2g})."


def _doubts(looks: Looks) -> Iterator[tuple[str, str]]:
    if not looks.at_rest:
        yield "poor_minimum", "The search ended before it came to rest: a better minimum may be near."
    if looks.astray:
        yield (
            "unsettled",
            f"The window does not settle: of the points used and those inside it at the parameters found "
            f"{looks.astray} are not both.",
        )
    ratio = looks.chi2 / looks.dof if looks.dof > 0 else np.nan
    if looks.gof_pvalue < LEVEL:
        yield (
            "rejected",
            f"The curves do not collapse onto one line within their errors (chi2/dof = {ratio:.3g}, "
            f"p = {looks.gof_pvalue:.2g}): the intervals do not hold.",
        )
    if not looks.agreed:
        yield "poor_minimum", "Different starts end in different minima; the best one is reported."
    if looks.drift_pvalue < LEVEL:
        yield (
            "drifting",
            f"Without the smallest size the parameters move by more than their errors allow "
            f"(p = {looks.drift_pvalue:.2g}): the intervals do not allow for such a correction to scaling.",
        )
    if looks.too_good < TOO_GOOD:
        yield (
            "too_good",
            f"The points scatter less about the curve than their errors allow (chi2/dof = {ratio:.2g}, "
            f"p = {looks.too_good:.2g} for so little): the errors are too large, or points of one size share them, "
            f"and then the intervals are too narrow.",
        )
    if looks.pattern_pvalue < LEVEL:
        yield (
            "patterned",
            f"Neighbouring residuals of one size go together (p = {looks.pattern_pvalue:.2g}): the curves do not "
            f"collapse, or their points share errors, or the curve is sharper than the spline; "
            f"the intervals are too narrow.",
        )
    if looks.beyond is not None:
        critical, low, high = looks.beyond
        yield (
            "outside",
            f"The critical value {critical:.4g} lies outside the control, {low:.4g} to {high:.4g}: no curve was "
            f"measured on both sides of it.",
        )
    if not looks.closed:
        yield "open_interval", "The data leave an interval open: they do not determine that parameter."
