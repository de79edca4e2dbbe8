"""A study as the text of its file: from keywords, or a commented one to begin with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import BaseModel

from spikecube.model.checks import plain
from spikecube.model.parameters import Model
from spikecube.study.fields import TABLES, Axes, Grid, StudyError, seed_counts


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
