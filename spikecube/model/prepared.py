"""A feature matrix with its labels, and what several solvers make of them once."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg.blas import dsyrk, ssyrk

from spikecube.model.hermite import Array
from spikecube.model.krylov import Lanczos, fixed_start, normal_products, thin_blocks

_EARLY = 8  # Krylov steps in the features' own precision, while the largest singular values are found


@dataclass(frozen=True)
class Prepared:
    """Features, labels, a single-precision copy of the features, and what is made of them on demand."""

    features: Array
    labels: Array
    half: Array

    @classmethod
    def of(cls, features: Array, labels: Array, half: Array | None = None) -> Prepared:
        """`half` may hold the features in single precision already."""
        return cls(features, labels, features.astype(np.float32) if half is None else half)

    @cached_property
    def power(self) -> float:
        """The squared Frobenius norm of the features."""
        flat = self.features.ravel()
        return float(flat @ flat)

    @cached_property
    def image(self) -> Array:
        """F^T y / n; (N,)."""
        labels, total = self.labels.astype(self.features.dtype), np.zeros(self.features.shape[1])
        for rows in thin_blocks(self.features, 1):
            total += labels[rows] @ self.features[rows]
        return total / len(labels)

    @cached_property
    def basis(self) -> Lanczos:
        """The Krylov basis of F^T F / n from F^T y, or from a fixed vector where that vanishes."""
        start = self.image if np.any(self.image) else fixed_start(self.features.shape[1])
        n = len(self.labels)  # the products must not hold this object, or the two would keep each other alive
        early, late = (functools.partial(normal_products, f, scale=1 / n) for f in (self.features, self.half))
        return Lanczos(start, early, late, _EARLY)

    @cached_property
    def gram(self) -> Array:
        """The lower triangle of F F^T / n or F^T F / n, whichever is smaller; Fortran order."""
        return np.asfortranarray(_small_gram(self.features), dtype=np.float64)

    @cached_property
    def half_gram(self) -> Array:
        """`gram` in single precision throughout."""
        return _small_gram(self.half)

    @cached_property
    def eigen(self) -> tuple[Array, Array]:
        """Eigenvalues of `gram`, largest first, and the eigenvectors as columns."""
        values, vectors = np.linalg.eigh(self.gram, UPLO="L")
        return np.maximum(values[::-1], 0.0), np.ascontiguousarray(vectors[:, ::-1])

    @cached_property
    def scratch(self) -> Array:
        """Room for one factor of the Gram matrix at a time."""
        return np.empty_like(self.gram)

    @cached_property
    def half_scratch(self) -> Array:
        """Room for one factor of `half_gram` at a time."""
        return np.empty_like(self.half_gram)

    @cached_property
    def svd(self) -> tuple[Array, Array, Array]:
        """The thin singular value decomposition of F."""
        u, s, vt = np.linalg.svd(self.features.astype(np.float64), full_matrices=False)
        return u, s, vt

    @property
    def edge(self) -> float:
        """The upper edge of a Marchenko-Pastur bulk of the same power: the scale of the eigenvalues of F^T F / n."""
        small, large = sorted(self.features.shape)
        return float(self.power / (len(self.features) * small) * (1 + math.sqrt(small / large)) ** 2)


def _small_gram(matrix: Array) -> Array:
    syrk = dsyrk if matrix.dtype == np.float64 else ssyrk
    return np.asarray(syrk(1 / len(matrix), matrix.T, trans=matrix.shape[0] < matrix.shape[1], lower=True))
