"""Long computations beside a page: awaited by a thread that touches nothing of it, and hands over what was found."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import panel as pn
import xarray as xr

from spikecube.pictures import predicted

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


class Bulks:
    """Predicted densities of the bulk, computed elsewhere: one that is not known yet is empty, and drawn when it comes.

    One is asked for at a time; of those that a moving slider wants meanwhile, the last.

    Parameters
    ----------
    answer : calls a function with arguments, elsewhere.
    came : called on the page when one has come.
    tell : called on the page with what went wrong.
    """

    def __init__(self, answer: Callable[..., Any], came: Callable[[], None], tell: Callable[[str], None]) -> None:
        self._answer, self._came, self._tell = answer, came, tell
        self._known: dict[predicted.Place, xr.DataArray] = {}
        self._asked = False

    def __call__(self, cube: xr.Dataset, **labels: Any) -> xr.DataArray:
        """The density at a place of a cube."""
        place = predicted.bulk_place(cube, **labels)
        if place not in self._known and not self._asked:
            self._asked = True
            in_background(
                lambda: self._answer(predicted.bulk_at, *place),
                lambda found: self._take(place, found),
                lambda error: self._take(place, predicted.no_bulk(), f"The density of the bulk failed: {error}"),
            )
        return self._known.get(place, predicted.no_bulk())

    def _take(self, place: predicted.Place, found: xr.DataArray, trouble: str = "") -> None:
        self._known[place], self._asked = found, False
        self._came()
        if trouble:
            self._tell(trouble)
