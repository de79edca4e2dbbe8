"""The command line: each command parses, calls two or three functions, and prints."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shlex
import signal
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from spikecube import stdio
from spikecube.errors import SpikecubeError

if TYPE_CHECKING:
    from spikecube.runs.jobqueue import Workers
    from spikecube.runs.run import Report
    from spikecube.study.study import Study

app = typer.Typer(
    name="spikecube",
    help="One gradient step in two-layer networks: labelled cubes of spikes and losses, theory and fits.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StudyFile = Annotated[str, typer.Argument(metavar="STUDY", help="A study file (TOML).")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of a run: NAME, NAME.run or NAME.nc.")]
CubeFile = Annotated[str, typer.Argument(metavar="CUBE", help="A cube (netCDF), or the name of a run.")]


def _size(text: str) -> Any:
    from spikecube.runs.memory import parse_size

    return _parsed(parse_size, text)


def _smallest(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f'{text!r} is not a size, nor "auto"') from None


def _parsed(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Memory = Annotated[
    float | None,
    typer.Option(metavar="SIZE", parser=_size, help="Memory that all cells in flight may use together, say 16GiB."),
]
Share = Annotated[str | None, typer.Option(metavar="i/N", help="Compute one of N balanced shares only.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

ERROR, USAGE, FAILED_CELLS, INTERRUPTED = 1, 2, 3, 130


@app.callback()
def _options(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False) -> None:
    _State.debug = _State.debug or debug


class _State:
    debug = False


def command(function: Callable[..., int | None]) -> Callable[..., None]:
    """Registers a command; its errors become one line and an exit code."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> None:
        with _errors_as_lines():
            code = function(*args, **kwargs)
        raise typer.Exit(code or 0)

    app.command()(guarded)
    return guarded


@contextlib.contextmanager
def _errors_as_lines() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        leave(INTERRUPTED, "interrupted: all finished cells are kept; run the same command again to resume")
    except BrokenPipeError:
        leave(ERROR, "")
    except (typer.Exit, typer.BadParameter):
        raise
    except Exception as error:
        if _State.debug:
            traceback.print_exc()
        from spikecube.study.fields import StudyError

        if isinstance(error, StudyError):
            for problem in error.problems:
                typer.echo(problem, err=True)
            raise typer.Exit(USAGE) from None
        typer.echo(f"spikecube: {one_line(error)}", err=True)
        raise typer.Exit(ERROR) from None


def one_line(error: BaseException) -> str:
    """An error as one line: its own sentence if it is one of ours, else with its kind."""
    text = " ".join(str(error).split()) or "no message"
    if isinstance(error, SpikecubeError):
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"


def leave(code: int, sentence: str) -> NoReturn:
    """Ends the process at once: worker processes end with it, and no thread of dask can hold it up."""
    with contextlib.suppress(OSError):
        if sentence:
            print(sentence, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def interrupt_once() -> None:
    """Makes SIGTERM and a hang-up act like Ctrl-C, and further ones wait for the clean end that the first one starts.

    A hang-up that is ignored, as under `nohup`, stays ignored.
    """
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)

    def handler(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, handler)


@command
def run(
    study: StudyFile,
    name: Annotated[str | None, typer.Option("-o", metavar="NAME", help="Where to keep it: NAME.run, NAME.nc.")] = None,
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
    jobs: Annotated[int, typer.Option(min=1, help="With --slurm: jobs at once, each a worker of one core.")] = 20,
    queue: Annotated[str | None, typer.Option(metavar="PARTITION", help="With --slurm: the partition.")] = None,
    hours: Annotated[float, typer.Option(min=0, help="With --slurm: walltime of a job, or what a cell needs.")] = 4.0,
    interface: Annotated[str, typer.Option(help="With --slurm: the network that driver and workers listen on.")] = "lo",
    tls: Annotated[bool, typer.Option("--tls", help="With --slurm: encrypt, and let nobody else in.")] = False,
    patience: Annotated[
        float, typer.Option(metavar="HOURS", min=0, help="With --slurm: give up when no worker came for so long.")
    ] = 24.0,
) -> int:
    """Compute what is missing of a study and write its cube."""
    from spikecube.runs.jobqueue import Workers
    from spikecube.runs.progress import for_terminal
    from spikecube.runs.run import Settings, run_study
    from spikecube.runs.tasks import parse_share
    from spikecube.study.study import Study

    if (scheduler is not None) + (workers is not None) + slurm > 1:
        raise typer.BadParameter(
            "--scheduler, --slurm and --workers exclude each other: each brings workers of its own"
        )
    if not slurm and (jobs, queue, hours, interface, tls, patience) != (20, None, 4.0, "lo", False, 24.0):
        raise typer.BadParameter("--jobs, --queue, --hours, --interface, --tls and --patience go with --slurm")
    share = _parsed(parse_share, shard) if shard else None
    parsed = Study.from_file(study)
    interrupt_once()
    kept = name or Path(study).stem
    with for_terminal() as progress, contextlib.ExitStack() as stack:
        settings = Settings(workers, max_memory, share, progress, wait_lock)
        client = None
        if scheduler is not None:
            client = stack.enter_context(_connected(scheduler))
        elif slurm:
            wanted = Workers(jobs, queue, interface, tls, 3600 * patience)
            client, watch = stack.enter_context(_slurm_workers(parsed, kept, hours, wanted, progress.say))
            settings = replace(settings, watch=watch)
        report = run_study(parsed, kept, client, settings)
    return _print_report(parsed, report, study, name)


def _connected(address: str) -> contextlib.AbstractContextManager[Any]:
    from spikecube.runs.cluster import connected

    return connected(address)


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
    name: Annotated[str | None, typer.Option("-o", metavar="NAME", help="Where to keep it: NAME.run, NAME.nc.")] = None,
    shares: Annotated[int, typer.Option(min=1, help="Jobs of the array, each a share of the cells.")] = 16,
    cores: Annotated[int, typer.Option(min=1, help="Cores of a job, each a worker process.")] = 4,
) -> None:
    """Submit a study to SLURM: an array of shares, then a job that makes the cube; SBATCH_FLAGS wins."""
    from spikecube.runs.slurm import submit as submit_study

    kept = name or Path(study).stem
    jobs = submit_study(study, kept, shares=shares, cores=cores, tell=functools.partial(typer.echo, err=True))
    one, last = jobs.share_request, jobs.assembly_request
    typer.echo(
        f"job {jobs.array}: an array of {shares}, each of {one.cores} cores, {one.megabytes} MB and {one.minutes} min"
    )
    typer.echo(f"job {jobs.assembly}: makes {kept}.nc when they have ended, with {last.megabytes} MB")
    typer.echo(f"how far it is: {shlex.join(['spikecube', 'status', kept])}; to go on after a loss, submit it again")


def _print_report(study: Study, report: Report, file: str, name: str | None) -> int:
    from spikecube.cube.missing import missing_edges
    from spikecube.text import text_table
    from spikecube.words.overview import completeness

    again = shlex.join(["spikecube", "run", file, *(["-o", name] if name else [])])
    if report.failures:
        rows = [[task.cell.describe(), error] for task, error in report.failures.items()]
        typer.echo(text_table(["failed cell", "error"], rows))
        typer.echo(f"{len(rows)} failed and will be tried again by: {again}")
    if report.cube is None:
        typer.echo(f"{report.path}: {report.computed} cells computed for this share; all shares done? {again}")
    elif not report.written:
        typer.echo(f"nothing is left to do: {report.path} holds {completeness(report.cube)}")
    else:
        typer.echo(f"{report.path}: {completeness(report.cube)}")
    if report.cube is not None and (lost := missing_edges(report.cube)):
        typer.echo(f"{lost}; everything measured is there")
    return FAILED_CELLS if report.failures else 0


@command
def status(name: Name, as_json: Json = False) -> None:
    """Tell how far a run has come."""
    from spikecube.runs.folder import RunFolder, run_paths
    from spikecube.runs.state import run_state, state_text

    state = run_state(RunFolder.existing(run_paths(name)[0]))
    typer.echo(json.dumps(state.as_dict(), indent=2) if as_json else state_text(state))


@command
def info(
    cube: CubeFile,
    lam: Annotated[float | None, typer.Option(help="The penalty of the means; the middle one by default.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Means at every n and alpha, however many.")] = False,
) -> None:
    """Print axes, completeness, and mean losses, outlier counts and alignments of a cube."""
    from spikecube.live import cube_of
    from spikecube.words.overview import overview

    typer.echo(overview(cube_of(cube), lam, every=every))


@command
def plan(
    study: StudyFile,
    max_memory: Memory = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes to plan for; default: one a core.")] = None,
    as_json: Json = False,
    target: Annotated[str | None, typer.Option(help="Lay out seeds for it: 'threshold 2 = 0.02'.")] = None,
    pilot: Annotated[str | None, typer.Option(metavar="CUBE", help="With --target: a cube with the spread.")] = None,
    max_n: Annotated[int | None, typer.Option(min=2, help="With --target: largest size.")] = None,
    max_hours: Annotated[float | None, typer.Option(help="With --target: most core-hours.")] = None,
    output: Annotated[str | None, typer.Option("-o", metavar="NEW", help="With --target: the study to write.")] = None,
) -> int:
    """Predict cells, time, memory and disk space of a study before anything runs, or lay out seeds for a target."""
    if target is not None:
        return _lay_out(study, target, pilot, max_n, max_hours, output)
    from spikecube.runs.plan import plan as make_plan
    from spikecube.runs.plan import plan_text
    from spikecube.study.study import Study

    planned = make_plan(Study.from_file(study), max_memory, workers=workers)
    typer.echo(json.dumps(planned.as_dict(), indent=2) if as_json else plan_text(planned))
    return 0 if planned.fits or as_json else ERROR


def _lay_out(
    file: str, target: str, pilot: str | None, max_n: int | None, max_hours: float | None, output: str | None
) -> int:
    from spikecube.cube.store import open_cube, refuse_target, write_atomically
    from spikecube.lay_out import cell_hours, lay_out, lay_out_text, make_pilot
    from spikecube.scaling.targets import parse_targets
    from spikecube.study.study import Study

    parse_targets(target)
    if output:
        refuse_target(Path(output))
    parsed = Study.from_file(file)
    hours = cell_hours(parsed)
    tell = functools.partial(typer.echo, err=True)
    cube = open_cube(pilot) if pilot else make_pilot(parsed, hours, tell)
    found = lay_out(parsed, target, pilot=cube, max_n=max_n, max_hours=max_hours, hours=hours)
    typer.echo(lay_out_text(found))
    if output:
        write_atomically(Path(output), lambda path: path.write_text(found.study.to_toml(), encoding="utf-8"))
        typer.echo(f"written: {output}")
    return 0 if found.relaxed == 1 else ERROR


@command
def when(
    study: StudyFile,
    degree: Annotated[int | None, typer.Option(min=1, metavar="K", help="Only the spike of this degree.")] = None,
) -> None:
    """Tell from which alpha at each n, and from which n at each alpha, each spike stands clear: theory alone."""
    from spikecube.study.study import Study
    from spikecube.words.when import when_text

    typer.echo(when_text(Study.from_file(study), degree))


@command
def predict(
    study: StudyFile,
    output: Annotated[str, typer.Option("-o", metavar="FILE", help="Where the prediction goes (netCDF).")],
) -> None:
    """Write what the theory predicts for a study, with the names of its cube."""
    from spikecube.cube.predict import predict as predict_study
    from spikecube.cube.store import refuse_target, write_cube
    from spikecube.runs.progress import for_terminal
    from spikecube.study.study import Study

    parsed = Study.from_file(study)
    refuse_target(Path(output))
    with for_terminal() as progress:

        def tick(done: int, total: int) -> None:
            if done == 1:
                progress.start(total, total, f"predicting {total} points (alpha, n)")
            progress.advance(1.0, failed=False)

        prediction = predict_study(parsed, tick)
    write_cube(prediction, output)
    declined = f"; {prediction.attrs['declined']}" if "declined" in prediction.attrs else ""
    typer.echo(f"{output}: {len(prediction.data_vars)} predicted variables{declined}")


@command
def fit(
    cube: Annotated[
        str,
        typer.Argument(metavar="DATA", help="A cube, the name of a run; with --size any table (CSV) or netCDF file."),
    ],
    law: Annotated[
        str | None,
        typer.Option(
            help="Of a cube: outliers, gaps, limits, thresholds or collapse, by default all of them. "
            "Of other data: power, offset, log, log-power, two-size or collapse."
        ),
    ] = None,
    output: Annotated[str | None, typer.Option("-o", metavar="FILE", help="Where the fits go (netCDF).")] = None,
    theory: Annotated[
        str | None, typer.Option(metavar="FILE", help="A prediction (of predict) to use instead of a new one.")
    ] = None,
    controls: Annotated[bool, typer.Option(help="Use control variates for the means over seeds.")] = True,
    n_min: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help='Smallest size used; "auto": from where on the law is not rejected; intervals then allow for 1/n.',
        ),
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="COLUMN", help="The sizes of other data; N,D for two.")] = None,
    value: Annotated[str | None, typer.Option(metavar="COLUMN", help="What was measured.")] = None,
    control: Annotated[str | None, typer.Option(metavar="COLUMN", help="The control of a collapse.")] = None,
    stderr: Annotated[str | None, typer.Option(metavar="COLUMN", help="The standard errors.")] = None,
    plot: Annotated[str | None, typer.Option(metavar="FILE", help="A picture of the fit to other data (HTML).")] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print the table of other data for a paper.")] = False,
    as_json: Json = False,
) -> int:
    """Fit scaling laws to a cube or to anybody's data: what was found, then estimates, intervals and tests."""
    from spikecube.cube.store import refuse_target

    for target in filter(None, (output, plot)):
        refuse_target(Path(target))
    smallest = n_min if n_min in (None, "auto") else _parsed(_smallest, n_min)
    named = {"--size": size, "--value": value, "--control": control, "--stderr": stderr, "--plot": plot}
    if size is None or value is None:
        given = [name for name, text in named.items() if text is not None] + ["--latex"] * latex
        if given:
            raise typer.BadParameter(f"{given[0]} is for data other than cubes, which need --size and --value")
        if Path(cube).suffix in _TABLES:
            raise typer.BadParameter(f"{cube} is a table: name its columns with --size and --value")
        return _fit_cube(cube, law, output, theory, controls, smallest, as_json)
    columns = {"size": size, "value": value, "control": control, "stderr": stderr}
    return _fit_data(cube, law or "power", columns, output, plot, smallest, "json" if as_json else "latex" * latex)


_WIDTH = 80
_TABLES = (".csv", ".tsv", ".txt", ".dat", ".parquet")


def _fit_cube(
    cube: str, law: str | None, output: str | None, theory: str | None, controls: bool, n_min: Any, as_json: bool
) -> int:
    from spikecube.cube.store import open_cube, write_groups
    from spikecube.live import cube_of
    from spikecube.text import text_table
    from spikecube.words.fits import LAWS, fit_report

    data = cube_of(cube)
    prediction = open_cube(theory) if theory else True
    reports = [
        fit_report(data, name, prediction=prediction, controls=controls, n_min=n_min)
        for name in ([law] if law else LAWS)
    ]
    found = {report.law: report.dataset for report in reports if report.dataset is not None}
    if output and found:
        write_groups(found, output)
    if as_json:
        typer.echo(json.dumps([report.as_dict() for report in reports], indent=2))
    else:
        for report in reports:
            header, rows = report.narrow(_WIDTH)
            table = f"{text_table(header, rows)}\n" if rows else ""
            typer.echo(f"{report.law}\n{textwrap.fill(report.sentence, _WIDTH)}\n{table}")
    return 0 if found else ERROR


def _fit_data(
    path: str, law: str, columns: dict[str, Any], output: str | None, plot: str | None, n_min: Any, form: str
) -> int:
    from spikecube.cube.store import write_groups
    from spikecube.text import text_table
    from spikecube.words.data_fits import fit_file

    found = fit_file(path, law, n_min=n_min, **columns)
    if output:
        write_groups({law: found.dataset}, output)
    if plot:
        from spikecube.explore.fit_page import write_fit_page

        write_fit_page(found.dataset, plot, found.verdict())
    if form == "json":
        typer.echo(json.dumps(found.as_dict(), indent=2))
    elif form == "latex":
        typer.echo(found.latex())
    else:
        verdict = "\n".join(textwrap.fill(line, _WIDTH) for line in found.verdict().splitlines())
        typer.echo(f"{verdict}\n\n{found.dataset.attrs['law']}\n{text_table(found.header(), found.text())}")
    return 0 if found.solved else ERROR


@command
def report(
    cube: CubeFile,
    output: Annotated[str, typer.Option("-o", metavar="FILE", help="The report (HTML).")] = "report.html",
    fits: Annotated[bool, typer.Option(help="Fit the scaling laws too.")] = True,
) -> None:
    """Write the report of a cube: one HTML file that needs no network."""
    from spikecube.cube.store import refuse_target
    from spikecube.explore.report import report as write_report
    from spikecube.live import cube_of

    refuse_target(Path(output))
    opened = cube_of(cube)
    typer.echo(str(write_report(opened, output, fits=_all_fits(opened) if fits else None)))


@command
def explore(
    cube: CubeFile,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Explore a cube, or a run while it grows, in the browser of this machine; Ctrl-C ends it."""
    from spikecube.explore.serve import serve
    from spikecube.live import source_of

    def started(address: str) -> None:
        typer.echo(f"exploring {cube} at {address} (Ctrl-C ends it)", err=True)

    serve(source_of(cube), port=port, fitter=_all_fits, show=browser, started=started)


def _all_fits(cube: Any) -> dict[str, Any]:
    """Every law fitted to a cube, each with the sentence on what it means, or on what the cube lacks for it."""
    import xarray as xr

    from spikecube.words.fits import LAWS, fit_report

    reports = [fit_report(cube, law) for law in LAWS]
    return {
        r.law: (xr.Dataset() if r.dataset is None else r.dataset).assign_attrs(sentence=r.sentence) for r in reports
    }


@command
def merge(
    cubes: Annotated[list[str], typer.Argument(metavar="CUBES...", help="Cubes of the same model.")],
    output: Annotated[str, typer.Option("-o", metavar="FILE", help="The joined cube.")],
    force: Annotated[bool, typer.Option(help="Join cubes of other code or entropy, and record it.")] = False,
) -> None:
    """Join cubes that differ in seeds, sizes, alphas, penalties or further axes."""
    from spikecube.cube.merge import merge as merge_cubes
    from spikecube.cube.store import open_cube, refuse_target, write_cube
    from spikecube.words.overview import completeness

    refuse_target(Path(output))
    merged = merge_cubes([open_cube(path) for path in cubes], force=force)
    write_cube(merged, output)
    typer.echo(f"{output}: {completeness(merged)}")


@command
def verify(
    cube: CubeFile,
    sample: Annotated[int, typer.Option(min=1, help="How many cells.")] = 5,
    seed: Annotated[int | None, typer.Option(min=0, help="Chooses the same cells again.")] = None,
) -> int:
    """Recompute some cells of a cube, chosen at random, and compare."""
    from spikecube.live import cube_of
    from spikecube.runs.verify import verified_rows
    from spikecube.runs.verify import verify as verify_cube
    from spikecube.text import text_table

    verified = verify_cube(cube_of(cube), sample, seed)
    typer.echo(text_table(["cell", "recomputed", "verdict"], verified_rows(verified)))
    typer.echo(f"compared {verified.reason}: {'all agree' if verified.agrees else 'they do NOT agree'}")
    return 0 if verified.agrees else ERROR


def main() -> None:
    """The command `spikecube`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack letters that a title has
    if "--debug" in sys.argv[1:]:
        sys.argv.remove("--debug")
        _State.debug = True
    stdio.guard()
    try:
        app()
    except stdio.OutputError as error:  # of the help and the messages of the parser
        leave(ERROR, f"spikecube: {error}")
