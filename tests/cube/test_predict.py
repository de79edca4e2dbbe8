"""Predictions on the axes of a study: names, dims, agreement with the functions behind them, and what is declined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from spikecube.cube import schema
from spikecube.cube.assemble import empty_cube
from spikecube.cube.predict import PredictionError, predict
from spikecube.cube.predict_remainders import few_sizes, remainders
from spikecube.cube.store import open_cube, write_cube
from spikecube.study.study import Study
from spikecube.theory import finite_losses, limit_losses, predicted_outliers, spiked_losses

AXES: dict[str, Any] = {"alpha": [0.0, 0.3, 0.36, 0.5], "n": [300, 1000], "seed": 2, "lam": [0.1, 1.0]}


def study(axes: dict[str, Any] | None = None, **model: Any) -> Study:
    return Study(model=model, axes=AXES | (axes or {}), measure={"rank": 4, "degree": 2, "ell": 3})


def test_names_and_dims_are_those_of_the_schema_and_subtract_from_a_cube() -> None:
    given = study()
    prediction, cube = predict(given), empty_cube(given)
    assert set(prediction.data_vars) == set(schema.PREDICTED)
    assert "seed" not in prediction.dims
    for name in prediction.data_vars:
        assert prediction[name].dims == schema.PREDICTED[str(name)].dims
        assert {"long_name", "symbol", "units"} <= prediction[name].attrs.keys()
        if name in cube:
            assert set((cube - prediction)[name].dims) == set(cube[name].dims)
    for name in ("dim", "width", "eta", "ell_alpha"):
        xr.testing.assert_identical(prediction[name], cube[name])


def test_every_number_is_that_of_the_function_behind_it() -> None:
    given = study(noise=0.3)
    prediction, lam = predict(given), given.axes.lam
    point = prediction.sel(alpha=0.36, n=1000)
    np.testing.assert_allclose([point.train_loss, point.test_loss], finite_losses(given.model, lam, 1000, 0.36))
    spiked = np.stack([spiked_losses(given.model, lam, 1000, 0.36, ell) for ell in (1, 2, 3)], axis=-1)
    np.testing.assert_allclose([point.train_loss_spiked, point.test_loss_spiked], spiked)
    np.testing.assert_allclose([point.train_loss_limit, point.test_loss_limit], limit_losses(given.model, lam, 3))
    outliers = predicted_outliers(given.model, 1000, 0.36, conditional=True)
    np.testing.assert_allclose(point.singular_value[: len(outliers)], outliers)
    assert np.isnan(point.singular_value[len(outliers) :]).all()
    assert prediction.best_linear_loss == pytest.approx(0.5 + 0.3**2)


def test_one_half_has_losses_at_finite_n_and_no_limit() -> None:
    prediction = predict(study(), only=["train_loss", "train_loss_limit"])
    assert np.isfinite(prediction.train_loss).all()
    assert np.isnan(prediction.train_loss_limit.sel(alpha=0.5)).all()
    assert np.isfinite(prediction.train_loss_limit.sel(alpha=slice(0, 0.4))).all()


def test_further_axes_are_dims_and_each_place_is_a_study_of_its_own() -> None:
    axes = {"width_ratio": [0.5, 2.0], "activation": ["relu", "tanh"]}
    joint = predict(study(axes))
    assert joint.train_loss.dims == ("alpha", "n", "lam", "width_ratio", "activation")
    assert joint.best_linear_loss.dims == ("width_ratio", "activation")
    alone = predict(study(width_ratio=2.0, activation="tanh"))
    place = joint.sel(width_ratio=2.0, activation="tanh")
    for name in alone.data_vars:
        np.testing.assert_array_equal(place[name], alone[name])


def test_full_initial_output_is_declined_with_a_sentence() -> None:
    with pytest.raises(PredictionError, match='initial_output: given "full"'):
        predict(study(initial_output="full"))
    mixed = predict(study({"initial_output": ["vanishing", "full"]}))
    assert "full" in mixed.attrs["declined"]
    full = mixed.sel(initial_output="full")
    for name in ("train_loss", "test_loss_spiked", "train_loss_limit", "singular_value"):
        assert np.isnan(full[name]).all()
    np.testing.assert_array_equal(full.train_loss_init, mixed.train_loss_init.sel(initial_output="vanishing"))
    assert "declined" not in predict(study()).attrs


def test_a_part_can_be_asked_for_and_its_names_are_checked() -> None:
    part = predict(study(), only=["test_loss"])
    assert list(part.data_vars) == ["test_loss"]
    xr.testing.assert_equal(part.test_loss, predict(study()).test_loss)
    with pytest.raises(PredictionError, match="'loss' is not predicted; allowed: train_loss"):
        predict(study(), only=["loss"])


def test_progress_counts_every_point() -> None:
    seen: list[tuple[int, int]] = []
    predict(study({"width_ratio": [1.0, 2.0]}), lambda done, total: seen.append((done, total)))
    assert seen == [(k, 16) for k in range(1, 17)]


def test_a_prediction_survives_its_file(tmp_path: Path) -> None:
    prediction = predict(study())
    write_cube(prediction, tmp_path / "theory.nc")
    xr.testing.assert_identical(open_cube(tmp_path / "theory.nc"), prediction)


def test_predictions_for_the_draws_of_a_cube_follow_them() -> None:
    """Each seed at its own |beta|^2, cosine and |a|^2: the typical draw's values where a draw is typical."""
    from spikecube.theory.conditional.build import typical_draw

    given = study({"alpha": [0.3], "n": [300], "seed": 3, "lam": [0.1]})
    typical = typical_draw(given.model, 300)
    cube = empty_cube(given)
    cube["beta_power"][:] = [[typical.power, 1.5 * typical.power, np.nan]]
    cube["beta_alignment"][:] = typical.alignment
    cube["readout_power"][:] = 1.0
    found, plain = predict(given, given=cube), predict(given)
    assert found.train_loss.dims == ("alpha", "n", "seed", "lam")
    assert found.singular_value.dims == ("alpha", "n", "seed", "rank")
    assert found.bulk_edge.dims == plain.bulk_edge.dims
    for name in ("train_loss", "test_loss", "singular_value"):
        np.testing.assert_allclose(found[name].isel(seed=0), plain[name], rtol=1e-9)
    first = found.singular_value.sel(rank=1).squeeze()
    assert float(first[1]) > 1.1 * float(first[0])
    assert np.isnan(found.train_loss.isel(seed=2)).all()
    assert set((cube - found).train_loss.dims) == set(cube.train_loss.dims)


def test_a_cube_without_the_draws_of_the_study_is_declined_in_a_sentence() -> None:
    given, cube = study({"n": [300]}), empty_cube(study({"n": [300]}))
    with pytest.raises(PredictionError, match=r"a cube without beta_power; each draw is predicted from it"):
        predict(given, given=cube.drop_vars("beta_power"))
    with pytest.raises(PredictionError, match=r"a cube with n = 300, without the 400 of the study"):
        predict(study({"n": [300, 400]}), given=cube)
    with pytest.raises(PredictionError, match=r"width_ratio = nothing, without the 1.0 of the study"):
        predict(study({"n": [300], "width_ratio": [1.0, 2.0]}), given=cube)


def test_the_theory_at_the_draw_is_the_sharper_test() -> None:
    """First outliers of 12 draws: what is left after the draw's own prediction spreads by a third less."""
    from spikecube.cube.cell import compute_cell

    given = study({"alpha": [0.36], "n": [300], "seed": 12, "lam": [0.1]})
    cube = empty_cube(given)
    for s in range(12):
        cell = compute_cell(given.model, given.measure, n=300, seed=s, alphas=[0.36], lams=[0.1], entropy=9)
        for name in ("beta_power", "beta_alignment", "readout_power"):
            cube[name][0, s] = cell[name]
        cube["singular_value"][0, 0, s] = cell["singular_value"][0]
    found = predict(given, only=["singular_value"], given=cube)
    measured, predicted = (part.singular_value.sel(rank=1).squeeze() for part in (cube, found))
    assert float((measured - predicted).std()) < 0.67 * float(measured.std())


def test_outliers_are_counted_and_remainders_given() -> None:
    prediction = predict(study({"alpha": [0.0, 0.36], "n": [1000]}))
    assert prediction.outlier_count.values.ravel().tolist() == [0, 2]
    assert np.all(prediction.detection_edge > prediction.bulk_edge)
    assert prediction.alignment.sel(alpha=0.36, degree=1).item() > 0.9
    assert np.isnan(prediction.alignment.sel(alpha=0.0, degree=1)).all()
    for kind in ("train", "test"):
        relative = prediction[f"{kind}_loss_remainder"] / prediction[f"{kind}_loss"]
        assert np.all((relative > 0.004) & (relative < 0.1))


def test_remainders_are_drawn_between_the_sizes_at_which_they_are_found() -> None:
    """Straight in log n over the loss itself; where they were sought and not found there are none."""
    given = study({"n": [100, 200, 300, 400, 500, 600, 800, 900, 1600]})
    sizes, shape = few_sizes(given), (len(AXES["alpha"]), 9, len(AXES["lam"]))
    assert len(sizes) == 5
    assert {100, 1600} < set(sizes)
    relative = {n: np.full((2, shape[0], shape[2]), np.log(n)) for n in sizes}
    losses = [np.full(shape, loss) for loss in (2.0, 3.0)]
    for name, loss in zip(("train_loss_remainder", "test_loss_remainder"), losses, strict=True):
        expected = loss * np.log(given.axes.n)[:, None]
        np.testing.assert_allclose(remainders(given, relative, losses)[name], expected, rtol=1e-12)
    del relative[500]
    missing = np.isnan(remainders(given, relative, losses)["train_loss_remainder"]).all(axis=(0, 2))
    assert np.array(given.axes.n)[missing].tolist() == [500]


def test_a_remainder_of_more_than_two_per_cent_is_said_in_words() -> None:
    calm = predict(study({"alpha": [0.0], "n": [1000]}))
    assert "remainder" not in calm.attrs
    strong = predict(study({"alpha": [0.0, 0.5], "n": [300]}, readout="constant", dim_ratio=0.1))
    assert "per cent (at alpha = 0.5, n = 300, lam = " in strong.attrs["remainder"]
    assert "remainder" not in predict(study({"alpha": [0.5]}), only=["train_loss"]).attrs
