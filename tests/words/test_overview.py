from __future__ import annotations

import numpy as np
import pytest

from scripts.madeup import fill, study_of
from spikecube.cube.schema import STATUS
from spikecube.means.comparisons import compared
from spikecube.text import text_table, with_error
from spikecube.words.findings import findings
from spikecube.words.overview import overview
from spikecube.words.seen import seen
from tests.runs import standin


def test_means_and_errors_are_those_of_the_seeds() -> None:
    cube = standin.make_cube()
    values = cube["test_loss"].sel(n=40, alpha=0.2, activation="relu", lam=1.0).values
    mean = with_error(values.mean(), values.std(ddof=1) / np.sqrt(3))
    row = next(line for line in overview(cube).splitlines() if line.split()[:3] == ["relu", "40", "0.2"])
    assert mean in row.split()


def test_the_first_lines_say_what_and_how_complete() -> None:
    text = overview(standin.make_cube())
    assert text.startswith("stand-in\n")
    assert "36 of 36 points (alpha, n, seed) ok" in text
    assert "activation       2  tanh, relu" in text


def test_an_unfinished_cube_says_so() -> None:
    cube = standin.make_cube()
    cube["status"][0, 0, 0, 0] = 2
    cube["status"][1, 0, 0, 0] = 0
    assert "34 of 36 points (alpha, n, seed) ok, 1 pending, 1 failed" in overview(cube)
    biased = (
        "seeds failed at 1 of 12 points where others are ok: if they failed by what was drawn, the means are biased"
    )
    assert biased in " ".join(overview(cube).split())
    assert any(
        s.startswith("Seeds failed at 1 of 12 points where others are ok") for s in findings(seen(compared(cube)))
    )


def test_seeds_that_are_missing_by_no_fault_of_theirs_bias_nothing() -> None:
    """Points that all failed, that are not there yet, or that nobody asked for."""
    cube = standin.make_cube()
    cube["status"][0, 0, :, 0] = 2
    cube["status"][1, 0, 0, 0] = 0
    cube["status"][2, 0, 0, 0] = STATUS["absent"]
    assert "biased" not in overview(cube)


def test_many_labels_are_thinned_to_a_screen() -> None:
    cube = fill(study_of(alpha={"start": 0, "stop": 0.45, "num": 40}, n=list(range(20, 26)), seed=1))
    assert len(overview(cube).splitlines()) < 45
    assert "0.45" in overview(cube)


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (1.0, 0.1, "1.00(10)"),
        (12345.6, 321.0, "12346(321)"),
        (0.5, float("nan"), "0.5"),
        (-1e-3, 2e-5, "-0.001000(20)"),
    ],
)
def test_a_value_with_its_error(value: float, stderr: float, text: str) -> None:
    assert with_error(value, stderr) == text


def test_numbers_stand_on_the_right_and_text_on_the_left() -> None:
    assert text_table(["name", "x"], [["a", "1"], ["bb", "10"]]).splitlines() == [
        "  name   x",
        "  a      1",
        "  bb    10",
    ]
