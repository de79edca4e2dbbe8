"""The power law whose correction exponent is free: its minimum and its profile over a plane of the correction.

With rho = (n/n_0)^-omega, n_0 the smallest size, and D = (e^t - 1) n_0^omega the law is::

    log y = log C + b log n + g,    g = log(1 + (e^t - 1) rho)

linear in log C and b for given (omega, t). So the cost over the plane is one projection (variable projection), and no
valley or branch of it is missed: as t grows the correction takes the place of the leading term, as omega -> 0 it
becomes a power itself, and as omega -> oo it only removes the smallest size. omega is kept in [0.05, 6] and the
correction at the smallest size between -99.9 per cent and a hundred times the leading term; a set of values that
reaches the end of this domain is open there.

References: Golub and Pereyra, Inverse Problems 19 (2003) R1 (variable projection); Bates and Watts (1988), chapter 6.
"""

from __future__ import annotations

import numpy as np

from spikecube.scaling.correction_plane import LOG_SIZE, STEPS, Projection, applied
from spikecube.scaling.least_squares import Minimum
from spikecube.scaling.profiles import zeros
from spikecube.scaling.types import Array

OMEGA = (0.05, 6.0)
_COARSE_OMEGA = np.geomspace(*OMEGA, 40)
_COARSE_T = np.linspace(*LOG_SIZE, 60)
_STRETCHES = ((LOG_SIZE[0], 0.0), (0.0, float(np.log(2.0))), (float(np.log(2.0)), LOG_SIZE[1]))
_DETAIL, _LOCAL = 120, 61  # points in omega and in t where the set of values is
_MARGIN = 1.3
_CHUNK = 16  # curves whose planes are in memory at once
_CORNERS = ((np.log(OMEGA[0]), LOG_SIZE[0]), (np.log(OMEGA[1]), LOG_SIZE[1]))


def _valley(plane: Projection, omega: Array) -> tuple[Array, Array, Array]:
    """t, cost and deviation at the best t for every omega (B, G).

    Where the valley is narrow a coarse grid of t may miss it beside a broad one, so that the best of each stretch of t
    (a negative correction, one below the leading term, one beyond) is settled.
    """
    found = []
    for stretch in _STRETCHES:
        coarse = np.linspace(*stretch, _COARSE_T.size // len(_STRETCHES))
        cost = plane.cost(omega[..., None], coarse)
        found.append(plane.settle(omega, coarse[cost.argmin(-1)]))
    best = np.stack([cost for _, cost, _ in found]).argmin(0)[None]
    t, cost, deviation = (np.take_along_axis(np.stack(v), best, 0)[0] for v in zip(*found, strict=True))
    return t, cost, deviation


def minimum(n: Array, y: Array, weights: Array) -> Minimum:
    """The best (log C, b, D, omega) inside the domain, for sizes (K,) and curves (B, K).

    The bottom of the valley over a grid of omega, then damped Gauss-Newton steps in (log omega, t) together, kept in
    the domain: there is always one, on its border if need be.
    """
    plane = Projection.of(n, y, weights)
    omega = np.tile(_COARSE_OMEGA, (len(y), 1))
    t, costs, _ = _valley(plane, omega)
    best = costs.argmin(1)[:, None]
    place = np.concatenate([np.log(np.take_along_axis(omega, best, 1)), np.take_along_axis(t, best, 1)], axis=1)
    cost, damping = np.take_along_axis(costs, best, 1)[:, 0], np.full(len(y), 1e-3)
    for _ in range(STEPS * 2):
        trial = np.clip(place + _plane_step(plane, place, damping), *_CORNERS)
        new = plane.cost(np.exp(trial[:, 0]), trial[:, 1])
        better = new <= cost
        place, cost = np.where(better[:, None], trial, place), np.where(better, new, cost)
        damping = np.clip(np.where(better, damping / 10, damping * 10), 1e-15, 1e15)
    bound = np.exp(place[:, :1])
    settled, again, _ = plane.settle(bound, place[:, 1:])
    better = again[:, 0] < cost
    t, cost = np.where(better, settled[:, 0], place[:, 1]), np.where(better, again[:, 0], cost)
    theta = np.concatenate([plane.linear(bound[:, 0], t), plane.amplitude(bound[:, 0], t)[:, None], bound], axis=1)
    enough = (weights > 0).sum(1) > theta.shape[1] - 1
    return Minimum(theta, cost, enough & np.isfinite(theta).all(1))


def _plane_step(plane: Projection, place: Array, damping: Array) -> Array:
    """The damped Gauss-Newton step in (log omega, t), (B, 2)."""
    omega, t = np.exp(place[:, 0]), place[:, 1]
    rho = plane.decay(omega)
    by_omega = -omega[:, None] * plane.ratio * np.expm1(t)[:, None] * rho / (1 + np.expm1(t)[:, None] * rho)
    slopes = applied(np.stack([by_omega, plane.slope(omega, t)], axis=1), plane.project)
    gradient = np.einsum("bpk,bk->bp", slopes, plane.residual(plane.correction(omega, t)))
    normal = np.einsum("bpk,bqk->bpq", slopes, slopes)
    size = np.sqrt(np.einsum("bpp->bp", normal)) + 1e-150
    normal = normal / size[:, :, None] / size[:, None, :]
    normal[:, [0, 1], [0, 1]] = 1 + damping[:, None]
    return np.asarray(np.linalg.solve(normal, (gradient / size)[..., None])[..., 0] / size)


def ends(n: Array, y: Array, weights: Array, best: Minimum, half_width: Array, rise: Array) -> tuple[Array, Array]:
    """Profile intervals (B, 4): all values whose cost, minimised over the others, has risen by no more than `rise`.

    The grid has detail where the set of values is: around the bottom of the valley for each omega, and for omega where
    the valley is low or within the linearised `half_width` (B, 4). At fixed (omega, t), log C and b range over +- scale
    sqrt(rise + cost - cost(omega, t)). For omega -> 6 the law of log C and b has a limit (the smallest size
    left out), so that only D and omega are open there.
    """
    low, high = np.empty(rise.shape), np.empty(rise.shape)
    for first in range(0, len(y), _CHUNK):
        part = slice(first, first + _CHUNK)
        one = Minimum(best.theta[part], best.cost[part], best.converged[part])
        low[part], high[part] = _ends(n, y[part], weights[part], one, half_width[part], rise[part])
    return np.minimum(low, best.theta), np.maximum(high, best.theta)


def places(n: Array, y: Array, weights: Array, values: Array) -> tuple[Array, Array]:
    """Where a search with parameter j held at values[:, j] should start, theta (B, 4, 4), and the values allowed.

    The best place of the plane for that value: at fixed (omega, t) holding log C or b costs (distance/scale)^2 more,
    holding D fixes t for each omega, and holding omega leaves t.
    """
    plane, count = Projection.of(n, y, weights), len(y)
    held = np.concatenate([values[:, :3], np.clip(values[:, 3:], *OMEGA)], axis=1)
    omega, t = (np.tile(g.ravel(), (count, 1)) for g in np.meshgrid(_COARSE_OMEGA, _COARSE_T, indexing="ij"))
    cost, linear = plane.cost(omega, t), plane.linear(omega, t)
    found = []
    for j in (0, 1):
        far = (linear[..., j] - held[:, j, None]) / plane.scale[:, j, None]
        found.append(_best(plane, omega, t, cost + far**2))
    along = np.tile(_COARSE_OMEGA, (count, 1))
    size = held[:, 2, None] * plane.smallest[:, None] ** -along
    inside = np.clip(np.log1p(np.maximum(size, np.expm1(LOG_SIZE[0]))), *LOG_SIZE)
    found.append(_best(plane, along, inside, plane.cost(along, inside)))
    across, own = np.tile(_COARSE_T, (count, 1)), np.repeat(held[:, 3:], len(_COARSE_T), axis=1)
    found.append(_best(plane, own, across, plane.cost(own, across)))
    return np.stack(found, axis=1), held


def _best(plane: Projection, omega: Array, t: Array, cost: Array) -> Array:
    """theta (B, 4) where the cost (B, G) is least."""
    best = cost.argmin(1)[:, None]
    omega, t = np.take_along_axis(omega, best, 1)[:, 0], np.take_along_axis(t, best, 1)[:, 0]
    return np.concatenate([plane.linear(omega, t), plane.amplitude(omega, t)[:, None], omega[:, None]], axis=1)


def _ends(n: Array, y: Array, weights: Array, best: Minimum, half_width: Array, rise: Array) -> tuple[Array, Array]:
    plane = Projection.of(n, y, weights)
    top = best.cost + rise.max(1)
    omega = _detailed(plane, best.theta[:, 3], half_width[:, 3], top)
    bottom, lowest, deviation = _valley(plane, omega)
    t = _reached(plane, omega, bottom, _MARGIN * np.sqrt(np.maximum(top[:, None] - lowest, 0.0)) * deviation, top)
    cost, linear = plane.cost(omega[..., None], t), plane.linear(omega[..., None], t)
    low, high = np.empty(rise.shape), np.empty(rise.shape)
    slack = best.cost[:, None, None] - cost
    border = (t >= LOG_SIZE[1]) | (omega[..., None] <= OMEGA[0])
    for j in (0, 1):
        spare = rise[:, j, None, None] + slack
        move = plane.scale[:, None, None, j] * np.sqrt(np.maximum(spare, 0.0))
        low[:, j] = -_farthest(move - linear[..., j], spare >= 0, border)
        high[:, j] = _farthest(linear[..., j] + move, spare >= 0, border)
    low[:, 2], high[:, 2] = _amplitude_ends(plane, omega, t, rise[:, 2, None, None] + slack)
    low[:, 3], high[:, 3] = zeros(omega, rise[:, 3, None] + best.cost[:, None] - np.minimum(lowest, cost.min(-1)))
    return low, high


def _reached(plane: Projection, omega: Array, bottom: Array, reach: Array, top: Array) -> Array:
    """For every omega (B, G) a grid of t over the values below `top`, sought near the bottom and coarsely."""
    near = bottom[..., None] + reach[..., None] * np.linspace(-1, 1, _LOCAL // 2)
    sought = np.concatenate(
        [near, bottom[..., None], np.broadcast_to(_COARSE_T, (*omega.shape, len(_COARSE_T)))], axis=-1
    )
    sought = np.sort(np.clip(sought, *LOG_SIZE), axis=-1)
    inside = plane.cost(omega[..., None], sought) <= top[:, None, None]
    low, high = (np.take_along_axis(sought, place[..., None], -1) for place in _around(inside))
    return np.asarray(low + (high - low) * np.linspace(0, 1, _LOCAL))


def _around(inside: Array) -> tuple[Array, Array]:
    """The places before the first and after the last that is inside, along the last axis."""
    last, first = inside.shape[-1] - 1, np.maximum(inside.argmax(-1) - 1, 0)
    return first, np.where(inside.any(-1), np.minimum(last - inside[..., ::-1].argmax(-1) + 1, last), first)


def _detailed(plane: Projection, omega: Array, half_width: Array, top: Array) -> Array:
    """Ascending values of omega for each curve over where the valley is below `top`, densest at both ends; (B, G)."""
    coarse = np.tile(_COARSE_OMEGA, (len(omega), 1))
    inside = _valley(plane, coarse)[1] <= top[:, None]
    found, (first_place, last_place) = inside.any(1), _around(inside)
    width = np.where(np.isfinite(half_width), _MARGIN * half_width, 0.0)
    near_low, near_high = np.clip(omega - width, *OMEGA), np.clip(omega + width, *OMEGA)
    low = np.where(found, np.minimum(_COARSE_OMEGA[first_place], near_low), near_low)
    high = np.where(found, np.maximum(_COARSE_OMEGA[last_place], near_high), near_high)
    part = np.linspace(0, 1, _DETAIL // 2)
    wide = np.exp(np.log(low)[:, None] + np.log(high / low)[:, None] * part)
    close = near_low[:, None] + (near_high - near_low)[:, None] * part
    around = np.sort(np.concatenate([wide, close], axis=1), axis=1)
    first, final = (np.clip(e, *OMEGA) for e in zeros(around, top[:, None] - _valley(plane, around)[1]))
    margin = 0.02 * (final - first)
    first, final = np.clip(first - margin, *OMEGA), np.clip(final + margin, *OMEGA)
    return np.asarray(first[:, None] + (final - first)[:, None] * (1 - np.cos(np.pi * np.linspace(0, 1, _DETAIL))) / 2)


def _farthest(value: Array, inside: Array, border: Array) -> Array:
    """The greatest value inside over the plane; infinite where the border of the domain has it."""
    flat, edge = np.where(inside, value, -np.inf).reshape(len(value), -1), border.reshape(len(value), -1)
    best = flat.argmax(1)
    row = np.arange(len(flat))
    return np.where(edge[row, best], np.inf, flat[row, best])


def _amplitude_ends(plane: Projection, omega: Array, t: Array, slack: Array) -> tuple[Array, Array]:
    """Ends of D: where the cost crosses along t, least and greatest over omega."""
    shape = slack.shape
    low, high = zeros(t.reshape(-1, shape[-1]), slack.reshape(-1, shape[-1]))
    inside = np.asarray((slack >= 0).any(-1))
    low, high = (plane.amplitude(omega, e.reshape(shape[:2])) for e in (low, high))
    edge = np.asarray((omega <= OMEGA[0]) | (omega >= OMEGA[1]))
    return -_farthest(-low, inside, edge), _farthest(high, inside, edge)
