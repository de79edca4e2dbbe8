"""What a design is to reach: one estimate with the half-width of its 95 per cent interval, as a line of text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from spikecube.scaling.errors import FitError

_LOSS = r"(?P<variable>train_loss|test_loss)"
_KINDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "exponent": ("exponent = H", "exponent", ()),
    "limit": ("limit = H", "limit", ()),
    "mean": ("mean n=N = H", "mean", ("n",)),
    "outlier": ("outlier K exponent alpha=A = H", r"outlier (?P<degree>\d+) exponent", ("alpha",)),
    "alignment": ("alignment K exponent alpha=A = H", r"alignment (?P<degree>\d+) exponent", ("alpha",)),
    "norm": ("norm K exponent alpha=A = H", r"norm (?P<degree>\d+) exponent", ("alpha",)),
    "threshold": ("threshold K = H", r"threshold (?P<degree>\d+)", ()),
    "loss limit": ("train_loss|test_loss limit alpha=A lam=L = H", rf"{_LOSS} limit", ("alpha", "lam")),
    "loss gap": ("train_loss|test_loss gap exponent alpha=A lam=L = H", rf"{_LOSS} gap exponent", ("alpha", "lam")),
    "loss": ("train_loss|test_loss n=N alpha=A lam=L = H", _LOSS, ("alpha", "lam", "n")),
    "share": ("share K n=N alpha=A = H", r"share (?P<degree>\d+)", ("alpha", "n")),
    "value": ("mean VARIABLE n=N AXIS=LABEL ... = H", r"mean (?P<variable>[a-z]\w*)", ("n",)),
}
"""The form of each kind of target, as sentences show it, its words as a pattern, and the labels that it needs."""
_FURTHER = ("loss", "share", "value")  # kinds that take labels of any further axes
_LABEL = re.compile(r"\b([a-z_]+)\s*=\s*([^\s=]+)")


@dataclass(frozen=True)
class Wanted:
    """One estimate and how well it shall be known.

    Attributes
    ----------
    kind : a key of the table of kinds.
    text : what was written.
    half_width : of the 95 per cent interval, in units of the estimate; > 0.
    variable : "train_loss" or "test_loss" where the kind has one, or a measured variable.
    degree : of the spike, the ell of F_ell for a norm, how many outliers a draw of a share has at least, or 0.
    labels : the points along the axes of a cube; texts for axes of names.
    """

    kind: str
    text: str
    half_width: float
    variable: str = ""
    degree: int = 0
    labels: dict[str, Any] = field(default_factory=dict)


def parse_targets(text: str | Sequence[str]) -> list[Wanted]:
    """The targets in a text, separated by semicolons, or in a list of texts.

    Raises
    ------
    ValueError
        One sentence with what was given and the forms that are allowed.

    Examples
    --------
    >>> target = parse_targets("outlier 2 exponent alpha=0.39 = 0.01")[0]
    >>> target.kind, target.degree, target.labels, target.half_width
    ('outlier', 2, {'alpha': 0.39}, 0.01)
    """
    parts = [p.strip() for t in ([text] if isinstance(text, str) else text) for p in t.split(";")]
    found = [_parsed(p) for p in parts if p]
    if not found:
        raise FitError(f"no target was given; allowed: {_forms()}")
    return found


def relaxed(target: Wanted, factor: float) -> Wanted:
    """The same target with its half-width times a factor.

    >>> relaxed(parse_targets("exponent = 0.01")[0], 2.0).text
    'exponent = 0.02'
    """
    return _parsed(f"{target.text.rpartition('=')[0].strip()} = {target.half_width * factor!r}")


def _parsed(text: str) -> Wanted:
    head, separator, width = text.rpartition("=")
    if not separator or not head.strip():
        raise FitError(f"target {text!r} has no half-width after its last '='; allowed: {_forms()}")
    half_width = _number(width, f"the half-width of target {text!r}")
    if not half_width > 0:
        raise FitError(f"the half-width of target {text!r} must be above 0, got {width.strip()}")
    labels = {name: _label(name, value, text) for name, value in _LABEL.findall(head)}
    words = " ".join(_LABEL.sub(" ", head).split())
    for kind, (form, pattern, needed) in _KINDS.items():
        match = re.fullmatch(pattern, words)
        if match and (set(labels) >= set(needed) if kind in _FURTHER else set(labels) == set(needed)):
            named = match.groupdict()
            return Wanted(kind, text, half_width, named.get("variable") or "", int(named.get("degree") or 0), labels)
        if match and kind != "loss":
            labels_needed = " and ".join(f"{n}=..." for n in needed) or "no label"
            raise FitError(f"target {text!r} needs {labels_needed}; allowed: {form}")
    raise FitError(f"target {text!r} is not understood; allowed: {_forms()}")


def _label(name: str, value: str, text: str) -> float | str:
    """A number, or the name of one of a study's models: its activation, say, or a target like [0,1,0.5]."""
    named = name not in ("alpha", "n", "lam") and (value[0].isalpha() or value[0] == "[")
    return value if named else _number(value, f"{name} of target {text!r}")


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FitError(f"{what} is no number: {text.strip()!r}")
    return value


def _forms() -> str:
    return "; ".join(form for form, _, _ in _KINDS.values())
