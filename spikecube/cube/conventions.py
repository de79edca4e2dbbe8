"""The attributes that every file of ours has (CF-1.11, ACDD-1.3)."""

from __future__ import annotations

import datetime
from typing import Any

from spikecube._version import __version__

KEYWORDS = "random matrix theory, feature learning, two-layer network, gradient step, finite-size scaling"


PREDICTIONS = "predictions, not measurements"
"""The comment of a file of predictions."""


def stamp(done: str) -> dict[str, Any]:
    """The attributes that every file has: conventions, what was done when, and by which version."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {
        "Conventions": "CF-1.11, ACDD-1.3",
        "source": f"spikecube {__version__}",
        "product_version": __version__,
        "date_created": now,
        "history": f"{now}: {done} by spikecube {__version__}",
    }
