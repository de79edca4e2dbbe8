"""The theory at each draw of a cube: its own |beta|^2, alignment of beta and readout, in the place of their limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import xarray as xr

from spikecube.cube import schema
from spikecube.cube.assemble import attributes, place_text
from spikecube.cube.missing import Unpredicted
from spikecube.errors import SpikecubeError
from spikecube.study.fields import Model
from spikecube.study.study import Study
from spikecube.theory import chosen_degrees, finite_losses
from spikecube.theory.conditional.build import Known
from spikecube.theory.conditional.spikes import conditional_spectra

_MEASURED = ("beta_power", "beta_alignment", "readout_power")
"""What is read of each draw."""
_AT_ONCE = 32  # draws whose outliers are sought side by side


class PredictionError(SpikecubeError, ValueError):
    """A study for which there is no prediction, in one sentence."""


def require_draws(study: Study, cube: xr.Dataset) -> None:
    """Declines a cube that lacks what is read of a draw, a size or a further label, by a PredictionError."""
    lacking = [name for name in (*_MEASURED, "n", "seed") if name not in cube.variables]
    if lacking:
        raise PredictionError(f"given: a cube without {', '.join(lacking)}; each draw is predicted from it")
    wanted = {"n": study.axes.n, **{name: study.labels(name) for name in study.further}}
    for name, labels in wanted.items():
        there = cube[name].values.tolist() if name in cube.dims else []
        lost = [label for label in labels if label not in there]
        if lost:
            has = ", ".join(map(str, there)) or "nothing"
            raise PredictionError(f"given: a cube with {name} = {has}, without the {lost[0]} of the study")


def predict_draws(
    study: Study,
    cube: xr.Dataset,
    names: tuple[str, ...],
    degrees: int | None,
    tick: Callable[[], None],
    missing: Unpredicted,
) -> dict[str, xr.DataArray]:
    """Predicted losses and singular values of F for every (n, seed) of a cube, by name; NaN where a draw is missing.

    The names are some of `schema.PREDICTED_BY_DRAW`; `tick` is called after each (n, alpha), `missing` takes the places
    where theory gave no value.
    """
    shape = study.shape | {"seed": cube.sizes["seed"]} | {name: len(study.labels(name)) for name in study.further}
    found = {}
    for name in names:
        variable = schema.PREDICTED[name]
        dims = (*variable.dims[:2], "seed", *variable.dims[2:], *study.further)
        found[name] = xr.DataArray(np.full([shape[d] for d in dims], np.nan), dims=dims, attrs=attributes(variable))
    for index, labels, model in study.places():
        place, here = dict(zip(study.further, index, strict=True)), cube[list(_MEASURED)].sel(labels)
        for j, n in enumerate(study.axes.n):
            draws = [_draw(here.sel(n=n).isel(seed=s)) for s in range(shape["seed"])]
            for i in range(shape["alpha"]):
                if model.initial_output == "vanishing":
                    text = place_text({"n": n, "alpha": study.axes.alpha[i], **labels})
                    fill = partial(_fill, found, study, model, {"alpha": i, "n": j, **place}, draws, degrees)
                    missing.attempt(names, text, fill)
                tick()
    return found


def _draw(measured: xr.Dataset) -> Known | None:
    values = [float(measured[name]) for name in _MEASURED]
    return Known(*values) if np.all(np.isfinite(values)) and values[0] > 0 else None


def _fill(
    found: dict[str, xr.DataArray],
    study: Study,
    model: Model,
    position: dict[str, int],
    draws: list[Known | None],
    degrees: int | None,
) -> None:
    n, alpha = study.axes.n[position["n"]], study.axes.alpha[position["alpha"]]
    kept = degrees or chosen_degrees(model, n)
    known = [(s, draw) for s, draw in enumerate(draws) if draw is not None]
    for s, draw in known if {"train_loss", "test_loss"} & found.keys() else ():
        losses = finite_losses(model, study.axes.lam, n, alpha, degrees=kept, draw=draw)
        for name, loss in zip(("train_loss", "test_loss"), losses, strict=True):
            if name in found:
                found[name][position | {"seed": s}] = loss
    for start in range(0, len(known) if "singular_value" in found else 0, _AT_ONCE):
        some = known[start : start + _AT_ONCE]
        spectra = conditional_spectra(model, n, [alpha] * len(some), kept, draws=[draw for _, draw in some])
        for (s, _), spectrum in zip(some, spectra, strict=True):
            outliers = spectrum.outliers[: study.measure.rank]
            found["singular_value"][position | {"seed": s, "rank": slice(len(outliers))}] = outliers
