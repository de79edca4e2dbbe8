"""Runs by their name, finished or not, in words and pictures: the one place that knows both runs and these."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikecube.notebook import Words
from spikecube.runs.folder import RunFolder, finished, run_paths
from spikecube.runs.run import cube_of

if TYPE_CHECKING:
    from spikecube.pictures.sources import Awaited, Source


def info(cube: Any, lam: float | None = None, *, every: bool = False) -> Words:
    """Axes, completeness and means of a cube, its file, or a run by its name, as text.

    Parameters
    ----------
    lam : the penalty of the means; the middle one by default.
    every : whether the means stand at every label, however many there are.
    """
    from spikecube.words.overview import overview

    return Words(overview(cube_of(cube), lam, every=every))


def live_source(cube: Any) -> Source:
    """What the explorer looks at: a cube, its file, or a run by its name, read again while it grows."""
    from spikecube.cube.store import StoreError
    from spikecube.pictures import sources

    if not isinstance(cube, str | Path):
        return sources.source_of(cube)
    if (path := finished(cube)) is not None:
        return sources.source_of(path)
    place, path = run_paths(cube)
    if not (place / "study.toml").is_file():
        raise StoreError(f"there is no run {place}; --wait waits for one that has not begun")
    folder = RunFolder.existing(place)
    return sources.Growing(functools.partial(_grown, place), folder.shards, str(path))


def _grown(place: Path) -> Any:
    """The cube of what a run's folder holds by now."""
    from spikecube.cube.assemble import assemble

    folder = RunFolder.existing(place)
    return assemble(folder.study, folder.results())


def awaited(name: str | Path) -> Awaited:
    """What the explorer looks at once there is a cube or a run of this name.

    A study NAME.toml beside it tells meanwhile how many cells there will be.
    """
    from spikecube.pictures.sources import Awaited
    from spikecube.study.fields import StudyError
    from spikecube.study.study import Study

    folder = run_paths(name)[0]

    def find() -> Source | None:
        there = finished(name) is not None or (folder / "study.toml").is_file()
        return live_source(name) if there else None

    title, cells = folder.stem, ""
    with contextlib.suppress(OSError, StudyError):
        study = Study.from_file(folder.with_suffix(".toml"))
        title, cells = study.title or title, f"; 0 of {sum(1 for _ in study.cells())} cells are computed"
    return Awaited(find, title, f"This page waits for the run {folder} to begin{cells}.")


def explore(cube: Any, prediction: Any = None, fits: Any = None, *, fitter: Any = None, other: Any = None) -> Any:
    """The explorer of a cube, its file, or a run by its name, which may still be running; `other` is a second one.

    Shown where a notebook cell ends; see `spikecube.pictures.app.explore`.
    """
    from spikecube.pictures.app import explore as page

    return page(live_source(cube), prediction, fits, fitter=fitter, other=second_cube(other))


def second_cube(other: Any) -> Any:
    """A cube to look at beside another: a cube, its file, or a run by its name; None stays."""
    from spikecube.cube.cuts import as_cube

    return None if other is None else as_cube(cube_of(other), "alpha", "n", "seed")
