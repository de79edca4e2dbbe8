"""The names that people's scripts rely on are there and import nothing they do not need."""

from __future__ import annotations

import importlib
import inspect
import tomllib
from pathlib import Path

import pytest

import spikecube as sc

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("name", [n for n in sc.__all__ if n != "__version__"])
def test_every_top_level_name_is_there(name: str) -> None:
    found = getattr(sc, name)
    assert callable(found) or inspect.ismodule(found)
    assert name in dir(sc)


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("spikecube", "run", ["study", "name", "client"]),
        ("spikecube", "fit_power_law", ["data", "dim", "stderr", "correction", "n_min", "rng"]),
        ("spikecube", "collapse", ["data", "size", "control", "ansatz", "stderr", "fixed", "window", "rng"]),
        ("spikecube", "verify", ["cube", "sample"]),
        (
            "spikecube.model.network",
            "gradient",
            ["inputs", "labels", "weights", "readout", "activation", "output_scale"],
        ),
        ("spikecube.model.ridge", "ridge_path", ["features", "labels", "lam"]),
        ("spikecube.theory", "limit_losses", ["model", "lam", "ell"]),
        ("spikecube.theory", "spiked_losses", ["model", "lam", "n", "alpha", "ell"]),
        ("spikecube.theory", "finite_losses", ["model", "lam", "n", "alpha"]),
        ("spikecube.theory", "predicted_outliers", ["model", "n", "alpha", "conditional"]),
        ("spikecube.theory", "bulk_edge", ["model"]),
        ("spikecube.theory", "bulk_density", ["model"]),
    ],
)
def test_signatures_keep_their_arguments(module: str, name: str, arguments: list[str]) -> None:
    found = list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    assert [a for a in found if a in arguments] == arguments


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fit_everything'"):
        _ = sc.fit_everything


def test_the_version_is_the_packages() -> None:
    assert "version" in PROJECT["dynamic"]
    assert sc.__version__.count(".") == 2
