from __future__ import annotations

from tests.sweep.conftest import threads  # noqa: F401  a fixture of these tests too
