"""The one base of all errors of this package."""

from __future__ import annotations

import re


class SpikecubeError(Exception):
    """What this package says of a mistake or of trouble, in a sentence for people.

    Every error class of spikecube is one, and keeps its built-in base beside it: `except ValueError` goes on to work.

    >>> from spikecube.model.checks import StudyError
    >>> issubclass(StudyError, SpikecubeError), issubclass(StudyError, ValueError)
    (True, True)
    """


def reason_of(error: Exception) -> str:
    """The first line of what a library says, without the number of the error and the path at its end.

    >>> reason_of(OSError(-51, "NetCDF: Unknown file format", "/data/study.toml"))
    'Unknown file format'
    """
    line = str(error).strip().partition("\n")[0]
    return re.sub(r"^\[Errno -?\d+\] (NetCDF: )?|: ['\"][^'\"]*['\"]$", "", line)
