"""Long computations beside a page: awaited by a thread that touches nothing of it, and hands over what was found."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import panel as pn

T = TypeVar("T")
Deliver = Callable[[Callable[[], None]], object]


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
