"""How often the intervals of the scaling fits hold the truth, and how often the lack-of-fit test rejects.

    python scripts/coverage.py [--sets 2000] [--only power] [--seeds 5] [--keep DIR]

Every row is a configuration of synthetic data with known truth. `cover` is the share of 95 per cent intervals that hold
the true parameter, `open` the share of fits with an interval that is open on one side, `reject` that of data sets which
the lack-of-fit test rejects at 5 per cent, and the two KS columns are p-values of Kolmogorov-Smirnov tests that the
p-values of the exponent (against its true value) and of the lack of fit are uniform. With 2,000 sets the standard error
of a share of 95 or 5 per cent is 0.5 per cent.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.cube.assemble import empty_cube
from spikecube.scaling import fit_power_law, fit_thresholds
from spikecube.scaling.fit_scale import fit_curves, on_scale
from spikecube.scaling.labelled_fits import fit_sample
from spikecube.scaling.laws import FREE_CORRECTION, LIMIT, POWER, Law, corrected_power, known_limit
from spikecube.scaling.samples import Sample, from_data
from spikecube.study.study import Study

sys.path.insert(0, str(Path(__file__).parent))

from coverage_collapse import COLLAPSES

HEADER = "| data | fit | sizes | seeds | noise | cover exponent | cover others | open | reject | KS p | KS fit |"
CHUNK = 500

FITS = {
    "power": "C n^b",
    "corrected_power": "C n^b (1 + D/n)",
    "limit": "L + A n^b, b free",
    "known_limit": "L + A n^-0.5",
    "free_correction": "C n^b (1 + D n^-omega)",
}

THRESHOLDS = """
axes.alpha = { start = 0.05, stop = 0.45, num = 9 }
axes.n = [200, 400, 800, 1600]
axes.seed = 20
axes.lam = [0.1]
measure.rank = 3
measure.degree = 2
"""
TRUTH = [0.25, 0.6, 8.0]  # critical, offset, sharpness

Drawn = tuple[xr.DataArray, xr.DataArray | None, xr.DataArray | None]


@dataclass(frozen=True)
class Case:
    """One row: the true law and its parameters, the law fitted, and how the data are made."""

    group: str
    data: str
    truth: Callable[[np.ndarray], np.ndarray]
    law: Law
    params: tuple[float, ...]
    sizes: int
    seeds: int
    noise: float
    errors: str = "seeds"  # seeds, known, or none
    skew: bool = False
    slope: float = -0.25  # of the noise in n
    bump: float = 1.0  # how many times noisier the middle size is
    holds: bool = True
    n_min: str = ""  # "auto", or "alone" for what the chosen window would say by itself

    def draw(
        self, rng: np.random.Generator, n_sets: int
    ) -> tuple[xr.DataArray, xr.DataArray | None, xr.DataArray | None]:
        """Data (copy, n[, seed]), their known errors, and control variates."""
        n = np.geomspace(250, 4000, self.sizes).round()
        clean = self.truth(n)
        level = self.noise * np.abs(clean) * (n / n[0]) ** self.slope
        level = np.full_like(level, self.noise) if self.group == "gap" else level
        level[self.sizes // 2] *= self.bump
        coords = {"n": n}
        if self.errors != "seeds":
            values = clean + level * rng.standard_normal((n_sets, self.sizes))
            known = xr.DataArray(level, dims="n", coords=coords) if self.errors == "known" else None
            return xr.DataArray(values, dims=("copy", "n"), coords=coords), known, None
        shape = (n_sets, self.sizes, self.seeds)
        draws = rng.chisquare(4, shape) / np.sqrt(8) - np.sqrt(2) if self.skew else rng.standard_normal(shape)
        controls = None
        if self.group == "control":
            z = rng.standard_normal((2, self.sizes, self.seeds))
            draws = 0.5 * draws + 0.7 * z[0] + 0.4 * z[1] + 0.2 * (z[0] ** 2 - 1)
            names = {"control": ["a", "b"], "seed": range(self.seeds), **coords}
            controls = xr.DataArray(z, dims=("control", "n", "seed"), coords=names)
        values = clean[:, None] + level[:, None] * draws
        data = xr.DataArray(values, dims=("copy", "n", "seed"), coords=coords | {"seed": range(self.seeds)})
        return data, None, controls


def cases() -> Iterator[Case]:
    """Every row of the table."""

    def power(n: np.ndarray) -> np.ndarray:
        return 3 * n**0.3

    def corrected(n: np.ndarray) -> np.ndarray:
        return 3 * n**0.3 * (1 + 60 / n)

    def limit(n: np.ndarray) -> np.ndarray:
        return 0.5 + 3 * n**-0.5

    plain = (float(np.log(3)), 0.3)
    for sizes in (4, 6, 8):
        for seeds in (5, 10, 40):
            for noise in (0.02, 0.1, 0.3):
                yield Case("power", "C n^b", power, POWER, plain, sizes, seeds, noise)
    for sizes, seeds in ((4, 5), (6, 20)):
        yield Case("skew", "C n^b, skewed noise", power, POWER, plain, sizes, seeds, 0.1, skew=True)
        yield Case("skew", "C n^b, noise growing as n^0.5", power, POWER, plain, sizes, seeds, 0.02, slope=0.5)
    for sizes, seeds in ((6, 5), (6, 10), (6, 20)):
        uneven = "C n^b, noise threefold at one size"
        yield Case("skew", uneven, power, POWER, plain, sizes, seeds, 0.02, bump=3.0)
    for sizes in (4, 6, 8):
        yield Case("known", "C n^b, errors known", power, POWER, plain, sizes, 1, 0.02, errors="known")
    for sizes in (4, 6, 8):
        yield Case("none", "C n^b, errors unknown", power, POWER, plain, sizes, 1, 0.02, errors="none", slope=0.0)
    for sizes in (4, 6, 8):
        unequal = "C n^b, errors unknown, falling as n^-0.25"
        yield Case("none", unequal, power, POWER, plain, sizes, 1, 0.02, errors="none")
    for sizes, seeds in ((4, 5), (6, 5), (6, 20), (8, 40)):
        for noise in (0.01, 0.1):
            truth = (*plain, 60.0)
            yield Case("corrected", "C n^b (1 + D/n)", corrected, corrected_power(1.0), truth, sizes, seeds, noise)
    for sizes, seeds in ((5, 10), (6, 20), (8, 40)):
        for noise in (0.001, 0.01):
            yield Case("limit", "L + A n^b", limit, LIMIT, (0.5, 3.0, -0.5), sizes, seeds, noise)
            yield Case("limit", "L + A n^b", limit, known_limit(-0.5), (0.5, 3.0), sizes, seeds, noise)
    for sizes, seeds in ((5, 10), (8, 40)):
        for noise in (0.005, 0.02):
            gap = (float(np.log(20)), -0.8)
            yield Case("gap", "signed gap 20 n^-0.8", lambda n: 20 * n**-0.8, POWER, gap, sizes, seeds, noise)
    for sizes, seeds, noise in ((6, 20, 0.01), (8, 40, 0.01), (8, 40, 0.1)):
        truth = (*plain, 60.0, 1.0)
        yield Case("free", "C n^b (1 + D/n)", corrected, FREE_CORRECTION, truth, sizes, seeds, noise)
    for n_min in ("alone", "auto"):
        for name, law in (("C n^b", power), ("C n^b (1 + D/n)", corrected)):
            for sizes, seeds, noise in ((4, 10, 0.1), (6, 5, 0.1), (6, 20, 0.1), (8, 40, 0.1), (8, 40, 0.01)):
                yield Case(n_min, name, law, POWER, plain, sizes, seeds, noise, n_min=n_min)
    for sizes, seeds, noise in ((6, 20, 0.01), (8, 40, 0.1)):
        truth = (*plain, 60.0)
        law = corrected_power(1.0)
        yield Case("auto", "C n^b (1 + D/n)", corrected, law, truth, sizes, seeds, noise, n_min="auto")
    for seeds in (8, 13, 24):
        yield Case("control", "C n^b, control variates", power, POWER, plain, 6, seeds, 0.1)
    for sizes, seeds, noise in ((4, 10, 0.02), (6, 20, 0.02), (6, 20, 0.1), (8, 40, 0.02)):
        yield Case("misfit", "C n^b (1 + D/n)", corrected, POWER, plain, sizes, seeds, noise, holds=False)


def run(case: Case, n_sets: int) -> str:
    """One row of the table."""
    seed = zlib.crc32(repr((case.data, case.law.name, case.sizes, case.seeds, case.noise)).encode())
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(-(-n_sets // CHUNK)):
        data, stderr, controls = case.draw(rng, CHUNK)
        if case.group == "control":
            # every set has controls of its own: one draw of them for each chunk would be shared
            parts += [_one(case, *case.draw(rng, 1)) for _ in range(CHUNK)]
            continue
        parts.append(_one(case, data, stderr, controls))
    low, high, pvalue, gof, status = (np.concatenate(p) for p in zip(*parts, strict=True))
    solved = np.isfinite(low).any(1) | np.isfinite(high).any(1) | (status == 4)
    inside = ((low <= case.params) & (high >= case.params))[solved].mean(0)
    names = list(case.law.params)
    at = names.index("exponent") if "exponent" in names else 0
    others = ", ".join(f"{inside[i]:.3f}" for i in range(len(names)) if i != at)
    open_ended = (status == 4).mean()
    tested = gof[np.isfinite(gof)]
    reject = f"{(tested < 0.05).mean():.3f}" if len(tested) else "-"
    ks_p = f"{stats.kstest(pvalue[np.isfinite(pvalue)], 'uniform').pvalue:.2f}" if case.holds else "-"
    ks_fit = f"{stats.kstest(tested, 'uniform').pvalue:.2f}" if len(tested) and case.holds else "-"
    cover = f"{inside[at]:.3f}" if case.holds else "-"
    seeds = case.seeds if case.errors == "seeds" else "-"
    fit = FITS[case.law.name] + {"": "", "auto": ', n_min="auto"', "alone": ", chosen window alone"}[case.n_min]
    return (
        f"| {case.data} | {fit} | {case.sizes} | {seeds} | {case.noise} | {cover} | "
        f"{others if case.holds else '-'} | {open_ended:.3f} | {reject} | {ks_p} | {ks_fit} |"
    )


def _one(case: Case, data: xr.DataArray, stderr: xr.DataArray | None, controls: xr.DataArray | None) -> tuple:
    sample = from_data(data, "n", stderr, controls)
    if case.n_min:
        return _chosen(case, sample)
    null = np.broadcast_to(case.params, (len(sample.mean), len(case.params)))
    table = fit_curves(on_scale(case.law, sample, np.ones(sample.mean.shape, dtype=bool)), null=null)
    names = list(case.law.params)
    pvalue = table.pvalue[:, names.index("exponent") if "exponent" in names else 0]
    return table.ci_low, table.ci_high, pvalue, table.gof_pvalue, table.status


def _chosen(case: Case, sample: Sample) -> tuple:
    """The same for windows that the data choose; the test of fit chose them, and is not reported."""
    fit = fit_sample(case.law, sample, n_min="auto", expected=dict(zip(case.law.params, case.params, strict=True)))
    low, high = ("window_low", "window_high") if case.n_min == "alone" else ("ci_low", "ci_high")
    pvalue = fit.pvalue.sel(param="exponent").values
    if case.n_min == "alone":
        t = np.abs(fit.estimate - case.params) / fit.stderr
        pvalue = 2 * stats.t.sf(t, fit.t_dof).T[1]
    return fit[low].values, fit[high].values, pvalue, np.full(len(fit.status), np.nan), fit.status.values


def bootstrap_row(n_sets: int) -> str:
    """Coverage of the bootstrap's percentile intervals, for 6 sizes and 20 seeds."""
    case = Case("bootstrap", "C n^b", lambda n: 3 * n**0.3, POWER, (float(np.log(3)), 0.3), 6, 20, 0.1)
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(n_sets // 100):
        fit = fit_power_law(case.draw(rng, 100)[0], rng=rng)
        inside.append(((fit.bootstrap_low <= case.params) & (fit.bootstrap_high >= case.params)).values)
    share = np.concatenate(inside).mean(0)
    return f"| C n^b | bootstrap percentiles | 6 | 20 | 0.1 | {share[1]:.3f} | {share[0]:.3f} | - | - | - | - |"


def threshold_row(n_sets: int) -> str:
    """Coverage of alpha_2 as n grows, from counts of one logistic draw for each of 4 sizes and 20 seeds."""
    cube = empty_cube(Study.from_toml(THRESHOLDS))
    logs, rng = np.log(cube.n.astype(float)), np.random.default_rng(2)
    inside, status, gof, pvalues = [], [], [], []
    for _ in range(n_sets):
        draw = xr.DataArray(rng.logistic(size=(4, 20)), dims=("n", "seed"))
        score = 8 * logs * (cube.alpha - 0.25 - 0.6 / logs)
        cube["outlier_count"] = (1.0 + (score + draw > 0)).transpose("alpha", "n", "seed")
        fit = fit_thresholds(cube).sel(degree=2)
        inside.append(((fit.ci_low <= TRUTH) & (fit.ci_high >= TRUTH)).values)
        status.append(fit.status.item() == 4)
        gof.append(fit.gof_pvalue.item())
        pvalues.append(fit.pvalue.sel(param="critical").item())
    share, tested = np.mean(inside, axis=0), np.array(gof)[np.isfinite(gof)]
    return (
        f"| counts | logistic in alpha and log n | 4 | 20 | - | {share[0]:.3f} | {share[1]:.3f}, {share[2]:.3f} | "
        f"{np.mean(status):.3f} | {np.mean(tested < 0.05):.3f} | {stats.kstest(pvalues, 'uniform').pvalue:.2f} | "
        f"{stats.kstest(tested, 'uniform').pvalue:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=2000, help="data sets for each row")
    parser.add_argument("--only", default="", help="one group: power, skew, known, none, corrected, limit, gap, ...")
    parser.add_argument("--seeds", type=int, help="only the power laws with so many seeds")
    parser.add_argument("--keep", type=Path, help="where batches of collapses are kept, and found by a later run")
    options = parser.parse_args()
    print(HEADER)
    print("|" + " --- |" * (HEADER.count("|") - 1))
    for case in cases():
        if options.only in ("", case.group) and options.seeds in (None, case.seeds):
            print(run(case, options.sets), flush=True)
    if options.seeds is not None:
        return
    if options.only in ("", "threshold"):
        print(threshold_row(options.sets), flush=True)
    for collapse in COLLAPSES:
        if options.only in ("", "collapses", collapse.group):
            print(collapse.row(options.sets, options.keep), flush=True)
    if options.only in ("", "bootstrap"):
        print(bootstrap_row(options.sets), flush=True)


if __name__ == "__main__":
    main()
