"""The spiked equivalents F_ell = F_0 + sum_{k<=ell} c_1^k c_k eta^k (X~ beta)^{ok} (a^{ok})^T, never formed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikecube.model.hermite import Array
from spikecube.model.krylov import Lanczos, fixed_start, thin_blocks
from spikecube.model.prepared import Prepared
from spikecube.model.risk import QuadraticRisk
from spikecube.model.solves import solve_all

_NORM = 1e-6  # residual of a leading singular vector of F - F_ell; its value is accurate to the square


@dataclass(frozen=True)
class Spikes:
    """F_ell - F_0 = left[:, :j] diag(strength[:j]) right[:, :j]^T with j the number of spikes of degree <= ell.

    Attributes
    ----------
    degrees : degrees that carry a spike, ascending.
    left : columns (X~ beta)^{ok} / p^k; (n, spikes).
    scale : p = |X~ beta|.
    right : columns a^{ok} / |a|^k; (width, spikes).
    unit : strengths c_1^k c_k p^k |a|^k at eta = 1; (spikes,).
    """

    degrees: tuple[int, ...]
    scale: float
    left: Array
    right: Array
    unit: Array

    def strength(self, eta: float) -> Array:
        """c_1^k c_k eta^k p^k |a|^k; shape (spikes,)."""
        return np.asarray(self.unit * eta ** np.array(self.degrees, dtype=np.float64))

    def count(self, ell: int) -> int:
        """How many spikes F_ell has."""
        return sum(k <= ell for k in self.degrees)


def make_spikes(coefficients: Array, degrees: tuple[int, ...], projection: Array, readout: Array) -> Spikes:
    """The spikes of the given degrees from X~ beta (n,) and a (width,)."""
    p, a = (float(np.linalg.norm(v)) or 1.0 for v in (projection, readout))
    return Spikes(
        degrees,
        p,
        np.stack([(projection / p) ** k for k in degrees], axis=1),
        np.stack([(readout / a) ** k for k in degrees], axis=1),
        np.array([coefficients[1] ** k * coefficients[k] * (p * a) ** k for k in degrees]),
    )


@dataclass(frozen=True)
class Solves:
    """All that F_0 contributes at one penalty, A = F_0 F_0^T + n lam, K = F_0^T F_0/n + lam, U and V the spikes' sides.

    Attributes
    ----------
    lam : the penalty.
    label : lam y^T A^{-1} y, the training loss of F_0.
    mixed : lam U^T A^{-1} y; (spikes,).
    left : lam U^T A^{-1} U; (spikes, spikes).
    cross : V^T F_0^T A^{-1} U; (spikes, spikes).
    right : V^T K^{-1} V; (spikes, spikes).
    image : V^T F_0^T A^{-1} y; (spikes,).
    risk : test risk of combinations of F_0 [F_0^T A^{-1} y, F_0^T A^{-1} U, K^{-1} V] and (x.beta/p)^k, in this order.
    """

    lam: float
    label: float
    mixed: Array
    left: Array
    cross: Array
    right: Array
    image: Array
    risk: QuadraticRisk

    @property
    def test_loss(self) -> float:
        """L_te(F_0)."""
        return self.risk(np.eye(1, len(self.risk.linear))[0])


def solve_initial(
    state: Prepared, spikes: Spikes, lams: Array, forms: Callable[[list[Array]], list[QuadraticRisk]]
) -> list[Solves]:
    """The solves with F_0 (in `state`) at every penalty; `forms` gives the risk of combinations of features of F_0."""
    columns = np.column_stack([state.labels, spikes.left])
    solved = solve_all(state, columns, spikes.right, lams)
    risks = forms([np.column_stack([a, inverse]) for a, _, inverse in solved])
    return [
        Solves(
            lam=float(lam),
            label=float(inner[0, 0]),
            mixed=inner[1:, 0],
            left=inner[1:, 1:],
            cross=spikes.right.T @ a[:, 1:],
            right=spikes.right.T @ inverse,
            image=spikes.right.T @ a[:, 0],
            risk=risk,
        )
        for lam, (a, inner, inverse), risk in zip(lams, solved, risks, strict=True)
    ]


def spiked_losses(solves: Solves, spikes: Spikes, eta: float, ell: int) -> tuple[float, float]:
    """Training and test loss of F_ell, in which eta enters through the strengths S alone.

    The coefficients a of F_ell = F_0 + U S V^T minimise |y - F_0 a - U t|^2/n + lam |a|^2 under t = S V^T a. With the
    multiplier nu this is Woodbury's identity in a form that small penalties do not spoil:

        (I + S V^T F_0^T A^{-1} U) t + S V^T K^{-1} V S nu = S V^T F_0^T A^{-1} y
        (I + U^T A^{-1} F_0 V S) nu - lam U^T A^{-1} U t = -lam U^T A^{-1} y
        a = F_0^T A^{-1} (y - U t) - K^{-1} V S nu,   L_tr = lam y^T A^{-1} (y - U t) + y^T A^{-1} F_0 V S nu.
    """
    j, total, scale = spikes.count(ell), len(spikes.degrees), np.sqrt(solves.lam)
    s, k = spikes.strength(eta)[:j], slice(0, j)
    forward = np.eye(j) + s[:, None] * solves.cross[k, k]
    matrix = np.block(
        [
            [forward, scale * s[:, None] * solves.right[k, k] * s],
            [-solves.left[k, k] / scale, np.eye(j) + solves.cross[k, k].T * s],
        ]
    )
    found = np.linalg.solve(matrix, np.concatenate([s * solves.image[k], -solves.mixed[k] / scale]))
    t, pull = found[:j], s * (scale * found[j:])
    theta = np.zeros(1 + 3 * total)
    theta[0], theta[1 : 1 + j] = 1.0, -t
    theta[1 + total : 1 + total + j], theta[1 + 2 * total : 1 + 2 * total + j] = -pull, t
    train = solves.label - float(solves.mixed[k] @ t) + float(solves.image[k] @ pull)
    return train, solves.risk(theta)


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
        within = np.array([[i < j for j in active] for i in range(len(strength))])
        images = _spiked_products(difference, heads, spikes, strength[:, None] * within)
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


def _spiked_products(difference: Array, columns: list[Array], spikes: Spikes, strengths: Array) -> list[Array]:
    """M^T M v for M = D - U diag(s) V^T, one column v and one column s of `strengths` each, in one pass over D."""
    rows = np.stack(columns)
    single, tails = rows.astype(difference.dtype), (rows @ spikes.right) * strengths.T
    out, inner = np.zeros(rows.shape), np.zeros(tails.shape)
    for where in thin_blocks(difference, len(columns)):
        block, left = difference[where], spikes.left[where].T
        image = single @ block.T - tails @ left
        out += image.astype(difference.dtype) @ block
        inner += image @ left.T
    return list(out - (strengths.T * inner) @ spikes.right.T)
