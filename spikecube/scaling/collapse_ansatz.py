"""The scaling forms of a collapse: scaled variables of points at given parameters, and parameters with their errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from spikecube.scaling.profiles import fieller
from spikecube.scaling.regression import LEVEL
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
            u, prefactor = away * logs, np.zeros_like(away * logs)
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


DERIVED = ("1/nu", "zeta/nu")
DERIVED_VARIABLES = ("derived_estimate", "derived_stderr", "derived_low", "derived_high")


def parameter_table(form: Ansatz, theta: Array, covariance: Array, t_dof: Array, expected: Array) -> dict[str, Array]:
    """Estimates, errors, intervals and p-values of all parameters, (p,) each.

    Powers of n in the law are 1/nu and zeta/nu, in which it is nearly linear: the interval of nu is that of 1/nu, and
    zeta = (zeta/nu)/(1/nu) has that of Fieller, so that both go to infinity where 1/nu may be 0.

    References
    ----------
    Fieller, J. R. Stat. Soc. B 16 (1954) 175.
    """
    stderr = np.sqrt(np.diag(covariance))
    free = stderr > 0
    reach = np.asarray(stats.t.ppf((1 + LEVEL) / 2, t_dof))
    low, high = theta - reach * stderr, theta + reach * stderr
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (theta - expected) / stderr
        distance = np.abs(z)
        for j, name in enumerate(form.params):
            if name == "nu" and free[j]:
                low[j], high[j] = _inverted(1 / theta[j], reach[j] * stderr[j] / theta[j] ** 2)
                distance[j] *= np.abs(theta[j] / expected[j])
            elif j in form.zetas and free[j] and free[1]:
                powers, spread = _powers_of(form, theta, covariance, form.zetas.index(j))
                low[j], high[j] = fieller(powers, spread, reach[j])
                direction = np.array([-expected[j], 1.0])
                distance[j] = np.abs(direction @ powers) / np.sqrt(direction @ spread @ direction)
    return {
        "estimate": theta,
        "stderr": np.where(free, stderr, np.nan),
        "ci_low": np.where(free, low, np.nan),
        "ci_high": np.where(free, high, np.nan),
        "pvalue": np.where(free, 2 * stats.t.sf(distance, t_dof), np.nan),
        "expected": expected,
        "z": np.where(free, z, np.nan),
        "t_dof": t_dof,
    }


def _powers_of(form: Ansatz, theta: Array, covariance: Array, part: int) -> tuple[Array, Array]:
    """(1/nu, zeta/nu) of one part, and their covariance (2, 2) to first order."""
    places = [form.params.index("nu"), form.zetas[part]]
    nu, zeta = theta[places]
    slope = np.array([[-1 / nu**2, 0.0], [-zeta / nu**2, 1 / nu]])
    return np.array([1 / nu, zeta / nu]), _through(slope, covariance[np.ix_(places, places)])


def _through(slope: Array, covariance: Array) -> Array:
    """slope covariance slope^T, where an infinite variance makes infinite what depends on it."""
    unknown = np.isinf(np.diag(covariance))
    known = np.where(np.outer(~unknown, ~unknown), covariance, 0.0)
    found = slope @ known @ slope.T
    lost = (slope[:, unknown] != 0).any(1)
    found[lost, lost] = np.inf
    return np.asarray(found)


def derived_table(form: Ansatz, theta: Array, covariance: Array, t_dof: Array, part: int) -> dict[str, Array]:
    """1/nu and zeta/nu of one part, with errors and intervals; (2,) each."""
    powers, spread = _powers_of(form, theta, covariance, part)
    dof = np.array([t_dof[1], min(t_dof[1], t_dof[form.zetas[part]])])
    stderr = np.sqrt(np.diag(spread))
    stderr = np.where(stderr > 0, stderr, np.nan)
    reach = stats.t.ppf((1 + LEVEL) / 2, dof) * stderr
    return dict(zip(DERIVED_VARIABLES, (powers, stderr, powers - reach, powers + reach), strict=True))


def _inverted(centre: float, reach: float) -> tuple[float, float]:
    """The ends of 1/x for x within reach of a centre; infinite on the side of 0 if that is among them."""
    low, high = centre - reach, centre + reach
    if low * high > 0:
        return 1 / high, 1 / low
    return (1 / high, np.inf) if centre > 0 else (-np.inf, 1 / low)
