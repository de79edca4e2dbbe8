"""The table of targets sigma_*: the teacher is f_*(x) = sigma_*(x . beta_*)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from spikecube.model.activations import ACTIVATIONS, Polynomial, Spec
from spikecube.model.hermite import gaussian_quadrature, series_coefficients
from spikecube.types import Array


@dataclass(frozen=True)
class Target:
    """sigma_*(z) = sum_{k>=0} c_{*,k} H_k(z); unlike an activation it keeps its mean c_{*,0}."""

    name: str
    function: Callable[[Array], Array]
    kinks: tuple[float, ...] = ()
    polynomial: tuple[float, ...] | None = None

    def __call__(self, z: Array) -> Array:
        """The teacher's answer at z = x . beta_*, elementwise."""
        return self.function(z)

    def coefficients(self, degree: int) -> Array:
        """c_{*,0} ... c_{*,degree}; shape (degree + 1,)."""
        return series_coefficients(self.function, self.polynomial, degree, self.kinks)

    @cached_property
    def power(self) -> float:
        """E sigma_*(Z)^2 = sum_p p! c_{*,p}^2, without the label noise."""
        nodes, weights = gaussian_quadrature(self.kinks)
        return float(weights @ self.function(nodes) ** 2)


_NAMED: dict[str, tuple[float, ...]] = {
    "linear": (0.0, 1.0),
    "quadratic": (0.0, 1.0, 0.5),
    "cubic": (0.0, 1.0, 0.0, 0.25),
}

TARGETS: dict[str, Target] = {
    **{name: Target(name, Polynomial(c), polynomial=c) for name, c in _NAMED.items()},
    **{name: Target(name, a.raw, a.kinks) for name, a in ACTIVATIONS.items()},
}


def resolve_target(spec: Spec) -> Target:
    """The target that a name or a list of Hermite coefficients [c_{*,0}, c_{*,1}, ...] stands for.

    Raises
    ------
    ValueError
        If the name is unknown or the list is empty.

    Examples
    --------
    >>> resolve_target([0.0, 1.0, 0.5]).power
    1.5
    """
    if isinstance(spec, str):
        if spec not in TARGETS:
            raise ValueError(f"{spec!r} is not one of {', '.join(TARGETS)}, nor a list of Hermite coefficients")
        return TARGETS[spec]
    series = tuple(float(c) for c in spec)
    if not series:
        raise ValueError("[] has no coefficients; a target needs at least [c_0]")
    return Target("hermite", Polynomial(series), polynomial=series)
