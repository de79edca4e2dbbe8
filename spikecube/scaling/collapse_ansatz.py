"""The scaling forms of a collapse: scaled variables of points at given parameters, and how they move with these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from spikecube.scaling.types import Array

_LARGEST = 300.0  # of the logarithm of a prefactor, on the way to a minimum


@dataclass(frozen=True)
class Places:
    """P points at given parameters: y = e^prefactor (f(u) + decay g(u)), each of shape (P,), or their slopes (P, p)."""

    u: Array
    prefactor: Array
    decay: Array | None


@dataclass(frozen=True)
class Ansatz:
    """y = n^{zeta/nu} f(u) with u = (x - critical) L(n), L = n^{1/nu} (`power`) or ln n and zeta = 0 (`log`).

    A parameter `field` c bends the field, u = (x - critical)(1 + c (x - critical)) L(n). With `omega` or a parameter
    `correction_exponent`, f(u) + n^{-omega} g(u) stands for f(u). Several observables, numbered by `part`, have curves
    of their own and, with powers, each its own zeta: zeta_m, zeta_chi for the `observables` m and chi.
    """

    name: str
    params: tuple[str, ...]
    formula: str
    omega: float | None = None
    observables: tuple[str, ...] = ()
    when: str = ""

    def of(self, observables: tuple[str, ...]) -> Ansatz:
        """The same for several observables."""
        own = [f"zeta_{name}" for name in observables]
        params = [p for name in self.params for p in (own if name == "zeta" else [name])]
        return replace(self, params=tuple(params), observables=observables)

    @property
    def corrected(self) -> bool:
        """Whether there is a g."""
        return self.omega is not None or "correction_exponent" in self.params

    @property
    def zetas(self) -> list[int]:
        """Where the exponents of the prefactors stand, that of each part."""
        return [j for j, name in enumerate(self.params) if name.partition("_")[0] == "zeta"]

    def rows(self, part: int) -> list[int]:
        """Where the parameters of one part stand, in the order of `names`."""
        other = [j for k, j in enumerate(self.zetas) if k != part]
        return [j for j in range(len(self.params)) if j not in other]

    @property
    def names(self) -> list[str]:
        """The parameters of one part."""
        return ["zeta" if j in self.zetas else self.params[j] for j in self.rows(0)]

    def named(self, theta: Array) -> Mapping[str, float]:
        """The parameters by name."""
        return dict(zip(self.params, theta.tolist(), strict=True))

    def places(self, theta: Array, size: Array, control: Array, part: Array | int = 0) -> Places:
        """Where the points stand."""
        values, logs = self.named(theta), np.log(size)
        away = control - values["critical"]
        if "field" in values:
            away = away * (1 + values["field"] * away)
        if self.name == "log":
            u, prefactor = away * logs, np.zeros(_u_shape(size, control))
        else:
            u = away * np.exp(logs / values["nu"])
            zeta = theta[self.zetas][part]
            prefactor = np.minimum(np.maximum(zeta / values["nu"] * logs, -_LARGEST), _LARGEST) + np.zeros_like(u)
        omega = values.get("correction_exponent", self.omega)
        return Places(u, prefactor, None if omega is None else np.exp(-omega * logs))

    def slopes(self, theta: Array, size: Array, control: Array, part: Array) -> Places:
        """Derivatives of u, prefactor and decay in all parameters."""
        values, logs, away = self.named(theta), np.log(size), control - theta[0]
        field = values.get("field", 0.0)
        stretch = logs if self.name == "log" else np.exp(logs / values["nu"])
        u, prefactor, decay = (np.zeros((len(size), len(theta))) for _ in range(3))
        for j, name in enumerate(self.params):
            if name == "critical":
                u[:, j] = -(1 + 2 * field * away) * stretch
            elif name == "field":
                u[:, j] = away**2 * stretch
            elif name == "nu":
                u[:, j] = -away * (1 + field * away) * stretch * logs / theta[j] ** 2
                prefactor[:, j] = -theta[self.zetas][part] * logs / theta[j] ** 2
            elif name == "correction_exponent":
                decay[:, j] = -logs * np.exp(-theta[j] * logs)
        for k, j in enumerate(self.zetas):
            prefactor[:, j] = np.where(part == k, logs / values["nu"], 0.0)
        return Places(u, prefactor, decay if self.corrected else None)

    def allows(self, theta: Array) -> bool:
        """Whether theta is inside the domain of the search."""
        values = self.named(theta)
        return 0.02 < abs(values.get("nu", 1.0)) < 50 and 0.05 < values.get("correction_exponent", 1.0) < 10


def _u_shape(size: Array, control: Array) -> tuple[int, ...]:
    """The shape of u."""
    return np.broadcast_shapes(np.shape(size), np.shape(control))


ANSATZE = {
    "power": Ansatz(
        "power",
        ("critical", "nu", "zeta"),
        "y = n^(zeta/nu) f((x - critical) n^(1/nu))",
        when="a transition whose width shrinks as a power of the size",
    ),
    "log": Ansatz(
        "log",
        ("critical",),
        "y = f((x - critical) ln n)",
        when="spikes, whose thresholds sharpen with the logarithm of n",
    ),
}
