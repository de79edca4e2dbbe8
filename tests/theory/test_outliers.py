"""Predicted outliers: reference values, the transition, the outlier of F_0, and simulation."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from scipy import linalg

from spikecube.model.parameters import Model
from spikecube.theory import bulk_edge, detachment_alphas, initial_outliers, predicted_outliers, threshold
from tests.theory.models import REFERENCE, reference_model, sphere_model
from tests.theory.simulation import Network, z_scores
from tests.theory.test_bulk import features


@pytest.mark.parametrize("case", REFERENCE, ids=lambda c: c["config"]["activation"])
def test_outliers_agree_with_the_reference(case: dict[str, Any]) -> None:
    for row in case["outliers"]:
        found = predicted_outliers(reference_model(case), row["n"], row["alpha"], degrees=1)
        assert len(found) == len(row["singular_values"])
        np.testing.assert_allclose(found, row["singular_values"], rtol=1e-4)


@pytest.mark.parametrize("readout", ["gaussian", "rademacher", "constant"])
def test_an_outlier_detaches_where_detachment_says(readout: str) -> None:
    model, n = sphere_model(activation="softplus", readout=readout), 2000
    alphas = detachment_alphas(model, n, ell=2, degrees=1)
    assert np.isfinite(alphas[0])
    assert np.isnan(alphas[1]) == (readout == "constant")  # there both spikes are one direction
    for k, alpha in enumerate(alphas[np.isfinite(alphas)], start=1):
        below, above = (predicted_outliers(model, n, alpha + s, ell=k, degrees=1) for s in (-2e-4, 2e-4))
        assert (len(below), len(above)) == (k - 1, k)
        assert above[-1] == pytest.approx(bulk_edge(model, n, degrees=1), rel=1e-4)


def test_detachment_comes_down_to_its_threshold_as_n_grows() -> None:
    alphas = np.array([detachment_alphas(sphere_model(activation="softplus"), 10**p, ell=2) for p in (3, 6, 12)])
    thresholds = np.array([threshold(k) for k in (1, 2)])
    gaps = alphas - thresholds
    np.testing.assert_allclose(
        gaps * np.log([[1e3], [1e6], [1e12]]), np.tile(gaps[0] * math.log(1e3), (3, 1)), rtol=1e-4
    )


def test_no_step_gives_no_outlier_and_a_large_one_a_rank_one_spike() -> None:
    weak = sphere_model(eta_scale=1e-3)
    assert predicted_outliers(weak, 1000, 0.3).size == 0
    assert np.isnan(detachment_alphas(sphere_model(eta_scale=1e-9), 1000, ell=2)).all()
    assert detachment_alphas(sphere_model(eta_scale=50.0), 1000, ell=1)[0] == 0
    strong = dataclasses.replace(sphere_model(activation="erf"), eta_scale=1e3)
    single = predicted_outliers(strong, 1000, 0.3, ell=1)
    doubled = predicted_outliers(dataclasses.replace(strong, eta_scale=2e3), 1000, 0.3, ell=1)
    assert doubled[0] / single[0] == pytest.approx(2, rel=1e-5)


def test_a_full_initial_output_is_declined() -> None:
    for predict in (lambda m: predicted_outliers(m, 500, 0.2), lambda m: detachment_alphas(m, 500)):
        with pytest.raises(ValueError, match="initial_output = 'full' was given"):
            predict(sphere_model(initial_output="full"))


def test_the_outlier_of_the_initial_features_is_seen_in_simulation() -> None:
    """12 seeds at n = 300; the mean within 4 standard errors, which are 1 per cent; none predicted, none seen."""
    model, n = sphere_model(activation=[0.0, 0.3, 1.0], dim_ratio=0.5, width_ratio=8.0), 300
    largest = [linalg.svdvals(features(model, n, np.random.default_rng(k)))[0] / math.sqrt(n) for k in range(12)]
    (expected,) = initial_outliers(model, n)
    assert expected > 1.05 * bulk_edge(model, n)
    assert abs(z_scores(np.array(largest), np.array(expected))) < 4
    assert initial_outliers(sphere_model(), n).size == 0
    assert initial_outliers(sphere_model(activation="tanh", width_ratio=8.0), n).size == 0  # c_2 = 0


def test_it_comes_out_by_itself_and_is_not_one_of_the_spikes() -> None:
    """Of F_0, of F_ell and of F at once, where the step is nothing; the proportional theory has none."""
    model = sphere_model(activation=[0.0, 0.3, 1.0], dim_ratio=0.5, width_ratio=8.0, eta_scale=1e-9)
    expected = initial_outliers(model, 300)
    for conditional in (False, True):
        found = predicted_outliers(model, 300, 0.2, conditional=conditional)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert predicted_outliers(model, 300, 0.2, conditional=conditional, degrees=1).size == 0


@pytest.mark.parametrize(
    ("model", "alpha"),
    [
        (sphere_model(), 0.3),
        (
            sphere_model(
                activation="tanh",
                target=(0.0, 1.0),
                noise=0.2,
                dim_ratio=1.4,
                width_ratio=0.7,
                readout="rademacher",
                step_ratio=2.0,
            ),
            0.25,
        ),
        (
            sphere_model(
                activation="softplus",
                target=(0.2, 1.0, 0.3),
                noise=0.3,
                dim_ratio=0.6,
                width_ratio=1.8,
                readout="constant",
                step_ratio=0.6,
            ),
            0.2,
        ),
    ],
    ids=lambda v: str(getattr(v, "activation", v)),
)
def test_first_outlier_agrees_with_simulation(model: Model, alpha: float) -> None:
    """First singular value of F_2/sqrt n, 20 seeds at n = 400, within 4 standard errors (1 to 3 per cent)."""
    n = 400
    first = []
    for seed in range(20):
        network = Network(model, n, seed, tested=False)
        first.append(network.singular_values(network.spiked(alpha, 2))[0])
    expected = predicted_outliers(model, n, alpha, ell=2)[0]
    assert abs(z_scores(np.array(first), expected)) < 4
    assert abs(z_scores(np.array(first), predicted_outliers(model, n, alpha + 0.1, ell=2)[0])) > 6  # negative control
