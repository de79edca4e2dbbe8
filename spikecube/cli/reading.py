"""The commands that read cubes: info, report, explore, merge, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spikecube.cli.common import ERROR, CubeFile, command


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
def report(
    cube: CubeFile,
    output: Annotated[str, typer.Option("-o", metavar="FILE", help="The report (HTML).")] = "report.html",
    fits: Annotated[bool, typer.Option(help="Fit the scaling laws too.")] = True,
) -> None:
    """Write the report of a cube: one HTML file that needs no network."""
    from spikecube.cube.store import refuse_target
    from spikecube.live import cube_of
    from spikecube.pictures.report import report as write_report

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
    from spikecube.live import source_of
    from spikecube.pictures.serve import serve

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
