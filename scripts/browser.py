"""A real headless Chromium, driven over its DevTools protocol; it can reach this machine and nothing else."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tornado.ioloop import IOLoop
from tornado.websocket import WebSocketClientConnection, websocket_connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
OFFLINE = ("--proxy-server=127.0.0.1:9", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
PATIENCE = 30.0


class NoBrowser(RuntimeError):
    """No browser is installed, in a sentence."""


def executable() -> str:
    """The browser.

    Raises
    ------
    NoBrowser
        If none is installed.
    """
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if not found:
        raise NoBrowser(f"none of {', '.join(NAMES)} is installed")
    return found


class Page:
    """A tab: what it asked the network for, what it complained about, and what it shows."""

    def __init__(self, socket_url: str) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._count = 0
        self._loop = IOLoop(make_current=False)
        self._socket: WebSocketClientConnection = self._loop.run_sync(
            lambda: websocket_connect(socket_url, max_message_size=2**28), timeout=PATIENCE
        )
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the protocol and its answer; events on the way are noted."""
        self._count += 1
        number = self._count
        message = json.dumps({"id": number, "method": method, "params": params})
        return self._loop.run_sync(lambda: self._answer(message, number), timeout=PATIENCE)  # type: ignore[no-any-return]

    async def _answer(self, message: str, number: int) -> dict[str, Any]:
        await self._socket.write_message(message)
        while True:
            text = await self._socket.read_message()
            assert text is not None, "the browser has closed the connection"
            answer = json.loads(text)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith(("data:", "blob:")):
                    self.requests.append(url)
            case "Network.webSocketCreated":
                self.requests.append(params["url"])
            case "Runtime.exceptionThrown":
                self.errors.append(str(params["exceptionDetails"].get("exception", params)))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "assert", "warning"):
                self.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                if "GL Driver Message" not in params["entry"]["text"]:  # of the machine, not of the page
                    self.errors.append(params["entry"]["text"])

    def open(self, url: str, width: int = 1280, height: int = 1000) -> None:
        """Loads a page."""
        self.resize(width, height)
        self.call("Page.navigate", url=url)

    def resize(self, width: int, height: int) -> None:
        """Makes the window another size."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def run(self, script: str) -> Any:
        """The value of an expression; a promise is waited for."""
        result = self.call("Runtime.evaluate", expression=HELPERS + script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, condition: str) -> Any:
        """Waits in the page until an expression is truthy, and gives its value."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            value = self.run(f"until(() => ({condition}), 2000)")
            if value:
                return value
        raise AssertionError(f"not within {PATIENCE} s: {condition}; errors: {self.errors}")

    def ink(self) -> list[str]:
        """For each canvas with something on it, a fingerprint of its pixels."""
        return list(self.run("ink()"))

    def screenshot(
        self, path: Path, *, full: bool = True, clip: tuple[float, float, float, float] | None = None
    ) -> Path:
        """A picture of the page, of its window, or of a rectangle (x, y, width, height)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if full:
            height = min(16000, int(self.run("document.documentElement.scrollHeight")))
            self.resize(int(self.run("window.innerWidth")), height)
        self.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 500)))")
        part = dict(zip(("x", "y", "width", "height"), clip, strict=True), scale=1) if clip else None
        data = self.call("Page.captureScreenshot", format="png", **({"clip": part} if part else {}))["data"]
        path.write_bytes(base64.b64decode(data))
        return path

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """A drag of the mouse with the left button down."""
        steps = [start, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2), end]
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=start[0], y=start[1])
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], button="left", clickCount=1)
        for x, y in steps:
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], button="left", clickCount=1)

    def close(self) -> None:
        """Leaves the page; within the loop, since the thread may have no current one by now."""

        async def leave() -> None:
            self._socket.close()

        self._loop.run_sync(leave, timeout=PATIENCE)
        self._loop.close()


HELPERS = """
var everywhere = (root, selector) => [
  ...root.querySelectorAll(selector),
  ...[...root.querySelectorAll("*")].filter((e) => e.shadowRoot).flatMap((e) => everywhere(e.shadowRoot, selector)),
];
var ink = (root = document) => everywhere(root, "canvas").map((canvas) => {
  if (!canvas.width || !canvas.height) return "";
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0, inked = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i + 3] && pixels[i] + pixels[i + 1] + pixels[i + 2] < 600) inked += 1;
    sum = (sum * 31 + pixels[i] * 3 + pixels[i + 1] * 5 + pixels[i + 2] * 7 + pixels[i + 3]) % 2147483647;
  }
  return inked > 200 ? `${inked}:${sum}` : "";
}).filter((text) => text);
var settled = async (selector) => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 30))));
  return ink(document.querySelector(selector)).join();
};
var until = (condition, ms) => new Promise((done) => {
  const end = performance.now() + ms;
  const look = () => {  // looks of all pixels take long: a page that is looked at all the time never gets on
    const begun = performance.now();
    let value = null;
    try { value = condition(); } catch { value = null; }
    const now = performance.now();
    if (value || now > end) done(value); else setTimeout(look, Math.max(20, 5 * (now - begun)));
  };
  look();
});
"""


@contextmanager
def browser(*, offline: bool) -> Iterator[Page]:
    """A browser with an empty profile and one page; offline, every request but one to this machine fails."""
    program = executable()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [*FLAGS, *(OFFLINE if offline else ()), f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen([program, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            page = Page(_socket_url(_port(Path(profile), process)))
            yield page
            page.close()
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    """The port of the protocol, which the browser writes into its profile."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, "the browser has ended"
        lines = (
            (profile / "DevToolsActivePort").read_text().split() if (profile / "DevToolsActivePort").exists() else []
        )
        if len(lines) == 2:
            return int(lines[0])
        time.sleep(0.05)
    raise AssertionError("the browser has not opened its port")


def _socket_url(port: int) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE) as answer:
        pages = json.load(answer)
    return str(next(p for p in pages if p["type"] == "page")["webSocketDebuggerUrl"])
