"""How far measurements are from the theory: a cube by alpha, or random configurations.

    python scripts/agreement.py quickstart.nc [--gains] [--theory theory.nc] [--given]
    python scripts/agreement.py quickstart.nc --relative
    python scripts/agreement.py --random 40 [--seeds 20] [--first 0]

z = (mean over seeds - prediction)/(standard error of that mean), with Student's t in mind: ten seeds give |z| > 3.25
once in a hundred. A column gives the root mean square and the largest |z| over n and penalties. `--gains` compares what
the step gains on F_0 on the same draw instead of the loss itself: the noise that both share falls out. `--given`
compares each draw with the theory at its own |beta|^2, alignment and |a|^2. The second table holds F_ell for every ell,
and the outliers. `--relative` prints measured over predicted less 1 instead, in per cent, with its standard error and
the remainder, for each loss of F.

`--random` draws configurations, runs them with the exact test risk and prints, for each, how many of its losses lie
within two standard errors and the remainder, the worst relative deviation, and the largest z that the remainder leaves.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

import spikecube as sc
from spikecube.cube.cell import compute_cell
from spikecube.theory import chosen_degrees, finite_losses, loss_remainders

ALPHAS, LAMS = (0.0, 0.2, 0.35, 0.48), (0.003, 0.05, 1.0)
ACTIVATIONS: tuple[Any, ...] = (
    "relu",
    "softplus",
    "tanh",
    "erf",
    "sigmoid",
    "gelu",
    [0.0, 1.0, 0.3],
    [0.0, 1.0, -0.2, 0.1],
)
ENTROPY, CELLS = 20260, 77  # of the configurations; of the cells of the first one


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


def relative_table(cube: xr.Dataset, theory: xr.Dataset) -> str:
    """One line an (alpha, n): measured over predicted less 1 +- standard error (remainder) in per cent, by penalty."""
    lams = cube["lam"].values
    lines = [
        f"lam = {', '.join(f'{lam:g}' for lam in lams)}",
        "| alpha | n | training loss | test loss |",
        "|---|---|---|---|",
    ]
    for alpha in cube["alpha"].values:
        for n in cube["n"].values:
            cells = []
            for name in ("train_loss", "test_loss"):
                place = {"alpha": alpha, "n": n}
                seeds, predicted = cube[name].sel(place).dropna("seed"), theory[name].sel(place)
                off = 100 * (seeds.mean("seed") / predicted - 1)
                stderr = 100 * seeds.std("seed", ddof=1) / predicted / seeds.sizes["seed"] ** 0.5
                left = 100 * theory[f"{name}_remainder"].sel(place) / predicted
                each = zip(off.values, stderr.values, left.values, strict=True)
                cells.append(", ".join(f"{o:+.1f} +- {s:.1f} ({r:.1f})" for o, s, r in each))
            lines.append(f"| {alpha:g} | {n} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def configurations(count: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Fields of a model and n, drawn at random."""
    rng = np.random.default_rng(ENTROPY)
    for _ in range(count):
        activation = ACTIVATIONS[rng.integers(len(ACTIVATIONS))]
        target = [0.0, float(rng.choice([0.7, 1.0, 1.3])), float(rng.choice([-0.6, -0.3, 0.0, 0.3, 0.6]))]
        if rng.random() < 0.4:
            target.append(float(rng.choice([-0.1, 0.1])))
        fields = {
            "activation": activation,
            "target": target,
            "noise": float(rng.choice([0.1, 0.4, 0.8])),
            "dim_ratio": float(rng.choice([0.08, 0.15, 0.3, 0.6, 1.2])),
            "width_ratio": float(rng.choice([0.4, 1.0, 2.5])),
            "eta_scale": float(rng.choice([0.5, 1.0, 1.5])),
            "readout": str(rng.choice(["gaussian", "rademacher", "constant"])),
            "step_ratio": float(rng.choice([0.5, 1.0, 2.0])),
            "target_direction": "sphere",
        }
        yield fields, int(rng.choice([300, 500, 1000], p=[0.5, 0.35, 0.15]))


def measured_losses(model: sc.Model, n: int, seeds: int, entropy: int) -> np.ndarray:
    """Train and test losses; shape (seed, kind, alpha, lam)."""
    measure = sc.Measure(rank=3, degree=2, ell=1, test_risk="exact")
    cells = (compute_cell(model, measure, n=n, seed=s, alphas=ALPHAS, lams=LAMS, entropy=entropy) for s in range(seeds))
    return np.array([[cell["train_loss"], cell["test_loss"]] for cell in cells])


def compared(model: sc.Model, n: int, losses: np.ndarray) -> dict[str, Any]:
    """How measured losses lie to the theory and its remainder."""
    degrees = chosen_degrees(model, n)
    predicted = np.stack([finite_losses(model, LAMS, n, alpha, degrees=degrees) for alpha in ALPHAS], axis=1)
    remainder = predicted * np.stack([loss_remainders(model, LAMS, n, a, degrees=degrees) for a in ALPHAS], axis=1)
    stderr = losses.std(axis=0, ddof=1) / len(losses) ** 0.5
    off = losses.mean(axis=0) - predicted
    beyond = np.maximum(np.abs(off) - remainder, 0.0) / stderr
    worst = np.unravel_index(np.abs(off / predicted).argmax(), off.shape)
    return {
        "degrees": degrees,
        "within": int(np.sum(beyond <= 2)),
        "of": off.size,
        "worst": 100 * (off / predicted)[worst],
        "stderr": 100 * (stderr / predicted)[worst],
        "remainder": 100 * (remainder / predicted)[worst],
        "z": beyond.max(),
    }


def random_table(count: int, seeds: int, first: int) -> None:
    """Print one row a configuration, and how many lie within their remainder."""
    print(
        "| | activation | target | noise | d, N, n_0, n | eta_0 | readout | K | within | worst, +-, remainder (%) | z |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    rows = []
    for i, (fields, n) in enumerate(configurations(count)):
        if i < first:
            continue
        model = sc.Model(**fields)
        row = compared(model, n, measured_losses(model, n, seeds, CELLS + i))
        rows.append(row)
        sizes = f"{model.dim(n)}, {model.width(n)}, {model.step_samples(n)}, {n}"
        worst = f"{row['worst']:+.1f} +- {row['stderr']:.1f}, {row['remainder']:.1f}"
        print(
            f"| {i} | {fields['activation']} | {fields['target']} | {fields['noise']} | {sizes} | {fields['eta_scale']}"
            f" | {fields['readout']} | {row['degrees']} | {row['within']}/{row['of']} | {worst} | {row['z']:.1f} |",
            flush=True,
        )
    inside, losses = sum(row["within"] for row in rows), sum(row["of"] for row in rows)
    good = sum(row["z"] <= 3 for row in rows)
    print(f"\n{inside} of {losses} losses within 2 standard errors and the remainder ({100 * inside / losses:.1f}%);")
    print(f"{good} of {len(rows)} configurations with no loss beyond 3 standard errors and the remainder")


def drawn(cube: xr.Dataset, theory: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Measured minus predicted-given-the-draw in the place of what is measured, and zero in that of the prediction."""
    names = [name for name in ("train_loss", "test_loss", "singular_value") if "seed" in theory[name].dims]
    return cube.assign({n: cube[n] - theory[n] for n in names}), theory.assign(
        {n: 0.0 * theory[n].isel(seed=0, drop=True) for n in names}
    )


def main() -> None:
    """Print the tables for a cube, or for random configurations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cube", nargs="?")
    parser.add_argument("--theory", help="a prediction; by default it is computed from the study in the cube")
    parser.add_argument("--gains", action="store_true", help="compare the gain on F_0 of the same draw")
    parser.add_argument("--given", action="store_true", help="the theory at each draw's own values")
    parser.add_argument("--relative", action="store_true", help="relative deviations and remainders of the losses of F")
    parser.add_argument("--random", type=int, metavar="COUNT", help="random configurations in the place of a cube")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first random configuration to run")
    options = parser.parse_args()
    if options.random:
        return random_table(options.random, options.seeds, options.first)
    if not options.cube:
        parser.error("a cube or --random COUNT")
    if options.given and options.gains:
        parser.error("--given and --gains are two ways to take out what draws share; choose one")
    cube = sc.open_cube(options.cube)
    study = sc.Study.from_toml(cube.attrs["study"])
    if options.given:
        cube, theory = drawn(cube, sc.predict(study, given=cube))
    else:
        theory = sc.open_cube(options.theory) if options.theory else sc.predict(study)
    print(f"{cube.sizes['seed']} seeds, n = {cube['n'].values.tolist()}, {cube.sizes['lam']} penalties")
    if options.relative:
        return print(relative_table(cube, theory))
    found = columns(cube, theory, gains=options.gains)
    if options.given:  # of losses less their predictions, the limits and the spikes say nothing
        found = {name: z for name, z in found.items() if name.endswith(" F")}
    print(table(found))
    print()
    print(table(more_columns(cube, theory)))
    return None


if __name__ == "__main__":
    main()
