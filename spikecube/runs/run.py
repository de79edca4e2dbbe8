"""Runs a study: finds what is missing, computes it under dask, keeps it in shards, assembles the cube."""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spikecube.cube.assemble import CellResult, assemble, spectrum_edges
from spikecube.cube.schema import STATUS
from spikecube.cube.store import StoreError, open_cube, refuse_target, write_cube
from spikecube.runs import provenance
from spikecube.runs.cluster import connected, refuse_client
from spikecube.runs.folder import Contents, FolderInUse, RunFolder, finished, run_paths
from spikecube.runs.memory import free_memory, refuse_too_large
from spikecube.runs.progress import Progress, duration, for_library
from spikecube.runs.sweep import Kernel as Kernel
from spikecube.runs.sweep import Report as Report
from spikecube.runs.sweep import Settings as Settings
from spikecube.runs.sweep import Sweep
from spikecube.runs.tasks import Task, by_falling_cost, missing_tasks, share, task_cost
from spikecube.study.study import Study


def default_kernel(study: Study) -> Kernel:
    """The cell of the package, with the bins of the study where it measures spectra."""
    from spikecube.cube.cell import compute_cell
    from spikecube.runs.cost import cell_bytes, cell_flops

    if not study.measure.spectrum_bins:
        return Kernel(compute_cell, cell_flops, cell_bytes)
    return Kernel(functools.partial(compute_cell, edges=spectrum_edges(study)), cell_flops, cell_bytes)


def run(
    study: Study | str | Path,
    name: str | Path | None = None,
    client: Any = None,
    *,
    workers: int | None = None,
    max_memory: float | None = None,
) -> xr.Dataset:
    """The cube of a study, computed where it is missing, kept in NAME.run and written to NAME.nc.

    Points whose cell failed have `status` failed; the next run tries them again. Running again after a change of
    the axes computes only what is new. A notebook shows how far it is.

    Parameters
    ----------
    study : the study or its file.
    name : where to keep it: NAME.run and NAME.nc; by default the name of the study's file, in the working folder.
    client : any dask.distributed Client, or the address of a scheduler; without one, processes of this machine.
    workers : number of processes without a client; by default one a core.
    max_memory : bytes that the cells in flight may use together; by default most of what is free.

    Raises
    ------
    StoreError
        When the folder cannot be used: full disk, not writable, other settings, another driver.
    RunError
        When a cell cannot fit in memory, the client cannot be used, or the scheduler is gone.
    """
    parsed = Study.of(study)
    if name is None and isinstance(study, Study):
        raise StoreError(
            "run: given no name for this study; allowed: a name, under which NAME.run and NAME.nc are kept"
        )
    where = connected(client) if isinstance(client, str) else contextlib.nullcontext(client)
    with where as connection:
        chosen = Path(str(study)).stem if name is None else name
        report = run_study(parsed, chosen, connection, Settings(workers, max_memory, progress=for_library()))
    assert report.cube is not None
    return report.cube


def run_study(
    study: Study,
    name: str | Path,
    client: Any = None,
    settings: Settings | None = None,
    kernel: Kernel | None = None,
) -> Report:
    """As `run`, with all settings; a share writes shards only."""
    settings, kernel = settings or Settings(), kernel or default_kernel(study)
    if client is not None:
        refuse_client(client)
    folder_path, cube_path = run_paths(name)
    refuse_target(cube_path)
    writer = "-{}-of-{}".format(*settings.share) if settings.share else ""
    folder = RunFolder(folder_path, study, writer)
    if client is None:  # before anything is written: a cell that does not fit here
        limit = settings.max_memory or free_memory()
        where = "--max-memory allows" if settings.max_memory else "this machine has free"
        refuse_too_large(list(missing_tasks(study, {})), task_cost(study, kernel.bytes), limit, where)
    with opened(folder, settings):
        contents = _usable(folder, settings.progress)
        tasks = _todo(study, contents, settings, kernel)
        report = Report(folder_path if settings.share else cube_path, kept=len(contents.points))
        if tasks:
            sweep = Sweep(study, folder, settings, kernel, report)
            sweep.compute(tasks, client)
            contents.computed_with |= {computed_with for computed_with, _ in sweep.origins}
            contents.blas_threads |= {threads for _, threads in sweep.origins}
        if settings.share is None:
            report.cube = _finished(folder, contents, cube_path, report)
    return report


@contextlib.contextmanager
def opened(folder: RunFolder, settings: Settings) -> Iterator[None]:
    """The folder with its lock; where another driver holds it, that is waited for as long as the settings say."""
    end, announced = time.monotonic() + settings.wait_lock, False
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(folder.opened(shared=settings.share is not None))
                break
            except FolderInUse as error:
                if time.monotonic() >= end:
                    raise
                if not announced:
                    settings.progress.say(f"{error}; waiting up to {duration(settings.wait_lock)}")
                    announced = True
                time.sleep(0.2)
        yield


def _usable(folder: RunFolder, progress: Progress) -> Contents:
    if not folder.lockable:
        progress.say(f"the file system of {folder.path} has no locks: see to it that no other run works there")
    contents = folder.contents()
    for name, reason in contents.foreign.items():
        progress.say(f"{folder.shards / name} {reason}: it is set aside, and what it held is computed again")
    folder.set_aside(contents.foreign)
    if len(contents.computed_with) > 1:
        progress.say(f"{folder.path} holds cells computed with {' and with '.join(sorted(contents.computed_with))}")
    return contents


def _todo(study: Study, contents: Contents, settings: Settings, kernel: Kernel) -> list[Task]:
    flops = task_cost(study, kernel.flops)
    tasks = by_falling_cost(list(missing_tasks(study, contents.points)), flops)
    if settings.share is None:
        return tasks
    mine = share(study, *settings.share, flops)
    return [task for task in tasks if task.cell in mine]


def _finished(folder: RunFolder, contents: Contents, path: Path, report: Report) -> xr.Dataset:
    """The cube, assembled and written unless the file there is that of this study already."""
    key = {
        "study": folder.study.to_toml(),
        "code_sha256": provenance.code_sha256(),
        "computed_with": "; ".join(sorted(contents.computed_with)),
        "until": folder.goal().get("target"),
    }
    if not report.computed and not report.failures:
        with contextlib.suppress(StoreError):
            cube = open_cube(path)
            if np.isin(cube["status"], (STATUS["ok"], STATUS["absent"])).all() and all(
                cube.attrs.get(k) == v for k, v in key.items()
            ):
                return cube
    cube = assembled(folder, contents, report.failures)
    write_cube(cube, path)
    report.written = True
    return cube


def assembled(folder: RunFolder, contents: Contents, failures: Iterable[Task] = ()) -> xr.Dataset:
    """The cube of what a folder holds now, with its provenance."""
    study = folder.study
    failed = (CellResult(task.cell, task.alphas, task.lams, failed=True) for task in failures)
    cube = assemble(study, itertools.chain(folder.results(), failed))
    attrs = provenance.provenance_attributes(contents.computed_with, contents.blas_threads, study.random.entropy)
    goal = folder.goal()
    return cube.assign_attrs(attrs | ({"until": str(goal["target"])} if "target" in goal else {}))


def cube_of(cube: Any) -> Any:
    """The cube in a file, or that of a run, finished or not, by its name; anything else stays."""
    if not isinstance(cube, str | Path):
        return cube
    if (path := finished(cube)) is not None:
        return open_cube(path)
    folder = RunFolder.existing(run_paths(cube)[0])
    return assembled(folder, folder.contents())
