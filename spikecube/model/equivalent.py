"""The spiked equivalents F_ell = F_0 + sum_{k<=ell} c_1^k c_k eta^k (X~ beta)^{ok} (a^{ok})^T, never formed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikecube.model.hermite import Array
from spikecube.model.krylov import Lanczos, blocks_of, fixed_start, product
from spikecube.model.ridge import Prepared, dense_ridge

_NORM = 1e-6  # residual of a leading singular vector of F - F_ell; its value is accurate to the square


@dataclass(frozen=True)
class Spikes:
    """F_ell - F_0 = left[:, :j] diag(strength[:j]) right[:, :j]^T with j the number of spikes of degree <= ell.

    Attributes
    ----------
    degrees : degrees that carry a spike, ascending.
    left : columns (X~ beta)^{ok} / p^k; (n, spikes).
    test_left : the same of the test batch, with the p of the ridge batch; (n_test, spikes).
    right : columns a^{ok} / |a|^k; (width, spikes).
    unit : strengths c_1^k c_k p^k |a|^k at eta = 1; (spikes,).
    """

    degrees: tuple[int, ...]
    left: Array
    test_left: Array
    right: Array
    unit: Array

    def strength(self, eta: float) -> Array:
        """c_1^k c_k eta^k p^k |a|^k; shape (spikes,)."""
        return np.asarray(self.unit * eta ** np.array(self.degrees, dtype=np.float64))

    def count(self, ell: int) -> int:
        """How many spikes F_ell has."""
        return sum(k <= ell for k in self.degrees)


def make_spikes(
    coefficients: Array, degrees: tuple[int, ...], projection: Array, test_projection: Array, readout: Array
) -> Spikes:
    """The spikes of the given degrees from X~ beta (n,), X_test beta (n_test,) and a (width,); p = |X~ beta|."""
    p, a = (float(np.linalg.norm(v)) or 1.0 for v in (projection, readout))
    return Spikes(
        degrees,
        np.stack([(projection / p) ** k for k in degrees], axis=1),
        np.stack([(test_projection / p) ** k for k in degrees], axis=1),
        np.stack([(readout / a) ** k for k in degrees], axis=1),
        np.array([coefficients[1] ** k * coefficients[k] * (p * a) ** k for k in degrees]),
    )


@dataclass(frozen=True)
class Solves:
    """All that F_0 contributes at one penalty, A = F_0 F_0^T + n lam, P = [U, F_0 V] the spikes' left sides and images.

    Attributes
    ----------
    lam : the penalty.
    label : y^T A^{-1} y.
    mixed : P^T A^{-1} y; (2 spikes,).
    inner : P^T A^{-1} P; (2 spikes, 2 spikes).
    coefficients : F_0^T A^{-1} [y, P]; (width, 1 + 2 spikes).
    predictions : F_0,test times `coefficients` and times V; (n_test, 1 + 3 spikes).
    """

    lam: float
    label: float
    mixed: Array
    inner: Array
    coefficients: Array
    predictions: Array

    @property
    def train_loss(self) -> float:
        """L_tr(F_0) = lam y^T A^{-1} y."""
        return self.lam * self.label


def solve_initial(
    state: Prepared, spikes: Spikes, lams: Array, predictions: Callable[[list[Array]], list[Array]]
) -> list[Solves]:
    """The solves with F_0 (in `state`) at every penalty; `predictions` multiplies by F_0 of the test batch."""
    images = product(state.features, spikes.right)
    columns = np.column_stack([state.labels, spikes.left, images])
    solved = [dense_ridge(state, columns, float(lam)) for lam in lams]
    predicted = predictions([np.column_stack([a, spikes.right]) for a, _ in solved])
    return [
        Solves(float(lam), float(inner[0, 0]), inner[1:, 0], inner[1:, 1:], a, p)
        for lam, (a, inner), p in zip(lams, solved, predicted, strict=True)
    ]


def spiked_losses(solves: Solves, spikes: Spikes, test_labels: Array, eta: float, ell: int) -> tuple[float, float]:
    """Training and test loss of F_ell by Woodbury's identity: eta enters through the strengths S alone.

    F_ell F_ell^T + n lam = A + P C P^T with C = [[S V^T V S, S], [S, 0]], so that

        x = (F_ell F_ell^T + n lam)^{-1} y = A^{-1} (y - P g),   g = (I + C P^T A^{-1} P)^{-1} C P^T A^{-1} y,
        L_tr = lam y^T x,   a = F_ell^T x = F_0^T x + V S U^T x.
    """
    j, total = spikes.count(ell), len(spikes.degrees)
    pick = np.concatenate([np.arange(j), total + np.arange(j)])
    s, v = spikes.strength(eta)[:j], spikes.right[:, :j]
    overlap = v.T @ v
    middle = np.zeros((2 * j, 2 * j))
    middle[:j, :j] = s[:, None] * overlap * s
    middle[:j, j:] = middle[j:, :j] = np.diag(s)
    inner, mixed = solves.inner[np.ix_(pick, pick)], solves.mixed[pick]
    g = np.linalg.solve(np.eye(2 * j) + middle @ inner, middle @ mixed)
    train = solves.lam * (solves.label - float(mixed @ g))
    tail = s * (mixed[:j] - inner[:j] @ g)
    p = solves.predictions
    base = np.concatenate([solves.coefficients[:, :1], solves.coefficients[:, 1:][:, pick]], axis=1)
    weights = np.concatenate([[1.0], -g])
    predicted = p[:, 0] - p[:, 1:][:, pick] @ g + p[:, 1 + 2 * total :][:, :j] @ tail
    predicted += spikes.test_left[:, :j] @ (s * (v.T @ (base @ weights) + overlap @ tail))
    return train, float(np.mean((test_labels - predicted) ** 2))


def equivalence_errors(
    difference: Array, exact: Callable[[Array], Array], spikes: Spikes, eta: float, ells: int
) -> Array:
    """The operator norm of (F - F_ell)/sqrt(n) for ell = 1..ells.

    Lanczos steps in single precision on F - F_0, with the spikes subtracted in each product, give the leading right
    singular vector of each; one product in double precision gives its norm, accurate to the square of the error.

    Parameters
    ----------
    difference : F - F_0 in single precision; (n, width).
    exact : multiplies columns by F - F_0 in double precision.
    """
    n, counts = len(difference), [spikes.count(ell) for ell in range(1, ells + 1)]
    distinct = sorted(set(counts))
    bases = {j: Lanczos(fixed_start(difference.shape[1]), lambda _: []) for j in distinct}
    vectors: dict[int, Array] = {}
    strength = spikes.strength(eta)
    while len(vectors) < len(distinct):
        active = [j for j in distinct if j not in vectors]
        heads = [bases[j].head() for j in active]
        images = _spiked_products(
            difference, heads, [(spikes.left[:, :j], strength[:j], spikes.right[:, :j]) for j in active]
        )
        for j, image in zip(active, images, strict=True):
            basis = bases[j]
            basis.absorb(image)
            values, coefficients, residuals = basis.ritz(1, len(basis))
            if basis.exhausted or len(basis) == 500 or (len(basis) > 2 and residuals[0] <= _NORM * values[0]):
                vectors[j] = coefficients[:, 0] @ basis.basis
    right = np.stack([vectors[j] for j in distinct], axis=1)
    exact_images = exact(right)
    norms = {}
    for i, j in enumerate(distinct):
        image = exact_images[:, i] - spikes.left[:, :j] @ (strength[:j] * (spikes.right[:, :j].T @ right[:, i]))
        norms[j] = float(np.linalg.norm(image) / np.linalg.norm(right[:, i])) / np.sqrt(n)
    return np.array([norms[j] for j in counts])


def _spiked_products(difference: Array, columns: list[Array], spikes: list[tuple[Array, Array, Array]]) -> list[Array]:
    """M^T M v for M = D - U S V^T, one column and one set of spikes each, in one pass over D."""
    vectors = [v.astype(difference.dtype) for v in columns]
    tails = [s * (right.T @ v) for v, (_, s, right) in zip(columns, spikes, strict=True)]
    out = [np.zeros(difference.shape[1]) for _ in columns]
    inner = [np.zeros(len(tail)) for tail in tails]
    for rows in blocks_of(difference):
        block = difference[rows]
        for i, (left, _, _) in enumerate(spikes):
            image = block @ vectors[i] - left[rows] @ tails[i]
            out[i] += image.astype(difference.dtype) @ block
            inner[i] += image @ left[rows]
    return [o - right @ (s * c) for o, c, (_, s, right) in zip(out, inner, spikes, strict=True)]
