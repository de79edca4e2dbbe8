"""The tables of docs/explanation/scaling-study.md, from the cube of data/studies/scaling.toml.

python scripts/scaling_tables.py scaling.nc [--n-min 1400]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

import spikecube as sc
from spikecube.words.fits import fit_report

WIDE = 300
PENALTIES = {"limits": (0.1, 1.0), "gaps": (0.1,)}


def main() -> None:
    """Prints them one below the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cube")
    parser.add_argument("--n-min", type=float, default=1400.0, help="of the second lines of outliers")
    asked = parser.parse_args()
    cube = sc.open_cube(asked.cube)
    whole, part = sc.fit_outliers(cube), sc.fit_outliers(cube, n_min=asked.n_min)
    print(_outliers(whole), _lines([whole, part]), _limits(sc.fit_limits(cube)), _gaps(sc.fit_gaps(cube)), sep="\n")
    for law in ("thresholds", "collapse"):
        report = fit_report(cube, law)
        print(report.sentence, _table(*report.narrow(WIDE)), sep="\n\n")


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines) + "\n"


def _interval(one: xr.Dataset, digits: int = 3) -> str:
    if not np.isfinite(one["estimate"]):
        return "no fit"
    values = [f"{float(one[name]):.{digits}f}" for name in ("estimate", "ci_low", "ci_high")]
    return "{} [{}, {}]".format(*values)


def _outliers(fit: xr.Dataset) -> str:
    rows = []
    for degree in fit["degree"].values:
        for alpha in fit["alpha"].values:
            relative, plain = (
                fit.sel(degree=degree, alpha=alpha, param="exponent", estimator=name) for name in ("relative", "plain")
            )
            if np.isfinite(relative["estimate"]):
                sizes = f"{int(relative['nobs'])} from n = {relative['n_min'].item():g}"
                numbers = [f"{float(relative['expected']):.2f}", _interval(relative)]
                tests = [f"{float(v):.2g}" for v in (relative["pvalue_holm"], relative["gof_pvalue"])]
                rows.append(
                    [degree, alpha, sizes, *numbers, *tests, _interval(plain), f"{float(plain['gof_pvalue']):.2g}"]
                )
    return _table(
        ["degree", "alpha", "sizes", "theory", "relative", "p (Holm)", "lack of fit", "plain", "lack of fit"], rows
    )


def _lines(fits: Sequence[xr.Dataset]) -> str:
    rows = []
    for fit in fits:
        for degree in fit["degree"].values:
            one = fit.sel(degree=degree, estimator="relative")
            if not np.isfinite(one["line_pvalue"]):
                continue
            ends = []
            for coefficient, theory in (("intercept", 0.5 - degree / 2), ("slope", degree)):
                value, error = (float(one[name].sel(coefficient=coefficient)) for name in ("line", "line_stderr"))
                ends.append(f"{value:.3f} ± {error:.3f}, {theory:g}")
            least = fit["n_min"].sel(degree=degree, estimator="relative").min().item()
            rows.append([degree, f"from {least:g}", *ends, f"{float(one['line_pvalue']):.2g}"])
    return _table(["degree", "sizes", "intercept, theory", "slope, theory", "joint p"], rows)


def _limits(fit: xr.Dataset) -> str:
    rows = []
    for loss in fit["loss"].values:
        for lam in PENALTIES["limits"]:
            for alpha in fit["alpha"].values:
                one = fit.sel(loss=loss, lam=lam, alpha=alpha, param="limit")
                if np.isfinite(one["estimate"]):
                    held = float(one["ci_low"]) <= float(one["expected"]) <= float(one["ci_high"])
                    numbers = [_interval(one), f"{float(one['expected']):.3f}", "yes" if held else "no"]
                    rows.append([loss.split("_")[0], alpha, lam, *numbers, f"{float(one['gof_pvalue']):.2f}"])
    return _table(["loss", "alpha", "lambda", "limit", "theory", "held", "lack of fit"], rows)


def _gaps(fit: xr.Dataset) -> str:
    rows = []
    for gap in fit["gap"].values:
        for alpha in fit["alpha"].values:
            both = [
                fit.sel(gap=gap, loss=f"{kind}_loss", lam=PENALTIES["gaps"][0], alpha=alpha, param="exponent")
                for kind in ("train", "test")
            ]
            if np.isfinite(both[0]["expected"]):
                expected = f"{float(both[0]['expected']):.2f}"
                rows.append([gap.replace("_", " "), alpha, expected, *(_interval(one, 2) for one in both)])
    return _table(["gap", "alpha", "theory", "train", "test"], rows)


if __name__ == "__main__":
    main()
