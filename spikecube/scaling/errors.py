"""What a fit says when it cannot be."""

from spikecube.errors import SpikecubeError


class FitError(SpikecubeError, ValueError):
    """A fit that was asked for in a way that cannot be, in one sentence."""


class TooManySeedsError(FitError):
    """A target takes more seeds than anybody would run."""
