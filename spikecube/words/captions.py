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
    return _fitted(one, "fitted limit", ".3g", "-")


def exponent_text(fit: xr.Dataset) -> str:
    """The fitted exponent with its error, the theory's, and the test of fit; what its status says without one."""
    return _fitted(fit.sel(param="exponent"), "exponent", ".2f", "−")


def _fitted(one: xr.Dataset, what: str, digits: str, minus: str) -> str:
    value, error, theory, lack = (float(one[v]) if v in one else np.nan for v in _FITTED)
    if not np.isfinite(value):
        return "no fit"
    text = f"{what} {with_error(value, error)}" + (f", theory {theory:{digits}}" if np.isfinite(theory) else "")
    return text.replace("-", minus) + (f", lack of fit p = {lack:.2g}" if np.isfinite(lack) else "")


_FITTED = ("estimate", "stderr", "expected", "gof_pvalue")


def value_text(data: xr.Dataset) -> str:
    """`1.190(6)`: the standard error in units of the last digits."""
    return with_error(float(data["mean"]), float(data["stderr"]))
