"""Makes the pages of docs/reference/made from what the package knows; `conf.py` calls `write_all` before a build."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import typer

from spikecube import __version__, cli
from spikecube.model.activations import ACTIVATIONS
from spikecube.model.parameters import Model
from spikecube.model.targets import TARGETS
from spikecube.study.fields import TABLES
from spikecube.study.study import Study

FOLDER = Path(__file__).parent / "reference" / "made"

FORMULAS = {
    "relu": r"\max(z, 0)",
    "softplus": r"\ln(1 + e^z)",
    "tanh": r"\tanh z",
    "erf": r"\operatorname{erf} z = \frac{2}{\sqrt\pi}\int_0^z e^{-t^2}\,dt",
    "sigmoid": r"1/(1 + e^{-z})",
    "gelu": r"z\,\Phi(z)",
    "linear": r"H_1(z) = z",
    "quadratic": r"H_1(z) + \tfrac12 H_2(z)",
    "cubic": r"H_1(z) + \tfrac14 H_3(z)",
}


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of Markdown; bars within cells are escaped."""
    lines = [" | ".join(str(cell).replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join([f"| {' | '.join(header)} |", "|" + "---|" * len(header), *(f"| {line} |" for line in lines), ""])


def coefficients(entries: dict[str, Any]) -> str:
    """Formula, kinks and the first Hermite coefficients c_0 ... c_5 of every entry."""
    rows = []
    for name, entry in entries.items():
        kinks = ", ".join(f"{kink:g}" for kink in entry.kinks) or "none"
        series = (f"{c + 0.0:.6f}" if abs(c) > 5e-7 else "0" for c in entry.coefficients(5))
        rows.append((f"`{name}`", f"${FORMULAS[name]}$", kinks, *series))
    return table(["name", "formula", "kinks", *(f"$c_{k}$" for k in range(6))], rows)


def study_keys() -> str:
    """Every key of a study file with its type, default and what is allowed, from the models' own descriptions."""
    parts = [("", [row for row in _section(Study) if row[0].strip("`") not in TABLES])]
    parts += [(f"[{name}]", list(_section(section))) for name, section in TABLES.items()]
    header = ["key", "default", "allowed"]
    return "\n".join(
        f"## {f'`{title}`' if title else 'Top of the file'}\n\n{table(header, rows)}" for title, rows in parts
    )


def _section(section: Any) -> Iterable[tuple[str, str, str]]:
    if section is Model:
        for field in dataclasses.fields(Model):
            yield f"`{field.name}`", _value(field.default), field.metadata["allowed"]
        return
    for name, field in section.model_fields.items():
        given = "required" if field.is_required() else _value(field.get_default(call_default_factory=True))
        yield f"`{name}`", given, field.description


def _value(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(list(value) if isinstance(value, tuple) else value)
    return f"`{text}`"


def commands() -> str:
    """The help of every command, as the terminal shows it."""
    group: Any = typer.main.get_command(cli.app)
    parts = []
    for name, command in group.commands.items():
        context = command.make_context(f"spikecube {name}", [], resilient_parsing=True, terminal_width=100)
        parts.append(f"## {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


PAGES: dict[str, Callable[[], str]] = {
    "study_keys": study_keys,
    "activations": lambda: coefficients(ACTIVATIONS),
    "targets": lambda: coefficients(TARGETS),
    "commands": commands,
    "version": lambda: f"This is spikecube {__version__}.\n",
}


def write_all() -> None:
    """Writes every page that has changed."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        path, text = FOLDER / f"{name}.md", make()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
