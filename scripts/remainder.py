"""What the conditional equivalence leaves near alpha = 1/2, with and without its next correction.

    python scripts/remainder.py [--seeds 100] [--sizes 200 400]

Deviations of measured losses from predicted ones in per cent, both in units of the loss of F_0 (on the same draw), with
the standard error over seeds; relu, target H_1 + H_2/2, noise 1/2, d = n/2, N = n, alpha = 0.48.
"""

from __future__ import annotations

import argparse

import numpy as np

import spikecube as sc
from spikecube.cube.cell import compute_cell
from spikecube.theory import finite_losses, initial_losses

ALPHA, LAMS, ENTROPY = 0.48, (0.01, 0.1, 1.0), 20231011
MODEL = sc.Model(target=[0.0, 1.0, 0.5], noise=0.5, target_direction="sphere")
MEASURE = sc.Measure(rank=1, degree=1, ell=1)


def measured(n: int, seeds: int) -> np.ndarray:
    """L(F)/L(F_0); shape (seed, kind, lam)."""
    ratios = []
    for seed in range(seeds):
        cell = compute_cell(MODEL, MEASURE, n=n, seed=seed, alphas=[ALPHA], lams=LAMS, entropy=ENTROPY)
        ratios.append([cell[f"{kind}_loss"][0] / cell[f"{kind}_loss_init"] for kind in ("train", "test")])
    return np.array(ratios)


def main() -> None:
    """Print the deviations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 400])
    options = parser.parse_args()
    print("    n  kind   lambda    section 9      refined    (per cent, +- standard error)")
    for n in options.sizes:
        ratios = measured(n, options.seeds)
        mean, stderr = ratios.mean(axis=0), ratios.std(axis=0, ddof=1) / options.seeds**0.5
        base = np.array(initial_losses(MODEL, LAMS, n))
        plain, refined = (np.divide(finite_losses(MODEL, LAMS, n, ALPHA, refined=r), base) for r in (False, True))
        for i, kind in enumerate(("train", "test")):
            for j, lam in enumerate(LAMS):
                off = [100 * (mean[i, j] / p[i, j] - 1) for p in (plain, refined)]
                error = 100 * stderr[i, j] / plain[i, j]
                print(f"{n:5d}  {kind:5s}  {lam:6g}  {off[0]:+6.1f} +-{error:4.1f}  {off[1]:+6.1f} +-{error:4.1f}")


if __name__ == "__main__":
    main()
