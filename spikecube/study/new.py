"""A commented study to begin with."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from spikecube.study.fields import StudyError


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
