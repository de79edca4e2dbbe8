"""What leaves the explorer: the table of a view, its files and their names, and the Python that draws it."""

from __future__ import annotations

import inspect
import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from spikecube.pictures.catalogue import Entry, Scene
from spikecube.pictures.picture import Picture
from spikecube.pictures.tables import table
from spikecube.words import symbols

DATA_KINDS = ("points", "line", "band", "spikes", "cells", "histogram")
MOST_ROWS = 40


def table_of(picture: Picture) -> pd.DataFrame:
    """The measured and predicted series of a view, one below the other."""
    parts = []
    for layer in picture.layers:
        if layer.kind in DATA_KINDS and len(layer.column(0)):
            part = pd.DataFrame({name: column for name, column in layer.columns.items() if name != "weight"})
            part.insert(0, "series", layer.label or ("measured" if layer.measured else "predicted"))
            parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"series": []})


def csv_of(data: pd.DataFrame) -> io.StringIO:
    """A table as CSV text."""
    return io.StringIO(data.to_csv(index=False))


def netcdf_of(data: pd.DataFrame, scene: Scene) -> io.BytesIO:
    """A table as a netCDF file in memory, with the study it comes from."""
    rows = xr.Dataset({str(name): ("row", column.to_numpy(dtype=object if column.dtype == object else None))
                       for name, column in data.items()})  # fmt: skip
    rows.attrs = {k: v for k, v in scene.cube.attrs.items() if k in ("title", "study", "study_sha256")}
    text = {name: ("row", np.char.encode(v.values.astype(str), "utf-8")) for name, v in rows.items()
            if v.dtype.kind in "OU"}  # fmt: skip
    return io.BytesIO(bytes(rows.assign(text).to_netcdf(engine="scipy")))


def seen_table(picture: Picture) -> str:
    """The measured points of a view as an HTML table; where nothing is measured, a sentence."""
    seen = [layer for layer in picture.layers if layer.measured and layer.kind in DATA_KINDS and len(layer.column(0))]
    if not seen:
        return "<p>Nothing is measured here.</p>"
    edges = {name for layer in seen if layer.kind == "cells" for name in layer.names[:4]} | {"left", "right"}
    data = table_of(Picture(seen)).drop(columns=list(edges), errors="ignore")
    rows = [[_cell(value) for value in row] for row in data.head(MOST_ROWS).itertuples(index=False)]
    more = f"<p>{len(data) - MOST_ROWS} more rows: save them as CSV.</p>" if len(data) > MOST_ROWS else ""
    return table([symbols.symbol(str(name)) for name in data.columns], rows, text=(0,)) + more


def _cell(value: Any) -> str:
    return symbols.value(value) if isinstance(value, str) or np.isfinite(value) else "–"


def stem(cube: xr.Dataset, view: str, labels: Mapping[str, Any]) -> str:
    """The name of a file that is saved: the study, the view and its place, one for each of them.

    >>> stem(xr.Dataset(attrs={"title": "Quick: relu, n = 500"}), "test", {"lam": 0.1, "activation": "relu"})
    'quick-relu-n-500_test_lam0.1_activationrelu'
    """
    title = re.sub(r"[^a-z0-9]+", "-", str(cube.attrs.get("title", "")).lower()).strip("-")[:40].strip("-")
    parts = [f"{name}{symbols.value(value)}" for name, value in labels.items()]
    return "_".join([title or "spikecube", *(re.sub(r"[^\w.\-]+", "-", part) for part in (view, *parts))])


def python_of(entry: Entry, scene: Scene, name: str, labels: Mapping[str, Any], *, second: bool = False) -> str:
    """The Python that draws a view in a notebook; `name` is what opens the cube, empty for one that has no file.

    Parameters
    ----------
    labels : keywords of the view: where it stands, and what is chosen.
    second : whether a second cube is drawn over the first.
    """
    assert entry.shown is not None
    wanted = inspect.signature(entry.shown).parameters
    lines, arguments = ["import spikecube as sc", ""], ["cube"] if "cube" in wanted else []
    if "cube" in wanted or entry.fit:
        lines.append(f"cube = sc.open_cube({name!r})" if name else "cube = ...  # the cube that is explored")
    if second:
        lines.append("other = ...  # the second cube")
        arguments.append("other=other")
    if "prediction" in wanted and scene.prediction is not None:
        lines.append('theory = sc.predict(sc.Study.from_toml(cube.attrs["study"]))')
        arguments.append("prediction=theory")
    if entry.fit and scene.fit(entry.fit) is not None:
        lines.append(f"fit = sc.fit_{entry.fit}(cube)")
        arguments.append("fit" if "cube" not in wanted else "fit=fit")
    named = {**entry.fixed, **(labels if "cube" in wanted else {})}
    arguments += [f"{key}={value!r}" for key, value in named.items()]
    return "\n".join([*lines, f"sc.views.{entry.shown.__name__}({', '.join(arguments)})"])
