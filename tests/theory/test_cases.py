"""Finite-n theory against measured configurations: d from 25 to 600, every readout, n up to 20 d."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikecube.model.parameters import Model
from spikecube.theory import chosen_degrees, finite_losses, loss_remainders, predicted_outliers
from spikecube.theory.conditional.build import Parts, profile_of
from spikecube.theory.conditional.losses import conditional_losses
from tests.theory.models import sphere_model

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "reference" / "cases.json").read_text(encoding="utf-8")
)["cases"]
WHOLE = Parts(2, radius=True, plane=True, batch=True)
NAMES = [f"{c['config']['activation']}-{c['config']['readout']}-{c['n']}" for c in CASES]


def model_of(case: dict[str, Any]) -> Model:
    config = case["config"] | {"target": tuple(case["config"]["target"])}
    return sphere_model(**config)


def deviations(case: dict[str, Any], parts: Parts) -> tuple[np.ndarray, np.ndarray]:
    """Measured over predicted minus one, and the standard errors in the same units; shape (alpha, kind, lam)."""
    found, errors = [], []
    for i, alpha in enumerate(case["alpha"]):
        losses = conditional_losses(profile_of(model_of(case), case["n"], alpha, parts), case["lam"])
        predicted = np.array([losses.train, losses.test])
        measured, stderr = (
            np.array([case[f"{kind}_{what}"][i] for kind in ("train", "test")]) for what in ("loss", "stderr")
        )
        found.append(measured / predicted - 1)
        errors.append(stderr / predicted)
    return np.array(found), np.array(errors)


@functools.cache
def outside(parts: Parts) -> tuple[np.ndarray, np.ndarray]:
    """By case: how many of its 30 losses lie beyond 3 per cent and 2.5 standard errors, and the farthest deviation."""
    found = [deviations(case, parts) for case in CASES]
    count = [int(np.sum(np.abs(off) > 0.03 + 2.5 * stderr)) for off, stderr in found]
    return np.array(count), np.array([np.abs(off).max() for off, _ in found])


DIMS = np.array([model_of(case).dim(case["n"]) for case in CASES])


def test_losses_agree_with_what_was_measured() -> None:
    """At d >= 40 at least 96 per cent within 3 per cent and 2.5 standard errors, none farther than 12 per cent."""
    count, farthest = outside(WHOLE)
    large = DIMS >= 40
    assert count[large].sum() <= 0.04 * 30 * large.sum()
    assert farthest[large].max() < 0.12


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (Parts(1, radius=False, plane=True, batch=True), "blocks"),
        (Parts(2, radius=False, plane=True, batch=True), "radius"),
        (Parts(2, radius=True), "matrix"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_without_any_of_the_three_parts_it_agrees_less(parts: Parts, name: str) -> None:
    """Negative control: blocks and the matrix each bring more than ten losses in, the radius brings what it must."""
    whole, without = outside(WHOLE)[0].sum(), outside(parts)[0].sum()
    if name == "radius":
        off, _ = deviations(CASES[8], parts)
        kept, _ = deviations(CASES[8], WHOLE)
        assert np.abs(kept).mean() < 0.8 * np.abs(off).mean()
    else:
        assert without > whole + 10


def test_small_networks_stay_within_the_stated_remainder() -> None:
    """d = 25: nine losses in ten within 3 per cent, 2.5 standard errors and the remainder."""
    for case in (case for case, d in zip(CASES, DIMS, strict=True) if d < 40):
        model, n = model_of(case), case["n"]
        off, stderr = deviations(case, WHOLE)
        remainder = np.array([loss_remainders(model, case["lam"], n, alpha, degrees=2) for alpha in case["alpha"]])
        assert np.mean(np.abs(off) <= 0.03 + 2.5 * stderr + remainder) >= 0.9


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_spikes_are_where_they_were_measured(case: dict[str, Any]) -> None:
    """Outliers a tenth beyond the third singular value, which is in the bulk or near it: within 4 per cent."""
    model, n = model_of(case), case["n"]
    degrees = chosen_degrees(model, n)
    for alpha, measured in zip(case["alpha"], case["singular_value"], strict=True):
        found = predicted_outliers(model, n, alpha, conditional=True, degrees=degrees)[:2]
        clear = found > 1.1 * measured[2]
        np.testing.assert_allclose(found[clear], np.array(measured)[: len(found)][clear], rtol=0.04)


def test_the_chosen_blocks_are_enough() -> None:
    for case in CASES[:3]:
        model, n, lam = model_of(case), case["n"], case["lam"]
        chosen, more = (np.array(finite_losses(model, lam, n, 0.3, degrees=k)) for k in (None, 4))
        np.testing.assert_allclose(chosen, more, rtol=2e-3)
