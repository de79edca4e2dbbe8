"""Inference for one least-squares or logistic problem; the only place that imports statsmodels, when a fit is made."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import special
from scipy.optimize import brentq

from spikecube.scaling.logistic import firth, is_separated
from spikecube.scaling.types import Array

LEVEL = 0.95  # of every interval
_ANGLES, _ANGLE_WEIGHTS = np.polynomial.legendre.leggauss(64)


@dataclass(frozen=True)
class Inference:
    """What a weighted least-squares fit says about its parameters.

    Attributes
    ----------
    params, stderr, dof : (p,); `dof` are the degrees of freedom of each parameter's t interval (inf = normal).
    covariance : (p, p).
    influence : (p, K), the response of each parameter to each datum.
    leverage : (K,), the diagonal of the hat matrix.
    chi2, gof_pvalue : sum of squares over the (smoothed) variances, and the p-value of the lack-of-fit test; NaN
        where the data have no errors of their own to test against.
    """

    params: Array
    stderr: Array
    dof: Array
    covariance: Array
    influence: Array
    leverage: Array
    chi2: float
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
      against Box's F approximation, scaled by the variances themselves (see `lack_of_fit`).
    - no `variance`: heteroscedasticity-consistent HC2; its t ratio is no t variable, but under equal errors its
      distribution is known exactly, and `dof` are those of the t with the same quantile (see `_quantile_dof`).

    Parameters
    ----------
    design, response, weights : (K, p), (K,), (K,).
    variance, variance_dof : (K,).
    trend : (K,), the regressor on which the logarithms of the variances were regressed for the weights.

    References
    ----------
    Satterthwaite, Biometrics Bull. 2 (1946) 110; Brunner, Dette, Munk, JASA 92 (1997) 1494;
    MacKinnon and White, J. Econometrics 29 (1985) 305; Bell and McCaffrey, Survey Methodology 28 (2002) 169 (equal
    errors as the working model behind the reference distribution of HC2).

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> fit = weighted_least_squares(x, np.array([1.0, 3.0, 5.0]), np.ones(3), variance=np.ones(3))
    >>> fit.params.round(9).tolist(), float(round(fit.stderr[1] ** 2, 9))
    ([1.0, 2.0], 0.5)
    """
    import statsmodels.api as sm

    root = np.sqrt(weights)
    size = np.linalg.norm(root[:, None] * design, axis=0)
    size = np.where(size > 0, size, 1.0)  # columns of one length, since the pseudo-inverse cuts small singular values
    fit = sm.WLS(response, design / size, weights=weights).fit()
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
        chi2, gof = lack_of_fit(fit.wresid, hat, weights * variance, own, trend)
    return Inference(
        params=np.asarray(fit.params) / size,
        stderr=np.sqrt(np.maximum(np.diag(covariance), 0.0)),
        dof=dof,
        covariance=covariance,
        influence=influence,
        leverage=leverage,
        chi2=chi2,
        gof_pvalue=gof,
    )


def _weight_noise(design: Array, influence: Array, variance: Array, dof: Array, trend: Array) -> Array:
    """What the sandwich loses when weights exp(-g x_k) have a slope g estimated from the same variances s_k^2.

    Sizes that happen to scatter little get more weight, so that sum_k h_k^2 s_k^2 is too small on average by
    2 sum_k h_k h'_k Cov(g, s_k^2), h' = dh/dg = -h X (1 - J h) with X = diag(x) and J the design;
    Cov(g, s_k^2) = a_k (2/d_k) s_k^2 with a_k the weight of log s_k^2 in g, since Cov(log s^2, s^2) = 2 sigma^2/d.
    With 4 sizes and 5 seeds that is 15 per cent of the variance. What is returned is the positive part of the term.
    """
    pulled = influence * _centred(trend, dof)
    slope = pulled @ design @ influence - pulled
    cross = (influence * (_slope_pull(trend, dof) * variance)) @ slope.T
    values, vectors = np.linalg.eigh(-(cross + cross.T))
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def _slope_pull(trend: Array, dof: Array) -> Array:
    """Cov(g, s_k^2)/s_k^2 = a_k 2/d_k = 2 x_k/sum_j d_j x_j^2 for the slope g of log s^2; 0 if it is not estimated."""
    x = _centred(trend, dof)
    power = dof @ x**2
    return np.asarray(2 * x / power if power > 0 else np.zeros_like(x))


def _centred(trend: Array, dof: Array) -> Array:
    return np.asarray(trend - (dof @ trend) / dof.sum())


def satterthwaite(terms: Array, dof: Array) -> Array:
    """Degrees of freedom of sum_k terms[..., k], each a variance estimated with dof[k] degrees of freedom."""
    total = terms.sum(-1) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, total / (terms**2 / dof).sum(-1), np.inf)


def lack_of_fit(
    residual: Array, hat: Array, variance: Array, dof: Array, trend: Array | None = None
) -> tuple[float, float]:
    """The whitened sum of squares Q and P(Q or more) under the law; Q = y^T M y, M = I - hat, Cov y = V diagonal.

    Q is referred to E Q F(f1, f2) with its mean, its spread and that of the estimate of its mean matched::

        E Q = tr(MV) + sum_kj p_k v_k M_kj^2 x_j,    f1 = tr(MV)^2/tr(MVMV),    f2 = tr(MV)^2/sum_k (M_kk v_k)^2/d_k

    The second term of E Q is there for weights exp(-g x_k) whose slope comes from the same variances (`trend`):
    dE[Q|g]/dg = -sum_kj v_k M_kj^2 x_j, times Cov(g, v_k) = p_k v_k. Squares of estimated variances are too large by
    1 + 2/d_k on average, so that each v_k^2 is taken times d_k/(d_k + 2). Known variances have f2 infinite.

    References
    ----------
    Box, Ann. Math. Stat. 25 (1954) 290; Welch, Biometrika 34 (1947) 28 (d + 2 for d in the degrees of freedom).
    """
    chi2 = float(residual @ residual)
    annihilator = np.eye(len(hat)) - hat
    own = np.diag(annihilator) * variance
    trace = own.sum()
    rank = len(hat) - np.rint(np.trace(hat))  # of a projection
    if not rank > 0 or not trace > 0:
        return chi2, np.nan
    excess = (own**2 * 2 / (dof + 2)).sum()
    square = trace**2 - excess
    f1 = np.clip(square / (variance @ annihilator**2 @ variance - excess), 1.0, rank)
    if not excess > 0:
        return chi2, float(special.chdtrc(f1, chi2 / trace * f1))
    if trend is not None and np.isfinite(dof).all():
        trace += (_slope_pull(trend, dof) * variance) @ annihilator**2 @ _centred(trend, dof)
    return chi2, float(special.fdtrc(f1, 2 * square / excess, chi2 / trace))


def _heteroscedastic(fit: Any, size: Array, hat: Array) -> tuple[Array, Array]:
    """statsmodels' HC2 covariance, and degrees of freedom from each parameter's quadratic form in the errors."""
    covariance, annihilator = np.asarray(fit.cov_HC2) / size / size[:, None], np.eye(len(hat)) - hat
    pull = np.asarray(fit.model.pinv_wexog) ** 2 / np.maximum(np.diag(annihilator), 1e-12)
    form = np.einsum("pk,ik,jk->pij", pull, annihilator, annihilator)
    return covariance, np.array([_quantile_dof(f, len(hat) - len(size)) for f in form])


def _tail(square: float, spectrum: Array) -> float:
    """P(t^2 > square) for t^2 = Z^2/sum_i l_i chi_i^2 with independent numerator and denominator.

    The normal tail is (2/pi) int_0^(pi/2) exp(-x^2/2 sin^2) (Craig 1991); its mean over the denominator is known::

        P = (2/pi) int_0^(pi/2) prod_i (1 + square l_i/sin^2(angle))^(-1/2) d angle

    >>> round(_tail(4.0, np.full(3, 1 / 3)), 12) == round(2 * float(special.stdtr(3, -2.0)), 12)
    True
    """
    sine = np.sin((_ANGLES + 1) * np.pi / 4) ** 2
    return float(_ANGLE_WEIGHTS @ np.exp(-np.log1p(square * spectrum[:, None] / sine).sum(0) / 2) / 2)


def _quantile_dof(form: Array, rank: int) -> float:
    """Degrees of freedom of the t variable whose interval is that of t = estimate/(e^T form e)^(1/2), e ~ N(0, 1).

    With l the eigenvalues of the form over their sum, `_tail` is Schur-convex in l: the answer lies between 1 (one
    eigenvalue) and the rank (equal ones).
    """
    values = np.linalg.eigvalsh(form)[-rank:]
    if rank < 2 or not values.sum() > 0:
        return float(rank) if rank > 0 else np.nan
    return _dof_of_spectrum(tuple((np.maximum(values, 0.0) / values.sum()).tolist()))


@lru_cache(maxsize=1024)
def _dof_of_spectrum(eigenvalues: tuple[float, ...]) -> float:
    """As `_quantile_dof`, of eigenvalues whose sum is 1; kept, since curves of the same sizes have the same."""
    spectrum, rank = np.array(eigenvalues), float(len(eigenvalues))

    def excess(dof: float) -> float:
        return _tail(float(special.stdtrit(dof, (1 + LEVEL) / 2)) ** 2, spectrum) - (1 - LEVEL)

    ends = excess(1.0), excess(rank)
    if ends[0] >= 0 or ends[1] <= 0:  # equality, up to rounding
        return 1.0 if ends[0] >= 0 else rank
    return float(brentq(excess, 1.0, rank, xtol=1e-9))


def regression_splines(
    u: Array, y: Array, white: Callable[[Array], Array], knots: Sequence[Array], factors: Sequence[Array]
) -> tuple[Array, float]:
    """Cubic splines with y = sum_j factor_j s_j(u), on given knots: all coefficients and the weighted sum of squares.

    statsmodels' least squares on the B-splines of its generalised additive models: a GAM with Gaussian errors, smooth
    terms with varying coefficients and no penalty. (Its GLMGam takes no account of weights, and needs noise.)

    Parameters
    ----------
    u, y : (P,).
    white : brings values (P,) and columns (P, k) to independent errors of 1.
    knots : one (n_j + 4,) for each spline, all of them, the ends four times.
    factors : one (P,) for each spline.
    """
    import statsmodels.api as sm
    from statsmodels.gam.api import BSplines

    columns = []
    for own, factor in zip(knots, factors, strict=True):
        options = {"df": [len(own) - 4], "degree": [3], "knot_kwds": [{"all_knots": own}]}
        smoother = BSplines(np.clip(u, own[0], own[-1]), include_intercept=True, **options)
        columns.append(factor[:, None] * smoother.basis)
    with warnings.catch_warnings(action="ignore"):  # of a spline with an interval that holds no point
        fit = sm.OLS(white(y), white(np.concatenate(columns, axis=1))).fit()
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
        return Logistic(*firth(design, outcome), separated=True)
    import statsmodels.api as sm

    size = np.abs(design).max(axis=0)
    model = sm.GLM(outcome, design / size, family=sm.families.Binomial())
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": np.unique(groups, return_inverse=True)[1]})
    return Logistic(np.asarray(fit.params) / size, np.asarray(fit.cov_params()) / size / size[:, None], separated=False)


def aicc(chi2: float, count: int, params: float, *, known: bool = True) -> float:
    """The corrected Akaike criterion chi2 + 2p + 2p(p + 1)/(k - p - 1) of k points, infinite where it has no value.

    Where errors are not `known` it is k log(chi2/k) for chi2, and their size counts as a parameter.
    """
    p = params if known else params + 1
    misfit = chi2 if known else count * np.log(max(chi2, np.finfo(float).tiny) / count)
    return float(misfit + 2 * p + 2 * p * (p + 1) / (count - p - 1)) if count > p + 1 else np.inf
