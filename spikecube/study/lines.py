"""Where the keys of a study stand in its file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spikecube.model.checks import Mistake

_LONGEST = 200  # lines of one statement; what follows a longer one is not looked for


def with_lines(mistakes: Sequence[Mistake], text: str) -> list[Mistake]:
    """Mistakes with the line of their key in a TOML text; of a key that is missing, with that of its table."""
    lines = _key_lines(text)
    return [m._replace(line=lines.get(m.key) or lines.get(m.key.rpartition(".")[0])) for m in mistakes]


def _key_lines(text: str) -> dict[str, int]:
    """The line, from 1, at which each dotted key of a valid TOML text begins.

    >>> _key_lines("title = 'x'\\n\\n[axes]\\nn = [\\n 5,\\n]\\nlam = 1\\n")
    {'title': 1, 'axes': 3, 'axes.n': 4, 'axes.lam': 7}
    """
    found: dict[str, int] = {}
    table = ""
    for line, statement in _statements(text):
        keys = list(_dotted(tomllib.loads(statement)))
        if statement.lstrip().startswith("["):
            table = f"{keys[-1]}."
        else:
            keys = [table + key for key in keys]
        for key in keys:
            found.setdefault(key, line)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement of a TOML text with its first line: the fewest lines that are TOML on their own."""
    start, held = 1, ""
    for number, line in enumerate(text.split("\n"), 1):
        held += line + "\n"
        try:
            holds = tomllib.loads(held)
        except tomllib.TOMLDecodeError:
            if number - start == _LONGEST:
                return
            continue
        if holds:
            yield start, held
        start, held = number + 1, ""


def _dotted(table: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a table and of those inside it."""
    for key, value in table.items():
        yield key
        if isinstance(value, Mapping):
            yield from (f"{key}.{inner}" for inner in _dotted(value))
