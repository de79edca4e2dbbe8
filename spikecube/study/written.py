"""The text of a study: of one given by keywords, of one to begin with, and where keys stand in it."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import BaseModel

from spikecube.model.checks import Mistake, plain
from spikecube.model.parameters import Model
from spikecube.study.fields import TABLES, Axes, Grid, StudyError, seed_counts

_LONGEST = 200  # lines of one statement; what follows a longer one is not looked for


def as_toml(data: Mapping[str, Any]) -> str:
    """Keywords as TOML text in the order of the study file."""
    document = tomlkit.document()
    for key in ("title", "chunks"):
        if data.get(key):
            document.add(key, tomlkit.item(dict(data[key]) if key == "chunks" else data[key]))
    for name in TABLES:
        if name not in data:
            continue
        table = tomlkit.table()
        for key, value in _fields(data[name]).items():
            table.add(key, _toml_value(value))
        document.add(name, table)
    return tomlkit.dumps(document)


def _fields(part: Any) -> Mapping[str, Any]:
    if isinstance(part, Model):
        return dataclasses.asdict(part)
    if isinstance(part, Axes):
        return part.as_given()
    if isinstance(part, BaseModel):
        return part.model_dump()
    counts = seed_counts(part.get("seed"))
    return {**part, "seed": counts} if counts else part


def _toml_value(value: Any) -> Any:
    if isinstance(value, Grid):
        value = value.model_dump()
    if isinstance(value, Mapping):
        inline = tomlkit.inline_table()
        inline.update({str(k): _toml_value(v) for k, v in value.items()})
        return inline
    return _lists(plain(value))


def _lists(value: Any) -> Any:
    return [_lists(v) for v in value] if isinstance(value, tuple) else value


def new_study() -> str:
    """A study as TOML text: every field with a remark, those that may stay at their default commented out."""
    return (resources.files("spikecube.study") / "new.toml").read_text(encoding="utf-8")


def write_new(path: Path) -> None:
    """Write a commented study; a StudyError if there is such a file, or none can be written there."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(new_study())
    except FileExistsError:
        raise StudyError([f"{path} is there already: choose another name"]) from None
    except OSError as error:
        raise StudyError([f"{path} cannot be written: {error.strerror}"]) from None


def with_lines(mistakes: Sequence[Mistake], text: str) -> list[Mistake]:
    """Mistakes with the line of their key in a TOML text; of a key that is missing, with that of its table."""
    lines = _key_lines(text)
    return [m._replace(line=lines.get(m.key) or lines.get(m.key.rpartition(".")[0])) for m in mistakes]


def _key_lines(text: str) -> dict[str, int]:
    """The line, from 1, at which each dotted key of a valid TOML text begins.

    >>> _key_lines("title = 'x'\\n\\n[axes]\\nn = [\\n 5,\\n]\\nlam = 1\\n")
    {'title': 1, 'axes': 3, 'axes.n': 4, 'axes.lam': 7}
    """
    found: dict[str, int] = {}
    table = ""
    for line, statement in _statements(text):
        keys = list(_dotted(tomllib.loads(statement)))
        if statement.lstrip().startswith("["):
            table = f"{keys[-1]}."
        else:
            keys = [table + key for key in keys]
        for key in keys:
            found.setdefault(key, line)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement of a TOML text with its first line: the fewest lines that are TOML on their own."""
    start, held = 1, ""
    for number, line in enumerate(text.split("\n"), 1):
        held += line + "\n"
        try:
            holds = tomllib.loads(held)
        except tomllib.TOMLDecodeError:
            if number - start == _LONGEST:
                return
            continue
        if holds:
            yield start, held
        start, held = number + 1, ""


def _dotted(table: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a table and of those inside it."""
    for key, value in table.items():
        yield key
        if isinstance(value, Mapping):
            yield from (f"{key}.{inner}" for inner in _dotted(value))
