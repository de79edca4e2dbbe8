"""How far predicted losses may be off, on the axes of a study and in words."""

from __future__ import annotations

import numpy as np
import xarray as xr

from spikecube.study.fields import Model
from spikecube.study.study import Study
from spikecube.theory import finite_losses, loss_remainders

REMAINDERS = ("train_loss_remainder", "test_loss_remainder")
_WORTH_SAYING = 0.02  # remainder, over the loss
_FEW = 5  # alphas, and penalties, at which remainders are found


def remainders(study: Study, model: Model, n: int, degrees: int, known: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The remainders of both losses at one n, each of shape (alpha, lam).

    They vary slowly: relative ones are found at a few alphas and penalties, and drawn straight between them.

    Parameters
    ----------
    known : predicted losses by name, (alpha, n, lam), where they are there already.

    Raises
    ------
    ConvergenceError
        If an equation is not solved.
    """
    alphas, lam = np.asarray(study.axes.alpha), np.asarray(study.axes.lam)
    some, few, j = _some(alphas), _some(lam), list(study.axes.n).index(n)
    relative = np.array([loss_remainders(model, few, n, float(alpha), degrees=degrees) for alpha in some])
    names = ("train_loss", "test_loss")
    if all(name in known for name in names):
        losses = np.stack([known[name][:, j] for name in names])
    else:
        losses = np.stack([finite_losses(model, lam, n, float(a), degrees=degrees) for a in alphas], axis=1)
    found = {}
    for k, name in enumerate(REMAINDERS):
        by_lam = np.array([np.interp(np.log(lam), np.log(few), row) for row in relative[:, k]])
        by_alpha = np.stack([np.interp(alphas, some, column) for column in by_lam.T], axis=-1)
        found[name] = by_alpha * losses[k]
    return found


def _some(values: np.ndarray) -> np.ndarray:
    """At most a few of the values, first and last among them, in rising order."""
    values = np.unique(values)
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), _FEW)).round().astype(int))
    return np.asarray(values[places])


def said_of_remainders(prediction: xr.Dataset) -> str:
    """Where losses may be off by more than 2 per cent, in words; empty where they are not, or nothing is known."""
    sentences = []
    for kind in ("train", "test"):
        names = (f"{kind}_loss_remainder", f"{kind}_loss")
        if not set(names) <= set(prediction) or "seed" in prediction[names[1]].dims:
            continue
        relative = prediction[names[0]] / prediction[names[1]]
        if not (relative > _WORTH_SAYING).any():
            continue
        worst = relative.where(relative == relative.max(), drop=True).stack(point=relative.dims).dropna("point")[0]
        place = ", ".join(f"{dim} = {_label(worst[dim].item())}" for dim in relative.dims)
        sentences.append(
            f"{kind} losses of F may be off by up to {100 * relative.max().item():.0f} per cent (at {place})"
        )
    return "; ".join(sentences)


def _label(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
