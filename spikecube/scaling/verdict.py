"""What the state of a fit and its tests say, as a status and sentences; the one place where they are put in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from spikecube.scaling.results import SENTENCES, STATUS
from spikecube.scaling.types import Array

REJECTED = 0.01  # a law with a p-value below this is rejected, and a good collapse doubted by each test
TOO_SMALL = 0.001  # probability of so small a sum of squares of a collapse, below which the errors are doubted
TOO_GOOD = 1e-4  # one with a p-value closer to 1 than this, on enough points, has errors that are not its own
FAR = 3.0  # standard errors by which a size may miss what the smaller ones foretell
ROUGH = 1.35  # factor by which an error changes within itself, beyond which intervals of a collapse are doubted
_MANY = 5  # degrees of freedom from which on a p-value of 1 means something
_NAMES = {v: k for k, v in STATUS.items()}

UNTESTED = {
    "none": "no errors were given, so that its interval rests on the scatter of the points about the law itself.",
    "seeds": "the seeds do not scatter.",
    "given": "no degree of freedom is left.",
    "huber": "Huber's loss has no test of fit; intervals are its profiles in units of the sandwich covariance.",
}


def doubts(bend_pvalue: float, z: float, place: str) -> tuple[str, ...]:
    """Sentences on a law whose points bend away from it, or that misses the last size; `z` is at `place`.

    >>> doubts(0.3, 3.4, "n = 800")
    ('The smaller sizes foretell n = 800 wrongly, by +3.4 standard errors: do not extrapolate.',)
    """
    found = []
    if bend_pvalue < REJECTED:
        found.append(
            f"The points bend away from the law as a term of order 1/n does (p = {bend_pvalue:.1g}): the interval does "
            "not allow for such a correction."
        )
    if abs(z) > FAR:
        found.append(f"The smaller sizes foretell {place} wrongly, by {z:+.2g} standard errors: do not extrapolate.")
    return tuple(found)


def verdict(
    state: str, gof_pvalue: float, dof: float, errors: str, notes: tuple[str, ...] = (), doubts: tuple[str, ...] = ()
) -> tuple[str, str]:
    """The status and the sentence of one fit.

    A fit that solved ("ok") is rejected, untested or too good by its test of fit; one that is not rejected and has
    `doubts` is doubted; an open interval stays one, and its sentence says all of it.

    Parameters
    ----------
    state : what the solver says, one of `results.STATUS`.
    gof_pvalue, dof : of the lack-of-fit test; NaN where nothing was tested.
    errors : what is known of the errors: "none", "seeds" or "given"; "huber" of a fit with that loss.
    notes, doubts : sentences that follow.

    Examples
    --------
    >>> verdict("ok", 3e-13, 4.0, "given")
    ('rejected', 'The law is rejected (p = 3e-13): its intervals take a law for granted that these data do not follow.')
    >>> verdict("ok", 0.4, 4.0, "given")
    ('ok', 'The fit converged and every interval is closed.')
    """
    if state not in ("ok", "open_interval"):
        return state, " ".join([SENTENCES[state], *notes])
    tested, said = _tested(gof_pvalue, dof, errors)
    words = [said] if state == "ok" else [SENTENCES[state], *([said] if tested != "ok" else [])]
    if state == "ok" and doubts and tested in ("ok", "untested"):
        return "doubted", " ".join([said.replace(SENTENCES["ok"], "The law is not rejected."), *doubts, *notes])
    return tested if state == "ok" else state, " ".join([*words, *doubts, *notes])


def _tested(gof_pvalue: float, dof: float, errors: str) -> tuple[str, str]:
    """What the lack-of-fit test makes of a fit that converged."""
    if np.isnan(gof_pvalue):
        return "untested", f"{SENTENCES['untested'].rstrip('.')}: {UNTESTED[errors]}"
    if gof_pvalue < REJECTED:
        p = f"p = {gof_pvalue:.1g}" if gof_pvalue > 0 else "p < 1e-300"
        return "rejected", SENTENCES["rejected"].replace("rejected", f"rejected ({p})")
    if gof_pvalue > 1 - TOO_GOOD and dof >= _MANY:
        return "too_good", (
            f"{SENTENCES['too_good'].rstrip('.')} (p above {1 - TOO_GOOD:g}, {dof:g} degrees of freedom): the errors "
            "are too large, or points share theirs, and then the intervals do not hold."
        )
    return "ok", SENTENCES["ok"]


def verdicts(
    status: Array,
    gof_pvalue: Array,
    dof: Array,
    errors: Array,
    notes: Mapping[int, tuple[str, ...]],
    doubts: Mapping[int, tuple[str, ...]],
) -> tuple[Array, Array]:
    """Codes and sentences for B fits; arrays of shape (B,), `notes` and `doubts` by row."""
    rows = [
        verdict(_NAMES[int(s)], float(p), float(d), str(e), notes.get(b, ()), doubts.get(b, ()))
        for b, (s, p, d, e) in enumerate(zip(status, gof_pvalue, dof, errors, strict=True))
    ]
    codes = np.array([STATUS[name] for name, _ in rows], dtype=np.int8)
    return codes, np.array([sentence for _, sentence in rows], dtype=object)


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


def collapse_verdict(found: CollapseFindings) -> tuple[str, str]:
    """The status of a collapse, which is the gravest doubt, and one sentence for each doubt, or contentment."""
    doubts = list(_doubts(found))
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


def _doubts(found: CollapseFindings) -> Iterator[tuple[str, str]]:
    if not found.at_rest:
        yield "poor_minimum", "The search ended before it came to rest: a better minimum may be near."
    if found.astray:
        yield (
            "unsettled",
            f"The window does not settle: of the points used and those inside it at the parameters found "
            f"{found.astray} are not both, and the values hang on such points.",
        )
    ratio = found.chi2 / found.dof if found.dof > 0 else np.nan
    if found.gof_pvalue < REJECTED:
        yield (
            "rejected",
            f"The curves do not collapse onto one line within their errors (chi2/dof = {ratio:.3g}, "
            f"p = {found.gof_pvalue:.2g}): the intervals do not hold.",
        )
    if not found.agreed:
        yield "poor_minimum", "Different starts end in different minima; the best one is reported."
    if found.drift_pvalue < REJECTED:
        yield (
            "drifting",
            f"Without the smallest size the parameters move by more than their errors allow "
            f"(p = {found.drift_pvalue:.2g}): the intervals do not allow for such a correction to scaling.",
        )
    if found.small_rejected:
        yield (
            "drifting",
            "Every choice of points with the smallest size is rejected, so that there are corrections to scaling: what "
            "they leave at larger sizes the intervals do not hold; give correction=.",
        )
    if found.too_good < TOO_SMALL:
        yield (
            "too_good",
            f"The points scatter less about the curve than their errors allow (chi2/dof = {ratio:.2g}, "
            f"p = {found.too_good:.2g} for so little): the errors are too large, or points of one size share them, "
            f"and then the intervals are too narrow.",
        )
    if found.pattern_pvalue < REJECTED:
        yield (
            "patterned",
            f"Neighbouring residuals of one size go together (p = {found.pattern_pvalue:.2g}): the curves do not "
            f"collapse, or their points share errors, or the curve is sharper than the spline; "
            f"the intervals are too narrow.",
        )
    if found.uneven_pvalue < REJECTED:
        yield (
            "uneven",
            f"The points scatter unevenly about the curve (p = {found.uneven_pvalue:.2g}): a fit that weighs all of "
            f"them alike follows the noisiest, and the values may not hold; give their errors.",
        )
    if found.roughest[1] > ROUGH:
        name, factor = found.roughest
        yield (
            "doubted",
            f"The error of {name} changes by a factor of {factor:.2g} within one error: the data hardly determine all "
            f"parameters, and the intervals are rough and may be too narrow.",
        )
    if found.beyond is not None:
        critical, low, high = found.beyond
        yield (
            "outside",
            f"The critical value {critical:.4g} lies outside the control, {low:.4g} to {high:.4g}: no curve was "
            f"measured on both sides of it.",
        )
    if not found.closed:
        yield "open_interval", "The data leave an interval open: they do not determine that parameter."
