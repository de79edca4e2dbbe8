"""The four recipes of CONTRIBUTING, followed to the letter in a copy of the package: each touches its files alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Edit:
    """A line (or a function) put before another line of a file, which stands there once."""

    file: str
    before: str
    text: str


RECIPES = {
    "activation": [
        Edit(
            "model/activations.py",
            '        Activation("gelu", _gelu, _gelu_slope),\n',
            '        Activation("sine", np.sin, np.cos),\n',
        )
    ],
    "measured variable": [
        Edit(
            "cube/schema.py",
            '    Variable("readout_power", _DRAW,',
            '    Variable("readout_peak", _DRAW, "max |a|", "largest entry of the readout"),\n',
        ),
        Edit(
            "cube/cell.py",
            '        "readout_power": float(readout @ readout),\n',
            '        "readout_peak": float(np.abs(readout).max()),\n',
        ),
    ],
    "law": [
        Edit(
            "scaling/laws.py",
            "def known_limit(exponent: float) -> Law:\n",
            """def _inverse_logs(n: Array) -> Array:
    return np.stack([np.ones_like(n), 1 / np.log(n)], axis=-1)


INVERSE_LOGARITHM = Law(
    "inverse_logarithm",
    "y = L + A/log n",
    ("level", "amplitude"),
    lambda n, theta: theta @ _inverse_logs(n).T,
    lambda n, theta: np.broadcast_to(_inverse_logs(n), (*theta.shape[:-1], len(n), 2)).copy(),
    lambda n, y, weights: linear_fit(_inverse_logs(n), y, weights)[None],
    Linear(),
    when="corrections that die with the logarithm of the size",
    in_units=("level", "amplitude"),
)


""",
        )
    ],
    "view": [
        Edit(
            "pictures/views/spikes.py",
            '@view(Entry("outliers",',
            '''@view(Entry("peaks", "Largest entry of the readout", question=_WHEN))
def peaks(cube: xr.Dataset, **further: Any) -> Picture:
    """How large is the largest entry of the readout? Means over seeds against n."""
    data = plain_means(sliced(variable(cube, "readout_peak"), **fixed(cube, further)))
    layers = marks.points(data, "n", "readout_peak", label="measured", colour=style.SERIES[0])
    title = "Largest entry of the readout"
    return Picture(layers, title=title, xlabel="n", ylabel="max |a|", xlim=(0, 100))


''',
        ),
    ],
}

USED = """
import json
import numpy as np, xarray as xr
import spikecube as sc
from pathlib import Path
from spikecube.cube.assemble import CellResult, assemble
from spikecube.cube.cell import compute_cell
from spikecube.cube.store import write_cube
from spikecube.pictures.app_screen import Screen
from spikecube.pictures.catalogue import CATALOGUE, Scene

study = sc.Study(
    model={"activation": "sine"},
    axes={"alpha": [0.0, 0.3], "n": [20, 40], "seed": 3, "lam": [0.1]},
    measure={"rank": 2, "degree": 2, "ell": 2},
)
alphas, lams, entropy = study.axes.alpha, study.axes.lam, study.random.entropy
cells = [
    CellResult(c, alphas, lams, compute_cell(
        study.model, study.measure, n=c.n, seed=c.seed, alphas=alphas, lams=lams, entropy=entropy))
    for c in study.cells()
]
write_cube(assemble(study, cells), Path("x.nc"))
cube = sc.open_cube("x.nc")
prediction = sc.predict(study)
n = np.array([10.0, 20.0, 40.0, 80.0])
curve = xr.DataArray(2 + 3 / np.log(n), dims="n", coords={"n": n})
fit = sc.fit_law(curve, "inverse_logarithm", stderr=0.1)
picture = CATALOGUE["peaks"].draw(Scene(cube), None)
print(json.dumps({
    "place": sc.__file__,
    "predicted": bool(prediction["train_loss"].notnull().all()),
    "status": cube["status"].values.ravel().tolist(),
    "peak": [cube["readout_peak"].dims, cube["readout_peak"].attrs["long_name"], float(cube["readout_peak"].min())],
    "estimate": fit["estimate"].values.ravel().tolist(),
    "drawn": [layer.column(1).tolist() for layer in picture.layers if layer.measured][-1],
    "mean": cube["readout_peak"].mean("seed").values.tolist(),
    "offered": "peaks" in [*Screen("spectrum", print, print).choice.options.values()],
}))
"""


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a copy with the four new things says of them."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "spikecube", copy / "spikecube")
    for edit in (edit for edits in RECIPES.values() for edit in edits):
        path = copy / "spikecube" / edit.file
        text = path.read_text()
        assert text.count(edit.before) == 1, edit
        path.write_text(text.replace(edit.before, edit.text + edit.before))
    environment = os.environ | {"PYTHONPATH": str(copy)}
    done = subprocess.run(
        [sys.executable, "-c", USED],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    assert Path(str(found["place"])).is_relative_to(copy)
    return found


@pytest.mark.parametrize("name", RECIPES)
def test_contributing_names_the_files_that_a_recipe_touches(name: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (line,) = re.findall(rf"^- \*\*A new {name}\*\*.*?(?=^- |^$)", text, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", line))
    assert named == {edit.file for edit in RECIPES[name]}


@pytest.mark.parametrize("name", RECIPES)
def test_the_page_of_recipes_shows_what_is_written(name: str) -> None:
    page = (ROOT / "docs" / "how-to" / "extend.md").read_text()
    for edit in RECIPES[name]:
        assert textwrap.indent(textwrap.dedent(edit.text).strip(), "    ") in page


def test_a_new_activation_is_run_and_predicted(used: dict[str, object]) -> None:
    assert used["status"] == [1] * 12
    assert used["predicted"]


def test_a_new_variable_is_measured_and_stored(used: dict[str, object]) -> None:
    dims, long_name, least = used["peak"]  # type: ignore[misc]
    assert (dims, long_name) == (["n", "seed"], "largest entry of the readout")
    assert least > 0.0


def test_a_new_law_is_fitted(used: dict[str, object]) -> None:
    assert used["estimate"] == pytest.approx([2.0, 3.0])


def test_a_new_view_is_drawn_and_offered(used: dict[str, object]) -> None:
    assert used["drawn"] == pytest.approx(used["mean"])
    assert used["offered"]
