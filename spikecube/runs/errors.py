"""What ends a run early."""


class SweepError(RuntimeError):
    """A run that cannot start or go on, in one sentence."""
