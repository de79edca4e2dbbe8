"""The report: one HTML file that holds all it needs and asks no network for anything."""

from __future__ import annotations

import html
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.cuts import as_cube
from spikecube.cube.store import refuse_target, write_atomically
from spikecube.means.places import further_axes
from spikecube.pictures import predicted, style, tables
from spikecube.pictures import report_parts as parts
from spikecube.pictures.catalogue import CATALOGUE, Entry, Scene
from spikecube.pictures.frames import Film, Slider, film
from spikecube.study.study import study_from
from spikecube.words.deviations import far_points
from spikecube.words.findings import findings
from spikecube.words.headlines import headlines
from spikecube.words.seen import seen

MOST_FRAMES = 120
MOST_POSITIONS = 24


SECTIONS = {
    "Does a spike leave the bulk?": (
        "Move α: what lies beyond the edge is an outlier; whether it is a learned direction, its singular vector says."
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
    cube : as `run` or `open_cube` give it, or its file; parts may be missing.
    path : where the file goes; an existing one is replaced.
    prediction : from `predict`; without it the cube's study is predicted here, and what theory declines is left out.
    fits : results of the scaling fits by law.

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
    further = further_axes(cube)
    shown = {entry.name: (entry, (*entry.axes, *further)) for entry in CATALOGUE.values() if entry.question}
    bar = sliders(cube, *(axes for _, axes in shown.values()))
    scene = _scene(cube, prediction, fits or {}, bar)
    films = {name: _film(scene, entry, bar, axes) for name, (entry, axes) in shown.items()}
    drawn = _json({"films": [_film_json(name, f, bar) for name, f in films.items()], "dark": style.DARK})
    contents, body = _body(scene, films, bar)
    page = Template(style.asset("report.html")).substitute(
        title=html.escape(parts.title_of(cube)),
        css=style.stylesheet() + style.asset("report.css"),
        js="".join(map(style.asset, ("paint.js", "narrow.js", "report.js"))),
        bokeh=_bokeh_js(),
        films=drawn,
        header=parts.header(cube),
        contents=contents,
        body=body,
    )
    write_atomically(target, lambda temporary: temporary.write_text(page, encoding="utf-8"))
    return target


def sliders(cube: xr.Dataset, *groups: Sequence[str]) -> tuple[Slider, ...]:
    """One slider for each axis of the cube that any group of axes names; each starts where its pictures tell most.

    Their positions are thinned until every group has few frames.
    """
    lengths, most = [[cube.sizes.get(name, 1) for name in group] for group in groups], MOST_POSITIONS
    while most > 2 and any(math.prod(min(n, most) for n in group) > MOST_FRAMES for group in lengths):
        most -= 1
    made = []
    for name in dict.fromkeys(itertools.chain(*groups)):
        if cube.sizes.get(name, 1) > 1:
            values = style.thin(cube[name].values.tolist(), most)
            made.append(Slider(name, tuple(values), _start(name, values)))
    return tuple(made)


def _start(name: str, values: Sequence[Any]) -> int:
    """alpha starts past the second threshold, n at the largest, the others in the middle."""
    if name == "alpha":
        return int(np.argmin([abs(v - 0.34) for v in values]))
    return len(values) - 1 if name == "n" else len(values) // 2


def _scene(
    cube: xr.Dataset, prediction: xr.Dataset | None, fits: Mapping[str, xr.Dataset], bar: Sequence[Slider]
) -> Scene:
    """What the views draw; without a prediction the study's is made, with more sizes and penalties for smooth lines."""
    if prediction is not None:
        return Scene(cube, prediction, fits)
    study = study_from(cube.attrs["study"])
    prediction = predicted.predict_or_none(study)
    alphas = next((slider.values for slider in bar if slider.name == "alpha"), tuple(cube["alpha"].values.tolist()))
    return Scene(cube, prediction, fits, None if prediction is None else predicted.smooth_losses(study, alphas))


def _film(scene: Scene, entry: Entry, bar: Sequence[Slider], axes: Sequence[str]) -> Film:
    return film(lambda **labels: entry.draw(scene, None, **labels), [s for s in bar if s.name in axes])


def _body(scene: Scene, films: Mapping[str, Film], bar: Sequence[Slider]) -> tuple[str, str]:
    """The contents and the body: what one would quote and the spectrum first, then each question, then the tables."""
    cube, fits = scene.cube, scene.fits
    found = seen(scene.compared)
    sentences, numbers, far = findings(found, fits), headlines(found, fits), far_points(found, tables.MOST_FAR)
    means, spikes = tables.mean_table(found), tables.appearance_table(found)
    first, *questions = _questions()
    inside = {
        first: parts.figures(first, SECTIONS.get(first, ""), films, CATALOGUE) + parts.KEY,
        "What was found": parts.found(sentences, scene.prediction),
        **{title: parts.figures(title, SECTIONS.get(title, ""), films, CATALOGUE) for title in questions},
        "What do the fits say?": parts.fits(fits),
        "Which points lie beyond 3 standard errors?": tables.deviation_table(far),
        "Means at the largest size": means,
        "Where this comes from": parts.provenance(cube),
    }
    there = {title: text for title, text in inside.items() if text}
    opening = parts.tiles(numbers) + spikes + parts.bar(bar)
    return parts.contents(there), "\n".join([opening, *(parts.section(*part) for part in there.items())])


def _questions() -> list[str]:
    """The questions that views answer, those of `SECTIONS` in their order and then any others."""
    brought = dict.fromkeys(entry.question for entry in CATALOGUE.values() if entry.question)
    return [*(q for q in SECTIONS if q in brought), *(q for q in brought if q not in SECTIONS)]


def _film_json(name: str, shown: Film, bar: Sequence[Slider]) -> dict[str, Any]:
    """A film, each of its sliders as the place in the bar and its length."""
    places = {slider.name: i for i, slider in enumerate(bar)}
    axes = [[places[s.name], len(s.values)] for s in shown.sliders]
    return {"name": name, "item": shown.item, "axes": axes, "frames": shown.frames, "captions": shown.captions}


def _json(value: Any) -> str:
    """JSON that may stand inside a script element: no `<` ends it early."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _bokeh_js() -> str:
    """BokehJS's core alone, from the installed package."""
    import bokeh

    path = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
    return path.read_text(encoding="utf-8").replace("</script", "<\\/script")
