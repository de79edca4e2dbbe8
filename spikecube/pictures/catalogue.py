"""All views by name: naming their modules registers them."""

from __future__ import annotations

from spikecube.pictures import views  # noqa: F401  its functions enter themselves
from spikecube.pictures.entry import CATALOGUE as CATALOGUE
from spikecube.pictures.entry import Entry as Entry
from spikecube.pictures.entry import Scene as Scene
