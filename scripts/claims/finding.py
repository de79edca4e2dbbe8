"""A row of the table: a statement, what was measured, and the verdict; and a claim, which has several of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from scripts.claims.verdicts import Interval, Verdict


@dataclass(frozen=True)
class Finding:
    """What was found of one statement.

    Attributes
    ----------
    statement : the claim in our words.
    place : where it stands in the paper, or that it goes past it.
    quantity : what the interval is of.
    found, claimed : the interval, and what is claimed of it in words.
    verdict : by rule.
    why : one sentence.
    """

    statement: str
    place: str
    quantity: str
    found: Interval
    claimed: str
    verdict: Verdict
    why: str


@dataclass(frozen=True)
class Claim:
    """One letter: its study, how it is judged and how it is drawn.

    Attributes
    ----------
    study : name of its study and of its cube.
    title : of its section.
    shows : what its figure shows: measured, predicted, claimed.
    judge : a cube and a prediction in, findings out.
    draw : a cube and a prediction in, HoloViews objects out that stand side by side.
    predicts : whether these two look at the prediction; an empty one is given else.
    """

    study: str
    title: str
    shows: str
    judge: Callable[[xr.Dataset, xr.Dataset], list[Finding]]
    draw: Callable[[xr.Dataset, xr.Dataset], Sequence[Any]]
    predicts: bool = True

    @property
    def letter(self) -> str:
        """The first letter of its study."""
        return self.study[0]


def caption(claim: Claim, findings: Sequence[Finding]) -> str:
    """What is measured, predicted and claimed, and each verdict with its interval; of what, the table says."""
    rows = [f"{claim.letter}{i} {f.found}, *{f.verdict.word}*" for i, f in enumerate(findings, 1)]
    return f"{claim.shows} Verdicts: {'; '.join(rows)}."
