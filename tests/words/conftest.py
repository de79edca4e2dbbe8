from __future__ import annotations

from tests.scaling.conftest import cube  # noqa: F401  a fixture of these tests too
