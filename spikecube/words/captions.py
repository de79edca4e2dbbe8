"""What a title says of the numbers in its picture: the fitted value with its error, and what means these are."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from spikecube.means.seeds import kind_of_means
from spikecube.text import with_error


def means_text(*tables: xr.Dataset) -> str:
    """What means some tables hold, and over how many seeds: `plain means over 2 to 4 seeds`.

    Each table has `seeds` and `controls`, as `spikecube.means.seeds.means` gives them; points without a seed are not
    counted.
    """
    seeds = np.concatenate([np.asarray(t["seeds"].values).ravel() for t in tables])
    used = np.concatenate([np.asarray(t["controls"].values).ravel() for t in tables])
    if seeds.max(initial=0) == 1:
        return "values of one seed"
    return f"{kind_of_means(used[seeds > 0].tolist())} over {seeds_text(seeds)}"


def against_text(scores: Mapping[Hashable, Any]) -> str:
    """Which theory `spikecube.means.comparisons.z_scores` held measurements against, by the attributes of its result.

    >>> against_text({"given": 0})
    'against theory for a typical draw'
    """
    if scores.get("given"):
        return "each draw against theory at its own |β|², alignment with β* and |a|²"
    return "against theory for a typical draw"


def seeds_text(counts: np.ndarray) -> str:
    """How many seeds lie behind some points, zeros left out.

    >>> seeds_text(np.array([4, 0, 2, 4])), seeds_text(np.array([1, 1]))
    ('2 to 4 seeds', '1 seed')
    """
    there = sorted({int(c) for c in np.ravel(counts) if c > 0}) or [0]
    if len(there) > 1:
        return f"{there[0]} to {there[-1]} seeds"
    return f"{there[0]} seed{'' if there[0] == 1 else 's'}"


def limit_text(one: xr.Dataset) -> str:
    """The fitted limit with its error, the theory's, and the test of fit."""
    if not np.isfinite(float(one["estimate"])):
        return "no fit"
    error = float(one["stderr"]) if "stderr" in one else np.nan
    text = f"fitted limit {with_error(float(one['estimate']), error)}"
    if "expected" in one and np.isfinite(float(one["expected"])):
        text += f", theory {float(one['expected']):.3g}"
    return text + _lack_of_fit(one)


def exponent_text(fit: xr.Dataset) -> str:
    """The fitted exponent with its error, the theory's, and the test of fit; what its status says without one."""
    one = fit.sel(param="exponent")
    if not np.isfinite(float(one["estimate"])):
        return "no fit"
    text = f"exponent {with_error(float(one['estimate']), float(one['stderr']))}".replace("-", "−")
    if np.isfinite(float(one["expected"])):
        text += f", theory {float(one['expected']):.2f}".replace("-", "−")
    return text + _lack_of_fit(one)


def _lack_of_fit(one: xr.Dataset) -> str:
    known = "gof_pvalue" in one and np.isfinite(float(one["gof_pvalue"]))
    return f", lack of fit p = {float(one['gof_pvalue']):.2g}" if known else ""


def value_text(data: xr.Dataset) -> str:
    """`1.190(6)`: the standard error in units of the last digits."""
    return with_error(float(data["mean"]), float(data["stderr"]))
