"""The command line: each command parses, calls two or three functions, and prints."""

from __future__ import annotations

import io
import sys

from spikecube import stdio
from spikecube.cli import computing, fitting, planning, reading  # noqa: F401  their commands enter themselves
from spikecube.cli.common import ERROR, Switches, leave
from spikecube.cli.common import app as app


def main() -> None:
    """The command `spikecube`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack letters that a title has
    if "--debug" in sys.argv[1:]:
        sys.argv.remove("--debug")
        Switches.debug = True
    stdio.guard()
    try:
        app()
    except stdio.OutputError as error:  # of the help and the messages of the parser
        leave(ERROR, f"spikecube: {error}")
