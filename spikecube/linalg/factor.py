"""All that F and its labels give once: a state that then answers for any penalty, rank and bins, in any order."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spikecube.linalg.costs import eigen_is_cheaper
from spikecube.linalg.lanczos import Lanczos, fixed_start
from spikecube.linalg.matrix import Eigen, FeatureMatrix, feature_matrix, gram_eigen, gram_eigenvalues
from spikecube.linalg.products import normal_products, thin_blocks
from spikecube.linalg.ridge import Regression, RidgePath, eigen_path, shared_path
from spikecube.linalg.triplets import Triplets, dense_triplets, has_room, refined_triplets, singular_value_counts
from spikecube.numbers import NumberError, real_array
from spikecube.types import Array

_EARLY = 8  # Krylov steps in the features' own precision, while the largest singular values are found


class DenseFactor(NamedTuple):
    """The state of a small matrix: the eigendecomposition of its smaller Gram matrix."""

    problem: Regression
    eigen: Eigen

    def path(self, lam: npt.ArrayLike) -> RidgePath:
        """Ridge coefficients and training losses at every penalty > 0; (lam,)."""
        return eigen_path(self.problem, self.eigen, lam)

    def triplets(self, rank: int, vectors: int = 0) -> Triplets:
        """The leading `rank` singular triplets of F/sqrt(n), all of their left vectors accurate."""
        return dense_triplets(self.problem.matrix.array, self.eigen, rank)

    def counts(self, edges: npt.ArrayLike) -> Array:
        """How many of all singular values of F/sqrt(n) fall into each bin, those outside left out; (bins,)."""
        return singular_value_counts(self.eigen.values, edges)


class KrylovFactor(NamedTuple):
    """The state of any other matrix: the Krylov basis of F^T F / n from F^T y, which grows as it is used."""

    problem: Regression
    basis: Lanczos

    def path(self, lam: npt.ArrayLike) -> RidgePath:
        """Ridge coefficients and training losses at every penalty > 0; (lam,)."""
        return shared_path(self.problem, self.basis, lam)

    def triplets(self, rank: int, vectors: int = 0) -> Triplets:
        """The leading singular values of F/sqrt(n) to 1e-10, and the first `vectors` left singular vectors to 2e-9.

        What does not converge, and ranks too high for a Krylov space, get a full decomposition.

        Parameters
        ----------
        rank : how many, at most min(n, N).
        vectors : how many left vectors must be accurate, at most rank; the others are as good as the values need.
        """
        f = self.problem.matrix.array
        found = None
        if has_room(min(f.shape), rank):
            found = refined_triplets(self.problem.matrix, self.basis, rank, vectors)
        return found or dense_triplets(f, gram_eigen(f), rank)

    def counts(self, edges: npt.ArrayLike) -> Array:
        """How many of all singular values of F/sqrt(n) fall into each bin, those outside left out; (bins,)."""
        return singular_value_counts(gram_eigenvalues(self.problem.matrix.array), edges)


def factor(matrix: FeatureMatrix, labels: Array) -> DenseFactor | KrylovFactor:
    """The cheaper state of F (n, N) with labels y (n,): what all penalties, ranks and bins share is made here.

    >>> state = factor(feature_matrix(np.diag([3.0, 2.0, 1.0])), np.array([1.0, 2.0, 3.0]))
    >>> (state.triplets(2).values * np.sqrt(3)).round(12).tolist()
    [3.0, 2.0]
    >>> state.counts([0.0, 1.0, 2.0]).tolist()
    [1.0, 2.0]
    """
    if not eigen_is_cheaper(matrix.array.shape):
        return krylov_factor(matrix, labels)
    return DenseFactor(regression(matrix, labels), gram_eigen(matrix.array))


def krylov_factor(matrix: FeatureMatrix, labels: Array) -> KrylovFactor:
    """The Krylov state at any size: a basis from F^T y, or from a fixed vector where that vanishes."""
    problem = regression(matrix, labels)
    start = problem.correlation if np.any(problem.correlation) else fixed_start(matrix.array.shape[1])
    early, late = (functools.partial(normal_products, f, scale=1 / len(labels)) for f in (matrix.array, matrix.single))
    return KrylovFactor(problem, Lanczos(start, early, late, _EARLY))


def regression(matrix: FeatureMatrix, labels: Array) -> Regression:
    """F with its labels and F^T y / n, summed in float64."""
    rounded, total = labels.astype(matrix.array.dtype), np.zeros(matrix.array.shape[1])
    for rows in thin_blocks(matrix.array, 1):
        total += rounded[rows] @ matrix.array[rows]
    return Regression(matrix, labels, total / len(labels))


def ridge_path(features: npt.ArrayLike, labels: npt.ArrayLike, lam: npt.ArrayLike) -> RidgePath:
    """argmin_a (1/n)|y - F a|^2 + lam |a|^2 for every penalty, and its minimum.

    One Krylov basis, grown in single precision, serves every penalty; conjugate gradients on the residuals in double
    precision then correct each penalty until r = F^T (y - F a)/n - lam a is at most 1e-8 lam |a|. As the error e has
    |e| <= |r|/lam, and the excess loss is at most |r|^2/lam while the loss is at least lam |a|^2, this guarantees the
    coefficients to 1e-8 and the losses to rounding. Where the penalty is so small that a Cholesky factor
    costs less it is used instead, and below the reach of normal equations a singular value decomposition.

    Parameters
    ----------
    features, labels : (n, width) and (n,); integers and truth values become float64, float32 features stay.
    lam : penalties > 0; shape (lam,).

    Raises
    ------
    ValueError
        If the shapes do not fit, a penalty is not positive, or something else than real numbers is given.

    References
    ----------
    Paige and Saunders, ACM Transactions on Mathematical Software 8 (1982) 43; for the corrections Higham, Accuracy and
    Stability of Numerical Algorithms, chapter 12.

    Examples
    --------
    >>> path = ridge_path(np.eye(2), np.array([1.0, 2.0]), [0.5])
    >>> path.coefficients.round(12).tolist(), path.train_loss.round(12).tolist()
    ([[0.5, 1.0]], [1.25])
    """
    matrix, values = real_array(features, "features", single=True), real_array(labels, "labels")
    if matrix.ndim != 2 or values.shape != matrix.shape[:1] or 0 in matrix.shape:
        raise NumberError(f"features {matrix.shape} and labels {values.shape} must have shapes (n, width) and (n,)")
    penalties = np.atleast_1d(real_array(lam, "lam"))
    if penalties.ndim != 1 or not ((penalties > 0) & (penalties < np.inf)).all():
        raise NumberError(f"lam={penalties.tolist()} must be positive numbers, one or a list of them")
    return krylov_factor(feature_matrix(matrix), values).path(penalties)
