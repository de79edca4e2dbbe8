"""The statistical reference datasets of NIST: certified estimates and standard errors, to at least six digits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spikecube.scaling.least_squares import Problem, minimise
from spikecube.scaling.regression import weighted_least_squares

HERE = Path(__file__).parent / "nist"
LINEAR = json.loads((HERE / "linear.json").read_text())["sets"]
NONLINEAR = json.loads((HERE / "nonlinear.json").read_text())["sets"]
DIGITS = 1e-6
FAR_STARTS = {("BoxBOD", 0), ("MGH10", 0)}
"""Starting points from which no descent arrives: the search has to say so."""
ROUNDING = 1e-20
"""A residual sum below this (Lanczos1) is made of the rounding of y: its minimum is flat and errors mean nothing."""


def _gauss(b, x):
    peaks = b[2] * np.exp(-((x - b[3]) ** 2) / b[4] ** 2) + b[5] * np.exp(-((x - b[6]) ** 2) / b[7] ** 2)
    return b[0] * np.exp(-b[1] * x) + peaks


def _enso(b, x):
    def wave(period, cosine, sine):
        return cosine * np.cos(2 * np.pi * x / period) + sine * np.sin(2 * np.pi * x / period)

    return b[0] + wave(12, b[1], b[2]) + wave(b[3], b[4], b[5]) + wave(b[6], b[7], b[8])


def _cubics(b, x):
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def _decays(b, x):
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-b[3] * x) + b[4] * np.exp(-b[5] * x)


def _chwirut(b, x):
    return np.exp(-b[0] * x) / (b[1] + b[2] * x)


def _saturation(b, x):
    return b[0] * (1 - np.exp(-b[1] * x))


MODELS: dict[str, Callable] = {
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": _saturation,
    "Chwirut1": _chwirut,
    "Chwirut2": _chwirut,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "ENSO": _enso,
    "Eckerle4": lambda b, x: b[0] / b[1] * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Gauss1": _gauss,
    "Gauss2": _gauss,
    "Gauss3": _gauss,
    "Hahn1": _cubics,
    "Kirby2": lambda b, x: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
    "Lanczos1": _decays,
    "Lanczos2": _decays,
    "Lanczos3": _decays,
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * np.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4]),
    "Misra1a": _saturation,
    "Misra1b": lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2.0),
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1 + b[1] * x),
    "Nelson": lambda b, x: b[0] - b[1] * x[0] * np.exp(-b[2] * x[1]),
    "Rat42": lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi,
    "Thurber": _cubics,
}


def _problem(name: str) -> tuple[Callable, Callable, np.ndarray]:
    """Batched value and complex-step Jacobian of a model, and the data."""
    data = NONLINEAR[name]
    x = np.array(data["x"]) if len(data["x"]) > 1 else np.array(data["x"][0])
    y = np.array(data["y"])

    def value(theta):
        with np.errstate(all="ignore"):
            return np.stack([MODELS[name](t, x) for t in theta])

    def jacobian(theta):
        step = 1e-30j * np.eye(theta.shape[1])
        with np.errstate(all="ignore"):
            return np.stack([np.stack([MODELS[name](t + s, x).imag / 1e-30 for s in step], axis=-1) for t in theta])

    return value, jacobian, np.log(y) if name == "Nelson" else y


@pytest.mark.parametrize("name", LINEAR)
def test_linear(name: str) -> None:
    data = LINEAR[name]
    design, y = np.array(data["design"]).T, np.array(data["y"])
    variance = data["rss"] / (len(y) - design.shape[1]) or 1.0
    fit = weighted_least_squares(design, y, np.full(len(y), 1 / variance), variance=np.full(len(y), variance))
    np.testing.assert_allclose(fit.params, data["certified"], rtol=DIGITS)
    if data["rss"]:
        np.testing.assert_allclose(fit.stderr, data["stderr"], rtol=DIGITS)
        np.testing.assert_allclose(fit.chi2 * variance, data["rss"], rtol=DIGITS)


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("name", NONLINEAR)
def test_nonlinear(name: str, start: int) -> None:
    data = NONLINEAR[name]
    value, jacobian, y = _problem(name)
    certified = np.array(data["certified"])
    problem = Problem(value, jacobian, y[None], np.ones((1, len(y))))
    fit = minimise(problem, np.array([data["starts"][start]]), iterations=3000)
    if (name, start) in FAR_STARTS:
        assert not fit.converged[0]
        return
    assert fit.converged[0] or data["rss"] < ROUNDING
    np.testing.assert_allclose(fit.theta[0], certified, rtol=DIGITS)
    if data["rss"] < ROUNDING:
        return
    residual = y - value(fit.theta)[0]
    variance = residual @ residual / (len(y) - len(certified))
    slopes = jacobian(fit.theta)[0]
    inference = weighted_least_squares(
        slopes, residual + slopes @ fit.theta[0], np.full(len(y), 1 / variance), variance=np.full(len(y), variance)
    )
    np.testing.assert_allclose(inference.params, certified, rtol=DIGITS)
    np.testing.assert_allclose(inference.stderr, data["stderr"], rtol=DIGITS)


def test_a_wrong_digit_would_be_seen() -> None:
    data = LINEAR["Norris"]
    design, y = np.array(data["design"]).T, np.array(data["y"])
    y[3] += 0.01
    fit = weighted_least_squares(design, y, np.ones(len(y)), variance=np.ones(len(y)))
    assert not np.allclose(fit.params, data["certified"], rtol=DIGITS)
