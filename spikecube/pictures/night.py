"""Figures by night: every colour of the table exchanged for its other one, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bokeh.core.property.vectorization import Value
from bokeh.model import Model

from spikecube.pictures import style

BY_NIGHT = style.DARK
BY_DAY = {dark: light for light, dark in style.DARK.items()}


def paint(root: Model, table: Mapping[str, str]) -> None:
    """Exchanges the colours of a figure and of all its parts."""
    for model in root.references():
        for name in model.properties():
            if "color" in name or "palette" in name:
                old = getattr(model, name)
                new = _exchanged(old, table)
                if new != old:
                    setattr(model, name, new)


def _exchanged(value: Any, table: Mapping[str, str]) -> Any:
    if isinstance(value, Value):
        return Value(_exchanged(value.value, table))
    if isinstance(value, str):
        return table.get(value.lower(), value)
    if isinstance(value, list | tuple):
        return [_exchanged(part, table) for part in value]
    return value
