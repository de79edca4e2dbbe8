"""p-values and intervals of nonlinear laws are one statement: both come from the profile."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from spikecube.scaling import fit_power_law
from spikecube.scaling.curve_fits import Table
from spikecube.scaling.fit_scale import fit_curves, on_scale
from spikecube.scaling.laws import FREE_CORRECTION, LIMIT, POWER, Law, corrected_power, known_limit
from spikecube.scaling.samples import Sample, from_data

SIZES = np.geomspace(250, 4000, 6).round()
CASES = {
    "corrected": (corrected_power(1.0), [1.1, 0.3, 60.0], 0.1),
    "corrected, precise": (corrected_power(0.5), [1.1, 0.3, -3.0], 0.01),
    "free correction": (FREE_CORRECTION, [1.1, 0.3, 60.0, 1.0], 0.02),
    "gap": (POWER, [np.log(20.0), -0.8], 0.1),
    "limit": (LIMIT, [0.5, 3.0, -0.5], 0.01),
    "limit, open": (LIMIT, [0.5, 3.0, -0.5], 0.1),
}


@functools.cache
def draw(name: str) -> tuple[Law, np.ndarray, Sample]:
    """Seeds with noise of a relative size, for the gap of an absolute one that makes it negative at times."""
    law, truth, noise = CASES[name]
    values = law.value(SIZES, np.array(truth))
    clean = np.exp(values) if law.log else values
    level = np.full_like(clean, noise) if name == "gap" else noise * clean
    rng, sets = np.random.default_rng(len(name)), 20 if name == "free correction" else 60
    draws = clean[:, None] + level[:, None] * rng.standard_normal((sets, len(SIZES), 10))
    data = xr.DataArray(draws, dims=("copy", "n", "seed"), coords={"n": SIZES})
    return law, np.array(truth), from_data(data)


def fit_with(name: str, null: np.ndarray | None) -> Table:
    law, _, sample = draw(name)
    return fit_curves(on_scale(law, sample, np.ones(sample.mean.shape, dtype=bool)), null=null)


@functools.cache
def fitted(name: str) -> Table:
    """The fit against a value of zero."""
    return fit_with(name, None)


@pytest.mark.parametrize("name", CASES)
def test_rejected_exactly_where_the_interval_excludes(name: str) -> None:
    """For each set, each parameter, and values spread over the interval and beyond, zero and the truth."""
    fit = fitted(name)
    rng = np.random.default_rng(1)
    spread = np.nan_to_num(fit.estimate + 2.0 * fit.stderr * rng.standard_normal(fit.estimate.shape))
    rejected = 0
    for null in (np.zeros(spread.shape), np.broadcast_to(draw(name)[1], spread.shape), spread):
        table = fit_with(name, null)
        solved = np.isfinite(table.estimate)
        assert (np.isfinite(table.pvalue) == solved).all()
        inside = (table.ci_low <= null) & (null <= table.ci_high)
        assert ((table.pvalue < 0.05) == ~inside)[solved].all()
        rejected += (~inside & solved).sum()
    assert rejected > 15


@pytest.mark.parametrize("name", ["corrected", "corrected, precise", "gap", "limit"])
def test_an_end_of_the_interval_has_a_pvalue_of_five_per_cent(name: str) -> None:
    fit = fitted(name)
    for end in (fit.ci_low, fit.ci_high):
        closed = np.isfinite(end)
        table = fit_with(name, np.where(closed, end, 0.0))
        np.testing.assert_allclose(table.pvalue[closed], 0.05, rtol=2e-3)
        assert closed.sum() > 60


def test_linearised_pvalues_would_contradict_the_intervals() -> None:
    """Negative control: the t tests of the same estimates decide otherwise in some sets."""
    _, truth, _ = draw("corrected")
    null = np.broadcast_to(truth / [1.0, 1.0, 4.0], (60, 3))
    table = fit_with("corrected", null)
    wald = 2 * stats.t.sf(np.abs(table.estimate - null) / table.stderr, table.t_dof)
    inside = (table.ci_low <= null) & (null <= table.ci_high)
    assert ((wald < 0.05) == inside)[np.isfinite(table.estimate)].sum() >= 3


def test_the_pvalue_of_a_fixed_exponent_is_that_of_the_smaller_law() -> None:
    """Known errors: what holding b at -0.5 costs is the cost of L + A n^-0.5 less that of L + A n^b."""
    rng = np.random.default_rng(3)
    clean = 0.5 + 3 * SIZES**-0.5
    data = xr.DataArray(clean + 0.002 * rng.standard_normal((8, 6)), dims=("copy", "n"), coords={"n": SIZES})
    sample = from_data(data, stderr=xr.DataArray(0.002))
    keep = np.ones((8, 6), dtype=bool)
    free = fit_curves(on_scale(LIMIT, sample, keep), null=np.full((8, 3), -0.5))
    rise = fit_curves(on_scale(known_limit(-0.5), sample, keep)).chi2 - free.chi2
    weight = np.einsum("bpk,bpk->bp", free.response, free.response)[:, 2] * 0.002**2
    expected = 2 * stats.norm.sf(np.sqrt(rise * weight) / free.stderr[:, 2])
    np.testing.assert_allclose(free.pvalue[:, 2], expected, rtol=1e-3, atol=1e-6)


def test_a_linear_law_has_the_t_test() -> None:
    rng = np.random.default_rng(4)
    data = xr.DataArray(3 * SIZES[:, None] ** 0.3 * (1 + 0.1 * rng.standard_normal((6, 8))), dims=("n", "seed"))
    fit = fit_power_law(data.assign_coords(n=SIZES), expected=0.3)
    t = np.abs(fit.estimate - fit.null_value) / fit.stderr
    np.testing.assert_allclose(fit.pvalue, 2 * stats.t.sf(t, fit.t_dof), rtol=1e-12)
