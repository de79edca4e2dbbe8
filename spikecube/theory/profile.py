"""What one gradient step does to a neuron, given kappa = x.beta/|beta| and its readout weight a_i.

Conditioned on both, the pre-activation is theta kappa + s u with u ~ N(0, 1), and the feature splits into its mean m,
its linear part l and a rest of variance v:

    theta(a) = eta c_1 b a,     s(a)^2 = (1 + 2 c_2 c_{*,0} eta a)^2 + eta^2 a^2 tau^2,
    m = E_u sigma(theta kappa + s u),   l = E_u[u sigma],   v = E_u[sigma^2] - m^2 - l^2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from spikecube.model.activations import resolve_activation
from spikecube.model.hermite import Array
from spikecube.model.targets import resolve_target
from spikecube.theory.parameters import Model
from spikecube.theory.quantities import beta_length, label_power, readout_nodes, require_vanishing_output

_REACH = 9.0  # P(|u| > 9) is below 1e-18
_PIECE = 48  # Gauss-Legendre nodes on each side of a kink
_LEGENDRE = np.polynomial.legendre.leggauss(_PIECE)
_STEP = 0.33  # of the trapezoidal rule in the activation's own argument, whose scale is 1
_TAIL = 6.8  # Gaussian nodes reach so far: P(|Z| > 6.8) is 1e-11


def gaussian_moments(
    function: Callable[[Array], Array], kinks: Sequence[float], mean: Array, scale: Array
) -> tuple[Array, Array, Array]:
    """E f, E[u f] and E f^2 - (E f)^2 - (E[u f])^2 of f(mean + scale u), u ~ N(0, 1); each of the shape of mean.

    Smooth functions by the trapezoidal rule, which is exact to rounding where the step is small against the distance
    of the poles; functions with kinks by Gauss-Legendre between them.

    >>> [float(v) for v in np.round(gaussian_moments(np.square, (), np.array([1.0]), np.array([2.0])), 9).ravel()]
    [5.0, 4.0, 32.0]
    """
    mean, scale = np.broadcast_arrays(mean, scale)
    nodes, weights = _pieces(kinks, mean, scale) if kinks else _trapezoid(float(scale.max()))
    weights = weights * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
    values = function(mean[..., None] + scale[..., None] * nodes)
    weighted = weights * values
    first, linear = weighted.sum(axis=-1), (weighted * nodes).sum(axis=-1)
    rest = (weighted * values).sum(axis=-1) - first**2 - linear**2
    return first, linear, np.maximum(rest, 0.0)


def _trapezoid(scale: float) -> tuple[Array, Array]:
    count = math.ceil(_REACH * max(3.0, scale / _STEP))
    step = _REACH / count
    nodes = step * np.arange(-count, count + 1)
    return nodes, np.full(nodes.shape, step)


def _pieces(kinks: Sequence[float], mean: Array, scale: Array) -> tuple[Array, Array]:
    unit, unit_weights = _LEGENDRE
    inner = [np.clip((k - mean) / np.maximum(scale, 1e-300), -_REACH, _REACH) for k in kinks]
    ends = np.stack([np.full_like(mean, -_REACH), *inner, np.full_like(mean, _REACH)], axis=-1)
    half, middle = np.diff(ends)[..., None] / 2, (ends[..., 1:] + ends[..., :-1])[..., None] / 2
    shape = (*mean.shape, -1)
    return (middle + half * unit).reshape(shape), (half * unit_weights).reshape(shape)


@dataclass(frozen=True)
class Profile:
    """The conditional moments of the features on nodes of kappa (rows) and of the readout (columns).

    Attributes
    ----------
    name : the arguments, for errors.
    n : samples of the ridge batch.
    dim_ratio : d/n.
    kappa, samples : nodes of kappa and the share of the n samples at each.
    readout, neurons : nodes of sqrt(N) a, and the neurons at each, over n.
    mean, linear, noise : m, l, v; shape (kappa, readout).
    gain, coordinates : kinds of input coordinates: how much of a neuron's squared length lies in one of each kind, over
        the mean, shape (coordinates, a), and the share of the d coordinates of each kind. One kind by default.
    label, label_linear, label_noise : g = E[y|kappa], p = E[xi y|kappa], q = E[y^2|kappa] - g^2 - p^2; shape (kappa,).
    """

    name: str
    n: int
    dim_ratio: float
    kappa: Array
    samples: Array
    readout: Array
    neurons: Array
    mean: Array
    linear: Array
    noise: Array
    label: Array
    label_linear: Array
    label_noise: Array
    gain: Array
    coordinates: Array

    def over_coordinates(self, values: Array) -> Array:
        """The mean over kinds of input coordinates, the second axis."""
        if len(self.coordinates) == 1:
            return values[:, 0]
        return np.asarray(np.tensordot(values, self.coordinates, axes=(1, 0)))


Nodes = tuple[Array, Array]
"""Values of a standard Gaussian, or of sqrt(N) a, with their probabilities."""


def gaussian_nodes(scale: float, step: float, reach: float = _TAIL) -> Nodes:
    """Nodes scale sinh(t) for equidistant t: finer than `scale` around 0, ever coarser (in proportion) further out.

    The trapezoidal rule in t converges exponentially, for functions that vary on the scale as for those of Z itself.
    Z is cut off at `reach`.

    >>> nodes, probabilities = gaussian_nodes(scale=0.1, step=0.2)
    >>> len(nodes), round(float(probabilities @ nodes**4), 6)
    (51, 3.0)
    """
    end = math.asinh(reach / scale)
    t = np.linspace(-end, end, 2 * math.ceil(end / step) + 1)
    nodes = scale * np.sinh(t)
    weights = np.cosh(t) * np.exp(-(nodes**2) / 2)
    return nodes, weights / weights.sum()


def step_reach(model: Model, n: int, alpha: float) -> tuple[float, float]:
    """How far the step takes a neuron with sqrt(N) a = 1.

    Along beta by c_1 eta b/sqrt(N), and at random by eta tau/sqrt(N), tau^2 = (d/n_0) V (E sigma'^2 - c_1^2).
    """
    activation = resolve_activation(model.activation)
    c_1 = float(activation.coefficients(1)[1])
    step = model.eta(n, alpha) / math.sqrt(model.width(n))
    spread = max(0.0, activation.slope_power - c_1**2) * label_power(model) * model.dim(n) / model.step_samples(n)
    return c_1 * step * beta_length(model, n), step * math.sqrt(spread)


def make_profile(model: Model, n: int, alpha: float, kappa: Nodes, readout: Nodes) -> Profile:
    """The profile on given nodes (values, probabilities) of kappa and of sqrt(N) a."""
    activation, target = resolve_activation(model.activation), resolve_target(model.target)
    along, spread = step_reach(model, n, alpha)
    offset = 2 * activation.coefficients(2)[2] * float(target.coefficients(0)[0])
    size = model.eta(n, alpha) / math.sqrt(model.width(n)) * readout[0]
    scale = np.sqrt((1 + offset * size) ** 2 + (spread * readout[0]) ** 2)
    shift = along * np.multiply.outer(kappa[0], readout[0])
    mean, linear, noise = gaussian_moments(activation, activation.kinks, shift, scale)
    rho = float(target.coefficients(1)[1]) / beta_length(model, n)
    turn = np.asarray(math.sqrt(max(0.0, 1 - rho**2)))
    g, p, q = gaussian_moments(target, target.kinks, rho * kappa[0], turn)
    return Profile(
        name=f"n = {n}, alpha = {alpha:.6g}, {model}",
        n=n,
        dim_ratio=model.dim(n) / n,
        kappa=kappa[0],
        samples=kappa[1],
        readout=readout[0],
        neurons=model.width(n) / n * readout[1],
        mean=mean,
        linear=linear,
        noise=noise,
        label=g,
        label_linear=p,
        label_noise=q + model.noise**2,
        gain=np.ones((1, len(readout[0]))),
        coordinates=np.ones(1),
    )


def profile_of(model: Model, n: int, alpha: float, *, refine: float = 1.0) -> Profile:
    """The profile of a model on the nodes that losses need: four digits for lambda from 1e-6 to 1e3.

    Functions of a vary on the scale on which the step becomes as long as the neuron, those of kappa are smoothed by
    the spread of a; where the readout takes one or two values only, kappa's nodes follow the step's length instead.

    Parameters
    ----------
    refine : every step of the quadrature is divided by this, to see what it costs in digits.

    Raises
    ------
    ValueError
        If the initial output is not vanishing, or the readout is unknown.
    """
    return _profile(model, n, alpha, refine, (_TAIL, _TAIL))


def resolved_profile(model: Model, n: int, alpha: float, share: float) -> Profile:
    """The profile on the kappa and a that n samples and N neurons show: all but `share` of a sample and of a neuron.

    For spectra: nodes far out in the tails, of which there is no sample, would each make a lump of their own.

    Raises
    ------
    ValueError
        If the initial output is not vanishing, or the readout is unknown.
    """
    cuts = (float(-special.ndtri(share / count / 2)) for count in (n, model.width(n)))
    kappa, readout = (min(cut, _TAIL) for cut in cuts)
    return _profile(model, n, alpha, 0.8, (kappa, readout))


def _profile(model: Model, n: int, alpha: float, refine: float, cuts: tuple[float, float]) -> Profile:
    require_vanishing_output(model)
    reach = max(step_reach(model, n, alpha))
    if model.readout != "gaussian":
        kappa = gaussian_nodes(100.0, 0.0045 / max(reach, 1.0) / refine, cuts[0])
        return make_profile(model, n, alpha, kappa, readout_nodes(model.readout, 1))
    scale = 1 / max(reach, 0.01)
    readout = gaussian_nodes(scale, min(0.25, 0.5 / scale) / refine, cuts[1])
    return make_profile(model, n, alpha, gaussian_nodes(1.5, 0.2 / refine, cuts[0]), readout)
