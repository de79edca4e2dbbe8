from __future__ import annotations

from tests.scaling.conftest import cube, prediction  # noqa: F401  fixtures of these tests too
