"""Every documented array entry takes any real type with the same numbers, and refuses what is not real."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from spikecube.model.activations import resolve_activation
from spikecube.model.network import gradient
from spikecube.model.ridge import ridge_path
from spikecube.numbers import real_array
from spikecube.study.study import Model
from spikecube.theory import (
    bulk_density,
    conditional_density,
    detection_edge,
    finite_losses,
    limit_losses,
    predicted_outliers,
    spiked_losses,
)

RNG = np.random.default_rng(1)
SIGNS = RNG.choice([-1, 1], (40, 20))
LABELS = RNG.integers(0, 2, 40)
WEIGHTS = RNG.choice([-1, 1], (12, 20))
READOUT = RNG.integers(-2, 3, 12)
TANH = resolve_activation("tanh")
LAM = np.array([1, 2])
MODEL = Model(activation="relu", target=[0.0, 1.0, 0.5], noise=0.5, dim_ratio=0.5)

Entry = Callable[[Callable], object]
ENTRIES: dict[str, Entry] = {
    "ridge features": lambda as_: ridge_path(as_(SIGNS), LABELS, [1.0]).coefficients,
    "ridge features wide": lambda as_: ridge_path(as_(SIGNS.T), LABELS[:20], [1.0, 1e-6]).train_loss,
    "ridge labels": lambda as_: ridge_path(SIGNS, as_(LABELS), [1.0]).coefficients,
    "ridge lam": lambda as_: ridge_path(SIGNS, LABELS, as_(LAM)).train_loss,
    "gradient inputs": lambda as_: gradient(as_(SIGNS), LABELS, WEIGHTS, READOUT, TANH),
    "gradient labels": lambda as_: gradient(SIGNS, as_(LABELS), WEIGHTS, READOUT, TANH),
    "gradient weights": lambda as_: gradient(SIGNS, LABELS, as_(WEIGHTS), READOUT, TANH),
    "gradient readout": lambda as_: gradient(SIGNS, LABELS, WEIGHTS, as_(READOUT), TANH),
    "limit_losses": lambda as_: limit_losses(MODEL, as_(LAM), 2),
    "spiked_losses": lambda as_: spiked_losses(MODEL, as_(LAM), 200, 0.3, 2),
    "finite_losses": lambda as_: finite_losses(MODEL, as_(LAM), 100, 0.2),
    "bulk_density": lambda as_: bulk_density(MODEL, as_(LAM)),
    "conditional_density": lambda as_: conditional_density(MODEL, 100, 0.1, as_(LAM), resolution=0.1),
    "detection_edge": lambda as_: detection_edge(MODEL, 100, as_(LAM * 0)),
}
REAL = ["int8", "int64", "uint8", "float16", "float32", "longdouble", ">f8"]


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_real_type_gives_the_numbers_of_float64(entry: str) -> None:
    """uint8 is left out where values are negative; float32 matrices compute in single precision, as documented."""
    run = ENTRIES[entry]
    truth = np.asarray(run(lambda a: a.astype(float)))
    for kind in REAL:
        if kind == "uint8" and not np.array_equal(run_values(entry), np.abs(run_values(entry))):
            continue
        single = kind == "float32" and entry in ("ridge features", "ridge features wide", "gradient inputs")
        found = np.asarray(run(lambda a, kind=kind: a.astype(kind)))
        np.testing.assert_allclose(
            found, truth, rtol=1e-3 if single else 1e-12, atol=1e-4 if single else 0, err_msg=kind
        )
    np.testing.assert_array_equal(np.asarray(run(lambda a: a.tolist())), truth)


def run_values(entry: str) -> np.ndarray:
    """What is converted by an entry."""
    seen: list[np.ndarray] = []
    ENTRIES[entry](lambda a: (seen.append(a), a.astype(float))[1])
    return seen[0]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", ["complex128", "datetime64[ns]", "timedelta64[s]", "object", "str"])
def test_what_is_not_real_is_refused(entry: str, kind: str) -> None:
    with pytest.raises(ValueError, match=r"holds .*; real numbers \(integers, floats, truth values\) are allowed"):
        ENTRIES[entry](lambda a: np.asarray(a).astype(int).astype(kind))


def test_truth_values_are_zero_and_one() -> None:
    bits = SIGNS > 0
    np.testing.assert_array_equal(
        ridge_path(bits, LABELS > 0, [0.5]).coefficients, ridge_path(bits * 1.0, (LABELS > 0) * 1.0, [0.5]).coefficients
    )
    np.testing.assert_array_equal(
        gradient(bits, LABELS, WEIGHTS > 0, READOUT, TANH),
        gradient(bits * 1.0, LABELS, (WEIGHTS > 0) * 1.0, READOUT, TANH),
    )


def test_signs_have_the_losses_of_the_normal_equations() -> None:
    """(F^T F/n + lam) a = F^T y/n, solved directly: the right value where integers once gave tens of per cent more."""
    f, y = SIGNS.astype(float), LABELS.astype(float)
    a = np.linalg.solve(f.T @ f / 40 + 0.7 * np.eye(20), f.T @ y / 40)
    path = ridge_path(SIGNS.astype(np.int8), LABELS, 0.7)
    np.testing.assert_allclose(path.coefficients[0], a, rtol=1e-8)
    np.testing.assert_allclose(path.train_loss[0], ((y - f @ a) ** 2).mean() + 0.7 * a @ a, rtol=1e-12)


def test_single_precision_of_both_matrices_stays_single() -> None:
    assert gradient(SIGNS.astype("f4"), LABELS, WEIGHTS.astype("f4"), READOUT, TANH).dtype == np.float32
    assert gradient(SIGNS.astype("f4"), LABELS, WEIGHTS, READOUT, TANH).dtype == np.float64
    assert real_array(np.float16(1), "x").dtype == np.float64


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ridge_path(SIGNS, LABELS[:3], [1.0]), r"features \(40, 20\) and labels \(3,\)"),
        (lambda: ridge_path(SIGNS[0], LABELS, [1.0]), r"features \(20,\)"),
        (lambda: ridge_path(SIGNS, LABELS, [0.0]), r"lam=\[0.0\] must be positive"),
        (lambda: ridge_path([[1], [1, 2]], LABELS, [1.0]), "nested list whose rows differ"),
        (lambda: ridge_path(np.ma.masked_equal(SIGNS, 1), LABELS, [1.0]), "masked array"),
        (lambda: gradient(SIGNS, LABELS, WEIGHTS.T, READOUT, TANH), r"weights \(20, 12\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call: Callable, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_an_outlier_is_that_of_python_numbers() -> None:
    np.testing.assert_array_equal(
        predicted_outliers(MODEL, np.int32(500), np.float64(0.3)), predicted_outliers(MODEL, 500, 0.3)
    )
