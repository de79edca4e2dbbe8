"""From where each spike stands clear, against what theory says at single points, and for studies of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from spikecube.cli import app
from spikecube.model.parameters import Model
from spikecube.study.study import Study
from spikecube.theory import detection_edge, predicted_outliers
from spikecube.words.when import WhenError, clear_spikes, first_alpha, first_size, when_text

CUBIC = Model(activation="tanh", target=[0.0, 1.0, 0.0, 0.5], noise=0.5)


def study_of(model: dict[str, object], **axes: object) -> Study:
    known = {"alpha": [0.1, 0.4, 0.45], "n": [1000], "seed": 1, "lam": [0.1], **axes}
    return Study(model=model, axes=known, measure={"degree": 3})


def test_the_cubic_spike_of_tanh_comes_late() -> None:
    """At n of some 5,000 for alpha = 0.45 and more than ten times that for 0.40; at the answer, and not before."""
    late, later = first_size(CUBIC, 0.45, 2), first_size(CUBIC, 0.40, 2)
    assert 4_000 < late < 7_000
    assert 40_000 < later < 80_000
    for n, clear in ((late, True), (0.9 * late, False)):
        outliers = predicted_outliers(CUBIC, round(n), 0.45, conditional=True)
        beyond = len(outliers) > 1 and outliers[1] > detection_edge(CUBIC, round(n), [0.45])[0]
        assert beyond == clear


def test_alpha_and_n_are_two_sides_of_one_line() -> None:
    n = first_size(CUBIC, 0.45, 2)
    assert first_alpha(CUBIC, round(n), 2) == pytest.approx(0.45, abs=0.01)
    assert first_alpha(CUBIC, 1000, 1) < 0.15
    assert np.isnan(first_alpha(CUBIC, 1000, 2))
    assert clear_spikes(CUBIC, 1000, 0.0) == 0


def test_the_first_alpha_is_looked_for_from_below(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theory that fails at larger alphas is not asked there."""

    def known(_model: Model, _n: int, alpha: float) -> int:
        assert alpha < 0.26
        return int(alpha > 0.21)

    monkeypatch.setattr("spikecube.words.when.clear_spikes", known)
    assert first_alpha(CUBIC, 100, 1) == pytest.approx(0.21, abs=0.005)


def test_the_text_says_where_each_spike_is() -> None:
    text = when_text(study_of({"activation": "tanh", "target": [0.0, 1.0, 0.0, 0.5]}))
    assert max(map(len, text.splitlines())) < 80
    assert "degree 2" not in text
    rows = {line.split()[0]: line for line in text.splitlines() if line.startswith("  ")}
    assert rows["1000"].endswith("not below 0.48")
    assert rows["0.1"].endswith("not in the limit")
    assert "about 5," in rows["0.45"]
    one = when_text(study_of({"activation": "relu"}), degree=2)
    assert "degree 1" not in one
    assert "100 or less" in one or "about" in one


def test_a_spike_that_cannot_be_is_refused_and_a_model_without_theory_said() -> None:
    with pytest.raises(WhenError, match="c_2 = 0, there is no such spike; degrees with a spike: 1, 3, 5"):
        when_text(study_of({"activation": "tanh"}), degree=2)
    text = when_text(study_of({}, initial_output=["vanishing", "full"], alpha=[0.4]), degree=1)
    assert "initial_output = full\n\nno answer: " in text
    assert "initial_output = vanishing\n\nalpha from which" in text


def test_the_command_needs_a_study_only(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(study_of({"activation": "tanh"}).to_toml())
    done = CliRunner().invoke(app, ["when", str(file), "--degree", "1"])
    assert done.exit_code == 0
    assert "n from which each spike stands clear, at alpha" in done.stdout
    done = CliRunner().invoke(app, ["when", str(file), "--degree", "2"])
    assert done.exit_code == 1
    assert "c_2 = 0" in done.stderr
