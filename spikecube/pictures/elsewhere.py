"""Computations in a process of their own, which imports what they need and no page."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from spikecube.errors import SpikecubeError

T = TypeVar("T")
_processes: set[subprocess.Popen[bytes]] = set()


class ComputationEnded(SpikecubeError, RuntimeError):
    """A process that was computing ended without an answer."""


def in_process(function: Callable[..., T], *arguments: Any) -> T:
    """What a function of a module returns, or raises, called in a new process: this one goes on at its full speed.

    Raises
    ------
    ComputationEnded
        If the process ends without an answer.
    """
    command = [sys.executable, "-c", "from spikecube.pictures.elsewhere import answer; answer()"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        _processes.add(process)
        try:
            out, _ = process.communicate(pickle.dumps((function, arguments)))
        finally:
            _processes.discard(process)
    if process.returncode:
        raise ComputationEnded("its process ended before it had an answer")
    good, found = pickle.loads(out)
    if not good:
        raise found
    return found  # type: ignore[no-any-return]


def remembered(call: Callable[..., Any]) -> Callable[..., Any]:
    """As `call`, but a function of text is called once for each text: visitors share what theory says of a study."""
    known: dict[Any, Any] = {}

    def called(function: Callable[..., Any], argument: Any) -> Any:
        if not isinstance(argument, str):
            return call(function, argument)
        if (function, argument) not in known:
            known[function, argument] = call(function, argument)
        return known[function, argument]

    return called


def answer() -> None:
    """Calls the function on standard input, and writes what it returns or raises to standard output."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not stand in the answer
    function, arguments = pickle.load(sys.stdin.buffer)
    try:
        found = True, function(*arguments)
    except Exception as error:  # whatever it is, it is told on the page
        found = False, error
    with out:
        out.write(pickle.dumps(found))


@atexit.register
def _end_all() -> None:
    """No computation outlives the page that asked for it."""
    for process in list(_processes):
        with contextlib.suppress(OSError):
            process.kill()
