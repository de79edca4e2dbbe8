"""The commands that compute no cell: new, plan, when, predict."""

from __future__ import annotations

import functools
import shlex
from pathlib import Path
from typing import Annotated

import typer

from spikecube.cli.common import ERROR, Json, Memory, StudyFile, command, say, say_or_json


@command
def new(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The study to write; one that is there stays.")
    ] = "study.toml",
) -> None:
    """Write a commented study to begin with; it runs in seconds as it stands.

    Examples::

        spikecube new
        spikecube new tanh.toml
    """
    from spikecube.study.written import write_new

    write_new(Path(file))
    say(f"written: {file}; next: spikecube plan {shlex.quote(file)}, then spikecube run {shlex.quote(file)}")


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
    """Predict cells, time, memory and disk space of a study before anything runs, or lay out seeds for a target.

    Examples::

        spikecube plan study.toml
        spikecube plan study.toml --target 'threshold 2 = 0.02' -o larger.toml
    """
    alone = {"--pilot": pilot, "--max-n": max_n, "--max-hours": max_hours, "-o": output}
    plain = {"--max-memory": max_memory, "--workers": workers, "--json": as_json or None}
    unused = [name for name, text in (alone if target is None else plain).items() if text is not None]
    if unused:
        raise typer.BadParameter(f"{unused[0]} goes {'with' if target is None else 'without'} --target")
    if target is not None:
        return _lay_out(study, target, pilot, max_n, max_hours, output)
    from spikecube.runs.plan import plan as make_plan

    planned = make_plan(study, max_memory, workers=workers)
    say_or_json(planned, as_json)
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
    tell = functools.partial(say, err=True)
    cube = open_cube(pilot) if pilot else make_pilot(parsed, hours, tell)
    found = lay_out(parsed, target, pilot=cube, max_n=max_n, max_hours=max_hours, hours=hours)
    say(lay_out_text(found))
    if output:
        write_atomically(Path(output), lambda path: path.write_text(found.study.to_toml(), encoding="utf-8"))
        say(f"written: {output}")
    return 0 if found.relaxed == 1 else ERROR


@command
def when(
    study: StudyFile,
    degree: Annotated[int | None, typer.Option(min=1, metavar="K", help="Only the spike of this degree.")] = None,
) -> None:
    """Tell from which alpha at each n, and from which n at each alpha, each spike stands clear: theory alone.

    Examples::

        spikecube when study.toml --degree 3
    """
    from spikecube.study.study import Study
    from spikecube.words.when import when_text

    say(when_text(Study.from_file(study), degree))


@command
def predict(
    study: StudyFile,
    output: Annotated[str, typer.Option("-o", metavar="FILE", help="Where the prediction goes (netCDF).")],
    given: Annotated[
        str | None, typer.Option(metavar="CUBE", help="Losses and outliers for each draw of this cube of the study.")
    ] = None,
) -> None:
    """Write what the theory predicts for a study, with the names of its cube.

    Examples::

        spikecube predict study.toml -o theory.nc
        spikecube predict study.toml --given staircase.nc -o theory.nc
    """
    from spikecube.cube.predict import predict as predict_study
    from spikecube.cube.store import open_cube, refuse_target, write_cube
    from spikecube.runs.progress import for_terminal
    from spikecube.study.study import Study

    parsed = Study.from_file(study)
    refuse_target(Path(output))
    with for_terminal() as progress:

        def tick(done: int, total: int) -> None:
            if done == 1:
                progress.start(total, total, f"predicting {total} points (alpha, n)", unit="points")
            progress.advance(1.0, failed=False)

        prediction = predict_study(parsed, tick, given=None if given is None else open_cube(given))
    write_cube(prediction, output)
    declined = f"; {prediction.attrs['declined']}" if "declined" in prediction.attrs else ""
    typer.echo(f"{output}: {len(prediction.data_vars)} predicted variables{declined}")
