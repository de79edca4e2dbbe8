"""Legends inside their figure: one entry a series, none for what is not drawn, where they cover no mark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from spikecube.pictures.layers import Layer

Limits = tuple[float, float]
INSIDE = "inside"
"""The tag of a legend that stands in its frame wherever there is room for it."""
CORNERS = ("top_left", "top_right", "bottom_right", "bottom_left")
_MARKS = {
    "measured": "markers measured",
    "predicted": "lines predicted",
    "predicted ± remainder": "± bands",
    "limit": "dashes limit",
}
_LETTER, _LINE, _WIDTH, _HEIGHT = 5.7, 16.5, 440.0, 320.0  # of a legend and of the frame that it stands in, pixels


def gather(legend: Any) -> None:
    """Joins the entries of one series: `measured, n = 250` and `predicted, n = 250` become `n = 250`.

    The title says which marks are which.
    """
    series: dict[str, list[tuple[str, Any]]] = {}
    for item in legend.items:
        what, _, name = _text(item).partition(", ")
        if name and what in _MARKS:
            series.setdefault(name, []).append((what, item))
    joined = {name: parts for name, parts in series.items() if len(parts) > 1}
    if not joined:
        return
    gone = []
    for name, parts in joined.items():
        first, *rest = (item for _, item in parts)
        first.update(label={"value": name}, renderers=[r for _, item in parts for r in item.renderers])
        gone += rest
    kinds = {what for parts in joined.values() for what, _ in parts}
    kept = [item for item in legend.items if item not in gone]
    legend.items = sorted(kept, key=lambda item: _text(item) not in joined)
    legend.title = ", ".join(text for what, text in _MARKS.items() if what in kinds)


def _text(item: Any) -> str:
    label = item.label
    return str(label.get("value", "") if isinstance(label, dict) else getattr(label, "value", label))


def hide_the_dead(legend: Any) -> None:
    """Shows the entries alone that have something drawn."""
    for item in legend.items:
        item.visible = any(_drawn(renderer.data_source.data) for renderer in item.renderers)


def _drawn(columns: Any) -> bool:
    """Whether any row has numbers in all of its columns of numbers but the error."""
    numbers = [np.asarray(c) for name, c in columns.items() if name not in ("stderr", "residual", "seeds")]
    known = [np.isfinite(c) for c in numbers if c.dtype.kind in "fiu"]
    return bool(known) and bool(np.logical_and.reduce(known).any())


def placed(
    legend: Any, layers: Sequence[Layer], frame: tuple[Limits, Limits], log: tuple[bool, bool]
) -> tuple[str, Limits]:
    """A corner in which a legend covers no mark of some layers, and the ends of the y axis.

    Where no corner is free, the axis is longer at its upper end, so that the legend stands above the marks.
    """
    texts = [legend.title or "", *(f"    {_text(item)}" for item in legend.items if item.visible)]
    width = min(0.7, (_LETTER * max(map(len, texts)) + 20) / _WIDTH)
    height = min(0.5, (_LINE * len(texts) + 14) / _HEIGHT)
    x, y = (np.concatenate(part) for part in zip(*_spots(layers, frame, log), strict=True))
    beside = {"left": x < width, "right": x > 1 - width}
    level = {"top": y > 1 - height, "bottom": y < height}
    for name in CORNERS:
        up, side = name.split("_")
        if not (level[up] & beside[side]).any():
            return name, frame[1]
    reach = {side: float(y[inside].max()) for side, inside in beside.items()}
    side = min(reach, key=lambda name: reach[name])
    return f"top_{side}", _longer(frame[1], reach[side] / (1 - height), log[1])


def _longer(ends: Limits, factor: float, log: bool) -> Limits:
    low, high = map(math.log, ends) if log else ends
    high = low + factor * (high - low)
    return (ends[0], math.exp(high) if log else high)


def _spots(
    layers: Sequence[Layer], frame: tuple[Limits, Limits], log: tuple[bool, bool]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Where ink lies, as fractions of the frame; lines and bars by points close together."""
    spots = [(np.empty(0), np.empty(0))]
    for layer in layers:
        if layer.kind not in ("points", "bars", "line", "histogram", "spikes"):
            continue
        x, y = (_fractions(layer.column(i), frame[i], log[i]) for i in (0, 1))
        if layer.kind == "bars":
            y = np.linspace(y, _fractions(layer.column(2), frame[1], log[1]), 8).ravel()
            x = np.tile(x, 8)
        elif layer.kind == "line" and len(x) > 1:
            x, y = (np.linspace(part[:-1], part[1:], 8).T.ravel() for part in (x, y))
        inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
        spots.append((x[inside], y[inside]))
    return spots


def _fractions(values: np.ndarray, limits: Limits, log: bool) -> np.ndarray:
    values, (low, high) = np.asarray(values, dtype=float), limits
    if log:
        values = np.log(np.where(values > 0, values, np.nan))
        low, high = math.log(low), math.log(high)
    return (values - low) / (high - low)
