"""The one model: what the network, its target and its step are, in the units of the study file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from spikecube.model.activations import ACTIVATIONS, Spec, resolve_activation
from spikecube.model.checks import Mistake, StudyError, mistake, plain, unknown_key, unknown_name
from spikecube.model.targets import TARGETS


def _rule(allowed: str, read: Callable[[Any], Any]) -> dict[str, Any]:
    """Metadata of a field: what is allowed, in words, and what makes of a plain value the one accepted form."""
    return {"allowed": allowed, "read": read}


def _number(value: Any) -> float:
    """A finite number; a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise ValueError
    return float(value)


def _above_zero(*, or_zero: bool) -> Callable[[Any], float]:
    """Reads a number > 0, or one >= 0."""

    def read(value: Any) -> float:
        number = _number(value)
        if number < 0 or (number == 0 and not or_zero):
            raise ValueError
        return number

    return read


def _spec(names: Collection[str]) -> dict[str, Any]:
    """A field that takes one of the names, or a list of at least one number."""

    def read(value: Any) -> Spec:
        if isinstance(value, str) and value not in names:
            raise ValueError(unknown_name(value, names))
        if isinstance(value, str):
            return value
        if not isinstance(value, tuple) or not value:
            raise ValueError
        return tuple(map(_number, value))

    return _rule(f"one of {', '.join(names)}, or a list of Hermite coefficients [c_0, c_1, ...]", read)


def _activation(value: Any) -> Spec:
    """A spec whose c_1 is not 0."""
    spec: Spec = _spec(ACTIVATIONS)["read"](value)
    resolve_activation(spec)
    return spec


def _choice(*names: str) -> dict[str, Any]:
    """A field that takes one of a few names."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError
        if value not in names:
            raise ValueError(unknown_name(value, names))
        return value

    return _rule(f"{', '.join(names[:-1])} or {names[-1]}", read)


_POSITIVE = _rule("a number > 0", _above_zero(or_zero=False))
_NOT_NEGATIVE = _rule("a number >= 0", _above_zero(or_zero=True))


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network, its target and its step: the scalars of [model]. Dimensionless; sizes are ratios to n.

    Attributes
    ----------
    activation, target : a name or Hermite coefficients [c_0, c_1, ...]; activations are always centred.
    noise : standard deviation of the label noise.
    dim_ratio, width_ratio, step_ratio : d/n, N/n and n_0/n.
    eta_scale : eta_0 of the step size eta_0 n^alpha.
    target_direction : the law of beta_*, `gaussian` or `sphere`.
    initial_output : `vanishing` or `full`.
    readout : the law of the second layer, `gaussian`, `rademacher` or `constant`.

    Raises
    ------
    StudyError
        With one sentence a mistake: its key, what was given and what is allowed.

    Examples
    --------
    >>> Model(activation="tanh", width_ratio=2.0).width(500)
    1000
    """

    activation: Spec = field(default="relu", metadata=_spec(ACTIVATIONS) | {"read": _activation})
    target: Spec = field(default=(0.0, 1.0, 0.5), metadata=_spec(TARGETS))
    noise: float = field(default=0.5, metadata=_NOT_NEGATIVE)
    dim_ratio: float = field(default=0.5, metadata=_POSITIVE)
    width_ratio: float = field(default=1.0, metadata=_POSITIVE)
    eta_scale: float = field(default=1.0, metadata=_POSITIVE)
    target_direction: str = field(default="gaussian", metadata=_choice("gaussian", "sphere"))
    initial_output: str = field(default="vanishing", metadata=_choice("vanishing", "full"))
    readout: str = field(default="gaussian", metadata=_choice("gaussian", "rademacher", "constant"))
    step_ratio: float = field(default=1.0, metadata=_POSITIVE)

    def __new__(cls, **given: Any) -> Self:
        """Refuses every mistake at once, unknown keys too, which `__init__` would not accept."""
        problems = model_mistakes(given)
        if problems:
            raise StudyError(problems)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, f.metadata["read"](plain(getattr(self, f.name))))

    def dim(self, n: int) -> int:
        """d = round(phi n)."""
        return round(self.dim_ratio * n)

    def width(self, n: int) -> int:
        """N = round(n width_ratio)."""
        return round(self.width_ratio * n)

    def step_samples(self, n: int) -> int:
        """n_0 = round(n step_ratio), the samples of the gradient batch."""
        return round(self.step_ratio * n)

    def eta(self, n: int, alpha: float) -> float:
        """The step size eta_0 n^alpha."""
        return float(self.eta_scale * float(n) ** alpha)


ALLOWED: dict[str, str] = {f.name: f.metadata["allowed"] for f in fields(Model)}
"""What each field of a model may be, in words."""


def model_mistakes(given: Mapping[str, Any]) -> list[Mistake]:
    """One for each mistaken field, then one for each unknown key."""
    problems = []
    for f in fields(Model):
        try:
            f.metadata["read"](plain(given.get(f.name, f.default)))
        except ValueError as error:
            problems.append(mistake(f.name, given[f.name], f.metadata["allowed"], str(error)))
    return problems + [unknown_key(key, ALLOWED) for key in given if key not in ALLOWED]
