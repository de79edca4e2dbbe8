"""The browser of the scripts, for tests: where there is none they are skipped, or fail if it is required."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scripts import browser as real
from scripts.browser import Page


@contextmanager
def browser(*, offline: bool) -> Iterator[Page]:
    """A page; SPIKECUBE_REQUIRE_BROWSER asks for a browser, SPIKECUBE_NO_BROWSER skips although there is one."""
    if os.environ.get("SPIKECUBE_NO_BROWSER"):
        pytest.skip("SPIKECUBE_NO_BROWSER is set")
    try:
        real.executable()
    except real.NoBrowser as reason:
        if os.environ.get("SPIKECUBE_REQUIRE_BROWSER"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))
    with real.browser(offline=offline) as page:
        yield page
