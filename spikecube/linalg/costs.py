"""Which way to a solution costs least, from shapes and penalties alone: never from what else is asked for."""

from __future__ import annotations

import math

_GOAL = 2e10  # how far the error of conjugate gradients is reduced
_PRODUCT_RATE = 50e9  # flops per second of matrix products in double precision and the factors that follow,
_EIGEN_RATE = 25e9  # of an eigendecomposition where it is in question,
_FACTOR_RATE = 75e9  # of a factor in single precision,
_PASS_RATE = 25e9  # of a pass of matrix-vector products in single precision,
_GROUP_RATE = 40e9  # and of one with a group of columns
_CALL = 1e-5  # seconds that a step takes however small the matrix
_PASSES = 300  # passes that a path and leading triplets take together


def krylov_steps(edge: float, lam: float) -> float:
    """Steps that reduce the error of the coefficients by 1e-10: sqrt(kappa) ln(2e10) / 2, kappa = 1 + edge/lam.

    The bound of conjugate gradients, without the few eigenvalues beyond the bulk, which converge first.
    """
    return 0.5 * math.sqrt(1 + edge / lam) * math.log(_GOAL)


def krylov_is_cheaper(shape: tuple[int, ...], edge: float, lam: float) -> bool:
    """Whether the Krylov steps at this penalty cost less than a Gram matrix and its Cholesky factor."""
    small, large = sorted(shape)
    dense = (small * small * large + small**3 / 3) / _PRODUCT_RATE
    return krylov_steps(edge, lam) * (_CALL + 4 * small * large / _PASS_RATE) < dense


def eigen_is_cheaper(shape: tuple[int, ...]) -> bool:
    """Whether one symmetric eigendecomposition costs less than the Krylov passes for a path and leading triplets."""
    small, large = sorted(shape)
    dense = (small * small * large + 9.0 * small**3) / _EIGEN_RATE
    return dense < _PASSES * (_CALL + 4.0 * small * large / _PASS_RATE)


def steps_are_cheaper(shape: tuple[int, ...], edge: float, lam: float, count: int) -> bool:
    """Whether conjugate gradients for `count` right-hand sides cost less than a factor of the Gram matrix at hand."""
    small, large = sorted(shape)
    return krylov_steps(edge, lam) * count * 4.0 * small * large / _GROUP_RATE < small**3 / 3 / _FACTOR_RATE
