"""Opens every page of the built documentation in a browser that has no network, and says what is wrong with it.

    python scripts/site.py docs/_build [PICTURES]

Each page is seen on a wide screen and on a phone, by day and by night. A page is at fault if it asks the network for
something, complains, has a link that leads nowhere, shows what does not fit its screen, has a formula that must be
scrolled, or code on the wide one. With PICTURES it is kept as four pictures there. Any fault ends it with code 1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.browser import NoBrowser, Page, browser  # noqa: E402

WIDTHS = {1440: 930, 390: 844}
SCHEMES = ("light", "dark")
SEEN = """(() => {
  const room = document.documentElement.clientWidth;
  const held = (e) => e && (/auto|scroll/.test(getComputedStyle(e).overflowX) || held(e.parentElement));
  const beyond = [...document.querySelectorAll("article *")].filter((e) => e.getBoundingClientRect().right > room + 1);
  const inner = [...document.querySelectorAll("article div.math, article pre")];
  const tight = inner.filter((e) => e.scrollWidth > e.clientWidth + 1 && (room > 1000 || e.matches("div.math")));
  return {
    links: [...document.links].map((a) => a.href),
    ids: [...document.querySelectorAll("[id], a[name]")].map((e) => e.id || e.name),
    wide: document.documentElement.scrollWidth - room,
    cut: beyond.filter((e) => !held(e)).slice(0, 3).map((e) => e.outerHTML.slice(0, 80)),
    tight: tight.map((e) => e.textContent.slice(0, 80) || e.outerHTML.slice(0, 80)),
  };
})()"""
READY = """document.readyState === "complete" && !document.querySelector(".math:not(:has(mjx-container))")
  && ![...document.querySelectorAll("[data-root-id]")].some((e) => !Bokeh.index.find_one_by_id(e.dataset.rootId))"""


def look(page: Page, path: Path, width: int, scheme: str) -> dict[str, Any]:
    """What a page has to say on one screen."""
    page.requests.clear()
    page.errors.clear()
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.open(path.as_uri(), width=width, height=WIDTHS[width])
    page.wait(READY)
    return dict(page.run(SEEN)) | {"asked": list(page.requests), "complaints": list(page.errors)}


def faults(seen: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a page on one screen, but for its links.

    >>> fine = {"asked": ["file:///a.css"], "complaints": [], "wide": 0, "cut": [], "tight": []}
    >>> list(faults(fine)), list(faults(fine | {"asked": ["https://elsewhere/x.js"], "wide": 7}))
    ([], ['asks for https://elsewhere/x.js', 'is 7 pixels wider than its screen'])
    """
    yield from (f"asks for {url}" for url in seen["asked"] if not url.startswith("file:"))
    yield from (f"complains: {text}" for text in seen["complaints"])
    if seen["wide"] > 0:
        yield f"is {seen['wide']} pixels wider than its screen"
    yield from (f"cuts {element}" for element in seen["cut"])
    yield from (f"has a formula or code wider than its column: {text}" for text in seen["tight"])


def dead_links(links: dict[Path, list[str]], ids: dict[Path, set[str]]) -> Iterator[str]:
    """Links within the site that lead to no file, or to no place of a page.

    >>> a, b = Path("/s/a.html"), Path("/s/b.html")
    >>> links = {a: ["file:///s/b.html#here", "file:///s/b.html#gone", "https://arxiv.org"]}
    >>> list(dead_links(links, {a: set(), b: {"here"}}))
    ['a.html leads to no place: file:///s/b.html#gone']
    """
    for page, found in links.items():
        for link in dict.fromkeys(found):
            address, place = urldefrag(link)
            target = Path(unquote(urlsplit(address).path))
            if not address.startswith("file:"):
                continue
            if target not in ids and not target.exists():
                yield f"{page.name} leads to no file: {link}"
            elif place and target in ids and unquote(place) not in ids[target]:
                yield f"{page.name} leads to no place: {link}"


def look_at(page: Page, site: Path, pictures: Path | None = None) -> tuple[int, list[str]]:
    """How many pages a site has, and the faults of all."""
    found: list[str] = []
    links: dict[Path, list[str]] = {}
    ids: dict[Path, set[str]] = {}
    pages = sorted(path for path in site.rglob("*.html") if "_modules" not in path.parts)  # the code of the package
    for path, width, scheme in product(pages, WIDTHS, SCHEMES):
        name = path.relative_to(site)
        seen = look(page, path, width, scheme)
        links[path], ids[path] = seen["links"], set(seen["ids"])
        found += [f"{name} at {width}, {scheme}: {fault}" for fault in faults(seen)]
        if pictures:
            page.screenshot(pictures / f"{name.with_suffix('').as_posix().replace('/', '-')}-{width}-{scheme}.png")
    return len(links), [*found, *dead_links(links, ids)]


def main(site: Path, pictures: Path | None) -> None:
    """Prints the faults of a site, and ends with code 1 if there are any."""
    try:
        with browser(offline=True) as page:
            pages, found = look_at(page, site, pictures)
    except NoBrowser as reason:
        print(f"the pages were not looked at: {reason}", file=sys.stderr)
        return
    print("\n".join([*found, f"{pages} pages, {len(found)} faults"]))
    sys.exit(len(found) > 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
