"""README and documentation say what exists: commands parse, links lead somewhere, snippets for other languages run."""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import typer

import spikecube
import spikecube.theory
from scripts import site, slow_table
from spikecube import cli
from spikecube.model.activations import ACTIVATIONS
from spikecube.model.targets import TARGETS
from spikecube.scaling import laws, two_sizes
from spikecube.scaling.collapse_ansatz import ANSATZE
from tests.pictures.browser import browser

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*/*.md")]
)
PAGES = [page for page in PAGES if "made" not in page.parts]
COMMAND = re.compile(r"^(?:    |)(?:[A-Z_]+=(?:\"[^\"]*\"|\S+) )?(spikecube [^\n]*)$", re.M)


def commands(text: str) -> list[str]:
    """What a page has of `spikecube`: lines that start with it, indented or within fences, and what cells run."""
    lines = [re.split(r"\s+#|\s+\d?>", line)[0] for line in COMMAND.findall(text)]
    ran = [words for _, words in re.findall(r"""^shell\((["'])(.*?)\1""", text, re.M)]
    return [line for line in [*lines, *ran] if not line.startswith("spikecube: ")]


def check_command(line: str) -> None:
    """Parses a line as the command line does, without running it."""
    group: Any = typer.main.get_command(cli.app)
    words = [word for word in shlex.split(line)[1:] if word != "--debug"]
    if words[0] in ("--help", "--version", "COMMAND"):
        return
    with contextlib.suppress(SystemExit):
        group.commands[words[0]].make_context(words[0], words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_parses(page: Path) -> None:
    for line in commands(page.read_text()):
        check_command(line)


def test_a_command_that_does_not_exist_fails() -> None:
    assert commands("text\n\n    spikecube fit a.nc --lawn x    # why\n") == ["spikecube fit a.nc --lawn x"]
    assert commands("shell('spikecube fit \"a b\"', code=1)\n") == ['spikecube fit "a b"']
    with pytest.raises(Exception, match="lawn"):
        check_command("spikecube fit a.nc --lawn x")
    with pytest.raises(Exception, match="fitt"):
        check_command("spikecube fitt a.nc")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            base = ROOT / "docs" if target.startswith("/") else page.parent
            assert (base / target.lstrip("/")).exists(), target


def test_no_page_is_longer_than_a_reader_has_patience() -> None:
    """2,500 words, but for tables."""
    for page in PAGES:
        words = sum(len(line.split()) for line in page.read_text().splitlines() if not line.startswith("|"))
        assert words <= 2500, f"{page.relative_to(ROOT)} has {words} words"


def test_every_activation_and_target_has_its_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import made

    text = made.coefficients(ACTIVATIONS) + made.coefficients(TARGETS)
    assert "| `relu` | $\\max(z, 0)$ | 0 | 0 | 0.500000 | 0.199471 | 0 | -0.016623 | 0 |" in text
    assert all(f"| `{name}` |" in text for name in (*ACTIVATIONS, *TARGETS))
    assert "| `spectrum_bins` | integer | `0` |" in made.study_keys()
    assert doctest.testmod(made).failed == 0


def test_the_table_of_versions_names_each_dependency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import made

    text = made.versions()
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for name, oldest in (requirement.split(">=") for requirement in asked):
        row = re.search(rf"^\| {name} \| {re.escape(oldest)} \| (\S+) \| always", text, re.M)
        assert row, name
        assert _order(oldest) <= _order(row[1]), row[0]


@pytest.mark.skipif("SPIKECUBE_OLDEST" not in os.environ, reason="asks what scripts/oldest.sh has installed")
def test_the_oldest_versions_are_those_that_are_asked_for() -> None:
    """A minimum that another package forbids would be tested by nobody."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pairs = {name: (oldest, metadata.version(name)) for name, oldest in (one.split(">=") for one in asked)}
    assert {name: pair for name, pair in pairs.items() if _order(pair[0]) != _order(pair[1])} == {}


def _order(version: str) -> list[int]:
    """The numbers of a version, without zeros at its end."""
    numbers = [int(part) for part in re.findall(r"\d+", version)]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def test_every_view_stands_on_the_page_of_views_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is run by the build, and fails there if a view shows a sentence in place of a picture."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import made

    text = made.views_page()
    for name in spikecube.views.__all__:
        assert re.search(
            rf"^## {name}\n\n[^\n]{{20,}}\n\n```{{code-cell}} python\n[^`]*sc\.views\.{name}\(", text, re.M
        ), name
    assert set(made.CALLS) <= set(spikecube.views.__all__)


def snippet(language: str) -> str:
    """The first fenced block of a language on the page about other readers."""
    text = (ROOT / "docs" / "how-to" / "read-elsewhere.md").read_text()
    found = re.search(rf"```{language}\n(.*?)```", text, re.S)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("language", "program", "seen"),
    [("sh", "ncdump", "double test_loss(alpha, n, seed, lam)"), ("r", "Rscript", "0.3 0.667 0.916")],
)
def test_other_languages_read_a_cube(language: str, program: str, seen: str, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    shutil.copy(ROOT / "data" / "cubes" / "tiny.nc", tmp_path)
    arguments = ["sh", "-e", "-c", snippet(language)] if language == "sh" else [program, "-e", snippet(language)]
    ended = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    assert seen in ended.stdout


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    """Every python block of README in one process, on its own study made small."""
    text = (ROOT / "README.md").read_text()
    study = re.search(r"```toml\n(.*?)```", text, re.S)
    assert study
    small = re.sub(r"(?m)^n = .*$", "n = [40, 60, 80, 120]", study[1])
    for axis, labels in {"alpha": "[0.2, 0.45]", "seed": "3", "lam": "[0.1]"}.items():
        small = re.sub(rf"(?m)^{axis} = .*$", f"{axis} = {labels}", small)
    (tmp_path / "study.toml").write_text(small)
    blocks = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
    ended = subprocess.run(
        [sys.executable, "-c", blocks], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "staircase.nc").exists()


def test_every_name_that_users_type_stands_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "api.md").read_text()
    named = set(re.findall(r"\.\. auto(?:function|class):: spikecube\.(\w+)[^.\w]", text))
    assert named == set(spikecube.__all__) - {"views", "__version__"}
    for room in (spikecube.views, spikecube.theory):
        shown = set(re.findall(rf"\.\. (?:auto|py:)\w+:: {room.__name__.replace('pictures.', '')}\.(\w+)$", text, re.M))
        assert shown == set(room.__all__)
    assert set(spikecube.scaling.__all__) <= named


def sections(text: str) -> list[tuple[str, str]]:
    """The sections of a docstring: what is before the first, then each with its heading."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", text, flags=re.M)
    return [("", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]


def misread(text: str) -> list[str]:
    """What a builder of pages would take for a parameter or a reason: examples and paragraphs within a list."""
    listed = ("Parameters", "Attributes", "Raises")
    return [head for head, body in sections(text) if head in listed and (">>>" in body or "\n\n" in body.strip())]


def test_no_section_of_a_docstring_is_misread() -> None:
    assert misread("One.\n\nRaises\n------\nValueError\n    Why.\n\n>>> 1\n1\n") == ["Raises"]
    assert misread("One.\n\n>>> 1\n1\n\nRaises\n------\nValueError\n    Why.\n\nExamples\n--------\n>>> 1\n1") == []
    for path in (ROOT / "spikecube").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                assert misread(ast.get_docstring(node) or "") == [], f"{path.name}: {node.name}"


def test_every_law_stands_on_the_page_of_laws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each entry of the tables of laws, with its formula, its parameters and what it is for."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import made

    text = made.law_table() + made.other_laws()
    entries = [entry for module in (laws, two_sizes) for entry in vars(module).values() if isinstance(entry, laws.Law)]
    assert len(entries) >= 8
    for law in [*entries, *ANSATZE.values()]:
        names = ", ".join(f"`{name}`" for name in law.params)
        assert law.when
        assert f" | `{law.formula}` | {names} | {law.when} |" in text, law.name


def test_the_readme_counts_the_verdicts_as_the_page_of_claims_does() -> None:
    page = (ROOT / "docs" / "explanation" / "claims.md").read_text()
    counts = re.search(r"\*\*(\d+ statements: [^*]+)\*\*", page)
    assert counts
    assert f"**{counts[1]}**" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    for name in re.findall(r"(?:scripts|tests|data|spikecube)/[\w/.\-]+\.(?:py|sh|toml|nc|md|csv)", page.read_text()):
        assert (ROOT / name).exists(), name


def check_python(code: str) -> None:
    """Parses a block that has data of its reader in it: its names of spikecube and their keywords exist."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("spikecube"):
            for alias in node.names:
                getattr(importlib.import_module(str(node.module)), alias.name)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sc":
            getattr(spikecube, node.attr)
        if isinstance(node, ast.Call) and re.fullmatch(r"sc\.\w+", ast.unparse(node.func)):
            known = inspect.signature(getattr(spikecube, ast.unparse(node.func)[3:])).parameters
            named = {keyword.arg for keyword in node.keywords}
            assert named <= set(known), f"{ast.unparse(node)}: {named - set(known)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_that_is_not_run_names_what_exists(page: Path) -> None:
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.S | re.M):
        check_python(code)


def test_python_with_a_wrong_name_or_keyword_fails() -> None:
    with pytest.raises(AttributeError, match="fit_outlier"):
        check_python("import spikecube as sc\nsc.fit_outlier(cube)")
    with pytest.raises(AssertionError, match="colour"):
        check_python("sc.fit_outliers(cube, colour=1)")


@pytest.mark.parametrize("module", [site, slow_table])
def test_the_tools_of_these_pages_do_what_their_examples_say(module: Any) -> None:
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_a_page_with_faults_is_found_and_one_without_is_not(tmp_path: Path) -> None:
    """The build ends with this look at all its pages."""
    good = """<!doctype html><link rel="icon" href="data:,"><article id="top">
      <a href="bad.html#here">x</a> <div style="overflow-x: auto"><div style="width: 3000px">scrolls</div></div>"""
    bad = """<!doctype html><link rel="icon" href="data:,"><article><p id="here">
      <a href="gone.html">x</a> <a href="good.html#nowhere">x</a>
      <img src="http://spikecube.invalid/x.png"><div style="width: 3000px">cut</div>"""
    for name, text in (("good", good), ("bad", bad)):
        (tmp_path / f"{name}.html").write_text(text)
    with browser(offline=True) as page:
        pages, found = site.look_at(page, tmp_path)
    assert pages == 2
    assert not [fault for fault in found if fault.startswith("good")]
    for said in (
        "asks for http://spikecube.invalid/x.png",
        "wider than its screen",
        "cuts <div",
        "to no file",
        "no place",
    ):
        assert any(said in fault for fault in found), said


def test_the_badges_say_what_the_project_file_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    claims = {"python": project["requires-python"].strip(">=") + " or newer", "license": project["license"]}
    for badge, said in claims.items():
        assert said in (ROOT / "docs" / "_static" / f"badge-{badge}.svg").read_text()
