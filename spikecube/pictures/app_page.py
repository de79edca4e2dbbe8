"""The page of an explorer: what is chosen on the left, two views beside it; below them on a narrow screen."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn

from spikecube.means.spikes import study_of
from spikecube.pictures import exports, style, tables
from spikecube.pictures.app import Explorer
from spikecube.pictures.app_screen import FREE, Screen
from spikecube.pictures.report_parts import title_of
from spikecube.pictures.visitor import DARK, NARROW, watch
from spikecube.words import symbols

_SMALL: dict[str, Any] = {"variant": "outline", "margin": (4, 3), "height": 32}


def look(*, nights: bool) -> str:
    """The look of the report, for a tree of components; without nights its colours by day alone."""
    shared = style.stylesheet()
    day = "" if nights else shared.partition("@media")[0]
    return f"{shared}\n{day}\n{style.asset('app.css')}".replace(":root", ":host")


def page(explorer: Explorer, *, nights: bool = False) -> pn.viewable.Viewable:
    """The page of an explorer; with nights it is dark where the visitor's screen is, as a page of its own can be."""
    sheet = look(nights=nights)
    views = [_screen(explorer, slot, sheet) for slot in range(len(explorer.screens))]
    whole = pn.Column(
        _side(explorer, sheet),
        pn.Column(*views, css_classes=["views"], stylesheets=[sheet], sizing_mode="stretch_both"),
        *([watch(DARK, explorer.darken), watch(NARROW, explorer.squeeze)] if nights else []),
        css_classes=["explorer"],
        stylesheets=[sheet],
        sizing_mode="stretch_both",
    )
    return _painted(whole, nights=nights)


def _painted(whole: pn.viewable.Viewable, *, nights: bool) -> pn.viewable.Viewable:
    """A page whose every part has our colours, by night too, and not those of the notebook that it stands in."""
    sheets = [style.asset("app_day.css"), *([style.asset("app_night.css")] if nights else [])]
    for part in whole.select():
        part.stylesheets = [*part.stylesheets, *sheets]
    return whole


def waiting_page(title: str, sentence: str, unseen: pn.viewable.Viewable) -> pn.viewable.Viewable:
    """The page of an explorer that has nothing to show yet."""
    sheet = look(nights=True)
    text = f"<h1>{escape(title)}</h1><p role='status'>{escape(sentence)} What it computes will appear here.</p>"
    words = pn.pane.HTML(text, stylesheets=[sheet], sizing_mode="stretch_width")
    side = pn.Column(words, unseen, css_classes=["side"], stylesheets=[sheet], sizing_mode="stretch_width")
    page = pn.Column(side, css_classes=["explorer"], stylesheets=[sheet], sizing_mode="stretch_width")
    return _painted(page, nights=True)


def _side(explorer: Explorer, sheet: str) -> pn.viewable.Viewable:
    """Title, selection, and what can be asked for."""
    cube = explorer.scene.cube
    model = symbols.scripts(tables.model_sentence(study_of(cube).model))
    heading = f"<h1>{escape(title_of(cube))}</h1><p>{model}</p>"
    link = pn.pane.HTML(stylesheets=[sheet], sizing_mode="stretch_width")

    def update_link(*_events: object) -> None:
        link.object = f'<a href="{explorer.query()}" target="_blank">link to this selection</a>'

    for widget in explorer.named_widgets().values():
        widget.param.watch(update_link, "value")
    update_link()
    predict = pn.widgets.Button(label="Predict", color="primary", on_click=explorer.predict)
    fit = pn.widgets.Button(label="Fit", color="primary", on_click=explorer.fit, disabled=explorer.fitter is None)
    explorer.state.stylesheets = [sheet]
    return pn.Column(
        pn.pane.HTML(heading, stylesheets=[sheet], sizing_mode="stretch_width"),
        explorer.state,
        *explorer.sliders.values(),
        _free(explorer),
        pn.FlexBox(predict, fit, explorer.unmark, explorer.busy, align_items="center"),
        explorer.message,
        pn.pane.HTML(
            "<p class='key'>Markers are measured (bars: one standard error), lines predicted, dashes limits. "
            "Drag a box over a view with α on its axis to mark those points in both views.</p>",
            stylesheets=[sheet],
            sizing_mode="stretch_width",
        ),
        link,
        css_classes=["side"],
        stylesheets=[sheet],
        sizing_mode="stretch_width",
    )


def _free(explorer: Explorer) -> pn.viewable.Viewable:
    free = explorer.free
    box = pn.Column(free.variable, pn.Row(free.x, free.colour), sizing_mode="stretch_width")

    def appear(*_events: object) -> None:
        box.visible = any(choice.value == FREE for choice in explorer.choices)

    for choice in explorer.choices:
        choice.param.watch(appear, "value")
    appear()
    return box


def _screen(explorer: Explorer, slot: int, sheet: str) -> pn.viewable.Viewable:
    """One view, its choice above it, what can be taken away below it."""
    screen = explorer.screens[slot]
    for part in (screen.title, screen.table):
        part.stylesheets = [sheet]
    return pn.Column(
        pn.Row(screen.choice, *screen.logs.values(), sizing_mode="stretch_width"),
        screen.title,
        pn.Column(screen.pane, css_classes=["figure"], stylesheets=[sheet], sizing_mode="stretch_both"),
        pn.FlexBox(*_pictures(slot), *_downloads(explorer, slot), _copy(screen), screen.with_table),
        screen.python,
        screen.table,
        css_classes=["screen"],
        stylesheets=[sheet],
        sizing_mode="stretch_both",
    )


def _pictures(slot: int) -> list[Any]:
    buttons = []
    for kind in ("png", "svg"):
        button = pn.widgets.Button(label=kind.upper(), width=54, **_SMALL)
        button.js_on_click(args={"kind": kind, "slot": slot}, code=style.asset("save_picture.js"))
        buttons.append(button)
    return buttons


def _downloads(explorer: Explorer, slot: int) -> list[Any]:
    """The data of a view as CSV and netCDF, under a name of its own."""
    screen = explorer.screens[slot]
    kinds: dict[str, tuple[str, int, Callable[[], Any]]] = {
        "csv": ("CSV", 58, lambda: exports.csv_of(explorer.data(slot))),
        "nc": ("netCDF", 76, lambda: exports.netcdf_of(explorer.data(slot), explorer.scene)),
    }
    buttons = {
        kind: pn.widgets.FileDownload(
            callback=give, filename=f"{screen.stem}.{kind}", label=label, embed=False, width=width, **_SMALL
        )
        for kind, (label, width, give) in kinds.items()
    }

    def rename(*_events: object) -> None:
        for kind, button in buttons.items():
            button.filename = f"{screen.stem}.{kind}"

    screen.python.param.watch(rename, "value")
    return list(buttons.values())


def _copy(screen: Screen) -> pn.viewable.Viewable:
    button = pn.widgets.Button(label="Copy Python", width=104, **_SMALL)
    button.js_on_click(args={"code": screen.python, "button": button}, code=style.asset("copy.js"))
    return button
