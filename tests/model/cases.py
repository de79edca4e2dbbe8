"""Models and measures with other values than the defaults of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikecube.model.parameters import Model


@dataclass(frozen=True)
class PlainModel:
    """The fields and methods of a model that numerics read."""

    activation: Any = "relu"
    target: Any = (0.0, 1.0, 0.5)
    noise: float = 0.5
    dim_ratio: float = 0.5
    width_ratio: float = 1.0
    eta_scale: float = 1.0
    target_direction: str = "gaussian"
    initial_output: str = "vanishing"
    readout: str = "gaussian"
    step_ratio: float = 1.0

    def dim(self, n: int) -> int:
        return round(n * self.dim_ratio)

    def width(self, n: int) -> int:
        return round(n * self.width_ratio)

    def step_samples(self, n: int) -> int:
        return round(n * self.step_ratio)

    def eta(self, n: int, alpha: float) -> float:
        return float(self.eta_scale * n**alpha)


@dataclass(frozen=True)
class PlainMeasure:
    """The fields of a measure."""

    rank: int = 4
    degree: int = 3
    ell: int = 3
    test_risk: str = "sample"
    test_samples: int | str = "n"
    spectrum_bins: int = 0
    precision: str = "float64"


def make_model(**changes: Any) -> Model:
    return Model(**changes)


def make_measure(**changes: Any) -> PlainMeasure:
    return PlainMeasure(**changes)
