"""Models on the sphere, where the theory has them, and the cases that several tests share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spikecube.model.parameters import Model


def sphere_model(**changes: Any) -> Model:
    """A model whose target direction has length one."""
    return Model(**({"target_direction": "sphere"} | changes))


TANH = sphere_model(
    activation="tanh",
    target=(0.0, 1.0, 0.0, 0.3),
    noise=0.2,
    dim_ratio=1.4,
    width_ratio=0.7,
    readout="rademacher",
    step_ratio=2.0,
)
SOFTPLUS = sphere_model(
    activation="softplus",
    target=(0.2, 1.0, 0.6),
    noise=0.3,
    dim_ratio=0.6,
    width_ratio=1.8,
    eta_scale=2.0,
    readout="constant",
    step_ratio=0.6,
)

REFERENCE: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "reference" / "theory.json").read_text(encoding="utf-8")
)["cases"]


def reference_model(case: dict[str, Any]) -> Model:
    return sphere_model(**case["config"])
