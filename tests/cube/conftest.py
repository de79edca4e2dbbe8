"""One tiny cube of real cells, with its prediction, for the tests of what people do to cubes."""

from __future__ import annotations

import pytest
import xarray as xr

from spikecube.cube.assemble import CellResult, assemble, spectrum_edges
from spikecube.cube.cell import compute_cell
from spikecube.cube.predict import predict
from spikecube.runs import provenance
from spikecube.study.study import Study
from tests.runs.conftest import in_threads, threads  # noqa: F401  fixtures of these tests too


@pytest.fixture(scope="session")
def tiny_study() -> Study:
    return Study(
        title="Tiny",
        axes={"alpha": [0.0, 0.3, 0.4], "n": [20, 24, 30], "seed": 3, "lam": [0.1, 1.0]},
        measure={"rank": 3, "degree": 2, "ell": 2, "spectrum_bins": 4},
    )


@pytest.fixture(scope="session")
def tiny_cube(tiny_study: Study) -> xr.Dataset:
    study, entropy = tiny_study, tiny_study.random.entropy
    keywords = {"alphas": study.axes.alpha, "lams": study.axes.lam, "edges": spectrum_edges(study)}
    results = [
        CellResult(
            cell,
            study.axes.alpha,
            study.axes.lam,
            compute_cell(study.model, study.measure, n=cell.n, seed=cell.seed, entropy=entropy, **keywords),
        )
        for cell in study.cells()
    ]
    return assemble(study, results).assign_attrs(provenance.provenance_attributes(["this machine"], [1], entropy))


@pytest.fixture(scope="session")
def tiny_prediction(tiny_study: Study) -> xr.Dataset:
    return predict(tiny_study)
