"""The spiked equivalents F_ell = F_0 + sum_{k<=ell} c_1^k c_k eta^k (X~ beta)^{ok} (a^{ok})^T, never formed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikecube.linalg.lanczos import Lanczos, fixed_start
from spikecube.linalg.matrix import FeatureMatrix
from spikecube.linalg.products import thin_blocks
from spikecube.linalg.systems import solve_systems
from spikecube.model.risk import QuadraticRisk
from spikecube.model.spikes import Spikes
from spikecube.types import Array

_NORM = 1e-6  # residual of a leading singular vector of F - F_ell; its value is accurate to the square


@dataclass(frozen=True)
class InitialTerms:
    """All that F_0 contributes to F_ell at one penalty.

    A = F_0 F_0^T + n lam, K = F_0^T F_0/n + lam, and U and V are the left and right sides of the spikes.

    Attributes
    ----------
    lam : the penalty.
    label : lam y^T A^{-1} y, the training loss of F_0.
    mixed : lam U^T A^{-1} y; (spikes,).
    left : lam U^T A^{-1} U; (spikes, spikes).
    cross : V^T F_0^T A^{-1} U; (spikes, spikes).
    right : V^T K^{-1} V; (spikes, spikes).
    coupling : V^T F_0^T A^{-1} y; (spikes,).
    risk : test risk of combinations of F_0 [F_0^T A^{-1} y, F_0^T A^{-1} U, K^{-1} V] and (x.beta/p)^k, in this order.
    """

    lam: float
    label: float
    mixed: Array
    left: Array
    cross: Array
    right: Array
    coupling: Array
    risk: QuadraticRisk

    @property
    def test_loss(self) -> float:
        """L_te(F_0)."""
        return self.risk(np.eye(1, len(self.risk.linear))[0])


def initial_terms(
    matrix: FeatureMatrix,
    labels: Array,
    spikes: Spikes,
    lams: Array,
    forms: Callable[[list[Array]], list[QuadraticRisk]],
) -> list[InitialTerms]:
    """The terms of F_0 (n, N) at every penalty; `forms` gives the risk of combinations of features of F_0."""
    solved = solve_systems(matrix, np.column_stack([labels, spikes.left]), spikes.right, lams)
    risks = forms([np.column_stack([s.coefficients, s.inverse]) for s in solved])
    return [
        InitialTerms(
            lam=float(lam),
            label=float(s.inner[0, 0]),
            mixed=s.inner[1:, 0],
            left=s.inner[1:, 1:],
            cross=spikes.right.T @ s.coefficients[:, 1:],
            right=spikes.right.T @ s.inverse,
            coupling=spikes.right.T @ s.coefficients[:, 0],
            risk=risk,
        )
        for lam, s, risk in zip(lams, solved, risks, strict=True)
    ]


class Losses(NamedTuple):
    """Training loss with its penalty, and test loss."""

    train: float
    test: float


def equivalent_losses(terms: InitialTerms, spikes: Spikes, eta: float, ell: int) -> Losses:
    """Training and test loss of F_ell, in which eta enters through the strengths S alone.

    The coefficients a of F_ell = F_0 + U S V^T minimise |y - F_0 a - U t|^2/n + lam |a|^2 under t = S V^T a. With the
    multiplier nu this is Woodbury's identity in a form that small penalties do not spoil:

        (I + S V^T F_0^T A^{-1} U) t + S V^T K^{-1} V S nu = S V^T F_0^T A^{-1} y
        (I + U^T A^{-1} F_0 V S) nu - lam U^T A^{-1} U t = -lam U^T A^{-1} y
        a = F_0^T A^{-1} (y - U t) - K^{-1} V S nu,   L_tr = lam y^T A^{-1} (y - U t) + y^T A^{-1} F_0 V S nu.
    """
    j, total, scale = spikes.count(ell), len(spikes.degrees), np.sqrt(terms.lam)
    s, k = spikes.strength(eta)[:j], slice(0, j)
    forward = np.eye(j) + s[:, None] * terms.cross[k, k]
    matrix = np.block(
        [
            [forward, scale * s[:, None] * terms.right[k, k] * s],
            [-terms.left[k, k] / scale, np.eye(j) + terms.cross[k, k].T * s],
        ]
    )
    found = np.linalg.solve(matrix, np.concatenate([s * terms.coupling[k], -terms.mixed[k] / scale]))
    t, pull = found[:j], s * (scale * found[j:])
    theta = np.zeros(1 + 3 * total)
    theta[0], theta[1 : 1 + j] = 1.0, -t
    theta[1 + total : 1 + total + j], theta[1 + 2 * total : 1 + 2 * total + j] = -pull, t
    train = terms.label - float(terms.mixed[k] @ t) + float(terms.coupling[k] @ pull)
    return Losses(train, terms.risk(theta))


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
    counts = [spikes.count(ell) for ell in range(1, ells + 1)]
    distinct, strength = sorted(set(counts)), spikes.strength(eta)
    right = _leading_right(difference, spikes, strength, distinct)
    products = exact(right)
    norms = {}
    for i, j in enumerate(distinct):
        left = products[:, i] - spikes.left[:, :j] @ (strength[:j] * (spikes.right[:, :j].T @ right[:, i]))
        norms[j] = float(np.linalg.norm(left) / np.linalg.norm(right[:, i])) / np.sqrt(len(difference))
    return np.array([norms[j] for j in counts])


def _leading_right(difference: Array, spikes: Spikes, strength: Array, counts: list[int]) -> Array:
    """The leading right singular vector of F - F_0 less its first j spikes, for each j in `counts`; (width, counts)."""
    bases = {j: Lanczos(fixed_start(difference.shape[1]), lambda _: []) for j in counts}
    vectors: dict[int, Array] = {}
    while len(vectors) < len(counts):
        active = [j for j in counts if j not in vectors]
        heads = [bases[j].head() for j in active]
        within = np.array([[i < j for j in active] for i in range(len(strength))])
        products = _spiked_products(difference, heads, spikes, strength[:, None] * within)
        for j, product in zip(active, products, strict=True):
            basis = bases[j]
            basis.absorb(product)
            ritz = basis.ritz(1, len(basis))
            close = len(basis) > 2 and ritz.residuals[0] <= _NORM * ritz.values[0]
            if basis.exhausted or len(basis) == 500 or close:
                vectors[j] = ritz.coefficients[:, 0] @ basis.basis
    return np.stack([vectors[j] for j in counts], axis=1)


def _spiked_products(difference: Array, columns: list[Array], spikes: Spikes, strengths: Array) -> list[Array]:
    """M^T M v for M = D - U diag(s) V^T, one column v and one column s of `strengths` each, in one pass over D."""
    rows = np.stack(columns)
    single, tails = rows.astype(difference.dtype), (rows @ spikes.right) * strengths.T
    out, inner = np.zeros(rows.shape), np.zeros(tails.shape)
    for where in thin_blocks(difference, len(columns)):
        block, left = difference[where], spikes.left[where].T
        product = single @ block.T - tails @ left
        out += product.astype(difference.dtype) @ block
        inner += product @ left.T
    return list(out - (strengths.T * inner) @ spikes.right.T)
