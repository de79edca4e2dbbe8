"""An explorer whose computations take until they are released: a line on standard input lets one of them end.

What happens is told on standard error: `computing`, and `refresh` for each look at the run, five a second.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import xarray as xr

from spikecube.cube.predict import predict
from spikecube.explore import predicted, serve
from spikecube.explore.app import Explorer
from spikecube.live import source_of
from spikecube.means.spikes import study_of

refresh = Explorer.refresh


def tell(what: str) -> None:
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()


def told_refresh(explorer: Explorer) -> None:
    tell("refresh")
    refresh(explorer)


def slow_prediction(cube: xr.Dataset) -> xr.Dataset:
    tell("computing")
    sys.stdin.readline()
    return predict(study_of(cube))


def slow_fits(_cube: xr.Dataset) -> Mapping[str, xr.Dataset]:
    tell("computing")
    sys.stdin.readline()
    return {"outliers": xr.Dataset(attrs={"sentence": "There is one size."})}


if __name__ == "__main__":
    Explorer.refresh = told_refresh  # type: ignore[method-assign]
    predicted.predict_for = slow_prediction
    serve.REFRESH_MS = 200
    serve.serve(source_of(sys.argv[1]), fitter=slow_fits, started=lambda address: tell(f"at {address}"))
