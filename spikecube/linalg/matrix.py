"""A matrix in both precisions, and what is made of its smaller Gram matrix."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dsyrk, ssyrk

from spikecube.types import Array


class FeatureMatrix(NamedTuple):
    """A matrix F, its copy in single precision, and the scale of its spectrum.

    Attributes
    ----------
    array : F in the precision that answers have; (n, N).
    single : F as float32, for products whose rounding is corrected later; (n, N), the same array where F is float32.
    edge : upper edge of a Marchenko-Pastur bulk of F's power: the scale of the eigenvalues of F^T F / n.
    """

    array: Array
    single: Array
    edge: float


class Eigen(NamedTuple):
    """Eigenvalues of the smaller of F F^T / n and F^T F / n, largest first, (min(n, N),), and vectors as columns."""

    values: Array
    vectors: Array


def feature_matrix(array: Array) -> FeatureMatrix:
    """F with its copy and its edge |F|^2 / (n m) (1 + sqrt(m/M))^2, m and M the smaller and the larger side."""
    flat, (small, large) = array.ravel(), sorted(array.shape)
    edge = float(float(flat @ flat) / (len(array) * small) * (1 + math.sqrt(small / large)) ** 2)
    return FeatureMatrix(array, array.astype(np.float32, copy=False), edge)


def small_gram(array: Array) -> Array:
    """The lower triangle of F F^T / n or F^T F / n, whichever is smaller, in F's precision; Fortran order."""
    syrk = dsyrk if array.dtype == np.float64 else ssyrk
    return np.asarray(syrk(1 / len(array), array.T, trans=array.shape[0] < array.shape[1], lower=True))


def double_gram(array: Array) -> Array:
    """`small_gram` as float64, for factors in double precision."""
    return np.asfortranarray(small_gram(array), dtype=np.float64)


def gram_eigen(array: Array) -> Eigen:
    """The eigendecomposition of the smaller Gram matrix."""
    values, vectors = np.linalg.eigh(double_gram(array), UPLO="L")
    return Eigen(np.maximum(values[::-1], 0.0), np.ascontiguousarray(vectors[:, ::-1]))


def gram_eigenvalues(array: Array) -> Array:
    """The eigenvalues of the smaller Gram matrix alone, in no order; (min(n, N),)."""
    return np.asarray(np.maximum(np.linalg.eigvalsh(double_gram(array), UPLO="L"), 0.0))
