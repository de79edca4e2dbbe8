"""In a notebook: progress, text for people, tables, and nothing that is fetched from elsewhere."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

import spikecube as sc
from spikecube.notebook import Words, in_notebook
from spikecube.runs.progress import InNotebook, Progress, for_library

STUDY = "[axes]\nalpha = [0.1, 0.3]\nn = [30, 40, 50]\nseed = 3\nlam = 0.1\n[measure]\nrank = 3\nspectrum_bins = 8\n"
CELLS = {
    "run": "import spikecube as sc\ncube = sc.run('small.toml', workers=1)",
    "study": "sc.Study.from_file('small.toml')",
    "plan": "sc.plan('small.toml')",
    "status": "sc.status('small')",
    "verify": "sc.verify('small', sample=1)",
    "info": "sc.info('small')",
    "fit": "sc.show(sc.fit_limits('small.nc', prediction=False))",
    "view": "sc.views.loss('small.nc')",
    "explore": "sc.explore('small')",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What a notebook shows under each of its cells."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    place = tmp_path_factory.mktemp("notebook")
    (place / "small.toml").write_text(STUDY)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS.values()])
    path = os.pathsep.join([str(Path(sc.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        resources = {"metadata": {"path": str(place)}}
        nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    return {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}


def shown(outputs: list[Any], mime: str = "text/html") -> str:
    return "\n".join(str(o["data"][mime]) for o in outputs if mime in o.get("data", {}))


def test_a_run_shows_how_far_it_is(outputs: dict[str, list[Any]]) -> None:
    bar = shown(outputs["run"])
    assert '<progress value="1.000"' in bar
    assert "9 of 9 cells (100 % of the work)" in bar
    assert not [o for o in outputs["run"] if o.get("name") == "stderr"]


def test_studies_states_and_cubes_are_shown_as_text(outputs: dict[str, list[Any]]) -> None:
    assert STUDY in shown(outputs["study"])
    assert "core-seconds" in shown(outputs["plan"])
    assert "complete" in shown(outputs["status"])
    assert "all agree" in shown(outputs["verify"])
    assert all("monospace" in shown(outputs[name]) for name in ("study", "plan", "status", "verify", "info"))
    assert not [o for o in outputs["explore"] if o.get("name") == "stderr"]
    assert "9 of 9" not in shown(outputs["info"], "text/plain")
    assert "18 of 18 points" in shown(outputs["info"])


def test_a_fit_is_a_table_with_its_verdict(outputs: dict[str, list[Any]]) -> None:
    assert "could be fitted" in shown(outputs["fit"]) or "limit" in shown(outputs["fit"])
    assert "<table>" in shown(outputs["fit"])


@pytest.mark.parametrize("name", ["view", "explore"])
def test_nothing_is_loaded_from_elsewhere(name: str, outputs: dict[str, list[Any]]) -> None:
    html = shown(outputs[name])
    assert "Bokeh" in html
    loads = r"""(?:src|href|url)\\?["']?\s*[:=]\s*\\?["']https?://[^"']*"""
    assert re.findall(loads, html) == []
    assert "cdn.holoviz.org" not in html
    scripts = shown(outputs[name], "application/javascript")
    assert "cdn.bokeh.org" not in scripts
    assert "cdn.holoviz.org" not in scripts


def test_outside_of_notebooks_a_library_is_silent() -> None:
    assert not in_notebook()
    assert type(for_library()) is Progress
    assert repr(Words("a\nb")) == "a\nb"


def test_the_bar_of_a_notebook_keeps_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    bar = InNotebook()
    monkeypatch.setattr(bar, "_show", lambda: None)
    bar.start(4, 4.0, "four <cells>")
    assert bar.html() == "<div>four &lt;cells&gt;</div>"
    bar.every = 0.0
    bar.advance(1.0, failed=True)
    bar.say("a worker was lost")
    assert bar.html().startswith('<div>four &lt;cells&gt;</div><div>a worker was lost</div><progress value="0.250"')
    assert "1 of 4 cells (25 % of the work), 1 failed" in bar.html()
