"""All that is printed reads in 80 columns, whatever names and numbers stand in it; no word is broken."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spikecube.cli import app
from spikecube.text import folded, text_table

DATA = Path(__file__).parents[2] / "data"
LONG = "a_name_that_nobody_would_ever_write_but_somebody_has_written"
BAD = f"""title = 3
[model]
activation = "{LONG}"
target = "{LONG}"
{LONG} = 3
noise = -1
[axes]
alpha = [0.9, "x", 0.3]
n = [3, 2]
seed = {{ 100 = 2 }}
"""


def wide(text: str) -> list[str]:
    """The lines beyond 80 columns that could have been broken."""
    return [line for line in text.splitlines() if len(line) > 80 and " " in line.strip()]


@pytest.mark.parametrize(
    "command",
    [
        "info {data}/cubes/paper/n_odd.nc --all",
        "fit {data}/cubes/tiny.nc --law gaps",
        "plan bad.toml",
        "new {long}.toml",
        *(f"{name} --help" for name in ("run", "fit", "plan", "explore", "submit", "merge")),
    ],
)
def test_what_a_command_prints_reads_in_80_columns(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text(BAD)
    answer = CliRunner().invoke(app, command.format(data=DATA, long=LONG), env={"COLUMNS": "80"})
    assert len(answer.output.splitlines()) > 1
    assert not wide(answer.output)


def test_a_wide_table_is_several_with_the_same_labels_and_all_numbers() -> None:
    header = ["n", *(f"column {i}" for i in range(14))]
    rows = [[str(n), *(f"{n + i}.25(12)" for i in range(14))] for n in (10, 20)]
    text = text_table(header, rows, labels=1)
    assert not wide(text)
    parts = [re.split(r" {2,}", line.strip()) for line in text.split("\n") if line]
    assert [line[0] for line in parts] == ["n", "10", "20"] * (len(parts) // 3)
    again = [[text for part in parts[k::3] for text in part[1:]] for k in range(3)]
    assert again == [header[1:], *(row[1:] for row in rows)]
    assert text_table(["a", "b"], [["1", "2"]], labels=1) == text_table(["a", "b"], [["1", "2"]])


def test_a_long_last_column_is_folded_under_itself() -> None:
    lines = text_table(["name", "what"], [["x", "word " * 30], ["y", "end"]]).splitlines()
    assert not wide("\n".join(lines))
    assert {line.index("word") for line in lines if "word" in line} == {lines[0].index("what")}
    assert " ".join(lines[1:-1]).split() == ["x", *["word"] * 30]


def test_folding_keeps_every_word_and_short_lines() -> None:
    rng = np.random.default_rng(3)
    text = "\n".join(" ".join("w" * k for k in rng.integers(1, 30, size)) for size in (2, 40, 0, 9))
    assert folded(text).split() == text.split()
    assert not wide(folded(text))
    assert folded("  a table row\n\nshort") == "  a table row\n\nshort"
