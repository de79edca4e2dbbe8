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
