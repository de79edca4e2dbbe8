"""Means over replicates with control variates: the numerics, on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikecube.model.hermite import Array

Mask = npt.NDArray[np.bool_]

MIN_SEEDS = 3
SEEDS_PER_CONTROL = 6
"""One control is used for every six degrees of freedom, so that few seeds are never spent on regressors."""
_PINNED = 1e-6  # a replicate with less than this of a residual of its own is fitted exactly: it says nothing of errors


@dataclass(frozen=True)
class Means:
    """Means over the last axis of replicates.

    Attributes
    ----------
    mean, stderr, plain_stderr : (...,); with controls, and without.
    dof : (...,), degrees of freedom of stderr.
    deviations : (..., m), of mean zero; the mean square over m of a mean of m resampled ones is stderr^2.
    count : (...,), replicates that are not NaN. Fewer than 3 give NaN everywhere.
    n_controls : how many control variates were used, at all points or (...,).
    """

    mean: Array
    stderr: Array
    plain_stderr: Array
    dof: Array
    deviations: Array
    count: Array
    n_controls: int | Array


def replicate_means(values: Array, controls: Array | None = None) -> Means:
    """Means over replicates, with control variates z of exact expectation 0 where they are given.

    Every replicate is adjusted with coefficients that it had no part in (those of the regression on all others)::

        mean = (1/m) sum_j u_j,    u_j = y_j - z_j^T b_(-j)

    Since z_j and b_(-j) are independent, E u_j = E y exactly, at any m and for any dependence of y on z; the usual
    estimate, the intercept of one regression, has a bias of order 1/m where y is curved in z.

    The u_j share their coefficients, so that their sample variance is not m times that of the mean. Given the z the
    mean is linear in y, and its variance is estimated as that of a heteroscedastic regression (HC2)::

        mean = sum_j c_j y_j,    stderr^2 = sum_j c_j^2 e_j^2/(1 - h_j)

    with e the residuals of the regression on [1, z] and h its leverages. If y is linear in z with equal errors, that is
    unbiased, and `dof` match its variance (Bell and McCaffrey): w_j = c_j^2/(1 - h_j), A = I - hat matrix::

        dof = (sum_j c_j^2)^2 / sum_ij w_i w_j A_ij^2

    Parameters
    ----------
    values : (..., m); NaN replicates are left out.
    controls : (..., m, q), the most useful first; broadcast against values. At most (m - 1)/6 of them are used, m the
        largest number of replicates, and none that does not vary.

    References
    ----------
    Lavenberg and Welch, Management Science 27 (1981) 322 (controls by regression);
    Avramidis and Wilson, IIE Transactions 25 (1993) 57 (splitting against its bias);
    MacKinnon and White, J. Econometrics 29 (1985) 305 (HC2); Bell and McCaffrey, Survey Methodology 28 (2002) 169.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> z = rng.standard_normal((40, 1))
    >>> means = replicate_means(5.0 + 2.0 * z[:, 0] + 0.1 * rng.standard_normal(40), z)
    >>> bool(means.stderr < 0.1 * means.plain_stderr)
    True
    """
    known = np.isfinite(values)
    chosen = _chosen(controls, known)
    n_controls = 0 if chosen is None else chosen.shape[-1]
    if chosen is not None:
        known = known & np.isfinite(chosen).all(-1)
    count = known.sum(-1)
    enough = count >= max(MIN_SEEDS, n_controls + 3)
    mean, plain_stderr, deviations = _spread(values, known, enough)
    stderr, dof = plain_stderr, np.where(enough, count - 1.0, np.nan)
    if chosen is not None:
        adjusted = _cross_fitted(np.where(known, values, 0.0), _design(chosen, known))
        mean, stderr, dof = (np.where(enough, a, np.nan) for a in adjusted[:3])
        deviations = np.where(known & enough[..., None], adjusted[3], np.nan)
    return Means(mean, stderr, plain_stderr, dof, deviations, count, n_controls)


def _spread(values: Array, known: Mask, enough: Mask) -> tuple[Array, Array, Array]:
    """Mean, standard error and scaled deviations of the known values."""
    count = np.where(enough, known.sum(-1), 2)
    mean = np.where(enough, np.where(known, values, 0.0).sum(-1) / count, np.nan)
    residual = np.where(known & enough[..., None], values - mean[..., None], np.nan)
    stderr = np.where(enough, np.sqrt(np.nansum(residual**2, -1) / (count - 1) / count), np.nan)
    return mean, stderr, residual * np.sqrt(count / (count - 1.0))[..., None]


def _cross_fitted(y: Array, design: Array) -> tuple[Array, Array, Array, Array]:
    """Mean, standard error, degrees of freedom and scaled deviations, all b_(-j) from one regression on X = [1, z].

    b - b_(-j) = G x_j e_j/(1 - h_j) with G = (X^T X)^-1. With t_j = z_j^T G x_j/(1 - h_j) the mean of the u_j is that
    of y - z^T b + t e, so that m c = 1 + t - X G sum_j (t_j x_j + [0, z_j]). Rows of missing replicates are zero.
    """
    known = design[..., 0]
    count = np.maximum(known.sum(-1, keepdims=True), 1.0)
    inverse = np.linalg.pinv(np.einsum("...mp,...mq->...pq", design, design), hermitian=True)
    pulls = np.einsum("...pq,...mq->...mp", inverse, design)
    spare = np.maximum(1 - (pulls * design).sum(-1), _PINNED)
    coefficients = np.einsum("...mp,...m->...p", pulls, y)
    residual = y - np.einsum("...mp,...p->...m", design, coefficients)
    slopes = design * (np.arange(design.shape[-1]) > 0)
    own = (slopes * pulls).sum(-1) / spare
    adjusted = y - np.einsum("...mp,...p->...m", slopes, coefficients) + own * residual
    gathered = (own[..., None] * design + slopes).sum(-2)
    weights = (known + own - np.einsum("...mp,...p->...m", pulls, gathered)) / count
    mean, stderr, deviations = _sandwich(adjusted, weights * residual / np.sqrt(spare), known, count)
    return mean, stderr, _matched_dof(weights, spare, inverse, design), deviations


def _sandwich(adjusted: Array, pull: Array, known: Array, count: Array) -> tuple[Array, Array, Array]:
    """Mean, its error (sum_j pull_j^2)^(1/2), and the pulls centred and scaled to deviations that carry this error."""
    mean, stderr = adjusted.sum(-1) / count[..., 0], np.sqrt((pull**2).sum(-1))
    centred = np.where(known > 0, pull - pull.sum(-1, keepdims=True) / count, 0.0)
    size = np.sqrt((centred**2).sum(-1, keepdims=True))
    return mean, stderr, centred * count * stderr[..., None] / np.where(size > 0, size, 1.0)


def _matched_dof(weights: Array, spare: Array, inverse: Array, design: Array) -> Array:
    """(sum_j c_j^2)^2/sum_ij w_i w_j A_ij^2, the sum being sum_i w_i^2 (1 - 2 h_i) + tr (G X^T w X)^2."""
    terms = np.where(spare > 2 * _PINNED, weights**2 / spare, 0.0)
    product = inverse @ np.einsum("...mp,...m,...mq->...pq", design, terms, design)
    spread = (terms**2 * (2 * spare - 1)).sum(-1) + np.einsum("...pq,...qp->...", product, product)
    return np.asarray((weights**2).sum(-1) ** 2 / np.where(spread > 0, spread, np.nan))


def _chosen(controls: Array | None, known: Mask) -> Array | None:
    """The leading controls that vary, as many as the seeds allow."""
    if controls is None or not known.any():
        return None
    allowed = max(int(known.sum(-1).max()) - 1, 0) // SEEDS_PER_CONTROL
    flat = controls.reshape(-1, controls.shape[-1])
    flat = flat[np.isfinite(flat).all(-1)]
    varying = [i for i in range(flat.shape[-1]) if len(flat) and np.ptp(flat[:, i]) > 1e-9]
    return controls[..., varying[:allowed]] if varying[:allowed] else None


def _design(controls: Array, known: Mask) -> Array:
    """[1, z], each z divided by its size, zero where a replicate is missing; (..., m, 1 + q)."""
    ones = known.astype(float)[..., None]
    z = np.where(known[..., None], controls, 0.0)
    size = np.sqrt((z**2).sum(-2, keepdims=True))
    return np.concatenate([ones, z / np.where(size > 0, size, 1.0)], axis=-1)


def means_by_count(values: Array, controls: Array | None = None) -> Means:
    """`replicate_means` of all points that have the same number of replicates, for each such number.

    A point then uses the controls that its own replicates allow, and is the same whatever other points there are.
    `n_controls` has the shape of the means.

    >>> values = np.array([[1.0, 2.0, 6.0, 7.0], [1.0, 2.0, 6.0, np.nan]])
    >>> means = means_by_count(values)
    >>> means.mean.tolist(), means.dof.tolist()
    ([4.0, 3.0], [3.0, 2.0])
    """
    count = np.isfinite(values).sum(-1)
    found = {k: np.full(count.shape, np.nan) for k in ("mean", "stderr", "plain_stderr", "dof")}
    deviations, used = np.full(values.shape, np.nan), np.zeros(count.shape, dtype=np.int64)
    for m in np.unique(count[count >= MIN_SEEDS]):
        rows = count == m
        means = replicate_means(values[rows], None if controls is None else controls[rows])
        for name, array in found.items():
            array[rows] = getattr(means, name)
        deviations[rows], used[rows] = means.deviations, means.n_controls
    return Means(**found, deviations=deviations, count=count, n_controls=used)
