"""Views of the losses: against alpha and the penalty, and how far theory and measurement agree."""

from __future__ import annotations

from functools import partial
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr

from spikecube.means import comparisons
from spikecube.means.comparisons import means_at
from spikecube.means.places import Missing, chosen, fixed, foretold, sliced
from spikecube.pictures import curve_data, marks, style
from spikecube.pictures.entry import Entry, view
from spikecube.pictures.layers import Layer
from spikecube.pictures.marks import Brush
from spikecube.pictures.picture import Picture
from spikecube.pictures.views import maps
from spikecube.pictures.views.parts import KIND, Kind, labelled, predicted_loss, which_means
from spikecube.words import captions, symbols

MOST_SIZES = 4
MOST_TEXTS = 12
_GAIN = "What does the loss gain?"
_PENALTY = "Which penalty, and does the step help there?"
_AGREE = "How far do theory and measurement agree?"


def losses(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    *,
    lam: float | None = None,
    n: int | None = None,
    kind: Kind | None = None,
    controls: bool = True,
    brush: Brush = None,
    **further: Any,
) -> hv.Overlay | hv.Layout:
    """Does the loss follow the staircase or the finite-n curve? Losses against alpha at one penalty.

    Parameters
    ----------
    n : one size; without it a few sizes, light to dark.
    kind : "train" or "test"; without it both side by side.
    controls : means with control variates where the cube has them, see `means_at`; False takes plain means.
    """
    kinds: tuple[Kind, ...] = ("train", "test") if kind is None else (kind,)
    shown = [loss(cube, prediction, kind=k, lam=lam, n=n, controls=controls, brush=brush, **further) for k in kinds]
    return hv.Layout(shown).cols(2) if kind is None else shown[0]


@view(
    Entry("test", "Test loss against α", ("lam",), _GAIN, alpha_axis=True, fixed={"kind": "test"}),
    Entry("train", "Training loss against α", ("lam",), _GAIN, alpha_axis=True, fixed={"kind": "train"}),
)
def loss(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    *,
    kind: Kind = "test",
    lam: float | None = None,
    n: int | None = None,
    controls: bool = True,
    brush: Brush = None,
    **further: Any,
) -> Picture:
    """One of the two `losses` against alpha."""
    name = f"{kind}_loss"
    where = {"lam": lam} | fixed(cube, further)
    data = means_at(cube, name, controls=controls, **where)
    sizes = style.thin(data["n"].values.tolist(), MOST_SIZES) if n is None else [chosen(data, "n", n)]
    layers = _baselines(cube, prediction, name, where)
    for size, look in zip(sizes, style.ordered_looks(len(sizes)), strict=True):
        if prediction is not None and size in prediction["n"]:
            line: dict[str, Any] = {"label": f"predicted, n = {size}", "colour": look["colour"]}
            layers += predicted_loss(prediction, name, partial(sliced, **where, n=size), "alpha", name, **line)
        layers += marks.points(data.sel(n=size), "alpha", name, label=f"measured, n = {size}", brush=brush, **look)
    title = f"{KIND[kind]} loss against step size, {symbols.labels_text(data, ('lam', *further))}{which_means(data)}"
    return labelled(layers, title, "alpha", name)


def _baselines(cube: xr.Dataset, prediction: xr.Dataset | None, name: str, where: dict[str, Any]) -> list[Layer]:
    """The staircase of limits and the best linear predictor, where the prediction has them."""
    layers: list[Layer] = []
    low, high = float(cube["alpha"].min()), float(cube["alpha"].max())
    if prediction is not None and f"{name}_limit" in prediction:
        limit = sliced(prediction[f"{name}_limit"], **where)
        ell = limit["ell_alpha"] if "ell_alpha" in limit.coords else cube["ell_alpha"]
        steps = curve_data.staircase(limit, ell, low, max(high, low + 1e-3))
        look = {"label": "predicted limit", "colour": style.INK, "dash": "dashed"}
        layers.append(marks.steps(steps["start"], steps["end"], steps["value"], "alpha", name, **look))
    if prediction is not None and "best_linear_loss" in prediction and name == "test_loss":
        level = curve_data.last(sliced(prediction["best_linear_loss"], **where))
        look = {"label": "best linear (predicted)", "colour": style.SOFT, "dash": "dotted"}
        layers.append(marks.steps([low], [high], [level], "alpha", name, **look))
    return layers


@view(
    Entry("penalty_test", "Test loss against λ", ("alpha", "n"), _PENALTY, fixed={"kind": "test"}),
    Entry("penalty_train", "Training loss against λ", ("alpha", "n"), _PENALTY, fixed={"kind": "train"}),
)
def loss_against_penalty(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    *,
    fine: xr.Dataset | None = None,
    alpha: float | None = None,
    n: int | None = None,
    kind: Kind = "test",
    controls: bool = True,
    **further: Any,
) -> Picture:
    """Which penalty is best, and does the step help there? Losses of F and of F_0 against lam at one (alpha, n).

    `controls` as in `losses`; `fine` is the prediction at more penalties, for a smooth line.
    """
    where = {"alpha": alpha, "n": n} | fixed(cube, further)
    layers: list[Layer] = []
    drawn = []
    for i, (suffix, what) in enumerate((("", "F"), ("_init", "F₀"))):
        name = f"{kind}_loss{suffix}"
        data = means_at(cube, name, controls=controls, **where)
        drawn.append(data)
        look: dict[str, Any] = {"colour": style.SERIES[1 - i]}
        line = look | {"label": f"predicted, {what}"}
        layers += predicted_loss(prediction, name, partial(foretold, **where), "lam", "loss", fine, **line)
        layers += marks.points(data, "lam", "loss", label=f"measured, {what}", marker=style.MARKERS[i], **look)
    spot = sliced(cube, alpha=alpha, n=n, **fixed(cube, further))
    title = f"{KIND[kind]} loss against penalty at {symbols.labels_text(spot, ('alpha', 'n', *further))}"
    return labelled(layers, title, "lam", f"{KIND[kind].lower()} loss", logx=True)


@view(
    Entry("agree_test", "Agreement, test loss", ("lam",), _AGREE, fixed={"variable": "test_loss"}, overlays=False),
    Entry(
        "agree_train", "Agreement, training loss", ("lam",), _AGREE, fixed={"variable": "train_loss"}, overlays=False
    ),
    Entry("agree_singular", "Agreement, first outlier", fixed={"variable": "singular_value"}, overlays=False),
)
def agreement(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    scores: xr.Dataset | None = None,
    *,
    variable: str = "test_loss",
    lam: float | None = None,
    rank: int = 1,
    **further: Any,
) -> Picture:
    """How far do theory and measurement agree? z = (measured - predicted)/stderr over (alpha, n).

    A prediction for each draw, from `predict(study, given=cube)`, is held against that draw.

    Parameters
    ----------
    scores : from `comparisons.z_scores`, if they are known already.
    """
    if scores is None:
        if prediction is None:
            raise Missing("The agreement map needs a prediction.")
        scores = comparisons.z_scores(cube, prediction, variable)
    data = sliced(scores, lam=lam, rank=rank, ell=None, **fixed(cube, further))
    grid = maps.grid(data, {name: data[name] for name in ("z", "mean", "stderr", "predicted", "relative")}, even=True)
    if not len(grid["z"]):
        raise Missing(f"No point of {variable} has a prediction and an error at this place.")
    boxes = marks.cells(
        grid,
        limits=(-5, 5),
        colours=style.DIVERGING,
        hover_tooltips=[
            *maps.CELL_TIPS,
            ("z", "@z{0.00}"),
            ("measured", "@mean{0.0000}"),
            *maps.ERROR_TIPS,
            ("predicted", "@predicted{0.0000}"),
            ("relative difference", "@relative{0.0%}"),
        ],
    )
    axes = [name for name in ("lam", "rank", *further) if name in cube[variable].dims]
    spot = symbols.labels_text(data, axes)
    title = f"z-scores of {symbols.symbol(variable)}" + (f" at {spot}" if spot else "")
    title += f"\n{captions.against_text(scores.attrs)}"
    return maps.map_of([boxes, *_z_texts(grid)], data, title)


def _z_texts(grid: dict[str, np.ndarray]) -> list[Layer]:
    """The z-scores as numbers in the cells while they fit, those beyond 2 alone where they do not."""
    least = 0 if len(np.unique(grid["at_alpha"])) <= MOST_TEXTS else 2
    layers = []
    for low, high, colour in ((0, 2, style.INK), (2, 3, style.ON_LIGHT), (3, np.inf, style.ON_DARK)):
        size = np.abs(grid["z"])
        chosen = (size >= max(low, least)) & (size < high)
        columns = {
            "alpha": (grid["left_alpha"][chosen] + grid["right_alpha"][chosen]) / 2,
            "row": grid["low_row"][chosen] + 0.5,
            "text": np.array(
                ["0.0" if abs(z) < 0.05 else f"{z:+.1f}".replace("-", "−") for z in grid["z"][chosen]], dtype=object
            ),
        }
        layers.append(Layer("texts", columns, style={"text_font_size": "8pt", "text_color": colour}))
    return layers
