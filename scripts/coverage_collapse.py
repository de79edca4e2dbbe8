"""The rows of `coverage.py` that are collapses and crossings: made-up curves whose parameters are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.scaling import collapse, crossings

BATCH = 100

Drawn = tuple[xr.DataArray | dict[str, xr.DataArray], Any]


def plane(sizes: np.ndarray, x: np.ndarray, y: np.ndarray) -> xr.DataArray:
    """Curves with their labels."""
    return xr.DataArray(y, dims=("n", "x"), coords={"n": sizes, "x": x})


@dataclass(frozen=True)
class CollapseCase:
    """Six sizes of 25 points that collapse: y = n^{zeta/nu} f((x - critical) n^{1/nu}), or f((x - critical) ln n).

    f is 1 + e^{2u} for the logarithm, and 1 - tanh(u/3) for powers. With seeds there are 5 per cent of noise shared
    along x beside the noise that is not; without, the noise is the known error. The first parameter of `truth` is the
    one whose coverage and p-values come first.
    """

    group: str
    ansatz: str
    noise: float
    seeds: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    said: str = ""
    sizes: int = 6

    @property
    def truth(self) -> dict[str, float]:
        return {"critical": 0.25} if self.ansatz == "log" else {"nu": 1.3, "critical": 0.45, "zeta": -0.125}

    @property
    def name(self) -> str:
        return "y = f((x - x_c) ln n)" if self.ansatz == "log" else "y = n^(zeta/nu) f((x - x_c) n^(1/nu))"

    def clean(self) -> xr.DataArray:
        if self.ansatz == "log":
            n, x = np.geomspace(200, 3200, 6).round(), np.linspace(0.0, 0.5, 25)
            y = 1 + np.exp(2 * (x - self.truth["critical"]) * np.log(n)[:, None])
        else:
            n, x = np.geomspace(16, 192, 6).round(), np.linspace(0.2, 0.8, 25)
            nu, critical, zeta = self.truth.values()
            y = n[:, None] ** (zeta / nu) * (1 - np.tanh((x - critical) * n[:, None] ** (1 / nu) / 3))
        return plane(n, x, y)

    def draw(self, rng: np.random.Generator) -> Drawn:
        y = self.clean()
        if not self.seeds:
            return y + self.noise * rng.standard_normal(y.shape), xr.DataArray(self.noise)
        shared = xr.DataArray(1 + 0.05 * rng.standard_normal((6, self.seeds)), dims=("n", "seed"))
        own = xr.DataArray(self.noise * rng.standard_normal((6, 25, self.seeds)), dims=("n", "x", "seed"))
        return y * shared + own, None

    def fit(self, data: Any, stderr: Any) -> xr.Dataset:
        return collapse(data, "n", "x", self.ansatz, stderr=stderr, **self.options)

    def table(self, fit: xr.Dataset) -> tuple[np.ndarray, ...]:
        """Estimates, errors, degrees of freedom and ends of the intervals, in the order of `truth`."""
        own = fit.sel(param=list(self.truth))
        return tuple(own[v].values for v in ("estimate", "stderr", "t_dof", "ci_low", "ci_high"))

    def batch(self, number: int) -> np.ndarray:
        """The sets of one batch, drawn from a stream of its own; (BATCH, 3 + 2 p)."""
        rng, truth = np.random.default_rng([3 if self.ansatz == "log" else 4, number]), list(self.truth.values())
        rows = []
        for _ in range(BATCH):
            fit = self.fit(*self.draw(rng))
            estimate, stderr, dof, low, high = self.table(fit)
            pvalue = 2 * stats.t.sf(abs(estimate[0] - truth[0]) / stderr[0], dof[0])
            is_open = ~(np.isfinite(low) & np.isfinite(high))
            doubted = np.any(fit.status != 0)
            rows.append([np.ravel(fit.gof_pvalue)[0], pvalue, doubted, *((low <= truth) & (truth <= high)), *is_open])
        return np.array(rows)

    def row(self, n_sets: int, keep: Path | None = None) -> str:
        """Coverage, lack of fit and uniformity of p-values; batches that stand in `keep` are not made again."""
        found = []
        for number in range(-(-n_sets // BATCH)):
            stored = None if keep is None else keep / f"{self.group}-{number}.npy"
            values = np.load(stored) if stored is not None and stored.exists() else self.batch(number)
            if stored is not None:
                np.save(stored, values)
            found.append(values)
        table = np.concatenate(found)[:n_sets]
        gof, pvalues, doubted = table[:, :3].T
        inside, is_open = np.split(table[:, 3:], 2, axis=1)
        first, *others = inside.mean(0)
        rejected, uniform = f"{np.mean(gof < 0.05):.3f}", f"{stats.kstest(gof, 'uniform').pvalue:.2f}"
        if not np.isfinite(gof).all():
            rejected = uniform = "-"
        what = ", ".join(filter(None, ("collapse", self.said, f"{doubted.mean():.3f} doubted")))
        return (
            f"| {self.name} | {what} | {self.sizes} | {self.seeds or '-'} | "
            f"{'5 %' if self.seeds else f'{self.noise:g}'} | {first:.3f} | "
            f"{', '.join(f'{i:.3f}' for i in others) or '-'} | {is_open.any(1).mean():.3f} | {rejected} | "
            f"{stats.kstest(pvalues, 'uniform').pvalue:.2f} | {uniform} |"
        )


@dataclass(frozen=True)
class NoErrors(CollapseCase):
    """The same noise at all points, of which nothing is said."""

    def draw(self, rng: np.random.Generator) -> Drawn:
        return super().draw(rng)[0], None


@dataclass(frozen=True)
class Corrected(CollapseCase):
    """Five sizes of 25 points with a correction g(u) = f(u) + 2 e^{-u^2/8}, times 1/n or 16/n^2.

    A field of u = (x - x_c) (1 + field (x - x_c)) n^{1/nu} that is not 0 is one of the parameters, and so is the
    exponent of a correction that is free.
    """

    sizes: int = 5
    omega: float = 1.0
    bend: float = 0.0

    @property
    def truth(self) -> dict[str, float]:
        free = {"correction_exponent": self.omega} if self.options.get("correction") == "free" else {}
        return super().truth | free | ({"field": self.bend} if self.bend else {})

    @property
    def name(self) -> str:
        over = "g(u)/n" if self.omega == 1 else "16 g(u)/n^2"
        return f"y = n^(zeta/nu) (f(u) + {over})" + (", u curved" if self.bend else "")

    def clean(self) -> xr.DataArray:
        n, x = np.geomspace(16, 256, 5).round(), np.linspace(0.25, 0.65, 25)
        nu, critical, zeta = super().truth.values()
        field = (x - critical) * (1 + self.bend * (x - critical))
        u, over = field * n[:, None] ** (1 / nu), (16 / n[:, None]) ** self.omega / 16
        y = (1 - np.tanh(u / 3)) * (1 + over) + 2 * np.exp(-(u**2) / 8) * over
        return plane(n, x, n[:, None] ** (zeta / nu) * y)


@dataclass(frozen=True)
class Shared(CollapseCase):
    """Known errors of which four fifths (of the square) are one draw for all controls of a size."""

    def draw(self, rng: np.random.Generator) -> Drawn:
        y = self.clean()
        own, same = 0.2**0.5 * rng.standard_normal(y.shape), 0.8**0.5 * rng.standard_normal((len(y), 1))
        return y + self.noise * (own + same), xr.DataArray(self.noise)


@dataclass(frozen=True)
class Known(Shared):
    """The same with their covariance."""

    def fit(self, data: Any, stderr: Any) -> xr.Dataset:
        count = data.sizes["x"]
        return collapse(data, "n", "x", covariance=self.noise**2 * (0.2 * np.eye(count) + 0.8))


@dataclass(frozen=True)
class TwoObservables(CollapseCase):
    """A second observable n^{0.6/nu} e^{-u^2/8} with the same errors relative to its largest value."""

    @property
    def truth(self) -> dict[str, float]:
        return {"nu": 1.3, "critical": 0.45, "zeta": -0.125, "zeta_2": 0.6}

    @property
    def name(self) -> str:
        return "two observables, each n^(zeta/nu) f(u)"

    def clean(self) -> xr.DataArray:
        return Corrected("", "power", 0.0).clean()

    def draw(self, rng: np.random.Generator) -> Drawn:
        n, x = np.geomspace(16, 256, 5).round(), np.linspace(0.25, 0.65, 16)
        u = (x - 0.45) * n[:, None] ** (1 / 1.3)
        m = n[:, None] ** (-0.125 / 1.3) * (1 - np.tanh(u / 3))
        chi = n[:, None] ** (0.6 / 1.3) * np.exp(-(u**2) / 8)
        errors = self.noise * n[:, None] ** (0.6 / 1.3) + 0 * u
        noisy = [m + self.noise * rng.standard_normal(u.shape), chi + errors * rng.standard_normal(u.shape)]
        data = {name: plane(n, x, y) for name, y in zip(("m", "chi"), noisy, strict=True)}
        return data, {"m": xr.DataArray(self.noise), "chi": plane(n, x, errors)}

    def table(self, fit: xr.Dataset) -> tuple[np.ndarray, ...]:
        m, chi = (fit.sel(observable=name) for name in ("m", "chi"))
        return tuple(
            np.append(m[v].sel(param=["nu", "critical", "zeta"]), chi[v].sel(param="zeta"))
            for v in ("estimate", "stderr", "t_dof", "ci_low", "ci_high")
        )


@dataclass(frozen=True)
class Crossings(CollapseCase):
    """Six sizes of 31 points, y = tanh(u/3) + 1/n: curves of n and 2n cross at A n^-(1 + 3/4)."""

    @property
    def truth(self) -> dict[str, float]:
        return {"critical": 0.0, "exponent": 1.75}

    @property
    def name(self) -> str:
        return "y = tanh(u/3) + 1/n"

    def clean(self) -> xr.DataArray:
        n, x = 2.0 ** np.arange(3, 9), np.linspace(-0.3, 0.3, 31)
        return plane(n, x, np.tanh(x * n[:, None] ** 0.75 / 3) + 1 / n[:, None])

    def fit(self, data: Any, stderr: Any) -> xr.Dataset:
        return crossings(data, "n", "x", stderr=stderr)


AUTO, CURVED = {"window": "auto"}, {"correction": 1.0, "curved": True}
COLLAPSES = (
    CollapseCase("collapse", "log", 0.02),
    CollapseCase("collapse-5", "log", 0.02, 5),
    CollapseCase("collapse-12", "log", 0.02, 12),
    CollapseCase("collapse-40", "log", 0.02, 40),
    CollapseCase("collapse-power-0.005", "power", 0.005),
    CollapseCase("collapse-power-0.02", "power", 0.02),
    NoErrors("collapse-none", "power", 0.005, said="no errors"),
    Corrected("collapse-corrected", "power", 0.005, options={"correction": 1.0}, said="correction=1"),
    Corrected("collapse-free", "power", 0.005, options={"correction": "free"}, said='correction="free"'),
    Corrected("collapse-curved", "power", 0.003, options=CURVED, said="correction=1, curved", bend=0.8),
    Corrected("collapse-misfit", "power", 0.005, said="no correction"),
    CollapseCase("collapse-auto", "power", 0.005, options=AUTO, said='window="auto"'),
    Corrected("collapse-auto-corrected", "power", 0.01, options=AUTO, said='window="auto"', omega=2.0),
    Corrected("collapse-auto-misfit", "power", 0.01, said="no correction", omega=2.0),
    Shared("collapse-shared", "power", 0.02, options={"shared": "n"}, said='shared="n"'),
    Shared("collapse-unshared", "power", 0.02, said="taken for independent"),
    Known("collapse-covariance", "power", 0.02, said="covariance="),
    TwoObservables("collapse-two", "power", 0.005, said="joint", sizes=5),
    Crossings("crossings", "power", 0.005, said="crossings"),
)
