"""Means and their errors over seeds, with control variates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from spikecube.cube.cuts import as_cube
from spikecube.means.controls import DEFAULT_PRIORITY, PRIORITY, centred_controls, has_controls
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


def priority(name: str) -> tuple[str, ...]:
    """The controls for a variable, the most useful first.

    >>> priority("train_loss")[0], priority("test_loss")[0]
    ('label_power', 'test_label_power')
    """
    return PRIORITY.get(name.split("_")[0], DEFAULT_PRIORITY)


def controls_for(values: xr.DataArray, controls: xr.DataArray, names: Sequence[str]) -> tuple[Array, Array]:
    """Replicates and controls as arrays for `replicate_means`: (..., m) and (..., m, q), dims as `values` has them.

    `values` must have `seed` as its last dim.
    """
    known = controls["control"].values.tolist()
    aligned = controls.isel(control=[known.index(name) for name in names if name in known])
    shared = [d for d in values.dims if d in aligned.dims and d in aligned.coords]
    others = {d: values[d] for d in shared if not aligned.indexes[d].equals(values.indexes[d])}
    aligned = aligned.reindex(others) if others else aligned
    dims = [d for d in values.dims if d in aligned.dims]
    array = aligned.transpose(*dims, "control").to_numpy()
    shape = [values.sizes[d] if d in aligned.dims else 1 for d in values.dims]
    wide = np.broadcast_to(array.reshape(*shape, -1), (*values.shape, array.shape[-1]))
    return values.to_numpy().astype(float), wide


def seed_means(cube: xr.Dataset, name: str, *, controls: bool = True) -> xr.Dataset:
    """Mean of one variable over `seed`, its standard error with and without control variates, and what they are worth.

    The one place that takes means over seeds. Each point uses the controls that its own seeds allow, so that a mean is
    the same whatever other points the cube holds. One or two seeds give their plain mean; the error of one is NaN.

    Returns
    -------
    xr.Dataset
        mean, stderr, stderr_plain, dof, seeds: seeds with a value, controls: how many control variates were used,
        seeds_worth: seeds that a plain mean would need for the same error.

    Raises
    ------
    ControlError
        If controls are wanted and the cube has no study.
    """
    values = cube[name].transpose(..., "seed")
    y, z = values.to_numpy().astype(float), None
    if controls:
        y, z = controls_for(values, centred_controls(cube), priority(name))
    found = _by_count(y, z)
    with np.errstate(divide="ignore", invalid="ignore"):
        found["seeds_worth"] = found["seeds"] * (found["stderr_plain"] / found["stderr"]) ** 2
    long_name = cube[name].attrs.get("long_name", name)
    texts = {
        "mean": f"mean over seeds of: {long_name}",
        "stderr": f"standard error of the mean over seeds of: {long_name}",
        "stderr_plain": f"the same without control variates, of: {long_name}",
        "dof": "degrees of freedom of the standard error",
        "seeds": "seeds with a value",
        "controls": "control variates used",
        "seeds_worth": "seeds that a plain mean would need for the same standard error",
    }
    coords = {k: v for k, v in values.coords.items() if "seed" not in v.dims}
    table = {k: (values.dims[:-1], found[k], {"long_name": text, "units": "1"}) for k, text in texts.items()}
    return xr.Dataset(table, coords)


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


def _by_count(y: Array, z: Array | None) -> dict[str, Array]:
    """The means of `means_by_count`; those of one or two seeds are plain."""
    means = means_by_count(y, z)
    few = (means.count > 0) & (means.count < MIN_SEEDS)
    mean, stderr = _of_few(y)
    return {
        "mean": np.where(few, mean, means.mean),
        "stderr": np.where(few, stderr, means.stderr),
        "stderr_plain": np.where(few, stderr, means.plain_stderr),
        "dof": np.where(few, means.count - 1.0, means.dof),
        "seeds": means.count,
        "controls": np.asarray(means.n_controls),
    }


def _of_few(y: Array) -> tuple[Array, Array]:
    """Plain mean of one or two values in the last axis, and its standard error, NaN for one."""
    known = np.where(np.isfinite(y), y, 0.0)
    count = np.isfinite(y).sum(-1)
    mean = known.sum(-1) / np.maximum(count, 1)
    square = (np.where(np.isfinite(y), y - mean[..., None], 0.0) ** 2).sum(-1)
    return mean, np.where(count > 1, np.sqrt(square / np.maximum((count - 1) * count, 1)), np.nan)


def means(cube: xr.Dataset, name: str, *, controls: bool = True) -> xr.Dataset:
    """As `seed_means`, with control variates where the cube holds its study and their draws, else plain.

    A variable without `seed` is its own mean, of one seed.
    """
    if "seed" not in cube[name].dims:
        value = cube[name].astype(float)
        one = {"mean": value, "stderr": value * np.nan, "seeds": value.notnull().astype(int)}
        return xr.Dataset(one | {"controls": xr.zeros_like(value, dtype=int)})
    return seed_means(cube, name, controls=controls and has_controls(cube))


def kind_of_means(used: Iterable[int]) -> str:
    """The name of means by the numbers of control variates that went into them.

    >>> kind_of_means([0, 0]), kind_of_means([1, 2]), kind_of_means([0, 2])
    ('plain means', 'means with control variates', 'means with control variates, plain where seeds are few')
    """
    numbers = {bool(u) for u in used}
    if numbers == {True, False}:
        return "means with control variates, plain where seeds are few"
    return "means with control variates" if numbers == {True} else "plain means"


def summarize(cube: xr.Dataset | str | Path, *, controls: bool = True) -> xr.Dataset:
    """Every variable with a `seed` dim as its mean, beside `NAME_stderr` and `NAME_seeds_worth`.

    >>> cube = xr.Dataset({"train_loss": (("n", "seed"), [[1.0, 2.0, 3.0]])}, {"n": [100], "seed": [0, 1, 2]})
    >>> summarize(cube, controls=False).train_loss.item()
    2.0
    """
    cube = as_cube(cube, "seed", *(("n",) if controls else ()))
    parts = {}
    for name in (str(v) for v in cube.data_vars):
        if "seed" in cube[name].dims and name != "status":
            means = seed_means(cube, name, controls=controls)
            parts[name] = means["mean"]
            parts[f"{name}_stderr"], parts[f"{name}_seeds_worth"] = means["stderr"], means["seeds_worth"]
    return xr.Dataset(parts)
