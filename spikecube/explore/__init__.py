"""HoloViews and Panel, and only here: views, app, report."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _Explore(ModuleType):
    """`spikecube.explore` is both this subpackage and the function `sc.explore(cube)`: a module that can be called."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return importlib.import_module("spikecube.explore.app").explore(*args, **kwargs)


sys.modules[__name__].__class__ = _Explore


def __getattr__(name: str) -> Any:
    if name == "report":
        return importlib.import_module("spikecube.explore.report").report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
