"""HoloViews and Panel, and only here: views, report, and the explorer.

`spikecube.explore` is both this package and, called, the explorer of a cube: `sc.explore(cube)`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """This package, which shows the explorer when it is called."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The explorer of a cube; see `spikecube.explore.app.explore`."""
        from spikecube.explore.app import explore

        return explore(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
