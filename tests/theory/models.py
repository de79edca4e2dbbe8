"""Models on the sphere, where the theory has them, and the cases that several tests share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spikecube.model.parameters import Model


def sphere_model(**changes: Any) -> Model:
    """A model whose target direction has length one."""
    return Model(**({"target_direction": "sphere"} | changes))


REFERENCE: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "reference" / "theory.json").read_text(encoding="utf-8")
)["cases"]


def reference_model(case: dict[str, Any]) -> Model:
    return sphere_model(**case["config"])
