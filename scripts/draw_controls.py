"""What the theory at each draw is worth as a control variate, beside the linear controls.

    python scripts/draw_controls.py [--seeds 60] [--n 300]

For two models, tame and heavy-tailed, and some variables of F: the variance of the mean over seeds, over that of the
plain mean, with (a) the linear controls that `seed_means` uses for the variable, (b) the theory at the draw's own
|beta|^2, cosine of beta with beta_* and |a|^2 as the one control, (c) both. Variances are those of cross-fitted
residuals: each seed is predicted by the regression on all others, so that a control that is worth nothing costs.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

import spikecube as sc
from spikecube.means.controls import centred_controls
from spikecube.means.replicates import SEEDS_PER_CONTROL
from spikecube.means.seeds import priority

MODELS = {
    "relu, target 0,1,.5": sc.Model(activation="relu", target=[0.0, 1.0, 0.5], noise=0.5, dim_ratio=0.5),
    "0,1,.4,.1, target 0,1,.42,.17": sc.Model(
        activation=[0.0, 1.0, 0.4, 0.1], target=[0.0, 1.0, 0.42, 0.17], noise=0.2, dim_ratio=2.0
    ),
}
NAMES = ("train_loss", "test_loss", "singular_value")


def left_out_share(values: np.ndarray, controls: np.ndarray) -> float:
    """Variance of values less what the regression on all others makes of them, over their variance."""
    design = np.column_stack([np.ones(len(values)), controls])
    hat = design @ np.linalg.pinv(design)
    residual = (values - hat @ values) / (1 - np.diagonal(hat))
    plain = (values - values.mean()) * len(values) / (len(values) - 1)
    return float(np.mean(residual**2) / np.mean(plain**2))


def shares(cube: xr.Dataset, given: xr.Dataset, name: str, at: dict[str, float]) -> list[float]:
    """The three shares of variance at one place."""
    kept = (cube.sizes["seed"] - 1) // SEEDS_PER_CONTROL
    controls = centred_controls(cube).isel(n=0)
    known = [control for control in priority(name) if control in controls["control"].values][:kept]
    linear = controls.sel(control=known).transpose("seed", "control").values
    point = {d: v for d, v in at.items() if d in cube[name].dims}
    values, theory = (of[name].isel(n=0).sel(point).values for of in (cube, given))
    if not np.all(np.isfinite(theory)):
        return [np.nan] * 3
    return [left_out_share(values, z) for z in (linear, theory[:, None], np.column_stack([linear, theory]))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--n", type=int, default=300)
    options = parser.parse_args()
    print("| model | variable | alpha | lambda | (a) linear | (b) theory | (c) both |\n|---|---|---|---|---|---|---|")
    axes = {"alpha": [0.2, 0.4], "n": [options.n], "seed": options.seeds, "lam": [0.01, 1.0]}
    for label, model in MODELS.items():
        study = sc.Study(model=model, axes=axes, measure=sc.Measure(test_risk="exact"))
        with tempfile.TemporaryDirectory() as folder:
            cube = sc.run(study, Path(folder) / "cube").load()
        given = sc.predict(study, given=cube, only=NAMES)
        for name in NAMES:
            for alpha in axes["alpha"]:
                for lam in axes["lam"] if "lam" in cube[name].dims else [np.nan]:
                    found = shares(cube, given, name, {"alpha": alpha, "lam": lam, "rank": 1})
                    place = f"{alpha} | {'' if np.isnan(lam) else lam}"
                    print(f"| {label} | {name} | {place} | " + " | ".join(f"{f:.2f}" for f in found) + " |", flush=True)


if __name__ == "__main__":
    main()
