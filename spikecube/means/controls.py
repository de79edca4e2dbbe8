"""Control variates of a cube: draws whose expectation is known exactly at every finite n."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from spikecube.errors import SpikecubeError
from spikecube.model.hermite import Array, gaussian_quadrature
from spikecube.model.targets import Target, resolve_target
from spikecube.study.fields import Model
from spikecube.study.study import Study, study_from

_RADII = 24  # Gauss nodes for |beta_*|^2: exact for polynomial targets up to degree 47

PRIORITY = {
    "train": ("label_power", "beta_signal", "beta_power", "readout_power"),
    "test": ("test_label_power", "beta_signal", "beta_power", "label_power", "readout_power"),
    "singular": ("beta_power", "readout_power", "beta_signal", "label_power"),
}
"""Which controls help which variables most (by the first word of the name); the order is fixed, never fitted."""

DEFAULT_PRIORITY = ("beta_power", "beta_signal", "label_power", "readout_power", "test_label_power")

CONTROLS = (*DEFAULT_PRIORITY, "beta_alignment")
"""The variables of a cube that control variates are made of, where it has them."""


class ControlError(SpikecubeError, ValueError):
    """Control variates that cannot be made, in one sentence."""


def radius_quadrature(dim: int, direction: str) -> tuple[Array, Array]:
    """Nodes r and weights with E f(|beta_*|) = sum_i weights[i] f(r[i]).

    On the sphere r = 1. For beta_* ~ N(0, I_d/d), r^2 = 2 g/d with g ~ Gamma(d/2): Gauss-Laguerre from the
    eigenvalues of its Jacobi matrix, diagonal 2k + d/2, off-diagonal sqrt(k (k + d/2 - 1)) (Golub and Welsch 1969),
    which does not overflow at large d.

    >>> r, weights = radius_quadrature(3, "gaussian")
    >>> bool(abs(weights @ r**4 - (1 + 2 / 3)) < 1e-13)
    True
    """
    if direction == "sphere":
        return np.ones(1), np.ones(1)
    k = np.arange(_RADII)
    off = np.sqrt(k[1:] * (k[1:] + dim / 2 - 1))
    nodes, vectors = np.linalg.eigh(np.diag(2 * k + dim / 2) + np.diag(off, 1) + np.diag(off, -1))
    return np.sqrt(2 * nodes / dim), vectors[0] ** 2


class TargetMoments(NamedTuple):
    """E s^2, E z s and E z^2 s^2, (radii,) each, with s = sigma_*(r z) and z standard Gaussian."""

    square: Array
    slope: Array
    fourth: Array


def target_moments(target: Target, radii: Array) -> TargetMoments:
    """The moments of a target at each r, by quadrature."""
    z, weights = gaussian_quadrature(target.kinks)
    s = target(radii[:, None] * z)
    return TargetMoments(s**2 @ weights, s @ (weights * z), s**2 @ (weights * z**2))


def control_expectations(model: Model, n: int) -> dict[str, float]:
    """Exact expectations of the control variates at finite n.

    With r = |beta_*|, s = sigma_*(r z), beta = X^T y/n_0 and E over z and r::

        E label_power = E test_label_power = E s^2 + sigma_eps^2
        E readout_power = 1
        E beta_power  = ((d - 1) E s^2 + E z^2 s^2 + d sigma_eps^2)/n_0 + (1 - 1/n_0) E_r (E_z z s)^2
        E beta_signal = (E z^2 s^2 + sigma_eps^2)/n_0 + (1 - 1/n_0) E_r (E_z z s)^2

    where beta_signal = beta_power * beta_alignment = (beta . beta_*)^2/|beta_*|^2: the squared cosine itself is a
    ratio without a closed expectation, its numerator is not. The derivation stands in docs/explanation/controls.md.

    Examples
    --------
    >>> from spikecube import Model
    >>> model = Model(target=[0, 1], noise=0.5, target_direction="sphere", dim_ratio=0.5)
    >>> {k: round(v, 9) for k, v in control_expectations(model, 100).items()}  # doctest: +NORMALIZE_WHITESPACE
    {'label_power': 1.25, 'test_label_power': 1.25, 'readout_power': 1.0, 'beta_power': 1.635, 'beta_signal': 1.0225}
    """
    dim, samples, noise = model.dim(n), model.step_samples(n), model.noise**2
    radii, weights = radius_quadrature(dim, model.target_direction)
    square, slope, fourth = target_moments(resolve_target(model.target), radii)
    label, pairs = weights @ square + noise, (1 - 1 / samples) * (weights @ slope**2)
    own = weights @ fourth + noise
    values: dict[str, Any] = {
        "label_power": label,
        "test_label_power": label,
        "readout_power": 1.0,
        "beta_power": ((dim - 1) * label + own) / samples + pairs,
        "beta_signal": own / samples + pairs,
    }
    return {name: float(v) for name, v in values.items()}


def label_spread(model: Model, n: int) -> float:
    """How much stronger labels are on average than for a typical draw, |beta_*| = 1: the ratio of E label_power.

    >>> from spikecube import Model
    >>> model = Model(target=[0, 0, 0, 1], noise=0.0, dim_ratio=1.0)
    >>> round(label_spread(model, 100), 3), round(label_spread(model, 10**6), 3)  # 6 against 15 E r^6 - 18 E r^4 + 9
    (1.092, 1.0)
    """
    target, noise = resolve_target(model.target), model.noise**2
    radii, weights = radius_quadrature(model.dim(n), model.target_direction)
    drawn, typical = (target_moments(target, r).square for r in (radii, np.ones(1)))
    return float((weights @ drawn + noise) / (typical[0] + noise))


def label_spreads(study: Study, sizes: Sequence[int]) -> xr.DataArray:
    """The `label_spread` of every model of a study; dims n and its further axes."""
    labels = {name: list(study.labels(name)) for name in study.further}
    table = [[label_spread(model, n) for *_, model in study.places()] for n in sizes]
    shape = (len(sizes), *map(len, labels.values()))
    return xr.DataArray(np.reshape(table, shape), {"n": sizes, **labels}, ("n", *labels))


def has_controls(cube: xr.Dataset) -> bool:
    """Whether a cube holds its study and a draw, with its seeds, that control variates can be made of."""
    drawn = [c for c in DEFAULT_PRIORITY if c in cube and "seed" in cube.variables[c].dims]
    return "study" in cube.attrs and "n" in cube.coords and bool(drawn)


def controls_of(cube: xr.Dataset, study: Study) -> xr.DataArray | None:
    """`centred_controls` of a cube whose study is known; None where it holds no draws that they can be made of."""
    if not has_controls(cube):
        return None
    return _centred(cube, study)


def centred_controls(cube: xr.Dataset) -> xr.DataArray:
    """The control variates of a cube less their exact expectations, dims (control, n, seed, ...further axes).

    Raises
    ------
    ValueError
        If the cube does not hold its study, without which nothing is known of the expectations.
    """
    if "study" not in cube.attrs:
        raise ControlError("the cube has no attribute 'study', which control variates need: use controls=False")
    return _centred(cube, study_from(str(cube.attrs["study"])))


def _centred(cube: xr.Dataset, study: Study) -> xr.DataArray:
    measured = {name: cube.variables[name] for name in DEFAULT_PRIORITY if name in cube}
    if {"beta_power", "beta_alignment"} <= set(cube.data_vars):
        measured["beta_signal"] = cube.variables["beta_power"] * cube.variables["beta_alignment"]
    expected = _expectations_at(study, {name: cube[name].values.tolist() for name in map(str, cube.indexes)})
    centred = [values - xr.Variable(("n", *study.further), expected[name]) for name, values in measured.items()]
    sizes = {d: cube.sizes[d] for values in centred for d in values.dims}
    room = xr.Variable(tuple(sizes), np.zeros(tuple(sizes.values())))
    table = np.stack([(room + values).values for values in centred])
    coords = {d: cube[d].variable for d in sizes if d in cube.coords}
    return xr.DataArray(table, {"control": list(measured), **coords}, ("control", *sizes))


def _expectations_at(study: Study, labels: dict[str, list[Any]]) -> dict[str, Array]:
    """`control_expectations` at every size and label of the further axes; (n, ...further)."""
    axes = [labels[name] for name in ("n", *study.further)]
    exact = [
        _kept_expectations(study.models[tuple(zip(study.further, place, strict=True))], int(n))
        for n, *place in itertools.product(*axes)
    ]
    shape = tuple(map(len, axes))
    return {name: np.array([values[name] for values in exact]).reshape(shape) for name in DEFAULT_PRIORITY}


_kept_expectations = functools.lru_cache(maxsize=4096)(control_expectations)
