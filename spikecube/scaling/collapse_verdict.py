"""What the tests of a collapse say, as a status and sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikecube.scaling.results import SENTENCES
from spikecube.scaling.verdict import REJECTED

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
