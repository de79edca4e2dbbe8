"""Inference for one least-squares or logistic problem; the only place that imports statsmodels, when a fit is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from spikecube.scaling.arrays import Array
from spikecube.scaling.logistic import firth, is_separated


@dataclass(frozen=True)
class Inference:
    """What a weighted least-squares fit says about its parameters.

    Attributes
    ----------
    params, stderr, dof : (p,); `dof` are the degrees of freedom of each parameter's t interval (inf = normal).
    covariance : (p, p).
    influence : (p, K), the response of each parameter to each datum.
    leverage : (K,), the diagonal of the hat matrix.
    chi2, chi2_dof, gof_pvalue : sum of squares over the (smoothed) variances, its degrees of freedom, and the
        p-value of the lack-of-fit test; NaN where the data have no errors of their own to test against.
    """

    params: Array
    stderr: Array
    dof: Array
    covariance: Array
    influence: Array
    leverage: Array
    chi2: float
    chi2_dof: float
    gof_pvalue: float


def weighted_least_squares(
    design: Array,
    response: Array,
    weights: Array,
    *,
    variance: Array | None = None,
    variance_dof: Array | float = np.inf,
    trend: Array | None = None,
) -> Inference:
    """Fit response = design @ params by WLS, with the covariance that the knowledge of the errors allows.

    - `variance` known (`variance_dof` infinite): params have covariance H V H^T, H the pseudo-inverse of the weighted
      design; with weights 1/variance that is statsmodels' ``cov_type="fixed scale"``. Lack of fit: chi squared.
    - `variance` estimated from replicates with `variance_dof` degrees of freedom each: the same sandwich, unbiased
      whatever fixed weights; t intervals with Satterthwaite's degrees of freedom. If the weights themselves come from
      the variances (see `trend`) it is corrected for that. Lack of fit: the ANOVA-type statistic sum_k w_k r_k^2
      against Box's F approximation, scaled by the variances themselves.
    - no `variance`: heteroscedasticity-consistent HC2 with the degrees of freedom of Bell and McCaffrey.

    Parameters
    ----------
    design, response, weights : (K, p), (K,), (K,).
    variance, variance_dof : (K,).
    trend : (K,), the regressor on which the logarithms of the variances were regressed for the weights.

    References
    ----------
    Satterthwaite, Biometrics Bull. 2 (1946) 110; Brunner, Dette, Munk, JASA 92 (1997) 1494;
    MacKinnon and White, J. Econometrics 29 (1985) 305; Bell and McCaffrey, Survey Methodology 28 (2002) 169.

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> fit = weighted_least_squares(x, np.array([1.0, 3.0, 5.0]), np.ones(3), variance=np.ones(3))
    >>> fit.params.round(9).tolist(), float(round(fit.stderr[1] ** 2, 9))
    ([1.0, 2.0], 0.5)
    """
    import statsmodels.api as sm

    size = np.linalg.norm(np.sqrt(weights)[:, None] * design, axis=0)
    size = np.where(size > 0, size, 1.0)  # columns of one length, since the pseudo-inverse cuts small singular values
    fit = sm.WLS(response, design / size, weights=weights).fit()
    root = np.sqrt(weights)
    whitened = np.asarray(fit.model.pinv_wexog)
    influence = whitened / size[:, None] * root
    hat = fit.model.wexog @ whitened
    leverage = np.clip(np.diag(hat), 0.0, 1.0)
    if variance is None:
        covariance, dof = _heteroscedastic(fit, size, hat)
        chi2 = gof = np.nan
    else:
        covariance = (influence * variance) @ influence.T
        own = np.broadcast_to(np.asarray(variance_dof, dtype=float), variance.shape)
        if trend is not None and np.isfinite(own).all():
            covariance = covariance + _weight_noise(design, influence, variance, own, trend)
        dof = satterthwaite(influence**2 * variance, own)
        chi2, gof = lack_of_fit(fit.wresid, hat, weights * variance, own)
    return Inference(
        params=np.asarray(fit.params) / size,
        stderr=np.sqrt(np.diag(covariance)),
        dof=dof,
        covariance=covariance,
        influence=influence,
        leverage=leverage,
        chi2=chi2,
        chi2_dof=float(len(response) - design.shape[1]),
        gof_pvalue=gof,
    )


def _weight_noise(design: Array, influence: Array, variance: Array, dof: Array, trend: Array) -> Array:
    """What the sandwich loses when weights exp(-g x_k) have a slope g estimated from the same variances s_k^2.

    Sizes that happen to scatter little get more weight, so that sum_k h_k^2 s_k^2 is too small on average by
    2 sum_k h_k h'_k Cov(g, s_k^2), h' = dh/dg = -h X (1 - J h) with X = diag(x) and J the design;
    Cov(g, s_k^2) = a_k (2/d_k) s_k^2 with a_k the weight of log s_k^2 in g, since Cov(log s^2, s^2) = 2 sigma^2/d.
    With 4 sizes and 5 seeds that is 15 per cent of the variance. What is returned is the positive part of the term.
    """
    x = trend - (dof @ trend) / dof.sum()
    power = dof @ x**2
    if not power > 0:
        return np.zeros((len(influence), len(influence)))
    pulled = influence * x
    slope = pulled @ design @ influence - pulled
    cross = (influence * (2 * x / power * variance)) @ slope.T
    values, vectors = np.linalg.eigh(-(cross + cross.T))
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def satterthwaite(terms: Array, dof: Array) -> Array:
    """Degrees of freedom of sum_k terms[..., k], each a variance estimated with dof[k] degrees of freedom."""
    total = terms.sum(-1) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, total / (terms**2 / dof).sum(-1), np.inf)


def lack_of_fit(residual: Array, hat: Array, variance: Array, dof: Array) -> tuple[float, float]:
    """The whitened sum of squares Q and P(Q or more) under the law; Q = y^T M y, M = I - hat, Cov y = diag(variance).

    Q / tr(MV) is close to F(f1, f2), its mean right whatever the weights: f1 = tr(MV)^2 / tr(MVMV) for known V; for an
    estimated one, whose square is biased, f1 is the rank of M, right for weights near 1/V; f2 that of tr(MV).
    """
    chi2 = float(residual @ residual)
    annihilator = np.eye(len(hat)) - hat
    spread = annihilator * np.sqrt(variance) * np.sqrt(variance)[:, None]
    trace = np.trace(spread)
    if not len(hat) > np.linalg.matrix_rank(hat, tol=1e-8) or not trace > 0:
        return chi2, np.nan
    f2 = satterthwaite(np.diag(spread), dof)
    if not np.isfinite(f2):
        f1 = trace**2 / (spread**2).sum()
        return chi2, float(stats.chi2.sf(chi2 / trace * f1, f1))
    return chi2, float(stats.f.sf(chi2 / trace, len(hat) - np.trace(hat), f2))


def _heteroscedastic(fit: Any, size: Array, hat: Array) -> tuple[Array, Array]:
    """statsmodels' HC2 covariance, and for each parameter tr(G)^2/tr(G^2) of its quadratic form in the errors."""
    covariance = np.asarray(fit.cov_HC2) / size / size[:, None]
    annihilator = np.eye(len(hat)) - hat
    pull = np.asarray(fit.model.pinv_wexog) ** 2 / np.maximum(np.diag(annihilator), 1e-12)
    form = np.einsum("pk,ik,jk->pij", pull, annihilator, annihilator)
    trace = np.einsum("pii->p", form)
    return covariance, trace**2 / (form**2).sum((-1, -2))


def holm(pvalues: Array) -> Array:
    """p-values adjusted for their number by Holm's step-down method; NaN stays NaN and is not counted.

    >>> holm(np.array([0.01, np.nan, 0.04])).tolist()
    [0.02, nan, 0.04]
    """
    adjusted = np.full(pvalues.shape, np.nan)
    known = np.flatnonzero(np.isfinite(pvalues))
    order = known[np.argsort(pvalues[known])]
    adjusted[order] = np.minimum(np.maximum.accumulate(np.arange(len(order), 0, -1) * pvalues[order]), 1.0)
    return adjusted


def regression_spline(u: Array, y: Array, weights: Array, knots: Array) -> tuple[Array, float]:
    """The cubic spline through y(u) on given knots: its coefficients and the weighted sum of squares.

    statsmodels' WLS on the B-splines of its generalised additive models: a GAM with Gaussian errors, one smooth term
    and no penalty. (Its GLMGam takes no account of weights and refuses data without noise.)

    Parameters
    ----------
    u, y, weights : (P,).
    knots : (n + 4,), all of them, the ends four times.
    """
    import statsmodels.api as sm
    from statsmodels.gam.api import BSplines

    smoother = BSplines(u, df=[len(knots) - 4], degree=[3], include_intercept=True, knot_kwds=[{"all_knots": knots}])
    fit = sm.WLS(y, smoother.basis, weights=weights).fit()
    return np.asarray(fit.params), float(fit.ssr)


@dataclass(frozen=True)
class Logistic:
    """Coefficients (p,) of a logistic regression, their covariance (p, p), and whether outcomes are separated."""

    params: Array
    covariance: Array
    separated: bool


def logistic_regression(design: Array, outcome: Array, groups: Array) -> Logistic:
    """Logistic regression with errors clustered by `groups` (rows of a group share their draw).

    Separated outcomes get Firth's penalised fit with its information as covariance.

    Parameters
    ----------
    design, outcome, groups : (n, p), (n,) of 0 and 1, (n,) labels.

    References
    ----------
    Liang and Zeger, Biometrika 73 (1986) 13, for the clustered covariance.
    """
    if is_separated(design, outcome):
        params, covariance = firth(design, outcome)
        return Logistic(params, covariance, separated=True)
    import statsmodels.api as sm

    size = np.abs(design).max(axis=0)
    model = sm.GLM(outcome, design / size, family=sm.families.Binomial())
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": np.unique(groups, return_inverse=True)[1]})
    return Logistic(np.asarray(fit.params) / size, np.asarray(fit.cov_params()) / size / size[:, None], separated=False)
