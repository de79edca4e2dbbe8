"""How far predicted losses may be off, on the axes of a study and in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from spikecube.study.fields import Model
from spikecube.study.study import Study
from spikecube.theory import finite_losses, loss_remainders

REMAINDERS = ("train_loss_remainder", "test_loss_remainder")
_WORTH_SAYING = 0.02  # remainder, over the loss
_MUTE = 0.25  # from here on a mean over draws is not predicted
_OF_DRAWS = (
    "; there theory does not say what a mean over draws is, as with labels of heavy tails: it can be held against each "
    "draw (predict with given)"
)
_FEW = 5  # alphas, sizes and penalties at which remainders are found


def few_sizes(study: Study) -> list[int]:
    """The sizes at which remainders are found; between them they are drawn straight in log n."""
    return [int(n) for n in _some(np.asarray(study.axes.n))]


def relative_remainders(study: Study, model: Model, n: int, degrees: int) -> np.ndarray:
    """The remainders of both losses at one n, over the losses; shape (2, alpha, lam).

    They vary slowly: they are found at a few alphas and penalties, and drawn straight between them.
    """
    alphas, lam = np.asarray(study.axes.alpha), np.asarray(study.axes.lam)
    some, few = _some(alphas), _some(lam)
    relative = np.array([loss_remainders(model, few, n, float(alpha), degrees=degrees) for alpha in some])
    by_lam = _drawn(relative.swapaxes(0, 1), np.log(few), np.log(lam))
    return _drawn(by_lam.swapaxes(1, 2), some, alphas).swapaxes(1, 2)


def remainders(study: Study, relative: dict[int, np.ndarray], losses: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The remainders of both losses, each of shape (alpha, n, lam).

    Parameters
    ----------
    relative : by n, some of `few_sizes`; at those of them that are not known there are none.
    losses : train and test, each of shape (alpha, n, lam).
    """
    sizes, known = np.asarray(study.axes.n), np.array(sorted(relative))
    everywhere = _drawn(np.stack([relative[n] for n in known], axis=-1), np.log(known), np.log(sizes))
    everywhere[..., [n in few_sizes(study) and n not in relative for n in sizes]] = np.nan
    return {name: part.swapaxes(1, 2) * loss for name, part, loss in zip(REMAINDERS, everywhere, losses, strict=True)}


def losses_of_size(study: Study, model: Model, n: int, degrees: int) -> np.ndarray:
    """Train and test losses of F at one n; shape (2, alpha, lam)."""
    found = [finite_losses(model, study.axes.lam, n, alpha, degrees=degrees) for alpha in study.axes.alpha]
    return np.stack(found, axis=1)


def _drawn(values: np.ndarray, known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """`values` at `known`, in the last axis, drawn straight between them to `wanted`."""
    return np.asarray(np.apply_along_axis(lambda row: np.interp(wanted, known, row), -1, values))


def _some(values: np.ndarray) -> np.ndarray:
    """At most a few of the values, first and last among them, in rising order."""
    values = np.unique(values)
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), _FEW)).round().astype(int))
    return np.asarray(values[places])


def said_of_remainders(prediction: xr.Dataset) -> str:
    """Where losses may be off by more than 2 per cent, in words; empty where they are not, or nothing is known."""
    sentences, mute = [], False
    for kind in ("train", "test"):
        names = (f"{kind}_loss_remainder", f"{kind}_loss")
        if not set(names) <= set(prediction) or "seed" in prediction[names[1]].dims:
            continue
        relative = prediction[names[0]] / prediction[names[1]]
        if not (relative > _WORTH_SAYING).any():
            continue
        worst = relative.where(relative == relative.max(), drop=True).stack(point=relative.dims).dropna("point")[0]
        place = ", ".join(f"{dim} = {_label(worst[dim].item())}" for dim in relative.dims)
        most = relative.max().item()
        sentences.append(f"{kind} losses of F may be off by up to {100 * most:.0f} per cent (at {place})")
        mute |= most > _MUTE
    return "; ".join(sentences) + (_OF_DRAWS if mute else "")


def _label(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
