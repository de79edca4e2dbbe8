from __future__ import annotations

from tests.explore.conftest import cube, make, prediction  # noqa: F401  fixtures of these tests too
