"""Powers of n as tables quote them, growth in t/L^z, and intervals that agree with each other."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from spikecube.scaling import collapse
from spikecube.scaling.collapse_ansatz import ANSATZE, Ansatz, derived_table, parameter_table
from spikecube.scaling.collapse_inputs import ansatz_of

POWER = ANSATZE["power"]


def table(theta: list[float], covariance: np.ndarray, expected: list[float] | None = None) -> dict[str, np.ndarray]:
    truth = np.full(3, np.nan) if expected is None else np.array(expected)
    return parameter_table(POWER, np.array(theta), covariance, np.full(3, np.inf), truth)


@pytest.mark.parametrize("nu", [1.3, -0.7])
def test_intervals_of_nu_and_of_its_inverse_are_one(nu: float) -> None:
    """Both signs; p-values are 0.05 at the ends of nu and of zeta."""
    covariance = np.array([[1e-4, 0, 0], [0, 4e-2, 1e-3], [0, 1e-3, 9e-4]])
    found, derived = (
        table([0.5, nu, -0.2], covariance),
        derived_table(POWER, np.array([0.5, nu, -0.2]), covariance, np.full(3, np.inf), 0),
    )
    np.testing.assert_allclose(
        [1 / found["ci_high"][1], 1 / found["ci_low"][1]], [derived["derived_low"][0], derived["derived_high"][0]]
    )
    assert found["ci_low"][1] < nu < found["ci_high"][1]
    for end in ("ci_low", "ci_high"):
        at = table([0.5, nu, -0.2], covariance, found[end].tolist())
        np.testing.assert_allclose(at["pvalue"], 0.05, rtol=1e-6)


def test_errors_of_the_powers_are_those_of_draws() -> None:
    """200,000 normal draws of (nu, zeta): standard errors to one per cent."""
    covariance = np.array([[0.0, 0, 0], [0, 1e-4, 4e-5], [0, 4e-5, 1e-4]])
    theta = np.array([0.0, 1.3, -0.2])
    found = derived_table(POWER, theta, covariance, np.full(3, np.inf), 0)
    draws = np.random.default_rng(1).multivariate_normal(theta[1:], covariance[1:, 1:], 200_000)
    spread = np.std([1 / draws[:, 0], draws[:, 1] / draws[:, 0]], axis=1)
    np.testing.assert_allclose(found["derived_stderr"], spread, rtol=0.01)
    np.testing.assert_allclose(found["derived_estimate"], [1 / 1.3, -0.2 / 1.3])


def test_an_inverse_that_may_vanish_opens_nu_and_zeta() -> None:
    found = table([0.5, 1.0, -0.2], np.diag([1e-4, 1.0, 1e-4]))
    assert found["ci_low"][1] == pytest.approx(1 / (1 + 1.959964))
    assert found["ci_high"][1] == np.inf
    assert np.isinf([found["ci_low"][2], found["ci_high"][2]]).all()
    unknown = table([0.5, 1.0, -0.2], np.diag([1e-4, np.inf, 1e-4]))
    assert unknown["ci_high"][1] == np.inf
    assert np.isfinite(unknown["ci_low"][0])


def test_what_is_held_has_no_error() -> None:
    found = table([0.5, 1.0, -0.2], np.diag([1e-4, 0.0, 1e-4]))
    assert np.isnan([found["stderr"][1], found["ci_low"][1], found["pvalue"][1]]).all()
    np.testing.assert_allclose(found["ci_high"][2], -0.2 + 1.959964 * 0.01)
    derived = derived_table(POWER, np.array([0.5, 1.0, -0.2]), np.diag([1e-4, 0.0, 1e-4]), np.full(3, np.inf), 0)
    assert np.isnan(derived["derived_stderr"][0])
    assert derived["derived_stderr"][1] == pytest.approx(0.01)


@pytest.mark.parametrize(
    "form", [POWER, ANSATZE["log"], ansatz_of("power", "free", curved=True), POWER.of(("m", "chi"))]
)
def test_slopes_are_those_of_differences(form: Ansatz) -> None:
    """Of u, the prefactor and the decay in every parameter, of every form."""
    values = {"critical": 0.1, "nu": -0.8, "field": 0.3, "correction_exponent": 0.9}
    theta = np.array([values.get(name, 0.4) for name in form.params])
    size, control = np.array([8.0, 16.0, 32.0]), np.array([0.3, -0.2, 0.5])
    part = np.array([0, 0, 1]) if form.observables else np.zeros(3, dtype=int)
    slopes = form.slopes(theta, size, control, part)
    for j in range(len(theta)):
        step = 1e-6 * np.eye(len(theta))[j]
        up, down = (form.places(theta + s, size, control, part) for s in (step, -step))
        for name in ("u", "prefactor") + (("decay",) if form.corrected else ()):
            expected = (getattr(up, name) - getattr(down, name)) / 2e-6
            np.testing.assert_allclose(getattr(slopes, name)[:, j], expected, rtol=1e-6, atol=1e-8)


def test_growth_in_t_over_n_to_the_z() -> None:
    """A width n^0.5 F(t/n^1.5) of growing surfaces (Family and Vicsek): 1/nu = -1.5, zeta/nu = 0.5."""
    n, t = np.array([16.0, 32.0, 64.0, 128.0]), np.geomspace(1, 3e4, 20)
    width = n[:, None] ** 0.5 * np.sqrt(1 - np.exp(-((t / n[:, None] ** 1.5) ** (2 / 3))))
    noise = 0.01 * np.random.default_rng(3).standard_normal(width.shape)
    data = xr.DataArray(width * (1 + noise), dims=("n", "t"), coords={"n": n, "t": t})
    fit = collapse(data, control="t", stderr=0.01 * data, fixed={"critical": 0.0})
    powers = fit.derived_estimate.sel(derived=["1/nu", "zeta/nu"])
    assert (np.abs((powers - [-1.5, 0.5]) / fit.derived_stderr) < 3.5).all()
    assert (fit.derived_stderr < 0.02).all()
    assert fit.estimate.sel(param="nu") < 0
    assert fit.status == 0
    days = collapse(
        data.assign_coords(t=t / 86400),
        control="t",
        stderr=0.01 * data.assign_coords(t=t / 86400),
        fixed={"critical": 0.0},
    )
    np.testing.assert_allclose(days.derived_estimate, powers, atol=1e-6 * float(fit.derived_stderr.min()))
