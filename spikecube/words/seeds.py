"""What the seeds of a cube are worth to its fits, and how many more a fit would need."""

from __future__ import annotations

import numpy as np
import xarray as xr

from spikecube.cube.schema import STATUS
from spikecube.scaling.power import seeds_for_half_width, seeds_for_power

HALF_WIDTH = 0.05
ASSUMED_SPREAD = 0.1
_LEAST_SIZES = 3  # one more than parameters, for a test of fit
_LEAST_SEEDS = 3


def shortage(cube: xr.Dataset, law: str) -> str:
    """What a cube lacks for a law and how much would do, from the spread of its first outlier; empty if nothing."""
    counts = seeds_by_size(cube)
    usable = int((counts >= _LEAST_SEEDS).sum())
    if usable >= _LEAST_SIZES:
        return ""
    spread = _spread(cube)
    sizes = _enough_sizes(cube["n"].values.astype(float), max(len(counts), _LEAST_SIZES + 1))
    known = f"relative spread {spread:.2g} over the seeds at hand"
    if not np.isfinite(spread):
        spread, known = ASSUMED_SPREAD, f"a relative spread of {ASSUMED_SPREAD:g} over seeds, assumed"
    interval, power = seeds_for_half_width(sizes, spread, HALF_WIDTH), seeds_for_power(sizes, spread, HALF_WIDTH)
    return (
        f"{law}: no fit, since this cube has {_held(counts, usable)}; a fit needs at "
        f"least {_LEAST_SIZES} sizes (one more than parameters, for a test of fit) and {_LEAST_SEEDS} seeds at each. "
        f"With n = {', '.join(f'{s:g}' for s in sizes)} and {known}, {interval} seeds give an exponent to "
        f"within {HALF_WIDTH:g}, and {power} tell it from one that is {HALF_WIDTH:g} away with 80 per cent power."
    )


def _held(counts: np.ndarray, usable: int) -> str:
    """`2 sizes and 20 seeds`; where sizes have seeds of their own number, how many have enough."""
    sizes = counted(len(counts), "size")
    if len(set(counts.tolist())) == 1:
        return f"{sizes} and {seeds_phrase(counts)}"
    return f"{sizes} with {counts.min()} to {counts.max()} seeds, {usable} of them with {_LEAST_SEEDS} or more"


def worth(fit: xr.Dataset, cube: xr.Dataset) -> str:
    """What control variates gain, as seeds; where sizes have seeds of their own number, as a factor."""
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = ((fit["data_stderr_plain"] / fit["data_stderr"]) ** 2).where(fit["used"] == 1).values
    gain = gain[np.isfinite(gain)]
    if not gain.size:
        return ""
    counts = seeds_by_size(cube)
    if np.allclose(gain, 1.0):
        return f" Means are plain: {seeds_phrase(counts)} give no control variate its place."
    median = float(np.median(gain))
    if len(set(counts.tolist())) == 1:
        return f" Control variates make {seeds_phrase(counts)} worth {counts[0] * median:.3g} (median)."
    return f" Control variates make {seeds_phrase(counts)} worth {median:.3g} times as many (median over sizes)."


def seeds_by_size(cube: xr.Dataset) -> np.ndarray:
    """How many seeds each size has, those that the study asks for; (n,)."""
    if "status" not in cube or not {"n", "seed"} <= set(cube["status"].dims):
        return np.full(cube.sizes["n"], cube.sizes["seed"])
    asked = cube["status"] != STATUS["absent"]
    counts: np.ndarray = asked.any([d for d in asked.dims if d not in ("n", "seed")]).sum("seed").values
    return counts


def seeds_phrase(counts: np.ndarray) -> str:
    """`20 seeds`, or `3 to 12 seeds, by size,` where sizes have seeds of their own number.

    >>> seeds_phrase(np.array([20, 20])), seeds_phrase(np.array([12, 3]))
    ('20 seeds', '3 to 12 seeds, by size,')
    """
    least, most = int(counts.min()), int(counts.max())
    return counted(most, "seed") if least == most else f"{least} to {most} seeds, by size,"


def counted(number: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "seed"), counted(2, "seed")
    ('1 seed', '2 seeds')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def _spread(cube: xr.Dataset) -> float:
    """Relative spread of the first outlier over seeds at the largest alpha, pooled over n; NaN from one seed."""
    if cube.sizes["seed"] < 2 or not {"singular_value", "rank"} <= set(cube.variables):
        return np.nan
    values = cube["singular_value"].isel(rank=0, alpha=-1)
    count, mean = values.count("seed"), values.mean("seed")
    variance = ((values - mean) ** 2).sum("seed") / (count - 1).where(count > 1)
    return float(np.sqrt((variance / mean**2).mean()))


def _enough_sizes(sizes: np.ndarray, wanted: int) -> np.ndarray:
    """The sizes at hand, carried on by factors of 2."""
    found = list(sizes)
    while len(found) < wanted:
        found.append(2 * found[-1])
    return np.array(found)
