"""spikecube: a laboratory for one gradient step in two-layer networks."""

from spikecube._version import __version__

__all__ = ["__version__"]
