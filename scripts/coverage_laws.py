"""How often the intervals of `fit_law` and of derived numbers hold the truth, for data made up by each law.

    python scripts/coverage_laws.py [--share 1.0] [--only two_size] > docs/reference/coverage-laws.csv

`cover` is the share of 95 per cent intervals that hold the true parameter, one for each in the order of the law;
`open` that of fits with an interval that is open on one side, `reject` that of sets which the lack-of-fit test rejects
at 5 per cent, `doubted` that of sets whose status says so. A share of 95 per cent is known to 0.7 from 1,000 sets and
to 1.5 from 200. `--only derived` are numbers made from parameters.
"""

from __future__ import annotations

import argparse
import csv
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

import spikecube as sc
from spikecube.scaling.results import STATUS

HEADER = ("law", "fit", "errors", "points", "noise", "sets", "cover", "open", "reject", "doubted")
SIZES = 250 * 2.0 ** np.arange(6)
N = xr.DataArray(SIZES, dims="n", coords={"n": SIZES})
LARGE = xr.DataArray([1e7, 1e8, 3e8, 1e9, 1e10], dims="N")
LARGE = LARGE.assign_coords(N=LARGE)
MANY = xr.DataArray([1e9, 1e10, 3e10, 1e11, 1e12], dims="D")
MANY = MANY.assign_coords(D=MANY)


@dataclass(frozen=True)
class Case:
    """Data made up by a law with relative noise, and how they are fitted."""

    law: str
    params: tuple[float, ...]
    noise: float
    sets: int
    errors: str = "given"
    outliers: float = 0.0  # share of points with 20 times the noise
    options: dict[str, Any] = field(default_factory=dict)

    def clean(self) -> xr.DataArray:
        """The law at every size."""
        if self.law.startswith("two_size"):
            e, a, p, b, q, c = (*self.params, 0.0)[:6]
            return e + a * LARGE**-p + b * MANY**-q + c * LARGE**-p * MANY**-q
        first, second, *third = self.params
        return {
            "offset": lambda: first + second * N ** third[0],
            "log": lambda: first + second * np.log(N),
            "log_power": lambda: np.exp(first) * np.log(N) ** second,
        }[self.law]()

    def fits(self) -> xr.Dataset:
        """All sets fitted."""
        clean, rng = self.clean(), np.random.default_rng(zlib.crc32(repr(self).encode()))
        draws = (self.sets, *clean.shape, *([10] if self.errors == "seeds" else []))
        noise = self.noise * rng.standard_normal(draws)
        noise = np.where(rng.random(draws) < self.outliers, 20 * noise, noise)
        dims = ("set", *clean.dims, "seed")[: len(draws)]
        data = (1 + xr.DataArray(noise, dims=dims)) * clean
        dim = ("N", "D") if self.law.startswith("two_size") else "n"
        stderr = self.noise * clean if self.errors == "given" else None
        return sc.fit_law(data, self.law, dim, stderr=stderr, **self.options)

    def row(self) -> list[str]:
        """One row of the table."""
        fit = self.fits()
        solved = fit.estimate.notnull().all("param")
        inside = ((fit.ci_low <= list(self.params)) & (list(self.params) <= fit.ci_high))[solved].mean("set")
        outliers = f", {self.outliers:.0%} of the points 20 times as noisy" if self.outliers else ""
        return [
            f"{self.law}{outliers}",
            ", ".join(f"{k}={v}" for k, v in self.options.items()) or "squares",
            self.errors,
            str(self.clean().size),
            f"{self.noise:g}",
            str(self.sets),
            ", ".join(f"{share:.3f}" for share in inside.values),
            share(fit.status == STATUS["open_interval"]),
            share(fit.gof_pvalue[np.isfinite(fit.gof_pvalue)] < 0.05),
            share(fit.status == STATUS["doubted"]),
        ]


def share(hits: xr.DataArray) -> str:
    """As text, a dash where nothing was counted."""
    return f"{float(hits.mean()):.3f}" if hits.size else "-"


def cases() -> Iterator[Case]:
    """Every row of laws."""
    for errors in ("given", "none", "seeds"):
        yield Case("offset", (0.5, 3.0, -0.5), 0.003, 1000, errors)
    yield Case("offset", (-2.0, 3.0, 0.4), 0.003, 1000)
    for errors in ("given", "none"):
        yield Case("log", (1.0, 1.0), 0.02, 2000, errors)
        yield Case("log_power", (0.3, 1.5), 0.02, 2000, errors)
    plain, joined = (1.69, 406.4, 0.34, 410.7, 0.28), (0.5, 30.0, 0.25, 7.0, 0.2, 100.0)
    for errors in ("given", "none"):
        yield Case("two_size", plain, 0.005, 400, errors)
        yield Case("two_size_interaction", joined, 0.003, 300, errors)
    huber = {"loss": "huber"}
    yield Case("two_size", plain, 0.005, 200, "none", options=huber)
    for options in ({}, huber):
        yield Case("two_size", plain, 0.005, 200, "none", 0.1, options)
    yield Case("two_size_interaction", joined, 0.003, 150, "none", 0.1, huber)


def step(theta: xr.DataArray) -> xr.DataArray:
    """The difference of the exponents of two curves."""
    return theta.sel(param="exponent", drop=True).diff("k").isel(k=0, drop=True)


def zero(theta: xr.DataArray) -> xr.DataArray:
    """Where the line of the exponents along k vanishes."""
    line = theta.sel(param="exponent", drop=True).polyfit("k", 1).polyfit_coefficients
    return -line.sel(degree=0, drop=True) / line.sel(degree=1, drop=True)


def derived_rows(part: float) -> Iterator[list[str]]:
    """Ratios, differences and thresholds; of curves that share 0.05 of noise beside 0.02 of their own."""
    sets, rng = max(int(500 * part), 1), np.random.default_rng(5)
    case = Case("offset", (0.5, 3.0, -0.5), 0.003, sets)
    ratio = sc.derived(case.fits(), "amplitude/offset")
    yield derived_row("offset: amplitude/offset", "given", "6", [ratio], 6.0)
    k = xr.DataArray([1.0, 2.0, 3.0, 4.0], dims="k").assign_coords(k=[1.0, 2.0, 3.0, 4.0])
    for number, few, truth in ((step, k[:2], 0.2), (zero, k, 2.5)):
        for seeds in (5, 20):
            found = []
            for _ in range(sets):
                common = xr.DataArray(rng.standard_normal((6, seeds)), dims=("n", "seed"))
                own = xr.DataArray(rng.standard_normal((len(few), 6, seeds)), dims=("k", "n", "seed"))
                data = (1 + 0.05 * common + 0.02 * own) * N ** ((few - 2.5) / 5)
                found.append(sc.derived(sc.fit_power_law(data, draws=True), number))
            yield derived_row(f"power: {number.__name__} of exponents", f"{seeds} shared seeds", "6", found, truth)


def derived_row(law: str, errors: str, points: str, found: list[xr.Dataset], truth: float) -> list[str]:
    """One row for numbers of many sets."""
    low, high = (np.concatenate([f[end].values.ravel() for f in found]) for end in ("ci_low", "ci_high"))
    inside, is_open = (low <= truth) & (truth <= high), np.isinf(low) | np.isinf(high)
    shares = f"{inside.mean():.3f}", f"{is_open.mean():.3f}"
    return [law, "derived", errors, points, "0.003" if "offset" in law else "0.05", str(len(low)), *shares, "-", "-"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the sets of each row")
    parser.add_argument("--only", default="", help="one law")
    options = parser.parse_args()
    write = csv.writer(sys.stdout, lineterminator="\n").writerow
    write(HEADER)
    for case in cases():
        if options.only in ("", case.law):
            fewer = Case(**{**case.__dict__, "sets": max(int(case.sets * options.share), 1)})
            write(fewer.row())
            sys.stdout.flush()
    if options.only in ("", "derived"):
        for row in derived_rows(options.share):
            write(row)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
