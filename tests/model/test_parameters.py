"""One model: it refuses every mistake in sentences, takes one form inside, and can be copied, sent and compared."""

from __future__ import annotations

import dataclasses
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import spikecube as sc
from spikecube.model.checks import StudyError
from spikecube.model.parameters import ALLOWED, Model
from spikecube.study import fields, study
from spikecube.theory import bulk_edge


def test_there_is_one_model() -> None:
    assert sc.Model is fields.Model is study.Model is Model


def test_the_theory_takes_it_without_a_study() -> None:
    assert bulk_edge(Model(activation="relu", width_ratio=1.0, dim_ratio=0.5)) > 0


WRONG = {
    "noise": [-1, "a", None, True, float("nan"), float("inf"), 10**400, [0.5], 1j],
    "dim_ratio": [0, -0.5, "5"],
    "activation": ["rlu", [], [1.0, 0.0], ["a"], [[0.0, 1.0]], b"relu", 3],
    "target": ["rlu", [], [float("nan")]],
    "readout": [3, "uniform", None],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_every_mistake_is_a_sentence_that_says_what_is_allowed(name: str, value: Any) -> None:
    with pytest.raises(StudyError) as caught:
        Model(**{name: value})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{name}: given ")
    assert problem.endswith(f"; allowed: {ALLOWED[name]}")
    with pytest.raises(StudyError):
        dataclasses.replace(Model(), **{name: value})


def test_all_mistakes_come_at_once_and_unknown_keys_last() -> None:
    with pytest.raises(StudyError) as caught:
        Model(widht_ratio=2, readout="x", noise=-1)  # type: ignore[call-arg]
    assert [p.split(":")[0] for p in caught.value.problems] == ["noise", "readout", "widht_ratio"]
    assert caught.value.problems[2] == (
        f"widht_ratio: unknown key (did you mean width_ratio?); allowed: one of {', '.join(ALLOWED)}"
    )


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int64(2), np.array(2.0), Decimal(2), Fraction(2)])
def test_numbers_of_any_kind_become_floats(value: Any) -> None:
    found = Model(width_ratio=value)
    assert type(found.width_ratio) is float
    assert found == Model(width_ratio=2.0)
    assert hash(found) == hash(Model(width_ratio=2.0))


@pytest.mark.parametrize("value", [[0, 1], (0.0, 1.0), np.array([0.0, 1.0]), range(2)])
def test_series_of_any_kind_become_tuples(value: Any) -> None:
    assert Model(activation=value).activation == Model(target=value).target == (0.0, 1.0)


def test_a_model_is_a_value() -> None:
    model = Model(activation=[0.0, 1.0, 0.3], noise=0)
    assert pickle.loads(pickle.dumps(model)) == model
    assert dataclasses.replace(model, noise=0.1) != model
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.noise = 1.0  # type: ignore[misc]
