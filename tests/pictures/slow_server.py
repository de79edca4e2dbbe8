"""An explorer whose computations take until they are released: a line on standard input lets one of them end.

What happens is told on standard error: `computing`, and `refresh` for each look at the run, five a second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from spikecube.live import live_source
from spikecube.pictures import serve
from spikecube.pictures.app import Explorer

refresh = Explorer.refresh


def tell(what: str) -> None:
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()


def told_refresh(explorer: Explorer) -> None:
    tell("refresh")
    refresh(explorer)


def slow_call(function: Callable[..., Any], *arguments: Any) -> Any:
    tell("computing")
    sys.stdin.readline()
    return function(*arguments)


def fits(_cube: xr.Dataset) -> Mapping[str, xr.Dataset]:
    return {"outliers": xr.Dataset(attrs={"sentence": "There is one size."})}


if __name__ == "__main__":
    Explorer.refresh = told_refresh  # type: ignore[method-assign]
    serve.in_process = slow_call  # type: ignore[assignment]
    serve.Elsewhere = lambda: slow_call  # type: ignore[assignment, misc]
    serve.REFRESH_MS = 200
    serve.serve(live_source(sys.argv[1]), fitter=fits, started=lambda address: tell(f"at {address}"))
