"""The parts of the report as HTML: header, tiles, the bar, contents, figures, sections; every text is escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import xarray as xr

from spikecube.means.spikes import study_of
from spikecube.pictures import tables
from spikecube.pictures.entry import Entry
from spikecube.pictures.frames import Film, Slider
from spikecube.text import number
from spikecube.words import symbols
from spikecube.words.findings import fitted
from spikecube.words.headlines import Headline
from spikecube.words.seeds import counted

_VERDICT = {True: "holds", False: "fails", None: "quoted"}


def title_of(cube: xr.Dataset) -> str:
    """The title of a cube."""
    return str(cube.attrs.get("title", "spikecube"))


def header(cube: xr.Dataset) -> str:
    """Title, model, axes."""
    sizes = ", ".join(
        f"{symbols.symbol(name)}: {_axis_text(cube, name)}" for name in ("alpha", "n", "lam") if name in cube.dims
    )
    sizes += f"; {counted(cube.sizes.get('seed', 1), 'seed')}."
    return (
        f"<header><h1>{escape(title_of(cube))}</h1>"
        f"<p>{symbols.scripts(tables.model_sentence(study_of(cube).model))} {escape(sizes)}</p>"
        "</header>"
    )


def _axis_text(cube: xr.Dataset, name: str) -> str:
    values = cube[name].values
    if len(values) <= 4:
        return ", ".join(number(float(v)) for v in values)
    return f"{number(float(values[0]))} to {number(float(values[-1]))} ({len(values)} values)"


def tiles(lines: Sequence[Headline]) -> str:
    """The numbers one would quote; a green edge where theory's value is inside, an orange one where it is not."""
    items = "".join(
        f'<li class="{_VERDICT[line.holds]}"><span>{escape(line.name)}</span><b>{escape(line.value)}</b>'
        f"<span>{escape(line.beside)}</span></li>"
        for line in lines
    )
    return f'<ul class="tiles" aria-label="Numbers to quote">{items}</ul>' if items else ""


def bar(sliders: Sequence[Slider]) -> str:
    """The sliders of the page, which stay in sight."""
    labels = "".join(map(_slider, sliders))
    return f'<form class="bar" aria-label="Where the figures stand">{labels}</form>' if labels else ""


def _slider(slider: Slider) -> str:
    symbol, last = symbols.symbol(slider.name), len(slider.values) - 1
    text = f"{symbol} = {slider.texts[slider.start]}"
    return (
        f'<label><span>{escape(symbol)}</span><input type="range" name="{escape(slider.name)}" min="0" max="{last}" '
        f'step="1" value="{slider.start}" autocomplete="off" data-symbol="{escape(symbol)}" '
        f'data-texts="{escape(json.dumps(slider.texts))}" aria-label="{escape(slider.name)}" '
        f'aria-valuetext="{escape(text)}"><output>{escape(text)}</output></label>'
    )


def contents(titles: Iterable[str]) -> str:
    """Links to the sections."""
    items = "".join(f'<li><a href="#{anchor(title)}">{escape(title)}</a></li>' for title in titles)
    return f'<nav class="contents" aria-label="Contents"><ol>{items}</ol></nav>'


def anchor(title: str) -> str:
    """A title as the name of its place.

    >>> anchor("What was found")
    'what-was-found'
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


_ERROR = re.compile(r"\d\(\d+\)")
"""A number with its standard error."""


_WIDE = ("Which points lie beyond 3 standard errors?", "Means at the largest size")
"""Sections of one table, which may be wider than the page."""
_KINDS = {"What was found": ' class="found"'}


def section(title: str, inside: str) -> str:
    """A section of the page under its title."""
    text = scroll(inside, title) if title in _WIDE else inside
    return f'<section{_KINDS.get(title, "")} id="{anchor(title)}"><h2>{escape(title)}</h2>{text}</section>'


def found(sentences: Sequence[str], prediction: xr.Dataset | None) -> str:
    """All that can be said, and what the marks of the figures mean."""
    items = "".join(f"<li>{symbols.scripts(s)}</li>" for s in sentences)
    items += "<li>Digits in brackets are standard errors of the last digits.</li>" if _ERROR.search(items) else ""
    lack = "There is no prediction for this study: only measurements are shown."
    return f"<ul>{items}</ul>" + (f"<p>{lack}</p>" if prediction is None else "")


KEY = (
    '<div class="key"><span><i class="dot"></i>markers: measured, mean over seeds, bar of one standard error</span>'
    '<span><i class="rule"></i>lines: predicted at this n</span><span><i class="dash"></i>'
    "dashes: predicted limit</span><span>bands: how far a prediction may be off</span></div>"
)


def figures(question: str, text: str, films: Mapping[str, Film], entries: Mapping[str, Entry]) -> str:
    """The views that answer a question, in pairs; what several lack is said once."""
    shown = {name: film for name, film in films.items() if entries[name].question == question}
    first = {film.note: name for name, film in reversed(shown.items()) if film.note}
    all_of_them = "".join(
        figure(name, film, entries[name].title, hidden=first.get(film.note, name) != name)
        for name, film in shown.items()
    )
    drawn = text and any(not film.note for film in shown.values())
    lead = f"<p>{symbols.scripts(text)}</p>" if drawn else ""
    pair = " pair" if len(shown) > 1 else ""
    return f'{lead}<div class="figures{pair}">{all_of_them}</div>'


def figure(name: str, film: Film, title: str, *, hidden: bool = False) -> str:
    """A figure with its caption, what it shows in words, and its buttons."""
    buttons = "".join(
        f'<button type="button" data-kind="{kind.lower()}" aria-label="save {escape(title)} as {kind}">{kind}</button>'
        for kind in ("PNG", "SVG", "CSV")
    )
    lacks = ' class="note"' if film.note else ""
    return (
        f'<figure id="film-{name}"{lacks}{" hidden" if hidden else ""}>'
        '<figcaption aria-live="off"><b></b><span></span></figcaption>'
        f'<div class="plot" id="plot-{name}" role="img" aria-label="{escape(title)}"></div>'
        f'<p class="absent" role="status"></p><div class="tools">save as {buttons}</div></figure>'
    )


def fits(made: Mapping[str, xr.Dataset]) -> str:
    """What each fit means in two sentences, all that it says and its table folded; why there is none, once."""
    parts, beside = [], set()
    for law, fit in made.items():
        whole, rows = str(fit.attrs.get("sentence", "")).removeprefix(f"{law}: "), tables.fit_table(fit)
        if not rows and whole in beside:
            whole = "no fit, for the same reason."
        beside.add(whole)
        short = fitted(law, fit) if rows else ""
        inside = f"<p>{symbols.scripts(whole)}</p>{scroll(rows, f'Fit of the {law}')}"
        folded = f"<details><summary>all of it, with the table</summary>{inside}</details>" if rows else ""
        parts.append(f"<h3>{escape(law)}</h3><p>{symbols.scripts(short or whole)}</p>{folded}")
    return "".join(parts)


def scroll(table: str, name: str) -> str:
    """A table that may be wider than the page; the keyboard can move it."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">{table}</div>'


def provenance(cube: xr.Dataset) -> str:
    """The study as it was run, and all that is known of where the cube was made."""
    study = f'<pre tabindex="0">{escape(str(cube.attrs.get("study", "")))}</pre>'
    return f"{scroll(tables.provenance_table(cube), 'Provenance')}<p>The study, as it was run:</p>{study}"
