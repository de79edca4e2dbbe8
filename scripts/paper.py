"""Every figure and table of the paper's claims, from the studies in data/studies/paper.

    python scripts/paper.py                 # all claims: runs what is missing, judges, draws, writes the page
    python scripts/paper.py b d             # these claims; the page is written with all whose cube is there
    python scripts/paper.py --small         # a few minutes: tiny sizes, everything under paper-small/

Runs are resumed where they have stopped. Figures need Chromium; without one they are left as they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.browser import NoBrowser, browser, executable  # noqa: E402
from scripts.claims import figures, page  # noqa: E402
from scripts.claims.catalogue import CLAIMS  # noqa: E402
from scripts.claims.cubes import CUBES, Place, made  # noqa: E402
from scripts.claims.finding import Finding  # noqa: E402

PAGE = Path("docs/explanation/claims.md")
PICTURES = Path("docs/_static/paper")


def main(arguments: Sequence[str] | None = None, **how: Any) -> dict[str, list[Finding]]:
    """Judge and draw what was asked for, and write the page; `how` goes to the runs."""
    given = _parser().parse_args(arguments)
    root = Path(given.folder or ("paper-small" if given.small else ROOT))
    place = Place(root / CUBES, root / "paper-work", given.small)
    asked = given.claims or list(CLAIMS)
    for letter in asked:
        place.cube(CLAIMS[letter], **how)
    found = {letter: judged(place, letter) for letter in CLAIMS if letter in asked or _there(place, letter)}
    if not given.no_figures:
        _draw(place, asked, root / PICTURES)
    target = root / PAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page.page(found, CLAIMS, made(place.cubes)), encoding="utf-8")
    print(page.counts_text([f for rows in found.values() for f in rows]))
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help=f"letters: {' '.join(CLAIMS)}; by default all")
    parser.add_argument("--small", action="store_true", help="tiny sizes, under paper-small/")
    parser.add_argument("--folder", help="where everything goes; by default the project")
    parser.add_argument("--no-figures", action="store_true", help="judge only")
    return parser


def _there(place: Place, letter: str) -> bool:
    return (place.cubes / f"{CLAIMS[letter].study}.nc").is_file()


def judged(place: Place, letter: str) -> list[Finding]:
    """The findings of one claim."""
    claim = CLAIMS[letter]
    return claim.judge(place.cube(claim), place.prediction(claim))


def _draw(place: Place, letters: Sequence[str], folder: Path) -> None:
    try:
        executable()
    except NoBrowser as reason:
        print(f"no figures: {reason}", file=sys.stderr)
        return
    with browser(offline=True) as tab:
        for letter in letters:
            claim = CLAIMS[letter]
            shown = claim.draw(place.cube(claim), place.prediction(claim))
            figures.save(tab, shown, folder / f"{claim.study}.png")


if __name__ == "__main__":
    main()
