"""Legends, limits and colours of figures: nothing is covered, nothing is dead, nothing is cut off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from bokeh.models import Text

from scripts.madeup import made_prediction
from spikecube.cube.predict import predict
from spikecube.means.spikes import study_of
from spikecube.pictures import marks, predicted, style, views
from spikecube.pictures.entry import picture_of
from spikecube.pictures.layers import Layer
from spikecube.pictures.legend import INSIDE
from spikecube.pictures.picture import Canvas, Picture
from spikecube.pictures.spoken import spoken
from spikecube.pictures.views.parts import residual_strip
from spikecube.pictures.visitor import fit_to


def points(x: list[float], y: list[float], label: str) -> Layer:
    return Layer("points", {"x": np.array(x), "y": np.array(y)}, label, measured=True)


def line(x: list[float], y: list[float], label: str, *, framed: bool = True) -> Layer:
    return Layer("line", {"x": np.array(x), "y": np.array(y)}, label, framed=framed)


def legend_of(picture: Picture) -> tuple[str, str, list[str]]:
    """Its corner, its title and the entries that are shown."""
    (box,) = Canvas(picture).figure.legend
    return box.location, box.title or "", [item.label["value"] for item in box.items if item.visible]


@pytest.mark.parametrize(
    ("x", "y", "corner"),
    [
        ([0, 0.5, 1], [1, 0.5, 0], "top_right"),
        ([0, 0.5, 1], [0, 0.5, 1], "top_left"),
        ([0, 0.5, 1, 1], [1, 1, 1, 0], "bottom_left"),
    ],
)
def test_a_legend_stands_where_no_points_are(x: list[float], y: list[float], corner: str) -> None:
    assert legend_of(Picture([points(x, y, "measured, all")]))[0] == corner


@pytest.mark.parametrize("logy", [False, True])
def test_where_no_corner_is_free_the_axis_makes_room(logy: bool) -> None:
    """Marks in all corners: what they are stays, the legend stands above them; bars count as marks."""
    full = points([0, 0, 1, 1, 0.5], [1, 9, 1, 9, 5], "measured, all")
    figure = Canvas(Picture([full], logy=logy)).figure
    _, (low, high) = Picture([full], logy=logy).limits()
    assert figure.legend[0].location.startswith("top")
    assert (figure.y_range.start, figure.x_range.end) == pytest.approx((low, Picture([full]).limits()[0][1]))
    ends = np.log([low, 9, figure.y_range.end]) if logy else [low, 9, figure.y_range.end]
    assert (ends[1] - ends[0]) / (ends[2] - ends[0]) < 1 - 30 / 320  # the legend is one line
    assert figure.y_range.end > high
    bars = Layer("bars", {"x": np.array([0.0, 1]), "low": np.array([1.0, 1]), "high": np.array([9.0, 9])})
    short = points([0, 1, 0.5], [5, 5, 5], "measured, all")
    assert Canvas(Picture([short])).figure.y_range.end == Picture([short]).limits()[1][1]
    assert Canvas(Picture([bars, short])).figure.y_range.end > Picture([bars, short]).limits()[1][1]


def test_a_line_without_values_widens_no_axis() -> None:
    far = line([0, 5, 50], [1, 2, np.nan], "predicted, all")
    assert Picture([far]).limits()[0] == Picture([line([0, 5], [1, 2], "predicted, all")]).limits()[0]


def test_figures_fit_a_phone_and_come_back(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    """The legend moves; numbers in cells stand upright."""
    for view in (views.loss, views.agreement):
        canvas = Canvas(picture_of(view)(cube, prediction))
        figure = canvas.figure
        parts = (list(figure.above), list(figure.center))
        fit_to(figure, narrow=True)
        assert not [m for m in figure.center if INSIDE in m.tags]
        angles = {r.glyph.angle for r in figure.renderers if isinstance(r.glyph, Text)}
        assert angles == ({np.pi / 2} if view is views.agreement else set())
        fit_to(figure, narrow=False)
        assert sorted(m.id for m in figure.center) == sorted(m.id for m in parts[1])
        assert figure.above == parts[0]


def test_a_strip_without_a_fit_says_so() -> None:
    top = Picture([points([1, 2], [1, 2], "m")])
    texts = [
        [list(la.columns["text"]) for la in residual_strip(top, "x", n, n, "residual").layers if la.kind == "texts"]
        for n in (np.empty(0), np.array([1.0]))
    ]
    assert texts == [[["no law is fitted here"]], [[]]]


def test_a_series_has_one_entry_and_the_title_tells_its_marks() -> None:
    layers = [line([0, 1], [0, 1], "predicted, n = 5"), points([0, 1], [0, 1], "measured, n = 5")]
    layers += [points([0, 1], [1, 0], "measured, n = 9")]
    _, title, entries = legend_of(Picture(layers))
    assert entries == ["n = 5", "measured, n = 9"]
    assert title == "markers measured, lines predicted"


def test_what_is_not_drawn_has_no_entry() -> None:
    layers = [points([0, 1], [0, 1], "measured, some"), points([], [], "measured, none")]
    layers += [line([0, 1], [np.nan, np.nan], "predicted, none")]
    assert legend_of(Picture(layers))[2] == ["measured, some"]
    canvas = Canvas(Picture(layers))
    canvas.show(Picture([*layers[:1], points([0], [1], "measured, none"), layers[2]]))
    assert [item.visible for item in canvas.figure.legend[0].items] == [True, True]  # `none` is one series


def test_a_band_is_inside_the_frame_but_does_not_squeeze_the_points() -> None:
    """It may double the frame on either side, no more."""
    near = Picture([points([0, 1], [1, 2], "m"), line([0, 1], [0.5, 2.5], "band", framed=False)])
    assert near.limits()[1] == pytest.approx((0.5, 2.5))
    far = Picture([points([0, 1], [1, 2], "m"), line([0, 1], [-50, 80], "band", framed=False)])
    assert far.limits()[1] == pytest.approx((1 - 0.04 - 1.08, 2 + 0.04 + 1.08))
    log = Picture([points([1, 2], [1, 10], "m"), line([1, 2], [1e-9, 20], "b", framed=False)], logy=True)
    assert log.limits()[1] == pytest.approx((10 ** (-0.04 - 1.08), 20), rel=1e-6)


def test_no_colour_stands_on_both_sides_of_the_night() -> None:
    """So a figure may be painted twice, and comes back as it was."""
    assert not set(style.DARK) & set(style.DARK.values())
    assert len(set(style.DARK.values())) == len(style.DARK)
    drawn = {*style.SERIES, *style.ordered_colours(6), *style.COUNTS, style.INK, style.SOFT, style.FILL}
    assert {colour.lower() for colour in drawn} <= set(style.DARK)


def test_within_two_standard_errors_there_is_no_colour() -> None:
    bins = np.linspace(-5, 5, len(style.DIVERGING) + 1)
    plain = [
        colour for colour, low, high in zip(style.DIVERGING, bins, bins[1:], strict=False) if -2 <= low < high <= 2
    ]
    assert set(plain) == {plain[0]}
    assert style.DIVERGING.count(plain[0]) == len(plain) == 4


def test_the_spike_walks_along_one_axis(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    shown = [picture_of(views.spectrum)(cube, prediction, alpha=a, n=n) for a, n in ((0.0, 250), (0.45, 1000))]
    assert shown[0].xlim == shown[1].xlim
    top = float(cube["singular_value"].max())
    assert shown[0].xlim is not None
    assert shown[0].xlim[1] > top
    wide = cube.assign(singular_value=cube["singular_value"] * xr.where(cube["rank"] == 1, 30.0, 1.0))
    one = picture_of(views.spectrum)(wide, prediction)
    assert one.logx
    assert one.xlim is not None
    assert 0 < one.xlim[0] < 0.2 < 30 * top < one.xlim[1]


def test_where_the_bulk_grows_the_axis_is_logarithmic_and_ends_of_bins_are_told(cube: xr.Dataset) -> None:
    grown = 100.0 ** (cube["alpha"] / cube["alpha"].max())
    wide = cube.assign({name: cube[name] * grown for name in ("singular_value", "detection_edge")})
    first, last = (picture_of(views.spectrum)(wide, alpha=a) for a in (0.0, 0.45))
    assert first.logx
    assert "bins of the histogram end" in last.title
    assert "bins" not in first.title
    for place, high in ((-1, True), (0, False)):  # a tall bin in sight, one below the lower end of the axis
        tall = wide.assign(spectrum=xr.where(cube["bin"] == cube["bin"][place], 1e6, cube["spectrum"]))
        further_out = tall.assign({name: 10 * wide[name] for name in ("singular_value", "detection_edge")})
        ends = picture_of(views.spectrum)(further_out, alpha=0.0).ylim
        assert ends is not None
        assert bool(ends[1] > 1e3) is high


def test_outliers_lie_on_the_diagonal_where_theory_is_right(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    made = picture_of(views.outlier_agreement)(cube, prediction)
    same, *marks = made.layers
    assert same.column(0).tolist() == same.column(1).tolist()
    shown = {layer.label: layer for layer in marks if layer.kind == "points"}
    assert {"measured, s₁", "measured, s₂"} <= set(shown)
    clear = (cube["outlier_count"] >= 1).mean("seed") >= 0.95
    known = prediction["singular_value"].sel(rank=1).notnull()
    assert len(shown["measured, s₁"].column(0)) == int((clear & known).sum())
    means = cube["singular_value"].sel(rank=1).mean("seed").where(clear & known).values
    np.testing.assert_allclose(np.sort(shown["measured, s₁"].column(1)), np.sort(means[np.isfinite(means)]))
    assert made.strip is not None
    nothing = picture_of(views.outlier_agreement)(cube.assign(outlier_count=0 * cube["outlier_count"]), prediction)
    assert "No outlier" in nothing.note or "yet" in nothing.note


def test_lines_between_the_sizes_and_penalties_hold_the_prediction_at_them(make: Callable[..., xr.Dataset]) -> None:
    cube = make(alpha=[0.3], n=[100, 110], lam=[0.1, 1.0], seed=2)
    fine = predicted.smooth_losses(study_of(cube), [0.3])
    assert fine.sizes["n"] > 2
    assert fine.sizes["lam"] > 20
    own = predict(study_of(cube), only=("train_loss", "test_loss_init"))
    for name in ("train_loss", "test_loss_init"):
        np.testing.assert_allclose(fine[name].sel(n=own.n, lam=own.lam), own[name], rtol=1e-9)
    drawn = picture_of(views.loss_against_penalty)(cube, own, fine=fine, kind="train", n=110)
    assert len(next(layer for layer in drawn.layers if layer.kind == "line").column(0)) == fine.sizes["lam"]


def test_a_figure_is_told_in_words(cube: xr.Dataset) -> None:
    prediction = made_prediction(cube)
    text = spoken(picture_of(views.loss)(cube, prediction, lam=0.1, n=500))
    mean = cube["test_loss"].sel(n=500).sel(lam=0.1, method="nearest").mean("seed")
    assert "test loss" in text
    assert f"measured, n = 500: 9 points, from {float(mean[0]):.4g} at 0 to {float(mean[-1]):.4g} at 0.45" in text
    assert spoken(Picture([], note="Nothing is there.")) == "Nothing is there."


def test_words_for_stems_curves_and_strips_are_what_is_drawn() -> None:
    """A stem stands at a place; a curve that comes back to where it began is no constant; a strip has the label."""

    def words(*layers: Layer, **more: Any) -> str:
        return spoken(Picture(layers, title="T", ylabel="y", xlabel="s   value", **more))

    stem = marks.stems([3.5], 2.0, "x", "y", label="edge", colour="#000000")
    assert "edge: at 3.5" in words(stem)
    assert "edge: 2, from 1 to 4" in words(marks.stems([1.0, 4.0], 2.0, "x", "y", label="edge", colour="#000000"))
    assert "c: from 1 at 0 to 1 at 2" in words(line([0, 1, 2], [1, 7, 1], "c"))
    assert "c: 1." in words(line([0, 1, 2], [1, 1, 1], "c"))
    assert "m: 1 point, 2" in words(points([1], [2], "m"))
    below = Picture([], xlabel="n   samples,   more")
    assert "y against n, samples, more." in spoken(Picture([], title="T", ylabel="y", strip=below))
