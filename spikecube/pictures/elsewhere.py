"""Computations in another process, which imports what they need and no page."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from spikecube.errors import SpikecubeError

T = TypeVar("T")
_processes: set[subprocess.Popen[bytes]] = set()


class ComputationEnded(SpikecubeError, RuntimeError):
    """A process that was computing ended without an answer."""


class Elsewhere:
    """A process that answers one call after another; it starts with the first, and again after its end."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __call__(self, function: Callable[..., T], *arguments: Any) -> T:
        """What a function of a module returns, or raises, called there: this process goes on at its full speed.

        Raises
        ------
        ComputationEnded
            If the process ends without an answer.
        """
        request = pickle.dumps((function, arguments))
        with self._lock:
            process = self._process = self._process or _started()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(request)
                process.stdin.flush()
                good, found = pickle.load(process.stdout)
            except (OSError, EOFError, pickle.UnpicklingError):
                self._end()
                raise ComputationEnded("its process ended before it had an answer") from None
        if not good:
            raise found
        return found  # type: ignore[no-any-return]

    def close(self) -> None:
        """Ends the process once it has answered."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._process is not None:
            _ended(self._process)
        self._process = None


def in_process(function: Callable[..., T], *arguments: Any) -> T:
    """What a function of a module returns, or raises, called in a new process.

    Raises
    ------
    ComputationEnded
        If the process ends without an answer.
    """
    with contextlib.closing(Elsewhere()) as elsewhere:
        return elsewhere(function, *arguments)


def remembered(call: Callable[..., Any]) -> Callable[..., Any]:
    """As `call`, but a function of values is called once for each: visitors share what theory says of a study."""
    cached = functools.cache(call)

    def called(function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            hash(arguments)
        except TypeError:  # data have no hash
            return call(function, *arguments)
        return cached(function, *arguments)

    return called


def answer() -> None:
    """Calls each function on standard input, and writes what it returns or raises to standard output."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not stand in the answer
    with out, contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            function, arguments = pickle.load(sys.stdin.buffer)
            try:
                found = True, function(*arguments)
            except Exception as error:  # whatever it is, it is told on the page
                found = False, error
            out.write(pickle.dumps(found))
            out.flush()


def _started() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from spikecube.pictures.elsewhere import answer; answer()"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    _processes.add(process)
    return process


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Closes the pipes of a process, at which it ends, and waits for that."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):  # what was not taken up is lost
        process.stdin.close()
    process.stdout.close()
    process.wait()
    _processes.discard(process)


@atexit.register
def _end_all() -> None:
    """No computation outlives the page that asked for it."""
    for process in list(_processes):
        with contextlib.suppress(OSError):
            process.kill()
