"""Claims of the paper's section 3: spikes, where they point, how they grow, from where on they are there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.interpolate import CubicSpline

from scripts.claims.finding import Finding
from scripts.claims.sizes import against_n, exponent, largest
from scripts.claims.verdicts import of_share, of_sign, of_value, share, student
from spikecube import fit_outliers, views
from spikecube.means.spikes import degrees, study_of
from spikecube.pictures import predicted
from spikecube.theory import detection_edge
from spikecube.theory.staircase import threshold

SECTION = "section 3"


# a: how many spikes there are


def judge_spectra(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """Counts at the largest n, and how far the bulk is from its density at each n."""
    alphas = cube["alpha"].values.tolist()
    bulks = [_bulk(cube, alpha) for alpha in (alphas[0], alphas[-1])]
    return [_without_step(cube), *(_count(cube, prediction, alpha) for alpha in alphas), *bulks]


def _without_step(cube: xr.Dataset) -> Finding:
    n = largest(cube)
    still = dataclasses.replace(study_of(cube).model, eta_scale=1e-9)
    edge = float(detection_edge(still, n, [0.0])[0])
    top = cube["singular_value_init"].sel(n=n, rank=1).dropna("seed")
    found = share(int((top <= edge).sum()), top.sizes["seed"])
    return Finding(
        "Without a step there is no spike.",
        SECTION,
        f"draws with no singular value of F₀/√n beyond the edge, n = {n}",
        found,
        "all draws",
        of_share(found, n),
        "The largest singular value of F₀/√n stays within what a bulk without spikes shows in 99 of 100 draws.",
    )


def _count(cube: xr.Dataset, prediction: xr.Dataset, alpha: float) -> Finding:
    n = largest(cube)
    claimed = sum(threshold(k) < alpha for k in degrees(cube))
    counts = cube["outlier_count"].sel(alpha=alpha, n=n).dropna("seed")
    found = share(int((counts == claimed).sum()), counts.sizes["seed"])
    theory = int(prediction["outlier_count"].sel(alpha=alpha, n=n))
    return Finding(
        f"At α = {alpha:g} there {'is one spike' if claimed == 1 else f'are {claimed} spikes'}.",
        SECTION,
        f"draws with {claimed} outlier{'s' * (claimed > 1)}, n = {n}, α = {alpha:g}",
        found,
        "all draws",
        of_share(found, n, here=float(theory == claimed)),
        f"α lies beyond {threshold(claimed):.3g}; the theory at n = {n} counts {theory}.",
    )


def _bulk(cube: xr.Dataset, alpha: float) -> Finding:
    found, _ = exponent(bulk_distance(cube, alpha))
    return Finding(
        "Below the spikes lies a bulk with the density that theory has for it.",
        "past the paper (conditional equivalence)",
        f"exponent of n of the largest distance between the two distributions of the bulk, α = {alpha:g}",
        found,
        "below 0: the distance vanishes",
        of_sign(found, -1, largest(cube)),
        "Singular values repel each other, so that a right density is met within a few of them.",
    )


def bulk_distance(cube: xr.Dataset, alpha: float) -> xr.DataArray:
    """Largest distance between the measured and the predicted share below x, over x in the bulk; (n, seed)."""
    rows = []
    for n in cube["n"].values:
        density = predicted.bulk(cube, alpha=alpha, n=int(n))
        x, p = density["x"].values, density.values
        area = CubicSpline(np.append(0.0, x), np.append(p[0], p)).antiderivative()
        inside = cube["bin_upper"].values < x[-1]
        theory = area(cube["bin_upper"].values[inside])
        counted = cube["spectrum"].sel(alpha=alpha, n=n).isel(bin=inside).transpose("seed", "bin")
        rows.append(np.abs(counted.cumsum("bin", skipna=False).values / n - theory).max(-1))
    return xr.DataArray(rows, dims=("n", "seed"), coords={"n": cube["n"].values.astype(float)})


def draw_spectra(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """One spectrum for each number of spikes."""
    where = {"n": largest(cube)}
    return [
        views.spectrum(cube, prediction, predicted.bulk(cube, alpha=float(a), **where), alpha=float(a), **where)
        for a in cube["alpha"].values
    ]


# b: how they grow


def judge_exponents(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """The line of the exponents in alpha, for both degrees and both estimators."""
    fit = fit_outliers(cube, prediction=prediction)
    found = [_line(fit, cube, k, "relative") for k in fit["degree"].values.tolist()]
    theory = predicted_slopes(fit, cube, prediction)
    return [*found, *(_line(fit, cube, k, "plain", theory[k]) for k in fit["degree"].values.tolist())]


def _line(fit: xr.Dataset, cube: xr.Dataset, k: int, estimator: str, here: float = np.nan) -> Finding:
    one = fit.sel(degree=k, estimator=estimator)
    dof = float(fit["t_dof"].sel(degree=k, estimator=estimator, param="exponent").min())
    slope = {"coefficient": "slope"}
    found = student(one["line"].sel(slope), one["line_stderr"].sel(slope), dof)
    pvalue = float(one["line_pvalue"])
    kind = "relative to the theory at each n" if estimator == "relative" else "plain power laws"
    return Finding(
        f"Outlier {k} grows as n to the power 1/2 − {k if k > 1 else ''}(1/2 − α).",
        SECTION,
        f"slope of the exponent in α, {kind}, {int(one['line_nobs'])} values of α, joint p = {pvalue:.2g}",
        found,
        f"{k}, with intercept {0.5 - k / 2:g}",
        of_value(found, k, [k - 1, k + 1], largest(cube), here=here, pvalue=pvalue),
        "The bulk under an outlier bends its curve; the theory at each n takes that out."
        if estimator == "relative"
        else "A power law without corrections has the bulk's part in its exponent.",
    )


def predicted_slopes(fit: xr.Dataset, cube: xr.Dataset, prediction: xr.Dataset) -> dict[int, float]:
    """The slope in alpha of plain power laws through the predicted outliers, at the sizes that the fit used."""
    found = {}
    for k in fit["degree"].values.tolist():
        used = fit["selected"].sel(degree=k)
        curve = prediction["singular_value"].sel(rank=degrees(cube).index(k) + 1).where(used)
        alphas = [a for a in curve["alpha"].values if curve.sel(alpha=a).count() > 2]
        exponents = [np.polyfit(*_logs(curve.sel(alpha=a)), 1)[0] for a in alphas]
        found[k] = float(np.polyfit(alphas, exponents, 1)[0]) if len(alphas) > 1 else np.nan
    return found


def _logs(curve: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    known = curve.dropna("n")
    return np.log(known["n"].values.astype(float)), np.log(known.values)


def draw_exponents(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """Relative and plain exponents against alpha."""
    fit = fit_outliers(cube, prediction=prediction)
    return [views.exponents(fit, estimator=e) for e in ("relative", "plain")]


# c: where they point


def judge_alignment(cube: xr.Dataset, prediction: xr.Dataset) -> list[Finding]:
    """Exponents of what is missing to full alignment, and whether the monomials stay apart."""
    alphas = cube["alpha"].values.tolist()
    rows = [_missing(cube, 1, alphas[0]), _missing(cube, 2, alphas[-1]), _subspace(cube, alphas[-1])]
    return [*rows, _independent()]


def missing_alignment(cube: xr.Dataset, degree: int, alpha: float, name: str = "alignment") -> xr.DataArray:
    """1 minus a squared cosine; (n, seed)."""
    return 1 - cube[name].sel(degree=degree, alpha=alpha, drop=True)


def _missing(cube: xr.Dataset, degree: int, alpha: float) -> Finding:
    found, _ = exponent(missing_alignment(cube, degree, alpha))
    last = float(cube["alignment"].sel(degree=degree, alpha=alpha, n=largest(cube)).mean())
    return Finding(
        f"Left singular vector {degree} turns to (Xβ)^{degree}.",
        SECTION,
        f"exponent of n of 1 − cos², degree {degree}, α = {alpha:g}",
        found,
        "below 0: the angle vanishes",
        of_sign(found, -1, largest(cube)),
        f"The mean squared cosine is {last:.3f} at n = {largest(cube)}.",
    )


def _subspace(cube: xr.Dataset, alpha: float) -> Finding:
    found, _ = exponent(missing_alignment(cube, 2, alpha, "subspace_alignment"))
    return Finding(
        "The two leading left singular vectors span Xβ and (Xβ)².",
        SECTION,
        f"exponent of n of 1 − the smaller squared canonical cosine, α = {alpha:g}",
        found,
        "below 0: the angle vanishes",
        of_sign(found, -1, largest(cube)),
        "The worst direction of the span is the one measured.",
    )


MOST_SAMPLES = 16384


def smallest_singular_values(degree: int, sizes: Sequence[int], draws: int = 48) -> xr.DataArray:
    """The smallest singular value of the block (kappa, ..., kappa^degree) with columns of length 1; (n, seed).

    Given beta, the entries of X beta/|beta| are exactly standard Gaussian: no network is needed.
    """
    rng = np.random.default_rng(20240721)
    rows = []
    for n in sizes:
        block = rng.standard_normal((draws, n))[..., None] ** np.arange(1, degree + 1)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
        rows.append(np.linalg.svd(block, compute_uv=False)[:, -1])
    return xr.DataArray(np.array(rows), dims=("n", "seed"), coords={"n": np.array(sizes, dtype=float)})


def smallest_singular_value(degree: int) -> float:
    """Its limit, from the moments of a Gaussian.

    >>> round(smallest_singular_value(2), 6), round(smallest_singular_value(3) ** 2, 6) == round(1 - 3 / 15**0.5, 6)
    (1.0, True)
    """
    moment = lambda k: 0.0 if k % 2 else float(np.prod(np.arange(1, k, 2)))  # noqa: E731
    gram = np.array(
        [
            [moment(i + j) / np.sqrt(moment(2 * i) * moment(2 * j)) for i in range(1, degree + 1)]
            for j in range(1, degree + 1)
        ]
    )
    return float(np.sqrt(np.linalg.eigvalsh(gram)[0]))


def _independent() -> Finding:
    sizes = [256, 1024, 4096, MOST_SAMPLES]
    values = smallest_singular_values(4, sizes).sel(n=MOST_SAMPLES)
    found = student(values.mean(), values.std(ddof=1) / len(values) ** 0.5, len(values) - 1)
    limit = smallest_singular_value(4)
    return Finding(
        "The monomials Xβ, ..., (Xβ)⁴ themselves stay independent.",
        SECTION,
        f"smallest singular value of the normalised block, n = {MOST_SAMPLES}",
        found,
        f"above 0 (limit {limit:.3f})",
        of_sign(found, 1, MOST_SAMPLES),
        "Its limit follows from the moments of a Gaussian and is not 0.",
    )


def draw_alignment(cube: xr.Dataset, prediction: xr.Dataset) -> list[Any]:
    """What is missing to full alignment, and the smallest singular values of the monomials."""
    alphas = cube["alpha"].values.tolist()
    missing = {
        f"measured, k = {k}, α = {a:g}": missing_alignment(cube, k, a)
        for k, a in ((1, alphas[0]), (1, alphas[-1]), (2, alphas[-2]), (2, alphas[-1]))
    }
    blocks = {
        f"measured, degrees to {k}": smallest_singular_values(k, [256, 1024, 4096, MOST_SAMPLES]) for k in (2, 3, 4)
    }
    return [
        against_n(missing, "1 − cos²", "What is missing to alignment with (Xβ)^k, and fitted power laws").view(),
        against_n(blocks, "smallest singular value", "The monomials of Xβ with columns of length 1").view(),
    ]
