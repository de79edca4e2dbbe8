"""What the state of a fit and its test say, as a status and a sentence; the one place where they are put in words."""

from __future__ import annotations

import numpy as np

from spikecube.scaling.arrays import Array
from spikecube.scaling.results import SENTENCES, STATUS

REJECTED = 0.01  # a law with a p-value below this is rejected
TOO_GOOD = 1e-4  # one with a p-value closer to 1 than this, on enough points, has errors that are not its own
_MANY = 5  # degrees of freedom from which on a p-value of 1 means something
_NAMES = {v: k for k, v in STATUS.items()}

UNTESTED = {
    "none": "no errors were given, so that its interval rests on the scatter of the points about the law itself.",
    "seeds": "the seeds do not scatter.",
    "given": "no degree of freedom is left.",
}


def verdict(state: str, gof_pvalue: float, dof: float, errors: str, notes: tuple[str, ...] = ()) -> tuple[str, str]:
    """The status and the sentence of one fit.

    A fit that solved ("ok") is rejected, untested or too good by its test of fit; an open interval stays one, and its
    sentence says all of it.

    Parameters
    ----------
    state : what the solver says, one of `results.STATUS`.
    gof_pvalue, dof : of the lack-of-fit test; NaN where nothing was tested.
    errors : what is known of the errors: "none", "seeds" or "given".
    notes : sentences that follow.

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
    status = tested if state == "ok" else state
    words = [said] if state == "ok" else [SENTENCES[state], *([said] if tested != "ok" else [])]
    return status, " ".join([*words, *notes])


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
    status: Array, gof_pvalue: Array, dof: Array, errors: Array, notes: dict[int, str] | None = None
) -> tuple[Array, Array]:
    """Codes and sentences for B fits; all arguments of shape (B,), `notes` by row."""
    rows = [
        verdict(_NAMES[int(s)], float(p), float(d), str(e), ((notes or {})[b],) if b in (notes or {}) else ())
        for b, (s, p, d, e) in enumerate(zip(status, gof_pvalue, dof, errors, strict=True))
    ]
    codes = np.array([STATUS[name] for name, _ in rows], dtype=np.int8)
    return codes, np.array([sentence for _, sentence in rows], dtype=object)
