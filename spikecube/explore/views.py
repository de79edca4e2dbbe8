"""Each view answers one question about a cube: a cube in, a HoloViews object out.

Markers are measured (means over seeds, bars of one standard error), lines are predicted, dashes are limits. What is not
chosen by keyword stands at its default: the largest alpha and n, the middle of every other axis. A view that lacks its
data is a sentence in its place.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, ParamSpec

import holoviews as hv
import numpy as np
import xarray as xr

from spikecube.cube.cuts import as_cube
from spikecube.cube.store import StoreError
from spikecube.explore import marks, picture, plotdata, predicted, style
from spikecube.explore.marks import Brush
from spikecube.explore.picture import Layer, Picture
from spikecube.explore.plotdata import Missing, at, fixed, foretold
from spikecube.theory.staircase import threshold

P = ParamSpec("P")
Kind = Literal["train", "test"]
Gap = Literal["limit", "spiked", "strength"]
_FITTED_GAPS = {"spiked": "missing_spike", "strength": "finite_strength"}
MOST_SIZES = 4
MOST_SPIKES = 4

_NEEDED = ("alpha", "n", "seed", "lam")
_PICTURES: dict[Callable[..., Any], Callable[..., Picture]] = {}


def _bound(draw: Callable[..., Picture], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a view by name: keywords that it does not know refused, the prediction on the cube's labels."""
    signature = inspect.signature(draw)
    arguments = signature.bind(*args, **kwargs).arguments
    further = arguments.pop("further", {})
    data = arguments["cube" if "cube" in arguments else "fit"]
    known = [name for name, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY and name != "brush"]
    plotdata.refuse_unknown(data, draw.__name__, known, list(further))
    if arguments.get("prediction") is not None:
        arguments["prediction"] = plotdata.aligned(arguments["prediction"], data)
    return {**arguments, **further}


def _view(draw: Callable[P, Picture]) -> Callable[P, hv.Overlay | hv.Layout]:
    """A view as a HoloViews object, of a cube however it was cut; what it lacks is a sentence in its place."""
    by_name: Callable[..., Picture] = draw
    takes_cube = next(iter(inspect.signature(draw).parameters)) == "cube"

    @functools.wraps(draw)
    def shown(*args: P.args, **kwargs: P.kwargs) -> hv.Overlay | hv.Layout:
        named: dict[str, Any] = dict(kwargs)
        rest: list[Any] = list(args)
        try:
            if takes_cube and rest:
                rest[0] = as_cube(rest[0], *_NEEDED)
            elif takes_cube and "cube" in named:
                named["cube"] = as_cube(named["cube"], *_NEEDED)
            return _PICTURES[shown](*rest, **named).view()
        except StoreError as lacking:
            return picture.note(f"{lacking}.").view()

    def drawn(*args: P.args, **kwargs: P.kwargs) -> Picture:
        try:
            made = by_name(**_bound(draw, args, kwargs))
        except Missing as missing:
            return picture.note(str(missing))
        if any(len(layer.column(0)) for layer in made.layers if layer.measured):
            return made
        return picture.note("Nothing is measured here yet.")

    shown.__annotations__ = {**draw.__annotations__, "return": hv.Overlay | hv.Layout}
    _PICTURES[shown] = drawn
    return shown


def picture_of(view: Callable[..., hv.Overlay | hv.Layout]) -> Callable[..., Picture]:
    """The function that makes a view's picture, layers as plain columns, from the same arguments."""
    return _PICTURES[view]


@_view
def spectrum(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    density: xr.DataArray | None = None,
    *,
    alpha: float | None = None,
    n: int | None = None,
    **further: Any,
) -> Picture:
    """Does a spike leave the bulk? Singular values of F/sqrt(n) at one (alpha, n), all seeds.

    Parameters
    ----------
    cube
        With `spectrum` for the histogram, else only the leading singular values are drawn.
    prediction
        From `predict`: the bulk edge and the outliers are drawn.
    density
        Predicted density of the bulk along `x`, named by its `long_name`; see `spikecube.explore.predicted.bulk`.
    """
    where = {"alpha": alpha, "n": n} | further
    top = plotdata.leading(cube, **where)
    counted = "spectrum" in cube and bool(cube["spectrum"].notnull().any())
    layers = [_histogram(cube, where)] if counted else []
    height = float(np.max(layers[0].column(1))) if counted else 0.0
    if density is not None:
        height = max(height, float(density.where(density.x > 0.1).max()))
        layers.append(
            marks.line(
                density.x,
                density,
                "s",
                "density",
                label=density.attrs.get("long_name", "predicted bulk"),
                colour=style.SERIES[0],
                width=2.5,
            )
        )
    height = height or 1.0
    edge = float(at(cube["detection_edge"], **where).fillna(0.0)) if "detection_edge" in cube else 0.0
    layers.append(_rug(top, edge if counted else 0.0, 0.3 * height))
    if prediction is not None:
        outliers, edges = (_finite(prediction, name, where) for name in ("singular_value", "bulk_edge"))
        layers += [
            marks.stems(outliers, 0.55 * height, "s", "density", label="predicted outliers", colour=style.SERIES[2]),
            marks.stems(edges, 1.1 * height, "s", "density", label="predicted edge", colour=style.INK, dash="dashed"),
        ]
    which = "Singular values" if counted else "Leading singular values"
    return Picture(
        layers,
        title=f"{which} of F/√n at {style.place(top, ('alpha', 'n', *further))}, {_seeds(top)}",
        xlabel="s   singular value of F/√n",
        ylabel="density of singular values",
        xlim=(0, max(1.12 * float(top.max()), 1.8 * edge)),
        ylim=(0, 1.15 * height),
    )


def _seeds(data: xr.DataArray) -> str:
    count = data.sizes["seed"]
    return f"{count} seeds" if count > 1 else "1 seed"


def _histogram(cube: xr.Dataset, where: dict[str, Any]) -> Layer:
    """The distribution of all singular values; without one, a bar of no height, so that the rest is drawn."""
    try:
        data = plotdata.histogram(cube, **where)
        left, right, heights = (data[name].values.astype(float) for name in ("lower", "upper", "density"))
    except Missing:
        left, right, heights = np.array([0.0]), np.array([1.0]), np.array([0.0])
    columns = {"s": (left + right) / 2, "density": heights, "left": left, "right": right}
    look = {"fill_color": style.FILL, "line_color": "white", "line_width": 0.5, "tools": ["hover"], "show_legend": True}
    return Layer("histogram", columns, "measured, all", look, measured=True)


def _rug(top: xr.DataArray, edge: float, height: float) -> Layer:
    """The leading singular values of each seed that lie beyond the detection edge, as spikes from the axis."""
    values = top.values.ravel()
    beyond = values > edge
    rank, seed = (
        np.broadcast_to(c, top.shape).ravel()[beyond] for c in (top["rank"].values, top["seed"].values[:, None])
    )
    columns = {"s": values[beyond], "height": np.full(int(beyond.sum()), height), "rank": rank, "seed": seed}
    label = "measured outliers" if edge else "measured, leading"
    look = {
        "color": style.SERIES[1],
        "line_width": 2,
        "line_alpha": 0.75,
        "tools": ["hover"],
        "hover_tooltips": [("", label), ("s", "@s{0.000}"), ("rank", "@rank"), ("seed", "@seed")],
    }
    return Layer("spikes", columns, label, look, measured=True)


def _finite(prediction: xr.Dataset, name: str, where: dict[str, Any]) -> np.ndarray:
    """The values of a prediction at one place that are there."""
    if name not in prediction:
        return np.empty(0)
    values = np.asarray(foretold(prediction[name], **where), dtype=float).ravel()
    finite: np.ndarray = values[np.isfinite(values)]
    return finite


@_view
def outlier_count(
    cube: xr.Dataset, detachment: xr.DataArray | None = None, *, brush: Brush = None, **further: Any
) -> Picture:
    """When do spikes appear? Mean number of outliers over (alpha, n).

    The limits of the thresholds, alpha_k = (k - 1)/(2k), are dashed for the degrees with c_k != 0; `detachment` (dims
    n, degree) holds the alpha from which theory has each spike counted at size n, see
    `spikecube.explore.predicted.detachment`.
    """
    data = plotdata.seed_mean(at(plotdata.variable(cube, "outlier_count"), **fixed(cube, further)))
    low, high = _alpha_ends(cube)
    degrees = _degrees(cube, further)
    limits = [threshold(k) for k in degrees if low < threshold(k) < high and k > 1]
    layers = [
        marks.cells(
            _grid(data, {"count": data["mean"], "stderr": data["stderr"], "seeds": data["seeds"]}),
            limits=(0, max(2, cube.sizes.get("rank", 6))),
            colours=style.COUNTS,
            clabel="measured outliers",
            hover_tooltips=[*_CELL_TIPS, ("outliers", "@count{0.00}"), *_ERROR_TIPS, ("seeds", "@seeds")],
        ),
        marks.verticals(limits, "alpha", colour=style.SERIES[1], width=2),
    ]
    if detachment is not None:
        layers += _detachment_lines(at(detachment, **fixed(cube, further)), data)
    layers.append(marks.verticals(brush or (), "alpha", colour=style.SERIES[2], dash="solid", width=2))
    listed = ", ".join(str(k) for k in degrees if low < threshold(k) < high and k > 1)
    title = "Mean number of outliers" + (f"; dashes: limits αₖ = (k − 1)/(2k), k = {listed}" if listed else "")
    return _map(layers, data, title, (low, high))


def _degrees(cube: xr.Dataset, further: dict[str, Any]) -> tuple[int, ...]:
    """The degrees that carry a spike; none where the model is not known."""
    try:
        return predicted.degrees(cube, **further)
    except Missing:
        return ()


def _detachment_lines(detachment: xr.DataArray, data: xr.Dataset) -> list[Layer]:
    """Where theory has each spike detach, from row to row of the map."""
    rows = np.arange(data.sizes["n"]) + 0.5
    lines = []
    for i, k in enumerate(detachment["degree"].values[:MOST_SPIKES].tolist()):
        alphas = detachment.sel(degree=k).reindex(n=data["n"].values).values
        if np.isfinite(alphas).any():
            look: dict[str, Any] = {"label": f"predicted, degree {k}", "dash": _DASHES[i]}
            lines.append(marks.line(alphas, rows, "alpha", "row", colour=style.SERIES[2], width=3, **look))
    return lines


_DASHES = ("solid", "dashed", "dotdash", "dotted")
_CELL_TIPS = [("α", "@at_alpha"), ("n", "@at_n")]
_ERROR_TIPS = [("standard error", "@stderr{0.0000}")]


def _alpha_ends(cube: xr.Dataset) -> tuple[float, float]:
    """The ends of the cells along alpha."""
    edges = _edges(cube["alpha"].values)
    return float(edges[0]), float(edges[-1])


def _edges(values: np.ndarray) -> np.ndarray:
    """Borders halfway between values."""
    values = np.asarray(values, dtype=float)
    if len(values) == 1:
        return np.array([values[0] - 0.01, values[0] + 0.01])
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])


def _grid(data: xr.Dataset, values: dict[str, xr.DataArray]) -> dict[str, np.ndarray]:
    """One rectangle for each (alpha, n) that has the first of the values, sizes as rows of equal height."""
    edges = _edges(data["alpha"].values)
    table = {name: value.transpose("alpha", "n").values.astype(float) for name, value in values.items()}
    i, j = np.nonzero(np.isfinite(next(iter(table.values()))))
    box = {"left_alpha": edges[i], "low_row": j.astype(float), "right_alpha": edges[i + 1], "high_row": j + 1.0}
    labels = {"at_alpha": data["alpha"].values[i], "at_n": data["n"].values[j]}
    return box | {name: value[i, j] for name, value in table.items()} | labels


def _map(layers: Sequence[Layer], data: xr.Dataset, title: str, ends: tuple[float, float]) -> Picture:
    """A map over (alpha, n) with the sizes as labels of its rows."""
    ticks = style.thin([(i + 0.5, style.number(n)) for i, n in enumerate(data["n"].values.tolist())], 12)
    return Picture(
        layers,
        title=title,
        xlabel=style.axis_label("alpha"),
        ylabel=style.axis_label("n"),
        xlim=ends,
        ylim=(0, data.sizes["n"]),
        options={"yticks": ticks, "show_grid": False},
    )


@_view
def singular_values(
    cube: xr.Dataset, prediction: xr.Dataset | None = None, *, n: int | None = None, brush: Brush = None, **further: Any
) -> Picture:
    """How far do the spikes go? Leading singular values of F/sqrt(n) against alpha at one n."""
    where = {"n": n} | fixed(cube, further)
    data = plotdata.spikes(cube, most=MOST_SPIKES, **where)
    name = "singular_value"
    layers: list[Layer] = []
    for i, k in enumerate(data["rank"].values):
        look: dict[str, Any] = {"colour": style.SERIES[i]}
        if _predicted_anywhere(prediction, k):
            assert prediction is not None
            curve = at(prediction[name], **where).sel(rank=k)
            layers.append(marks.line(curve.alpha, curve, "alpha", name, label=f"predicted, spike {k}", **look))
        layers += marks.points(
            data.sel(rank=k), "alpha", name, label=f"measured, i = {k}", marker=style.MARKERS[i], brush=brush,
            positive=True, **look,
        )  # fmt: skip
    if prediction is not None and "bulk_edge" in prediction:
        edge = at(prediction["bulk_edge"], **where).broadcast_like(prediction["alpha"])
        layers.append(
            marks.line(edge.alpha, edge, "alpha", name, label="predicted edge", colour=style.INK, dash="dashed")
        )
    title = f"Leading singular values at {style.place(data, ('n', *further))}"
    return _against_alpha(layers, title, name, logy=True)


def _predicted_anywhere(prediction: xr.Dataset | None, k: int) -> bool:
    """Whether a spike k is predicted at any place, so that its line is there at all of them."""
    if prediction is None or "singular_value" not in prediction or k not in prediction["rank"]:
        return False
    return bool(prediction["singular_value"].sel(rank=k).notnull().any())


def _against_alpha(layers: Sequence[Layer], title: str, name: str, **axes: Any) -> Picture:
    return Picture(layers, title=title, xlabel=style.axis_label("alpha"), ylabel=style.axis_label(name), **axes)


@_view
def alignments(
    cube: xr.Dataset, *, n: int | None = None, subspace: bool = False, brush: Brush = None, **further: Any
) -> Picture:
    """Do the spikes point where theory says? Squared cosines with the monomials of x.beta against alpha at one n."""
    name = "subspace_alignment" if subspace else "alignment"
    data = plotdata.seed_mean(at(plotdata.variable(cube, name), n=n, **fixed(cube, further)))
    low, high = float(cube["alpha"].min()), float(cube["alpha"].max())
    layers: list[Layer] = []
    for i, k in enumerate(data["degree"].values[:MOST_SPIKES].tolist()):
        if not bool((cube[name].sel(degree=k) > 0).any()):
            continue  # no spike of this degree: c_k = 0
        colour, start = style.SERIES[i], max(threshold(k), low)
        layers += marks.points(
            data.sel(degree=k), "alpha", name, label=f"measured, k = {k}", colour=colour, marker=style.MARKERS[i],
            brush=brush,
        )  # fmt: skip
        level = 1 + 0.012 * i
        limit = {"label": f"limit, k = {k}", "colour": colour, "dash": "dashed"}
        layers.append(marks.steps([start], [max(high, start)], [level], "alpha", name, **limit))
    title = f"Alignment with the monomials, {style.place(data, ('n', *further))}; limit 1 beyond αₖ"
    return _against_alpha(layers, title, name, ylim=(-0.03, 1.08))


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
    n
        One size; without it a few sizes, light to dark.
    kind
        "train" or "test"; without it both side by side.
    controls
        Means with control variates where the cube has them, see `plotdata.means`; False takes plain means.
    """
    kinds: tuple[Kind, ...] = ("train", "test") if kind is None else (kind,)
    shown = [loss(cube, prediction, kind=k, lam=lam, n=n, controls=controls, brush=brush, **further) for k in kinds]
    return hv.Layout(shown).cols(2) if kind is None else shown[0]


@_view
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
    data = plotdata.means(cube, name, controls=controls, **where)
    sizes = style.thin(data["n"].values.tolist(), MOST_SIZES) if n is None else [plotdata.chosen(data, "n", n)]
    layers = _baselines(cube, prediction, name, where)
    for size, colour, marker in zip(sizes, style.ordered_colours(len(sizes)), style.markers(len(sizes)), strict=True):
        if prediction is not None and name in prediction and size in prediction["n"]:
            curve = at(prediction[name], **where, n=size)
            layers.append(marks.line(curve.alpha, curve, "alpha", name, label=f"predicted, n = {size}", colour=colour))
        layers += marks.points(
            data.sel(n=size), "alpha", name, label=f"measured, n = {size}", colour=colour, marker=marker, brush=brush
        )
    title = f"{_KIND[kind]} loss against step size, {style.place(data, ('lam', *further))}{_which_means(data)}"
    return _against_alpha(layers, title, name)


_KIND = {"train": "Training", "test": "Test"}


def _which_means(data: xr.Dataset) -> str:
    """What a title says of the means where they are not plain."""
    return "\nmeans with control variates" if data.attrs.get("controls") else ""


def _baselines(cube: xr.Dataset, prediction: xr.Dataset | None, name: str, where: dict[str, Any]) -> list[Layer]:
    """The staircase of limits and the best linear predictor, where the prediction has them."""
    layers: list[Layer] = []
    low, high = float(cube["alpha"].min()), float(cube["alpha"].max())
    if prediction is not None and f"{name}_limit" in prediction:
        limit = at(prediction[f"{name}_limit"], **where)
        ell = limit["ell_alpha"] if "ell_alpha" in limit.coords else cube["ell_alpha"]
        steps = plotdata.staircase(limit, ell, low, max(high, low + 1e-3))
        look = {"label": "predicted limit", "colour": style.INK, "dash": "dashed"}
        layers.append(marks.steps(steps["start"], steps["end"], steps["value"], "alpha", name, **look))
    if prediction is not None and "best_linear_loss" in prediction and name == "test_loss":
        level = plotdata.last(at(prediction["best_linear_loss"], **where))
        look = {"label": "best linear (predicted)", "colour": style.SOFT, "dash": "dotted"}
        layers.append(marks.steps([low], [high], [level], "alpha", name, **look))
    return layers


@_view
def loss_against_penalty(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    *,
    alpha: float | None = None,
    n: int | None = None,
    kind: Kind = "test",
    controls: bool = True,
    **further: Any,
) -> Picture:
    """Which penalty is best, and does the step help there? Losses of F and of F_0 against lam at one (alpha, n).

    `controls` as in `losses`.
    """
    where = {"alpha": alpha, "n": n} | fixed(cube, further)
    layers: list[Layer] = []
    told = ""
    for i, (suffix, what) in enumerate((("", "F"), ("_init", "F₀"))):
        name = f"{kind}_loss{suffix}"
        data = plotdata.means(cube, name, controls=controls, **where)
        told = told or _which_means(data)
        look: dict[str, Any] = {"colour": style.SERIES[1 - i]}
        if prediction is not None and name in prediction:
            curve = foretold(prediction[name], **where)
            layers.append(marks.line(curve.lam, curve, "lam", "loss", label=f"predicted, {what}", **look))
        layers += marks.points(data, "lam", "loss", label=f"measured, {what}", marker=style.MARKERS[i], **look)
    spot = at(cube, alpha=alpha, n=n, **fixed(cube, further))
    title = f"{_KIND[kind]} loss against penalty at {style.place(spot, ('alpha', 'n', *further))}{told}"
    return Picture(layers, title=title, xlabel=style.axis_label("lam"), ylabel=f"{_KIND[kind].lower()} loss", logx=True)


@_view
def gaps(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    fit: xr.Dataset | None = None,
    *,
    gap: Gap = "limit",
    alpha: float | None = None,
    lam: float | None = None,
    kind: Kind = "test",
    controls: bool = True,
    **further: Any,
) -> Picture:
    """How fast do losses converge? Size of the mean gap against n on log axes.

    `gap = "limit"` is L(F) minus its limit; it is the sum of `"spiked"`, L(F) - L(F_ell) with the ell of this alpha,
    and `"strength"`, L(F_ell) minus the limit. `fit` is the result of `fit_gaps`: its law is drawn for the last two
    with its 95 per cent band, the residuals in a strip below.
    """
    where = {"alpha": alpha, "lam": lam} | fixed(cube, further)
    data, what = _gap(cube, prediction, gap, {"kind": kind, "controls": controls} | where)
    spot = style.place(data, ("alpha", "lam", *further))
    told, one, label = _which_means(data), None, "measured"
    if fit is not None and _FITTED_GAPS.get(gap) in fit.coords.get("gap", ()) and "covariance" in fit:
        one = at(fit, **{"gap": _FITTED_GAPS[gap], "loss": f"{kind}_loss"} | where)
        if "data" in one:
            data, label = plotdata.fitted_means(one), _SHARP
    layers = _signed_points(data, label)
    if one is not None:
        layers += _law_with_band(plotdata.power_law(one, cube["n"].values))
        told = f"\n{plotdata.exponent_text(one)}"
    made = Picture(
        layers,
        title=f"{_KIND[kind]} loss: {what} at {spot}{told}",
        xlabel=style.axis_label("n"),
        ylabel="size of the mean gap",
        logx=True,
        logy=True,
        options={"xticks": _size_ticks(cube)},
    )
    return _with_residuals(made, data)


def _gap(cube: xr.Dataset, prediction: xr.Dataset | None, gap: Gap, where: dict[str, Any]) -> tuple[xr.Dataset, str]:
    """The mean of a gap against n, and what it is called."""
    labels = {name: label for name, label in where.items() if name not in ("kind", "controls")}
    spiked = f"L(F{_SUB[plotdata.kept_spikes(cube, **labels) % 10]})"
    if gap == "spiked":
        return plotdata.gap_to_spiked(cube, **where), f"|L(F) − {spiked}|"
    if prediction is None:
        raise Missing("The gap to the limit needs a prediction.")
    if gap == "strength":
        return plotdata.gap_of_spiked(cube, prediction, **where), f"|{spiked} − limit|"
    return plotdata.gap_to_limit(cube, prediction, **where), "|L(F) − limit|"


def _with_residuals(made: Picture, data: xr.Dataset) -> Picture:
    """A picture against n with a strip of the fit's standardised residuals below it, lines at 0 and +-2."""
    if "residual" not in data:
        return made
    ends, _ = made.limits()
    known = np.isfinite(data["residual"].values)
    n, residual = data["n"].values[known].astype(float), data["residual"].values[known]
    tips = [(style.symbol("n"), "@n"), ("residual in standard errors", "@residual{0.00}")]
    look = {"color": style.SERIES[1], "size": 7, "tools": ["hover"], "hover_tooltips": tips}
    levels = [
        marks.steps([ends[0]], [ends[1]], [level], "n", "residual", label="", colour=style.SOFT, dash=dash, width=1.2)
        for level, dash in ((0, "solid"), (2, "dashed"), (-2, "dashed"))
    ]
    most = max(3.0, 1.2 * float(np.abs(residual).max(initial=0)))
    strip = Picture(
        [*levels, Layer("points", {"n": n, "residual": residual}, style=look, measured=True)],
        xlabel=made.xlabel,
        ylabel="residual",
        logx=True,
        xlim=ends,
        ylim=(-most, most),
        options={"xticks": made.options["xticks"], "height": 150, "toolbar": None, "hooks": [picture.level_border]},
    )
    options = {**made.options, "legend_position": "top", "legend_cols": 2, "hooks": [picture.level_border]}
    return replace(made, xlabel="", options=options, strip=strip)


def _signed_points(data: xr.Dataset, label: str) -> list[Layer]:
    """The size of mean gaps on a log axis, those above and below zero apart."""
    layers: list[Layer] = []
    for i, (sign, which) in enumerate(((1, "positive"), (-1, "negative"))):
        side = data.assign(mean=sign * data["mean"])
        layers += marks.points(
            side,
            "n",
            "gap",
            label=f"{label}, {which}",
            colour=style.SERIES[3 * i],
            marker=style.MARKERS[i],
            positive=True,
        )
    return layers


def _law_with_band(law: xr.Dataset) -> list[Layer]:
    """A fitted law and the ends of its 95 per cent band."""
    looks = {"value": ("fitted to measured", "solid", 2.0), "low": ("", "dotted", 1.2), "high": ("", "dotted", 1.2)}
    return [
        marks.line(
            law.n, law[name], "n", "gap", label=label, colour=style.SERIES[1], dash=dash, width=width, framed=False
        )
        for name, (label, dash, width) in looks.items()
    ]


@_view
def limits(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    fit: xr.Dataset | None = None,
    *,
    alpha: float | None = None,
    lam: float | None = None,
    kind: Kind = "test",
    controls: bool = True,
    **further: Any,
) -> Picture:
    """Where does the loss go? Loss against n with the theory at each n, its limit, and the fitted limit.

    `fit` is the result of `fit_limits`; the ends of the 95 per cent interval of its limit are dotted, the residuals
    of the fitted law stand in a strip below.
    """
    name = f"{kind}_loss"
    where = {"alpha": alpha, "lam": lam} | fixed(cube, further)
    data = plotdata.means(cube, name, controls=controls, **where)
    ends = [float(cube["n"].min()), float(cube["n"].max())]
    layers: list[Layer] = []
    label = "measured"
    spot = style.place(data, ("alpha", "lam", *further))
    told = _which_means(data)
    if prediction is not None and name in prediction:
        curve = foretold(prediction[name], **where)
        layers.append(marks.line(curve.n, curve, "n", name, label="predicted", colour=style.SERIES[0]))
        level = plotdata.last(foretold(prediction[f"{name}_limit"], **where))
        limit = {"label": "predicted limit", "colour": style.INK, "dash": "dashed"}
        layers.append(marks.steps(ends[:1], ends[1:], [level], "n", name, **limit))
    if fit is not None and "estimate" in fit:
        one = at(fit, loss=name, **where).sel(param="limit")
        if "data" in one:
            data, label = plotdata.fitted_means(one), _SHARP
        told = f"\n{plotdata.limit_text(one)}"
        for end, called, dash in _FITTED_LIMIT:
            level = plotdata.finite(one[end])
            look = {"label": called, "colour": style.SERIES[1], "dash": dash}
            layers.append(marks.steps(ends[:1], ends[1:], [level], "n", name, **look))
    layers += marks.points(data, "n", name, label=label, colour=style.SERIES[0])
    made = Picture(
        layers,
        title=f"{_KIND[kind]} loss against n at {spot}{told}",
        xlabel=style.axis_label("n"),
        ylabel=style.axis_label(name),
        logx=True,
        options={"xticks": _size_ticks(cube)},
    )
    return _with_residuals(made, data)


_SHARP = "measured, as fitted"
_FITTED_LIMIT = (
    ("estimate", "limit fitted to measured", "dashed"),
    ("ci_low", "", "dotted"),
    ("ci_high", "", "dotted"),
)


def _size_ticks(cube: xr.Dataset) -> list[tuple[int, str]]:
    return style.thin([(n, style.number(n)) for n in cube["n"].values.tolist()], 6)


@_view
def exponents(fit: xr.Dataset, *, estimator: str = "relative", brush: Brush = None, **further: Any) -> Picture:
    """Do the exponents agree? Fitted exponents of the outliers against alpha, with their limits 1/2 - k(1/2 - alpha).

    Parameters
    ----------
    fit
        From `fit_outliers`.
    estimator
        "plain", "corrected", or "relative" to the finite-n prediction.
    """
    if "estimate" not in fit or "exponent" not in fit["param"]:
        raise Missing(str(fit.attrs.get("sentence", "There are no fitted exponents here.")))
    one = at(fit, estimator=estimator, **fixed(fit, further) if further else {}).sel(param="exponent")
    layers: list[Layer] = []
    for i, k in enumerate(one["degree"].values[:MOST_SPIKES].tolist()):
        data = xr.Dataset({"mean": one["estimate"].sel(degree=k), "stderr": one["stderr"].sel(degree=k)})
        look: dict[str, Any] = {"colour": style.SERIES[i]}
        limit = 0.5 - k * (0.5 - one["alpha"])
        layers.append(
            marks.line(one.alpha, limit, "alpha", "exponent", label=f"predicted, spike {k}", dash="dashed", **look)
        )
        layers += marks.points(
            data, "alpha", "exponent", label=f"measured, spike {k}", marker=style.MARKERS[i], brush=brush, **look
        )
    title = f"Exponents of the outliers, estimate: {estimator}"
    return Picture(layers, title=title, xlabel=style.axis_label("alpha"), ylabel="exponent of n")


_SUB = dict(enumerate("₀₁₂₃₄₅₆₇₈₉"))


@_view
def collapse(cube: xr.Dataset, *, k: int = 2, brush: Brush = None, **further: Any) -> Picture:
    """Do the sizes fall on one curve? The singular value of degree k against (alpha - alpha_k) ln n."""
    degrees = predicted.degrees(cube, max(k, 5), **further)
    if k not in degrees:
        raise Missing(f"The activation has c{_SUB[k]} = 0: there is no spike of degree {k}.")
    rank = degrees.index(k) + 1
    if rank not in cube["rank"]:
        raise Missing(f"The spike of degree {k} is singular value {rank}, which was not measured.")
    data = plotdata.collapse(cube, k=k, rank=rank, **further)
    sizes = style.thin(data["n"].values.tolist(), 6)
    layers: list[Layer] = []
    for size, colour, marker in zip(sizes, style.ordered_colours(len(sizes)), style.markers(len(sizes)), strict=True):
        layers += marks.points(
            data.sel(n=size), "x", "singular_value", label=f"measured, n = {size}", colour=colour, marker=marker,
            brush=brush, positive=True,
        )  # fmt: skip
    x, y = plotdata.slope_line(data, k)
    layers.append(marks.line(x, y, "x", "singular_value", label=f"limit, slope {k}", colour=style.INK, dash="dashed"))
    return Picture(
        layers,
        title=f"Collapse of singular value {rank}, the spike of degree {k}",
        xlabel=f"(α − α{_SUB[k]}) ln n,   α{_SUB[k]} = {threshold(k):.4g}",
        ylabel=style.axis_label("singular_value"),
        logy=True,
    )


@_view
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

    Parameters
    ----------
    scores
        From `plotdata.z_scores`, if they are known already.
    """
    if scores is None:
        if prediction is None:
            raise Missing("The agreement map needs a prediction.")
        scores = plotdata.z_scores(cube, prediction, variable)
    data = at(scores, lam=lam, rank=rank, ell=None, **fixed(cube, further))
    grid = _grid(data, {name: data[name] for name in ("z", "mean", "stderr", "predicted", "relative")})
    if not len(grid["z"]):
        raise Missing(f"No point of {variable} has a prediction and an error at this place.")
    boxes = marks.cells(
        grid,
        limits=(-5, 5),
        colours=style.DIVERGING,
        clabel="z",
        hover_tooltips=[
            *_CELL_TIPS,
            ("z", "@z{0.00}"),
            ("measured", "@mean{0.0000}"),
            *_ERROR_TIPS,
            ("predicted", "@predicted{0.0000}"),
            ("relative difference", "@relative{0.0%}"),
        ],
    )
    axes = [name for name in ("lam", "rank", *further) if name in cube[variable].dims]
    spot = style.place(data, axes)
    title = f"z-scores of {style.symbol(variable)}" + (f" at {spot}" if spot else "")
    ends = _edges(data["alpha"].values)
    return _map([boxes, *_z_texts(grid)], data, title, (float(ends[0]), float(ends[-1])))


def _z_texts(grid: dict[str, np.ndarray]) -> list[Layer]:
    """The z-scores as numbers in the cells while they fit, white where the cell is dark."""
    fits = len(grid["z"]) <= 80
    layers = []
    for dark, colour in ((False, style.INK), (True, "white")):
        chosen = (np.abs(grid["z"]) > 3) == dark if fits else np.zeros(len(grid["z"]), dtype=bool)
        columns = {
            "alpha": (grid["left_alpha"][chosen] + grid["right_alpha"][chosen]) / 2,
            "row": grid["low_row"][chosen] + 0.5,
            "text": np.array([f"{z:+.1f}".replace("-", "−") for z in grid["z"][chosen]], dtype=object),
        }
        layers.append(Layer("texts", columns, style={"text_font_size": "8pt", "text_color": colour}))
    return layers
