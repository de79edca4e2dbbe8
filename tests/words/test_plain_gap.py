"""Plain exponents that miss their limits: the share that theory at these sizes and a correction take of it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from spikecube.words.missed_limits import plain_gap


def fit(**estimates: list[float]) -> xr.Dataset:
    """Exponents of curves by estimator, with intervals of +- 0.02 and the limit 0.4."""
    values = np.array(list(estimates.values()))[..., None]
    dims = ("estimator", "alpha", "param")
    coords = {"estimator": list(estimates), "param": ["exponent"]}
    table = {"estimate": values, "ci_low": values - 0.02, "ci_high": values + 0.02, "expected": 0 * values + 0.4}
    return xr.Dataset({name: (dims, v) for name, v in table.items()}, coords)


@pytest.mark.parametrize(
    ("estimates", "words"),
    [
        ({"plain": [0.41, 0.39], "relative": [0.4, 0.4]}, ""),
        ({"plain": [0.5, 0.41]}, ""),
        ({"plain": [0.5, 0.5], "relative": [0.4, 0.42]}, "of the 2 that do not hold, theory at .* takes 90% (median)."),
        (
            {"plain": [0.5, 0.3], "corrected": [0.48, 0.32]},
            "the correction n^-omega takes 20% (median), which is no ex",
        ),
        ({"plain": [0.5, 0.3], "corrected": [0.42, np.nan]}, "n^-omega takes 80% (median) in 1 of them."),
        ({"plain": [0.5], "corrected": [0.52], "relative": [0.41]}, "90% (median); the correction n^-omega takes -20%"),
    ],
)
def test_the_share_of_each_estimator_is_told_and_a_small_one_called_so(estimates: dict, words: str) -> None:
    said = plain_gap(fit(**estimates))
    for part in words.split(".*"):
        assert part in said
    assert bool(said) == bool(words)


def test_open_intervals_are_not_counted() -> None:
    made = fit(plain=[0.5, 0.5], corrected=[0.41, 0.48])
    made["ci_high"].loc[{"estimator": "plain", "alpha": 1}] = np.inf
    assert (
        plain_gap(made) == " Of the distance of the 1 that does not hold, the correction n^-omega takes 90% (median)."
    )
