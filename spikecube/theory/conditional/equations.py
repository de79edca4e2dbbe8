"""The profile's equations: what the resolvent is at each kappa, and how much of each neuron the others leave.

Given kappa and a, F is a matrix with a variance profile plus a mean of low numerical rank. With r_a = N_a/n,
w_a = r_a/(1 + e_a), rho(kappa) = n R(kappa), R the resolvent's diagonal, and phi_k = D_k/n,

    K^k_ab = sum_kappa nu_kappa rho q_ka q_kb,     M^k = (diag(1/w) + K^k/phi_k)^{-1}
    rho(kappa) = 1 / ( sum_k sum_ab q_ka M^k_ab q_kb + sum_a w_a v_a + lambda )
    e_a = sum_k [ K^k_aa - (K^k M^k K^k)_aa/phi_k ] + sum_kappa nu_kappa rho v_a.

Where the coordinates of a block are of several kinds, the sum over k is one over kinds with their shares, w being
multiplied by a kind's gains. The matrices q_k have low rank: with q_k = U V^T everything needs only the small matrices
U^T diag(nu rho) U and V^T diag(w gain) V.

The right-hand sides are increasing in (rho, e) and grow by less than a factor t when both grow by t > 1. In the
logarithms the map therefore expands no distance, its fixed point is unique, and 1 - d log(map) is an M-matrix
everywhere: Newton's method in the logarithms never meets a singular matrix. Steps are halved until the residual falls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikecube.model.hermite import Array
from spikecube.theory.bulk import Bulk
from spikecube.theory.conditional.profile import Block, Profile, System
from spikecube.theory.newton import ConvergenceError

TOLERANCE = 1e-10
_ROUNDS, _HALVINGS = 100, 30
_ROUGH = 0.01  # of log e, for a start
_LONGEST = 3.0  # Newton step in the logarithms


@dataclass(frozen=True)
class BlockState:
    """One block at some (rho, w): small matrices for each penalty, and each kind of its coordinates.

    Attributes
    ----------
    within : U^T diag(nu rho) U; shape (penalties, rank, rank).
    mixed : 1/(1 + B within/phi) with B = V^T diag(w gain) V; shape (penalties, kinds, rank, rank).
    ahead : B/(1 + within B/phi), so that M = V ahead V^T; the same shape.
    behind : within/(1 + B within/phi), so that K - K M K/phi = V behind V^T; the same shape.
    """

    within: Array
    mixed: Array
    ahead: Array
    behind: Array


def block_state(block: Block, weight: Array, w: Array, gain: Array) -> BlockState:
    """A block at weight = nu rho, shape (penalties, kappa), and w, shape (penalties, a); gain (kinds, a)."""
    rank = block.left.shape[-1]
    within = (weight @ block.left_pairs).reshape(*weight.shape[:-1], 1, rank, rank)
    b = (w[..., None, :] * gain[..., None, :, :]) @ block.right_pairs[..., None, :, :]
    b = b.reshape(*b.shape[:-1], rank, rank)
    mixed = _inverse(np.eye(rank) + b @ within / block.ratio)
    return BlockState(within[..., 0, :, :], mixed, mixed @ b, within @ mixed)


def _inverse(matrices: Array) -> Array:
    """Inverses of a stack; NaN for a singular one, where a way to a solution has led to infinity beside others.

    >>> _inverse(np.array([[[2.0]], [[0.0]]])).ravel().tolist()
    [0.5, nan]
    """
    try:
        return np.asarray(np.linalg.inv(matrices))
    except np.linalg.LinAlgError:
        singular = (np.linalg.det(matrices) == 0)[..., None, None]
        found = np.linalg.inv(np.where(singular, np.eye(matrices.shape[-1]), matrices))
        return np.asarray(np.where(singular, np.nan, found))


@dataclass(frozen=True)
class RightSides:
    """The right-hand sides at some (rho, e), and what their derivatives are made of; a leading axis of penalties."""

    rho: Array
    e: Array
    w: Array
    blocks: tuple[BlockState, ...]


def right_sides(system: System, lam: Array, rho: Array, e: Array) -> RightSides:
    """One evaluation of the equations; lam (penalties, 1), rho (penalties, kappa), e (penalties, a).

    For a stacked system all of them have its axis of profiles in front.
    """
    w = system.neurons[..., None, :] / (1 + e)
    weight = system.samples[..., None, :] * rho
    below, above = lam + w @ system.noise.swapaxes(-1, -2), weight @ system.noise
    states = []
    for block in system.bulk:
        gain, share = block.kinds.gain, block.kinds.share[..., None, None, :]
        state = block_state(block, weight, w, gain)
        ahead, behind = (m.reshape(*m.shape[:-2], -1) for m in (state.ahead, state.behind))
        below = below + (share @ ahead)[..., 0, :] @ block.left_pairs.swapaxes(-1, -2)
        by_kind = gain[..., None, :, :] * (behind @ block.right_pairs[..., None, :, :].swapaxes(-1, -2))
        above = above + (share @ by_kind)[..., 0, :]
        states.append(state)
    return RightSides(1 / below, above, w, tuple(states))


def jacobian(system: System, rho: Array, e: Array, sides: RightSides) -> Array:
    """1 - d log(images)/d log(rho, e); shape (penalties, kappa + a, kappa + a), with the axis of profiles in front."""
    weight, split = system.samples[..., None, :] * rho, rho.shape[-1]
    between, joint, among = _second_moments(system, sides)
    slope = (sides.w * e / (1 + e))[..., None, :]  # -dw/d log e
    out = np.empty((*rho.shape[:-1], split + e.shape[-1], split + e.shape[-1]), dtype=sides.rho.dtype)
    np.multiply(between, weight[..., None, :], out=out[..., :split, :split])
    np.multiply(joint, slope, out=out[..., :split, split:])
    out[..., :split, :] *= -sides.rho[..., None]
    np.multiply(joint.swapaxes(-1, -2), weight[..., None, :], out=out[..., split:, :split])
    np.multiply(among, slope, out=out[..., split:, split:])
    out[..., split:, :] *= (-1 / sides.e)[..., None]
    diagonal = np.arange(out.shape[-1])
    out[..., diagonal, diagonal] += 1
    return out


def _second_moments(system: System, sides: RightSides) -> tuple[Array, Array, Array]:
    """The squared entries of q_k M^k q_k^T and its like, summed: kappa with kappa, kappa with a, and a with a."""
    between: Array | float = 0.0
    among: Array | float = 0.0
    joint = system.noise[..., None, :, :]
    for block, state in zip(system.bulk, sides.blocks, strict=True):
        left, right = block.left[..., None, :, :], block.right[..., None, :, :]
        across, back = left.swapaxes(-1, -2), right.swapaxes(-1, -2)
        for k in range(block.kinds.share.shape[-1]):
            share = block.kinds.share[..., k, None, None, None]
            gain = block.kinds.gain[..., k, None, None, :]
            pairwise = share / block.ratio * gain * gain.swapaxes(-1, -2)
            between = between + _squared(left @ state.ahead[..., k, :, :] @ across, share / block.ratio)
            joint = joint + _squared(left @ state.mixed[..., k, :, :] @ back, share * gain)
            among = among + _squared(right @ state.behind[..., k, :, :] @ back, pairwise)
    return np.asarray(between), joint, np.asarray(among)


def _squared(matrix: Array, scale: Array) -> Array:
    """scale matrix^2 elementwise, in the place of the matrix: these are the largest arrays, many times over."""
    matrix *= matrix
    matrix *= scale
    return matrix


class Solved(NamedTuple):
    """rho (penalties, kappa), e (penalties, a), and the right-hand sides there."""

    rho: Array
    e: Array
    sides: RightSides


def solve(profile: Profile, lam: Array) -> Solved:
    """The solution at penalties lam > 0.

    A ConvergenceError says that the residual of the logarithms does not fall below 1e-10.
    """
    rho, e = _start(profile, lam)
    sides = right_sides(profile, lam[:, None], rho, e)
    for _ in range(_ROUNDS):
        residual = log_residual(rho, e, sides)
        worst = np.abs(residual).max(axis=1)
        if worst.max() < TOLERANCE:
            return Solved(rho, e, sides)
        step = -np.linalg.solve(jacobian(profile, rho, e, sides), residual[..., None])[..., 0]
        step *= (_LONGEST / np.maximum(_LONGEST, np.abs(step).max(axis=1)))[:, None]
        rho, e, sides = _descend(profile, lam, rho, e, step, np.maximum(worst, TOLERANCE))
    raise ConvergenceError(
        f"residual {worst.max():.2g} exceeds {TOLERANCE:g} after {_ROUNDS} steps: "
        f"lam in [{lam.min():.6g}, {lam.max():.6g}]",
        profile.name,
    )


def _descend(profile: Profile, lam: Array, rho: Array, e: Array, step: Array, worst: Array) -> Solved:
    """The point along the step where the residual falls below `worst`, the step being halved until it does."""
    length = np.ones((len(lam), 1))
    for _ in range(_HALVINGS):
        there = moved(rho, e, length * step)
        sides = right_sides(profile, lam[:, None], *there)
        falls = np.abs(log_residual(*there, sides)).max(axis=1) < worst
        if falls.all():
            break
        length[~falls] /= 2
    return Solved(*there, sides)


def _start(profile: Profile, lam: Array) -> tuple[Array, Array]:
    """rho and e of a network without a step whose linear power and noise are everywhere the profile's means."""
    neurons = profile.neurons / profile.neurons.sum()
    linear = float(profile.samples @ profile.blocks[0].power @ neurons)
    rest = float(profile.samples @ profile.power @ neurons) - linear
    bulk = Bulk(linear, rest, profile.blocks[0].ratio, float(profile.neurons.sum()))
    moments = bulk.moments(lam, tolerance=_ROUGH)
    rho = np.repeat(moments.m_1[:, None], len(profile.kappa), axis=1)
    return rho, np.repeat((1 / moments.u - 1)[:, None], len(profile.neurons), axis=1)


def log_residual(rho: Array, e: Array, sides: RightSides) -> Array:
    """log of (rho, e) over their images; shape (penalties, kappa + a), with the axis of profiles in front."""
    return np.concatenate([np.log(rho / sides.rho), np.log(e / sides.e)], axis=-1)


def moved(rho: Array, e: Array, step: Array) -> tuple[Array, Array]:
    """(rho, e) after a step in their logarithms."""
    split = rho.shape[-1]
    return rho * np.exp(step[..., :split]), e * np.exp(step[..., split:])
