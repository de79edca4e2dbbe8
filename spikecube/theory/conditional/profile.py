"""What one gradient step does to a neuron, given kappa = x.beta/|beta| and its readout weight a_i.

Conditioned on both, the pre-activation is theta kappa + s u with u ~ N(0, 1), and the feature splits into its mean,
blocks of degree k = 1 ... K in the D_k = C(d+k-1, k) Hermite tensors of the other coordinates, and a rest:

    theta(a) = eta c_1 b a,     s(a)^2 = (1 + 2 c_2 c_{*,0} eta a)^2 + eta^2 a^2 tau^2,
    q_k = E_u[sigma(theta kappa + s u) h_k(u)] (q_0 is the mean),   v = E_u sigma^2 - sum_k q_k^2,   h_k = H_k/sqrt(k!).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spikecube.model.hermite import Array
from spikecube.theory.conditional.kinds import Kinds


def pairs(vectors: Array) -> Array:
    """Products of columns, so that V^T diag(x) V is x @ pairs and the diagonal of V M V^T is pairs @ M; (m, rank^2)."""
    return np.asarray((vectors[:, :, None] * vectors[:, None, :]).reshape(len(vectors), -1))


@dataclass(frozen=True)
class Block:
    """The coordinates of one degree k.

    Attributes
    ----------
    degree : k.
    ratio : D_k/n.
    left, right : q_k(kappa, a) = left @ right.T; shapes (kappa, rank), (a, rank).
    kinds : how coordinates differ in what the network sees of them.
    """

    degree: int
    ratio: float
    left: Array
    right: Array
    kinds: Kinds

    @property
    def power(self) -> Array:
        """q_k^2; shape (kappa, a)."""
        return np.asarray((self.left @ self.right.T) ** 2)

    @cached_property
    def left_pairs(self) -> Array:
        """Products of columns of left; shape (kappa, rank * rank)."""
        return pairs(self.left)

    @cached_property
    def right_pairs(self) -> Array:
        """Products of columns of right; shape (a, rank * rank)."""
        return pairs(self.right)


@dataclass(frozen=True)
class Shared:
    """Functions of the input that all neurons of an a share, beside the blocks: sum_r z_a values[r] right[a].

    Attributes
    ----------
    values : shape (rows, kappa, rank). Row j goes with h_j(xi), the last one with the radius of x.
    right : shape (a, rank).
    """

    values: Array
    right: Array


@dataclass(frozen=True)
class Profile:
    """The conditional moments of the features on nodes of kappa (rows) and of the readout (columns).

    Attributes
    ----------
    name : the arguments, for errors.
    n : samples of the ridge batch.
    kappa, samples : nodes of kappa and the share of the n samples at each.
    readout, neurons : nodes of sqrt(N) a, and the neurons at each, over n.
    shared : the mean part.
    blocks : the blocks of degree 1 ... K.
    in_bulk : how many of them, from degree 1, the resolvent tells from noise; the others have coordinates in kappa and
        xi only.
    noise : v, and q_k^2 of the blocks not in the bulk; shape (kappa, a).
    label : p_j = E[y h_j(xi) | kappa], j = 0 ... K; shape (K + 1, kappa).
    label_noise : what they leave of E[y^2 | kappa]; shape (kappa,).
    radius : whether the radius of x is seen (by block 2).
    """

    name: str
    n: int
    kappa: Array
    samples: Array
    readout: Array
    neurons: Array
    shared: Shared
    blocks: tuple[Block, ...]
    in_bulk: int
    noise: Array
    label: Array
    label_noise: Array
    radius: bool

    @property
    def bulk(self) -> tuple[Block, ...]:
        """The blocks that the resolvent tells from noise."""
        return self.blocks[: self.in_bulk]

    @property
    def power(self) -> Array:
        """E_u sigma^2 without the mean part; shape (kappa, a)."""
        return self.noise + sum(block.power for block in self.bulk)
