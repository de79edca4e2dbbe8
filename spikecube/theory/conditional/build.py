"""The profile of a model, or of a draw at hand, on nodes of kappa and a."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from spikecube.model.activations import resolve_activation
from spikecube.model.hermite import Array
from spikecube.model.parameters import Model
from spikecube.model.targets import resolve_target
from spikecube.theory.conditional.expectations import TAIL, Nodes, gaussian_nodes, samples_reach
from spikecube.theory.conditional.inputs import Inputs, harmonics
from spikecube.theory.conditional.kinds import Kinds, batch_kinds
from spikecube.theory.conditional.profile import Block, CommonTerms, Profile
from spikecube.theory.labels_and_spikes import (
    beta_cosine,
    beta_length,
    label_power,
    readout_nodes,
    require_vanishing_output,
)

_RANK = 1e-6  # singular values of q_k(kappa, a) below this share of the largest are noise to the losses
_RANK_OF_SPECTRA = 1e-5
_WITH_RADIUS = 0.7  # of the nodes in kappa and a where there are nodes of the radius: no loss moves by 1e-5 of it


@dataclass(frozen=True)
class Known:
    """What is known of a draw: |beta|^2 and its squared cosine with beta_*, and |a|^2.

    >>> Known(power=4.0, alignment=0.25).rho
    0.5
    """

    power: float
    alignment: float
    readout_power: float = 1.0

    @property
    def length(self) -> float:
        """|beta|."""
        return math.sqrt(self.power)

    @property
    def rho(self) -> float:
        """The cosine of beta with beta_*, up to its sign, which is that of c_{*,1}."""
        return math.sqrt(self.alignment)


@dataclass(frozen=True)
class Parts:
    """What a profile contains beside the proportional theory.

    Attributes
    ----------
    degrees : blocks up to this degree.
    in_bulk : those of them that the resolvent tells from noise; all by default.
    radius : the radius of x: a node beside kappa for losses, to first order for spectra.
    plane, batch : the gradient batch's matrix, in the plane of beta and beta_*, and in all other coordinates.
    """

    degrees: int = 1
    radius: bool = False
    plane: bool = False
    batch: bool = False
    in_bulk: int | None = None


def parts_for(degrees: int) -> Parts:
    """Degree 1 alone is the proportional theory; with more degrees the radius and the batch's matrix come in."""
    return Parts(degrees, *[degrees > 1] * 3)


def step_reach(model: Model, n: int, alpha: float, length: float) -> tuple[float, float]:
    """How far the step takes a neuron with sqrt(N) a = 1, |beta| being `length`: along beta, and at random."""
    step = model.eta(n, alpha) / math.sqrt(model.width(n))
    along, spread = _reach(model, n, length)
    return step * along, step * spread


def _reach(model: Model, n: int, length: float) -> tuple[float, float]:
    """The same of a neuron with eta a = 1: c_1 b, and tau with tau^2 = (d/n_0) V (E sigma'^2 - c_1^2)."""
    activation = resolve_activation(model.activation)
    c_1 = float(activation.coefficients(1)[1])
    spread = max(0.0, activation.slope_power - c_1**2) * label_power(model) * model.dim(n) / model.step_samples(n)
    return c_1 * length, math.sqrt(spread)


def typical_draw(model: Model, n: int) -> Known:
    """|beta|^2 and rho^2 where they concentrate."""
    return Known(beta_length(model, n) ** 2, beta_cosine(model, n) ** 2)


def _make_profile(
    model: Model,
    n: int,
    alpha: float | None,
    inputs: Inputs,
    readout: Nodes,
    parts: Parts,
    draw: Known,
    rank: float = _RANK,
) -> Profile:
    """The profile on given nodes, of kappa and of sqrt(N) a (values, probabilities); without alpha there is no step."""
    readout = (readout[0] * math.sqrt(draw.readout_power), readout[1])
    degrees, d = parts.degrees, model.dim(n)
    size = 0.0 if alpha is None else model.eta(n, alpha) / math.sqrt(model.width(n))
    step = size * readout[0]
    q, noise = _moments(model, n, step, inputs, draw.length, degrees)
    kinds = batch_kinds(model, n, step, degrees, plane=parts.plane, typical=parts.batch)
    in_bulk = parts.in_bulk or degrees
    shared = _shared(q, inputs, d, kinds, parts.radius, rank)
    apart = parts.radius and not inputs.dim
    if apart:
        q[2] *= math.sqrt(1 - 1 / d)  # the rest of block 2 is shared
    label, label_noise = _label(model, inputs, draw, degrees)
    return Profile(
        name=f"n = {n}, {'no step' if alpha is None else f'alpha = {alpha:.6g}'}, {model}",
        n=n,
        kappa=inputs.kappa,
        along=tuple(inputs.along(k) for k in range(1, degrees + 1)),
        samples=inputs.samples,
        readout=readout[0],
        neurons=model.width(n) / n * readout[1],
        shared=shared,
        blocks=tuple(_block(k, q[k], inputs.dim, d, n, rank, kinds[k - 1]) for k in range(1, degrees + 1)),
        in_bulk=in_bulk,
        noise=noise + (q[in_bulk + 1 :] ** 2).sum(axis=0),
        label=label,
        label_noise=label_noise + model.noise**2,
        radius=apart,
    )


def _block(degree: int, q: Array, sphere: int, d: int, n: int, rank: float, kinds: Kinds) -> Block:
    count = harmonics(d, degree) if sphere else math.comb(d + degree - 1, degree)
    return Block(degree, count / n, *_factored(q, rank), kinds)


def _moments(model: Model, n: int, step: Array, inputs: Inputs, length: float, degrees: int) -> tuple[Array, Array]:
    """q_0..q_K and the noise beyond them, of the activation at each (kappa, neuron); `step` is eta a."""
    activation = resolve_activation(model.activation)
    along, spread = _reach(model, n, length)
    offset = 2 * activation.coefficients(2)[2] * float(resolve_target(model.target).coefficients(0)[0])
    scale = np.sqrt((1 + offset * step) ** 2 + (spread * step) ** 2)
    return inputs.moments(activation, along * np.multiply.outer(inputs.kappa, step), scale, degrees)


def _label(model: Model, inputs: Inputs, draw: Known, degrees: int) -> tuple[Array, Array]:
    target = resolve_target(model.target)
    rho = math.copysign(draw.rho, float(target.coefficients(1)[1]))
    return inputs.label_moments(target, rho * inputs.kappa, math.sqrt(max(0.0, 1 - rho**2)), degrees)


def _shared(q: Array, inputs: Inputs, d: int, kinds: list[Kinds], radius: bool, rank: float) -> CommonTerms:
    """q_0, and with the radius the mean of block 2: q_2 times (its gain along a coordinate)/d, in the sum 1/sqrt(d).

    Where the radius is a node, q_0 has the mean of a block whose coordinates are alike, and the rest is added.
    """
    rows = np.zeros((len(q) + 1, *q[0].shape))
    rows[0] = q[0]
    if radius:
        h = inputs.along(2)
        alike = np.array([1.0, 0.0, 1.0])[:, None] if inputs.dim else np.zeros((3, 1))
        if not inputs.dim:
            rows[-1] = q[2] * math.sqrt(max(d - 2, 0)) / d
        for i, gain in enumerate(_mean_tensor(kinds[0]) - alike):
            rows[2 - i] += q[2] * np.multiply.outer(h[i], gain) / d
    stacked = rows.reshape(-1, rows.shape[-1])
    left, right = _factored(stacked, rank)
    return CommonTerms(left.reshape(*rows.shape[:2], -1), right)


def _mean_tensor(kinds: Kinds) -> Array:
    """d E w w^T along the products kappa^i xi^{2-i}, i = 0, 1, 2, from the kinds of block 1; shape (3, a)."""
    xi, kappa = kinds.plane.T
    return np.stack([xi**2, math.sqrt(2) * xi * kappa, kappa**2]) @ kinds.plane_gain


def _factored(matrix: Array, tolerance: float) -> tuple[Array, Array]:
    """left, right with left @ right.T = matrix to within `tolerance` of its norm, of the least rank.

    >>> left, right = _factored(np.outer([1.0, 2.0], [3.0, 4.0]), 1e-7)
    >>> left.shape, right.shape, bool(np.allclose(left @ right.T, [[3, 4], [6, 8]]))
    ((2, 1), (2, 1), True)
    """
    squares, vectors = np.linalg.eigh(matrix.T @ matrix)
    keep = squares > max(tolerance**2, 1e-15) * squares[-1]
    keep[-1] = True  # a matrix of zeros has rank 1 here
    right = vectors[:, keep]
    return matrix @ right, right


def profile_of(
    model: Model, n: int, alpha: float, parts: Parts | None = None, *, draw: Known | None = None, refine: float = 1.0
) -> Profile:
    """The profile of a model on the nodes that losses need: four digits for lambda from 1e-6 to 1e3.

    Functions of a vary on the scale on which the step becomes as long as the neuron, those of kappa are smoothed by
    the spread of a; where the readout takes one or two values only, kappa's nodes follow the step's length instead.

    Parameters
    ----------
    parts : what it contains; by default the proportional theory.
    draw : the gradient batch at hand; by default a typical one.
    refine : every step of the quadrature is divided by this, to see what it costs in digits.
    """
    parts, draw = parts or Parts(), draw or typical_draw(model, n)
    kappa, readout = _nodes(model, n, alpha, refine * (_WITH_RADIUS if parts.radius else 1.0), (TAIL, TAIL))
    return _make_profile(model, n, alpha, Inputs.of(kappa, model.dim(n), radius=parts.radius), readout, parts, draw)


def initial_profile(model: Model, n: int, degrees: int) -> Profile:
    """The profile of F_0, whose neurons are all alike; as `profile_of` without a step."""
    inputs = Inputs.of(gaussian_nodes(1.5, 0.2 / _WITH_RADIUS), model.dim(n), radius=True)
    alike = (np.zeros(1), np.ones(1))
    return _make_profile(model, n, None, inputs, alike, Parts(degrees, radius=True), Known(1.0, 1.0))


def resolved_profile(
    model: Model, n: int, alpha: float, share: float, parts: Parts | None = None, *, draw: Known | None = None
) -> Profile:
    """The profile on the kappa and a that n samples and N neurons show: all but `share` of a sample and of a neuron.

    For spectra: nodes far out in the tails, of which there is no sample, would each make a lump of their own, and so
    would the kinds of typical coordinates, which are taken to be alike.
    """
    cuts = (samples_reach(n, share), samples_reach(model.width(n), share))
    parts = dataclasses.replace(parts or Parts(), batch=False)
    kappa, readout = _nodes(model, n, alpha, 0.8, cuts)
    inputs = Inputs.of(kappa, model.dim(n), radius=False)
    return _make_profile(model, n, alpha, inputs, readout, parts, draw or typical_draw(model, n), rank=_RANK_OF_SPECTRA)


def _nodes(model: Model, n: int, alpha: float, refine: float, cuts: tuple[float, float]) -> tuple[Nodes, Nodes]:
    require_vanishing_output(model)
    reach = max(step_reach(model, n, alpha, beta_length(model, n)))
    if model.readout != "gaussian":
        kappa = gaussian_nodes(100.0, 0.0045 / max(reach, 1.0) / refine, cuts[0])
        return kappa, readout_nodes(model.readout, 1)
    scale = 1 / max(reach, 0.01)
    readout = gaussian_nodes(scale, min(0.25, 0.5 / scale) / refine, cuts[1])
    return gaussian_nodes(1.5, 0.2 / refine, cuts[0]), readout
