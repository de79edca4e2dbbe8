"""A view over its sliders as one figure and the data that changes from frame to frame, so that it works offline."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.embed import json_item

from spikecube.pictures.picture import Canvas, Picture
from spikecube.pictures.spoken import spoken
from spikecube.words import symbols

SIGNIFICANT = 5


@dataclass(frozen=True)
class Slider:
    """A slider of a report: an axis, its values and the position it starts at."""

    name: str
    values: tuple[Any, ...]
    start: int

    @property
    def texts(self) -> list[str]:
        """Every position as it is printed."""
        return [symbols.value(v) for v in self.values]


@dataclass(frozen=True)
class Film:
    """A figure as BokehJS reads it, its sliders, and for each combination of their positions what changes.

    A frame is None where the view has nothing to draw there, and its caption says so: a title, a second line, and what
    is seen in words. `note` says what a view lacks that has nothing at all.
    """

    item: dict[str, Any]
    sliders: tuple[Slider, ...]
    frames: tuple[dict[str, Any] | None, ...]
    captions: tuple[tuple[str, str, str], ...]
    note: str = ""


def film(view: Callable[..., Picture], sliders: Sequence[Slider]) -> Film:
    """Every frame of a picture: the last slider runs fastest."""
    places = list(itertools.product(*(s.values for s in sliders)))
    names = [s.name for s in sliders]
    shots = [view(**dict(zip(names, place, strict=True))) for place in places]
    start = _start(sliders)
    same = [i for i, shot in enumerate(shots) if not shot.note]
    if start not in same and same:
        start = min(same, key=lambda i: abs(i - start))
    canvas = Canvas(shots[start])
    drawn = [i for i in same if shots[i].parts == canvas.parts]
    moves, states = bool(same) and len(shots) > 1, {}
    for i in drawn if moves else ():
        canvas.show(shots[i])
        states[i] = snapshot(canvas)
    canvas.show(shots[start])
    captions = tuple(_caption(shot, i in drawn) for i, shot in enumerate(shots))
    if not moves:
        return Film(_item(canvas), (), ({} if same else None,), (captions[start],), shots[start].note)
    return Film(_item(canvas), _started(sliders, start), _differences(states, len(places)), captions)


def _caption(shot: Picture, drawn: bool) -> tuple[str, str, str]:
    if not drawn:
        return (shot.note or "There is no such picture at this place.", "", "")
    title, _, below = shot.title.partition("\n")
    return (title, below, spoken(shot))


def _start(sliders: Sequence[Slider]) -> int:
    shape = [len(s.values) for s in sliders]
    return int(np.ravel_multi_index([s.start for s in sliders], shape)) if shape else 0


def _started(sliders: Sequence[Slider], start: int) -> tuple[Slider, ...]:
    positions = np.unravel_index(start, [len(s.values) for s in sliders])
    return tuple(Slider(s.name, s.values, int(i)) for s, i in zip(sliders, positions, strict=True))


def _item(canvas: Canvas) -> dict[str, Any]:
    """The figure without its title, as a JSON document that fills the width it is given."""
    for figure in canvas.figures:
        figure.title.text = ""
    item: dict[str, Any] = dict(json_item(canvas.root))
    item["doc"] = {k: v for k, v in item["doc"].items() if k != "defs"}  # definitions of widgets that are not here
    return item


def snapshot(canvas: Canvas) -> dict[str, Any]:
    """All that a slider may change in a figure but its title, by the id of its model."""
    figure, state = canvas.figure, {}
    for source in filter(None, canvas.sources):
        state[source.id] = {"data": {name: _round(np.asarray(column).tolist()) for name, column in source.data.items()}}
    for span in (figure.x_range, figure.y_range):
        state[span.id] = {"start": _round(span.start), "end": _round(span.end)}
    for axis in figure.axis:
        state[axis.id] = {"axis_label": axis.axis_label}
    for legend in figure.legend:
        state[legend.id] = {"location": legend.location}
        state |= {item.id: {"visible": item.visible} for item in legend.items}
    return state if canvas.strip is None else state | snapshot(canvas.strip)


def _differences(states: Mapping[int, dict[str, Any]], count: int) -> tuple[dict[str, Any] | None, ...]:
    """Each frame without the models that never change."""
    first = next(iter(states.values()))
    changing = [model for model in first if any(state.get(model) != first[model] for state in states.values())]
    return tuple(
        {model: states[i][model] for model in changing if model in states[i]} if i in states else None
        for i in range(count)
    )


def _round(value: Any) -> Any:
    """Numbers to five significant digits, NaN as None: what a picture can show, and JSON can hold."""
    if isinstance(value, list):
        return [_round(v) for v in value]
    if not isinstance(value, float):
        return value
    return float(f"{value:.{SIGNIFICANT}g}") if math.isfinite(value) else None
