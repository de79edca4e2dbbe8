"""A model as the theory sees it, and the cases that several tests share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.model.cases import PlainModel


@dataclass(frozen=True)
class SomeModel(PlainModel):
    """The fields of a study's [model], free of the study file's checks, on the sphere as the theory has it."""

    target_direction: str = "sphere"


REFERENCE: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "reference" / "theory.json").read_text(encoding="utf-8")
)["cases"]


def reference_model(case: dict[str, Any]) -> SomeModel:
    return SomeModel(**case["config"])
