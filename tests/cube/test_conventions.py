"""Files against the conventions that they claim, by compliance-checker 6, which knows CF-1.11 and ACDD-1.3."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import spikecube as sc
from spikecube.cube.store import write_cube, write_groups

if importlib.util.find_spec("compliance_checker") is None and not os.environ.get("SPIKECUBE_REQUIRE_CHECKER"):
    pytest.skip("compliance-checker is not installed", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from compliance_checker.runner import CheckSuite, ComplianceChecker


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, tiny_cube: xr.Dataset, tiny_prediction: xr.Dataset
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    fit = sc.fit_thresholds(tiny_cube)
    paths = {name: folder / f"{name}.nc" for name in ("cube", "prediction", "fits", "fit", "cut")}
    write_cube(tiny_cube, paths["cube"])
    write_cube(tiny_prediction, paths["prediction"])
    write_groups({"thresholds": fit}, paths["fits"])
    fit.to_netcdf(paths["fit"])
    sc.open_cube(paths["cube"]).isel(n=[0, 2], lam=[1]).to_netcdf(paths["cut"])
    return paths


def report(path: Path, checker: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the checker says, without the network."""

    def closed(*_: object, **__: object) -> None:
        raise AssertionError("the checker asked for the network")

    monkeypatch.setattr(socket.socket, "connect", closed)
    out = path.with_suffix(f".{checker.partition(':')[0]}.json")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        CheckSuite.load_all_available_checkers()
        ComplianceChecker.run_checker(str(path), [checker], 0, "strict", output_filename=str(out), output_format="json")
    found: dict[str, Any] = json.loads(out.read_text())[checker]
    return found


def errors(found: dict[str, Any]) -> list[str]:
    return [message for item in found["high_priorities"] for message in item["msgs"]]


@pytest.mark.parametrize("name", ["cube", "prediction", "fits", "fit", "cut"])
def test_no_error_against_cf(files: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert errors(report(files[name], "cf:1.11", monkeypatch)) == []


@pytest.mark.parametrize("name", ["cube", "prediction", "fits"])
def test_acdd_misses_standard_names_alone(files: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of standard names has none for losses and singular values, and CF forbids to make one up."""
    assert set(errors(report(files[name], "acdd:1.3", monkeypatch))) <= {"standard_name"}


def test_the_checker_would_see_a_fill_value(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cube = sc.open_cube(files["cube"])
    cube.to_netcdf(tmp_path / "bad.nc", encoding={"alpha": {"_FillValue": np.nan}})
    found = errors(report(tmp_path / "bad.nc", "cf:1.11", monkeypatch))
    assert found == ["The coordinate variable 'alpha' must not have the _FillValue attribute."]


@pytest.mark.parametrize("name", ["cube", "prediction", "fits"])
def test_files_say_when_and_by_what_they_were_made(files: dict[str, Path], name: str) -> None:
    with xr.open_dataset(files[name]) as data:
        assert f"by spikecube {sc.__version__}" in data.attrs["history"]
        assert data.attrs["Conventions"] == "CF-1.11, ACDD-1.3"
        assert not any("_FillValue" in data[c].encoding for c in data.coords)
