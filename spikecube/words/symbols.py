"""The names of variables and places as they are printed: symbols from the schema, `n = 1000, λ = 0.1`."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import xarray as xr

from spikecube.cube import schema
from spikecube.text import number

LONGEST_LABEL = 50
_GREEK = {"alpha": "α", "beta": "β", "eta": "η", "lambda": "λ", "ell": "ℓ"}
_WORD = re.compile(r"(?<![A-Za-z])(alpha|beta|eta|lambda|ell)(?![A-Za-z])")
_NAME = re.compile(r"(?<![\w-])(alpha|lam|lambda)(?![\w(=])")
_MINUS = re.compile(r"(?<![\w-])-(?=\.?\d)")
_POWER = re.compile(r"\^(?:\(([^()]*)\)|([−-]?\w+))")
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
    return _WORD.sub(lambda word: _GREEK[word[0]], text).replace("^α", "ᵅ").replace("x.β", "x·β")


def greek(text: str) -> str:
    """A sentence in which the names of alpha and lambda are their letters.

    >>> greek("up to 3 per cent (at alpha = 0.45, lam = 10)")
    'up to 3 per cent (at α = 0.45, λ = 10)'
    """
    return _NAME.sub(lambda name: "α" if name[0] == "alpha" else "λ", text)


def scripts(text: str) -> str:
    """A sentence as HTML: escaped, powers and ℓ set high and low, Greek letters, minus signs.

    >>> scripts("η = n^α < n^(−1/2)"), scripts("F_ℓ ends at -0.052, alpha = 0.2")
    ('η = n<sup>α</sup> &lt; n<sup>−1/2</sup>', 'F<sub>ℓ</sub> ends at −0.052, α = 0.2')
    """
    return _POWER.sub(lambda power: f"<sup>{power[1] or power[2]}</sup>", _MINUS.sub("−", greek(cell(text))))


def cell(text: str) -> str:
    """A cell of a table as HTML: escaped, ℓ set low; numbers stay as they can be copied."""
    return html.escape(text).replace("_ℓ", "<sub>ℓ</sub>")


def symbol_of(name: str) -> str:
    """Symbol and long name of a variable or coordinate of the schema; a name that it does not know stays itself.

    A long name that would run past the axis is left out.

    >>> symbol_of("lam")
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


def label(text: str) -> str:
    """A label of a cube or a fit in words; one that has none stays itself.

    >>> label("missing_spike"), label("test_loss"), label("alignment")
    ('F − F_ℓ', 'test', 'alignment')
    """
    return _LABELS.get(text, text)


_LABELS = {
    "missing_spike": "F − F_ℓ",
    "finite_strength": "F_ℓ − limit",
    "train_loss": "training",
    "test_loss": "test",
}


def value(label: str | float) -> str:
    """A label of an axis as it is printed.

    >>> value("relu"), value(0.1)
    ('relu', '0.1')
    """
    return label if isinstance(label, str) else number(float(label))


def labels_text(data: xr.Dataset | xr.DataArray, names: Sequence[str]) -> str:
    """Where scalar coordinates stand: `n = 1000, λ = 0.1`."""
    parts = []
    for name in names:
        if name in data.coords and data[name].ndim == 0:
            parts.append(f"{symbol(name)} = {value(data[name].item())}")
    return ", ".join(parts)
