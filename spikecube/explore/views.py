"""Each view answers one question about a cube: a cube in, a HoloViews object out.

Markers are measured (means over seeds, bars of one standard error), lines are predicted, dashes are limits. What is not
chosen by keyword stands at its default: the largest alpha and n, the middle of every other axis. A view that lacks its
data is a sentence in its place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import holoviews as hv
import numpy as np
import xarray as xr

from spikecube.explore import marks, plotdata, style
from spikecube.explore.marks import Brush
from spikecube.explore.plotdata import Missing, at, fixed
from spikecube.theory.staircase import threshold

Kind = Literal["train", "test"]
MOST_SIZES = 4
MOST_SPIKES = 4


def _or_note(view: Callable[..., hv.Overlay]) -> Callable[..., hv.Overlay]:
    """The view, or the sentence that says what it lacks."""

    @functools.wraps(view)
    def safe(*args: Any, **kwargs: Any) -> hv.Overlay:
        try:
            return view(*args, **kwargs)
        except Missing as missing:
            return marks.note(str(missing))

    return safe


@_or_note
def spectrum(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    density: xr.DataArray | None = None,
    *,
    alpha: float | None = None,
    n: int | None = None,
    **further: Any,
) -> hv.Overlay:
    """Does a spike leave the bulk? Singular values of F/sqrt(n) at one (alpha, n), all seeds.

    Parameters
    ----------
    cube
        With `spectrum` for the histogram, else only the leading singular values are drawn.
    prediction
        From `predict`: the bulk edge and the outliers are drawn.
    density
        Predicted density of the bulk along `x`, as `plotdata`'s neighbour `predicted.bulk` gives it.
    """
    where = {"alpha": alpha, "n": n} | further
    top = plotdata.leading(cube, **where)
    elements, height = _bars(cube, where)
    if density is not None:
        height = max(height, float(density.where(density.x > 0.1).max()))
        elements.append(
            marks.curve(
                density.x, density, "s", "density", label="predicted bulk", colour=style.SERIES[0], y_label=_DENSITY
            )
        )
    edge = float(at(cube["detection_edge"], **where)) if "detection_edge" in cube else np.inf
    elements += _rug(top, edge, height)
    right = max(1.12 * float(top.max()), 0.0 if np.isinf(edge) else 1.8 * edge)
    if prediction is not None:
        elements += _predicted_outliers(prediction, where, height)
    title = f"Singular values of F/√n at {style.place(top, ('alpha', 'n', *further))}, {top.sizes['seed']} seeds"
    return marks.finish(elements, xlim=(0, right), ylim=(0, 1.15 * height), title=title, ylabel=_DENSITY)


_DENSITY = "density of singular values"
_S = hv.Dimension("s", label="s   singular value of F/√n")


def _bars(cube: xr.Dataset, where: dict[str, Any]) -> tuple[list[hv.Element], float]:
    """The histogram, if there is one, and the height of the axis."""
    vdim = hv.Dimension("density", label=_DENSITY)
    try:
        data = plotdata.histogram(cube, **where)
        edges = np.append(data["lower"].values, data["upper"].values[-1])
        heights = data["density"].values
    except Missing:
        edges, heights = np.array([0.0, 1.0]), np.array([0.0])
    bars = hv.Histogram((edges, heights), kdims=_S, vdims=vdim, label="measured, all").opts(
        fill_color=style.FILL, line_color="white", line_width=0.5, tools=["hover"], show_legend=True, framewise=True
    )
    return [bars], float(np.max(heights)) or 1.0


def _rug(top: xr.DataArray, edge: float, height: float) -> list[hv.Element]:
    """The leading singular values of each seed that lie beyond the detection edge, as spikes from the axis."""
    rank, _ = xr.broadcast(top["rank"], top)
    seed, _ = xr.broadcast(top["seed"], top)
    beyond = (top > (0 if np.isinf(edge) else edge)).values.ravel()
    columns = {
        "s": top.values.ravel()[beyond],
        "height": np.full(int(beyond.sum()), 0.30 * height),
        "rank": rank.transpose(*top.dims).values.ravel()[beyond],
        "seed": seed.transpose(*top.dims).values.ravel()[beyond],
    }
    label = "measured, leading" if np.isinf(edge) else "measured outliers"
    spikes = hv.Spikes(columns, _S, ["height", "rank", "seed"], label=label).opts(
        color=style.SERIES[1],
        line_width=2,
        line_alpha=0.75,
        framewise=True,
        tools=["hover"],
        hover_tooltips=[("", label), ("s", "@s{0.000}"), ("rank", "@rank"), ("seed", "@seed")],
    )
    return [spikes]


def _predicted_outliers(prediction: xr.Dataset, where: dict[str, Any], height: float) -> list[hv.Element]:
    """Predicted outliers as tall lines, the bulk edge as a dashed one."""
    outliers = _finite(prediction, "singular_value", where)
    edges = _finite(prediction, "bulk_edge", where)
    return [
        _stems(outliers, 0.55 * height, "predicted outliers", style.SERIES[0], "solid"),
        _stems(edges, 1.1 * height, "predicted edge", style.INK, "dashed"),
    ]


def _stems(positions: np.ndarray, height: float, label: str, colour: str, dash: str) -> hv.Curve:
    """Lines from the axis up, one curve with gaps so that the legend names them once."""
    x = np.repeat(positions, 3)
    y = np.tile([0.0, height, np.nan], len(positions))
    return marks.curve(x, y, "s", "density", label=label, colour=colour, dash=dash, width=1.8, y_label=_DENSITY)


def _finite(prediction: xr.Dataset, name: str, where: dict[str, Any]) -> np.ndarray:
    if name not in prediction:
        return np.empty(0)
    values = np.asarray(at(prediction[name], **where), dtype=float).ravel()
    finite: np.ndarray = values[np.isfinite(values)]
    return finite


@_or_note
def outlier_count(
    cube: xr.Dataset, detachment: xr.DataArray | None = None, *, brush: Brush = None, **further: Any
) -> hv.Overlay:
    """When do spikes appear? Mean number of outliers over (alpha, n).

    The limits of the thresholds, alpha_k = (k - 1)/(2k), are dashed; `detachment` (dims n, k) holds the alpha at
    which theory has the k-th spike detach at size n, drawn as lines with markers.
    """
    counts = at(plotdata.variable(cube, "outlier_count"), **fixed(cube, further))
    data = plotdata.seed_mean(counts)
    elements = [_cells(data, cube), *_threshold_marks(cube, len(data["n"]))]
    if detachment is not None:
        rows = np.arange(len(data["n"])) + 0.5
        for k in detachment["k"].values[:MOST_SPIKES]:
            line = at(detachment, **fixed(cube, further)).sel(k=k).reindex(n=data["n"].values)
            elements.append(
                marks.curve(
                    line.values, rows, "alpha", "row", label=f"predicted, spike {k}", colour=style.SERIES[(k - 1) % 6]
                )
            )
    if brush is not None:
        elements.append(marks.vertical(brush, "alpha", colour=style.SERIES[1], dash="solid"))
    ticks = [(i + 0.5, style.number(n)) for i, n in enumerate(data["n"].values)]
    low, high = _alpha_range(cube)
    return marks.finish(
        elements,
        title="Mean number of outliers; dashes: limits αₖ = (k − 1)/(2k)",
        yticks=ticks if len(ticks) <= 12 else style.thin(ticks, 8),
        xlim=(low, high),
        ylim=(0, len(ticks)),
        ylabel=style.axis_label("n"),
        show_grid=False,
    )


def _alpha_range(cube: xr.Dataset) -> tuple[float, float]:
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


def _cells(data: xr.Dataset, cube: xr.Dataset) -> hv.Rectangles:
    """One rectangle a cell (alpha, n), sizes as rows of equal height."""
    edges = _edges(data["alpha"].values)
    mean = data["mean"].transpose("alpha", "n")
    rows = [
        (
            edges[i],
            j,
            edges[i + 1],
            j + 1,
            float(mean[i, j]),
            float(data["stderr"].transpose("alpha", "n")[i, j]),
            float(data["alpha"][i]),
            int(data["n"][j]),
            int(data["seeds"].transpose("alpha", "n")[i, j]),
        )
        for i in range(mean.shape[0])
        for j in range(mean.shape[1])
        if np.isfinite(mean[i, j])
    ]
    most = float(np.nanmax(mean.values))
    return hv.Rectangles(
        rows,
        kdims=[marks.dimension("alpha"), hv.Dimension("row", label=style.axis_label("n")), "alpha_end", "row_end"],
        vdims=["count", "stderr", "at_alpha", "n", "seeds"],
    ).opts(
        color="count",
        cmap=list(style.COUNTS),
        clim=(0, max(most, 1.0)),
        colorbar=True,
        clabel="measured outliers",
        colorbar_opts={"width": 12},
        line_color="white",
        line_width=0.5,
        framewise=True,
        tools=["hover"],
        hover_tooltips=[
            ("α", "@at_alpha"),
            ("n", "@n"),
            ("measured outliers", "@count{0.00}"),
            ("standard error", "@stderr{0.00}"),
            ("seeds", "@seeds"),
        ],
    )


def _threshold_marks(cube: xr.Dataset, rows: int) -> list[hv.Element]:
    """The limits of the thresholds, dashed."""
    low, high = _alpha_range(cube)
    positions = [threshold(k) for k in range(2, 6) if low < threshold(k) < high]
    return [marks.vertical(positions, "alpha", colour=style.SERIES[1], width=2)]


@_or_note
def singular_values(
    cube: xr.Dataset, prediction: xr.Dataset | None = None, *, n: int | None = None, brush: Brush = None, **further: Any
) -> hv.Overlay:
    """How far do the spikes go? Leading singular values of F/sqrt(n) against alpha at one n."""
    where = {"n": n} | fixed(cube, further)
    data = plotdata.spikes(cube, most=MOST_SPIKES, **where)
    name = "singular_value"
    elements: list[hv.Element] = []
    for i, k in enumerate(data["rank"].values):
        colour = style.SERIES[i]
        if prediction is not None and name in prediction and k in prediction["rank"]:
            line = at(prediction[name], **where).sel(rank=k)
            elements.append(marks.curve(line.alpha, line, "alpha", name, label=f"predicted, spike {k}", colour=colour))
        elements += marks.points(
            data.sel(rank=k),
            "alpha",
            name,
            label=f"measured, i = {k}",
            colour=colour,
            marker=style.MARKERS[i],
            brush=brush,
            positive=True,
        )
    if prediction is not None and "bulk_edge" in prediction:
        edge = at(prediction["bulk_edge"], **where)
        edge = edge if "alpha" in edge.dims else edge.expand_dims(alpha=prediction["alpha"])
        elements.append(
            marks.curve(edge.alpha, edge, "alpha", name, label="predicted edge", colour=style.INK, dash="dashed")
        )
    title = f"Leading singular values at {style.place(data, ('n', *further))}"
    return marks.finish(elements, logy=True, title=title)


@_or_note
def alignments(
    cube: xr.Dataset,
    *,
    n: int | None = None,
    subspace: bool = False,
    brush: Brush = None,
    **further: Any,
) -> hv.Overlay:
    """Do the spikes point where theory says? Squared cosines with the monomials of x.beta against alpha at one n."""
    name = "subspace_alignment" if subspace else "alignment"
    data = plotdata.seed_mean(at(plotdata.variable(cube, name), n=n, **fixed(cube, further)))
    elements: list[hv.Element] = []
    for i, k in enumerate(data["degree"].values[:MOST_SPIKES]):
        colour = style.SERIES[i]
        if not bool(data["mean"].sel(degree=k).notnull().any()):
            continue
        elements += marks.points(
            data.sel(degree=k),
            "alpha",
            name,
            label=f"measured, k = {k}",
            colour=colour,
            marker=style.MARKERS[i],
            brush=brush,
        )
        elements.append(_after_threshold(int(k), _alpha_range(cube), name, colour))
    title = f"Alignment with the monomials at {style.place(data, ('n', *further))}; dashes: limit 1 beyond αₖ"
    return marks.finish(elements, ylim=(-0.03, 1.06), title=title)


def _after_threshold(k: int, alphas: tuple[float, float], name: str, colour: str) -> hv.Curve:
    """The limit of an alignment: 1 once alpha has passed the k-th threshold."""
    start = max(threshold(k), alphas[0])
    x = [start, alphas[1]] if start < alphas[1] else []
    return marks.curve(
        x, [1.0 + 0.008 * (k - 1)] * len(x), "alpha", name, label=f"limit, k = {k}", colour=colour, dash="dashed"
    )


def losses(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    *,
    lam: float | None = None,
    n: int | None = None,
    kind: Kind | None = None,
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
    """
    if kind is not None:
        return _losses(cube, prediction, lam=lam, n=n, kind=kind, brush=brush, **further)
    both = [_losses(cube, prediction, lam=lam, n=n, kind=k, brush=brush, **further) for k in ("train", "test")]
    return hv.Layout(both).cols(2)


@_or_note
def _losses(
    cube: xr.Dataset,
    prediction: xr.Dataset | None,
    *,
    lam: float | None,
    n: int | None,
    kind: Kind,
    brush: Brush,
    **further: Any,
) -> hv.Overlay:
    name = f"{kind}_loss"
    where = {"lam": lam} | fixed(cube, further)
    data = plotdata.seed_mean(at(plotdata.variable(cube, name), **where))
    sizes = style.thin(data["n"].values.tolist(), MOST_SIZES) if n is None else [plotdata.nearest(data, "n", n)]
    elements = _baselines(cube, prediction, name, where, sizes[-1])
    for size, colour, marker in zip(sizes, style.ordered_colours(len(sizes)), style.markers(len(sizes)), strict=True):
        elements += _loss_of_size(data, prediction, name, where, size, colour, marker, brush)
    title = f"{_KIND[kind]} loss against step size, {style.place(data, ('lam', *further))}"
    return marks.finish(elements, title=title)


_KIND = {"train": "Training", "test": "Test"}


def _loss_of_size(
    data: xr.Dataset,
    prediction: xr.Dataset | None,
    name: str,
    where: dict[str, Any],
    size: int,
    colour: str,
    marker: str,
    brush: Brush,
) -> list[hv.Element]:
    elements: list[hv.Element] = []
    if prediction is not None and name in prediction and size in prediction["n"]:
        line = at(prediction[name].sel(n=size), **where)
        elements.append(marks.curve(line.alpha, line, "alpha", name, label=f"predicted, n = {size}", colour=colour))
    return elements + marks.points(
        data.sel(n=size), "alpha", name, label=f"measured, n = {size}", colour=colour, marker=marker, brush=brush
    )


def _baselines(
    cube: xr.Dataset, prediction: xr.Dataset | None, name: str, where: dict[str, Any], size: int
) -> list[hv.Element]:
    """The staircase of limits and the best linear predictor, where the prediction has them."""
    if prediction is None:
        return []
    elements = []
    low, high = float(cube["alpha"].min()), float(cube["alpha"].max())
    if f"{name}_limit" in prediction:
        limit = at(prediction[f"{name}_limit"], **where)
        ell = limit["ell_alpha"] if "ell_alpha" in limit.coords else cube["ell_alpha"]
        steps = plotdata.staircase(limit, ell, max(high, low + 1e-3))
        x = np.stack([steps["start"], steps["end"], np.full(steps.sizes["step"], np.nan)], axis=1).ravel()
        y = np.repeat(steps["value"].values, 3)
        elements.append(marks.curve(x, y, "alpha", name, label="predicted limit", colour=style.INK, dash="dashed"))
    if "best_linear_loss" in prediction and name == "test_loss":
        best = at(prediction["best_linear_loss"], **{**where, "n": size})
        level = float(best.isel(dict.fromkeys(best.dims, -1)))
        elements.append(
            marks.curve(
                [low, high],
                [level, level],
                "alpha",
                name,
                label="best linear (predicted)",
                colour=style.SOFT,
                dash="dotted",
            )
        )
    return elements


@_or_note
def loss_against_penalty(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    *,
    alpha: float | None = None,
    n: int | None = None,
    kind: Kind = "test",
    **further: Any,
) -> hv.Overlay:
    """Which penalty is best, and does the step help there? Losses of F and of F_0 against lam at one (alpha, n)."""
    where = {"alpha": alpha, "n": n} | fixed(cube, further)
    elements: list[hv.Element] = []
    y_label = f"{_KIND[kind]} loss"
    for i, (suffix, what) in enumerate((("", "F"), ("_init", "F₀"))):
        name = f"{kind}_loss{suffix}"
        data = plotdata.seed_mean(at(plotdata.variable(cube, name), **where))
        colour = style.SERIES[1 - i]
        if prediction is not None and name in prediction:
            line = at(prediction[name], **where)
            elements.append(
                marks.curve(line.lam, line, "lam", y_label, label=f"predicted, {what}", colour=colour, y_label=y_label)
            )
        elements += marks.points(
            data, "lam", y_label, label=f"measured, {what}", colour=colour, marker=style.MARKERS[i], y_label=y_label
        )
    spot = at(cube["train_loss"], **where) if "train_loss" in cube else data
    title = f"{y_label} against penalty at {style.place(spot, ('alpha', 'n', *further))}"
    return marks.finish(elements, logx=True, title=title)


Gap = Literal["limit", "spiked"]


@_or_note
def gaps(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    *,
    gap: Gap = "limit",
    alpha: float | None = None,
    lam: float | None = None,
    kind: Kind = "test",
    **further: Any,
) -> hv.Overlay:
    """How fast do losses converge? Size of the mean gap against n on log axes, with its fit.

    `gap = "limit"` is L(F) minus its limit, `"spiked"` is L(F) - L(F_ell) with the ell of this alpha.
    """
    where = {"alpha": alpha, "lam": lam} | fixed(cube, further)
    if gap == "limit":
        if prediction is None:
            raise Missing("The gap to the limit needs a prediction.")
        data = plotdata.gap_to_limit(cube, prediction, kind=kind, **where)
        what = "|L(F) − limit|"
    else:
        data = plotdata.gap_to_spiked(cube, kind=kind, **where)
        ell = int(at(cube["ell_alpha"], alpha=alpha))
        data = data.sel(ell=min(ell, int(data["ell"].max())) if ell > 0 else int(data["ell"].max()))
        what = f"|L(F) − L(F{_SUB[int(data.ell) % 10]})|"
    drawn = data.drop_vars("mean").rename(size="mean")
    elements = marks.points(drawn, "n", "gap", label="measured", colour=style.SERIES[0], y_label=what, positive=True)
    title = f"{_KIND[kind]} loss: {what} at {style.place(data, ('alpha', 'lam', *further))}"
    return marks.finish(elements, logx=True, logy=True, title=title)


@_or_note
def collapse(cube: xr.Dataset, *, k: int = 2, brush: Brush = None, **further: Any) -> hv.Overlay:
    """Do the sizes fall on one curve? The k-th singular value against (alpha - alpha_k) ln n."""
    data = plotdata.collapse(cube, k=k, **further)
    sizes = style.thin(data["n"].values.tolist(), 6)
    elements: list[hv.Element] = []
    for size, colour, marker in zip(sizes, style.ordered_colours(len(sizes)), style.markers(len(sizes)), strict=True):
        elements += marks.points(
            data.sel(n=size),
            "x",
            "singular_value",
            label=f"measured, n = {size}",
            colour=colour,
            marker=marker,
            brush=brush,
            positive=True,
        )
    x = data["x"].values
    beyond = data.where((data["x"] > 0) & data["mean"].notnull())
    if bool(beyond["mean"].notnull().any()) and x.max() > 0:
        amplitude = float(np.exp(np.nanmedian(np.log(beyond["mean"]) - k * beyond["x"])))
        line = np.linspace(0, x.max(), 50)
        elements.append(
            marks.curve(
                line,
                amplitude * np.exp(k * line),
                "x",
                "singular_value",
                label=f"limit slope {k}",
                colour=style.INK,
                dash="dashed",
            )
        )
    return marks.finish(
        elements,
        logy=True,
        xlabel=f"(α − α{_SUB[k]}) ln n,   α{_SUB[k]} = {threshold(k):.4g}",
        title=f"Collapse of singular value {k}",
    )


_SUB = dict(enumerate("₀₁₂₃₄₅₆₇₈₉"))


@_or_note
def agreement(
    cube: xr.Dataset,
    prediction: xr.Dataset | None = None,
    *,
    variable: str = "test_loss",
    lam: float | None = None,
    rank: int = 1,
    **further: Any,
) -> hv.Overlay:
    """How far do theory and measurement agree? z = (measured - predicted)/stderr over (alpha, n)."""
    if prediction is None:
        raise Missing("The agreement map needs a prediction.")
    data = plotdata.z_scores(cube, prediction, variable)
    data = at(data, **{"lam": lam, "rank": rank, "ell": None} | fixed(cube, further))
    edges = _edges(data["alpha"].values)
    names = ("z", "relative", "mean", "predicted", "stderr")
    table = {name: data[name].transpose("alpha", "n").values for name in names}
    rows = [
        (
            edges[i],
            j,
            edges[i + 1],
            j + 1,
            *(float(table[name][i, j]) for name in names),
            float(data["alpha"][i]),
            int(data["n"][j]),
        )
        for i, j in np.argwhere(np.isfinite(table["z"]))
    ]
    if not rows:
        raise Missing(f"No point of {variable} has a prediction and an error at this place.")
    boxes = hv.Rectangles(
        rows,
        kdims=[marks.dimension("alpha"), hv.Dimension("row", label=style.axis_label("n")), "alpha_end", "row_end"],
        vdims=[*names, "at_alpha", "n"],
    ).opts(
        color="z",
        cmap=list(style.DIVERGING),
        clim=(-5, 5),
        colorbar=True,
        clabel="z",
        colorbar_opts={"width": 12},
        line_color="white",
        line_width=0.5,
        framewise=True,
        tools=["hover"],
        hover_tooltips=[
            ("α", "@at_alpha"),
            ("n", "@n"),
            ("z", "@z{0.00}"),
            ("measured", "@mean{0.0000}"),
            ("standard error", "@stderr{0.0000}"),
            ("predicted", "@predicted{0.0000}"),
            ("relative difference", "@relative{0.0%}"),
        ],
    )
    ticks = [(i + 0.5, style.number(n)) for i, n in enumerate(data["n"].values)]
    title = f"z = (measured − predicted)/standard error of {style.symbol(variable)}"
    spot = style.place(data, ("lam", "rank", *further))
    return marks.finish(
        [boxes, *_texts(rows)],
        title=f"{title}, {spot}" if spot else title,
        yticks=ticks if len(ticks) <= 12 else style.thin(ticks, 8),
        ylim=(0, len(ticks)),
        xlim=(float(edges[0]), float(edges[-1])),
        ylabel=style.axis_label("n"),
        show_grid=False,
    )


def _texts(rows: list[tuple[Any, ...]]) -> list[hv.Element]:
    """The z-scores as numbers in the cells, while they fit."""
    small = rows if len(rows) <= 80 else []
    dark = [r for r in small if abs(r[4]) > 3]
    light = [r for r in small if abs(r[4]) <= 3]
    return [
        hv.Labels(
            [((r[0] + r[2]) / 2, r[1] + 0.5, f"{r[4]:+.1f}".replace("-", "−")) for r in group],
            [marks.dimension("alpha"), "row"],
            "text",
        ).opts(text_font_size="8pt", text_color=colour)
        for group, colour in ((light, style.INK), (dark, "white"))
    ]
