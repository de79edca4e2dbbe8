"""Where the algebra of one curve fails, that curve has no answer, and the others have theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from spikecube.scaling.kinds import NONLINEAR
from spikecube.scaling.labelled_fits import fit_sample
from spikecube.scaling.laws import LOGARITHM
from spikecube.scaling.results import STATUS
from spikecube.scaling.samples import from_data
from spikecube.theory.conditional.solutions import _solved

SIZES = np.array([10.0, 20.0, 40.0, 80.0, 160.0])


def singular_beyond_100(n: np.ndarray, theta: np.ndarray) -> np.ndarray:
    if (theta[..., 0] > 100).any():
        raise np.linalg.LinAlgError("made up")
    return LOGARITHM.value(n, theta)


def test_a_curve_whose_algebra_fails_costs_no_other_one() -> None:
    law = replace(LOGARITHM, value=singular_beyond_100, kind=NONLINEAR)
    noise = 0.01 * np.random.default_rng(1).standard_normal((3, 5))
    values = np.array([[1.0], [1000.0], [2.0]]) + 0.5 * np.log(SIZES) + noise
    data = xr.DataArray(values, dims=("curve", "n"), coords={"n": SIZES})
    fit = fit_sample(law, from_data(data, "n", 0.01))
    assert fit.status.values.tolist() == [STATUS["ok"], STATUS["not_converged"], STATUS["ok"]]
    assert np.isnan(fit.estimate[1]).all()
    for curve in (0, 2):
        alone = fit_sample(law, from_data(data.isel(curve=[curve]), "n", 0.01)).isel(curve=0)
        np.testing.assert_allclose(fit.estimate[curve], alone.estimate, rtol=1e-12)
        np.testing.assert_allclose(fit.leave_one_out[curve], alone.leave_one_out, rtol=1e-12)


def test_one_singular_system_of_many_is_nan() -> None:
    found = _solved(np.stack([np.eye(2), np.zeros((2, 2)), 2 * np.eye(2)]), np.ones((3, 2)))
    np.testing.assert_array_equal(found, [[1, 1], [np.nan, np.nan], [0.5, 0.5]])
