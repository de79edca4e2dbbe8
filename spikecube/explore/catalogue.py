"""All views by name: naming their modules registers them."""

from __future__ import annotations

from spikecube.explore import views  # noqa: F401  its functions enter themselves
from spikecube.explore.entry import CATALOGUE, Entry
from spikecube.explore.scene import Scene

__all__ = ["CATALOGUE", "Entry", "Scene"]
