"""A model as the theory sees it, and the cases that several tests share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SomeModel:
    """The fields of a study's [model] with their defaults, free of the study file's checks."""

    activation: str | Sequence[float] = "relu"
    target: str | Sequence[float] = (0.0, 1.0, 0.5)
    noise: float = 0.5
    dim_ratio: float = 0.5
    width_ratio: float = 1.0
    eta_scale: float = 1.0
    target_direction: str = "sphere"
    initial_output: str = "vanishing"
    readout: str = "gaussian"
    step_ratio: float = 1.0

    def dim(self, n: int) -> int:
        return round(self.dim_ratio * n)

    def width(self, n: int) -> int:
        return round(self.width_ratio * n)

    def step_samples(self, n: int) -> int:
        return round(self.step_ratio * n)

    def eta(self, n: int, alpha: float) -> float:
        return float(self.eta_scale * n**alpha)


REFERENCE: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "reference" / "theory.json").read_text(encoding="utf-8")
)["cases"]


def reference_model(case: dict[str, Any]) -> SomeModel:
    return SomeModel(**case["config"])
