"""What other tools make of three made-up sets, and what each says of its own error: docs/explanation/compare.csv.

    pip install lmfit fssa
    python scripts/compare.py > docs/explanation/compare.csv

A tool that is not installed, or does not import, is named with the reason and no number. `holds` is the share of data
sets, drawn anew, whose 95 per cent interval holds the truth (1.96 standard errors where a tool gives those).
"""

from __future__ import annotations

import csv
import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from scipy.optimize import curve_fit

import spikecube as sc
from spikecube.scaling.results import STATUS

HEADER = ("set", "tool", "result of the first set", "holds", "what it says of the fit")
SIZES = 2.0 ** np.arange(3, 10)
SETS = 200
Answer = tuple[float, float, float, str]  # estimate, low, high, words
Tool = Callable[[np.ndarray, float | None], Answer]


def power(n: np.ndarray, c: float, b: float) -> np.ndarray:
    """C n^b."""
    return c * n**b


def offset(n: np.ndarray, e: float, a: float, b: float) -> np.ndarray:
    """E + A n^b."""
    return e + a * n**b


def by_curve_fit(law: Callable[..., np.ndarray], start: list[float]) -> Tool:
    """SciPy's least squares; the exponent is the last parameter."""

    def fit(y: np.ndarray, noise: float | None) -> Answer:
        sigma = None if noise is None else np.full(len(y), noise)
        theta, covariance = curve_fit(law, SIZES, y, start, sigma, absolute_sigma=noise is not None, maxfev=20000)
        half = 1.96 * float(np.sqrt(covariance[-1, -1]))
        return float(theta[-1]), float(theta[-1]) - half, float(theta[-1]) + half, "nothing"

    return fit


def by_lmfit(law: Callable[..., np.ndarray], start: list[float]) -> Tool:
    """lmfit's Model with its intervals from profiles."""
    lmfit = importlib.import_module("lmfit")
    names = law.__code__.co_varnames[1 : law.__code__.co_argcount]

    def fit(y: np.ndarray, noise: float | None) -> Answer:
        weights = None if noise is None else np.full(len(y), 1 / noise)
        params = dict(zip(names, start, strict=True))
        found = lmfit.Model(law).fit(y, n=SIZES, weights=weights, scale_covar=noise is None, **params)
        name, estimate = names[-1], found.params[names[-1]].value
        words = f"reduced chi-square {found.redchi:.2g}" if noise is not None else "reduced chi-square, without a scale"
        try:
            profile = found.conf_interval(p_names=[name], sigmas=[0.95])[name]
            low, high = float(profile[0][1]), float(profile[-1][1])
        except Exception as error:  # lmfit gives up on some profiles, with errors of its own
            half = 1.96 * (found.params[name].stderr or np.nan)
            low, high, words = estimate - half, estimate + half, f"{words}; no profile ({type(error).__name__})"
        return estimate, low, high, words

    return fit


def by_spikecube(law: str) -> Tool:
    """This package."""

    def fit(y: np.ndarray, noise: float | None) -> Answer:
        found = sc.fit_law(xr.DataArray(y, dims="n", coords={"n": SIZES}), law, stderr=noise)
        one = found.sel(param="exponent")
        status = next(name for name, code in STATUS.items() if code == int(found.status))
        return float(one.estimate), float(one.ci_low), float(one.ci_high), f"{status}: {found.message.item()}"

    return fit


def rows(
    name: str, clean: np.ndarray, noise: float, known: bool, truth: float, tools: dict[str, Any]
) -> Iterator[list[str]]:
    """One row for each tool on the same sets."""
    draws = noise * np.random.default_rng(20231011).standard_normal((SETS, len(SIZES)))
    for tool, make in tools.items():
        try:
            fit = make()
        except ImportError as error:
            yield [name, tool, "-", "-", f"does not import: {error}"]
            continue
        found = [fit(clean + draw, noise if known else None) for draw in draws]
        holds = np.mean([low <= truth <= high for _, low, high, _ in found])
        estimate, low, high, words = found[0]
        yield [name, tool, f"{estimate:.4f} [{low:.4f}, {high:.4f}]", f"{holds:.2f}", words]


def collapse_rows() -> Iterator[list[str]]:
    """One plane of four sizes with known errors; critical 0.1, nu 2, zeta -1."""
    sizes, x = SIZES[:4], np.linspace(-0.4, 0.6, 21)
    clean = sizes[:, None] ** -0.5 / (1 + np.exp(4 * (x - 0.1) * sizes[:, None] ** 0.5))
    plane = clean + 0.003 * np.random.default_rng(20231011).standard_normal(clean.shape)
    name = "collapse, errors given: nu = 2"
    yield [name, "fssa 0.7.6 (pyfssa)", *by_fssa(sizes, x, plane)]
    data = xr.DataArray(plane, dims=("L", "T"), coords={"L": sizes, "T": x})
    found = sc.collapse(data, "L", "T", stderr=0.003)
    one = found.sel(param="nu")
    ends = f"{one.estimate.item():.3f} [{one.ci_low.item():.3f}, {one.ci_high.item():.3f}]"
    yield [name, "spikecube", ends, "-", found.message.item()]


def by_fssa(sizes: np.ndarray, x: np.ndarray, plane: np.ndarray) -> list[str]:
    """Result, no share, and words of pyfssa's autoscale, from a start near the truth."""
    try:
        fssa = importlib.import_module("fssa")
        result = fssa.autoscale(sizes, x, plane, np.full_like(plane, 0.003), 0.05, 1.8, -0.9)
    except Exception as error:  # whatever an old package meets in a new NumPy
        return ["-", "-", f"does not run: {type(error).__name__}: {str(error).split(' (/')[0]}"]
    nu, half = float(result["nu"]), 1.96 * float(result["dnu"])
    ends = f"{nu:.3f} [{nu - half:.3f}, {nu + half:.3f}]"
    return [ends, "-", f"quality {float(result['fun']):.2g}, success {bool(result['success'])}"]


def main() -> None:
    write = csv.writer(sys.stdout, lineterminator="\n").writerow
    write(HEADER)
    bent = 3 * SIZES**0.3 * (1 + 0.5 / SIZES)
    tasks = (
        ("limit, errors given: b = -0.8", 1.5 + 2 * SIZES**-0.8, 0.002, True, -0.8, offset, "offset", [1.0, 1.0, -0.5]),
        ("bent power law, errors given: b = 0.3", bent, 0.02, True, 0.3, power, "power", [1.0, 0.5]),
        ("bent power law, no errors: b = 0.3", bent, 0.02, False, 0.3, power, "power", [1.0, 0.5]),
    )
    for name, clean, noise, known, truth, law, ours, start in tasks:
        tools = {
            "scipy curve_fit": lambda law=law, start=start: by_curve_fit(law, start),
            "lmfit": lambda law=law, start=start: by_lmfit(law, start),
            "spikecube": lambda ours=ours: by_spikecube(ours),
        }
        for row in rows(name, clean, noise, known, truth, tools):
            write(row)
    for row in collapse_rows():
        write(row)


if __name__ == "__main__":
    main()
