"""Models and measures that tests of the numerics share."""

from __future__ import annotations

from typing import Any

from spikecube.model.parameters import Model
from spikecube.study.fields import Measure


def make_model(**changes: Any) -> Model:
    return Model(**changes)


def make_measure(**changes: Any) -> Measure:
    return Measure(**({"rank": 4} | changes))
