"""Ridge regression for all penalties from one decomposition of the features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array


@dataclass(frozen=True)
class RidgePath:
    """Coefficients (lam, width) and training losses (lam,) along the penalties."""

    coefficients: Array
    train_loss: Array


@dataclass(frozen=True)
class Decomposition:
    """Eigenpairs of the smaller Gram matrix of F/sqrt(n), largest first: values (m,), vectors (m, m), m = min(n, N)."""

    features: Array
    values: Array
    vectors: Array

    @property
    def wide(self) -> bool:
        """Whether the smaller side is that of the samples, so that the vectors are left singular vectors."""
        return bool(self.features.shape[0] <= self.features.shape[1])

    def left(self, rank: int) -> Array:
        """The leading left singular vectors; shape (n, rank)."""
        if self.wide:
            return self.vectors[:, :rank]
        images = self.features @ self.vectors[:, :rank]
        return np.asarray(images / np.linalg.norm(images, axis=0))

    def coefficients(self, labels: Array, lam: float) -> Array:
        """argmin_a (1/n)|y - F a|^2 + lam |a|^2; shape (N,)."""
        scale = 1 / (len(self.features) * (self.values + lam))
        if self.wide:
            return np.asarray(self.features.T @ (self.vectors @ (scale * (self.vectors.T @ labels))))
        return np.asarray(self.vectors @ (scale * (self.vectors.T @ (self.features.T @ labels))))


def decompose(features: Array) -> Decomposition:
    """The eigenpairs that serve every penalty and the leading singular vectors."""
    n, width = features.shape
    gram = (features @ features.T if n <= width else features.T @ features) / n
    values, vectors = np.linalg.eigh(gram.astype(np.float64))
    return Decomposition(features, np.maximum(values[::-1], 0.0), vectors[:, ::-1].copy())


def train_loss(features: Array, labels: Array, coefficients: Array, lam: float) -> float:
    """(1/n)|y - F a|^2 + lam |a|^2."""
    residual = labels - features @ coefficients
    return float(residual @ residual / len(labels) + lam * (coefficients @ coefficients))


def ridge_path(features: Array, labels: Array, lam: npt.ArrayLike) -> RidgePath:
    """argmin_a (1/n)|y - F a|^2 + lam |a|^2 for every penalty.

    Parameters
    ----------
    features, labels : (n, width) and (n,).
    lam : penalties > 0; shape (lam,).

    Examples
    --------
    >>> path = ridge_path(np.eye(2), np.array([1.0, 2.0]), [0.5])
    >>> path.coefficients.round(12).tolist(), path.train_loss.round(12).tolist()
    ([[0.5, 1.0]], [1.25])
    """
    return decomposed_path(decompose(features), labels, lam)


def decomposed_path(state: Decomposition, labels: Array, lam: npt.ArrayLike) -> RidgePath:
    """`ridge_path` from a decomposition at hand."""
    penalties = np.atleast_1d(np.asarray(lam, dtype=np.float64))
    coefficients = np.array([state.coefficients(labels, x) for x in penalties])
    losses = [train_loss(state.features, labels, a, x) for a, x in zip(coefficients, penalties, strict=True)]
    return RidgePath(coefficients, np.array(losses))
