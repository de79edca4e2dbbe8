"""The report: one file, no network, sliders that work."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from scripts.browser import Page
from scripts.madeup import made_prediction
from spikecube.means.comparisons import compared
from spikecube.pictures import style
from spikecube.pictures.catalogue import CATALOGUE, Scene
from spikecube.pictures.entry import Entry, picture_of, view
from spikecube.pictures.frames import Slider, film
from spikecube.pictures.layers import Layer
from spikecube.pictures.picture import Picture, note
from spikecube.pictures.report import SECTIONS, report, sliders
from spikecube.pictures.tables import fit_table
from spikecube.pictures.views import loss
from spikecube.study.study import Study
from spikecube.words.findings import findings, fitted
from spikecube.words.seen import seen
from tests.pictures.browser import browser

SHOTS = os.environ.get("SPIKECUBE_SCREENSHOTS")


REPORTED = [name for name, entry in CATALOGUE.items() if entry.question]


def only(monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    """A report of some views alone."""
    monkeypatch.setattr("spikecube.pictures.report.CATALOGUE", {name: CATALOGUE[name] for name in names})


def test_a_view_is_one_function(small: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made up here, it is drawn for notebooks, found by the explorer, and has its section in the report."""
    monkeypatch.setattr("spikecube.pictures.entry.CATALOGUE", {})

    @view(Entry("statuses", "Points by status", ("n",), "What is there?"))
    def statuses(cube: xr.Dataset, *, n: int | None = None) -> Picture:
        """How many points have each status?"""
        codes, counts = np.unique(cube["status"], return_counts=True)
        return Picture([Layer("points", {"status": codes, "points": counts}, "measured", measured=True)], title=f"{n}")

    from spikecube.pictures import entry

    assert type(statuses(small)).__name__ == "Overlay"
    assert entry.CATALOGUE["statuses"].draw(Scene(small), None, n=500).title == "500"
    monkeypatch.setattr("spikecube.pictures.report.CATALOGUE", entry.CATALOGUE)
    text = report(small, tmp_path / "new.html", made_prediction(small)).read_text()
    assert "<h2>What is there?</h2>" in text
    assert '"name":"statuses"' in text


def test_every_section_has_its_views() -> None:
    assert {entry.question for entry in CATALOGUE.values() if entry.question} == set(SECTIONS)


@pytest.fixture(scope="module")
def small(make: Callable[..., xr.Dataset]) -> xr.Dataset:
    return make(alpha=[0.0, 0.2, 0.33, 0.4], n=[250, 1000], lam=[0.01, 0.1, 1.0])


@pytest.fixture(scope="module")
def file(small: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    prediction = made_prediction(small)
    return report(small, tmp_path_factory.mktemp("report") / "report.html", prediction)


@pytest.fixture(scope="module")
def page(file: Path) -> Iterator[Page]:
    with browser(offline=True) as opened:
        opened.open(file.as_uri())
        opened.wait("document.body.dataset.ready")
        yield opened


def test_it_stays_small_and_names_no_other_file(file: Path) -> None:
    text = file.read_text()
    assert len(text) < 6e6
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"(?!data:)", text)
    assert "@import" not in text.split("<script", 1)[0]


def test_nothing_leaves_and_nothing_complains(page: Page, file: Path) -> None:
    assert page.requests == [file.as_uri()]
    assert page.errors == []


def test_every_figure_has_ink(page: Page) -> None:
    figures = len(REPORTED)
    assert len(page.ink()) >= figures
    if SHOTS:
        page.screenshot(Path(SHOTS) / "report.png")


MOVED = {"spectrum": "alpha", "test": "lam", "agree_test": "lam", "singular": "n", "gap_spiked": "alpha"}
"""A figure, and a slider of the bar that it follows."""


def moved(page: Page, axis: str, position: int) -> dict[str, list[str]]:
    """Moves a slider of the bar, and what the figures of `MOVED` show then: caption, words for it, ink."""
    page.run(f"""(() => {{
      const input = document.querySelector(".bar input[name={axis}]");
      input.value = {position}; input.dispatchEvent(new Event("input"));
    }})()""")
    names = [name for name, its in MOVED.items() if its == axis]
    page.run(f'settled("#plot-{names[0]}")')
    return {
        name: page.run(f"""settled("#plot-{name}").then((ink) => [
          document.querySelector("#film-{name} figcaption").textContent,
          document.getElementById("plot-{name}").getAttribute("aria-label"), ink])""")
        for name in names
    }


@pytest.mark.parametrize("axis", ["alpha", "n", "lam"])
def test_a_slider_of_the_bar_moves_every_figure_that_follows_it(page: Page, axis: str) -> None:
    first, second, back = (moved(page, axis, position) for position in (0, 1, 0))
    for name, shown in first.items():
        assert all(one != other for one, other in zip(shown, second[name], strict=True)), name
        assert shown[:2] == back[name][:2]
        assert _inked(shown[2]) == pytest.approx(_inked(back[name][2]), rel=0.02)
    assert page.errors == []


def test_the_bar_stays_in_sight_and_speaks_its_values(page: Page) -> None:
    page.run("document.querySelector('.bar input[name=alpha]').focus()")
    before = page.run("document.activeElement.getAttribute('aria-valuetext')")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="ArrowRight", code="ArrowRight", windowsVirtualKeyCode=39)
    after = page.wait(f"document.activeElement.getAttribute('aria-valuetext') !== '{before}' && "
                      "document.activeElement.getAttribute('aria-valuetext')")  # fmt: skip
    assert before.startswith("α = ")
    assert after == page.run("document.activeElement.nextElementSibling.value")
    page.run("scrollTo(0, document.documentElement.scrollHeight)")
    top, bottom = page.run(
        "(({ top, bottom }) => [top, bottom])(document.querySelector('.bar').getBoundingClientRect())"
    )
    assert 0 <= top < bottom < 200


def test_contents_and_words_for_every_figure(page: Page) -> None:
    links, there = page.run("""[[...document.querySelectorAll(".contents a")].map((a) => a.hash.slice(1)),
      [...document.querySelectorAll("section")].map((section) => section.id)]""")
    assert links == there
    assert len(set(there)) == len(there) > len(SECTIONS)
    words = page.run("""[...document.querySelectorAll(".plot")].map((plot) => plot.getAttribute("aria-label"))""")
    assert len(words) == len(REPORTED)
    assert all(len(text) > 20 for text in words), words


def look(page: Page, *, dark: bool = False, media: str = "") -> None:
    """By night or day, on screen or on paper."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.call("Emulation.setEmulatedMedia", media=media, features=[scheme])


def test_by_night_figures_are_dark_and_by_day_as_before(page: Page) -> None:
    corner = """settled("#plot-test").then(() => {
      const copy = new OffscreenCanvas(4, 4).getContext("2d");
      copy.drawImage(everywhere(document.getElementById("plot-test"), "canvas")[0], 0, 0);
      return [...copy.getImageData(3, 3, 1, 1).data].slice(0, 3).reduce((a, b) => a + b);
    })"""
    day, light = page.run('settled("#plot-test")'), page.run(corner)
    look(page, dark=True)
    assert page.run(corner) < 150 < 700 < light
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(15, 18, 21)"
    look(page)
    assert _inked(page.run('settled("#plot-test")')) == pytest.approx(_inked(day), rel=0.02)
    assert page.run(corner) == light


def test_a_phone_needs_no_sideways_scrolling(page: Page) -> None:
    page.resize(390, 844)
    try:
        page.wait("document.documentElement.scrollWidth === 390")
        assert page.run('settled("#plot-test")')
        assert page.run("Math.max(...[...document.querySelectorAll('.plot')].map((p) => p.clientWidth))") <= 370
        assert page.run("document.querySelector('.bar').clientHeight") < 75
    finally:
        page.resize(1280, 1000)


def test_paper_has_the_tables_and_no_sliders(page: Page) -> None:
    page.run('dispatchEvent(new Event("beforeprint"))')
    look(page, media="print")
    try:
        assert page.run("[...document.querySelectorAll('details')].every((d) => d.open)")
        hidden = page.run(
            "['.bar', '.tools', '.contents'].map((s) => getComputedStyle(document.querySelector(s)).display)"
        )
        assert hidden == ["none"] * 3
        assert page.run('settled("#plot-test")')
        assert page.run("Math.max(...[...document.querySelectorAll('figure')].map((f) => f.offsetHeight))") < 650
    finally:
        look(page)
        page.run('dispatchEvent(new Event("afterprint"))')


@pytest.mark.parametrize(
    ("ends", "labels"),
    [
        ((1.6, 5.5), ["2", "3", "4", "5"]),
        ((0.0019, 0.16), ["0.002", "0.005", "0.01", "0.02", "0.05", "0.1"]),
        ((0.008, 12.0), ["10⁻²", "10⁻¹", "10⁰", "10¹"]),
        ((0.045, 0.06), ["0.045", "0.05", "0.055", "0.06"]),
    ],
)
def test_a_log_axis_has_round_ticks_with_their_own_values(
    ends: tuple[float, float], labels: list[str], page: Page
) -> None:
    """Between one decade and two as well, where BokehJS leaves half of the axis bare, or writes 10^1 beside a 5."""
    found = page.run(f"""(() => {{
      const cb_data = {{ start: {ends[0]}, end: {ends[1]} }};
      const ticks = (() => {{ {style.asset("ticks.js")} }})();
      return ticks.map((tick) => {{ {style.asset("tick_labels.js")} }});
    }})()""")
    assert found == labels


def _inked(fingerprint: str) -> int:
    return sum(int(part.split(":")[0]) for part in fingerprint.split(","))


def test_a_figure_is_saved_as_picture_and_table(page: Page) -> None:
    kinds = page.run("""(async () => {
      const saved = [];
      const create = URL.createObjectURL;
      URL.createObjectURL = (blob) => { saved.push([blob.type, blob.size]); return create(blob); };
      for (const button of document.querySelectorAll("#film-test .tools button")) button.click();
      await until(() => saved.length === 3, 5000);
      URL.createObjectURL = create;
      return saved;
    })()""")
    assert {kind.split(";")[0] for kind, _ in kinds} == {"image/png", "image/svg+xml", "text/csv"}
    assert all(size > 500 for _, size in kinds)


def test_a_frame_holds_the_means_of_its_place(cube: xr.Dataset) -> None:
    lams = tuple(cube.lam.values.tolist())
    made = film(lambda **at: picture_of(loss)(cube, kind="test", n=500, **at), [Slider("lam", lams, 3)])
    frame = made.frames[5]
    assert frame is not None
    columns = [state["data"]["test_loss"] for state in frame.values() if "test_loss" in state.get("data", {})]
    expected = cube["test_loss"].sel(n=500, lam=lams[5]).mean("seed")
    np.testing.assert_allclose(columns[0], expected, rtol=1e-4)


def test_a_place_without_data_has_no_frame(cube: xr.Dataset) -> None:
    def view(lam: float) -> object:
        return note("nothing") if lam < 0.05 else picture_of(loss)(cube, kind="test", lam=lam)

    lams = tuple(cube.lam.values.tolist())
    made = film(view, [Slider("lam", lams, 0)])  # type: ignore[arg-type]
    assert made.frames[:2] == (None, None)
    assert made.sliders[0].start == 2


def test_frames_stay_few_on_a_large_cube(make: Callable[..., xr.Dataset]) -> None:
    cube = make(alpha=np.linspace(0, 0.5, 1000).tolist(), lam={"start": 0.01, "stop": 1, "num": 50}, n=[100], seed=1)
    made = sliders(cube, ("alpha", "lam"))
    assert np.prod([len(s.values) for s in made]) <= 120
    assert made[0].values[0] == 0
    assert made[0].values[-1] == 0.5


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"seed": 1, "n": [300], "lam": [0.1], "alpha": [0.3], "spectrum_bins": 0}, REPORTED),
        ({"width_ratio": [0.5, 1.0]}, REPORTED[:5]),
    ],
    ids=["all axes of length 1", "a further axis"],
)
def test_odd_cubes_get_a_report(
    changes: dict[str, object],
    names: list[str],
    make: Callable[..., xr.Dataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    only(monkeypatch, names)
    cube = make(**{"alpha": [0.1, 0.3], "n": [100, 200], "lam": [0.1, 1.0], **changes})
    text = report(cube, tmp_path / "odd.html", made_prediction(cube)).read_text()
    films = json.loads(text.split('id="films">', 1)[1].split("</script>", 1)[0])
    assert {f["name"] for f in films["films"]} == set(names)


def test_a_report_reads_the_study_once(
    make: Callable[..., xr.Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The predictions on finer axes, the bulk and every sentence rest on the study that was read first."""
    only(monkeypatch, ["spectrum", "test", "penalty_test"])
    cube = make(alpha=[0.3], n=[100], lam=[0.1, 1.0])
    cube.attrs["study"] += "\n# a text that nobody has read yet\n"
    read: list[str] = []
    checked, parsed = Study.__init__, tomllib.loads

    def checks(study: Study, **data: object) -> None:
        read.append("checked")
        checked(study, **data)

    def parses(text: str) -> dict[str, object]:
        read.append("parsed")
        return parsed(text)

    monkeypatch.setattr(Study, "__init__", checks)
    monkeypatch.setattr("tomllib.loads", parses)
    report(cube, tmp_path / "once.html")
    assert read == ["parsed", "checked"]


def test_text_from_a_cube_cannot_become_markup(
    small: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, ["spectrum"])
    evil = small.assign_attrs(title="</title><script>alert(1)</script>", note="<img src=x onerror=alert(1)>")
    text = report(evil, tmp_path / "evil.html", made_prediction(evil)).read_text()
    assert "<script>alert" not in text
    assert "<img" not in text


def test_findings_tell_where_the_spikes_are(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    often = ((cube["outlier_count"].sel(n=1000) >= 1).mean("seed") >= 0.5).values
    first = float(cube.alpha[int(np.argmax(often))])
    text = " ".join(findings(seen(compared(cube, prediction))))
    assert f"the first from α = {first:g} on" in text
    assert "points are within 2 standard errors" in text
    assert "not complete" not in text


def test_findings_are_honest_about_a_wrong_theory(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    wrong = prediction.assign(test_loss=2 * prediction["test_loss"])
    (sentence,) = [
        s for s in findings(seen(compared(cube, wrong))) if s.startswith("Test loss against theory at finite n")
    ]
    assert " 0% of 189 points" in sentence


def test_findings_say_how_far_theory_may_be_off_where_it_is_much(cube: xr.Dataset, prediction: xr.Dataset) -> None:
    def said(share: float, cube: xr.Dataset = cube, **attrs: str) -> list[str]:
        off = prediction.assign(test_loss_remainder=share * prediction["test_loss"]).assign_attrs(attrs)
        return [s for s in findings(seen(compared(cube, off))) if s.startswith("Theory")]

    assert said(0.019) == []
    (much,) = said(0.06)
    assert "test losses of F may be off by up to 6 per cent" in much
    assert "heavy tails" not in much
    assert "heavy tails" in said(0.4)[0]
    assert said(0.0, declined="one thing is not known")[0].endswith("one thing is not known.")
    full = cube.assign_attrs(study=cube.attrs["study"] + '\n[model]\ninitial_output = "full"\n')
    (none,) = [s for s in findings(seen(compared(full))) if s.startswith("Theory does not speak")]
    assert 'given "full"' in none
    assert not any(s.startswith("Theory") for s in findings(seen(compared(cube))))


def test_findings_say_what_is_missing(cube: xr.Dataset) -> None:
    partial = cube.copy()
    partial["status"] = cube["status"].where(cube.n < 1000, 0)
    partial["status"][0, 0, 0] = 2
    assert findings(seen(compared(partial)))[0].startswith(
        "The cube is not complete: 71 of 108 points (α, n, seed) are there, 1 failed"
    )


def fit_of_two() -> xr.Dataset:
    """Two exponents, one whose interval holds the theory's value and one whose does not, and a third without one."""
    values = {
        "estimate": [0.2, 0.5, np.nan],
        "ci_low": [0.1, 0.4, np.nan],
        "ci_high": [0.3, 0.6, np.nan],
        "expected": [0.25, 0.3, 0.1],
    }
    fit = xr.Dataset({name: (("alpha", "param"), np.array(v)[:, None]) for name, v in values.items()})
    fit["message"] = ("alpha", ["fine", "fine", "too <few> sizes"])
    return fit.assign_coords(alpha=[0.2, 0.3, 0.4], param=["exponent"])


def test_findings_count_the_intervals_that_hold_the_theory() -> None:
    fit = fit_of_two()
    text = (
        "Exponents of the outliers: 1 of 2 intervals of 95 per cent (median half-width 0.1) hold the theory's value, "
        "1 more is not resolved."
    )
    assert fitted("outliers", fit) == text
    fit["gof_pvalue"] = ("alpha", [0.3, 0.001, np.nan])
    told = fitted("outliers", fit)
    assert told == f"{text} The lack-of-fit test rejects 1 of 2 at 1 per cent: do not trust their intervals."
    assert fitted("outliers", fit.assign(gof_pvalue=0.5 * fit["gof_pvalue"] + 0.1)).endswith("rejects none.")


def test_findings_tell_of_the_estimator_that_resolves_most() -> None:
    fit = fit_of_two()
    nothing = fit.assign(ci_low=fit["ci_low"] * np.nan)
    both = xr.concat([nothing, fit, nothing], dim=xr.Variable("estimator", ["plain", "relative", "corrected"]))
    assert fitted("outliers", both).startswith("Exponents of the outliers, relative to theory at finite n: 1 of 2")
    every = xr.concat([nothing] * 3, dim=xr.Variable("estimator", ["plain", "relative", "corrected"]))
    assert "none is resolved" in fitted("outliers", every)


def test_the_report_folds_what_a_fit_says_beyond_two_sentences(
    small: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, ["spectrum"])
    fits = {"outliers": fit_of_two().assign_attrs(sentence="A long story.")}
    fits["gaps"] = xr.Dataset(attrs={"sentence": "There are 2 sizes."})
    text = report(small, tmp_path / "fits.html", made_prediction(small), fits).read_text()
    section = text.split("<h2>What do the fits say?")[1].split("</section>")[0]
    assert "A long story." not in re.sub("<details>.*?</details>", "", section)
    assert "A long story." in section
    assert "<p>There are 2 sizes.</p>" in section


def test_the_table_of_a_fit_has_its_numbers_and_its_reasons() -> None:
    made = fit_table(fit_of_two())
    assert re.findall(r"<td[^>]*>([^<]*)</td>", made)[:5] == ["0.2", "exponent", "0.2", "0.1", "0.3"]
    assert made.count("<tr>") == 3
    assert "1 without an estimate: too &lt;few&gt; sizes" in made
