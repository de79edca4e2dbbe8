"""Any text in place of a study gives sentences, never a traceback."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st

from spikecube import cli
from spikecube.study.study import Study, StudyError

KEYS = ["title", "chunks", "model", "axes", "measure", "random", "alpha", "n", "seed", "lam", "activation", "target"]
KEYS += [
    "noise",
    "dim_ratio",
    "width_ratio",
    "rank",
    "degree",
    "ell",
    "entropy",
    "start",
    "stop",
    "num",
    "spacing",
    "x",
]
SCALARS = (
    st.integers(-(2**70), 2**70)
    | st.floats()
    | st.booleans()
    | st.sampled_from(["relu", "tanh", "n", "log", "full", "", "é", "\x7f", "[axes]"])
    | st.text(max_size=4)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
GOOD = {
    "model": {"activation": "relu", "noise": 0.5},
    "axes": {"alpha": [0.0, 0.2], "n": [20, 40], "seed": 2, "lam": [0.1, 1.0]},
    "measure": {"rank": 2, "degree": 1, "ell": 1},
}


def only_sentences(text: str) -> None:
    with contextlib.suppress(StudyError):
        study = Study.from_toml(text)
        assert study.to_toml() == text


def written(data: dict[str, Any]) -> str:
    """The tables as TOML; those that the writer refuses are passed over, whatever it says."""
    try:
        return tomlkit.dumps(data)
    except (ValueError, TypeError, AttributeError):
        return reject()


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
@settings(deadline=None, max_examples=150)
def test_any_tables(data: dict[str, Any]) -> None:
    with contextlib.suppress(StudyError):
        Study(**data)


@given(st.sampled_from(sorted(GOOD)), st.sampled_from(KEYS), VALUES)
@settings(deadline=None, max_examples=250)
@example("axes", "alpha", {"start": 0.0, "stop": float("nan"), "num": 3})
@example("axes", "n", {"start": 1e308, "stop": 2.0, "num": 3})
@example("axes", "seed", 10**30)
@example("axes", "activation", [[0.0, 1.0], [[1.0]]])
@example("model", "activation", [float("inf"), 1.0])
def test_a_good_study_with_one_thing_changed(table: str, key: str, value: Any) -> None:
    changed = GOOD | {table: GOOD[table] | {key: value}}
    with contextlib.suppress(StudyError):
        Study(**changed)
    only_sentences(written(changed))


@pytest.mark.parametrize("failure", [ValueError, TypeError, AttributeError])
def test_a_failure_that_is_no_sentence_is_seen(failure: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> Study:
        raise failure("inside")

    monkeypatch.setattr(Study, "from_toml", fail)
    with pytest.raises(failure, match="inside"):
        test_a_good_study_with_one_thing_changed.hypothesis.inner_test("axes", "n", [20])


@given(st.text(max_size=60) | st.sampled_from(["[axes]", "n = [", 'title = "\\ud800"', "a.b.c = 1\na.b = 2"]))
@settings(deadline=None, max_examples=100)
def test_any_text(text: str) -> None:
    only_sentences(text)


@given(st.binary(max_size=40))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_gives_code_2_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    for command in ("plan", "run"):
        with pytest.raises(SystemExit) as ended:
            cli.app([command, str(path)])
        assert ended.value.code == 2
        assert "Traceback" not in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["study.toml"]
