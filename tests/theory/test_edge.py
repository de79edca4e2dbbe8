"""Edge and outliers of F itself, and the threshold beyond which outliers are counted."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest

from spikecube.model.parameters import Model
from spikecube.theory import bulk_edge, detection_edge, predicted_outliers
from spikecube.theory.bulk import bulk_of
from spikecube.theory.conditional.build import resolved_profile
from spikecube.theory.conditional.edge import conditional_edge, edge_search
from spikecube.theory.conditional.equations import right_sides
from spikecube.theory.conditional.profile import stacked
from spikecube.theory.conditional.solutions import side_by_side
from spikecube.theory.conditional.spikes import conditional_spectra, conditional_spectrum, spike_alignments
from spikecube.theory.conditional.strengths import strengths
from spikecube.theory.newton import ConvergenceError
from tests.theory.models import SOFTPLUS, TANH, sphere_model
from tests.theory.outside import solve_outside
from tests.theory.simulation import Network, z_scores
from tests.theory.test_bulk import features

MODELS = [
    sphere_model(),
    TANH,
    replace(SOFTPLUS, eta_scale=1.0),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: str(m.activation))
def test_no_step_gives_the_edge_and_trace_of_the_initial_bulk(model: Model) -> None:
    still = dataclasses.replace(model, eta_scale=1e-9)
    edge, bulk = conditional_edge(still, 800, 0.2, 1), bulk_of(still, 800)
    assert edge.x == pytest.approx(bulk.edge, rel=2e-6)
    assert edge.curvature == pytest.approx(bulk.edge_curvature, rel=2e-3)
    profile = resolved_profile(still, 800, 0.2, 0.1)
    beyond = bulk.outside(0.5 * bulk.edge_e)
    point = solve_outside(profile, -float(beyond.lam))
    assert point is not None
    assert profile.samples @ point.rho == pytest.approx(float(beyond.m_1), rel=1e-7)


def test_edge_and_outliers_of_section_nine_come_out_again() -> None:
    """n = 2000, alpha = 0.36, relu: edge 1.594, outliers 5.401 and 1.858; sections 4 and 7: 1.569; 5.394, 1.659."""
    model = sphere_model()
    found = conditional_spectrum(model, 2000, 0.36, 1)
    outliers = found.outliers
    assert math.sqrt(found.edge.x) == pytest.approx(1.594, abs=1e-3)
    np.testing.assert_allclose(outliers, [5.401, 1.858], atol=2e-3)
    np.testing.assert_allclose(predicted_outliers(model, 2000, 0.36, degrees=1), [5.394, 1.659], atol=1e-3)
    np.testing.assert_array_equal(predicted_outliers(model, 2000, 0.36, conditional=True, degrees=1), outliers)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: str(m.activation))
@pytest.mark.parametrize("alpha", [0.3, 0.5])
def test_solutions_exist_beyond_the_edge_and_not_below(model: Model, alpha: float) -> None:
    profile = resolved_profile(model, 600, alpha, 0.1)
    (edge,) = side_by_side([profile], [edge_search(profile, 1.02 * bulk_of(model, 600).edge)])
    assert solve_outside(profile, edge.x * (1 + 1e-5)) is not None
    assert solve_outside(profile, edge.x * (1 - 1e-5)) is None


@pytest.mark.parametrize("model", MODELS, ids=lambda m: str(m.activation))
def test_spectra_are_the_same_side_by_side_as_alone(model: Model) -> None:
    """Profiles with fewer nodes or a lower rank are filled up; negative control: with neurons there they are others."""
    alphas = [0.0, 0.25, 0.4, 0.5]
    together = conditional_spectra(model, 300, alphas, 2)
    for alpha, found in zip(alphas, together, strict=True):
        alone = conditional_spectrum(model, 300, alpha, 2)
        assert found.edge.x == pytest.approx(alone.edge.x, rel=1e-9)
        assert found.edge.curvature == pytest.approx(alone.edge.curvature, rel=1e-6)
        np.testing.assert_allclose(found.outliers, alone.outliers, rtol=1e-9)
    profiles = [found.profile for found in together]
    system = stacked(profiles)
    assert not system.neurons.all() or model.readout != "gaussian"
    lam, rho, e = np.full((4, 1, 1), 0.1), np.full((4, 1, system.samples.shape[1]), 2.0), np.ones((4, 1, 1))
    e = np.repeat(e, system.neurons.shape[1], axis=2)
    at, wrong = (
        right_sides(system, lam, rho, e),
        right_sides(dataclasses.replace(system, neurons=system.neurons + 0.01), lam, rho, e),
    )
    for i, profile in enumerate(profiles):
        own = right_sides(profile, lam[i], rho[i, :, : len(profile.kappa)], e[i, :, : len(profile.readout)])
        np.testing.assert_allclose(at.rho[i, 0, : len(profile.kappa)], own.rho[0], rtol=1e-12)
        np.testing.assert_allclose(at.e[i, 0, : len(profile.readout)], own.e[0], rtol=1e-12)
        assert abs(wrong.rho[i, 0, 0] / own.rho[0, 0] - 1) > 1e-4


def test_short_steps_have_the_outliers_of_their_spikes() -> None:
    model = sphere_model(eta_scale=3.0)
    gaps = []
    for n in (10**4, 10**6):
        outliers = conditional_spectrum(model, n, 0.05, 1).outliers
        expected = predicted_outliers(model, n, 0.05, degrees=1)
        assert len(outliers) == len(expected) == 1
        gaps.append(abs(outliers[0] / expected[0] - 1))
    assert gaps[1] < 0.05 * gaps[0] + 1e-6


@pytest.mark.parametrize("model", MODELS, ids=lambda m: str(m.activation))
def test_spectrum_of_the_updated_network_agrees_with_simulation(model: Model) -> None:
    """20 seeds at n = 300, alpha = 0.36: the first outlier within 4 standard errors, which are 1 to 2 per cent."""
    n, alpha = 300, 0.36
    values = []
    for seed in range(20):
        network = Network(model, n, seed, tested=False)
        values.append(network.singular_values(network.updated(alpha))[:4])
    outliers = conditional_spectrum(model, n, alpha, 2).outliers
    assert abs(z_scores(np.array(values)[:, 0], outliers[0])) < 4
    above = np.array(values) > detection_edge(model, n, [alpha])[0]
    assert above[:, 0].all()
    assert above[:, 2:].mean() < 0.1  # no more than the two spikes


@pytest.mark.parametrize("model", MODELS, ids=lambda m: str(m.activation))
def test_strengths_are_one_at_the_outliers_and_their_slopes_are_those_of_differences(model: Model) -> None:
    """Central differences over 1e-4 of x, to 1e-5; without the part of the prior they would be off."""
    found = conditional_spectrum(model, 400, 0.42, 2)
    assert found.outliers.size
    for k, x in enumerate(found.outliers**2):
        points = [solve_outside(found.profile, x * scale) for scale in (1 - 1e-4, 1.0, 1 + 1e-4)]
        below, here, above = (strengths(found.form, point, len(found.outliers)) for point in points if point)
        assert here.values[k] == pytest.approx(1, abs=1e-7)
        assert here.slopes[k] == pytest.approx((above.values[k] - below.values[k]) / (2e-4 * x), rel=1e-5)
        still = strengths(found.form, dataclasses.replace(here.point, e=0.0 * here.point.e), k + 1)
        assert still.slopes[k] != pytest.approx(here.slopes[k], rel=1e-3)


def test_the_edge_moves_with_the_step_as_in_simulation() -> None:
    """tanh, n = 400, 12 seeds: how far the largest value below the outlier falls from alpha = 0.3 to 0.36.

    Within 4 standard errors of the edge of F; the edge of F_0, which does not move, is refused by more than 5.
    (Largest values themselves lie below the edge by the Tracy-Widom mean; it falls out of the difference.)
    """
    model, n = (
        sphere_model(activation="tanh", target=(0.0, 1.0, 0.0, 0.3), noise=0.2, dim_ratio=0.6, width_ratio=1.4),
        400,
    )
    drops = []
    for seed in range(12):
        network = Network(model, n, seed, tested=False)
        before, after = (network.singular_values(network.updated(a))[1] for a in (0.3, 0.36))
        drops.append(after - before)
    expected = np.subtract(*(math.sqrt(conditional_edge(model, n, a, 2).x) for a in (0.36, 0.3)))
    assert abs(z_scores(np.array(drops), expected)) < 4
    assert abs(z_scores(np.array(drops), np.array(0.0))) > 5


@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_detection_edge_is_exceeded_at_the_stated_rate(rate: float) -> None:
    """Largest singular value of F_0 for 300 seeds at n = 100: the binomial count within 3.5 standard errors."""
    model, n, seeds = sphere_model(activation="relu", initial_output="full"), 100, 300
    edge = detection_edge(model, n, [0.0], false_positive_rate=rate)[0]
    largest = [np.linalg.norm(features(model, n, np.random.default_rng(k)), 2) for k in range(seeds)]
    count = int(np.sum(np.array(largest) / math.sqrt(n) > edge))
    assert abs(count - rate * seeds) < 3.5 * math.sqrt(seeds * rate * (1 - rate))


def test_detection_edge_falls_to_the_bulk_edge_as_n_grows() -> None:
    model, sizes = sphere_model(initial_output="full"), (100, 1000, 10_000)
    gaps = np.array(
        [detection_edge(model, n, [0.2], degrees=1)[0] ** 2 - bulk_edge(model, n, degrees=1) ** 2 for n in sizes]
    )
    np.testing.assert_allclose(gaps[1:] / gaps[:-1], 10 ** (-2 / 3), rtol=1e-6)
    stepped = sphere_model(eta_scale=1e-9)
    edges = detection_edge(stepped, 500, [0.0, 0.1, 0.2])
    np.testing.assert_allclose(edges, detection_edge(model, 500, [0.0])[0], rtol=1e-3)


def test_detection_edge_rises_with_a_soft_edge() -> None:
    edges = detection_edge(sphere_model(), 500, [0.2, 0.4, 0.48, 0.5])
    assert np.all(np.diff(edges) > 0)
    strict, lax = (detection_edge(sphere_model(), 500, [0.5], rate)[0] for rate in (0.001, 0.1))
    assert strict > lax


def test_what_is_not_found_is_an_error_that_names_the_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="initial_output = 'full' was given"):
        conditional_edge(sphere_model(initial_output="full"), 500, 0.2, 2)
    monkeypatch.setattr("spikecube.theory.conditional.edge._ROUNDS", 1)
    with pytest.raises(ConvergenceError, match=r"n = 500, alpha = 0\.2"):
        conditional_edge(sphere_model(), 500, 0.2, 2)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: str(m.activation))
def test_left_singular_vectors_point_where_they_are_predicted_to(model: Model) -> None:
    """Squared cosine of the first with kappa, 12 seeds at n = 300: within 4 standard errors and 0.02.

    Negative control: that of a step four times as short is refused.
    """
    n, alpha = 300, 0.36
    found = []
    for seed in range(12):
        network = Network(model, n, seed, tested=False)
        (train,) = network.updated(alpha)
        left = np.linalg.eigh(train @ train.T)[1][:, -1]
        projection = network.batches[0].inputs @ network.beta
        found.append((left @ projection) ** 2 / (projection @ projection))
    stderr = np.std(found, ddof=1) / len(found) ** 0.5
    expected = spike_alignments(model, conditional_spectrum(model, n, alpha, 2), 1)[0]
    assert abs(np.mean(found) - expected) < 4 * stderr + 0.02
    short = dataclasses.replace(model, eta_scale=model.eta_scale / 4)
    spectrum = conditional_spectrum(short, n, alpha, 2)
    other = spike_alignments(short, spectrum, 1)[0] if len(spectrum.outliers) else 0.0
    assert abs(np.mean(found) - other) > 4 * stderr + 0.02


def test_a_degree_without_a_spike_has_no_alignment() -> None:
    """tanh has c_2 = 0; where there is no j-th outlier, the alignment is missing."""
    model = sphere_model(activation="tanh", readout="gaussian")
    aligned = spike_alignments(model, conditional_spectrum(model, 600, 0.36, 2), 3)
    assert aligned[0] > 0.8
    assert aligned[1] == 0
    weak = sphere_model(eta_scale=1e-9)
    assert np.isnan(spike_alignments(weak, conditional_spectrum(weak, 600, 0.2, 2), 2)).all()
