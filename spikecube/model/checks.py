"""Values as a user gives them: one accepted form inside, and mistakes as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np


class StudyError(ValueError):
    """All that is wrong with a study, one sentence a mistake, each with its key, what was given and what is allowed."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def plain(value: Any) -> Any:
    """Arrays, ranges and lists as tuples, all scalars as Python's own: one accepted form inside."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Decimal | Fraction):
        return float(value)
    if isinstance(value, list | tuple | range):
        return tuple(plain(v) for v in value)
    return value


def show(value: Any) -> str:
    """A value as it would stand in the study file, shortened where it is long."""
    text = _written(value)
    return text if len(text) <= 60 else text[:57] + "..."


def mistake(key: str, value: Any, allowed: str, why: str = "") -> str:
    """The sentence on a wrong value; `why` is what is wrong with it beyond not being allowed."""
    reason = f" ({why})".replace("\n", "; ") if why else ""
    return f"{key}: given {show(plain(value))}{reason}; allowed: {allowed}"


def _written(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_written(v)}" for k, v in value.items()) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
