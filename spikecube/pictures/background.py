"""Long computations beside a page: in a process of their own, awaited by a thread that touches nothing of the page."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import panel as pn

T = TypeVar("T")
Deliver = Callable[[Callable[[], None]], object]
_processes: set[subprocess.Popen[bytes]] = set()


class ComputationEnded(RuntimeError):
    """A process that was computing ended without an answer."""


def in_process(function: Callable[..., T], *arguments: Any) -> T:
    """What a function of a module returns, or raises, called in a new process: this one goes on at its full speed.

    Raises
    ------
    ComputationEnded
        If the process ends without an answer.
    """
    command = [sys.executable, "-c", "from spikecube.pictures.background import answer; answer()"]
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


def deliver() -> Deliver:
    """How another thread may have something done to the page that is being answered.

    A served page belongs to the lock of its document, which only a callback on its next tick holds; that of a page that
    was closed meanwhile is never called. In a notebook the running event loop does it; without either it is done at
    once.
    """
    document = pn.state.curdoc
    if document is not None and document.session_context is not None:
        return document.add_next_tick_callback
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        return lambda done: done()


def in_background(compute: Callable[[], T], done: Callable[[T], None], failed: Callable[[Exception], None]) -> None:
    """Compute in a thread; on the page, hand what was found to `done`, or the exception to `failed`.

    The thread does not keep the process from ending.
    """
    hand_over = deliver()

    def work() -> None:
        try:
            found = compute()
        except Exception as error:  # whatever it is, it is told on the page
            reason = error
            hand_over(lambda: failed(reason))
        else:
            hand_over(lambda: done(found))

    threading.Thread(target=work, daemon=True).start()
