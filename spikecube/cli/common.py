"""What all commands share: the application, options, errors as one line, and how a process ends."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NoReturn

import typer

from spikecube._version import __version__
from spikecube.errors import SpikecubeError

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

    return parse_option(parse_size, text)


def parse_option(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Kept = Annotated[str | None, typer.Option("-o", metavar="NAME", help="Where to keep it: NAME.run, NAME.nc.")]
Theory = Annotated[
    str | None, typer.Option(metavar="FILE", help="A prediction (of predict) to use instead of a new one.")
]
Memory = Annotated[
    float | None,
    typer.Option(metavar="SIZE", parser=_size, help="Memory that all cells in flight may use together, say 16GiB."),
]
Share = Annotated[str | None, typer.Option(metavar="i/N", help="Compute one of N balanced shares only.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

ERROR, USAGE, FAILED_CELLS, INTERRUPTED = 1, 2, 3, 130


def say(text: str, err: bool = False) -> None:
    """Prints a text in 80 columns."""
    from spikecube.text import folded

    typer.echo(folded(text), err=err)


def say_or_json(found: Any, as_json: bool) -> None:
    """Prints what was found: its text, or its `as_dict` as JSON."""
    typer.echo(json.dumps(found.as_dict(), indent=2)) if as_json else say(str(found))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spikecube {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    Switches.debug = Switches.debug or debug


class Switches:
    debug = False


def command(function: Callable[..., int | None]) -> Callable[..., None]:
    """Registers a command; its errors become one line and an exit code, the examples of its docstring end its help."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> None:
        with _errors_as_lines():
            code = function(*args, **kwargs)
        raise typer.Exit(code or 0)

    text, _, examples = inspect.cleandoc(function.__doc__ or "").partition("\n\nExamples::\n")
    app.command(help=text, epilog=f"\b\nExamples:\n{examples.strip(chr(10))}" if examples else None)(guarded)
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
        if Switches.debug:
            traceback.print_exc()
        from spikecube.study.fields import StudyError

        if isinstance(error, StudyError):
            say(str(error), err=True)
            raise typer.Exit(USAGE) from None
        tell = say if sys.stderr.isatty() else typer.echo  # a log has one line an error
        tell(f"spikecube: {one_line(error)}", err=True)
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
