"""How the views look: colours, marks, and labels from the schema."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import xarray as xr

from spikecube.cube import schema

INK = "#222222"
SOFT = "#8a8a8a"
FILL = "#b9c9d9"
LONGEST_LABEL = 50

# Okabe and Ito (2008): apart for every common kind of colour vision; lightness differs, so they survive a grey print.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex")

# Sizes are ordered, so their colours are too: light to dark, ends left out where they would vanish in print.
_ORDERED = ("#9bc3dd", "#5fa3cf", "#2c7fb8", "#1d5a96", "#123a6b", "#0a1f44")

# Blue - white - orange, for signed z-scores.
DIVERGING = (
    "#0b4f8a", "#2a78b5", "#5c9fce", "#97c3e0", "#cfe1ee", "#f5f5f5",
    "#fbdcc0", "#f6b37d", "#e98644", "#cc5c17", "#963d06",
)  # fmt: skip
# White to dark blue, for counts.
COUNTS = ("#f7fafc", "#d6e6f1", "#a8cce3", "#6fabd1", "#3d86bd", "#1d5f9c", "#103d6e", "#071f40")

_GREEK = {"alpha": "α", "beta": "β", "eta": "η", "lambda": "λ", "ell": "ℓ"}
_WORD = re.compile(r"(?<![A-Za-z])(alpha|beta|eta|lambda|ell)(?![A-Za-z])")
_SCRIPTS = (
    ("^2", "²"), ("sqrt(n)", "√n"), ("_tr", "ₜᵣ"), ("_te", "ₜₑ"), ("_0", "₀"), ("_1", "₁"), ("_*", "∗"),
    ("_i", "ᵢ"), ("_k", "ₖ"), ("_+", "₊"),
)  # fmt: skip


def pretty(text: str) -> str:
    """A symbol of the schema as it is printed.

    >>> pretty("s_i(F)/sqrt(n)"), pretty("L_te(F_0)")
    ('sᵢ(F)/√n', 'Lₜₑ(F₀)')
    """
    for plain, printed in _SCRIPTS:
        text = text.replace(plain, printed)
    return _WORD.sub(lambda word: _GREEK[word[0]], text)


def axis_label(name: str) -> str:
    """Symbol and long name of a variable or coordinate of the schema; a name that it does not know stays itself.

    A long name that would run past the axis is left out.

    >>> axis_label("lam")
    'λ   ridge penalty'
    """
    known = schema.COORDINATES | schema.VARIABLES | schema.DERIVED
    if name not in known:
        return name
    variable = known[name]
    if len(variable.long_name) > LONGEST_LABEL:
        return pretty(variable.symbol)
    return f"{pretty(variable.symbol)}   {pretty(variable.long_name)}"


def symbol(name: str) -> str:
    """The printed symbol of a variable or coordinate; a name that the schema does not know stays itself."""
    known = schema.COORDINATES | schema.VARIABLES | schema.DERIVED
    return pretty(known[name].symbol) if name in known else name


def ordered_colours(count: int) -> list[str]:
    """Colours of an ordered axis, light to dark.

    >>> ordered_colours(1), len(set(ordered_colours(4)))
    (['#123a6b'], 4)
    """
    if count == 1:
        return [_ORDERED[4]]
    return [_ORDERED[round(i * (len(_ORDERED) - 1) / (count - 1))] for i in range(count)]


def markers(count: int) -> list[str]:
    """One marker a series, so that a print without colour still tells them apart."""
    return list(itertools.islice(itertools.cycle(MARKERS), count))


def thin(values: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of some values, evenly by position, both ends among them.

    >>> thin(range(100), 4)
    [0, 33, 66, 99]
    """
    values = list(values)
    if len(values) <= most:
        return values
    if most == 1:
        return [values[-1]]
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def number(value: float) -> str:
    """A number for a sentence: four significant digits, no exponent where it can be helped.

    >>> number(0.1), number(1000.0), number(12345.6), number(0.00001234)
    ('0.1', '1000', '12346', '1.234e-05')
    """
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"


def place(data: xr.Dataset | xr.DataArray, names: Sequence[str]) -> str:
    """Where scalar coordinates stand: `n = 1000, λ = 0.1`."""
    parts = []
    for name in names:
        if name in data.coords and data[name].ndim == 0:
            value = data[name].item()
            parts.append(f"{symbol(name)} = {value if isinstance(value, str) else number(value)}")
    return ", ".join(parts)
