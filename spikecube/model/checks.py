"""Values as a user gives them: one accepted form inside, and mistakes as sentences."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from spikecube.errors import SpikecubeError


class Mistake(NamedTuple):
    """One mistake of a study: the dotted key that it concerns (none of the study as a whole), and what is wrong.

    `line` is that of the file, where there is one.
    """

    key: str
    text: str
    line: int | None = None

    def __str__(self) -> str:
        where = f" (line {self.line})" if self.line else ""
        return f"{self.key}{where}: {self.text}" if self.key else self.text

    def within(self, table: str) -> Mistake:
        """The same, its key inside a table."""
        return self._replace(key=f"{table}.{self.key}")


class StudyError(SpikecubeError, ValueError):
    """All that is wrong with a study: `problems` are sentences, `mistakes` the same as records with their keys."""

    def __init__(self, mistakes: Sequence[Mistake | str]) -> None:
        self.mistakes = tuple(m if isinstance(m, Mistake) else Mistake("", m) for m in mistakes)
        self.problems = tuple(map(str, self.mistakes))
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.mistakes,)


def plain(value: Any) -> Any:
    """Arrays, ranges and lists as tuples, all scalars as Python's own: one accepted form inside."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Decimal | Fraction):
        return float(value)
    if isinstance(value, list | tuple | range):
        return tuple(plain(v) for v in value)
    return value


def as_written(value: Any) -> str:
    """A value as it would stand in the study file, shortened where it is long."""
    text = _written(value)
    return text if len(text) <= 60 else text[:57] + "..."


def mistake(key: str, value: Any, allowed: str, why: str = "") -> Mistake:
    """A wrong value; `why` is what is wrong with it beyond not being allowed."""
    reason = f" ({why})".replace("\n", "; ") if why else ""
    return Mistake(key, f"given {as_written(plain(value))}{reason}; allowed: {allowed}")


def unknown_key(key: str, names: Iterable[str], allowed: str = "one of") -> Mistake:
    """A key that there is not, with the likely one of `names`; `allowed` stands before them."""
    names = list(names)
    likely = f" ({guess})" if (guess := meant(key, names)) else ""
    return Mistake(key, f"unknown key{likely}; allowed: {allowed} {', '.join(names)}")


def unknown_name(word: str, names: Iterable[str]) -> str:
    """What is wrong with a word that is none of some names."""
    return "; ".join(filter(None, ("unknown name", meant(word, names))))


def meant(word: str, names: Iterable[str]) -> str:
    """The name that a word is likely to stand for, as a question; empty where none is near.

    >>> meant("ReLu", ["relu", "tanh"]), meant("sine", ["relu", "tanh"])
    ('did you mean relu?', '')
    """
    near = difflib.get_close_matches(str(word).lower(), list(names), n=1)
    return f"did you mean {near[0]}?" if near else ""


def _written(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_written(v)}" for k, v in value.items()) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
