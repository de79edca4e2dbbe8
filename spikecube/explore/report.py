"""The report: one HTML file that holds all it needs and asks no network for anything."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.cuts import as_cube
from spikecube.cube.store import refuse_target, write_atomically
from spikecube.explore import predicted, style, tables
from spikecube.explore.catalogue import CATALOGUE, Entry, Scene
from spikecube.explore.frames import Film, Slider, film
from spikecube.means.places import further_axes
from spikecube.text import number
from spikecube.words import symbols
from spikecube.words.findings import findings, said

MOST_FRAMES = 120
MOST_POSITIONS = 24


SECTIONS = {
    "Does a spike leave the bulk?": (
        "Singular values of the features after the step, at one exponent α of the step size: move it. What lies beyond "
        "the edge is an outlier; whether it is a learned direction, its singular vector says (see below)."
    ),
    "What does the loss gain?": "Solid lines are the theory at this very n, the dashed staircase is its limit.",
    "How far do theory and measurement agree?": (
        "Each cell is the measured mean minus the predicted value in standard errors: errors alone leave most within "
        "±2. Points along α share their random draw, so neighbours move together."
    ),
    "When do the spikes appear?": (
        "First, how many singular values lie beyond the edge, with the thresholds of infinite n (dashed) and where "
        "theory counts each spike at this size. Then how far out they are, by the same theory."
    ),
    "Do the spikes point where theory says?": (
        "First, the squared cosine between the left singular vector of the spike of degree k and the k-th power of the "
        "learned direction; its limit beyond the k-th threshold is 1 (dashed). Then the spike of degree 1 in the "
        "variable in which theory has all sizes fall on one line."
    ),
    "Do the exponents agree?": "Fitted exponents of the outliers against α, with the straight lines of theory.",
    "How fast does the loss converge?": (
        "On log axes a straight line is a power of n. First, the gap between F and its spiked equivalent, "
        "which keeps the first spikes alone; then the gap between that and the limit. Where a law is fitted, how far "
        "the points lie from it stands below."
    ),
    "Where does the loss go?": (
        "First, the test loss against n with its theory at each n and the predicted limit, and the fitted limit with "
        "its interval where there is one. Then the size of the gap to the predicted limit, on log axes."
    ),
    "Which penalty, and does the step help there?": (
        "The loss after the step and that of the untrained features, against the ridge penalty λ."
    ),
}
"""What to look for in the views that answer a question, in the order of the page."""


def report(
    cube: xr.Dataset | str | Path,
    path: str | Path,
    prediction: xr.Dataset | None = None,
    fits: Mapping[str, xr.Dataset] | None = None,
) -> Path:
    """Write the report of a cube as one HTML file.

    Parameters
    ----------
    cube
        As `run` or `open_cube` give it, or its file; parts may be missing.
    path
        Where the file goes; an existing one is replaced.
    prediction
        From `predict`; without it the cube's study is predicted here, and what theory declines is left out.
    fits
        Results of the scaling fits by law.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    StoreError
        Before any work, if no file can be written there, or the cube lacks its study or an axis.
    """
    target = Path(path)
    refuse_target(target)
    cube = as_cube(cube, "study", "alpha", "n", "seed", "lam")
    if prediction is None:
        prediction = predicted.predict_or_none(cube)
    scene = Scene(cube, prediction, fits or {})
    films = {entry.name: _film(scene, entry) for entry in CATALOGUE.values() if entry.question}
    page = Template(_asset("report.html")).substitute(
        title=html.escape(_title(cube)),
        css=_asset("report.css"),
        js=_asset("report.js"),
        bokeh=_bokeh_js(),
        films=_json([_film_json(name, f) for name, f in films.items()]),
        body=_body(scene, films),
    )
    write_atomically(target, lambda temporary: temporary.write_text(page, encoding="utf-8"))
    return target


def sliders(cube: xr.Dataset, names: Sequence[str]) -> tuple[Slider, ...]:
    """Sliders over axes of the cube, thinned so that the frames stay few; each starts where its picture tells most."""
    most = MOST_POSITIONS
    lengths = [cube.sizes.get(name, 1) for name in names]
    while np.prod([min(length, most) for length in lengths]) > MOST_FRAMES and most > 2:
        most -= 1
    made = []
    for name in names:
        if cube.sizes.get(name, 1) > 1:
            values = style.thin(cube[name].values.tolist(), most)
            made.append(Slider(name, tuple(values), _start(name, values)))
    return tuple(made)


def _start(name: str, values: Sequence[Any]) -> int:
    """alpha starts past the second threshold, n at the largest, the others in the middle."""
    if name == "alpha":
        return int(np.argmin([abs(v - 0.34) for v in values]))
    return len(values) - 1 if name == "n" else len(values) // 2


def _film(scene: Scene, entry: Entry) -> Film:
    """Every frame of a view over its own axes and the further ones of the cube."""
    names = (*entry.axes, *further_axes(scene.cube))
    return film(lambda **labels: entry.draw(scene, None, **labels), sliders(scene.cube, names))


def _body(scene: Scene, films: Mapping[str, Film]) -> str:
    cube, fits = scene.cube, scene.fits
    parts = [
        _header(cube),
        _found(findings(cube, scene.prediction, fits), scene.prediction),
        *(_section_html(question, films) for question in _questions()),
        _fits_section(fits),
        _table_section("Means at the largest size", tables.mean_table(cube)),
        _study_section(cube),
    ]
    return "\n".join(parts)


def _title(cube: xr.Dataset) -> str:
    return str(cube.attrs.get("title", "spikecube"))


def _header(cube: xr.Dataset) -> str:
    sizes = ", ".join(
        f"{symbols.symbol(name)}: {_axis_text(cube, name)}" for name in ("alpha", "n", "lam") if name in cube.dims
    )
    return (
        f"<header><h1>{html.escape(_title(cube))}</h1>"
        f"<p>{html.escape(tables.model_sentence(cube))}</p>"
        f"<p>{html.escape(sizes)}; {cube.sizes.get('seed', 1)} seeds.</p></header>"
    )


def _axis_text(cube: xr.Dataset, name: str) -> str:
    values = cube[name].values
    if len(values) <= 4:
        return ", ".join(number(float(v)) for v in values)
    return f"{number(float(values[0]))} to {number(float(values[-1]))} ({len(values)} values)"


def _found(sentences: Sequence[str], prediction: xr.Dataset | None) -> str:
    items = "".join(f"<li>{html.escape(s)}</li>" for s in sentences)
    key = (
        '<div class="key"><span><i class="dot"></i>markers: measured, mean over seeds, bar of one standard error</span>'
        '<span><i class="rule"></i>lines: predicted at this n</span>'
        '<span><i class="dash"></i>dashes: predicted limit</span></div>'
    )
    items += "<li>Digits in brackets are standard errors of the last digits.</li>" if "(" in items else ""
    lack = (
        "" if prediction is not None else "<p>There is no prediction for this study: only measurements are shown.</p>"
    )
    return f'<section class="found"><h2>What was found</h2><ul>{items}</ul>{lack}{key}</section>'


def _questions() -> list[str]:
    """The questions that views answer, those of `SECTIONS` in their order and then any others."""
    brought = dict.fromkeys(entry.question for entry in CATALOGUE.values() if entry.question)
    return [*(q for q in SECTIONS if q in brought), *(q for q in brought if q not in SECTIONS)]


def _section_html(question: str, films: Mapping[str, Film]) -> str:
    shown = {name: film for name, film in films.items() if CATALOGUE[name].question == question}
    figures = "".join(_figure_html(name, one) for name, one in shown.items())
    pair = " pair" if len(shown) > 1 else ""
    drawn = question in SECTIONS and any(not one.note for one in shown.values())
    text = f"<p>{html.escape(SECTIONS[question])}</p>" if drawn else ""
    return f'<section><h2>{html.escape(question)}</h2>{text}<div class="figures{pair}">{figures}</div></section>'


def _figure_html(name: str, shown: Film) -> str:
    inputs = "".join(_slider_html(slider) for slider in shown.sliders)
    controls = f'<div class="controls">{inputs}</div>' if inputs else ""
    buttons = "".join(
        f'<button type="button" data-kind="{kind}">{kind.upper()}</button>' for kind in ("png", "svg", "csv")
    )
    return (
        f'<div class="figure" id="film-{name}">{controls}<div class="plot" id="plot-{name}"></div>'
        f'<p class="absent" role="status"></p><div class="tools">save as {buttons}</div></div>'
    )


def _slider_html(slider: Slider) -> str:
    symbol, text = symbols.symbol(slider.name), slider.texts[slider.start]
    return (
        f'<label>{html.escape(symbol)}<input type="range" min="0" max="{len(slider.values) - 1}" step="1" '
        f'value="{slider.start}" aria-label="{html.escape(slider.name)}"><output>{html.escape(f"{symbol} = {text}")}'
        f"</output></label>"
    )


def _fits_section(fits: Mapping[str, xr.Dataset]) -> str:
    """What each fit means in two sentences, all that it says and its table folded."""
    parts = []
    for law, fit in fits.items():
        whole, rows = str(fit.attrs.get("sentence", "")), tables.fit_table(fit)
        short = said(law, fit) if rows else ""
        inside = f'<p>{html.escape(whole)}</p><div class="scroll">{rows}</div>'
        folded = f"<details><summary>all of it, with the table</summary>{inside}</details>" if rows else ""
        parts.append(f"<h3>{html.escape(law)}</h3><p>{html.escape(short or whole)}</p>{folded}")
    return f"<section><h2>What do the fits say?</h2>{''.join(parts)}</section>" if parts else ""


def _table_section(title: str, table: str) -> str:
    return f'<section><h2>{html.escape(title)}</h2><div class="scroll">{table}</div></section>' if table else ""


def _study_section(cube: xr.Dataset) -> str:
    return (
        "<section><h2>Where this comes from</h2>"
        f'<div class="scroll">{tables.provenance_table(cube)}</div>'
        f"<p>The study, as it was run:</p><pre>{html.escape(str(cube.attrs.get('study', '')))}</pre></section>"
    )


def _film_json(name: str, shown: Film) -> dict[str, Any]:
    sliders_ = [{"symbol": symbols.symbol(s.name), "texts": s.texts} for s in shown.sliders]
    return {"name": name, "item": shown.item, "sliders": sliders_, "frames": shown.frames}


def _json(value: Any) -> str:
    """JSON that may stand inside a script element: no `<` ends it early."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _bokeh_js() -> str:
    """BokehJS's core alone, from the installed package."""
    import bokeh

    path = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
    return path.read_text(encoding="utf-8").replace("</script", "<\\/script")


def _asset(name: str) -> str:
    return (resources.files("spikecube.explore") / "assets" / name).read_text(encoding="utf-8")
