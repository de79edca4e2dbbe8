"""The commands that read cubes: info, report, explore, merge, verify."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from spikecube.cli.common import ERROR, CubeFile, Theory, command, say


@command
def info(
    cube: CubeFile,
    lam: Annotated[float | None, typer.Option(help="The penalty of the means; the middle one by default.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Means at every n and alpha, however many.")] = False,
) -> None:
    """Print axes, completeness, and mean losses, outlier counts and alignments of a cube.

    Examples::

        spikecube info staircase --lam 0.1
    """
    from spikecube.live import info as info_of

    say(info_of(cube, lam, every=every))


@command
def report(
    cube: CubeFile,
    output: Annotated[str, typer.Option("-o", metavar="FILE", help="The report (HTML).")] = "report.html",
    fits: Annotated[bool, typer.Option(help="Fit the scaling laws too.")] = True,
    theory: Theory = None,
) -> None:
    """Write the report of a cube: one HTML file that needs no network.

    Examples::

        spikecube report staircase -o report.html
        spikecube report staircase --theory theory.nc
    """
    from spikecube.cube.cuts import as_cube
    from spikecube.cube.store import open_cube, refuse_target
    from spikecube.pictures.report import report as write_report
    from spikecube.runs.progress import for_terminal
    from spikecube.runs.run import cube_of
    from spikecube.words.fits import LAWS

    refuse_target(Path(output))
    opened = as_cube(cube_of(cube), "study", "alpha", "n", "seed", "lam")
    steps = len(LAWS) * fits + 1
    with for_terminal() as progress:
        progress.start(steps, steps, f"report of {cube}: fits, then theory and pictures", unit="steps")
        done = functools.partial(progress.advance, 1.0, failed=False)
        prediction = None if theory is None else open_cube(theory)
        written = write_report(opened, output, prediction, _all_fits(opened, done, prediction) if fits else None)
        done()
    typer.echo(str(written))


@command
def explore(
    cube: CubeFile,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    beside: Annotated[str | None, typer.Option(metavar="CUBE", help="A second cube, drawn beside the first.")] = None,
    predict: Annotated[bool, typer.Option(help="Compute what theory says, from the start.")] = True,
    wait: Annotated[bool, typer.Option("--wait", help="The page waits for a run that has not begun.")] = False,
) -> None:
    """Explore a cube, or a run while it grows, in the browser of this machine; Ctrl-C ends it.

    Examples::

        spikecube explore staircase --port 5006
        spikecube explore staircase --wait
        spikecube explore staircase --beside tanh.nc
    """
    from spikecube.live import awaited, live_source, second_cube
    from spikecube.pictures.serve import serve

    def started(address: str) -> None:
        typer.echo(f"exploring {cube} at {address} (Ctrl-C ends it)", err=True)

    source, other = awaited(cube) if wait else live_source(cube), second_cube(beside)
    serve(source, port=port, fitter=_all_fits, other=other, predict=predict, show=browser, started=started)


def _all_fits(cube: Any, done: Callable[[], None] = lambda: None, prediction: Any = None) -> dict[str, Any]:
    """Every law fitted to a cube, each with the sentence on what it means, or on what the cube lacks for it.

    `done` is called after each; a prediction takes the place of a new one in the laws that rest on one.
    """
    import xarray as xr

    from spikecube.words.fits import LAWS, USES, fit_report

    fits = {}
    for law in LAWS:
        given = {} if prediction is None or "prediction" not in USES[law] else {"prediction": prediction}
        report = fit_report(cube, law, **given)
        fits[law] = (xr.Dataset() if report.dataset is None else report.dataset).assign_attrs(sentence=report.sentence)
        done()
    return fits


@command
def merge(
    cubes: Annotated[list[str], typer.Argument(metavar="CUBES...", help="Cubes of the same model.")],
    output: Annotated[str, typer.Option("-o", metavar="FILE", help="The joined cube.")],
    force: Annotated[bool, typer.Option(help="Join cubes of other code or entropy, and record it.")] = False,
) -> None:
    """Join cubes that differ in seeds, sizes, alphas, penalties or further axes.

    Examples::

        spikecube merge monday.nc tuesday.nc -o both.nc
    """
    from spikecube.cube.merge import merge as merge_cubes
    from spikecube.cube.store import open_cube, refuse_target, write_cube
    from spikecube.words.overview import points_line

    refuse_target(Path(output))
    merged = merge_cubes([open_cube(path) for path in cubes], force=force)
    write_cube(merged, output)
    typer.echo(f"{output}: {points_line(merged)}")


@command
def verify(
    cube: CubeFile,
    sample: Annotated[int, typer.Option(min=1, help="How many cells.")] = 5,
    seed: Annotated[int | None, typer.Option(min=0, help="Chooses the same cells again.")] = None,
) -> int:
    """Recompute some cells of a cube, chosen at random, and compare.

    Examples::

        spikecube verify staircase --sample 5
    """
    from spikecube.runs.verify import verify as verify_cube

    verified = verify_cube(cube, sample, seed)
    say(str(verified))
    return 0 if verified.agrees else ERROR
