"""Studies: every mistake has its sentence, and a study survives being written."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import numpy as np
import pytest

from spikecube.study.fields import Measure
from spikecube.study.study import Cell, Model, Study, StudyError
from spikecube.study.written import new_study, write_new

HERE = Path(__file__).parent
STUDIES = HERE.parents[1] / "data" / "studies"
BAD = tomllib.loads((HERE / "bad_studies.toml").read_text())["bad"]
AXES = {"alpha": [0.0, 0.29], "n": [100, 200], "seed": 3, "lam": [0.1, 1.0]}


@pytest.mark.parametrize("case", BAD, ids=lambda case: case["problems"][0].split(":")[0])
def test_each_mistake_of_a_bad_study_is_reported_at_once(case: dict[str, object]) -> None:
    with pytest.raises(StudyError) as caught:
        Study.from_toml(str(case["study"]))
    assert list(caught.value.problems) == case["problems"]


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda p: p.stem)
def test_the_studies_we_ship_are_right_and_written_back_unchanged(path: Path) -> None:
    study = Study.from_file(path)
    assert study.to_toml() == path.read_text()
    assert study.shape["alpha"] == len(study.axes.alpha)


def test_a_study_from_keywords_survives_its_toml() -> None:
    study = Study(
        title='a title with "quotes" and a \\',
        model=Model(activation=[0.0, 1.0, 0.3], noise=0),
        axes={**AXES, "n": np.array([100, 200]), "lam": {"start": 0.1, "stop": 10, "num": 3, "spacing": "log"}},
        random={"entropy": 2**70},
    )
    again = Study.from_toml(study.to_toml())
    assert again == study
    assert again.to_toml() == study.to_toml()
    assert again.axes.lam == (0.1, 1.0, 10.0)
    assert again.sha256 == study.sha256


def test_keyword_mistakes_are_sentences_too() -> None:
    with pytest.raises(StudyError, match=r"^noise: given -1; allowed: a number >= 0\ndim_ratio: given \"x\"; allowed"):
        Model(noise=-1, dim_ratio="x")
    with pytest.raises(StudyError, match=r"model.noise: given \"a\"; allowed: a number >= 0\naxes.n: missing"):
        Study(model={"noise": "a"}, axes={"alpha": [0.1], "seed": 1, "lam": [1.0]})


def test_one_value_stands_for_a_list() -> None:
    text = "[axes]\nalpha = 0.3\nn = 100\nseed = 5.0\nlam = 1\nactivation = 'tanh'\nnoise = 0.5\n"
    study = Study.from_toml(text)
    assert study.axes == Study(axes={"alpha": [0.3], "n": [100], "seed": 5, "lam": [1.0]}).axes.model_copy(
        update={"activation": "tanh", "noise": 0.5}
    )
    assert study.further == {"activation": ("tanh",), "noise": (0.5,)}
    assert study.shape["seed"] == 5
    assert study.to_toml() == text


def test_the_new_study_names_every_field_and_each_may_stand(tmp_path: Path) -> None:
    text = new_study()
    study = Study.from_toml(text)
    spelled = tomllib.loads(text.replace("#: ", ""))
    assert Study(**spelled).further == {"width_ratio": (0.5, 1.0)}
    assert set(spelled["model"]) == {f.name for f in dataclasses.fields(Model)}
    assert set(spelled["measure"]) == set(Measure.model_fields)
    assert dataclasses.asdict(Study(**spelled).model) == dataclasses.asdict(study.model)
    assert Study(**spelled).measure == study.measure
    write_new(tmp_path / "mine.toml")
    assert (tmp_path / "mine.toml").read_text() == text
    with pytest.raises(StudyError, match=r"mine\.toml is there already: choose another name"):
        write_new(tmp_path / "mine.toml")
    with pytest.raises(StudyError, match=r"cannot be written: No such file"):
        write_new(tmp_path / "none" / "mine.toml")


def test_lines_are_those_of_the_file_however_it_is_laid_out() -> None:
    text = """# a remark
title = '''
[axes]
noise = 3'''

[model]   # with a remark
"noise" = -1

  [axes]
alpha = [ # a list over lines
  0.1,
  0.7,
]
n = { start = 100, stop = 200,
"""
    with pytest.raises(StudyError, match=r"is not valid TOML: .*line 14"):
        Study.from_toml(text)
    with pytest.raises(StudyError) as caught:
        Study.from_toml(text.rpartition("n =")[0] + "n = [100]\n")
    assert [str(m).split(": ")[0] for m in caught.value.mistakes] == [
        "model.noise (line 7)",
        "axes.alpha (line 10)",
        "axes.seed (line 9)",
        "axes.lam (line 9)",
    ]


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"cannot be read: No such file or directory$"):
        Study.from_file(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"')
    with pytest.raises(StudyError, match=r"cannot be read: it is not UTF-8 text$"):
        Study.from_file(tmp_path / "latin.toml")


def test_sizes_round_as_the_theory_says() -> None:
    model = Model(dim_ratio=0.3, width_ratio=2.5, step_ratio=1.5, eta_scale=2.0)
    assert (model.dim(101), model.width(101), model.step_samples(101)) == (30, 252, 152)
    assert model.eta(100, 0.5) == pytest.approx(20.0)


def test_further_axes_make_cells_and_models() -> None:
    study = Study(axes={**AXES, "activation": ["tanh", "relu", [0, 1, 0.3]], "width_ratio": [0.5, 2.0]})
    assert study.labels("activation") == ("tanh", "relu", "[0, 1, 0.3]")
    assert study.model_at(activation="[0, 1, 0.3]", width_ratio=2.0).activation == (0, 1, 0.3)
    cells = list(study.cells())
    assert len(set(cells)) == len(cells) == 3 * 2 * 2 * 3
    assert cells[0] == Cell(100, 0, (("activation", "tanh"), ("width_ratio", 0.5)))
    assert cells[0].describe() == "n = 100, seed = 0, activation = tanh, width_ratio = 0.5"
