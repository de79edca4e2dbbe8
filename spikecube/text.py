"""Numbers and tables as text."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

_NUMBER = re.compile(r"-|-?[0-9.]+(\([0-9]+\))?(e[-+]?[0-9]+)?")

WIDTH = 80
"""Columns of what is printed."""
_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


def with_error(value: float, stderr: float) -> str:
    """A value with its standard error in units of the last digits.

    >>> with_error(0.81234, 0.0045)
    '0.8123(45)'
    >>> with_error(2.0, 0.0)
    '2'
    >>> with_error(1234.5, 21.0), with_error(7.815, 0.0996)
    ('1234(21)', '7.82(10)')
    >>> with_error(1.09e-10, 1.1e-10), with_error(-4.06e12, 1e10)
    ('1.1(11)e-10', '-4.060(10)e+12')

    An error that is the rounding of the value is none:

    >>> with_error(1.0000000000000022, 1e-15)
    '1'
    """
    if not stderr > 1e-12 * abs(value):
        return f"{value:.5g}"
    power, digits = _shown(value, stderr)
    mantissa = value / 10.0**power
    return f"{mantissa:.{digits}f}({round(stderr / 10.0**power * 10**digits)}){_exponent(power)}"


def interval(value: float, stderr: float, low: float, high: float) -> str:
    """Both ends of the interval of a value, with the decimals of its standard error.

    >>> interval(0.81234, 0.0045, 0.80352, 0.82116), interval(1.09e-10, 1.1e-10, -1.1e-10, 3.3e-10)
    ('[0.8035, 0.8212]', '[-1.1e-10, 3.3e-10]')
    >>> interval(2.0, 0.0, 2.0, 2.0)
    '[2, 2]'
    """
    if not stderr > 1e-12 * abs(value):
        return f"[{low:.5g}, {high:.5g}]"
    power, digits = _shown(value, stderr)
    ends = (f"{end / 10.0**power:.{digits}f}{_exponent(power) if math.isfinite(end) else ''}" for end in (low, high))
    return f"[{', '.join(ends)}]"


def _shown(value: float, stderr: float) -> tuple[int, int]:
    """The power of ten taken out (0 where the digits are few), and the decimals of what is left."""
    largest = max(abs(value), stderr)
    power = 0 if largest >= 1e-4 and stderr < 1e5 else math.floor(math.log10(largest))
    return power, max(0, 1 - math.floor(math.log10(float(f"{stderr / 10.0**power:.1e}"))))


def _exponent(power: int) -> str:
    return f"e{power:+03d}" if power else ""


def number(value: float) -> str:
    """A number for a sentence: four significant digits, no exponent where it can be helped.

    >>> number(0.1), number(1000.0), number(12345.6), number(0.00001234)
    ('0.1', '1000', '12346', '1.234e-05')
    """
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"


def rounded(value: float, sign: str = "") -> str:
    """Two significant digits, no exponent where it can be helped; with its sign where `sign` is "+".

    >>> rounded(160.4), rounded(0.8412), rounded(4.02, "+")
    ('160', '0.84', '+4')
    """
    return f"{float(f'{value:.2g}'):{sign}g}"


def folded(text: str) -> str:
    """Every line of a text in `WIDTH` columns, broken between words; what follows a break is set in.

    >>> folded("short\\n" + "word " * 20).splitlines()[2]
    '    word word word word'
    """
    return "\n".join(_folded(line) if len(line) > WIDTH else line for line in text.split("\n"))


def _folded(line: str) -> str:
    space = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(line.strip(), WIDTH, initial_indent=space, subsequent_indent=f"{space}    ", **_WORDS)


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], labels: int = 0) -> str:
    """Columns of text, those of numbers aligned on the right, in `WIDTH` columns.

    Where they do not fit, tables of fewer columns stand below each other, each with the first columns, the `labels`;
    without labels the last column is folded.
    """
    whole = [header, *rows]
    if _width(whole) <= WIDTH:
        return "\n".join(_aligned(whole))
    if not labels:
        return "\n".join(_aligned(_last_folded(whole)))
    parts = next(
        parts
        for many in range(2, len(header) - labels + 1 or 3)
        if max(map(_width, parts := _parts(whole, labels, many))) <= WIDTH or many >= len(header) - labels
    )
    return "\n\n".join("\n".join(_aligned(part)) for part in parts)


def _width(rows: Sequence[Sequence[str]]) -> int:
    return sum(2 + max(map(len, column)) for column in zip(*rows, strict=True))


def _parts(rows: Sequence[Sequence[str]], labels: int, many: int) -> list[list[Sequence[str]]]:
    """A table as several of about as many columns, each with the labels."""
    columns = np.array_split(np.arange(labels, len(rows[0])), many)
    return [[[*row[:labels], *(row[i] for i in part)] for row in rows] for part in columns]


def _last_folded(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """A table whose last column takes several rows where it needs them."""
    room = max(WIDTH - _width([row[:-1] for row in rows]) - 2, 20)
    made = []
    for *first, last in rows:
        lines = textwrap.wrap(last, room, **_WORDS) or [""]
        made += [[*first, lines[0]], *([*([""] * len(first)), line] for line in lines[1:])]
    return made


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [all(map(_NUMBER.fullmatch, column[1:])) for column in columns]
    for row in rows:
        texts = zip(row, widths, numeric, strict=True)
        yield ("  " + "  ".join(text.rjust(w) if right else text.ljust(w) for text, w, right in texts)).rstrip()


def middle(labels: Sequence[float] | np.ndarray) -> float:
    """The label in the middle of an axis."""
    return float(labels[len(labels) // 2])
