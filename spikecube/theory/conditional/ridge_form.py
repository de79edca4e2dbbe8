"""The small ridge problem whose least value is the labels' quadratic form in the resolvent.

Its rows are the functions of kappa that go with h_0(xi), h_1(xi), ..., h_K(xi) and with the radius of x. Its targets
are the label's p_j. Its regressors are what all neurons of an a share, and of each block the coordinates
h_i(kappa) h_{k-i}(xi): the network has them as it has the others, but here they are known as functions.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from spikecube.model.hermite import Array
from spikecube.theory.conditional.equations import BlockState, block_state
from spikecube.theory.conditional.profile import Profile, pairs


@dataclass(frozen=True)
class Seat:
    """Where the coordinates of one block stand among the regressors: on these rows, as these functions of kappa.

    Attributes
    ----------
    block : the block's index.
    rows, factors : the row of each coordinate, and its function of kappa; shapes (coordinates,), (coordinates, kappa).
    gain, plane : of the kinds of coordinates that make them up, shapes (kinds, a), (kinds, coordinates).
    """

    block: int
    rows: tuple[int, ...]
    factors: Array
    gain: Array
    plane: Array


def seats_of(profile: Profile) -> list[Seat]:
    """The coordinates that are known as functions: those of every block in kappa and xi, and the radius of block 2."""
    top = len(profile.blocks)
    seats = []
    for index, block in enumerate(profile.blocks):
        k, kinds = block.degree, block.kinds
        seats.append(Seat(index, tuple(range(k, -1, -1)), profile.along[index], kinds.plane_gain, kinds.plane))
        if profile.radius and k == 2:
            plane = np.sqrt(kinds.share)[:, None]
            seats.append(Seat(index, (top + 1,), profile.along[index][:1], kinds.gain, plane))
    return seats


@dataclass(frozen=True)
class Form:
    """The ridge problem at some (rho, w): T = min_c |label - regressors c|^2 + c^T (prior^{-1} - held) c.

    Attributes
    ----------
    weight : nu rho; shape (penalties, kappa).
    regressors : on every row; shape (rows, kappa, coefficients), those of what all neurons share first.
    priors : block diagonal, for what neurons share and for each seat; shapes (penalties, own, own).
    helds : what the priors of the seats already count of the fit; the same shapes, for the seats.
    seats, states : the seats and their kinds at (rho, w).
    """

    weight: Array
    regressors: Array
    priors: list[Array]
    helds: list[Array]
    seats: list[Seat]
    states: list[BlockState]

    @property
    def places(self) -> list[slice]:
        """Where the coefficients of each prior stand."""
        ends = np.cumsum([0, *(prior.shape[-1] for prior in self.priors)])
        return [slice(*pair) for pair in itertools.pairwise(ends)]

    def times_prior(self, rows: Array) -> Array:
        """rows @ prior; rows of shape (penalties, any, coefficients)."""
        parts = [rows[:, :, place] @ prior for place, prior in zip(self.places, self.priors, strict=True)]
        return np.concatenate(parts, axis=2)


def ridge_form(profile: Profile, rho: Array, w: Array) -> Form:
    """The ridge problem of a profile, with the matrices that the prior and the regressors make.

    A coordinate known as a function is a combination of coordinates of several kinds t with components v_t. They share

        prior = sum_t v_t v_t^T (x) (U^T diag(nu rho) U + phi (V^T diag(w gain_t) V)^{-1})^{-1}.
    """
    weight, seats, shared = profile.samples * rho, seats_of(profile), profile.shared.right
    columns = [profile.shared.values]
    priors: list[Array] = [profile.n * (w @ pairs(shared)).reshape(len(w), shared.shape[1], shared.shape[1])]
    helds, states = [], []
    rows = len(profile.shared.values)
    for seat in seats:
        block = profile.blocks[seat.block]
        state = block_state(block, weight, w, seat.gain)
        count, rank = len(seat.rows), block.left.shape[1]
        on_rows = np.zeros((rows, len(profile.kappa), count, rank))
        for i, row in enumerate(seat.rows):
            on_rows[row, :, i] = seat.factors[i][:, None] * block.left
        columns.append(on_rows.reshape(rows, -1, count * rank))
        priors.append(_over_kinds(seat.plane, state.ahead / block.ratio))
        helds.append(_over_kinds(np.eye(count), np.repeat(state.within[:, None], count, axis=1)))
        states.append(state)
    return Form(weight, np.concatenate(columns, axis=2), priors, helds, seats, states)


def _over_kinds(plane: Array, matrices: Array) -> Array:
    """sum_t v_t v_t^T (x) matrices[:, t] with v_t = plane[t]; (penalties, kinds, r, r) to (penalties, c r, c r)."""
    kinds, c = plane.shape
    r = matrices.shape[-1]
    summed = (pairs(plane).T @ matrices.reshape(-1, kinds, r * r)).reshape(-1, c, c, r, r)
    return np.asarray(summed.transpose(0, 1, 3, 2, 4).reshape(-1, c * r, c * r))


def quadratic_form(profile: Profile, rho: Array, w: Array) -> tuple[Array, Array]:
    """T's derivatives in log rho and in -log w, shapes (penalties, kappa), (penalties, a); T is the sum of both.

    At fixed minimisers every derivative is one of the terms of the ridge problem, and T is homogeneous of degree 1 in
    (rho, 1/w).
    """
    form = ridge_form(profile, rho, w)
    label = np.zeros((len(profile.shared.values), len(profile.kappa)))
    label[: len(profile.label)] = profile.label
    by_kappa = form.regressors.transpose(1, 2, 0)
    count, nodes = by_kappa.shape[1], len(profile.kappa)
    right = form.weight @ (by_kappa @ label.T[:, :, None])[..., 0]
    squares = (by_kappa @ by_kappa.swapaxes(1, 2)).reshape(nodes, -1)
    excess = (form.weight @ squares).reshape(-1, count, count)
    for place, held in zip(form.places[1:], form.helds, strict=True):
        excess[:, place, place] -= held
    dual = np.linalg.solve(np.eye(count) + form.times_prior(excess), right[..., None])[..., 0]
    found = form.times_prior(dual[:, None])[:, 0]
    residual = label.ravel() - found @ form.regressors.reshape(-1, count).T
    on_samples = (residual.reshape(-1, *label.shape) ** 2).sum(axis=1) + profile.label_noise
    on_neurons = profile.n * w * (dual[:, form.places[0]] @ profile.shared.right.T) ** 2
    for seat, state, place in zip(form.seats, form.states, form.places[1:], strict=True):
        block = profile.blocks[seat.block]
        shape = (len(seat.rows), block.left.shape[1])
        own = found[:, place].reshape(-1, *shape)
        by_kind = seat.plane @ dual[:, place].reshape(-1, *shape)
        source = (by_kind[:, :, None] @ state.mixed)[:, :, 0] / block.ratio
        fitted = (by_kind[:, :, None] @ state.ahead)[:, :, 0] / block.ratio
        on_samples = on_samples + ((fitted @ block.left.T) ** 2).sum(axis=1) - ((own @ block.left.T) ** 2).sum(axis=1)
        on_neurons = on_neurons + block.ratio * w * (seat.gain * (source @ block.right.T) ** 2).sum(axis=1)
    return form.weight * on_samples, on_neurons
