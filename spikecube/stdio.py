"""The standard streams of the command, whatever they are when it starts: closed, full, or of few letters."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any, TextIO

from spikecube.errors import SpikecubeError


class OutputError(SpikecubeError, RuntimeError):
    """Results that cannot be written to standard output."""


def guard() -> None:
    """Makes standard output and standard error such that nothing a command prints ends in a traceback.

    A stream that was closed leads nowhere. Standard output that cannot be written raises OutputError once; standard
    error that cannot be written is silent, since a message that nobody sees must not end a run. Letters that an
    encoding does not have are written as escapes.
    """
    _open_closed()
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115  it stays open as long as the process
    sys.stdout = _guarded(sys.stdout, 1)
    sys.stderr = _guarded(sys.stderr, 2)


def _open_closed() -> None:
    """The null device in place of closed streams: else the next file would get the number of one of them."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            _lead_nowhere(number)


def _lead_nowhere(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null == number:
        os.set_inheritable(number, True)  # else workers start with the stream closed, and wait for ever in its number
    else:
        os.dup2(null, number)
        os.close(null)


def _guarded(stream: TextIO | None, number: int) -> TextIO:
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Raw(number, "w", closefd=False)),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=number == 2 or bool(getattr(stream, "line_buffering", False)),
        write_through=bool(getattr(stream, "write_through", False)),
    )


class _Raw(io.FileIO):
    """A standard stream that leads nowhere once a write has failed, so that the end of the process meets no error."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            _lead_nowhere(self.fileno())
            if self.fileno() == 2:
                return len(data)
            if isinstance(error, BrokenPipeError):
                raise
            raise OutputError(f"standard output cannot be written: {error.strerror}") from error
