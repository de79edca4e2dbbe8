"""The spikes of a cube: which degrees carry one, in which draws it is seen, and from where theory has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from spikecube.means.places import Missing, fixed, sliced, variable
from spikecube.study.study import Study, spike_degrees, study_from

Labels = tuple[tuple[str, float | str], ...]


def study_of(cube: xr.Dataset) -> Study:
    """The study that a cube carries as its attribute.

    Raises
    ------
    Missing
        If it has none.
    """
    if "study" not in cube.attrs:
        raise Missing("The cube has lost its attribute 'study': the model is not known.")
    return study_from(str(cube.attrs["study"]))


def degrees(cube: xr.Dataset, most: int = 5, **labels: Any) -> tuple[int, ...]:
    """The degrees k with c_k != 0, the ones that carry a spike: the j-th of them is the j-th spike.

    Raises
    ------
    Missing
        If the cube does not hold its study.
    """
    return spike_degrees(study_of(cube).model_at(**dict(further_labels(cube, labels))), most)


def further_labels(cube: xr.Dataset, labels: Mapping[str, Any]) -> Labels:
    """The labels along the further axes of the cube, its own or their defaults."""
    chosen = fixed(cube, labels)
    return tuple((name, sliced(cube[name], **{name: label}).item()) for name, label in chosen.items())


def along_monomial(cosine: xr.DataArray) -> xr.DataArray:
    """Whether a squared cosine says that a singular vector points along its monomial: above n^{-1/2}.

    That lies between the 1/n of a random vector and the n^{-1/3} of a spike at the edge.

    >>> along_monomial(xr.DataArray([0.5, 0.001], dims="n", coords={"n": [100, 400]})).values.tolist()
    [True, False]
    """
    return cosine > cosine["n"] ** -0.5


def spike_share(cube: xr.Dataset, degree: int, rank: int) -> xr.DataArray:
    """The share of seeds in which the spike of a degree, the rank-th of all, is detached; NaN where no seed tells.

    It is detached if `rank` singular values or more lie beyond the edge and the rank-th points along its monomial:
    `along_monomial`.
    """
    counts, cosine = cube["outlier_count"], cube["alignment"].sel(degree=degree, drop=True)
    return _share(((counts >= rank) & along_monomial(cosine)).where(counts.notnull() & cosine.notnull()))


def outlier_share(cube: xr.Dataset, rank: int | xr.DataArray) -> xr.DataArray:
    """The share of seeds in which `rank` singular values or more lie beyond the edge, wherever they point."""
    counts = cube["outlier_count"]
    return _share((counts >= rank).where(counts.notnull()))


def _share(seen: xr.DataArray) -> xr.DataArray:
    return seen.mean("seed") if "seed" in seen.dims else seen


def clear_only(cube: xr.Dataset) -> xr.Dataset:
    """Singular values where nearly every seed has its outlier: elsewhere the edge of the bulk stands in its place."""
    values = variable(cube, "singular_value")
    variable(cube, "outlier_count")
    clear = outlier_share(cube, values["rank"]) >= _CLEAR
    return cube.assign(singular_value=values.where(clear).transpose(*values.dims))


_CLEAR = 0.95


def detachment(cube: xr.Dataset, prediction: xr.Dataset, **labels: Any) -> xr.DataArray:
    """The alpha from which theory has each spike counted at size n, NaN where it never has: dims n, degree.

    Where the predicted outlier, that of the conditional equivalence, passes the edge beyond which outliers are
    counted; the predicted edge of the bulk where a cube has none.
    """
    place = fixed(cube, labels)
    outliers = sliced(prediction["singular_value"], **place)
    edge = sliced(prediction["bulk_edge"], **place).reset_coords(drop=True)
    if "detection_edge" in cube and cube.sizes["alpha"] > 1:
        counted = sliced(cube["detection_edge"], **place).interp(alpha=outliers["alpha"].values)
        edge = counted.reset_coords(drop=True).fillna(edge)
    margin = (outliers.reset_coords(drop=True) - edge).transpose("n", "rank", "alpha")
    found = degrees(cube, **labels)[: margin.sizes["rank"]]
    alphas = [[_first_crossing(margin["alpha"].values, row) for row in rows] for rows in margin.values]
    table = np.array(alphas).reshape(margin.shape[:2])[:, : len(found)]
    return xr.DataArray(table, dims=("n", "degree"), coords={"n": margin["n"].values, "degree": list(found)})


def _first_crossing(alpha: np.ndarray, margin: np.ndarray) -> float:
    """Where a margin along alpha first comes above zero, between grid points by a straight line; NaN where it does not.

    After a point without a value, where there is no outlier, the crossing is halfway.

    >>> a = np.array([0.0, 0.1, 0.2])
    >>> [round(_first_crossing(a, np.array(m)), 3) for m in ([-1, -1, 3], [np.nan, np.nan, 1], [1, 2, 3], [-1, -1, 0])]
    [0.125, 0.15, 0.0, nan]
    """
    above = np.flatnonzero(margin > 0)
    if not above.size:
        return float("nan")
    i = int(above[0])
    if i == 0:
        return float(alpha[0])
    share = margin[i - 1] / (margin[i - 1] - margin[i]) if np.isfinite(margin[i - 1]) else 0.5
    return float(alpha[i - 1] + share * (alpha[i] - alpha[i - 1]))


def leading(cube: xr.Dataset, *, alpha: Any = None, n: Any = None, **further: Any) -> xr.DataArray:
    """The leading singular values of every seed at one (alpha, n): dims seed, rank."""
    values = sliced(variable(cube, "singular_value"), alpha=alpha, n=n, **fixed(cube, further))
    if not bool(values.notnull().any()):
        raise Missing(f"No singular values at alpha = {float(values.alpha):g}, n = {int(values.n)} yet.")
    if "seed" not in values.dims:
        raise Missing("This cube was averaged over its seeds: the singular values of each are gone.")
    return values.transpose("seed", "rank").dropna("seed", how="all")


def histogram(cube: xr.Dataset, *, alpha: Any = None, n: Any = None, **further: Any) -> xr.Dataset:
    """The distribution of all singular values of F/sqrt(n) at one (alpha, n), seeds pooled.

    `density` integrates to `share`, the number of singular values in the bins over n; `lower`, `upper` along `bin`.

    Raises
    ------
    Missing
        If the study measured no histogram or the cell is not there yet.
    """
    if "spectrum" not in cube:
        raise Missing("The study measured no histogram: set spectrum_bins in [measure].")
    where = {"alpha": alpha, "n": n} | fixed(cube, further)
    counts = sliced(cube["spectrum"], **where)
    pooled = counts.mean("seed") if "seed" in counts.dims else counts
    if not bool(pooled.notnull().any()):
        raise Missing(f"No histogram at alpha = {float(pooled.alpha):g}, n = {int(pooled.n)} yet.")
    lower, upper = cube["bin_lower"], cube["bin_upper"]
    return xr.Dataset(
        {"density": pooled / pooled.n / (upper - lower), "count": pooled, "share": pooled.sum() / pooled.n},
        coords={"lower": lower, "upper": upper},
    )
