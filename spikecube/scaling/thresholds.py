"""Where in alpha each spike detaches at finite n, and where that runs as n grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from spikecube.cube.cuts import as_cube
from spikecube.means.spikes import along_monomial
from spikecube.scaling.cube_theory import CubeTheory, measured_spikes, theory_of
from spikecube.scaling.logistic import cluster_score_test
from spikecube.scaling.profiles import fieller
from spikecube.scaling.regression import Logistic, logistic_regression
from spikecube.scaling.results import STATUS, adjust, describe, fit_result
from spikecube.scaling.types import Array, Arrays, over
from spikecube.scaling.verdict import verdict
from spikecube.scaling.window import from_size
from spikecube.theory.staircase import threshold

PARAMS = ("critical", "offset", "sharpness")
LAW = "logit P = sharpness log n (alpha - critical - offset/log n)"
_LEVEL = 0.95
_LEAST_SIZES = 3


NEEDED = ("alpha", "n", "seed", "rank", "degree", "outlier_count", "alignment")


def fit_thresholds(cube: xr.Dataset | str | Path, n_min: float | None = None) -> xr.Dataset:
    """Logistic regression of "the k-th spike is detached" on alpha and log n, with errors clustered by seed.

    A spike of strength n^{k(alpha - alpha_k)} crosses the bulk's edge at a distance from alpha_k of order 1/log n::

        logit P(detached) = sharpness * log n * (alpha - alpha_k(n))
        alpha_k(n) = critical + offset/log n

    `critical` is the extrapolation to n -> infinity, expected at (k - 1)/(2k); `threshold` is alpha_k(n) at each size.
    A spike is detached where a singular value of its rank lies beyond the edge and its left vector points along the
    monomial of its degree: with a squared cosine above n^{-1/2}, which lies between the 1/n of a random vector and the
    n^{-1/3} of a spike at the edge. Outliers that point elsewhere are no spikes; `stray_fraction` and the message say
    how many there are, and a degree that has nothing else gets no threshold. Where alignments were not measured the
    counts decide.

    Points along alpha of one (n, seed) share their draw and form a cluster. Intervals of ratios of coefficients are
    Fieller's, and infinite where the slope is not resolved. Where outcomes are perfectly separated the fit is penalised
    (Firth) and the status says so.

    Parameters
    ----------
    cube : with `outlier_count`, `alignment` and its study.
    n_min : smallest size used.

    Returns
    -------
    xr.Dataset
        Dims (degree, ...further axes); degrees with c_k = 0 have a status only. Params critical, offset, sharpness;
        `threshold` with its interval (degree, n); `stray_fraction` (degree, n); gof_pvalue of the law in n against a
        threshold of its own for each size (a score test with clusters).

    References
    ----------
    Baik, Ben Arous, Peche, Ann. Probab. 33 (2005) 1643, for the width n^{-1/3} of the transition.
    """
    cube = from_size(as_cube(cube, *NEEDED), n_min, "thresholds")
    known = theory_of(cube)
    spikes = measured_spikes(cube, known, aligned=False)
    degrees = [k for k in map(int, cube["degree"].values) if k not in known.degrees or k in spikes]
    further = list(known.study.further)
    shape = (len(degrees), *(cube.sizes[d] for d in further))
    tables = {place: _one(cube, known, degrees, further, place) for place in np.ndindex(*shape)}
    dims = ("degree", *further)
    first = next(iter(tables.values()))
    coords: dict[str, Any] = {"degree": degrees, "n": cube["n"].values.astype(float), **{d: cube[d] for d in further}}
    arrays = {name: (tail, np.array([t[name][1] for t in tables.values()])) for name, (tail, _) in first.items()}
    result = fit_result(
        arrays,
        PARAMS,
        dims=dims,
        shape=shape,
        coords=coords,
        law=LAW,
        quantity="detachment of a spike",
        without=_WITHOUT,
    )
    return describe(adjust(result), quantity="detachment of a spike")


_WITHOUT = {
    "chi2": "outcomes are yes or no: the fit maximises a likelihood, and a score test tests it",
    "aicc": "points of one seed share their draw: their likelihood is not that of independent points",
}


def points_along(cube: xr.Dataset, degree: int) -> xr.DataArray:
    """Where the singular vector of a degree points along its monomial, or its alignment was not measured.

    >>> cube = xr.Dataset({"alignment": (("degree", "n"), [[0.5, 0.001]])}, {"degree": [2], "n": [100, 400]})
    >>> points_along(cube, 2).values.tolist()
    [True, False]
    """
    cosine = cube["alignment"].sel(degree=degree, drop=True)
    return along_monomial(cosine) | cosine.isnull()


def _one(cube: xr.Dataset, known: CubeTheory, degrees: list[int], further: list[str], place: tuple[int, ...]) -> Arrays:
    k = degrees[place[0]]
    logs = np.log(cube["n"].values.astype(float))
    if k not in known.degrees:
        return _entry(np.full(3, np.nan), logs, "not_applicable", nobs=0, notes=(f"c_{k} = 0 makes no such spike.",))
    labels = dict(zip(further, place[1:], strict=True))
    order = ("alpha", "n", "seed")
    counts = cube["outlier_count"].isel(labels).transpose(*order)
    along = points_along(cube, k).isel(labels).transpose(*order).to_numpy()
    seen, beyond = np.isfinite(counts.to_numpy()), counts.to_numpy() >= known.rank(k)
    stray = _share(beyond & ~along, seen)
    notes = _stray_note(int((beyond & ~along).sum()), int(seen.sum()), k)
    detached = (beyond & along)[seen].astype(float)
    alpha, size, seed = (a[seen] for a in np.meshgrid(*(counts[d].values for d in order), indexing="ij"))
    fit, gof, dof, state = _fitted(detached, alpha, size.astype(float), seed, stray=bool(stray.any()))
    expected = np.array([threshold(k), np.nan, np.nan])
    return _entry(expected, logs, state, fit, gof, dof, nobs=len(np.unique(size)), notes=notes, stray=stray)


def _share(wrong: Array, seen: Array) -> Array:
    """The part of the draws seen at each size that is wrong; NaN where none was seen; (n,)."""
    total = seen.sum((0, 2))
    return np.where(total > 0, (wrong & seen).sum((0, 2)) / np.maximum(total, 1), np.nan)


def _stray_note(stray: int, seen: int, degree: int) -> tuple[str, ...]:
    if not stray:
        return ()
    return (
        f"In {stray} of {seen} draws a singular value of its rank lies beyond the edge but does not point along "
        f"the monomial of degree {degree}: these are not counted as spikes.",
    )


def _fitted(
    detached: Array, alpha: Array, size: Array, seed: Array, *, stray: bool
) -> tuple[Logistic | None, float, float, str]:
    """The logistic fit, its test, its degrees of freedom, and its state."""
    if not detached.any() and stray:
        return None, np.nan, np.nan, "not_aligned"
    if len(np.unique(size)) < _LEAST_SIZES or len(np.unique(alpha)) < 2:
        return None, np.nan, np.nan, "too_few_sizes"
    if detached.min() == detached.max():
        return None, np.nan, np.nan, "no_data"
    logs = np.log(size)
    groups = np.unique(np.stack([size, seed.astype(float)]), axis=1, return_inverse=True)[1].ravel()
    design = np.column_stack([np.ones_like(logs), logs, alpha * logs])
    fit = logistic_regression(design, detached, groups)
    gof = np.nan if fit.separated else _lack_of_fit(design, fit, detached, groups)
    return fit, gof, float(len(np.unique(groups)) - 3), "separated" if fit.separated else "ok"


def _lack_of_fit(design: Array, fit: Logistic, detached: Array, groups: Array) -> float:
    """Thresholds that are free at each size against critical + offset/log n."""
    logs = design[:, 1]
    free = np.stack([logs == s for s in np.unique(logs)[1:-1]], axis=1).astype(float)
    return cluster_score_test(design, free, detached, groups, fit.params)


def _entry(
    expected: Array,
    logs: Array,
    status: str,
    fit: Logistic | None = None,
    gof: float = np.nan,
    dof: float = np.nan,
    *,
    nobs: int,
    notes: tuple[str, ...] = (),
    stray: Array | None = None,
) -> Arrays:
    null = np.where(np.isfinite(expected), expected, 0.0)
    z = np.full(3, np.nan) if fit is None else _distances(fit, null)
    numbers = _intervals(fit, logs, dof)
    if status == "ok" and not np.isfinite([numbers["ci_low"][1], numbers["ci_high"][1]]).all():
        status = "open_interval"
    name, message = verdict(status, gof, float(nobs - 2), "given", notes)
    arrays = numbers | over(("param",), pvalue=2 * stats.t.sf(np.abs(z), dof), expected=expected, null_value=null)
    arrays |= over(("param",), z=np.where(np.isfinite(expected), z, np.nan))
    arrays |= over((), nobs=float(nobs), dof=float(nobs - 2), gof_pvalue=gof, n_min=float(np.exp(logs.min())))
    arrays |= over((), converged=fit is not None)
    arrays |= over(("n",), stray_fraction=np.full(len(logs), np.nan) if stray is None else stray)
    return arrays | over((), status=np.int8(STATUS[name]), message=message)


def _intervals(fit: Logistic | None, logs: Array, dof: float) -> Arrays:
    """Estimates, errors and intervals of the parameters, and of the threshold at each size; NaN without a fit."""
    estimate, stderr, low, high = np.full((4, 3), np.nan)
    covariance, threshold = np.full((3, 3), np.nan), np.full((4, len(logs)), np.nan)
    if fit is not None:
        estimate, covariance = _reparametrise(fit)
        stderr = np.sqrt(np.diag(covariance))
        t = float(stats.t.ppf((1 + _LEVEL) / 2, dof))
        ends = [_ends(fit, row, t) for row in (np.array([0.0, 1, 0]), np.array([1.0, 0, 0]))]
        low = np.array([ends[0][0], ends[1][0], estimate[2] - t * stderr[2]])
        high = np.array([ends[0][1], ends[1][1], estimate[2] + t * stderr[2]])
        threshold = np.array([_threshold(estimate, covariance, fit, x, t) for x in logs]).T
    arrays = over(("param",), estimate=estimate, stderr=stderr, ci_low=low, ci_high=high)
    arrays |= over(("param_i", "param_j"), covariance=covariance)
    names = ("threshold", "threshold_stderr", "threshold_low", "threshold_high")
    return arrays | over(("n",), **dict(zip(names, threshold, strict=True)))


def _distances(fit: Logistic, null: Array) -> Array:
    """How far critical, offset and sharpness are from their null values, in the standard errors of Fieller's intervals.

    (b_1 + critical b_2)/se, (b_0 + offset b_2)/se and (b_2 - sharpness)/se, with the signs of the ratios.
    """
    rows = np.array([[0.0, 1, null[0]], [1.0, 0, null[1]], [0.0, 0, 1]])
    errors = np.sqrt(np.einsum("ip,pq,iq->i", rows, fit.covariance, rows))
    distances = rows @ fit.params - np.array([0.0, 0.0, null[2]])
    return np.asarray(distances * np.array([-1, -1, 1]) * np.sign([fit.params[2], fit.params[2], 1.0]) / errors)


def _reparametrise(fit: Logistic) -> tuple[Array, Array]:
    """critical = -b_1/b_2, offset = -b_0/b_2, sharpness = b_2, with the covariance of the linearisation."""
    b0, b1, b2 = fit.params
    slopes = np.array([[0.0, -1 / b2, b1 / b2**2], [-1 / b2, 0.0, b0 / b2**2], [0.0, 0.0, 1.0]])
    return np.array([-b1 / b2, -b0 / b2, b2]), slopes @ fit.covariance @ slopes.T


def _threshold(estimate: Array, covariance: Array, fit: Logistic, log_n: float, t: float) -> Array:
    """alpha_k(n), its standard error and Fieller interval."""
    row = np.array([1.0, 1 / log_n, 0.0])
    ends = _ends(fit, np.array([1 / log_n, 1.0, 0.0]), t)
    return np.array([row @ estimate, np.sqrt(row @ covariance @ row), *ends])


def _ends(fit: Logistic, row: Array, t: float) -> tuple[float, float]:
    """The interval of -row.b/b_2."""
    shared = -row @ fit.covariance[:, 2]
    covariance = np.array([[fit.covariance[2, 2], shared], [shared, row @ fit.covariance @ row]])
    return fieller(np.array([fit.params[2], -row @ fit.params]), covariance, t)
