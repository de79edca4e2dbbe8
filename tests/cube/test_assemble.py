"""Cubes are filled by label: any order, any parts, any extension of the axes give the same cube."""

from __future__ import annotations

import random
import zlib
from typing import Any

import numpy as np
import pytest
import xarray as xr

from spikecube.cube import schema
from spikecube.cube.assemble import CellResult, assemble, empty_cube, measured_variables, variable_dims
from spikecube.cube.schema import STATUS
from spikecube.study.study import Cell, Study

AXES: dict[str, Any] = {"alpha": [0.0, 0.2, 0.3], "n": [60, 100], "seed": 2, "lam": [0.1, 1.0]}


def study(**changes: Any) -> Study:
    return Study(axes={**AXES, **changes}, measure={"rank": 4, "degree": 2, "ell": 2, "spectrum_bins": 3})


def stand_in(s: Study, cell: Cell, alphas: tuple[float, ...], lams: tuple[float, ...]) -> CellResult:
    """A cell whose every value says by its digits where it belongs."""
    along = {name: 7.0 * np.arange(size) for name, size in s.shape.items()} | {"alpha": alphas, "lam": lams}
    base = zlib.crc32(cell.describe().encode()) % 10_000
    values: dict[str, np.ndarray] = {}
    for variable in measured_variables(s):
        if variable.name != "outlier_count":
            grid = np.meshgrid(*(along[d] for d in variable.cell_dims), indexing="ij")
            values[variable.name] = sum(((i + 1) * axis for i, axis in enumerate(grid)), np.array(float(base)))
    values["status"] = np.full(len(alphas), STATUS["ok"], dtype=np.int8)
    return CellResult(cell, alphas, lams, values)


def results(s: Study) -> list[CellResult]:
    return [stand_in(s, cell, s.axes.alpha, s.axes.lam) for cell in s.cells()]


FURTHER = {"activation": ["tanh", "relu"], "width_ratio": [0.5, 1.0]}


@pytest.mark.parametrize("further", [{}, FURTHER], ids=["plain", "further axes"])
def test_order_and_parts_do_not_matter(further: dict[str, Any]) -> None:
    s = study(**further)
    whole = results(s)
    expected = assemble(s, whole)
    assert np.all(expected["status"] == STATUS["ok"])
    parts = [
        stand_in(s, r.cell, alphas, lams)
        for r in whole
        for alphas in (s.axes.alpha[:1], s.axes.alpha[1:])
        for lams in (s.axes.lam[1:], s.axes.lam[:1])
    ]
    random.Random(3).shuffle(parts)
    xr.testing.assert_identical(assemble(s, parts), expected)


def test_every_value_stands_at_its_label() -> None:
    s = study(**FURTHER)
    cube = assemble(s, results(s))
    for cell in list(s.cells())[::5]:
        expected = stand_in(s, cell, s.axes.alpha, s.axes.lam).values
        place = cube.sel(n=cell.n, seed=cell.seed, **dict(cell.further))
        for name, values in expected.items():
            np.testing.assert_array_equal(place[name].values, values, err_msg=name)


def test_an_extended_study_takes_the_old_results_and_leaves_the_rest_pending() -> None:
    small, large = study(), study(alpha=[0.0, 0.1, 0.2, 0.3], n=[60, 80, 100], seed=3, lam=[0.1, 0.5, 1.0])
    cube = assemble(large, results(small))
    assert set(np.unique(cube["status"])) == {STATUS["pending"]}  # lam = 0.5 is missing everywhere
    old = cube.sel(alpha=[0.0, 0.2, 0.3], n=[60, 100], seed=[0, 1], lam=[0.1, 1.0])
    xr.testing.assert_equal(old["train_loss"], assemble(small, results(small))["train_loss"])
    assert cube["train_loss"].sel(lam=0.5).isnull().all()
    rest = [stand_in(large, cell, large.axes.alpha, large.axes.lam) for cell in large.cells()]
    assert np.all(assemble(large, rest)["status"] == STATUS["ok"])


def test_results_of_other_places_are_left_out() -> None:
    s = study()
    foreign = stand_in(study(n=[60, 100, 120]), Cell(120, 0), s.axes.alpha, s.axes.lam)
    xr.testing.assert_identical(assemble(s, [foreign]), assemble(s, []))


def test_a_failed_cell_costs_no_other() -> None:
    s = study()
    failed = CellResult(Cell(60, 1), s.axes.alpha, s.axes.lam, failed=True)
    cube = assemble(s, [*(r for r in results(s) if r.cell != failed.cell), failed])
    assert np.all(cube["status"].sel(n=60, seed=1) == STATUS["failed"])
    assert int((cube["status"] == STATUS["ok"]).sum()) == cube["status"].size - len(s.axes.alpha)
    assert cube["outlier_count"].sel(n=60, seed=1).isnull().all()


def test_the_cube_has_every_variable_of_the_schema_with_its_attributes() -> None:
    s = study(width_ratio=[0.5, 1.0], eta_scale=[1.0, 2.0])
    cube = assemble(s, [])
    for variable in (*schema.VARIABLES.values(), schema.SPECTRUM, *schema.DERIVED.values()):
        assert cube[variable.name].dims == variable_dims(variable, s), variable.name
        assert cube[variable.name].dtype == variable.dtype, variable.name
        for key in ("long_name", "symbol", "units"):
            assert cube[variable.name].attrs[key], (variable.name, key)
    assert cube["status"].attrs["flag_meanings"].split() == list(STATUS)
    assert cube["width"].dims == ("n", "width_ratio")
    assert cube["width"].sel(n=100, width_ratio=0.5) == 50
    assert cube["eta"].dims == ("alpha", "n", "eta_scale")
    assert float(cube["eta"].sel(alpha=0.2, n=100, eta_scale=2.0)) == pytest.approx(2 * 100**0.2)
    assert cube["ell_alpha"].values.tolist() == [1, 1, 2]
    assert Study.from_toml(cube.attrs["study"]) == s
    assert cube.attrs["study_sha256"] == s.sha256


def test_outliers_are_those_beyond_the_detection_edge() -> None:
    s = study()
    edge = float(assemble(s, [])["detection_edge"].sel(alpha=0.3, n=100))
    given = stand_in(s, Cell(100, 0), s.axes.alpha, s.axes.lam)
    values = dict(given.values)
    values["singular_value"] = np.broadcast_to([3 * edge, 1.001 * edge, 0.999 * edge, 0.1], (3, 4))
    cube = assemble(s, [CellResult(given.cell, given.alphas, given.lams, values)])
    assert cube["outlier_count"].sel(n=100, seed=0, alpha=0.3) == 2


def test_an_empty_cube_is_all_pending() -> None:
    cube = empty_cube(study())
    assert np.all(cube["status"] == STATUS["pending"])
    assert all(cube[v].isnull().all() for v in cube.data_vars if v != "status")


@pytest.mark.parametrize("order", [1, -1])
def test_a_point_that_is_not_finite_at_one_penalty_is_so_in_all(order: int) -> None:
    """Fails when the part that comes last decides: an extended study would then differ from one run at once."""
    s = study()
    cell = next(s.cells())
    parts = [stand_in(s, cell, s.axes.alpha, (lam,)) for lam in s.axes.lam]
    np.asarray(parts[0].values["status"])[1] = STATUS["nonfinite"]
    status = assemble(s, parts[::order])["status"].sel(n=cell.n, seed=cell.seed)
    assert status.values.tolist() == [STATUS["ok"], STATUS["nonfinite"], STATUS["ok"]]
