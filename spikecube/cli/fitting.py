"""The command fit, of cubes and of other data."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikecube.cli.common import ERROR, Json, Theory, command, parse_option, say

if TYPE_CHECKING:
    from spikecube.words.fit_rows import FitReport

_WIDTH = 80
_TABLES = (".csv", ".tsv", ".txt", ".dat", ".parquet")


def _smallest(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f'{text!r} is not a size, nor "auto"') from None


def _correction(text: str) -> float | str:
    return text if text == "free" else _number("--correction", text)


def _window(text: str) -> float | tuple[float, ...] | str:
    ends = () if text == "auto" else tuple(_number("--window", end) for end in text.split(","))
    return ends[0] if len(ends) == 1 else ends or text


def _held(text: str) -> dict[str, float]:
    pairs = [part.partition("=") for part in text.split(",")]
    return {name.strip(): _number("--fixed", value) for name, _, value in pairs}


_ALLOWED = {
    "--correction": 'an exponent, or "free"',
    "--window": 'one number, two as LOW,HIGH, or "auto"',
    "--fixed": "a parameter with its value, as critical=0,nu=1",
}


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{option}: {text!r} is no number; allowed: {_ALLOWED[option]}") from None


def _form(correction: str | None, window: str | None, fixed: str | None) -> dict[str, Any]:
    given: tuple[tuple[str, str | None, Callable[[str], Any]], ...] = (
        ("correction", correction, _correction),
        ("window", window, _window),
        ("fixed", fixed, _held),
    )
    return {name: parse_option(parse, text) for name, text, parse in given if text is not None}


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
            "Of other data: power, offset, log, log-power, two-size, two-size-interaction or collapse."
        ),
    ] = None,
    output: Annotated[str | None, typer.Option("-o", metavar="FILE", help="Where the fits go (netCDF).")] = None,
    theory: Theory = None,
    controls: Annotated[
        bool | None, typer.Option(help="Control variates for the means over seeds (yes): outliers, gaps, limits.")
    ] = None,
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
    loss: Annotated[
        str | None,
        typer.Option(help="squares (as it is), or huber for laws of two sizes: points far off pull with less weight."),
    ] = None,
    correction: Annotated[
        str | None,
        typer.Option(metavar="OMEGA", help='A correction in n^-OMEGA, or "free": of a power law or a collapse.'),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(metavar="LOW,HIGH", help='Scaled controls that a collapse uses; W for -W,W; or "auto".'),
    ] = None,
    curved: Annotated[
        bool, typer.Option("--curved", help="A collapse in (x - x_c)(1 + field (x - x_c)) for x - x_c.")
    ] = False,
    fixed: Annotated[
        str | None, typer.Option(metavar="NAME=VALUE", help="Parameters of a collapse that are held: critical=0,nu=1.")
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A picture of other data: .html; .png, .svg, .pdf by Matplotlib."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All rows of a cube, not only those at one penalty and those that contradict.")
    ] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print the table of other data for a paper.")] = False,
    as_json: Json = False,
) -> int:
    """Fit scaling laws to a cube or to anybody's data: what was found, then estimates, intervals and tests.

    Examples::

        spikecube fit staircase --law outliers
        spikecube fit data.csv --size L --value m --stderr dm --law power
        spikecube fit data.csv --size L --value m --control T --law collapse
    """
    from spikecube.cube.store import refuse_target

    for target in filter(None, (output, plot)):
        refuse_target(Path(target))
    smallest = n_min if n_min in (None, "auto") else parse_option(_smallest, n_min)
    named = {"--size": size, "--value": value, "--control": control, "--stderr": stderr, "--loss": loss, "--plot": plot}
    form = _form(correction, window, fixed) | ({"curved": True} if curved else {})
    if size is None or value is None:
        given = [name for name, text in named.items() if text is not None] + ["--latex"] * latex
        given += [f"--{name}" for name in form]
        if given:
            raise typer.BadParameter(f"{given[0]} is for data other than cubes, which need --size and --value")
        if Path(cube).suffix in _TABLES:
            raise typer.BadParameter(f"{cube} is a table: name its columns with --size and --value")
        shown = "json" if as_json else "all" * every
        return _fit_cube(cube, law, output, theory, controls is not False, smallest, shown)
    which = "--controls" if controls else "--no-controls"
    of_cubes = ["--theory"] * (theory is not None) + [which] * (controls is not None) + ["--all"] * every
    if of_cubes:
        raise typer.BadParameter(f"{of_cubes[0]} is for cubes, not for other data")
    if latex and as_json:
        raise typer.BadParameter("--latex and --json exclude each other: one table is printed")
    columns: dict[str, Any] = {"size": size, "value": value, "control": control, "stderr": stderr}
    columns |= {"loss": loss or "squares", "options": form}
    return _fit_data(cube, law or "power", columns, output, plot, smallest, "json" if as_json else "latex" * latex)


def _fit_cube(
    cube: str, law: str | None, output: str | None, theory: str | None, controls: bool, n_min: Any, form: str
) -> int:
    from spikecube.cube.store import open_cube, write_groups
    from spikecube.runs.run import cube_of
    from spikecube.words.fits import LAWS, fit_report
    from spikecube.words.verdicts import stopped_at

    data = cube_of(cube)
    given = {"prediction": open_cube(theory) if theory else True, "controls": controls, "n_min": n_min}
    reports = [
        fit_report(data, name, **(given if law else _known_to(name, given))) for name in ([law] if law else LAWS)
    ]
    found = {report.law: report.dataset for report in reports if report.dataset is not None}
    if output and found:
        write_groups(found, output)
    if form == "json":
        typer.echo(json.dumps([report.as_dict() for report in reports], indent=2))
        return 0 if found else ERROR
    _print_reports(reports, every=form == "all")
    unused = ["--theory"] * bool(theory) + ["--no-controls"] * (not controls) + ["--n-min auto"] * (n_min == "auto")
    if unused and law is None:
        say(f"thresholds and collapse rest on single draws: they are fitted without {', '.join(unused)}")
    if stopped := stopped_at(data):
        say(stopped)
    return 0 if found else ERROR


def _print_reports(reports: list[FitReport], *, every: bool) -> None:
    """One line a law, then for each its sentences and its table."""
    from spikecube.text import text_table

    if len(reports) > 1:
        width = max(len(report.law) for report in reports)
        say("\n".join(f"{report.law:{width}}  {report.headline()}" for report in reports) + "\n")
    seen: set[str] = set()
    for report in reports:
        shown, others = (report, "") if every else report.essential()
        header, rows = shown.narrow(_WIDTH)
        table = "".join(f"{part}\n" for part in (others, text_table(header, rows)) if part) if rows else ""
        reason = report.sentence.removeprefix(f"{report.law}: ")
        sentence = f"{report.law}: no fit, for the same reason" if reason in seen else report.sentence
        seen |= {reason} if report.dataset is None else set()
        say(f"{report.law}\n{textwrap.fill(sentence, _WIDTH)}\n{table}")


def _known_to(law: str, given: dict[str, Any]) -> dict[str, Any]:
    """The options that a law uses, where one of all laws is fitted; thresholds and collapse choose no sizes."""
    from spikecube.words.fits import USES

    known = {name: value for name, value in given.items() if name in USES[law]}
    return {} if known == {"n_min": "auto"} else known


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
        from spikecube.pictures.figure_file import write_fit_picture

        write_fit_picture(found.dataset, plot, found.verdict())
    if form == "json":
        typer.echo(json.dumps(found.as_dict(), indent=2))
    elif form == "latex":
        typer.echo(found.latex())
    else:
        verdict = "\n".join(textwrap.fill(line, _WIDTH) for line in found.verdict().splitlines())
        say(f"{verdict}\n\n{found.dataset.attrs['law']}\n{text_table(found.header(), found.text())}")
    return 0 if found.solved else ERROR
