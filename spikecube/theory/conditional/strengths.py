"""Strengths beyond the bulk of what is known as functions: where one of them is 1 there is an outlier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from spikecube.model.hermite import Array
from spikecube.theory.conditional.profile import Profile, pairs
from spikecube.theory.conditional.ridge_form import seats_of
from spikecube.theory.conditional.solutions import Point


@dataclass(frozen=True)
class Prior:
    """The prior of some coefficients: for each kind, right^T diag(w gain) right/ratio.

    Attributes
    ----------
    gain : shape (kinds, a).
    right, right_pairs : shapes (a, rank), (a, rank * rank).
    ratio : D_k/n, or 1/n for what neurons share.
    """

    gain: Array
    right: Array
    right_pairs: Array
    ratio: float

    def root(self, w: Array) -> Array:
        """L with L L^T the prior, block diagonal in the kinds. Weights are positive, and so is the prior."""
        kinds, rank = len(self.gain), self.right.shape[1]
        of_kinds = np.linalg.cholesky(((w * self.gain) @ self.right_pairs).reshape(kinds, rank, rank) / self.ratio)
        out: Array = np.zeros((kinds, rank, kinds, rank))
        out[np.arange(kinds), :, np.arange(kinds)] = of_kinds
        return out.reshape(kinds * rank, kinds * rank)

    def moved(self, dw: Array, z: Array) -> Array:
        """z^T (d prior) z where w moves by dw; z of shape (coefficients, vectors)."""
        by_kind = self.right @ z.reshape(len(self.gain), self.right.shape[1], -1)
        return np.asarray(np.einsum("a,ka,kav->v", dw, self.gain, by_kind**2) / self.ratio)


@dataclass(frozen=True)
class StrengthForm:
    """What strengths at every x are made of.

    With P the prior and D = sum_kappa nu rho (regressors there)(regressors there)^T < 0 the data's form, strengths are
    the eigenvalues of -P D. They fall as x grows.

    Attributes
    ----------
    profile : where it comes from.
    alone : the regressors on the row of functions of kappa alone; shape (kappa, coefficients).
    squares : the regressors' products at each kappa, summed over rows; shape (kappa, coefficients^2).
    priors : in the order of the coefficients.
    """

    profile: Profile
    alone: Array
    squares: Array
    priors: tuple[Prior, ...]


def strength_form(profile: Profile) -> StrengthForm:
    """The form of a profile: coefficients of what neurons share, then of each kind that makes up each seat."""
    shared, nodes = profile.shared, len(profile.kappa)
    columns, priors = (
        [shared.values],
        [Prior(np.ones((1, len(profile.readout))), shared.right, pairs(shared.right), 1 / profile.n)],
    )
    apart = []
    for seat in seats_of(profile):
        block = profile.blocks[seat.block]
        kinds, rank = seat.plane.shape[0], block.left.shape[1]
        places: Array = np.zeros((len(shared.values), nodes, kinds, rank))
        for i, row in enumerate(seat.rows):
            places[row] += seat.plane[:, i, None] * (seat.factors[i][:, None] * block.left)[:, None]
        columns.append(places.reshape(len(places), nodes, -1))
        priors.append(Prior(seat.gain, block.right, block.right_pairs, block.ratio))
        apart.append((np.eye(kinds) - seat.plane @ seat.plane.T, block.left_pairs.reshape(nodes, rank, rank)))
    x = np.concatenate(columns, axis=2)
    squares = np.einsum("rkc,rkd->kcd", x, x)
    start = shared.right.shape[1]
    for outside, within in apart:  # what the kinds have beyond the plane is known to be seen, but on no row
        end = start + len(outside) * within.shape[1]
        block_of_all = np.einsum("st,kij->ksitj", outside, within)
        squares[:, start:end, start:end] += block_of_all.reshape(nodes, end - start, end - start)
        start = end
    return StrengthForm(profile, x[0], squares.reshape(nodes, -1), tuple(priors))


@dataclass(frozen=True)
class Strengths:
    """The largest strengths at one point outside the bulk.

    Attributes
    ----------
    point : where.
    values : largest first; shape (count,).
    slopes : d values/dx.
    coefficients : u with -P D u = (value) u and u^T P^{-1} u = 1; shape (coefficients, count).
    """

    point: Point
    values: Array
    slopes: Array
    coefficients: Array


def count_outliers(form: StrengthForm, point: Point) -> int:
    """How many strengths exceed 1."""
    matrix, _, _ = _matrix(form, point)
    return int(np.sum(linalg.eigvalsh(matrix) > 1))


def strengths(form: StrengthForm, point: Point, count: int) -> Strengths:
    """The largest strengths, and how they fall.

    An eigenvalue t of -P D, with P^{-1} u = -D u/t =: z and u^T z = 1, moves by -u^T (dD) u + t z^T (dP) z.
    """
    matrix, root, data = _matrix(form, point)
    size = len(matrix)
    values, vectors = linalg.eigh(matrix, subset_by_index=[max(size - count, 0), size - 1])
    values, vectors = values[::-1], vectors[:, ::-1]
    rho_slope, e_slope = np.split(point.slope, [len(form.profile.kappa)])
    weight = form.profile.samples * point.rho
    u = root @ vectors
    z = -data @ u / values
    moved_data = ((weight * rho_slope) @ form.squares).reshape(size, size)
    dw = -point.w * point.e / (1 + point.e) * e_slope
    slopes, start = -(u * (moved_data @ u)).sum(axis=0), 0
    for prior in form.priors:
        end = start + len(prior.gain) * prior.right.shape[1]
        slopes = slopes + values * prior.moved(dw, z[start:end])
        start = end
    return Strengths(point, values, slopes, u)


def _matrix(form: StrengthForm, point: Point) -> tuple[Array, Array, Array]:
    """-L^T D L, L and D."""
    root = _block_diagonal([prior.root(point.w) for prior in form.priors])
    data = ((form.profile.samples * point.rho) @ form.squares).reshape(root.shape)
    return -root.T @ data @ root, root, data


def _block_diagonal(blocks: list[Array]) -> Array:
    """As in SciPy, which looks at its arguments for longer than all the rest takes."""
    ends = np.cumsum([0, *map(len, blocks)])
    out = np.zeros((ends[-1], ends[-1]))
    for start, end, block in zip(ends, ends[1:], blocks, strict=False):
        out[start:end, start:end] = block
    return out
