"""spikecube: a laboratory for one gradient step in two-layer networks.

The names a user types, each imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from spikecube._version import __version__

_HOMES = {
    "Axes": "spikecube.study.study",
    "Measure": "spikecube.study.study",
    "Model": "spikecube.model.parameters",
    "Random": "spikecube.study.study",
    "Study": "spikecube.study.study",
    "StudyError": "spikecube.study.study",
    "collapse": "spikecube.scaling",
    "crossings": "spikecube.scaling",
    "derived": "spikecube.scaling",
    "design": "spikecube.scaling.design",
    "explore": "spikecube.live",
    "fit_gaps": "spikecube.scaling",
    "fit_law": "spikecube.scaling",
    "fit_limits": "spikecube.scaling",
    "fit_outliers": "spikecube.scaling",
    "fit_power_law": "spikecube.scaling",
    "fit_thresholds": "spikecube.scaling",
    "info": "spikecube.live",
    "merge": "spikecube.cube.merge",
    "open_cube": "spikecube.cube.store",
    "plan": "spikecube.runs.plan",
    "predict": "spikecube.cube.predict",
    "read_table": "spikecube.scaling.tables",
    "report": "spikecube.pictures.report",
    "run": "spikecube.runs.run",
    "run_until": "spikecube.until",
    "show": "spikecube.words.show",
    "status": "spikecube.runs.state",
    "verify": "spikecube.runs.verify",
}
_MODULES = {"views": "spikecube.pictures.views"}

__all__ = [*_HOMES, *_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'spikecube' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
