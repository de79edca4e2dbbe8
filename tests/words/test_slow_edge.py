"""An extrapolated threshold that misses its limit is explained where theory does the same, and only there."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

from spikecube.model.parameters import Model
from spikecube.scaling.results import STATUS
from spikecube.words import missed_limits
from spikecube.words.findings import fitted

SIZES = [250.0, 500.0, 1000.0]


def fit_with(*intervals: tuple[float, float], status: str = "ok") -> xr.Dataset:
    """Thresholds of the spikes of degree 1, 2, ... with these intervals."""
    degrees = list(range(1, len(intervals) + 1))
    ends = np.array(intervals)
    limits = [(k - 1) / (2 * k) for k in degrees]
    columns = {"estimate": ends.mean(1), "ci_low": ends[:, 0], "ci_high": ends[:, 1], "expected": limits}
    data = {name: (("degree", "param"), np.asarray(values)[:, None]) for name, values in columns.items()}
    data["status"] = ("degree", np.full(len(degrees), STATUS[status], dtype=np.int8))
    return xr.Dataset(data, {"degree": degrees, "param": ["critical"], "n": SIZES})


@pytest.fixture
def crossings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theory counts the first spike from -0.05 + 1.4/log n on, the second from 0.21 + 0.9/log n."""
    ends = {1: (-0.05, 1.4), 2: (0.21, 0.9)}
    monkeypatch.setattr(
        missed_limits, "first_alpha", lambda _model, n, rank, _step: ends[rank][0] + ends[rank][1] / math.log(n)
    )


@pytest.mark.usefixtures("crossings")
def test_what_the_law_misses_is_told_from_what_it_does_not() -> None:
    def told(*intervals: tuple[float, float]) -> str:
        return missed_limits.missed_limits(fit_with(*intervals), Model())

    assert told((-0.1, 0.1), (0.2, 0.3)) == ""
    explained = told((-0.1, -0.02), (0.2, 0.3))
    assert "Degree 1: the interval leaves out 0 because the law has no room" in explained
    assert "(alpha = 0.204, 0.175, 0.153) it ends at -0.050, which the interval holds" in explained
    assert "Degree 2" not in explained
    other = told((-0.3, -0.2), (0.15, 0.24))
    assert "Degree 1: the interval leaves out 0, and also -0.050" in other
    assert "they do not explain it" in other
    assert "Degree 2: the interval leaves out 0.25 because the law has no room" in other


@pytest.mark.usefixtures("crossings")
def test_an_interval_that_is_none_asks_for_no_reason() -> None:
    assert missed_limits.missed_limits(fit_with((-0.1, -0.02), status="not_converged"), Model()) == ""
    assert missed_limits.missed_limits(fit_with((-math.inf, -0.02)), Model()) == ""


def test_where_theory_is_silent_there_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def declined(*_: object) -> float:
        raise ValueError("theory declines")

    for answer in (declined, lambda *_: math.nan):
        monkeypatch.setattr(missed_limits, "first_alpha", answer)
        assert missed_limits.missed_limits(fit_with((-0.1, -0.02)), Model()) == ""


def test_the_sentence_of_the_report_carries_the_reason() -> None:
    fit = fit_with((-0.1, -0.02))
    assert fitted("thresholds", fit.assign_attrs(reason="Degree 1: so.")).endswith(" Degree 1: so.")
    assert not fitted("thresholds", fit.assign_attrs(reason="")).endswith(" ")
