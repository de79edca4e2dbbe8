"""The page of claims, written from the findings: a table, then each claim with its figure, cube and command."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.claims.cubes import CUBES, STUDIES
from scripts.claims.finding import Claim, Finding, caption
from scripts.claims.verdicts import CONFIRMED, OPEN, REFUTED

WORDS = (CONFIRMED, OPEN, REFUTED)
FIGURES = "../_static/paper"
UP = "../../"
RECORD = tomllib.loads(Path(__file__).with_name("record.toml").read_text(encoding="utf-8"))
HEAD = """# The paper's claims, judged

Statements of Moniri, Lee, Hassani, Dobriban (ICML 2024, arXiv:2310.07891) in our words, and a few that go past it, held
against simulation at sizes that a laptop reaches. The figures of the paper are not redrawn: its statements are tested.

**{counts}**

A verdict follows from an interval or a test by a rule, never by hand. *Confirmed*: the interval of 95 per cent holds
what is claimed and nothing that it is told from. *Not resolved*: it holds both, or it misses a limit but the theory at
these very sizes has the same. *Refuted*: neither. One interval in twenty misses by chance, and rows of one study share
their draws. A verdict with † rests on a choice that was made after data had been seen: its section says which. This
page is written by `python scripts/paper.py` from the cubes in `{cubes}`. Their runs took {minutes:.0f} core-minutes, as
their processes measured, of the 180 that two cores have in 90 minutes. All of it from nothing, theory, verdicts and
figures with it (`python scripts/paper.py --folder fresh`), took 23 minutes by the clock of two cores, before plan had
added draws to a, c, e, h and j. [What a cluster would add](claims-cluster.md) stands on a page of its own.
"""


def page(found: Mapping[str, Sequence[Finding]], claims: Mapping[str, Claim], made: Mapping[str, Any]) -> str:
    """The whole page.

    Parameters
    ----------
    found : findings by the letter of their claim.
    made : see `cubes.made`.
    """
    findings = [f for rows in found.values() for f in rows]
    minutes = sum(one["core_seconds"] for one in made.values()) / 60
    head = HEAD.format(counts=counts_text(findings), cubes=CUBES.as_posix(), minutes=minutes)
    sections = [_section(claims[letter], rows, made) for letter, rows in found.items()]
    return "\n".join([head, table(found), "", *sections, "", seeds(found), ""])


def counts_text(findings: Sequence[Finding]) -> str:
    """How many statements have which verdict."""
    counts = Counter(f.verdict.word for f in findings)
    return f"{len(findings)} statements: " + ", ".join(f"{counts[word]} {word}" for word in WORDS) + "."


def table(found: Mapping[str, Sequence[Finding]]) -> str:
    """One row a statement."""
    rows = ["| | statement | in the paper | measured | claimed | verdict | why |", "|---|---|---|---|---|---|---|"]
    for letter, findings in found.items():
        for i, f in enumerate(findings, 1):
            name = f"[{letter}{i}](#claim-{letter})"
            verdict = f"**{f.verdict.text}**{' †' * (i in RECORD[letter].get('rows', []))}"
            cells = (name, f.statement, f.place, f"{f.quantity}: {f.found}", f.claimed, verdict, f.why)
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _section(claim: Claim, findings: Sequence[Finding], made: Mapping[str, Any]) -> str:
    name = f"{claim.study}.nc"
    one = made.get(name, {})
    took = f" ({one['core_seconds']} core-seconds)" if "core_seconds" in one else ""
    return f"""
(claim-{claim.letter})=
## {claim.letter}. {claim.title}

![{claim.title}]({FIGURES}/{claim.study}.png)

{caption(claim, findings)}

{_record(claim.letter)}

Study {{download}}`{claim.study}.toml <{UP}{STUDIES.as_posix()}/{claim.study}.toml>`, \
cube {{download}}`{name} <{UP}{CUBES.as_posix()}/{name}>`{took}:

    spikecube run {STUDIES.as_posix()}/{claim.study}.toml -o {claim.study}    # makes the cube again
    spikecube verify {CUBES.as_posix()}/{name}              # recomputes some of its cells
    python scripts/paper.py {claim.letter}                                # judges it, and draws the figure
"""


def seeds(found: Mapping[str, Sequence[Finding]]) -> str:
    """How the seeds of each claim were laid out, a row a claim."""
    rows = [f"| [{letter}](#claim-{letter}) | {RECORD[letter]['seeds']} |" for letter in found]
    return "\n".join(["(claim-seeds)=", "## How seeds were laid out", "", "| claim | seeds |", "|---|---|", *rows])


def _record(letter: str) -> str:
    """Where it is said how seeds were laid out, and what was chosen after data had been seen."""
    known = RECORD[letter]
    rows = known.get("rows", [])
    whole = len(rows) > 2 and rows == list(range(rows[0], rows[-1] + 1))
    named = f"{letter}{rows[0]} to {letter}{rows[-1]}" if whole else ", ".join(f"{letter}{i}" for i in rows)
    return "[Seeds](#claim-seeds)." + (f"\n\n† {named}: {known['after']}" if rows else "")
