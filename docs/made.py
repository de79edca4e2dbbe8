"""Makes pages of docs/reference from what the package knows; `conf.py` calls `write_all` before a build."""

from __future__ import annotations

import collections.abc
import csv
import dataclasses
import inspect
import json
import platform
import re
import shutil
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import bokeh
import typer

from spikecube import __version__, cli, views
from spikecube.model.activations import ACTIVATIONS
from spikecube.model.parameters import Model
from spikecube.model.targets import TARGETS
from spikecube.pictures import style
from spikecube.pictures.catalogue import CATALOGUE
from spikecube.scaling import any_law, laws, thresholds
from spikecube.scaling.collapse_ansatz import ANSATZE, Ansatz
from spikecube.study.fields import TABLES
from spikecube.study.study import Study

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference" / "made"
PLAIN = str.maketrans({sign: f"\\{sign}" for sign in "|*_<$"})

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


OTHER_LAWS = {
    "`fit_power_law(..., correction=1)`": laws.corrected_power(1.0),
    '`fit_power_law(..., correction="free")`': laws.FREE_CORRECTION,
    "`fit_limits`": laws.LIMIT,
    "`fit_limits`, where theory has the exponent, here -1": laws.known_limit(-1.0),
    "`design`, for a limit of exponent -1": laws.corrected_limit(-1.0),
}
"""Laws that have no name of their own for users, by the call that fits them."""


def law_table() -> str:
    """The laws that users name, and the two forms of a collapse."""
    forms = [(f"collapse, {name}", form) for name, form in ANSATZE.items()]
    rows = [(f"`{name}`", *_law(law)) for name, law in [*any_law.LAWS.items(), *forms]]
    return table(["law", "formula", "parameters", "when"], rows)


def other_laws() -> str:
    """The laws that fits choose by themselves."""
    rows = [(call, *_law(law)) for call, law in OTHER_LAWS.items()]
    names = ", ".join(f"`{name}`" for name in thresholds.PARAMS)
    rows.append(("`fit_thresholds`", f"`{thresholds.LAW}`", names, "the alpha from which a spike stands clear"))
    return table(["where", "formula", "parameters", "when"], rows)


def _law(law: laws.Law | Ansatz) -> tuple[str, str, str]:
    return f"`{law.formula}`", ", ".join(f"`{name}`" for name in law.params), law.when


def study_keys() -> str:
    """Every key of a study file with its type, default and what is allowed, from the models' own descriptions."""
    parts = [("", [row for row in _section(Study) if row[0].strip("`") not in TABLES])]
    parts += [(f"[{name}]", list(_section(section))) for name, section in TABLES.items()]
    header = ["key", "type", "default", "allowed"]
    return "\n".join(
        f"## {f'`{title}`' if title else 'Top of the file'}\n\n{table(header, rows)}" for title, rows in parts
    )


def _section(section: Any) -> Iterable[tuple[str, str, str, str]]:
    if section is Model:
        hints = typing.get_type_hints(Model)
        for field in dataclasses.fields(Model):
            yield f"`{field.name}`", type_of(hints[field.name]), _value(field.default), field.metadata["allowed"]
        return
    for name, field in section.model_fields.items():
        given = "required" if field.is_required() else _value(field.get_default(call_default_factory=True))
        yield f"`{name}`", type_of(field.annotation), given, field.description


def type_of(annotation: Any) -> str:
    """The type of a key as TOML has it, in words.

    >>> type_of(int | str), type_of(tuple[float, ...]), type_of(typing.Literal["n"])
    ('integer or string', 'float, or a list of them', 'string')
    """
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return f"{type_of(inner[0])}, or a list of them"
    if origin is collections.abc.Sequence:
        return f"list of {type_of(inner[0])}s"
    if origin is typing.Annotated:
        return type_of(inner[0])
    if origin in (types.UnionType, typing.Union):
        return " or ".join(type_of(one) for one in inner)
    words = {str: "string", int: "integer", float: "float", typing.Literal: "string"}
    return words.get(origin or annotation, "table")


def _value(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(list(value) if isinstance(value, tuple) else value)
    return f"`{text}`"


def commands() -> str:
    """The help of every command, as the terminal shows it."""
    group: Any = typer.main.get_command(cli.app)
    parts = []
    for name, command in group.commands.items():
        context = command.make_context(f"spikecube {name}", [], resilient_parsing=True, terminal_width=95)
        parts.append(f"## {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def versions() -> str:
    """Oldest and newest version of what the package uses, from pyproject.toml and the versions of the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "scripts" / "requirements.lock").read_text()
    newest = {name.lower(): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", lock, re.M)}
    groups = {"always": project["dependencies"]} | {
        f"extra `{extra}`": project["optional-dependencies"][extra] for extra in ("slurm", "figures", "parquet")
    }
    rows = [("Python", project["requires-python"].strip(">="), platform.python_version(), "always")]
    for when, asked in groups.items():
        for name, oldest in (requirement.split(">=") for requirement in asked):
            rows.append((name, oldest, newest.get(name.lower(), "not in the lock"), when))
    return table(["what", "oldest", "newest", "needed"], rows)


def csv_table(path: str) -> str:
    """A file of `docs` as a table; a cell that is a hyphen stays one, where `csv-table` makes it a list."""
    with (ROOT / "docs" / path).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return table(header, ([cell.replace("_", "\\_") for cell in row] for row in rows))


CALLS = {
    "spectrum": "sc.views.spectrum(cube, theory, alpha=0.42)",
    "collapse": "sc.views.collapse(cube, k=1)",
    "means": 'sc.views.means(cube, theory, variable="singular_value", x="n", colour="alpha")',
    "exponents": "sc.views.exponents(sc.fit_outliers(cube))",
    "gaps": 'sc.views.gaps(cube, theory, sc.fit_gaps(cube), gap="spiked", kind="train", alpha=0.2)',
    "limits": "sc.views.limits(cube, theory, sc.fit_limits(cube), alpha=0.2)",
    "fit": "first = cube.singular_value.sel(alpha=0.42, rank=1)\nsc.views.fit(sc.fit_power_law(first))",
    "design": 'sc.views.design(sc.design("outlier 1 exponent alpha=0.42 = 0.2", pilot=cube))',
}
"""How a view is called where its cube and the theory are not enough, or another place tells more."""


VIEWS_START = """---
file_format: mystnb
kernelspec:
  name: python3
---

# Views

A cube in, a HoloViews object out: here is each of the public ones, drawn from one small cube. Hover for numbers, click
a name in a legend to hide it; the tools above a figure zoom and save. {doc}`/how-to/explore` says how report, explorer
and notebooks use them, {doc}`api` has their keywords, and {doc}`gallery` asks questions with them. This is the study:

```{code-cell} python
:tags: [remove-cell]
import sys

sys.path.insert(0, "..")
from pictured import refuse_empty, show_in_page

show_in_page()
```

```{literalinclude} ../views.toml
:language: toml
```

```{code-cell} python
import spikecube as sc

study = sc.Study.from_file("../views.toml")
cube, theory = sc.run(study, "made/views"), sc.predict(study)
```
"""


def views_page() -> str:
    """A page that is run: every view by name, with the first paragraph of its docstring, its code and picture."""
    parts = [VIEWS_START]
    for name in views_in_order():
        said = " ".join(inspect.getdoc(getattr(views, name)).split("\n\n")[0].split())
        parts.append(f"## {name}\n\n{said.translate(PLAIN)}\n\n{cell(CALLS.get(name) or call(name))}")
    parts.append(cell("refuse_empty()", tags="[remove-cell]"))
    return "\n".join(parts)


def views_in_order() -> list[str]:
    """The public views, in the order in which report and explorer offer them."""
    offered = (entry.shown.__name__ for entry in CATALOGUE.values() if entry.shown)
    return [name for name in dict.fromkeys([*offered, *views.__all__]) if name in views.__all__]


def call(name: str) -> str:
    """The code that draws a view of a cube, with the theory if it takes one."""
    takes = inspect.signature(getattr(views, name)).parameters
    return f"sc.views.{name}(cube, theory)" if "prediction" in takes else f"sc.views.{name}(cube)"


def cell(code: str, tags: str = "") -> str:
    """A cell of a notebook in MyST."""
    return "\n".join(["```{code-cell} python", *([f":tags: {tags}"] if tags else []), code, "```", ""])


PAGES: dict[str, Callable[[], str]] = {
    "study_keys": study_keys,
    "activations": lambda: coefficients(ACTIVATIONS),
    "targets": lambda: coefficients(TARGETS),
    "laws": law_table,
    "other_laws": other_laws,
    "commands": commands,
    "versions": versions,
    "slow": lambda: csv_table("reference/slow.csv"),
    "coverage": lambda: csv_table("reference/coverage.csv"),
    "coverage-laws": lambda: csv_table("reference/coverage-laws.csv"),
    "compare": lambda: csv_table("explanation/compare.csv"),
    "version": lambda: f"This is spikecube {__version__}.\n",
}


def write_all() -> None:
    """Writes every page, and the scripts that draw the pictures of a page."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    for name, make in PAGES.items():
        (FOLDER / f"{name}.md").write_text(make(), encoding="utf-8")
    (FOLDER.parent / "views.md").write_text(views_page(), encoding="utf-8")
    _write_scripts(FOLDER / "static")


def _write_scripts(folder: Path) -> None:
    """BokehJS from the installed package, and what paints figures in the colours of the night."""
    folder.mkdir()
    shutil.copy(Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js", folder)
    paint = (resources.files("spikecube.pictures") / "assets" / "paint.js").read_text(encoding="utf-8")
    (folder / "paint.js").write_text(f"{paint}\nconst NIGHT = {json.dumps(style.DARK)};\n", encoding="utf-8")
