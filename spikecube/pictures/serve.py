"""The explorer on a port of this machine, for this machine only."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import panel as pn
import tornado.web
import xarray as xr
from bokeh.models import CustomJS
from bokeh.models.widgets import Toggle
from panel.io.resources import LOCAL_DIST
from tornado.websocket import WebSocketClosedError

from spikecube.pictures import style
from spikecube.pictures.app import REFRESH_MS, Explorer, Fitter
from spikecube.pictures.app_page import page, waiting_page
from spikecube.pictures.elsewhere import Elsewhere, in_process, remembered
from spikecube.pictures.sources import Ahead, Awaited, Source, source_of

ADDRESS = "127.0.0.1"
HOSTS = ("localhost", ADDRESS)


def serve(
    cube: xr.Dataset | str | Path | Source | Awaited,
    *,
    port: int = 0,
    fitter: Fitter | None = None,
    other: xr.Dataset | None = None,
    predict: bool = True,
    show: bool = False,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve the explorer of a cube until SIGINT or SIGTERM.

    The server listens on 127.0.0.1 alone; a page of another origin and a request under another host name are refused.

    Parameters
    ----------
    cube : a cube, its file, a source of one that still grows, or one that is not there yet: its page waits for it.
    port : 0 takes a free one.
    other : a second cube to draw beside the first.
    predict : whether to compute what theory says for each visitor from the start.
    show : whether to open a browser.
    started : called with the address once the server answers.

    Raises
    ------
    OSError
        If the port is taken.
    """
    source = cube if isinstance(cube, Awaited) else source_of(cube)
    pn.extension(raw_css=[style.asset("app_page.css")])
    server = make_server(source, port, fitter=fitter, other=other, predict=predict)
    address = f"http://localhost:{server.port}/"
    _stop_on_signals(server)
    _keep_to_the_point(server)
    server.start()
    if started is not None:
        started(address)
    if show:
        server.show("/")
    server.io_loop.start()
    server.stop()


def make_server(source: Source | Awaited, port: int, *, predict: bool = True, **known: Any) -> Any:
    """A server that is not started: one explorer a visitor, all of them over one source."""

    compute, answer = remembered(in_process), remembered(Elsewhere())
    beside: list[Ahead] = []

    def find() -> Source | None:
        """The source, read beside the page while it grows; None while there is nothing to show."""
        found = source.source() if isinstance(source, Awaited) else source
        if found is None or not found.live:
            return found
        if not beside:
            beside.append(Ahead(found))
        return beside[0] if beside[0].ready or not isinstance(source, Awaited) else None

    def visit() -> pn.viewable.Viewable:
        _keep_here()
        found = find()
        if found is None:
            assert isinstance(source, Awaited)
            return waiting(source, find)
        return explored(found)

    if not isinstance(source, Awaited):
        find()

    def explored(found: Source) -> pn.viewable.Viewable:
        explorer = Explorer(found, **known, compute=compute, answer=answer)
        explorer.follow_address(pn.state.location)
        if found.live:
            pn.state.add_periodic_callback(explorer.refresh, period=REFRESH_MS)
        if predict:
            explorer.begin()
        return page(explorer, nights=True)

    return _served(visit, port or _free_port())


def _served(visit: Callable[[], pn.viewable.Viewable], port: int) -> Any:
    """A server of one page, not started, on this machine alone."""
    server = pn.serve(
        {"/": visit},
        address=ADDRESS,
        port=port,
        websocket_origin=[f"{host}:{port}" for host in HOSTS],
        title="spikecube",
        start=False,
        show=False,
        verbose=False,
    )
    _refuse_other_hosts(server._tornado, {f"{host}:{port}" for host in HOSTS})
    return server


def waiting(awaited: Awaited, find: Callable[[], Source | None] | None = None) -> pn.viewable.Viewable:
    """The page of a source that is not there yet: once `find` has it, the browser loads the page again."""
    find = find or awaited.source
    begun = Toggle(visible=False)
    begun.js_on_change("active", CustomJS(code="location.reload();"))

    def look() -> None:
        if find() is not None:
            watch.stop()
            begun.active = True

    watch = pn.state.add_periodic_callback(look, period=REFRESH_MS)
    return waiting_page(awaited.title, awaited.sentence, pn.pane.Bokeh(begun, width=0, height=0, margin=0))


def _keep_here() -> None:
    """Has what changes on a page after it was sent ask this server for its styles, where Panel would ask a network."""
    if pn.state.curdoc is not None:
        pn.state.curdoc.template_variables["dist_url"] = LOCAL_DIST


def _free_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        return int(listener.getsockname()[1])


def _refuse_other_hosts(application: tornado.web.Application, hosts: set[str]) -> None:
    """Answers 403 to any request under another host name, so that no foreign name may be pointed at this machine."""
    find_handler = application.find_handler

    def guarded(request: Any, **kwargs: Any) -> Any:
        if request.host in hosts:
            return find_handler(request, **kwargs)
        return application.get_handler_delegate(request, tornado.web.ErrorHandler, {"status_code": 403})

    application.find_handler = guarded  # type: ignore[method-assign]


def _keep_to_the_point(server: Any) -> None:
    """Keeps from the terminal what nobody can act on: how sizes were settled, and pages left in the middle."""
    for name in ("param", "bokeh.server.views.ws"):
        logging.getLogger(name).setLevel(logging.ERROR)

    def failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), WebSocketClosedError):
            loop.default_exception_handler(context)

    server.io_loop.asyncio_loop.set_exception_handler(failed)


def _stop_on_signals(server: Any) -> None:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.io_loop.add_callback_from_signal(server.io_loop.stop)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
