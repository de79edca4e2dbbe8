"""What ends a run early."""

from spikecube.errors import SpikecubeError


class RunError(SpikecubeError, RuntimeError):
    """A run that cannot start or go on, in one sentence."""
