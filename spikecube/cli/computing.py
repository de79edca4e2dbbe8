"""The commands that compute: run, submit, status."""

from __future__ import annotations

import contextlib
import functools
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikecube.cli.common import (
    ERROR,
    FAILED_CELLS,
    Json,
    Kept,
    Memory,
    Name,
    Share,
    StudyFile,
    command,
    interrupt_once,
    parse_option,
    say,
    say_or_json,
)

if TYPE_CHECKING:
    from spikecube.runs.jobqueue import Workers
    from spikecube.runs.run import Report, Settings
    from spikecube.study.study import Study


@command
def run(
    study: StudyFile,
    name: Kept = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="A dask scheduler, tcp://host:port.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes on this machine; default: one a core.")] = None,
    shard: Share = None,
    max_memory: Memory = None,
    wait_lock: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Wait so long for another run in the folder to end.")
    ] = 0.0,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Workers come as jobs of SLURM, through dask-jobqueue.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="With --slurm: jobs at once, each a worker of one core (20).")
    ] = None,
    queue: Annotated[str | None, typer.Option(metavar="PARTITION", help="With --slurm: the partition.")] = None,
    hours: Annotated[
        float | None,
        typer.Option(
            min=0, help="With --slurm: walltime of a job, or what a cell needs (4). With --until: core-hours."
        ),
    ] = None,
    interface: Annotated[
        str | None, typer.Option(help="With --slurm: the network that driver and workers listen on (lo).")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="With --slurm: encrypt, and let nobody else in.")] = False,
    patience: Annotated[
        float | None,
        typer.Option(metavar="HOURS", min=0, help="With --slurm: give up when no worker came for so long (24)."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TARGET", help="Add seeds in rounds: 'outlier 2 exponent alpha=0.39 = 0.01'.")
    ] = None,
) -> int:
    """Compute what is missing of a study and write its cube; --until adds seeds in rounds up to a target.

    Examples::

        spikecube run study.toml -o staircase
        spikecube run study.toml --scheduler tcp://node17:8786
        spikecube run study.toml --shard 3/16
    """
    from spikecube.runs.cluster import connected
    from spikecube.runs.jobqueue import Workers
    from spikecube.runs.progress import for_terminal
    from spikecube.runs.run import Settings, run_study
    from spikecube.runs.tasks import parse_share
    from spikecube.study.study import Study

    if (scheduler is not None) + (workers is not None) + slurm > 1:
        raise typer.BadParameter(
            "--scheduler, --slurm and --workers exclude each other: each brings workers of its own"
        )
    if until and (shard or slurm):
        raise typer.BadParameter("--until computes in rounds: it goes with --workers or --scheduler, not with others")
    of_slurm = (jobs, queue, None if until else hours, interface, tls or None, patience)
    if not slurm and any(value is not None for value in of_slurm):
        raise typer.BadParameter("--jobs, --queue, --hours, --interface, --tls and --patience go with --slurm")
    share = parse_option(parse_share, shard) if shard else None
    parsed = Study.from_file(study)
    interrupt_once()
    kept = name or Path(study).stem
    with for_terminal() as progress, contextlib.ExitStack() as stack:
        settings = Settings(workers, max_memory, share, progress, wait_lock)
        client = None
        if scheduler is not None:
            client = stack.enter_context(connected(scheduler))
        elif slurm:
            seconds = None if patience is None else 3600 * patience
            chosen: dict[str, Any] = {"jobs": jobs, "interface": interface, "patience": seconds}
            wanted = Workers(queue=queue, tls=tls, **{k: v for k, v in chosen.items() if v is not None})
            client, watch = stack.enter_context(_slurm_workers(parsed, kept, hours or 4.0, wanted, progress.say))
            settings = replace(settings, watch=watch)
        again = shlex.join(["spikecube", "run", study, *(["-o", name] if name else [])])
        if until:
            return _run_until(parsed, until, kept, client, settings, hours, again)
        return _print_report(run_study(parsed, kept, client, settings), again)


def _run_until(
    study: Study, target: str, name: str, client: Any, settings: Settings, hours: float | None, again: str
) -> int:
    from spikecube.until import go_on
    from spikecube.words.verdicts import stopped_text

    ended = go_on(study, target, name, client, settings, hours=hours, tell=say)
    code = _print_report(ended.report, f"{again} {shlex.join(['--until', target])}")
    if ended.last is not None:
        say(stopped_text(ended.last.found))
    return code or (0 if ended.reached else ERROR)


def _slurm_workers(
    study: Study, name: str, hours: float, wanted: Workers, tell: Callable[[str], None]
) -> contextlib.AbstractContextManager[Any]:
    from spikecube.runs.folder import run_paths
    from spikecube.runs.jobqueue import slurm_workers
    from spikecube.runs.plan import plan
    from spikecube.runs.slurm import worker_request

    planned = plan(study)
    wanted = replace(wanted, jobs=min(wanted.jobs, planned.tasks))
    return slurm_workers(worker_request(planned, hours), wanted, run_paths(name)[0].absolute().parent, tell)


@command
def submit(
    study: StudyFile,
    name: Kept = None,
    shares: Annotated[int, typer.Option(min=1, help="Jobs of the array, each a share of the cells.")] = 16,
    cores: Annotated[int, typer.Option(min=1, help="Cores of a job, each a worker process.")] = 4,
) -> None:
    """Submit a study to SLURM: an array of shares, then a job that makes the cube; SBATCH_FLAGS wins.

    Examples::

        spikecube submit study.toml --shares 16 --cores 4
    """
    from spikecube.runs.slurm import submit as submit_study

    kept = name or Path(study).stem
    jobs = submit_study(study, kept, shares=shares, cores=cores, tell=functools.partial(say, err=True))
    one, last = jobs.share_request, jobs.assembly_request
    say(f"job {jobs.array}: an array of {shares}, each of {one.cores} cores, {one.megabytes} MB and {one.minutes} min")
    typer.echo(f"job {jobs.assembly}: makes {kept}.nc when they have ended, with {last.megabytes} MB")
    typer.echo(f"how far it is: {shlex.join(['spikecube', 'status', kept])}; to go on after a loss, submit it again")


def _print_report(report: Report, again: str) -> int:
    """Lines with a path or a command stay whole, since they are copied; all others are folded."""
    from spikecube.cube.missing import missing_edges
    from spikecube.text import text_table
    from spikecube.words.overview import points_line

    if report.failures:
        rows = [[task.cell.describe(), error] for task, error in report.failures.items()]
        say(text_table(["failed cell", "error"], rows))
        typer.echo(f"{len(rows)} failed and will be tried again by: {again}")
    if report.cube is None:
        typer.echo(f"{report.path}: {report.computed} cells computed for this share; all shares done? {again}")
    elif not report.written:
        typer.echo(f"nothing is left to do: {report.path} holds {points_line(report.cube)}")
    else:
        typer.echo(f"{report.path}: {points_line(report.cube)}")
    if report.cube is not None and (lost := missing_edges(report.cube)):
        say(f"{lost}; everything measured is there")
    return FAILED_CELLS if report.failures else 0


@command
def status(name: Name, as_json: Json = False) -> None:
    """Tell how far a run has come.

    Examples::

        spikecube status staircase
        spikecube status staircase --json
    """
    from spikecube.runs.state import status as status_of

    state = status_of(name)
    say_or_json(state, as_json)
