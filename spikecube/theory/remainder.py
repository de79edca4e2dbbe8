"""What the finite-n theory leaves out, estimated: how far its losses can be trusted."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array
from spikecube.model.parameters import Model
from spikecube.model.targets import resolve_target
from spikecube.theory.conditional.build import Parts, parts_for, profile_of, typical_draw
from spikecube.theory.conditional.gradient_batch import label_law
from spikecube.theory.conditional.losses import conditional_losses, initial_losses
from spikecube.theory.losses import block_remainder, chosen_degrees, relative_change

_OF_MATRIX = 0.25  # of what the batch's matrix changes: its own next order
_OF_STEP = 0.1  # of what the step changes: its own next order
_PER_DIM = 0.5  # relative, over d: corrections of order 1/d that no part has
_FLOOR = 0.005  # relative
_COARSE = 0.7  # quadrature, for differences only


def loss_remainders(
    model: Model, lam: npt.ArrayLike, n: int, alpha: float, *, degrees: int | None = None
) -> tuple[Array, Array]:
    """How much the losses (train, test) of `finite_losses` may be off, over them; each of the shape of lam.

    The root sum of squares of: what the blocks beyond those kept change in F_0; a quarter of what the gradient
    batch's matrix changes; a tenth of what the step changes; the curvature of the loss in |beta|^2 over its
    spread from draw to draw (large for heavy-tailed labels); 0.5/d; and 0.005. The weights are calibrated
    (docs/explanation/theory-trust.md): with them measured losses lie within two standard errors and the remainder nine
    times in ten.

    Raises
    ------
    ValueError
        If a penalty is not positive, or the model's initial output is not vanishing.
    ConvergenceError
        If the profile's equations are not solved.

    Examples
    --------
    >>> import spikecube as sc
    >>> model = sc.Model(target=[0.0, 1.0, 0.5])
    >>> [bool(0.0 < remainder < 0.04) for remainder in loss_remainders(model, 0.1, 1000, 0.2)]
    [True, True]
    """
    degrees = degrees or chosen_degrees(model, n)
    draw, spread = typical_draw(model, n), power_spread(model, n)

    def losses(parts: Parts, power: float) -> Array:
        profile = profile_of(model, n, alpha, parts, draw=dataclasses.replace(draw, power=power), refine=_COARSE)
        return np.array(conditional_losses(profile, lam)[:2])

    whole = losses(parts_for(degrees), draw.power)
    matrix = relative_change(whole, losses(Parts(degrees, radius=True), draw.power))
    step = relative_change(whole, np.array(initial_losses(model, lam, n, degrees=degrees)))
    ends = [losses(parts_for(degrees), draw.power * factor) for factor in (1 + spread, 1 / (1 + spread))]
    curvature = relative_change((ends[0] + ends[1]) / 2, whole)
    blocks = block_remainder(model, lam, n, degrees)
    parts = (blocks, _OF_MATRIX * matrix, _OF_STEP * step, curvature, _PER_DIM / model.dim(n), _FLOOR)
    train, test = np.sqrt(sum(np.square(part) for part in parts))
    return train, test


def power_spread(model: Model, n: int) -> float:
    """The standard deviation of |beta|^2 from draw to draw, over its mean.

    |beta|^2 = (beta.beta_*)^2 + rest moves with the batch's means of y t, t = x.beta_*, and of y^2, and with the inner
    products of its samples: the variance is Var(2 c_{*,1} y t + (d/n_0) y^2)/n_0 + 2 (d/n_0) V^2/n_0.

    >>> round(power_spread(Model(target=[0.0, 1.0], noise=0.0, dim_ratio=0.01), 10_000), 3)
    0.028
    """
    n_0 = model.step_samples(n)
    law = label_law(model.target, model.noise, n_0)
    ratio, c = model.dim(n) / n_0, float(resolve_target(model.target).coefficients(1)[1])
    moving = 2 * c * law.y * law.t + ratio * law.y**2
    mean = float(law.probability @ moving)
    variance = float(law.probability @ (moving - mean) ** 2) + 2 * ratio * law.moment(2) ** 2
    power = c**2 + ratio * law.moment(2)
    return math.sqrt(variance / n_0) / power if power else 0.0
