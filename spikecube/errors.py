"""The one base of all errors of this package."""

from __future__ import annotations


class SpikecubeError(Exception):
    """What this package says of a mistake or of trouble, in a sentence for people.

    Every error class of spikecube is one, and keeps its built-in base beside it: `except ValueError` goes on to work.

    >>> from spikecube.model.checks import StudyError
    >>> issubclass(StudyError, SpikecubeError), issubclass(StudyError, ValueError)
    (True, True)
    """
