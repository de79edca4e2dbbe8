"""The views show the cube's numbers, say measured or predicted, and name what they lack."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

import holoviews as hv
import numpy as np
import pytest
import xarray as xr
from bokeh.models import ColumnDataSource

from scripts.madeup import fill, made_prediction
from spikecube.means import comparisons, places
from spikecube.means.seeds import seed_means
from spikecube.pictures import views
from spikecube.pictures.catalogue import CATALOGUE, Scene
from spikecube.pictures.entry import picture_of
from spikecube.pictures.picture import Canvas
from spikecube.pictures.spoken import spoken
from spikecube.study.study import Study

Make = Callable[..., xr.Dataset]
View = Callable[..., hv.Overlay]

ALL: dict[str, View] = {
    "spectrum": views.spectrum,
    "outlier_count": lambda cube, prediction, **at: views.outlier_count(cube, **at),
    "singular_values": views.singular_values,
    "alignments": lambda cube, prediction, **at: views.alignments(cube, **at),
    "train": lambda cube, prediction, **at: views.losses(cube, prediction, kind="train", **at),
    "test": lambda cube, prediction, **at: views.losses(cube, prediction, kind="test", **at),
    "penalty": views.loss_against_penalty,
    "gap_to_limit": views.gaps,
    "limits": views.limits,
    "gap_to_spiked": lambda cube, prediction, **at: views.gaps(cube, gap="spiked", **at),
    "collapse": lambda cube, prediction, **at: views.collapse(cube, **at),
    "agreement": views.agreement,
}


def draw(view: hv.Overlay) -> None:
    """Draws a view, and asks that the figure holds every element: its last column in one source, bars by their ends."""
    figure = hv.renderer("bokeh").get_plot(view).state
    columns = [np.asarray(c) for source in figure.select({"type": ColumnDataSource}) for c in source.data.values()]
    for element in view:
        wanted = element.dimension_values(len(element.dimensions()) - 1)
        if isinstance(element, hv.ErrorBars):
            wanted = element.dimension_values(1) + wanted
        if isinstance(element, hv.Area):  # an outline: one edge there and the other back
            wanted = np.sort(np.append(wanted, element.dimension_values(1)))
            columns = [*columns, *(np.sort(c) for c in columns if c.dtype.kind == "f")]
        assert any(same(column, wanted) for column in columns), f"{element} is not in the figure"


def same(column: np.ndarray, wanted: np.ndarray) -> bool:
    if column.shape != wanted.shape:
        return False
    numbers = column.dtype.kind in "fi" and wanted.dtype.kind in "fi"
    return np.array_equal(column, wanted, equal_nan=numbers)


def test_an_element_that_is_not_drawn_would_be_seen(cube: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    view = views.losses(cube, kind="test", lam=0.1)
    real = hv.renderer("bokeh").get_plot(next(iter(view)))
    monkeypatch.setattr(type(hv.renderer("bokeh")), "get_plot", lambda self, obj: real)
    with pytest.raises(AssertionError, match="is not in the figure"):
        draw(view)


def labelled(view: hv.Overlay, label: str) -> hv.Element:
    found = [e for e in view if e.label == label]
    assert len(found) == 1, [e.label for e in view]
    return found[0]


def is_note(view: hv.Overlay) -> bool:
    return [type(e) for e in view] == [hv.Labels]


def sentence(view: hv.Overlay) -> str:
    assert is_note(view)
    return str(next(iter(view))["text"][0]).replace("\n", " ")


def test_points_are_the_means_and_bars_the_standard_errors(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    view = views.losses(cube, prediction, kind="test", lam=0.1)
    values = cube["test_loss"].sel(n=500).sel(lam=0.1, method="nearest")
    marks = labelled(view, "measured, n = 500")
    np.testing.assert_allclose(marks["alpha"], cube.alpha)
    np.testing.assert_allclose(marks["test_loss"], values.mean("seed"))
    np.testing.assert_allclose(marks["stderr"], values.std("seed", ddof=1) / 2)
    bars = [e for e in view if isinstance(e, hv.ErrorBars)][1]
    np.testing.assert_allclose(bars["above"], marks["stderr"])
    np.testing.assert_allclose(bars["below"], marks["stderr"])


@pytest.fixture(scope="module")
def controlled(make: Make) -> xr.Dataset:
    """A cube whose losses follow the power of the labels, which is known exactly."""
    cube = make(alpha=[0.1, 0.3], n=[250, 500], lam=[0.1, 1.0], seed=24)
    power = 1 + 0.1 * np.random.default_rng(3).standard_normal((2, 24))
    for name in ("label_power", "test_label_power"):
        cube[name] = (("n", "seed"), power)
    for name in ("train_loss", "test_loss", "train_loss_init", "test_loss_init"):
        cube[name] = cube[name] * cube["label_power"]
    return cube


def test_losses_are_means_with_control_variates(controlled: xr.Dataset) -> None:
    for kind in ("train", "test"):
        name = f"{kind}_loss"
        sharp, plain = (seed_means(controlled, name, controls=c).sel(n=250, lam=0.1) for c in (True, False))
        assert float(np.abs(sharp["mean"] / plain["mean"] - 1).min()) > 1e-3
        for wanted, controls in ((sharp, True), (plain, False)):
            view = views.losses(controlled, kind=kind, lam=0.1, controls=controls)
            marks = labelled(view, "measured, n = 250")
            np.testing.assert_allclose(marks[name], wanted["mean"])
            np.testing.assert_allclose(marks["stderr"], wanted["stderr"])
            said = "means with control variates over 24 seeds" if controls else "plain means over 24 seeds"
            assert view.opts.get("plot").kwargs["title"].endswith(f"\n{said}")


def test_losses_against_the_penalty_are_means_with_control_variates(controlled: xr.Dataset) -> None:
    for controls in (True, False):
        view = views.loss_against_penalty(controlled, alpha=0.3, n=500, kind="train", controls=controls)
        for label, name in (("measured, F", "train_loss"), ("measured, F₀", "train_loss_init")):
            means = seed_means(controlled, name, controls=controls)["mean"]
            wanted = places.sliced(means, alpha=0.3, n=500)
            np.testing.assert_allclose(labelled(view, label)["loss"], wanted)


def test_points_with_too_few_seeds_for_controls_have_plain_means(controlled: xr.Dataset) -> None:
    few = controlled.where((controlled.n == 250) | (controlled.seed < 2))
    few = few.assign(train_loss=few["train_loss"].transpose(*controlled["train_loss"].dims))
    data = comparisons.means_at(few, "train_loss", lam=0.1)
    plain = controlled["train_loss"].sel(n=500, lam=0.1, seed=[0, 1]).mean("seed")
    np.testing.assert_allclose(data["mean"].sel(n=500), plain)
    np.testing.assert_allclose(data["mean"].sel(n=250), seed_means(few, "train_loss")["mean"].sel(n=250, lam=0.1))
    assert data["seeds"].sel(alpha=0.1).values.tolist() == [24, 2]


def test_lines_are_the_prediction(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    line = labelled(views.losses(cube, prediction, kind="train", lam=1.0), "predicted, n = 250")
    np.testing.assert_allclose(line["train_loss"], prediction["train_loss"].sel(n=250, lam=1.0))


def test_the_limit_jumps_at_the_thresholds(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    steps = labelled(views.losses(cube, prediction, kind="test"), "predicted limit")
    starts = steps["alpha"][::3]
    np.testing.assert_allclose(starts, [0, 0.25, 1 / 3, 0.375, 0.4444444444])


def test_spikes_are_the_singular_values_beyond_the_edge(cube: xr.Dataset) -> None:
    rug = labelled(views.spectrum(cube, alpha=0.36, n=500), "measured outliers")
    values = cube["singular_value"].sel(alpha=0.36, n=500).values
    np.testing.assert_allclose(np.sort(rug["s"]), np.sort(values[values > 1.65]))
    bars = labelled(views.spectrum(cube, alpha=0.36, n=500), "measured, all")
    expected = cube["spectrum"].sel(alpha=0.36, n=500).mean("seed") / 500 / (cube["bin_upper"] - cube["bin_lower"])
    np.testing.assert_allclose(bars.dimension_values("density"), expected)


def test_the_map_counts_outliers(cube: xr.Dataset) -> None:
    boxes = next(e for e in views.outlier_count(cube) if isinstance(e, hv.Rectangles))
    expected = cube["outlier_count"].mean("seed")
    for alpha, n, count in zip(boxes["at_alpha"], boxes["at_n"], boxes["count"], strict=True):
        assert count == pytest.approx(float(expected.sel(alpha=alpha, n=n)))
    assert len(boxes) == expected.size


def test_the_agreement_map_holds_the_z_scores(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    boxes = next(e for e in views.agreement(cube, prediction, lam=0.1) if isinstance(e, hv.Rectangles))
    values = cube["test_loss"].sel(lam=0.1, method="nearest")
    z = (values.mean("seed") - prediction["test_loss"].sel(lam=0.1)) / (values.std("seed", ddof=1) / 2)
    for alpha, n, value in zip(boxes["at_alpha"], boxes["at_n"], boxes["z"], strict=True):
        assert value == pytest.approx(float(z.sel(alpha=alpha, n=n)))


@pytest.mark.parametrize("name", ["train", "test", "penalty", "limits"])
def test_every_predicted_loss_of_f_lies_in_the_band_of_its_remainder(
    name: str, cube: xr.Dataset, prediction: xr.Dataset
) -> None:
    """One band a predicted line of F, as wide as the remainder; without one there is none."""
    shown = ALL[name](cube, prediction)
    bands = [e for e in shown if isinstance(e, hv.Area)]
    lines = {e.label: e for e in shown if isinstance(e, hv.Curve)}
    assert bands
    for band in bands:
        low, high = band.dimension_values("low"), band.dimension_values("high")
        line = lines[band.label.replace(" ± remainder", "")].dimension_values(1)
        np.testing.assert_allclose((high - low) / 2, 0.015 * line, rtol=1e-9)
        np.testing.assert_allclose((high + low) / 2, line, rtol=1e-9)
    bare = prediction.drop_vars(["train_loss_remainder", "test_loss_remainder"])
    assert not any(isinstance(e, hv.Area) for e in ALL[name](cube, bare))


def test_a_band_ends_where_its_remainder_is_not_known_and_moves_with_the_slider(
    cube: xr.Dataset, prediction: xr.Dataset
) -> None:
    part = prediction["test_loss_remainder"].where(prediction.alpha < 0.3)
    picture = picture_of(views.loss)
    first, second = (
        picture(cube, prediction.assign(test_loss_remainder=part), kind="test", n=500, lam=lam) for lam in (0.1, 1.0)
    )
    place = [layer.kind for layer in first.layers].index("band")
    assert first.layers[place].column(0).max() < 0.3
    canvas = Canvas(first)
    canvas.show(second)
    outline = canvas.sources[place].data["y"]
    np.testing.assert_allclose(np.sort(outline), np.sort(np.append(*(second.layers[place].column(i) for i in (1, 2)))))
    assert "predicted ± remainder, n = 500: off by up to" in spoken(first)


def test_a_finer_line_keeps_its_band(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    """Ten times the sizes: the remainder over the loss is still what the prediction says at its own sizes."""
    sizes = np.geomspace(250, 1000, 31)
    fine = prediction[["test_loss"]].interp(n=sizes)
    layers = picture_of(views.limits)(cube, prediction, fine=fine, kind="test").layers
    (band,), (line,) = ([la for la in layers if la.kind == "band"], [la for la in layers if la.label == "predicted"])
    assert len(band.column(0)) == len(line.column(0)) == 31
    np.testing.assert_allclose(band.column(2) - line.column(1), 0.015 * line.column(1), rtol=1e-9)


def test_agreement_says_which_theory_it_was_held_against(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    """Draws held against their own predictions, of which each is off by as much as its loss is: no z-score is left."""
    mean = cube["test_loss"].mean("seed")
    given = prediction.assign(test_loss=cube["test_loss"] - mean + prediction["test_loss"] + 1e-3 * cube["seed"])
    typical, own = (picture_of(views.agreement)(cube, p) for p in (prediction, given))
    assert typical.title.endswith("against theory for a typical draw")
    assert own.title.endswith("each draw against theory at its own |β|², alignment with β* and |a|²")
    scene = Scene(cube, given)
    assert CATALOGUE["agree_test"].draw(scene, None).title == own.title
    assert "predicted, n = 1000" in [layer.label for layer in CATALOGUE["test"].draw(scene, None).layers]


def test_a_brush_fades_what_is_outside(cube: xr.Dataset) -> None:
    marks = labelled(views.losses(cube, kind="test", n=500, brush=(0.24, 0.34)), "measured, n = 500")
    inside = (cube.alpha >= 0.24) & (cube.alpha <= 0.34)
    assert ((marks["weight"] == 1) == inside.values).all()


@pytest.mark.parametrize("name", ALL)
def test_every_legend_says_measured_or_predicted(name: str, cube: xr.Dataset, prediction: xr.Dataset) -> None:
    labels = [e.label for e in ALL[name](cube, prediction) if e.label]
    assert all(any(w in text for w in ("measured", "predicted", "limit")) for text in labels), labels


SHORT = [{"seed": 1}, {"n": [500]}, {"lam": [0.1]}, {"alpha": [0.3]}]
SHORTEST = {"seed": 1, "n": [500], "lam": [0.1], "alpha": [0.0]}


@pytest.mark.parametrize("changes", [*SHORT, SHORTEST], ids=str)
def test_short_axes_are_drawn_or_explained(changes: dict[str, object], make: Make) -> None:
    cube = make(**changes)
    prediction = made_prediction(cube)
    for name, show in ALL.items():
        view = show(cube, prediction)
        if changes is SHORTEST:
            draw(view)
        if is_note(view):
            assert name == "agreement"
            assert "One seed" in sentence(view)


@pytest.mark.parametrize("name", ALL)
def test_a_cube_without_a_result_yet_says_so(name: str, cube: xr.Dataset, prediction: xr.Dataset) -> None:
    empty = cube.copy()
    for variable in empty.data_vars:
        if empty[variable].dtype.kind == "f" and variable != "detection_edge":
            empty[variable] = empty[variable] * np.nan
    assert "yet" in sentence(ALL[name](empty, prediction))


@pytest.mark.parametrize("name", ALL)
def test_a_half_filled_cube_is_drawn_or_explained(name: str, cube: xr.Dataset, prediction: xr.Dataset) -> None:
    half = cube.where((cube.n == 250) & (cube.seed < 2)).assign(detection_edge=cube["detection_edge"])
    draw(ALL[name](half, prediction))
    if name in ("spectrum", "singular_values", "alignments", "penalty"):
        assert "yet" in sentence(ALL[name](half, prediction))
        assert not is_note(ALL[name](half, prediction, n=250))


def test_missing_variables_are_named(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    assert "no test_loss" in sentence(views.losses(cube.drop_vars("test_loss"), kind="test"))
    assert "needs a prediction" in sentence(views.agreement(cube))
    assert "does not cover" in sentence(views.agreement(cube, prediction.drop_vars("test_loss")))


def test_a_thousand_alphas_are_drawn(make: Make) -> None:
    alphas = np.linspace(0, 0.5, 1000).tolist()
    cube = make(alpha=alphas, n=[100, 200], seed=2, lam=[0.1], spectrum_bins=0)
    view = views.losses(cube, made_prediction(cube), kind="test")
    draw(view)
    assert len(labelled(view, "measured, n = 200")) == 1000


def test_both_losses_stand_side_by_side(cube: xr.Dataset) -> None:
    assert len(views.losses(cube, lam=0.1)) == 2


TWINS = {"train": "test", "penalty_train": "penalty_test", "agree_train": "agree_test", "collapse2": "collapse1"}
"""Entries of one function and the same layers, of another column."""


def test_twins_are_one_function() -> None:
    assert all(CATALOGUE[one].shown is CATALOGUE[other].shown for one, other in TWINS.items())


@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - set(TWINS)))
def test_a_patched_figure_holds_what_a_new_one_would(name: str, cube: xr.Dataset, prediction: xr.Dataset) -> None:
    entry, scene = CATALOGUE[name], Scene(cube, prediction)
    first, second = ({axis: cube[axis].values[place].item() for axis in entry.axes} for place in (1, 2))
    canvas = Canvas(entry.draw(scene, None, **first))
    target = entry.draw(scene, (0.2, 0.34), **second)
    assert target.parts == canvas.parts
    canvas.show(target)
    fresh = Canvas(target)
    for old, new in zip(canvas.sources, fresh.sources, strict=True):
        assert set(new.data) <= set(old.data)
        for column in new.data:
            np.testing.assert_array_equal(np.asarray(old.data[column]), np.asarray(new.data[column]))
    for mine, theirs in ((canvas.figure.x_range, fresh.figure.x_range), (canvas.figure.y_range, fresh.figure.y_range)):
        assert (mine.start, mine.end) == pytest.approx((theirs.start, theirs.end))
    assert canvas.figure.title.text == fresh.figure.title.text


def power_law_fit(cube: xr.Dataset) -> xr.Dataset:
    """What `fit_outliers` and `fit_gaps` hold, for the law 0.2 n^-0.5 at every place."""
    names = ["log_amplitude", "exponent"]
    labels = {"alpha": cube.alpha.values, "lam": cube.lam.values, "param": names, "gap": ["missing_spike"]}
    labels |= {"loss": ["train_loss"], "param_i": names, "param_j": names}
    estimate = xr.DataArray([np.log(0.2), -0.5], dims="param").expand_dims(gap=1, loss=1, alpha=9, lam=7)
    ones = xr.ones_like(estimate)
    fit = xr.Dataset({"estimate": estimate, "stderr": 0.1 * ones, "expected": -0.4 * ones, "gof_pvalue": 0.3 * ones})
    fit["covariance"] = xr.DataArray(np.diag([0.01, 0.0]), dims=("param_i", "param_j"))
    return fit.assign_coords(labels)


def test_the_law_of_a_gap_is_drawn_with_its_band(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    view = views.gaps(cube, prediction, power_law_fit(cube), gap="spiked", kind="train", alpha=0.29, lam=0.1)
    middle = labelled(view, "fitted to measured")
    np.testing.assert_allclose(middle["gap"], 0.2 * middle["n"] ** -0.5)
    low, high = (e for e in view if isinstance(e, hv.Curve) and not e.label)
    np.testing.assert_allclose(low["gap"], middle["gap"] * np.exp(-0.196))
    np.testing.assert_allclose(high["gap"], middle["gap"] * np.exp(0.196))
    title = view.opts.get("plot").kwargs["title"]
    assert "exponent −0.50(10), theory −0.40, lack of fit p = 0.3" in title


def with_points(fit: xr.Dataset, cube: xr.Dataset) -> xr.Dataset:
    """A fit of `power_law_fit` with the means it was made to and their residuals."""
    for name, values in (("data", [-0.3] * 3), ("data_stderr", [0.01] * 3), ("residual", [1.5, -2.5, np.nan])):
        fit[name] = (("gap", "loss", "alpha", "lam", "n"), np.broadcast_to(values, (1, 1, 9, 7, 3)).copy())
    return fit.assign_coords(n=cube["n"])


def assert_strip(strip: hv.Overlay) -> None:
    """The residuals 1.5 and -2.5 of the two smallest sizes, and lines at 0 and +-2."""
    points = next(e for e in strip if isinstance(e, hv.Scatter))
    assert points["n"].tolist() == [250, 500]
    assert points["residual"].tolist() == [1.5, -2.5]
    assert sorted(float(e["residual"][0]) for e in strip if isinstance(e, hv.Curve)) == [-2, 0, 2]


def test_the_residuals_of_a_fitted_gap_stand_below_it(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    fit = with_points(power_law_fit(cube), cube)
    main, strip = views.gaps(cube, prediction, fit, gap="spiked", kind="train", alpha=0.29, lam=0.1)
    assert labelled(main, "fitted to measured")
    assert_strip(strip)
    strength = fit.assign_coords(gap=["finite_strength"])
    main, strip = views.gaps(cube, prediction, strength, gap="strength", kind="train", alpha=0.29, lam=0.1)
    np.testing.assert_allclose(labelled(main, "measured, as fitted, negative")["gap"], 0.3)
    assert_strip(strip)
    for gap in ("limit", "strength"):  # no law is fitted to it here: no strip
        assert isinstance(views.gaps(cube, prediction, fit, gap=gap, kind="train"), hv.Overlay)


def test_a_strip_is_patched_with_its_figure(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    fit = with_points(power_law_fit(cube), cube)
    fit["residual"] = fit["residual"] * xr.DataArray(np.arange(9.0), dims="alpha")
    drawn = picture_of(views.gaps)
    made = [drawn(cube, prediction, fit, gap="spiked", kind="train", alpha=alpha) for alpha in (0.1, 0.29)]
    canvas = Canvas(made[0])
    assert made[0].parts == made[1].parts
    canvas.show(made[1])
    assert canvas.strip is not None
    assert canvas.strip.figure.x_range is canvas.figure.x_range
    np.testing.assert_allclose(canvas.strip.sources[-1].data["residual"], [6.0, -10.0])
    assert canvas.strip.figure.y_range.end == pytest.approx(12)


def test_the_two_fitted_gaps_add_up_to_the_gap_to_the_limit(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    where = {"kind": "test", "alpha": 0.29, "lam": 0.1}
    spiked = comparisons.gap_to_spiked(cube, **where)
    strength = comparisons.gap_to_limit(cube, prediction, spiked=True, **where)
    whole = comparisons.gap_to_limit(cube, prediction, **where)
    np.testing.assert_allclose(spiked["mean"] + strength["mean"], whole["mean"])
    view = views.gaps(cube, prediction, gap="strength", alpha=0.29, lam=0.1)
    points = np.concatenate([labelled(view, f"measured, {sign}")["gap"] for sign in ("positive", "negative")])
    np.testing.assert_allclose(np.sort(points), np.sort(np.abs(strength["mean"])))


def test_the_points_of_a_fitted_gap_are_those_of_the_fit(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    fit = with_points(power_law_fit(cube), cube)
    view, _ = views.gaps(cube, prediction, fit, gap="spiked", kind="train", alpha=0.29, lam=0.1)
    assert len(labelled(view, "measured, as fitted, positive")) == 0
    marks = labelled(view, "measured, as fitted, negative")
    np.testing.assert_allclose(marks["gap"], 0.3)
    np.testing.assert_allclose(marks["residual"], [1.5, -2.5, np.nan])


def test_exponents_stand_beside_their_limits() -> None:
    alpha, k = np.array([0.3, 0.4]), np.array([1, 2])
    limit = 0.5 - k[:, None] * (0.5 - alpha)
    fit = xr.Dataset(
        {"estimate": (("degree", "alpha", "param"), limit[..., None] + 0.01), "stderr": 0.02},
        coords={"degree": k, "alpha": alpha, "param": ["exponent"]},
    )
    fit["stderr"] = 0.02 * xr.ones_like(fit["estimate"])
    view = views.exponents(fit)
    np.testing.assert_allclose(labelled(view, "predicted, spike 2")["exponent"], limit[1])
    np.testing.assert_allclose(labelled(view, "measured, spike 2")["exponent"], limit[1] + 0.01)
    assert sentence(views.exponents(xr.Dataset(attrs={"sentence": "There are 2 sizes."}))) == "There are 2 sizes."
    assert sentence(views.exponents(fit.assign(estimate=np.nan * fit["estimate"]))).startswith("No exponent")


def test_a_fitted_limit_stands_beside_the_predicted_one(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    values = {"estimate": 0.8, "ci_low": 0.7, "ci_high": np.inf}
    dims = {"loss": ["test_loss"], "alpha": cube.alpha.values, "lam": cube.lam.values, "param": ["limit"]}
    fit = xr.Dataset({name: (tuple(dims), np.full((1, 9, 7, 1), v)) for name, v in values.items()}, coords=dims)
    view = views.limits(cube, prediction, fit, alpha=0.29, lam=0.1)
    assert labelled(view, "limit fitted to measured")["test_loss"][0] == 0.8
    low, high = (e for e in view if isinstance(e, hv.Curve) and not e.label)
    assert low["test_loss"][0] == 0.7
    assert np.isnan(high["test_loss"]).all()
    limit = prediction["test_loss_limit"].sel(alpha=0.29).sel(lam=0.1)
    assert labelled(view, "predicted limit")["test_loss"][0] == pytest.approx(float(limit))
    measured = cube["test_loss"].sel(alpha=0.29, lam=0.1, method="nearest").mean("seed")
    np.testing.assert_allclose(labelled(view, "measured")["test_loss"], measured)


def test_the_residuals_of_a_fitted_limit_stand_below_it(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    values = {"estimate": 0.8, "stderr": 0.05, "ci_low": 0.7, "ci_high": 0.9, "expected": 0.75, "gof_pvalue": 0.03}
    dims = {"loss": ["test_loss"], "alpha": cube.alpha.values, "lam": cube.lam.values, "param": ["limit"]}
    fit = xr.Dataset({name: (tuple(dims), np.full((1, 9, 7, 1), v)) for name, v in values.items()}, coords=dims)
    for name, at_sizes in (("data", [1.0, 0.9, 0.8]), ("data_stderr", [0.01] * 3), ("residual", [1.5, -2.5, np.nan])):
        fit[name] = (("loss", "alpha", "lam", "n"), np.broadcast_to(at_sizes, (1, 9, 7, 3)).copy())
    main, strip = views.limits(cube, prediction, fit.assign_coords(n=cube["n"]), alpha=0.29, lam=0.1)
    np.testing.assert_allclose(labelled(main, "measured, as fitted")["test_loss"], [1.0, 0.9, 0.8])
    assert_strip(strip)
    assert "fitted limit 0.800(50), theory 0.75, lack of fit p = 0.03" in main.opts.get("plot").kwargs["title"]


def test_a_further_axis_can_be_the_colour_or_the_axis_of_means() -> None:
    """Every label has its own series, named whole; as the axis all its labels are drawn."""
    axes = {"alpha": [0.1, 0.4], "n": [50, 100], "seed": 8, "lam": [0.1], "noise": [0.2, 0.5]}
    study = Study(axes=axes | {"readout": ["gaussian", "constant"]})
    cube = fill(study)
    data = cube["gradient_error"].mean("seed")
    drawn = picture_of(views.means)(cube, variable="gradient_error", x="n", colour="readout")
    series = {layer.label: layer.columns["gradient_error"] for layer in drawn.layers if layer.kind == "points"}
    assert list(series) == ["measured, readout = gaussian", "measured, readout = constant"]
    for name in ("gaussian", "constant"):
        assert any(
            np.allclose(series[f"measured, readout = {name}"], data.sel(readout=name, noise=v)) for v in (0.2, 0.5)
        )
    drawn = picture_of(views.means)(cube, variable="gradient_error", x="noise", colour="n")
    assert [layer.columns["noise"].tolist() for layer in drawn.layers if layer.kind == "points"] == [[0.2, 0.5]] * 2


def test_measured_points_stay_where_there_is_no_fit(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    """A fit of other places leaves the points that are measured at this one, and the parts of the figure."""
    fit = with_points(power_law_fit(cube), cube)
    none = fit.copy()
    for name in ("data", "data_stderr", "residual", "estimate"):
        none[name] = fit[name].where(fit["alpha"] != 0.29)
    at = {"gap": "spiked", "kind": "train", "alpha": 0.29, "lam": 0.1}
    drawn = picture_of(views.gaps)(cube, prediction, none, **at)
    assert "no fit" in drawn.title
    points = [layer for layer in drawn.layers if layer.measured and layer.kind == "points"]
    gap = comparisons.gap_to_spiked(cube, **{key: label for key, label in at.items() if key != "gap"})
    np.testing.assert_allclose(
        sorted(np.concatenate([layer.columns["gap"] for layer in points])), np.sort(np.abs(gap["mean"]))
    )
    assert drawn.parts == picture_of(views.gaps)(cube, prediction, fit, **at).parts


def test_the_views_and_the_explorer_are_there_by_their_short_names(
    cube: xr.Dataset, prediction: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process is started for a page that nobody looks at."""
    import spikecube as sc

    monkeypatch.setattr("spikecube.pictures.app.Elsewhere", lambda: lambda *_asked: threading.Event().wait())
    assert sc.views is views
    assert type(sc.explore(cube, prediction)).__name__ == "Column"
    assert sc.report.__name__ == "report"


# Labels and keywords


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"n": 300}, "n = 300 is not there; n has 250, 500, 1000"),
        ({"lam": 0.5}, "lam = 0.5 is not there; lam has 0.01, 0.03162, 0.1, 0.3162, 1, 3.162, 10"),
        ({"lam": "0.1"}, "lam = '0.1' is not there"),
        ({"lam": 0.1001}, "lam = 0.1001 is not there"),
        ({"lambda_": 0.1}, "loss has no keyword lambda_; it has kind, lam, n, controls"),
        ({"alpha": 0.2}, "loss has no keyword alpha"),
    ],
    ids=str,
)
def test_a_label_or_keyword_that_is_not_there_is_refused(
    keywords: dict[str, object], told: str, cube: xr.Dataset
) -> None:
    with pytest.raises(places.LabelError) as refusal:
        views.losses(cube, kind="test", **keywords)  # type: ignore[arg-type]
    assert told in str(refusal.value)


@pytest.mark.parametrize("lam", [0.316227766017, 10**-0.5, 0.3162])
def test_a_label_may_be_rounded_or_as_it_is_printed(lam: float, cube: xr.Dataset) -> None:
    marks = labelled(views.losses(cube, kind="test", lam=lam, n=500), "measured, n = 500")
    np.testing.assert_allclose(marks["test_loss"], cube["test_loss"].isel(lam=3).sel(n=500).mean("seed"))


@pytest.mark.parametrize("name", ALL)
def test_every_view_refuses_what_it_does_not_know(name: str, cube: xr.Dataset, prediction: xr.Dataset) -> None:
    with pytest.raises(places.LabelError, match="has no keyword nothing; it has"):
        ALL[name](cube, prediction, nothing=1)


@pytest.mark.parametrize(
    "cut",
    [
        lambda c: c.sel(n=slice(500, None)),
        lambda c: c.isel(n=slice(None, None, -1)),
        lambda c: c.isel(alpha=slice(2, 5), lam=[0, 3]),
    ],
    ids=["large n", "descending n", "alpha and lam"],
)
@pytest.mark.parametrize("name", ALL)
def test_a_prediction_meets_a_cut_cube_by_label(
    name: str, cut: Callable[[xr.Dataset], xr.Dataset], cube: xr.Dataset, prediction: xr.Dataset
) -> None:
    """The prediction of the whole study beside a cut cube draws what the prediction cut the same way would."""
    part = cut(cube)
    whole = prediction.assign_coords({c: cube[c] for c in ("dim", "width")})
    own = prediction.sel(n=part.n, lam=part.lam, alpha=part.alpha)
    for one, other in zip(ALL[name](part, whole), ALL[name](part, own), strict=True):
        for dim in one.dimensions():
            np.testing.assert_array_equal(one.dimension_values(dim), other.dimension_values(dim))


def test_importing_the_views_loads_no_backend() -> None:
    script = "import holoviews as hv, spikecube.pictures.report; print(hv.Store.loaded_backends())"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "[]"


def test_the_module_of_views_lists_its_views_only() -> None:
    assert dir(views) == sorted(views.__all__)
    assert all(callable(getattr(views, name)) for name in dir(views))


@pytest.mark.parametrize(("x", "colour"), [("n", ""), ("lam", ""), ("lam", "n"), ("alpha", "")])
def test_a_predicted_line_stands_at_the_default_of_every_axis_that_is_not_chosen(
    x: str, colour: str, cube: xr.Dataset, prediction: xr.Dataset
) -> None:
    made = picture_of(views.means)(cube, prediction, x=x, colour=colour)
    lines = [layer for layer in made.layers if layer.kind == "line"]
    place = {"alpha": -1, "n": -1, "lam": prediction.sizes["lam"] // 2}
    along = prediction["test_loss"].isel({d: i for d, i in place.items() if d not in (x, colour)})
    assert lines
    for layer, label in zip(lines, along[colour].values if colour else [None], strict=True):
        np.testing.assert_array_equal(layer.column(1), along.sel({colour: label}) if colour else along)
