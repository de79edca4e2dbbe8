"""The exponents of n that a fit can be held against, each with the condition under which it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from spikecube.model.activations import resolve_activation
from spikecube.model.parameters import Model
from spikecube.model.targets import resolve_target
from spikecube.theory.staircase import threshold


def _hermite(model: Model, degree: int) -> tuple[float, float]:
    """c_k and c_{*,k}: the matching coefficients of the activation and of the target."""
    c = resolve_activation(model.activation).coefficients(degree)[degree]
    return float(c), float(resolve_target(model.target).coefficients(degree)[degree])


@dataclass(frozen=True)
class Exponent:
    """One row of the table: quantity ~ n^value(alpha, k).

    Attributes
    ----------
    name : the row's key.
    quantity : what scales, in words.
    formula : the exponent as a formula of alpha and k (or ell).
    value : the exponent, a function of (alpha, k).
    condition : when it holds, in words.
    holds : the same for a model at (alpha, k).
    rigorous : proved in the paper (else a leading-order perturbation argument, to be tested by the fit).
    """

    name: str
    quantity: str
    formula: str
    value: Callable[[float, int], float]
    condition: str
    holds: Callable[[Model, float, int], bool]
    rigorous: bool


EXPONENTS: dict[str, Exponent] = {
    row.name: row
    for row in (
        Exponent(
            name="outlier",
            quantity="k-th outlier of F/sqrt(n)",
            formula="1/2 - k (1/2 - alpha)",
            value=lambda alpha, k: 0.5 - k * (0.5 - alpha),
            condition="c_k != 0 and (k-1)/(2k) < alpha < 1/2",
            holds=lambda model, alpha, k: _hermite(model, k)[0] != 0 and threshold(k) < alpha < 0.5,
            rigorous=True,
        ),
        Exponent(
            name="finite_strength",
            quantity="L(F_ell) - limit, from the finite strength of the ell-th spike",
            formula="-(1 - ell (1 - 2 alpha))",
            value=lambda alpha, ell: ell * (1 - 2 * alpha) - 1,
            condition="c_ell != 0, c_{*,ell} != 0 and (ell-1)/(2 ell) < alpha < 1/2",
            holds=lambda model, alpha, ell: all(_hermite(model, ell)) and threshold(ell) < alpha < 0.5,
            rigorous=False,
        ),
        Exponent(
            name="missing_spike",
            quantity="L(F) - L(F_ell), from the (ell+1)-th spike that F_ell lacks",
            formula="-((ell + 1)(1 - 2 alpha) - 1)",
            value=lambda alpha, ell: 1 - (ell + 1) * (1 - 2 * alpha),
            condition="c_{ell+1} != 0, c_{*,ell+1} != 0 and 0 <= alpha < ell/(2 ell + 2)",
            holds=lambda model, alpha, ell: all(_hermite(model, ell + 1)) and 0 <= alpha < threshold(ell + 1),
            rigorous=False,
        ),
        Exponent(
            name="fluctuation",
            quantity="corrections from sigma^(k)(X~ W_0^T) around its mean c_k k!",
            formula="-(1 - 2 alpha)",
            value=lambda alpha, k: 2 * alpha - 1,
            condition="0 <= alpha < 1/2",
            holds=lambda model, alpha, k: 0 <= alpha < 0.5,
            rigorous=False,
        ),
    )
}
