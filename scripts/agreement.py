"""How far a cube is from the theory: z-scores by alpha of the limits, of finite spikes and of the conditional theory.

    python scripts/agreement.py quickstart.nc [--gains] [--theory theory.nc]

z = (mean over seeds - prediction)/(standard error of that mean), with Student's t in mind: ten seeds give |z| > 3.25
once in a hundred. A column gives the root mean square and the largest |z| over n and penalties. `--gains` compares what
the step gains on F_0 on the same draw instead of the loss itself: the noise that both share falls out. The second table
holds F_ell for every ell, and the outliers.
"""

from __future__ import annotations

import argparse

import numpy as np
import xarray as xr

import spikecube as sc


def z_scores(measured: xr.DataArray, predicted: xr.DataArray) -> xr.DataArray:
    """(mean over seeds - prediction) in standard errors of the mean."""
    stderr = measured.std("seed", ddof=1) / np.sqrt(measured.notnull().sum("seed"))
    return (measured.mean("seed") - predicted) / stderr


def columns(cube: xr.Dataset, theory: xr.Dataset, *, gains: bool) -> dict[str, xr.DataArray]:
    """z-scores by column of the table, each over (alpha, n, lam)."""
    found = {}
    for kind in ("train", "test"):
        loss, start = f"{kind}_loss", f"{kind}_loss_init"
        base, expected = (cube[start], theory[start]) if gains else (0.0, 0.0)
        limit = theory[f"{loss}_limit"]
        limit_base = theory[start].isel(n=-1, drop=True) if gains else 0.0
        found[f"{kind} limit"] = z_scores(cube[loss] - base, limit - limit_base)
        spiked = theory[f"{loss}_spiked"].isel(ell=-1, drop=True)
        found[f"{kind} spikes"] = z_scores(cube[loss] - base, spiked - expected)
        found[f"{kind} F"] = z_scores(cube[loss] - base, theory[loss] - expected)
    return found


def more_columns(cube: xr.Dataset, theory: xr.Dataset) -> dict[str, xr.DataArray]:
    """z-scores of F_ell for every ell, and of each predicted outlier; the latter over (alpha, n)."""
    spiked = {
        f"{kind} F_ell": z_scores(cube[f"{kind}_loss_spiked"], theory[f"{kind}_loss_spiked"])
        for kind in ("train", "test")
    }
    values = z_scores(cube["singular_value"], theory["singular_value"])
    ranks = [k for k in values["rank"].values if values.sel(rank=k).notnull().any()]
    return spiked | {f"outlier {k}": values.sel(rank=k, drop=True) for k in ranks}


def table(found: dict[str, xr.DataArray]) -> str:
    """One line an alpha: root mean square and largest |z| over all else; a dash where nothing is predicted."""
    lines = ["alpha   " + "".join(f"{name:>16}" for name in found), "        " + "      rms    max" * len(found)]
    for alpha in next(iter(found.values()))["alpha"].values:
        cells = []
        for z in found.values():
            values = np.abs(z.sel(alpha=alpha).values.ravel())
            values = values[np.isfinite(values)]
            known = f"{np.sqrt(np.mean(values**2)):9.1f}{values.max():7.1f}" if values.size else f"{'-':>9}{'-':>7}"
            cells.append(known)
        lines.append(f"{alpha:<8.3f}" + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    """Print the table for a cube."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cube")
    parser.add_argument("--theory", help="a prediction; by default it is computed from the study in the cube")
    parser.add_argument("--gains", action="store_true", help="compare the gain on F_0 of the same draw")
    options = parser.parse_args()
    cube = sc.open_cube(options.cube)
    theory = sc.open_cube(options.theory) if options.theory else sc.predict(sc.Study.from_toml(cube.attrs["study"]))
    print(f"{cube.sizes['seed']} seeds, n = {cube['n'].values.tolist()}, {cube.sizes['lam']} penalties")
    print(table(columns(cube, theory, gains=options.gains)))
    print()
    print(table(more_columns(cube, theory)))


if __name__ == "__main__":
    main()
