"""A cell equals the obvious computation, and no value depends on what else is asked for."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from scripts.direct import direct_point
from spikecube.cube import cell as cell_module
from spikecube.cube.cell import compute_cell, make_shared
from spikecube.cube.schema import VARIABLES
from spikecube.model.network import features
from tests.model.cases import make_measure, make_model

ALPHAS, LAMS = [0.0, 0.29, 0.45], [0.01, 0.3, 10.0]
AT = {"n": 60, "seed": 3, "entropy": 11}

MODELS = {
    "plain": {},
    "wide": {"width_ratio": 1.7, "activation": "softplus", "eta_scale": 2.0},
    "narrow": {"width_ratio": 0.5, "dim_ratio": 1.3, "readout": "rademacher"},
    "odd": {"activation": "tanh", "initial_output": "full", "step_ratio": 1.5, "target_direction": "sphere"},
    "gap": {"activation": [0.0, 1.0, 0.0, 0.3, 0.1], "readout": "constant"},
}


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    with threadpool_limits(1):
        yield


@pytest.fixture
def krylov_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the ways of large n at any n."""
    monkeypatch.setattr("spikecube.linalg.ridge.krylov_is_cheaper", lambda *_: True)
    monkeypatch.setattr("spikecube.linalg.factor.eigen_is_cheaper", lambda *_: False)


def assert_equals_direct(model: Any, measure: Any, cell: Any, at: dict[str, int], tolerance: float) -> None:
    assert set(cell) == set(VARIABLES) - {"outlier_count"}
    assert np.all(cell["status"] == 1)
    for i, alpha in enumerate(ALPHAS):
        for j, lam in enumerate(LAMS):
            direct = direct_point(model, measure, alpha=alpha, lam=lam, **at)
            where = {"alpha": i, "lam": j}
            for key, expected in direct.items():
                index = tuple(where.get(dim, slice(None)) for dim in VARIABLES[key].cell_dims)
                np.testing.assert_allclose(cell[key][index], expected, rtol=tolerance, atol=tolerance, err_msg=key)


@pytest.mark.parametrize("name", MODELS)
def test_cell_equals_the_obvious_computation(name: str) -> None:
    model, measure = make_model(**MODELS[name]), make_measure(degree=4, ell=4, test_samples=47)
    cell = compute_cell(model, measure, alphas=ALPHAS, lams=LAMS, **AT)
    assert_equals_direct(model, measure, cell, AT, 1e-10)


@pytest.mark.usefixtures("krylov_always")
@pytest.mark.parametrize("name", MODELS)
def test_cell_the_way_of_large_n_equals_the_obvious_computation(name: str) -> None:
    model, measure = make_model(**MODELS[name]), make_measure(degree=4, ell=3)
    at = AT | {"n": 200}
    cell = compute_cell(model, measure, alphas=ALPHAS, lams=LAMS, **at)
    assert_equals_direct(model, measure, cell, at, 1e-9)


@pytest.mark.parametrize("size", ["small", "large"])
def test_values_do_not_depend_on_the_other_alphas_and_penalties(size: str, request: pytest.FixtureRequest) -> None:
    if size == "large":
        request.getfixturevalue("krylov_always")
    model, measure = make_model(), make_measure()
    lams = np.logspace(-2, 1, 10)
    whole = compute_cell(model, measure, alphas=ALPHAS, lams=lams, **AT)
    for i, alpha in enumerate(ALPHAS):
        for j in (0, 4, 9):
            alone = compute_cell(model, measure, alphas=[alpha], lams=[lams[j]], **AT)
            for key, value in alone.items():
                dims = VARIABLES[key].cell_dims
                index = tuple({"alpha": slice(i, i + 1), "lam": slice(j, j + 1)}.get(dim, slice(None)) for dim in dims)
                np.testing.assert_array_equal(whole[key][index], value, err_msg=key)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("size", [60, 260])
def test_the_variables_of_a_point_do_not_depend_on_their_order(precision: str, size: int) -> None:
    """F_ell before F, F before F_ell, and each twice: nothing overwrites what the others read."""
    model, measure = make_model(), make_measure(precision=precision)
    lams, edges = np.array(LAMS), np.linspace(0.0, 5.0, 9)
    shared = make_shared(model, measure, n=size, seed=3, entropy=11)
    room = np.empty_like(shared.ridge.initial)
    _, terms = cell_module._initial(shared, measure, lams, room)
    f = features(shared.activation, shared.ridge.initial, shared.ridge.step, 2.0, room)
    kept, parts = (
        f.copy(),
        {
            "stepped": lambda: cell_module._stepped(shared, measure, f, 2.0, lams, edges),
            "equivalent": lambda: cell_module._equivalent(shared, measure, f, terms, 2.0),
        },
    )
    alone = {name: part() for name, part in parts.items()}
    for order in itertools.product(parts, repeat=3):
        for name in order:
            for key, value in parts[name]().items():
                np.testing.assert_array_equal(value, alone[name][key], err_msg=f"{key} in {order}")
    np.testing.assert_array_equal(f, kept)


def test_shapes_follow_the_schema() -> None:
    sizes = {"alpha": 3, "lam": 3, "rank": 5, "degree": 2, "ell": 3}
    cell = compute_cell(make_model(), make_measure(rank=5, degree=2, ell=3), alphas=ALPHAS, lams=LAMS, **AT)
    for key, value in cell.items():
        assert value.shape == tuple(sizes[dim] for dim in VARIABLES[key].cell_dims), key
        assert value.dtype == VARIABLES[key].dtype, key


def test_a_cell_without_signal_is_nonfinite_not_an_error() -> None:
    silent = make_model(target=[0.0], noise=0.0)
    cell = compute_cell(silent, make_measure(), alphas=[0.1], lams=[1.0], **AT)
    assert cell["status"].tolist() == [3]
    assert cell["train_loss"] == 0.0


@pytest.mark.parametrize("activation", ["relu", "tanh", [0.0, 1.0, 0.5]])
def test_exact_test_risk_equals_a_large_test_batch(activation: Any) -> None:
    """Test losses of F, F_0 and F_ell: 250,000 points have a relative standard error of about 0.4 per cent."""
    model = make_model(activation=activation, width_ratio=0.5, readout="rademacher")
    grid = {"alphas": [0.3], "lams": [0.1, 1.0], **AT}
    exact = compute_cell(model, make_measure(test_risk="exact"), **grid)
    sampled = compute_cell(model, make_measure(test_samples=250_000), **grid)
    for key in ("test_loss", "test_loss_init", "test_loss_spiked", "test_label_power"):
        np.testing.assert_allclose(exact[key], sampled[key], rtol=0.016, err_msg=key)
    for key in ("train_loss", "singular_value", "alignment", "train_loss_spiked"):
        np.testing.assert_array_equal(exact[key], sampled[key], err_msg=key)


def test_exact_values_do_not_depend_on_the_other_alphas_and_penalties() -> None:
    model, measure = make_model(activation="tanh"), make_measure(test_risk="exact")
    whole = compute_cell(model, measure, alphas=ALPHAS, lams=LAMS, **AT)
    alone = compute_cell(model, measure, alphas=ALPHAS[2:], lams=LAMS[1:2], **AT)
    for key in ("test_loss", "test_loss_spiked"):
        np.testing.assert_array_equal(whole[key][2:, 1:2], alone[key], err_msg=key)


def test_the_spectrum_counts_all_singular_values_between_the_edges() -> None:
    """Against the leading ones: all 42 of them with a wide last bin, one less where the edges end below the spike."""
    model, measure = make_model(width_ratio=0.7), make_measure(spectrum_bins=3)
    cell = compute_cell(model, measure, alphas=[0.0, 0.4], lams=[1.0], edges=[0.0, 0.5, 1.0, 100.0], **AT)
    assert cell["spectrum"].shape == (2, 3)
    assert np.all(cell["spectrum"].sum(axis=1) == 42)
    first, second = cell["singular_value"][1, :2]
    cut = compute_cell(model, measure, alphas=[0.4], lams=[1.0], edges=[0.0, (first + second) / 2], **AT)
    assert cut["spectrum"].tolist() == [[41.0]]


@pytest.mark.usefixtures("krylov_always")
@pytest.mark.parametrize("bins", [0, 12])
def test_a_large_matrix_is_decomposed_only_for_its_spectrum(bins: int, monkeypatch: pytest.MonkeyPatch) -> None:
    large: list[str] = []

    def watched(name: str) -> Any:
        decompose = getattr(np.linalg, name)

        def call(matrix: Any, *args: Any, **options: Any) -> Any:
            large.extend([name] if min(matrix.shape) >= 200 else [])
            return decompose(matrix, *args, **options)

        return call

    for name in ("svd", "eigh", "eigvalsh"):
        monkeypatch.setattr(np.linalg, name, watched(name))
    edges = np.linspace(0.0, 5.0, bins + 1) if bins else None
    measure = make_measure(spectrum_bins=bins)
    compute_cell(make_model(), measure, alphas=ALPHAS, lams=LAMS, edges=edges, **AT | {"n": 300})
    assert large == (["eigvalsh"] * len(ALPHAS) if bins else [])


@pytest.mark.usefixtures("krylov_always")
@pytest.mark.parametrize("name", ["plain", "wide", "narrow"])
def test_single_precision_is_close_to_double(name: str) -> None:
    """To 6e-6, for which the solves with F_0 need their correction; and not equal: single precision was really used."""
    model, at = make_model(**MODELS[name]), AT | {"n": 300}
    double, single = (
        compute_cell(model, make_measure(precision=p), alphas=ALPHAS, lams=LAMS, **at) for p in ("float64", "float32")
    )
    assert np.all(single["status"] == 1)
    for key, value in double.items():
        np.testing.assert_allclose(single[key], value, rtol=3e-6, atol=3e-6, err_msg=key)
        assert single[key].dtype == value.dtype
    assert np.any(single["test_loss"] != double["test_loss"])
