"""What the state of a fit and its tests say, as a status and sentences; the one place where they are put in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikecube.scaling.curve_fits import Table
from spikecube.scaling.laws import Law
from spikecube.scaling.results import SENTENCES, STATUS, STATUS_NAMES
from spikecube.scaling.samples import Sample
from spikecube.scaling.types import Array, Arrays
from spikecube.scaling.window import ALLOWED

REJECTED = 0.01  # a law with a p-value below this is rejected, and a good collapse doubted by each test
_TOO_GOOD = 1e-4  # one with a p-value closer to 1 than this, on enough points, has errors that are not its own
FAR = 3.0  # standard errors by which a size may miss what the smaller ones foretell
_MANY = 5  # degrees of freedom from which on a p-value of 1 means something

_UNTESTED = {
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
    tested, sentence = _tested(gof_pvalue, dof, errors)
    words = [sentence] if state == "ok" else [SENTENCES[state], *([sentence] if tested != "ok" else [])]
    if state == "ok" and doubts and tested in ("ok", "untested"):
        return "doubted", " ".join([sentence.replace(SENTENCES["ok"], "The law is not rejected."), *doubts, *notes])
    return tested if state == "ok" else state, " ".join([*words, *doubts, *notes])


def _tested(gof_pvalue: float, dof: float, errors: str) -> tuple[str, str]:
    """What the lack-of-fit test makes of a fit that converged."""
    if np.isnan(gof_pvalue):
        return "untested", f"{SENTENCES['untested'].rstrip('.')}: {_UNTESTED[errors]}"
    if gof_pvalue < REJECTED:
        p = f"p = {gof_pvalue:.1g}" if gof_pvalue > 0 else "p < 1e-300"
        return "rejected", SENTENCES["rejected"].replace("rejected", f"rejected ({p})")
    if gof_pvalue > 1 - _TOO_GOOD and dof >= _MANY:
        return "too_good", (
            f"{SENTENCES['too_good'].rstrip('.')} (p above {1 - _TOO_GOOD:g}, {dof:g} degrees of freedom): the errors "
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
        verdict(STATUS_NAMES[int(s)], float(p), float(d), str(e), notes.get(b, ()), doubts.get(b, ()))
        for b, (s, p, d, e) in enumerate(zip(status, gof_pvalue, dof, errors, strict=True))
    ]
    codes = np.array([STATUS[name] for name, _ in rows], dtype=np.int8)
    return codes, np.array([sentence for _, sentence in rows], dtype=object)


def judged(
    law: Law, table: Table, sample: Sample, errors: Array, allowed: Array, details: Arrays | None = None
) -> Arrays:
    """Status and message of every curve; `errors` as in `verdict`, `details` those of `foresight`, if it looked."""
    notes = {int(b): (ALLOWED,) for b in np.flatnonzero(allowed)}
    doubts = _doubts_of(sample, details) if details else {}
    status, message = verdicts(table.status, table.gof_pvalue, table.nobs - len(law.params), errors, notes, doubts)
    return {"status": ((), status), "message": ((), message)}


def _doubts_of(sample: Sample, details: Arrays) -> dict[int, tuple[str, ...]]:
    """What the bend and the last size foretold make of each curve."""
    pvalue, z = details["bend_pvalue"][1], details["rollout_z"][1]
    last = np.where(np.isfinite(z), np.arange(z.shape[1]), -1).max(1)
    return {
        b: doubts(float(pvalue[b]), float(z[b, k]), f"{sample.dim} = {sample.sizes[k]:g}")
        for b, k in enumerate(last.tolist())
    }
