"""The explorer: it answers its sliders, to this machine only, and ends when asked."""

from __future__ import annotations

import io
import os
import pickle
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import panel as pn
import pytest
import xarray as xr
from bokeh.models import ColumnDataSource, Plot
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.ioloop import IOLoop
from tornado.websocket import websocket_connect

import spikecube as sc
from scripts.browser import Page
from scripts.madeup import made_prediction
from spikecube.cube.assemble import CellResult
from spikecube.cube.cell import compute_cell
from spikecube.cube.store import write_cube
from spikecube.live import awaited, live_source
from spikecube.means.places import LabelError
from spikecube.pictures import app_screen, serve, visitor
from spikecube.pictures.app import Explorer
from spikecube.pictures.background import Bulks
from spikecube.pictures.catalogue import CATALOGUE
from spikecube.pictures.elsewhere import ComputationEnded, in_process, remembered
from spikecube.pictures.exports import csv_of, netcdf_of, python_of, seen_table, stem
from spikecube.pictures.picture import Canvas, Picture
from spikecube.pictures.sources import Ahead, Fixed
from spikecube.runs.folder import RunFolder
from spikecube.study.study import Cell, Study, StudyError
from tests.pictures.browser import browser
from tests.test_end_to_end import spikecube

SHOTS = os.environ.get("SPIKECUBE_SCREENSHOTS")
PATIENCE = 60


@pytest.fixture(scope="module")
def one_explorer(cube: xr.Dataset, prediction: xr.Dataset) -> Explorer:
    return Explorer(Fixed(cube), prediction, answer=never)


def never(*_asked: object) -> None:
    """A computation without an end: what it would bring is not what a test is about."""
    threading.Event().wait()


class Undrawn:
    """Stands for a canvas where a test asks what is shown: HoloViews checks all options, and Bokeh draws nothing.

    Figures of every view are drawn in test_views; those of the explorer by the tests with `drawn` and in the browser.
    """

    def __init__(self, picture: Picture) -> None:
        self.show(picture)
        self.figure = self.root = Plot()
        self.figures = [self.figure]

    def show(self, picture: Picture) -> None:
        self.parts = picture.parts
        picture.view()

    def let_select(self, _selected: object) -> None:
        """There is nothing to select in."""


@pytest.fixture
def drawn(cube: xr.Dataset, prediction: xr.Dataset) -> Explorer:
    """An explorer with its figures, for one test alone."""
    return Explorer(Fixed(cube), prediction, answer=never)


@pytest.fixture(autouse=True)
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(app_screen, "Canvas", Undrawn)


@pytest.fixture
def explorer(one_explorer: Explorer) -> Iterator[Explorer]:
    """An explorer as it opens: what a test chooses and marks is undone."""
    opened = {name: widget.value for name, widget in one_explorer.named_widgets().items()}
    yield one_explorer
    one_explorer.set_brush(None)
    for name, widget in one_explorer.named_widgets().items():
        widget.value = opened[name]


def pressed(button: Callable[[], None], explorer: Explorer) -> None:
    """Presses a button and waits until what it computes is shown."""
    over = threading.Event()
    explorer.busy.param.watch(lambda event: over.set() if not event.new else None, "value")
    button()
    assert over.wait(PATIENCE)


def title(explorer: Explorer, slot: int) -> str:
    return explorer.screens[slot].shown.title


def test_a_slider_redraws_the_views_along_its_axis_only(explorer: Explorer) -> None:
    before = title(explorer, 0), title(explorer, 1)
    explorer.sliders["alpha"].value = 0.2
    assert "α = 0.2" in title(explorer, 0)
    assert title(explorer, 1) == before[1]
    explorer.sliders["lam"].value = 10.0
    assert "λ = 10" in title(explorer, 1)


def test_a_choice_draws_its_own_screen_alone(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, draw = [], Explorer._draw_one

    def counted(self: Explorer, screen: app_screen.Screen) -> None:
        drawn.append(self.screens.index(screen))
        draw(self, screen)

    monkeypatch.setattr(Explorer, "_draw_one", counted)
    explorer.choices[1].value = "train"
    explorer.choices[0].value = "means"
    explorer.free.colour.value = "alpha"
    assert drawn == [1, 0, 0]


def test_sliders_have_one_step_a_label(explorer: Explorer, cube: xr.Dataset) -> None:
    assert list(explorer.sliders["lam"].options.values()) == cube.lam.values.tolist()
    assert "seed" not in explorer.sliders


def test_a_brush_marks_the_same_points_in_both_views(explorer: Explorer, cube: xr.Dataset) -> None:
    explorer.choices[0].value = "singular"
    explorer.set_brush((0.24, 0.34))
    for screen in explorer.screens:
        for layer in screen.shown.layers:
            if layer.kind == "points":
                inside = (layer.columns["alpha"] >= 0.24) & (layer.columns["alpha"] <= 0.34)
                np.testing.assert_array_equal(layer.columns["weight"] == 1, inside)
    explorer.set_brush(None)
    assert all(
        (la.columns["weight"] == 1).all() for s in explorer.screens for la in s.shown.layers if la.kind == "points"
    )


def test_the_data_of_a_view_are_its_points(explorer: Explorer, cube: xr.Dataset) -> None:
    table = pd.read_csv(csv_of(explorer.data(1)))
    measured = table[table.series == "measured, n = 500"]
    expected = cube["test_loss"].sel(n=500, lam=explorer.place["lam"]).mean("seed")
    np.testing.assert_allclose(measured["test_loss"], expected)
    data = xr.load_dataset(io.BytesIO(netcdf_of(explorer.data(1), explorer.scene).getvalue()), engine="scipy")
    np.testing.assert_allclose(data["test_loss"], table["test_loss"])
    assert data.attrs["study"] == cube.attrs["study"]
    assert data["series"].values[-1].decode() == table.series.iloc[-1]


def here(function: Callable[..., object], *arguments: object) -> object:
    """Computes in this process."""
    return function(*arguments)


def test_a_prediction_comes_at_the_start_with_a_busy_sign(cube: xr.Dataset) -> None:
    seen = []

    def compute(_function: object, study: str) -> xr.Dataset:
        seen.append((explorer.busy.value, explorer.message.object))
        assert study == cube.attrs["study"]
        return made_prediction(cube)

    explorer = Explorer(Fixed(cube), compute=compute, answer=never)
    assert not any("predicted" in layer.label for layer in explorer.screens[1].shown.layers)
    pressed(explorer.begin, explorer)
    assert seen == [(True, "Computing the prediction ...")]
    assert not explorer.busy.value
    assert any("predicted" in layer.label for layer in explorer.screens[1].shown.layers)


def test_what_fails_is_said(cube: xr.Dataset) -> None:
    def fitter(_cube: xr.Dataset) -> Mapping[str, xr.Dataset]:
        raise ValueError("there are 2 sizes; 3 are needed")

    explorer = Explorer(Fixed(cube), fitter=fitter, compute=here, answer=never)
    pressed(explorer.fit, explorer)
    assert explorer.message.object == "Fitting failed: there are 2 sizes; 3 are needed"
    assert not explorer.busy.value


def test_what_is_under_way_is_not_begun_again(cube: xr.Dataset) -> None:
    release, begun = threading.Event(), []

    def fitter(_cube: xr.Dataset) -> Mapping[str, xr.Dataset]:
        begun.append(1)
        assert release.wait(PATIENCE)
        return {}

    explorer = Explorer(Fixed(cube), fitter=fitter, compute=here, answer=never)

    def twice() -> None:
        explorer.fit()
        explorer.fit()
        release.set()

    pressed(twice, explorer)
    assert begun == [1]


def test_another_process_answers_raises_and_may_end() -> None:
    assert in_process(os.path.basename, "a/b") == "b"
    with pytest.raises(StudyError, match="not valid TOML"):
        in_process(Study.from_toml, "x = ")
    with pytest.raises(ComputationEnded, match="ended before it had an answer"):
        in_process(signal.raise_signal, signal.SIGKILL)


def test_visitors_share_what_theory_says_of_a_study() -> None:
    called = []
    compute = remembered(lambda function, argument: called.append(argument) or function(argument))
    assert [compute(str.upper, "a"), compute(str.upper, "a"), compute(str.lower, "A")] == ["A", "A", "a"]
    assert compute(len, [1]) == compute(len, [1]) == 1
    assert called == ["a", "A", [1], [1]]


class Growing:
    """A run that finishes a size each time it is asked."""

    live = True
    name = "growing.nc"

    def __init__(self, cube: xr.Dataset) -> None:
        self.full, self.sizes = cube, 1

    def cube(self) -> xr.Dataset:
        return self.full.where(self.full.n.isin(self.full.n[: self.sizes])).assign(
            detection_edge=self.full["detection_edge"]
        )

    def version(self) -> object:
        return self.sizes


def test_a_running_study_is_shown_as_it_grows(cube: xr.Dataset) -> None:
    source = Growing(cube)
    explorer = Explorer(source, answer=never)
    explorer.choices[0].value = "outliers"

    def cells() -> int:
        return len(explorer.screens[0].shown.layers[0].column(0))

    assert cells() == 9
    assert "<b>9 of 27 cells</b>" in explorer.state.object or "cells</b>" in explorer.state.object
    explorer.refresh()
    assert cells() == 9
    source.sizes = 3
    explorer.refresh()
    assert cells() == 27


def test_the_address_brings_a_selection_back(explorer: Explorer) -> None:
    explorer.sliders["alpha"].value = 0.1
    explorer.choices[1].value = "train"
    assert explorer.query() == "?alpha=0.1&n=1000&lam=0.316227766017&left=spectrum&right=train"


# What is chosen, and what is taken away


def free(explorer: Explorer, **chosen: object) -> None:
    """Chooses for the view of any variable, which the left screen shows."""
    explorer.choices[0].value = "means"
    for name, value in chosen.items():
        switches = explorer.screens[0].logs
        (explorer.free.widgets | switches)[name].value = value


def labels(explorer: Explorer) -> list[str]:
    return [layer.label for layer in explorer.screens[0].shown.layers if layer.kind == "points"]


def test_any_variable_is_drawn_against_any_axis(explorer: Explorer, cube: xr.Dataset) -> None:
    free(explorer, variable="train_loss", x="lam", colour="alpha", logx=True)
    shown = explorer.screens[0].shown
    assert (shown.logx, shown.logy) == (True, False)
    assert len(labels(explorer)) == 6
    assert labels(explorer)[-1] == "measured, α = 0.45"
    points = [layer for layer in shown.layers if layer.kind == "points"][-1]
    expected = cube["train_loss"].sel(alpha=0.45, n=explorer.place["n"]).mean("seed")
    np.testing.assert_allclose(points.columns["train_loss"], expected)
    free(explorer, colour="")
    assert labels(explorer) == ["measured"]
    assert "n = 1000" in title(explorer, 0)


def test_the_axes_offered_are_those_of_the_variable(explorer: Explorer) -> None:
    free(explorer, variable="singular_value")
    assert set(explorer.free.x.options.values()) == {"alpha", "n", "rank"}
    free(explorer, variable="beta_power") if "beta_power" in explorer.free.variable.options else None
    assert explorer.free.x.value in explorer.free.x.options.values()
    free(explorer, variable="test_loss", x="alpha", colour="alpha")
    assert explorer.screens[0].shown.note == "alpha cannot be both on the axis and the colour."


def test_a_second_cube_is_drawn_hollow_at_its_own_labels(cube: xr.Dataset, make: Callable[..., xr.Dataset]) -> None:
    other = make(n=[300], lam=[0.2], seed=2)
    explorer = Explorer(Fixed(cube), other=other, answer=never)
    free(explorer, variable="test_loss", colour="n")
    assert labels(explorer)[-1] == "second cube, n = 300, λ = 0.2"
    hollow = [layer for layer in explorer.screens[0].shown.layers if layer.kind == "points"][-1]
    assert hollow.style["color"] == "white"
    np.testing.assert_allclose(hollow.columns["test_loss"], other["test_loss"].mean("seed").squeeze())
    lacking = Explorer(Fixed(cube), other=other.drop_vars("test_loss"), answer=never)
    free(lacking, variable="test_loss")
    assert not any("second" in label for label in labels(lacking))


def test_the_python_of_a_view_draws_it(explorer: Explorer, cube: xr.Dataset, prediction: xr.Dataset) -> None:
    free(explorer, variable="test_loss", x="n", colour="lam", logy=True)
    for screen, function in zip(explorer.screens, ("means", "loss"), strict=True):
        code = screen.python.value
        assert code.startswith(
            "import spikecube as sc\n\ncube = ...  # the cube that is explored\ntheory = sc.predict("
        )
        last = code.splitlines()[-1]
        assert last.startswith(f"sc.views.{function}(cube, prediction=theory, ")
        drawn = eval(last, {"sc": sc, "cube": cube, "theory": prediction})
        measured = [layer for layer in screen.shown.layers if layer.kind == "points"]
        points = [e for e in drawn.values() if type(e).__name__ == "Scatter"]
        assert [e.label for e in points] == [layer.label for layer in measured]
        np.testing.assert_array_equal(points[0].dimension_values(1), measured[0].column(1))
    assert 'sc.open_cube("a.nc")'.replace('"', "'") in python_of(CATALOGUE["test"], explorer.scene, "a.nc", {})


def test_every_place_is_saved_under_its_own_name(explorer: Explorer) -> None:
    names = set()
    for view in ("spectrum", "test"):
        explorer.choices[0].value = view
        for alpha in (0.1, 0.2):
            explorer.sliders["alpha"].value = alpha
            names |= {screen.stem for screen in explorer.screens}
    assert len(names) == 3
    assert all(re.fullmatch(r"[\w.\-]+", name) for name in names)
    assert stem(xr.Dataset(), "../x", {}) == "spikecube_..-x"


def test_the_table_holds_what_is_measured(explorer: Explorer) -> None:
    assert "<td>" not in explorer.screens[1].table.object
    explorer.screens[1].with_table.value = True
    assert explorer.screens[1].table.object.count("<tr>") == 1 + 27
    explorer.choices[1].value = "agree_test"
    assert "left_alpha" not in explorer.screens[1].table.object
    assert seen_table(Picture([])) == "<p>Nothing is measured here.</p>"


def test_every_view_of_points_takes_a_second_cube_and_logarithmic_axes(
    cube: xr.Dataset, prediction: xr.Dataset, make: Callable[..., xr.Dataset]
) -> None:
    """Its own marks, hollow and named; the axes hold both. Not over a map, nor over fits.

    The switches that make sense can be pressed: no map, no histogram along its heights, no axis that holds a zero.
    """
    explorer = Explorer(Fixed(cube), prediction, other=make(n=[300], lam=[0.2], seed=2), answer=never)
    screen = explorer.screens[0]
    drawn, offered = {}, {}
    for name, entry in CATALOGUE.items():
        explorer.choices[0].value = name
        offered[name] = [not switch.disabled for switch in screen.logs.values()]
        assert [switch.value for switch in screen.logs.values()] == [screen.shown.logx, screen.shown.logy], name
        drawn[name] = [la for la in screen.shown.layers if "second cube" in la.label]
        told = bool(drawn[name]) or "second cube" in screen.shown.title
        assert told == entry.overlays or screen.shown.note, name
    assert all(drawn[name] for name in ("spectrum", "test", "train", "penalty_test", "singular", "alignment", "means"))
    assert drawn["penalty_test"][0].label == "second cube, F, n = 300"
    assert {layer.kind for layer in drawn["spectrum"]} == {"line", "spikes"}
    assert offered["spectrum"] == [True, False]
    assert offered["outliers"] == offered["agree_test"] == offered["exponents"] == [False, False]
    assert offered["singular"] == offered["test"] == offered["alignment"] == [False, True]
    assert offered["penalty_test"] == offered["gap_limit"] == offered["limit_test"] == [True, True]
    explorer.choices[0].value = "test"
    assert "other=other" in screen.python.value
    with pytest.raises(LabelError, match="other is not for maps"):
        sc.views.outlier_count(cube, other=cube)
    with pytest.raises(LabelError, match="logx is not for maps"):
        sc.views.outlier_count(cube, logx=True)


def test_a_logarithmic_axis_stays_until_another_view_is_chosen(explorer: Explorer) -> None:
    screen = explorer.screens[0]
    explorer.choices[0].value = "test"
    screen.logs["logy"].value = True
    assert screen.shown.logy
    assert "logy=True" in screen.python.value.splitlines()[-1]
    explorer.sliders["lam"].value = 10.0
    assert screen.shown.logy
    explorer.choices[0].value = "train"
    assert not screen.shown.logy
    assert not screen.logs["logy"].value


def test_a_second_cube_on_a_linear_axis_is_drawn_over_a_logarithmic_one(
    make: Callable[..., xr.Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outliers of the first lie so far out that its spectrum has a log axis; those of the second do not."""
    monkeypatch.setattr(app_screen, "Canvas", Canvas)
    near, far = make(n=[100], seed=2), make(n=[100], seed=2)
    far["singular_value"] = far["singular_value"] * xr.where(far["rank"] == 1, 50.0, 1.0)
    for first, second in ((far, near), (near, far)):
        explorer = Explorer(Fixed(first), other=second, answer=never)
        shown = explorer.screens[0].shown
        assert shown.logx == (first is far)
        assert all(np.isfinite(shown.limits()[0]))
        assert shown.limits()[0][0] > 0 or not shown.logx
        assert any("second cube" in layer.label for layer in shown.layers)


def test_a_density_is_awaited_without_the_page(cube: xr.Dataset) -> None:
    """Empty until it comes; of the places that a slider passes meanwhile only the last is asked for."""
    asked: list[float] = []
    release, came = threading.Semaphore(0), threading.Semaphore(0)

    def answer(_function: object, _study: str, _labels: object, alpha: float, _n: int) -> xr.DataArray:
        asked.append(alpha)
        assert release.acquire(timeout=PATIENCE)
        return xr.DataArray([1.0], dims="x", coords={"x": [1.0]})

    bulks = Bulks(answer, came.release, lambda _trouble: None)
    for alpha in (0.1, 0.2, 0.25):
        assert not bulks(cube, alpha=alpha).size
    release.release()
    assert came.acquire(timeout=PATIENCE)
    assert bulks(cube, alpha=0.1).size == 1
    assert not bulks(cube, alpha=0.25).size
    release.release()
    assert came.acquire(timeout=PATIENCE)
    assert asked == [0.1, 0.25]


def test_colours_of_the_night_come_and_go(drawn: Explorer) -> None:
    """All of them, in what is drawn later too; by day everything is as before."""

    def colours() -> set[str]:
        roots = [screen.pane.object for screen in drawn.screens]
        found = [getattr(m, p) for root in roots for m in root.references() for p in m.properties() if "color" in p]
        return {str(getattr(colour, "value", colour)).lower() for colour in found}

    day = colours()
    drawn.darken(True)
    assert not colours() & (set(visitor.BY_NIGHT) - set(visitor.BY_DAY))
    drawn.choices[0].value = "outliers"
    assert not colours() & (set(visitor.BY_NIGHT) - set(visitor.BY_DAY))
    drawn.choices[0].value = "spectrum"
    drawn.darken(False)
    assert colours() == day


PAIRS = (("spectrum", "singular", "n"), ("agree_test", "test", "lam"), ("spectrum", "gap_spiked", "alpha"))


@pytest.mark.parametrize(("left", "right", "axis"), PAIRS)
def test_a_moved_slider_replaces_columns_and_draws_nothing_anew(
    left: str, right: str, axis: str, drawn: Explorer
) -> None:
    drawn.choices[0].value, drawn.choices[1].value = left, right
    figures = [screen.pane.object for screen in drawn.screens]
    columns = [[dict(source.data) for source in figure.select({"type": ColumnDataSource})] for figure in figures]
    first, second = list(drawn.sliders[axis].options.values())[:2]
    drawn.sliders[axis].value = first if drawn.sliders[axis].value != first else second
    assert [screen.pane.object for screen in drawn.screens] == figures
    for figure, old in zip(figures, columns, strict=True):
        new = [dict(source.data) for source in figure.select({"type": ColumnDataSource})]
        assert len(new) == len(old)
        assert any(
            not np.array_equal(np.asarray(a[name]), np.asarray(b[name]))
            for a, b in zip(old, new, strict=True)
            for name in a
        )


# The server


class Served:
    """`spikecube explore` as a process of its own, or another command that serves and says so the same way."""

    def __init__(
        self, file: Path, command: Sequence[str] = ("-m", "spikecube", "explore", "--no-browser", "--no-predict")
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *command, str(file)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.log = ""
        self.port = int(self.wait_for(r"at http://localhost:(\d+)/")[1])
        self.address = f"http://localhost:{self.port}/"

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Reads standard error until a pattern comes."""
        assert self.process.stderr is not None
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            if select.select([self.process.stderr], [], [], 0.2)[0]:
                self.log += self.process.stderr.readline()
            if found := re.search(pattern, self.log):
                return found
        raise AssertionError(f"not said: {pattern}; said: {self.log}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends the server and gives its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _out, err = self.process.communicate(timeout=PATIENCE)
        self.log += err
        return self.process.returncode


@pytest.fixture(scope="module")
def served(cube: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    file = tmp_path_factory.mktemp("app") / "madeup.nc"
    write_cube(cube, file)
    server = Served(file)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Page]:
    """One browser for all pages: it takes longer to start than they do."""
    with browser(offline=False) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def opened(served: Served, chromium: Page) -> Page:
    chromium.open(served.address + "?alpha=0.2&lam=0.1", 1440, 900)
    chromium.wait("ink().length >= 2")
    return chromium


TITLE = """[...Bokeh.documents[0]._all_models.values()]
  .filter((model) => model.type === "Title").map((model) => model.text).join("|")"""


def test_the_page_is_served_and_follows_its_address(opened: Page, served: Served) -> None:
    shown = opened.run(TITLE)
    assert "α = 0.2, n = 1000" in shown
    assert "λ = 0.1" in shown
    hosts = {re.split(r"[/?]", url.split("://", 1)[1])[0] for url in opened.requests}
    assert hosts == {f"localhost:{served.port}"}
    assert opened.errors == []


def test_the_page_is_dark_where_the_screen_is(opened: Page) -> None:
    """Paper, words and figures, at once when the screen changes; by day as before."""
    look = """(() => {
      const side = everywhere(document, "div").find((e) => e.classList.contains("side"));
      const button = everywhere(document, "button").find((e) => e.textContent.trim() === "Table");
      const light = (colour) => colour.match(/[0-9]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) > 384;
      const arrow = getComputedStyle(everywhere(document, "select")[0]).backgroundImage;
      return [getComputedStyle(document.body).backgroundColor, getComputedStyle(side).backgroundColor,
        getComputedStyle(side).color, getComputedStyle(button).color].map(light).concat(!arrow.includes("black"));
    })()"""
    filled = "getComputedStyle(everywhere(document, '.noUi-connect')[0]).backgroundColor"
    assert opened.run(look) == [True, True, False, False, False]
    assert opened.run(filled) == "rgb(0, 114, 178)"
    opened.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    opened.wait("[...Bokeh.documents[0]._all_models.values()].some((m) => m.background_fill_color === '#171b21')")
    assert opened.run(look) == [False, False, True, True, True]
    assert opened.run(filled) == "rgb(43, 127, 184)"
    opened.call("Emulation.setEmulatedMedia", features=[])
    opened.wait("[...Bokeh.documents[0]._all_models.values()].every((m) => m.background_fill_color !== '#171b21')")
    assert opened.run(look) == [True, True, False, False, False]


def test_a_slider_is_answered_in_the_browser(opened: Page) -> None:
    before = opened.ink()
    opened.run("everywhere(document, '.noUi-handle')[0].focus()")
    for kind in ("keyDown", "keyUp"):
        opened.call("Input.dispatchKeyEvent", type=kind, key="ArrowRight", code="ArrowRight", windowsVirtualKeyCode=39)
    opened.wait(f"({TITLE}).includes('α = 0.25')")
    opened.wait(f"ink().join() !== {','.join(before)!r}")
    assert "alpha=0.25" in opened.wait("location.search.includes('alpha=0.25') && location.search")


def test_a_drag_marks_points_in_the_browser(opened: Page) -> None:
    box = opened.run("""(() => {
      const box = everywhere(document, ".bk-events")[1].getBoundingClientRect();
      return [box.x, box.y, box.width, box.height];
    })()""")
    x, y, width, height = box
    opened.drag((x + 0.3 * width, y + 0.5 * height), (x + 0.5 * width, y + 0.55 * height))
    opened.wait("everywhere(document, '*').some((e) => e.textContent.includes('is marked'))")
    if SHOTS:
        opened.screenshot(Path(SHOTS) / "app.png", full=False)
    assert opened.errors == []


def test_a_view_is_saved_as_a_picture_in_the_browser(opened: Page) -> None:
    kinds = opened.run("""(async () => {
      const saved = [];
      const create = URL.createObjectURL;
      URL.createObjectURL = (blob) => { saved.push([blob.type, blob.size]); return create(blob); };
      for (const button of everywhere(document, "button")) {
        if (["PNG", "SVG"].includes(button.textContent.trim())) button.click();
      }
      await until(() => saved.length === 4, 5000);
      URL.createObjectURL = create;
      return saved;
    })()""")
    assert sorted(kind.split(";")[0] for kind, _ in kinds) == ["image/png"] * 2 + ["image/svg+xml"] * 2
    assert all(size > 5000 for _, size in kinds)
    assert opened.errors == []


@pytest.mark.parametrize(("width", "height", "columns"), [(1440, 900, 3), (1024, 768, 2), (390, 844, 1)])
def test_the_page_fits_every_screen(width: int, height: int, columns: int, opened: Page) -> None:
    """Nothing is cut off at the side; the parts stand beside each other where there is room, else below each other."""
    opened.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    opened.wait(f"({PARTS}).length === 3 && new Set({PARTS}.map((part) => Math.round(part[0]))).size === {columns}")
    parts = opened.run(PARTS)
    assert opened.run("document.documentElement.scrollWidth") <= width
    assert all(part[0] >= 0 and part[0] + part[2] <= width for part in parts)
    assert max(part[0] + part[2] for part in parts) >= width - 24
    assert all(part[3] >= 330 for part in parts[1:])


def test_on_a_phone_legends_stand_above_their_frames(opened: Page) -> None:
    """Also that of a view chosen there, with the numbers of a map upright; on a wide screen all is as before."""
    figures = "[...Bokeh.documents[0]._all_models.values()].filter((m) => m.type === 'Figure')"
    with_legend = "some((legend) => legend.tags.includes('inside'))"
    opened.resize(390, 844)
    opened.wait(f"{figures}.some((m) => m.above.{with_legend}) && !{figures}.some((m) => m.center.{with_legend})")
    opened.resize(1440, 900)
    opened.wait(f"{figures}.some((m) => m.center.{with_legend}) && !{figures}.some((m) => m.above.{with_legend})")
    assert opened.errors == []


PARTS = """everywhere(document, "div").filter((e) => e.classList.contains("side") || e.classList.contains("screen"))
  .map((e) => e.getBoundingClientRect()).map((box) => [box.x, box.y, box.width, box.height])"""


def test_what_is_seen_can_be_taken_away(opened: Page) -> None:
    """As a table, as Python, and under names of its own."""
    opened.call("Emulation.setDeviceMetricsOverride", width=1440, height=900, deviceScaleFactor=1, mobile=False)
    names = opened.run("""[...Bokeh.documents[0]._all_models.values()].map((model) => model.filename ?? "")
      .filter((name) => name.endsWith(".csv") || name.endsWith(".nc"))""")
    assert len(set(names)) == 4
    assert any("_test_lam0.1" in name for name in names)
    opened.run("""(() => {
      window.copied = [];
      navigator.clipboard.writeText = async (text) => { window.copied.push(text); };
      const buttons = everywhere(document, "button");
      buttons.filter((e) => e.textContent.trim() === "Copy Python").forEach((e) => e.click());
      buttons.filter((e) => e.textContent.trim() === "Table")[1].click();
    })()""")
    texts = opened.wait("window.copied.length === 2 && window.copied")
    assert "sc.views.spectrum(cube, alpha=" in texts[0]
    assert "sc.views.loss(cube, kind='test', lam=0.1)" in texts[1]
    opened.wait("everywhere(document, 'td').length > 10")
    assert opened.errors == []


def test_a_foreign_host_name_is_refused(served: Served) -> None:
    request = urllib.request.Request(served.address, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403") as refusal:
        urllib.request.urlopen(request, timeout=PATIENCE)
    refusal.value.close()


def test_a_page_of_another_origin_is_refused(served: Served) -> None:
    def connect(origin: str) -> object:
        address = f"ws://localhost:{served.port}/ws"
        request = HTTPRequest(address, headers={"Origin": origin, "Sec-WebSocket-Protocol": "bokeh, x"})
        loop = IOLoop(make_current=False)
        try:
            return loop.run_sync(lambda: websocket_connect(request), timeout=PATIENCE)
        finally:
            loop.close()

    for origin in ("http://evil.example", f"http://evil.example:{served.port}", "null"):
        with pytest.raises(HTTPClientError, match="403"):
            connect(origin)


def test_it_listens_on_this_machine_only(served: Served) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: names the address that the machine would use
        except OSError:
            pytest.skip("this machine has no address but its own")
        address = probe.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("this machine has no address but its own")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, served.port), timeout=PATIENCE)


def test_it_ends_when_asked_and_frees_its_port(served: Served, opened: Page) -> None:
    """At SIGTERM, with a page open; at SIGINT below."""
    assert opened.errors == []
    assert served.stop(signal.SIGTERM) == 0
    assert "Traceback" not in served.log
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE)


def test_a_missing_cube_is_one_sentence(tmp_path: Path) -> None:
    said = spikecube(tmp_path, "explore", "none", "--no-browser", code=1).stderr
    assert len(said.strip().splitlines()) == 1
    assert "there is no run none.run; --wait waits for one that has not begun" in said


def test_every_view_of_the_catalogue_can_be_chosen(explorer: Explorer) -> None:
    for name in CATALOGUE:
        explorer.choices[0].value = name
        assert bool(explorer.screens[0].shown.note) == (name == "exponents"), name  # nothing is fitted here
        if name != "exponents":
            last = explorer.screens[0].python.value.splitlines()[-1]
            assert eval(last, {"sc": sc, "cube": explorer.scene.cube, "theory": explorer.scene.prediction}), name


def test_a_run_that_has_not_begun_is_waited_for_in_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it waits for, and of how many cells where the study lies beside; then it is the explorer."""
    monkeypatch.setattr(serve, "REFRESH_MS", 20)
    study = Study(title="Late", axes={"alpha": [0.3], "n": [60], "seed": 2, "lam": [0.1]}, measure={"rank": 3})
    assert awaited(tmp_path / "late").sentence == f"This page waits for the run {tmp_path / 'late.run'} to begin."
    (tmp_path / "late.toml").write_text(study.to_toml())
    source = awaited(tmp_path / "late")
    assert source.sentence.endswith("late.run to begin; 0 of 2 cells are computed.")
    shown = serve.waiting(source)
    words = [part.object for part in shown.select(pn.pane.HTML)]
    assert len(words) == 1
    assert "<h1>Late</h1>" in words[0]
    assert "0 of 2 cells" in words[0]
    (begun,) = [part.object for part in shown.select(pn.pane.Bokeh)]
    assert not begun.active
    folder = RunFolder(tmp_path / "late.run", study)
    with folder.opened():
        found = source.source()
    assert found is not None
    assert found.live
    assert found.name.endswith("late.nc")


def test_a_real_run_is_read_while_it_grows(tmp_path: Path) -> None:
    axes = {"alpha": [0.0, 0.3], "n": [60], "seed": 2, "lam": [0.1]}
    folder = RunFolder(tmp_path / "live.run", Study(axes=axes, measure={"rank": 3, "degree": 2, "ell": 2}))
    with folder.opened():
        explorer = Explorer(live_source(tmp_path / "live"), answer=never)
        assert explorer.scene.cube["train_loss"].notnull().sum() == 0
        assert "yet" in explorer.screens[0].shown.note
        for seed in (0, 1):
            folder.write([computed(folder.study, seed)], computed_with="test", blas_threads=1)
            explorer.refresh()
            assert explorer.scene.cube["train_loss"].notnull().any(("alpha", "lam")).sum() == seed + 1
    assert not explorer.screens[0].shown.note


def test_a_growing_cube_is_read_beside_the_page(cube: xr.Dataset) -> None:
    """While it is read, the page has the last one at once; a reading whose process ends is tried again."""
    source, asked, release = Growing(cube), threading.Semaphore(0), threading.Semaphore(0)
    fails = [False, True, False]

    def elsewhere(read: Callable[[], xr.Dataset]) -> xr.Dataset:
        asked.release()
        assert release.acquire(timeout=PATIENCE)
        if fails.pop(0):
            raise ComputationEnded("gone")
        return read()

    release.release()
    ahead = Ahead(source, elsewhere)
    first = ahead.cube()
    assert asked.acquire(timeout=PATIENCE)
    source.sizes = 3
    for _ in fails[:2]:
        end = time.monotonic() + PATIENCE
        while not asked.acquire(timeout=0.01):
            assert ahead.version() == 1
            assert time.monotonic() < end
        assert ahead.cube() is first
        release.release()
    end = time.monotonic() + PATIENCE
    while ahead.version() != 3:
        assert time.monotonic() < end
    assert ahead.cube()["train_loss"].notnull().sum() > first["train_loss"].notnull().sum()
    assert not fails


def test_a_run_is_read_in_another_process(tmp_path: Path) -> None:
    """What reads a run can be sent there, and gives there what it gives here."""
    axes = {"alpha": [0.0, 0.3], "n": [60], "seed": 1, "lam": [0.1]}
    folder = RunFolder(tmp_path / "live.run", Study(axes=axes, measure={"rank": 3, "degree": 2, "ell": 2}))
    with folder.opened():
        folder.write([computed(folder.study, 0)], computed_with="test", blas_threads=1)
        read = live_source(tmp_path / "live").cube
        assert pickle.loads(pickle.dumps(read))().identical(read())


def computed(study: Study, seed: int) -> CellResult:
    """A real cell."""
    axes = study.axes
    values = compute_cell(
        study.model, study.measure, n=60, seed=seed, alphas=axes.alpha, lams=axes.lam, entropy=study.random.entropy
    )
    return CellResult(Cell(60, seed), axes.alpha, axes.lam, values)


# Long computations in the browser


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The explorer of a live run, whose computations end when the test says so."""
    folder = RunFolder(
        tmp_path_factory.mktemp("slow") / "live.run",
        Study(axes={"alpha": [0.0, 0.3], "n": [60], "seed": 1, "lam": [0.1]}, measure={"rank": 3}),
    )
    with folder.opened():
        folder.write([computed(folder.study, 0)], computed_with="test", blas_threads=1)
    server = Served(folder.path, ["-m", "tests.pictures.slow_server"])
    yield server
    server.stop()


TEXTS = "everywhere(document, '*').map((e) => e.shadowRoot ? '' : e.textContent).join()"


def press(page: Page, server: Served, button: str) -> None:
    """Presses a button and waits until its computation outlasts several looks at the run."""
    page.run(f"everywhere(document, 'button').find((e) => e.textContent.trim() === '{button}').click()")
    outlast(server)


def outlast(server: Served) -> None:
    server.wait_for("computing")
    server.log = ""
    server.wait_for("(refresh\n(.*\n)*){4}")
    server.log = ""


def release(server: Served) -> None:
    """Lets one computation end."""
    assert server.process.stdin is not None
    server.process.stdin.write("\n")
    server.process.stdin.flush()


def troubles(page: Page) -> list[str]:
    """Errors of the pages but those of one whose server has ended, or that is left while it is answered."""
    return [error for error in page.errors if "not connected so cannot send" not in error]


def test_computations_longer_than_the_refresh_end_on_their_page(slow: Served, chromium: Page) -> None:
    """The prediction at the start, and Fit; a page is left in the middle, and another one works."""
    page = chromium
    page.open(slow.address + "?left=exponents", 1400, 900)
    page.wait("ink().length >= 1")
    outlast(slow)
    shown = page.run(TEXTS)
    assert "Computing the prediction ..." in shown
    assert "1 of 1 cells" in shown
    release(slow)
    page.wait(f"!({TEXTS}).includes('Computing the prediction')")
    page.wait(LABELS + ".includes('n = 60')")
    press(page, slow, "Fit")
    release(slow)
    page.wait(f"({SHOWN}).includes('There is one size.')")
    assert "failed" not in page.run(TEXTS)
    press(page, slow, "Fit")
    assert troubles(page) == []
    page.open(slow.address + "?left=singular&right=exponents", 1400, 900)
    release(slow)
    page.wait(LABELS + ".some((label) => label.includes('predicted') || label === 's₁')")  # what theory says is known
    press(page, slow, "Fit")
    release(slow)
    page.wait(f"({SHOWN}).includes('There is one size.')")
    assert "failed" not in page.run(TEXTS)
    assert troubles(page) == []
    page.open(slow.address + "?left=spectrum&right=test&alpha=0.3", 1400, 900)
    outlast(slow)  # a density, while the run is looked at again and again
    page.wait("everywhere(document, '.noUi-handle').length")
    page.run("everywhere(document, '.noUi-handle')[0].focus()")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="ArrowLeft", code="ArrowLeft", windowsVirtualKeyCode=37)
    page.wait(f"({TITLE}).includes('α = 0, n = 60')")
    bulk = LABELS.replace("model.type", "model.visible !== false && model.type") + ".some((l) => l.includes('bulk'))"
    assert not page.run(bulk)
    release(slow)
    slow.wait_for("computing")  # that of the place where the slider stands now
    release(slow)
    page.wait(bulk)
    assert {re.split(r"[/?]", url.split("://", 1)[1])[0].split(":")[0] for url in page.requests} == {"localhost"}
    assert slow.stop(signal.SIGINT) == 0
    assert "Error" not in slow.log
    assert "Traceback" not in slow.log


LABELS = """[...Bokeh.documents[0]._all_models.values()]
  .filter((model) => model.type === "LegendItem").map((model) => model.label?.value ?? "")"""
SHOWN = """[...Bokeh.documents[0]._all_models.values()]
  .filter((model) => model.type === "ColumnDataSource")
  .map((model) => String(model.data.get?.("text") ?? model.data.text)).join("|")"""
