"""Conjugate gradients in single-precision products, many right-hand sides in step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikecube.linalg.costs import krylov_steps
from spikecube.linalg.matrix import FeatureMatrix
from spikecube.linalg.products import normal_products
from spikecube.types import Array

_SINGLE = 1e-6  # how far single precision reduces a residual


def conjugate_gradients(
    matrix: FeatureMatrix, residuals: Array, lam: Array, targets: Array, width: Callable[[int], int]
) -> Array:
    """Corrections (count, N) with (F^T F/n + lam) e = r in single-precision products, in step but each on its own.

    A correction ends when its residual is below its target, or as far down as single precision goes.

    Parameters
    ----------
    residuals, lam, targets : r (count, N), and one penalty and one target for each; (count,).
    width : how many right-hand sides share a pass over F, by the number of the step.
    """
    total = np.zeros_like(residuals)
    rest, direction = residuals.copy(), residuals.copy()
    power = np.array([float(r @ r) for r in rest])
    floor = np.maximum(targets**2, _SINGLE**2 * power)
    limit = [4 * krylov_steps(matrix.edge, float(x)) for x in lam]
    active, step = [i for i in range(len(lam)) if power[i] > floor[i]], 0
    while active:
        step += 1
        products = normal_products(matrix.single, [direction[i] for i in active], 1 / len(matrix.array), width(step))
        for i, product in zip(active, products, strict=True):
            product += lam[i] * direction[i]
            size = power[i] / float(direction[i] @ product)
            total[i] += size * direction[i]
            rest[i] -= size * product
            new = float(rest[i] @ rest[i])
            direction[i] *= new / power[i]
            direction[i] += rest[i]
            power[i] = new
        active = [i for i in active if power[i] > floor[i] and step < limit[i]]
    return total
