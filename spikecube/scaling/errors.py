"""What a fit says when it cannot be."""


class FitError(ValueError):
    """A fit that was asked for in a way that cannot be, in one sentence."""
