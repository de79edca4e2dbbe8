"""What ends a sweep early."""


class SweepError(RuntimeError):
    """A run that cannot start or go on, in one sentence."""
