"""What one gradient step does to a neuron, given kappa = x.beta/|beta| and its readout weight a_i.

Conditioned on both, the pre-activation is theta kappa + s u with u ~ N(0, 1), and the feature splits into its mean,
blocks of degree k = 1 ... K in the D_k = C(d+k-1, k) Hermite tensors of the other coordinates, and a rest:

    theta(a) = eta c_1 b a,     s(a)^2 = (1 + 2 c_2 c_{*,0} eta a)^2 + eta^2 a^2 tau^2,
    q_k = E_u[sigma(theta kappa + s u) h_k(u)] (q_0 is the mean),   v = E_u sigma^2 - sum_k q_k^2,   h_k = H_k/sqrt(k!).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array
from spikecube.theory.conditional.kinds import Kinds


def pairs(vectors: Array) -> Array:
    """Products of columns, so that V^T diag(x) V is x @ pairs and the diagonal of V M V^T is pairs @ M.

    Of shape (..., m, rank) to (..., m, rank^2).
    """
    return np.asarray((vectors[..., :, None] * vectors[..., None, :]).reshape(*vectors.shape[:-1], -1))


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
        return np.asarray((self.left @ self.right.swapaxes(-1, -2)) ** 2)

    @cached_property
    def left_pairs(self) -> Array:
        """Products of columns of left; shape (kappa, rank * rank)."""
        return pairs(self.left)

    @cached_property
    def right_pairs(self) -> Array:
        """Products of columns of right; shape (a, rank * rank)."""
        return pairs(self.right)


@dataclass(frozen=True)
class CommonTerms:
    """Functions of the input that all neurons of an a share, beside the blocks: sum_r z_a values[r] right[a].

    Attributes
    ----------
    values : shape (rows, kappa, rank). Row j goes with h_j(xi), the last one with the radius of x.
    right : shape (a, rank).
    """

    values: Array
    right: Array


@dataclass(frozen=True)
class System:
    """What the equations of a profile read; of several profiles at once where arrays have an axis of profiles in front.

    Attributes
    ----------
    name : the arguments, for errors.
    samples : the share of the n samples at each node of kappa.
    neurons : the neurons at each node of a, over n.
    noise : v, and q_k^2 of the blocks not in the bulk; shape (kappa, a).
    blocks : the blocks of degree 1 ... K.
    in_bulk : how many of them, from degree 1, the resolvent tells from noise; the others have coordinates in kappa and
        xi only.
    """

    name: str
    samples: Array
    neurons: Array
    noise: Array
    blocks: tuple[Block, ...]
    in_bulk: int

    @property
    def bulk(self) -> tuple[Block, ...]:
        """The blocks that the resolvent tells from noise."""
        return self.blocks[: self.in_bulk]

    @property
    def power(self) -> Array:
        """E_u sigma^2 without the mean part; shape (kappa, a)."""
        return self.noise + sum(block.power for block in self.bulk)


@dataclass(frozen=True)
class Profile(System):
    """The conditional moments of the features on nodes of kappa (rows) and of the readout (columns).

    Attributes
    ----------
    n : samples of the ridge batch.
    kappa, readout : the nodes of kappa and of sqrt(N) a. With the radius as a node, kappa is over |x|/sqrt(d).
    along : for each block, the functions of kappa that go with degree k - i in xi, i = 0 ... k; shape (k + 1, kappa).
    shared : the mean part.
    label : p_j = E[y h_j(xi) | kappa], j = 0 ... K; shape (K + 1, kappa).
    label_noise : what they leave of E[y^2 | kappa]; shape (kappa,).
    radius : whether block 2 has a coordinate for the radius of x; a radius that is a node needs none.
    """

    n: int
    kappa: Array
    along: tuple[Array, ...]
    readout: Array
    shared: CommonTerms
    label: Array
    label_noise: Array
    radius: bool


def stacked(profiles: Sequence[Profile]) -> System:
    """Several profiles with the same blocks and kinds as one system, with an axis of profiles in front.

    Where one has fewer nodes or a lower rank than another it is filled up: by copies of its last node without samples
    or neurons, which change nothing for the others, and by columns of zeros.
    """
    samples, kappa = _filled([p.samples for p in profiles])
    neurons, readout = _filled([p.neurons for p in profiles])
    noise = np.stack([p.noise[np.ix_(k, a)] for p, k, a in zip(profiles, kappa, readout, strict=True)])
    blocks = []
    for of_degree in zip(*(p.bulk for p in profiles), strict=True):
        rank = max(block.left.shape[1] for block in of_degree)
        left = np.stack([_widened(b.left[rows], rank) for b, rows in zip(of_degree, kappa, strict=True)])
        right = np.stack([_widened(b.right[rows], rank) for b, rows in zip(of_degree, readout, strict=True)])
        gain = np.stack([b.kinds.gain[:, rows] for b, rows in zip(of_degree, readout, strict=True)])
        kinds = replace(of_degree[0].kinds, gain=gain, share=np.stack([b.kinds.share for b in of_degree]))
        blocks.append(replace(of_degree[0], left=left, right=right, kinds=kinds))
    return System(profiles[0].name, samples, neurons, noise, tuple(blocks), len(blocks))


def _filled(weights: Sequence[Array]) -> tuple[Array, list[npt.NDArray[np.int64]]]:
    """Weights with zeros after them to one length, and which node stands at each place."""
    length = max(map(len, weights))
    nodes = [np.minimum(np.arange(length), len(own) - 1) for own in weights]
    return np.stack([np.append(own, np.zeros(length - len(own))) for own in weights]), nodes


def _widened(columns: Array, rank: int) -> Array:
    return np.hstack([columns, np.zeros((len(columns), rank - columns.shape[1]))])


def taken(system: System, places: Sequence[int]) -> System:
    """Those of the profiles of a stacked system."""

    def some(record: Any, *names: str, **changes: Any) -> Any:
        return replace(record, **{name: getattr(record, name)[rows] for name in names}, **changes)

    rows = list(places)
    blocks = [some(b, "left", "right", kinds=some(b.kinds, "gain", "share")) for b in system.blocks]
    found: System = some(system, "samples", "neurons", "noise", blocks=tuple(blocks))
    return found
